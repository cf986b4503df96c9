//! The path from what was issued to a configured root (RFC 5280 section 6.1, as far as a leaf of a known authority needs it).

use crate::clock::rfc3339;
use crate::engine::recrypt::chain::may_issue;
use crate::engine::recrypt::identity::signed;
use crate::engine::recrypt::layout::{self, Layout};

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

/// A time as certificates have it: 14 digits.
fn digits(now_ms: i64) -> Option<[u8; 14]> {
    let digits: Vec<u8> = rfc3339(now_ms)
        .bytes()
        .filter(u8::is_ascii_digit)
        .take(14)
        .collect();
    digits.try_into().ok()
}

/// The certificates above `leaf`, its issuer first and a configured root last.
///
/// # Errors
/// In words: which certificate has no issuer among those that are known, or one that is none.
pub(super) fn path(
    leaf: &[u8],
    others: &[Vec<u8>],
    intermediates: &[Vec<u8>],
    roots: &[Vec<u8>],
    now_ms: i64,
) -> Result<Vec<Vec<u8>>, String> {
    let now = digits(now_ms).ok_or("the time has no calendar form")?;
    let known: Vec<(Link<'_>, bool)> = roots
        .iter()
        .map(|der| (der, true))
        .chain(intermediates.iter().chain(others).map(|der| (der, false)))
        .filter_map(|(der, root)| Some((read(der)?, root)))
        .collect();
    let mut path: Vec<&Link<'_>> = Vec::new();
    let mut subject = read(leaf).ok_or("it is no certificate that can be read")?;
    while path.len() < MAX_PATH {
        let is_new =
            |one: &Link<'_>| one.der != subject.der && path.iter().all(|link| link.der != one.der);
        let issuer = known.iter().find(|(one, _)| {
            is_new(one) && signed(subject.der, &subject.layout, one.der, &one.layout).is_some()
        });
        let Some((issuer, is_root)) = issuer else {
            return Err(if path.is_empty() {
                "none of the configured roots and known intermediates signed it, or with an algorithm that is not accepted (SHA-1, for one)".to_owned()
            } else {
                "its issuers lead to none of the configured roots".to_owned()
            });
        };
        let below = u8::try_from(path.len()).unwrap_or(u8::MAX);
        if may_issue(&issuer.layout, below).is_err() {
            return Err("its issuer is no authority for a path of this length".to_owned());
        }
        if now < issuer.layout.not_before || now > issuer.layout.not_after {
            return Err("the certificate of its issuer is not valid now".to_owned());
        }
        path.push(issuer);
        if *is_root {
            return Ok(path.iter().map(|link| link.der.to_vec()).collect());
        }
        subject = Link {
            der: issuer.der,
            layout: issuer.layout.clone(),
        };
    }
    Err(format!("its path is longer than {MAX_PATH} certificates"))
}
