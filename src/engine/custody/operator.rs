//! What an operator asks of custody: to see budgets and quarantine, and to lift them. The supervisor lets only the engine's own user ask.

use super::Shared;
use super::authorise::Leave;
use super::queue::Job;
use super::refusal::Refusal;
use super::usage::caller;
use crate::engine::api::{EngineReply, OracleRequest};

/// Shows, or lets somebody or something go and shows what is left.
pub(super) fn oracle(
    shared: &Shared,
    job: &Job,
    request: OracleRequest,
    leave: Leave,
) -> Result<EngineReply, Refusal> {
    match request {
        OracleRequest::Show => {}
        OracleRequest::Release {
            release,
            approvals: _,
        } => {
            shared
                .oracle
                .release(&release, caller(job).uid, job.deadline, leave)?;
        }
    }
    Ok(EngineReply::Oracle(Box::new(
        shared.oracle.report(shared.release.late()),
    )))
}
