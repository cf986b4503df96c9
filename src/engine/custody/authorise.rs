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
