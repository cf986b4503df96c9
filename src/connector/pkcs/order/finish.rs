//! What was issued: held against what was asked, and packed for the device, or refused.

use super::super::ask::Question;
use super::super::check;
use super::super::course::{Course, Whose};
use super::super::packed;
use super::super::progress::Step;
use super::{End, Run};
use crate::engine::api::PackRequest;
use crate::engine::client::RecryptError;
use crate::telemetry::catalogue::EventKind;
use ca::Issued;

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
        if let Some(withdrawn) = course.at.withdrawn.clone() {
            return match course.whose {
                Whose::Own => self.withdraw(course, &issued).await,
                Whose::Told => self.wait_for_its_withdrawal(course, &withdrawn).await,
            };
        }
        // By the rule under which it was ordered, whatever the policy says by now; of another connector's order only the name is known here.
        let rule = match (course.whose, &course.at.allowed) {
            (Whose::Own, Some(rule)) => Some(&**rule),
            _ => {
                let mut rules = self.policy.rules().iter();
                rules.find(|rule| rule.name == course.at.rule)
            }
        };
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
                    .refuse_issued("issuedCertificateRefused", message, course, &issued)
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
                self.refuse_issued(&code, message, course, &issued).await
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
}
