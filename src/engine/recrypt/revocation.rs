//! Revocation of device certificates, by the lists that the operator keeps in files (RFC 5280 section 6.3).
//!
//! ```text
//! files --(when they change)--> lists --> issuer's name, issuer's signature, scope --> is the serial number in one?
//! ```
//!
//! A list counts when the very key that vouches for the certificate, or a configured anchor of that name, has signed it. Whoever can
//! write the files can therefore hide nothing but the newest list; and not longer than until the one they leave there is stale.

mod report;

pub use report::{ListState, ListStatus, of_file};

use super::anchors::{Anchor, LoadError};
use super::chain::ChainError;
use super::pem;
use crate::encoding::hex;
use pki::revocation_list::RevocationList;
use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Largest file with lists, in bytes.
const MAX_FILE_BYTES: u64 = 32 * 1024 * 1024;
/// How often the files are looked at.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// What is done where no current list says anything about a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WithoutList {
    /// It is refused.
    Refuse,
    /// It is accepted, and logged.
    Accept,
}

/// The configured lists.
#[derive(Debug)]
pub struct Revocation {
    files: Vec<PathBuf>,
    without: WithoutList,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    looked: Instant,
    files: Vec<Loaded>,
}

/// What a file held when it was read.
#[derive(Debug, Clone)]
struct Loaded {
    stamp: Option<Stamp>,
    lists: Arc<Vec<RevocationList>>,
    /// Why a file that came later could not be read.
    problem: Option<String>,
}

/// How a change of a file is noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    bytes: u64,
    changed: (i64, i64),
}

impl Stamp {
    fn of(found: &Metadata) -> Self {
        use std::os::unix::fs::MetadataExt;
        Self {
            device: found.dev(),
            inode: found.ino(),
            bytes: found.len(),
            changed: (found.ctime(), found.ctime_nsec()),
        }
    }

    fn at(path: &Path) -> Option<Self> {
        std::fs::metadata(path).ok().map(|found| Self::of(&found))
    }
}

/// A certificate of a path that has been verified.
pub(super) struct Step<'a> {
    /// Its serial number (content of the INTEGER).
    pub(super) serial: &'a [u8],
    /// Its issuer's Name (DER).
    pub(super) issuer: &'a [u8],
    /// The key that signed it (DER SubjectPublicKeyInfo).
    pub(super) issuer_spki: &'a [u8],
    /// The first byte of its issuer's key usage.
    pub(super) issuer_usage: Option<u8>,
    /// Whether it is an authority's.
    pub(super) authority: bool,
}

