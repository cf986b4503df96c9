//! The path from what was issued to a configured root (RFC 5280 section 6.1, as far as a leaf of a known authority needs it).

use crate::engine::recrypt::chain::may_issue;
use crate::engine::recrypt::identity::signed;
use crate::engine::recrypt::layout::{self, Layout};
use pki::time::digits;

/// Certificates between the issued one and a root, the root among them.
const MAX_PATH: usize = 6;

/// A certificate that is read.
struct Link<'a> {
    der: &'a [u8],
    layout: Layout,
}

fn read(der: &[u8]) -> Option<Link<'_>> {
    Some(Link {
        der,
        layout: layout::read(der)?,
    })
}

/// Signatures that are verified for one path at most: certificates that came along may all have the same name.
const MAX_SIGNATURES: usize = 64;

/// The certificates above `leaf`, its issuer first and a configured root last: the first path that is valid, of all that there are.
///
/// # Errors
/// In words: which certificate has no issuer among those that are known, or what is wrong with the path that was tried first.
pub(super) fn path(
    leaf: &[u8],
    others: &[Vec<u8>],
    intermediates: &[Vec<u8>],
    roots: &[Vec<u8>],
    now_ms: i64,
) -> Result<Vec<Vec<u8>>, String> {
    let known: Vec<(Link<'_>, bool)> = roots
        .iter()
        .map(|der| (der, true))
        .chain(intermediates.iter().chain(others).map(|der| (der, false)))
        .filter_map(|(der, root)| Some((read(der)?, root)))
        .collect();
    let leaf = read(leaf).ok_or("it is no certificate that can be read")?;
    let mut search = Search {
        known: &known,
        now: digits(now_ms),
        left: MAX_SIGNATURES,
        why: None,
    };
    let mut path = Vec::new();
    if search.above(&leaf, &mut path) {
        return Ok(path.iter().map(|link| link.der.to_vec()).collect());
    }
    if search.left == 0 {
        return Err(format!(
            "none of the first {MAX_SIGNATURES} signatures of its issuers leads to a configured root"
        ));
    }
    Err(search.why.unwrap_or(
        "none of the configured roots and known intermediates signed it, or with an algorithm that is not accepted (SHA-1, for one)",
    ).to_owned())
}

/// A search for a path: depth first, since the first one that is valid is as good as any.
struct Search<'a> {
    /// Each with whether it is a configured root; those come first.
    known: &'a [(Link<'a>, bool)],
    now: [u8; 14],
    /// Signatures that may still be verified.
    left: usize,
    /// What was wrong first.
    why: Option<&'static str>,
}

impl<'a> Search<'a> {
    /// Puts what goes above `subject` on the path, up to a root; puts nothing on it where nothing does. No deeper than [`MAX_PATH`].
    fn above(&mut self, subject: &Link<'_>, path: &mut Vec<&'a Link<'a>>) -> bool {
        for (issuer, is_root) in self.known {
            let is_new =
                issuer.der != subject.der && path.iter().all(|link| link.der != issuer.der);
            if !is_new || !self.is_signed(subject, issuer) {
                continue;
            }
            let below = u8::try_from(path.len()).unwrap_or(u8::MAX);
            if may_issue(&issuer.layout, below).is_err() {
                self.because("its issuer is no authority for a path of this length");
            } else if self.now < issuer.layout.not_before || self.now > issuer.layout.not_after {
                self.because("the certificate of its issuer is not valid now");
            } else if path.len() >= MAX_PATH {
                self.because("its path is too long");
            } else {
                path.push(issuer);
                if *is_root || self.above(issuer, path) {
                    return true;
                }
                path.pop();
                self.because("its issuers lead to none of the configured roots");
            }
        }
        false
    }

    fn is_signed(&mut self, subject: &Link<'_>, issuer: &Link<'_>) -> bool {
        let names = |link: &Link<'_>| link.layout.spans;
        if names(subject).issuer.of(subject.der) != names(issuer).subject.of(issuer.der) {
            return false;
        }
        let Some(left) = self.left.checked_sub(1) else {
            return false;
        };
        self.left = left;
        signed(subject.der, &subject.layout, issuer.der, &issuer.layout).is_some()
    }

    fn because(&mut self, why: &'static str) {
        self.why.get_or_insert(why);
    }
}
