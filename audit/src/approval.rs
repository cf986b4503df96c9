//! Approvals: what is dangerous needs several people's signatures.
//!
//! ```text
//!   who wants it            approvers, each with a key of their own          custody
//!   ------------            --------------------------------------           -------
//!   Statement: verb and ---> read it, sign it: an Approval each -----------> verify(): of known approvers, distinct ones, as many as the
//!   subject, from, until,    (a file of a few hundred bytes)                  Quorum says, all over one statement, about this very subject,
//!   nonce, note                                                               in its time, its nonce never used
//!                                                                                 |
//!                                                                                 '--> `approved` in the log, durable, and only then the step
//! ```
//!
//! All approvals that count together are about one statement, so a nonce stands for one decision and is used once. Which nonces were used
//! follows from the log alone ([`ApprovalMemory`]). Expiry is judged by the machine's clock or the newest entry of the log, whichever is later: a
//! clock that was set back makes nothing good again.
//!
//! It does not protect against who can use the keys without the engine: root on its host, and whoever has the token's PIN and another tool.

mod approver;
mod memory;
mod policy_text;
mod statement;
mod subject;
mod verify;

pub use approver::{Approver, ApproverError, MAX_APPROVERS, Quorum};
pub use memory::ApprovalMemory;
pub use policy_text::{Change, PolicyText};
pub use statement::{
    Approval, ApprovalFileError, MAX_APPROVAL_BYTES, MAX_LIFETIME_MS, MAX_REQUEST_BYTES, Nonce,
    Request, Statement,
};
pub use subject::Subject;
pub use verify::{Granted, MAX_OFFERED, NotApproved, Offered, Problem, verify};

/// Fields one after the other, each with its length as a 32-bit big-endian number before it, so that no two lists share an encoding.
fn joined<'a>(fields: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for field in fields {
        // Nothing that comes here is larger than a file of a request.
        let length = u32::try_from(field.len()).unwrap_or(u32::MAX);
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(field);
    }
    bytes
}

#[cfg(test)]
mod tests;
