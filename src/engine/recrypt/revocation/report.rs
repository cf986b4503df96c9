//! What is told of the revocation lists: which there are, of when, and whether they still say anything.

use super::{Revocation, load};
use crate::engine::recrypt::anchors::LoadError;
use crate::engine::recrypt::chain::digits;
use der::Decode;
use formats::words;
use pki::revocation_list::RevocationList;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use x509_cert::name::Name;

/// A revocation list in a report. Nothing in it is secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListStatus {
    /// The file it is in.
    pub file: PathBuf,
    /// Name of the authority that issued it (RFC 4514).
    pub issuer: String,
    /// When it was made, RFC 3339 in UTC.
    pub this_update: String,
    /// Until when the next one is there, RFC 3339 in UTC.
    pub next_update: String,
    /// Certificates that it names.
    pub revoked: usize,
    /// Whether it says anything now.
    pub state: ListState,
    /// Why the file that is there now is not the one that is used; null while it is.
    pub problem: Option<String>,
}

/// Whether a list is of this time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ListState {
    /// It is.
    Current,
    /// It is, but less than a tenth of its time is left.
    EndsSoon,
    /// The next one should be there: it still revokes, but says nothing good of a certificate any more.
    Stale,
    /// It is of a time to come: the clock is wrong, here or at its authority.
    NotYet,
}

impl ListState {
    /// In words.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::EndsSoon => "ends soon",
            Self::Stale => "OUT OF DATE",
            Self::NotYet => "NOT YET VALID",
        }
    }

    fn of(list: &RevocationList, now_ms: i64) -> Self {
        let now = digits(now_ms);
        if now < list.this_update {
            return Self::NotYet;
        }
        if now > list.next_update {
            return Self::Stale;
        }
        let left = |from: i64| ms(&list.next_update).map(|end| end.saturating_sub(from));
        match (left(now_ms), ms(&list.this_update).and_then(left)) {
            (Some(left), Some(whole)) if left < whole / 10 => Self::EndsSoon,
            _ => Self::Current,
        }
    }
}

/// `YYYYMMDDHHMMSS` as RFC 3339.
fn rfc3339(at: &[u8; 14]) -> String {
    let text = String::from_utf8_lossy(at);
    let part = |from: usize, to: usize| text.get(from..to).unwrap_or_default();
    format!(
        "{}-{}-{}T{}:{}:{}Z",
        part(0, 4),
        part(4, 6),
        part(6, 8),
        part(8, 10),
        part(10, 12),
        part(12, 14)
    )
}

fn ms(at: &[u8; 14]) -> Option<i64> {
    crate::clock::parse_rfc3339(&rfc3339(at))
}

fn status(path: &Path, list: &RevocationList, problem: Option<&String>, now_ms: i64) -> ListStatus {
    ListStatus {
        file: path.to_owned(),
        issuer: Name::from_der(&list.issuer).map_or_else(
            |_| "a name that does not parse".to_owned(),
            |name| words::name(&name),
        ),
        this_update: rfc3339(&list.this_update),
        next_update: rfc3339(&list.next_update),
        revoked: list.len(),
        state: ListState::of(list, now_ms),
        problem: problem.cloned(),
    }
}

impl Revocation {
    /// The lists in use at this time, in the order of the configuration.
    #[must_use]
    pub fn report(&self, now_ms: i64) -> Vec<ListStatus> {
        let loaded = self.loaded();
        let files = self.files.iter().zip(&loaded);
        files
            .flat_map(|(path, loaded)| {
                let lists = loaded.lists.iter();
                lists.map(|list| status(path, list, loaded.problem.as_ref(), now_ms))
            })
            .collect()
    }
}

/// The lists of one file, read now.
///
/// # Errors
/// [`LoadError`] as [`Revocation::load`].
pub fn of_file(path: &Path, now_ms: i64) -> Result<Vec<ListStatus>, LoadError> {
    let loaded = load(path)?;
    let lists = loaded.lists.iter();
    Ok(lists.map(|list| status(path, list, None, now_ms)).collect())
}
