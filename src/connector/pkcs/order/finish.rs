//! What was issued: held against what was asked, and packed for the device, or refused and, where it is certainly ours, revoked.

use super::super::ask::Question;
use super::super::check;
use super::super::course::{Course, Whose};
use super::super::packed;
use super::super::progress::Step;
use super::{End, Run};
use crate::engine::api::PackRequest;
use crate::engine::client::RecryptError;
use crate::telemetry::catalogue::EventKind;
use ca::{Issued, Revocation, RevocationReason, Revoked};

impl Run<'_> {
    pub(super) async fn finish(&self, question: &Question, course: &mut Course) -> End {
        let Step::Issued {
            certificate,
            others,
        } = course.at.step.clone()
        else {
            return End::later("nothing was issued yet");
        };
        let issued = Issued {
            certificate_der: certificate.0,
            others: others.into_iter().map(|other| other.0).collect(),
        };
        let rule = self
            .policy
            .rules()
            .iter()
            .find(|rule| rule.name == course.at.rule);
        let expected = check::Expected {
            csr: course.at.csr.as_slice(),
            user: &self.item.user_principal_name,
            rule,
            extended_key_usage: &self.item.profile.extended_key_usage,
            key_usage: &self.item.profile.key_usage,
            validity_days: self.item.profile.validity_days,
            roots: &self.authority.terms.roots,
            intermediates: &self.authority.terms.intermediates,
            now_ms: self.keeper.now_ms(),
        };
        let checked = match check::check(&expected, &issued) {
            Ok(checked) => checked,
            Err(why) => {
                let message = format!("what the authority issued is not what was asked: {why}");
                return self
                    .withdraw("issuedCertificateRefused", message, course, &issued)
                    .await;
            }
        };
        self.keeper
            .tell(
                self.draft(
                    EventKind::PkcsIssuedSuccess,
                    "the authority issued the certificate, and it is what was asked",
                )
                .field("serialNumber", checked.serial.clone())
                .field("thumbprint", checked.thumbprint.clone())
                .field("rule", course.at.rule.clone())
                .field("policySha256", course.at.policy.clone()),
            )
            .await;
        let request = PackRequest {
            request_id: self.item.request_id.clone(),
            user: self.item.user_principal_name.clone(),
            sealed_key: course.at.sealed_key.clone(),
            csr: course.at.csr.clone(),
            certificate: issued.certificate_der.clone().into(),
            chain: checked.chain.into_iter().map(Into::into).collect(),
            device: self.item.device.clone(),
            platform: self.item.profile.platform.clone(),
            format: self.item.profile.format,
            friendly_name: Some(question.friendly_name(self.item)),
            apple_profile: packed::profile_name(self.item),
        };
        match self.keys.pack(request).await {
            Ok(packed) => {
                if !packed.warnings.is_empty() {
                    let draft = self.draft(EventKind::PkcsFormDoubtful, packed::MESSAGE);
                    let platform = &self.item.profile.platform;
                    self.keeper
                        .tell(packed::with(draft, platform, &packed))
                        .await;
                }
                let result = packed::result(packed, issued.certificate_der);
                End::Done(Box::new(result))
            }
            Err(RecryptError::Failed(failure)) if packed::is_final(failure.code) => {
                let message = format!(
                    "the certificate was issued and cannot be packed for the device: {}",
                    failure.message
                );
                let code = crate::connector::worker::code_text(failure.code);
                self.withdraw(&code, message, course, &issued).await
            }
            // The certificate waits, here and at the gateway, for an engine that works.
            Err(error) => {
                self.tell_attempt(&course.at, &error.to_string()).await;
                course.at.failures = course.at.failures.saturating_add(1);
                let pause = self.pause(&course.at);
                self.wait(&course.at, pause).await
            }
        }
    }

    /// The final failure of a request whose certificate cannot be used. It is revoked where the authority can, but only what the authority
    /// itself issued for the own key: what the gateway hands out, or what is found under the order's name for another key, may be somebody's.
    async fn withdraw(&self, code: &str, message: String, course: &Course, issued: &Issued) -> End {
        let fate = self.revoke(course, issued).await;
        let serial = check::names_of(&issued.certificate_der)
            .map(|(_, serial)| crate::encoding::hex(&serial))
            .unwrap_or_default();
        self.keeper
            .tell(
                self.draft(
                    EventKind::PkcsCertificateWithdrawn,
                    format!("a certificate that cannot be used: {fate}"),
                )
                .field("serialNumber", serial)
                .field("reason", message.clone()),
            )
            .await;
        self.refuse(code, format!("{message}; {fate}")).await
    }

    /// What became of a certificate that cannot be used, in words.
    async fn revoke(&self, course: &Course, issued: &Issued) -> String {
        let (ca, id) = (self.authority.ca.name(), &self.item.request_id);
        if course.whose == Whose::Told {
            return format!(
                "it was not revoked, since this connector did not order it: look at the authority {ca} for a certificate of the order {id}, and revoke it there"
            );
        }
        if !check::is_for_key(&issued.certificate_der, course.at.csr.as_slice()) {
            return format!(
                "it was not revoked, since it may be somebody's: look at the authority {ca}, where it is under the order {id}"
            );
        }
        let Some((issuer_der, serial)) = check::names_of(&issued.certificate_der) else {
            return "it names neither issuer nor serial number, and cannot be revoked".to_owned();
        };
        if !self.authority.ca.capabilities().revokes {
            return format!("the authority {ca} revokes nothing by this way: revoke it there");
        }
        let revocation = Revocation {
            id: Some(format!("{id}-withdrawn")),
            issuer_der,
            serial,
            certificate_der: Some(issued.certificate_der.clone()),
            reason: RevocationReason::CessationOfOperation,
        };
        match self.authority.ca.revoke(&revocation).await {
            Ok(Revoked::Now | Revoked::Already) => "it was revoked".to_owned(),
            Err(error) => format!("it could not be revoked ({error}): revoke it at the authority"),
        }
    }
}
