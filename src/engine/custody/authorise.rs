//! Who may have custody do what: the same rule as the supervisor's, decided a second time from what this process has read itself.

use super::queue::Job;
use super::refusal::Refusal;
use crate::config::EngineConfig;
use crate::engine::api::EngineRequest;
use audit::verb::CallerKind;

/// Whether who asks may ask for this. The supervisor decided by the header, and may have read the configuration at another time; what is
/// in the request has to be what the header said.
pub(super) fn admit(
    config: &EngineConfig,
    job: &Job,
    request: &EngineRequest,
) -> Result<(), Refusal> {
    let verb = request.verb();
    if job.verb != Some(verb) {
        return Err(Refusal::bad_request(
            "the request is another one than its frame says",
        ));
    }
    let engine = rustix::process::geteuid().as_raw();
    let caller = CallerKind::of(job.caller.uid, engine, &config.allowed_uids);
    if verb.rule().admits(caller) {
        Ok(())
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
    use audit::Verb;
    use std::time::{Duration, Instant};

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
        admit(&config(), &job, request).map_err(|refusal| refusal.told.code)
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
}
