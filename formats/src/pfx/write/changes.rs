//! What of a file does not come out as it was when everything of it is written again.

use crate::pfx::{OpenedCertificate, OpenedPfx};
use crate::words;

/// What of `old` is another in `new`, which was written from it ([`super::Entries::of`]) and opened again: names, local key ids, attributes
/// without a meaning, and what was written without a look inside. A sentence for each kind, for people; none when all is as it was.
#[must_use]
pub fn changes(old: &OpenedPfx, new: &OpenedPfx) -> Vec<String> {
    let mut found = Vec::new();
    let mut tell = |count: usize, one: &str, several: &str, what: &str| match count {
        0 => {}
        1 => found.push(format!("1 {one} {what}")),
        _ => found.push(format!("{count} {several} {what}")),
    };
    let (names, ids) = changed(old, new);
    tell(
        names,
        "name was",
        "names were",
        "not kept as in the old file: what is above 1024 characters, behind a NUL, or half a character has no place in the new one",
    );
    tell(
        ids,
        "local key id was",
        "local key ids were",
        "replaced or left out: another entry has the same, and only one that is a key's alone, and its certificate's, joins them",
    );
    let bags = || old.survey().bags();
    tell(
        bags().filter(|bag| bag.certificate_is_too_large()).count(),
        "certificate was",
        "certificates were",
        "written as in the old file without a look inside: above 64 KiB",
    );
    let mut broken: Vec<&str> = bags()
        .flat_map(|bag| bag.broken_attributes.iter().map(String::as_str))
        .collect();
    broken.sort_unstable();
    broken.dedup();
    if !broken.is_empty() {
        found.push(format!(
            "left out, because the value is too long or of another type: {}",
            words::printable(&broken.join(", "))
        ));
    }
    found
}

/// How many names, and how many local key ids, are others now. What had none may have got one.
fn changed(old: &OpenedPfx, new: &OpenedPfx) -> (usize, usize) {
    let (mut names, mut ids) = (0_usize, 0_usize);
    let mut count = |name: bool, id: bool| {
        names = names.saturating_add(usize::from(name));
        ids = ids.saturating_add(usize::from(id));
    };
    for (key, again) in old.keys().iter().zip(new.keys()) {
        count(
            !key.name_is_whole() || lost(bytes(key.stored_name()), bytes(again.stored_name())),
            lost(key.local_key_id(), again.local_key_id()),
        );
    }
    for certificate in old.certificates() {
        let again = || {
            let same = |other: &&OpenedCertificate| other.der() == certificate.der();
            new.certificates().iter().filter(same)
        };
        count(
            !certificate.name_is_whole()
                || again().all(|again| {
                    lost(bytes(certificate.stored_name()), bytes(again.stored_name()))
                }),
            again().all(|again| lost(certificate.local_key_id(), again.local_key_id())),
        );
    }
    (names, ids)
}

fn bytes(name: Option<&str>) -> Option<&[u8]> {
    name.map(str::as_bytes)
}

/// Whether what was there is not there any more. What is empty was nothing.
fn lost(old: Option<&[u8]>, new: Option<&[u8]>) -> bool {
    old.is_some_and(|old| !old.is_empty() && Some(old) != new)
}
