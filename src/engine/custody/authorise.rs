//! Who may have custody do what: the same rule as the supervisor's, decided a second time from what this process has read itself.
//!
//! ```text
//! request --- admit: the caller may ask for the verb ---> Admission::Open(Leave) ------------------------> the handler runs
//!                                                    '--> Admission::Dangerous --- enough approvals ---> Leave '
//! ```
//!
//! Nothing is done without a [`Leave`], and only this module makes one: a verb that is marked as dangerous in [`audit::verb`] needs approvals
//! whatever its handler remembers, and one whose request has no place for them cannot be done at all.

use super::approvals::Approvals;
use super::queue::Job;
use super::receipts::Book;
use super::refusal::Refusal;
use crate::config::EngineConfig;
use crate::engine::api::{DangerousStep, EngineRequest};
use audit::Verb;
use audit::verb::{self, CallerKind};
use std::time::Instant;

/// Leave to do what is asked for. It cannot be made elsewhere, or copied: it is for one request.
#[derive(Debug)]
#[must_use = "what it was given for is not done yet"]
pub(super) struct Leave {
    verb: Verb,
    approved_by: Vec<String>,
}

impl Leave {
    /// Takes it for what is done now. Names of those whose approvals were used; none where none are required.
    ///
    /// # Errors
    /// The refusal of a leave that was given for another verb.
    pub(super) fn spend(self, on: Verb) -> Result<Vec<String>, Refusal> {
        if self.verb == on {
            return Ok(self.approved_by);
        }
        Err(Refusal::bad_request(&format!(
            "leave was given for `{}`, and this is `{on}`",
            self.verb
        )))
    }
}

/// What the rule of a verb says of a caller who may ask for it.
#[derive(Debug)]
pub(super) enum Admission {
    /// It is done.
    Open(Leave),
    /// It is done with enough approvals.
    Dangerous(Dangerous),
}

/// A verb that needs approvals, which were not looked at yet.
#[derive(Debug)]
pub(super) struct Dangerous(Verb);

impl Admission {
    fn of(verb: Verb) -> Self {
        match verb.rule().approvals {
            verb::Approvals::Open => Self::Open(Leave {
                verb,
                approved_by: Vec::new(),
            }),
            verb::Approvals::Dangerous => Self::Dangerous(Dangerous(verb)),
        }
    }

    /// Leave for a request; of a dangerous one, with the approvals that came with it. They are used then, whatever becomes of it.
    ///
    /// # Errors
    /// The refusal that says what is missing, or that it cannot be recorded.
    pub(super) fn leave(
        self,
        step: Option<DangerousStep>,
        approvals: &Approvals,
        book: &Book,
        until: Instant,
    ) -> Result<Leave, Refusal> {
        let verb = match self {
            Self::Open(leave) => return Ok(leave),
            Self::Dangerous(Dangerous(verb)) => verb,
        };
        let Some(step) = step.filter(|step| step.subject.verb() == verb) else {
            return Err(Refusal::bad_request(&format!(
                "`{verb}` needs approvals, and the request has no place for them"
            )));
        };
        let approved_by = approvals.require(&step.subject, &step.approvals, book, until)?;
        Ok(Leave { verb, approved_by })
    }
}

