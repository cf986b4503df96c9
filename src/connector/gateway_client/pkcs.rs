//! The calls of certificates on request.

use super::{Answer, GatewayClient, LEASE_MS, is_order_id, path};
use crate::connector::error::CallError;
use crate::engine::api::Delivery;
use crate::gateway::api::Settled;
use crate::gateway::pkcs_api::{
    PkcsLeaseRequest, PkcsLeaseResponse, PkcsWorkItem, Progress, is_plain_name,
};
use std::time::Duration;

impl GatewayClient {
    /// Asks for at most `max` certificates to be issued by one of these authorities and waits up to `wait_ms` for one.
    pub(in crate::connector) async fn lease_pkcs(
        &self,
        max: u32,
        wait_ms: u64,
        deliveries: &[Delivery],
        authorities: &[&str],
    ) -> Answer<Vec<PkcsWorkItem>> {
        // What no profile can name is never asked of it.
        let authorities = authorities.iter().filter(|name| is_plain_name(name));
        let body = PkcsLeaseRequest {
            connector: self.identity(deliveries),
            max: max.clamp(1, 256),
            wait_ms: wait_ms.min(60_000),
            authorities: Some(authorities.map(|name| (*name).to_owned()).collect()),
        };
        let limit = self
            .timeout
            .saturating_add(Duration::from_millis(body.wait_ms));
        let (leased, correlation): (PkcsLeaseResponse, _) =
            self.post("connector/v1/pkcs/lease", &body, limit).await?;
        let mut work = leased.work;
        work.retain_mut(|item| {
            item.lease_ms = item.lease_ms.clamp(*LEASE_MS.start(), *LEASE_MS.end());
            is_order_id(&item.request_id)
        });
        Ok((work, correlation))
    }

    /// Tells how far a request for a certificate got; with a time, it waits for so long in the queue.
    pub(in crate::connector) async fn progress(
        &self,
        request_id: &str,
        fence: u64,
        progress: Vec<u8>,
        resume: Option<Duration>,
    ) -> Result<(), CallError> {
        let body = Progress {
            fence,
            progress: progress.into(),
            resume_ms: resume.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX)),
        };
        let (_, _): (Settled, _) = self
            .post(&path(request_id, "progress"), &body, self.timeout)
            .await?;
        Ok(())
    }
}
