//! The calls of revocation.

use super::{Answer, GatewayClient, LEASE_MS, is_order_id, path};
use crate::engine::api::Delivery;
use crate::gateway::api::{FailureReport, RequestFailure, Settled};
use crate::gateway::revocation_api::{
    RevocationLeaseRequest, RevocationLeaseResponse, RevocationWorkItem,
};
use std::time::Duration;

impl GatewayClient {
    /// Asks for at most `max` revocations of these issuers and waits up to `wait_ms` for one.
    pub(in crate::connector) async fn lease_revocations(
        &self,
        max: u32,
        wait_ms: u64,
        deliveries: &[Delivery],
        issuers: &[String],
    ) -> Answer<Vec<RevocationWorkItem>> {
        let body = RevocationLeaseRequest {
            connector: self.identity(deliveries),
            max: max.clamp(1, 256),
            wait_ms: wait_ms.min(60_000),
            issuers: issuers.to_vec(),
        };
        let limit = self
            .timeout
            .saturating_add(Duration::from_millis(body.wait_ms));
        let (leased, correlation): (RevocationLeaseResponse, _) = self
            .post("connector/v1/revocations/lease", &body, limit)
            .await?;
        let mut work = leased.work;
        work.retain_mut(|item| {
            item.lease_ms = item.lease_ms.clamp(*LEASE_MS.start(), *LEASE_MS.end());
            is_order_id(&item.request_id)
        });
        Ok((work, correlation))
    }

    /// Gives a revocation back to the queue, where it waits for so long; that was no attempt.
    pub(in crate::connector) async fn give_back_revocation(
        &self,
        request_id: &str,
        fence: u64,
        failure: FailureReport,
        resume: Duration,
    ) -> Answer<Settled> {
        let body = RequestFailure {
            fence,
            failure,
            retry: true,
            resume_ms: Some(u64::try_from(resume.as_millis()).unwrap_or(u64::MAX)),
        };
        self.post(&path(request_id, "fail"), &body, self.timeout)
            .await
    }
}
