//! Object identifiers and names in words, for refusals that a person can act on.

use const_oid::ObjectIdentifier;
use const_oid::db::DB;
use x509_cert::name::Name;

/// Names that the database lacks or spells in a way that few people know.
const NAMES: [(&str, &str); 22] = [
    ("1.2.840.113549.1.1.4", "RSA with MD5"),
    ("1.2.840.113549.1.1.5", "RSA with SHA-1"),
    ("1.2.840.10045.4.1", "ECDSA with SHA-1"),
    ("1.2.840.10040.4.1", "DSA"),
    ("1.3.101.112", "Ed25519"),
    ("1.3.101.113", "Ed448"),
    ("1.2.840.113549.1.1.10", "RSASSA-PSS"),
    ("1.2.840.113549.1.5.3", "PBES1 with MD5 and DES"),
    ("1.2.840.113549.1.5.10", "PBES1 with SHA-1 and DES"),
    ("1.2.840.113549.1.5.13", "PBES2"),
    ("1.2.840.113549.1.5.14", "PBMAC1"),
    (
        "1.2.840.113549.1.12.1.1",
        "PKCS#12 encryption with 128-bit RC4",
    ),
    (
        "1.2.840.113549.1.12.1.2",
        "PKCS#12 encryption with 40-bit RC4",
    ),
    ("1.2.840.113549.1.12.1.3", "PKCS#12 encryption with 3DES"),
    (
        "1.2.840.113549.1.12.1.4",
        "PKCS#12 encryption with two-key 3DES",
    ),
    (
        "1.2.840.113549.1.12.1.5",
        "PKCS#12 encryption with 128-bit RC2",
    ),
    (
        "1.2.840.113549.1.12.1.6",
        "PKCS#12 encryption with 40-bit RC2",
    ),
    ("1.2.840.113549.3.2", "RC2-CBC"),
    ("1.2.840.113549.3.7", "3DES-CBC"),
    ("1.3.6.1.4.1.11591.4.11", "scrypt"),
    ("1.2.840.113533.7.66.10", "CAST5-CBC"),
    ("1.2.840.113549.2.5", "MD5"),
];

#[cfg(test)]
std::thread_local! {
    static LOOKUPS: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// How often this thread has looked for a name so far, each time through a thousand of them.
#[cfg(test)]
pub(crate) fn lookups() -> usize {
    LOOKUPS.with(std::cell::Cell::get)
}

/// An object identifier in words where there are some, with its numbers in any case: `3DES-CBC (1.2.840.113549.3.7)`.
#[must_use]
pub fn oid(oid: &ObjectIdentifier) -> String {
    #[cfg(test)]
    LOOKUPS.with(|lookups| lookups.set(lookups.get().saturating_add(1)));
    let numbers = oid.to_string();
    let name = NAMES
        .iter()
        .find_map(|(known, name)| (*known == numbers).then_some(*name))
        .or_else(|| DB.by_oid(oid));
    match name {
        Some(name) => format!("{name} ({numbers})"),
        None => format!("unknown algorithm {numbers}"),
    }
}

/// A distinguished name for a message: RFC 4514, no control characters, at most 200 characters.
#[must_use]
pub fn name(name: &Name) -> String {
    printable(&name.to_string())
}

/// Text of a stranger's for a message.
#[must_use]
pub fn printable(text: &str) -> String {
    const LONGEST: usize = 200;
    let mut clean: String = text
        .chars()
        .take(LONGEST)
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect();
    if text.chars().nth(LONGEST).is_some() {
        clean.push('\u{2026}');
    }
    clean
}