/// Whether who asks may ask for this. The supervisor decided by the header, and may have read the configuration at another time; what is
/// in the request has to be what the header said.
pub(super) fn admit(
    config: &EngineConfig,
    job: &Job,
    request: &EngineRequest,
) -> Result<Admission, Refusal> {
    let verb = request.verb();
    if job.verb != Some(verb) {
        return Err(Refusal::bad_request(
            "the request is another one than its frame says",
        ));
    }
    let engine = rustix::process::geteuid().as_raw();
    let caller = CallerKind::of(job.caller.uid, engine, &config.allowed_uids);
    if verb.rule().admits(caller) {
        Ok(Admission::of(verb))
    } else {
        Err(Refusal::bad_request(&verb.refusal()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        missing_docs
    )]
    use super::*;
    use crate::engine::api::FailureCode;
    use crate::engine::ipc::{Caller, Frame};
    use audit::approval::{ApprovalMemory, Approver, Quorum, Subject};
    use audit::ledger::Release;
    use audit::{AuditKey, Hash};
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    fn config() -> EngineConfig {
        let text = "[engine]\nsocket = '/s'\nallowed_uids = [64123]\n[engine.token]\nmodule = '/m'\nlabel = 't'\n";
        let config: crate::config::Config = toml::from_str(text).unwrap();
        config.engine.unwrap()
    }

    fn reencrypt() -> EngineRequest {
        let text = r#"{"op":"reencrypt","requestId":"r","pfx":"","to":"","record":{"userPrincipalName":"","thumbprint":"",
            "providerName":"","keyName":"","custodyKey":null,"padding":"oaepSha256","encryptedPassword":"","importerSignature":null}}"#;
        serde_json::from_str(text).unwrap()
    }

    fn asked(request: &EngineRequest, verb: Verb, uid: Option<u32>) -> Result<(), FailureCode> {
        let mut frame = Frame::request(1, request).unwrap();
        frame.verb = Some(verb);
        frame.caller = Caller {
            uid,
            certificate: None,
        };
        let job = Job::new(frame, Instant::now(), Duration::ZERO);
        admit(&config(), &job, request)
            .map(drop)
            .map_err(|refusal| refusal.told.code)
    }

    #[test]
    fn custody_decides_by_the_rule_too_and_nobody_may_ask_for_anything() {
        let own = rustix::process::geteuid().as_raw();
        let refused = Err(FailureCode::BadRequest);
        let (status, reencrypt) = (EngineRequest::Status, reencrypt());
        assert_eq!(asked(&reencrypt, Verb::Reencrypt, Some(own)), Ok(()));
        assert_eq!(asked(&reencrypt, Verb::Reencrypt, Some(64_123)), refused);
        assert_eq!(asked(&status, Verb::Status, Some(64_123)), Ok(()));
        assert_eq!(asked(&status, Verb::Status, Some(64_124)), refused);
        assert_eq!(asked(&status, Verb::Status, None), refused);
    }

    #[test]
    fn a_request_under_another_verb_is_refused_whoever_asks() {
        let own = rustix::process::geteuid().as_raw();
        for verb in Verb::ALL
            .iter()
            .copied()
            .filter(|verb| *verb != Verb::Reencrypt)
        {
            assert_eq!(
                asked(&reencrypt(), verb, Some(own)),
                Err(FailureCode::BadRequest),
                "{verb}"
            );
        }
    }

    fn step(subject: Subject) -> DangerousStep {
        DangerousStep {
            subject,
            approvals: Vec::new(),
        }
    }

    /// What a verb's request is told with this step and no approval, where one is required, or where none are.
    fn told(verb: Verb, step: Option<DangerousStep>, required: bool) -> Result<Verb, FailureCode> {
        fips::start(fips::policy::in_force()).unwrap();
        let ada = Approver::new("ada", AuditKey::generate().unwrap().spki_der()).unwrap();
        let quorum = required.then(|| Quorum::new(1, vec![ada]).unwrap());
        let approvals = Approvals::new(quorum, Arc::new(Mutex::new(ApprovalMemory::default())));
        Admission::of(verb)
            .leave(step, &approvals, &Book::none(), Instant::now())
            .and_then(|leave| leave.spend(verb).map(|_| verb))
            .map_err(|refusal| refusal.told.code)
    }

    #[test]
    fn no_verb_that_is_marked_as_dangerous_is_done_without_approvals() {
        for verb in Verb::ALL.iter().copied() {
            let told = told(verb, None, true);
            if verb.rule().approvals == verb::Approvals::Open {
                assert_eq!(told, Ok(verb), "{verb}");
            } else {
                assert_eq!(told, Err(FailureCode::BadRequest), "{verb}");
            }
        }
    }

    #[test]
    fn approvals_of_something_else_or_none_give_no_leave() {
        let release = || Subject::OracleRelease {
            release: Release::Caller { caller: None },
        };
        let destroy = || Subject::KeyDestroy {
            key: Hash::NONE,
            token_serial: "1".to_owned(),
            last_copy: false,
        };
        let verb = Verb::OracleRelease;
        let refused = told(verb, Some(step(release())), true);
        assert_eq!(refused, Err(FailureCode::ApprovalMissing));
        let refused = told(verb, Some(step(destroy())), true);
        assert_eq!(refused, Err(FailureCode::BadRequest));
        // Where nobody has to approve, what is done is named all the same.
        assert_eq!(told(verb, Some(step(release())), false), Ok(verb));
        assert_eq!(told(verb, None, false), Err(FailureCode::BadRequest));
        let Admission::Open(leave) = Admission::of(Verb::OracleShow) else {
            panic!("to show is open");
        };
        assert!(
            leave.spend(verb).is_err(),
            "it is for what it was given for"
        );
    }
}