impl Revocation {
    /// Reads the lists of these files: each one list in DER, or any number in PEM (`X509 CRL`).
    ///
    /// # Errors
    /// [`LoadError`] when a file cannot be read, or holds a list that is malformed or limited in a way that is not honoured here.
    pub fn load(files: Vec<PathBuf>, without: WithoutList) -> Result<Self, LoadError> {
        let loaded = files
            .iter()
            .map(|path| load(path))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            files,
            without,
            state: Mutex::new(State {
                looked: Instant::now(),
                files: loaded,
            }),
        })
    }

    /// Looks at the files again now, whenever they were looked at before.
    pub fn reload(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        self.refresh(&mut state);
    }

    /// What the files hold; those that have changed are read again. A file that cannot be read any more keeps its old lists, which go stale.
    fn lists(&self) -> Vec<Arc<Vec<RevocationList>>> {
        let loaded = self.loaded().into_iter();
        loaded.map(|loaded| loaded.lists).collect()
    }

    /// As [`Self::lists`], with what is known of their files.
    fn loaded(&self) -> Vec<Loaded> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.looked.elapsed() >= LOOK_AGAIN {
            self.refresh(&mut state);
        }
        state.files.clone()
    }

    fn refresh(&self, state: &mut State) {
        state.looked = Instant::now();
        for (path, loaded) in self.files.iter().zip(&mut state.files) {
            let stamp = Stamp::at(path);
            if stamp == loaded.stamp {
                continue;
            }
            match load(path) {
                Ok(fresh) => *loaded = fresh,
                Err(error) => {
                    tracing::warn!(
                        code = "crl_unusable",
                        "the revocation lists read before stay in use: {error}"
                    );
                    // Told once for each change.
                    loaded.stamp = stamp;
                    loaded.problem = Some(error.to_string());
                }
            }
        }
    }

    /// Whether a certificate is revoked, at this time (`YYYYMMDDHHMMSS`). A list that is stale still revokes, but says nothing good.
    pub(super) fn check(
        &self,
        step: &Step<'_>,
        anchors: &[Anchor],
        now: &[u8; 14],
    ) -> Result<(), ChainError> {
        let authority = step.authority;
        let (mut current, mut stale) = (false, false);
        for lists in self.lists() {
            let fitting = lists
                .iter()
                .filter(|list| list.issuer == step.issuer && list.covers(authority));
            for list in fitting {
                if !is_signed(list, step, anchors) {
                    continue;
                }
                if list.names(step.serial) {
                    return Err(ChainError::Revoked { authority });
                }
                if list.this_update <= *now && *now <= list.next_update {
                    current = true;
                } else {
                    stale = true;
                }
            }
        }
        if current {
            return Ok(());
        }
        let refusal = if stale {
            ChainError::RevocationStale { authority }
        } else {
            ChainError::RevocationUnknown { authority }
        };
        match self.without {
            WithoutList::Refuse => Err(refusal),
            WithoutList::Accept => {
                tracing::warn!(code = refusal.code(), serial = %hex(step.serial), "accepted although {refusal}");
                Ok(())
            }
        }
    }
}

/// Whether the list is signed by the key that issued the certificate, or by a configured authority of the same name; and by one that may.
fn is_signed(list: &RevocationList, step: &Step<'_>, anchors: &[Anchor]) -> bool {
    /// cRLSign among the bits of keyUsage (RFC 5280 section 4.2.1.3).
    const CRL_SIGN: u8 = 0x02;
    let may_sign = |usage: Option<u8>| usage.is_none_or(|bits| bits & CRL_SIGN != 0);
    let same_name = anchors
        .iter()
        .filter(|anchor| anchor.subject() == step.issuer)
        .map(|anchor| (anchor.spki(), anchor.key_usage()));
    std::iter::once((step.issuer_spki, step.issuer_usage))
        .chain(same_name)
        .any(|(spki, usage)| may_sign(usage) && list.is_signed_by(spki))
}

fn load(path: &Path) -> Result<Loaded, LoadError> {
    let (bytes, found) = pem::read_file_of(path, MAX_FILE_BYTES)?;
    let unusable = |problem: String| LoadError::Unusable {
        path: path.to_path_buf(),
        problem,
    };
    let encoded = if bytes.first() == Some(&formats::ber::tag::SEQUENCE) {
        vec![bytes]
    } else {
        pem::blocks(&bytes, &["X509 CRL"])
            .ok_or_else(|| unusable("is not whole PEM".to_owned()))?
            .into_iter()
            .map(|(_, der)| der)
            .collect()
    };
    if encoded.is_empty() {
        return Err(unusable(
            "holds no revocation list, neither in DER nor in PEM (-----BEGIN X509 CRL-----)"
                .to_owned(),
        ));
    }
    let lists = encoded
        .iter()
        .map(|der| RevocationList::read(der))
        .collect::<Result<Vec<_>, _>>()
        .map_err(unusable)?;
    for list in &lists {
        tracing::info!(
            file = %path.display(),
            revoked = list.len(),
            next_update = %String::from_utf8_lossy(&list.next_update),
            "revocation list read"
        );
    }
    Ok(Loaded {
        stamp: Some(Stamp::of(&found)),
        lists: Arc::new(lists),
        problem: None,
    })
}
