//! keys.json: the keys on the token with the attributes that it reports, and the key that signs the bundle.

use super::Evidence;
use crate::engine::api::KeyStatus;
use crate::evidence::bundle::ReportKey;
use crate::evidence::status::{Source, TokenEvidence};
use serde::Serialize;

/// The document.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct KeysDocument<'a> {
    /// Who read the attributes from the token.
    read_by: Source,
    says: &'static str,
    tokens: &'a [TokenEvidence],
    /// Why there is none.
    token_problem: Option<&'a str>,
    /// The custody keys, with the attributes by the names of PKCS#11 (`sensitive` is CKA_SENSITIVE).
    keys: &'a [KeyStatus],
    /// The key that signs the bundle; null: it is not signed.
    report_key: Option<&'a ReportKey>,
}

impl<'a> KeysDocument<'a> {
    pub(super) fn of(evidence: &'a Evidence) -> Self {
        let status = &evidence.status;
        Self {
            read_by: status.source,
            says: match status.source {
                Source::ThisCommandOnly => {
                    "no running service was asked: nothing is known of a token and its keys"
                }
                Source::RunningConnector | Source::RunningEngine => {
                    "as the token reported them to the running engine for this bundle; that the token tells the truth is the token's claim"
                }
            },
            tokens: &status.tokens,
            token_problem: status.token_problem.as_deref(),
            keys: &status.keys,
            report_key: evidence.report_key.as_ref(),
        }
    }
}
