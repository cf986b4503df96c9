//! Approvals that are handed to the engine.

use crate::encoding::Base64Bytes;
use audit::approval::Subject;
use serde::{Deserialize, Serialize};

/// A file with an approval, as it is: custody reads it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ApprovalFile {
    /// What it is called, for messages.
    pub name: String,
    /// Its content.
    pub content: Base64Bytes,
}

/// Give leave for a dangerous step that a command does itself, because the engine does not do it: the destruction of a key on a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AllowRequest {
    /// What exactly.
    pub subject: Subject,
    /// Who approved it.
    pub approvals: Vec<ApprovalFile>,
}

/// What a request asks for that needs approvals, with those that came with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DangerousStep {
    /// What exactly.
    pub subject: Subject,
    /// Who approved it.
    pub approvals: Vec<ApprovalFile>,
}

/// Leave is given once, for what is done now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Allowed {
    /// Names of those whose approvals were used; none where none are required.
    pub approved_by: Vec<String>,
}
