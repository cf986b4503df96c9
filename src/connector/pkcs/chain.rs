//! The path from what was issued to a configured root (RFC 5280 section 6.1): all of what `cert verify` holds a path against.

use fips::digest::{Hash, digest};
use pki::algorithm::VerifyError;
use pki::path::{Certificate, MAX_SIGNATURES, PathError, Problem, Verification};
use pki::time::digits;
use std::collections::BTreeSet;

/// Certificates between the issued one and a root, the root among them.
const MAX_PATH: usize = 6;

/// The certificates above `leaf`, its issuer first and a configured root last: the first path that is valid, of all that there are.
///
/// # Errors
/// In words: which certificate has no issuer among those that are known, or what is wrong with the path that came furthest.
pub(super) fn path(
    leaf: &[u8],
    others: &[Vec<u8>],
    intermediates: &[Vec<u8>],
    roots: &[Vec<u8>],
    now_ms: i64,
) -> Result<Vec<Vec<u8>>, String> {
    let leaf = Certificate::read(leaf).map_err(|problem| problem.to_string())?;
    let roots = distinct(roots.iter());
    // What the operator configured is tried before what came along.
    let between = distinct(intermediates.iter().chain(others));
    if roots.iter().any(|root| root.der() == leaf.der()) {
        return Err("it is one of the configured roots".to_owned());
    }
    let verification = Verification {
        roots: &roots,
        intermediates: &between,
        // Of clocks that differ, the later one decides whether it is valid already; by how much they may, is looked at elsewhere.
        at: digits(now_ms).max(*leaf.not_before()),
        ..Verification::default()
    };
    let verified = verification
        .verify(&leaf)
        .map_err(|error| in_words(&leaf, &error))?;
    let above = verified.certificates.iter().skip(1);
    let path: Vec<Vec<u8>> = above.map(|one| one.der().to_vec()).collect();
    if path.len() > MAX_PATH {
        return Err(format!(
            "its path is too long: {} certificates above it, {MAX_PATH} at most",
            path.len()
        ));
    }
    Ok(path)
}

/// Those that can be read, each once.
fn distinct<'a>(certificates: impl Iterator<Item = &'a Vec<u8>>) -> Vec<Certificate> {
    let mut seen = BTreeSet::new();
    certificates
        .filter(|der| seen.insert(digest(Hash::Sha256, der).as_ref().to_vec()))
        .filter_map(|der| Certificate::read(der).ok())
        .collect()
}

fn in_words(leaf: &Certificate, error: &PathError) -> String {
    let is_leaf = error.subject == leaf.subject_text();
    match &error.problem {
        Problem::NoIssuer | Problem::Signature(VerifyError::Signature(_)) if is_leaf => {
            "none of the configured roots and known intermediates signed it".to_owned()
        }
        Problem::Signature(VerifyError::Algorithm) if is_leaf => {
            format!("{} (SHA-1, for one, is not)", VerifyError::Algorithm)
        }
        Problem::TooLong => format!(
            "none of the first {MAX_SIGNATURES} signatures of its issuers leads to a configured root"
        ),
        problem if is_leaf => problem.to_string(),
        Problem::NoIssuer | Problem::Signature(_) => {
            format!("its issuers lead to none of the configured roots ({error})")
        }
        _ => format!("a certificate above it is refused: {error}"),
    }
}
