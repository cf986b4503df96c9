//! What the authority issued: held against the request, and kept, or refused and withdrawn.

use super::super::enrolment_api::Enrolled;
use super::super::error::ApiError;
use super::super::http::App;
use super::super::store::{Finished, IssuedIdentity};
use super::{Asked, Enrolment, answer, refused};
use crate::encoding::{hex, printable};
use crate::identity::{self, Expected};
use ::ca::{Issued, Revocation, RevocationReason, Revoked};
use fips::digest::{Hash, digest};

/// The longest reason for a refusal that is kept, in bytes: the authority's words may be in it.
const MAX_REASON_BYTES: usize = 500;

impl Enrolment {
    pub(super) async fn issued(
        &self,
        app: &App,
        asked: Asked,
        issued: Issued,
        spki: &[u8],
    ) -> Result<Enrolled, ApiError> {
        let fingerprint = hex(digest(Hash::Sha256, &issued.certificate_der).as_ref());
        let known = fingerprint.clone();
        let is_known = app
            .stored(move |store| store.is_connectors_certificate(&known))
            .await?;
        if is_known {
            // It is in use: it stays as it is.
            let why = "the authority answered with a certificate that a connector has already";
            return Err(self.over(app, &asked, why.to_owned()).await);
        }
        let others: Vec<Vec<u8>> = self
            .intermediates
            .iter()
            .chain(&issued.others)
            .take(identity::MAX_OTHERS)
            .cloned()
            .collect();
        let expected = Expected {
            common_name: &asked.instance,
            spki,
            max_days: self.max_days,
            roots: Some(&self.roots),
            now_ms: app.store.now_ms(),
        };
        let checked = match identity::check(&issued.certificate_der, &others, &expected) {
            Ok(checked) => checked,
            Err(problem) => {
                let fate = self.withdraw(&issued, spki).await;
                let why = format!("what the authority issued is refused: {problem}; {fate}");
                return Err(self.over(app, &asked, why).await);
            }
        };
        let stored = IssuedIdentity {
            certificate: issued.certificate_der.clone(),
            chain: checked.above,
        };
        let not_after_ms = checked.facts.not_after_ms;
        let (id, actor) = (asked.order_id.clone(), asked.actor.clone());
        let finished = app
            .stored(move |store| {
                store.finish_enrolment(&actor, &id, &stored, not_after_ms, &fingerprint)
            })
            .await?;
        match finished {
            Finished::Accepted(done) => {
                tracing::info!(
                    instance = asked.instance,
                    "a connector's certificate was issued"
                );
                Ok(answer(done))
            }
            Finished::Over => {
                let fate = self.withdraw(&issued, spki).await;
                let why = format!("the instance was revoked while it was ordered; {fate}");
                Err(self.over(app, &asked, why).await)
            }
        }
    }

    /// A certificate that nobody may use must not be one that somebody could: what became of it, in words. One for another key is left alone: it
    /// may be somebody's.
    async fn withdraw(&self, issued: &Issued, spki: &[u8]) -> String {
        let read = match pki::path::Certificate::read(&issued.certificate_der) {
            Ok(read) => read,
            Err(error) => {
                return format!(
                    "it cannot be read and was not revoked ({error}): look at the authority"
                );
            }
        };
        if read.spki_der() != spki {
            return "it was not revoked, since it is for another key and may be somebody's: look at the authority"
                .to_owned();
        }
        if !self.authority.capabilities().revokes {
            return "the authority revokes nothing by this way: revoke it there".to_owned();
        }
        let revocation = Revocation {
            id: None,
            issuer_der: read.issuer_der().to_vec(),
            serial: read.serial().to_vec(),
            certificate_der: Some(issued.certificate_der.clone()),
            reason: RevocationReason::CessationOfOperation,
        };
        match self.authority.revoke(&revocation).await {
            Ok(Revoked::Now | Revoked::Already) => "it was revoked".to_owned(),
            Err(error) => format!("it could not be revoked ({error}): revoke it at the authority"),
        }
    }

    /// The order is over: nobody asks for it again, whoever sends it, and the administrators' audit trail has why.
    pub(super) async fn over(&self, app: &App, asked: &Asked, why: String) -> ApiError {
        let mut why = printable(&why).to_string();
        why.truncate(why.floor_char_boundary(MAX_REASON_BYTES));
        tracing::error!(instance = %asked.instance, order = %asked.order_id, why, "a connector's certificate is refused");
        let (actor, id, kept) = (asked.actor.clone(), asked.order_id.clone(), why.clone());
        match app
            .stored(move |store| store.refuse_enrolment(&actor, &id, &kept))
            .await
        {
            Ok(()) => refused(asked, &why),
            Err(error) => error,
        }
    }
}
