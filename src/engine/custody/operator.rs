//! What an operator asks of custody: to see budgets and quarantine, and to lift them. The supervisor lets only the engine's own user ask.

use super::Shared;
use super::queue::Job;
use super::refusal::Refusal;
use super::usage::caller;
use crate::engine::api::{EngineReply, OracleRequest};
use audit::approval::Subject;

/// Shows, or lets somebody or something go and shows what is left.
pub(super) fn oracle(
    shared: &Shared,
    job: &Job,
    request: OracleRequest,
) -> Result<EngineReply, Refusal> {
    match request {
        OracleRequest::Show => {}
        OracleRequest::Release { release, approvals } => {
            let subject = Subject::OracleRelease { release };
            shared
                .approvals
                .require(&subject, &approvals, shared.oracle.book(), job.deadline)?;
            shared
                .oracle
                .release(&release, caller(job).uid, job.deadline)?;
        }
    }
    Ok(EngineReply::Oracle(Box::new(
        shared.oracle.report(shared.release.late()),
    )))
}
