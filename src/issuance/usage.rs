//! Extended key usages by name.

/// Names that may stand in a policy, and their object identifiers: RFC 5280 section 4.2.1.12, Microsoft's, and PDF's.
const USAGES: [(&str, &str); 11] = [
    ("any", "2.5.29.37.0"),
    ("serverAuth", "1.3.6.1.5.5.7.3.1"),
    ("clientAuth", "1.3.6.1.5.5.7.3.2"),
    ("codeSigning", "1.3.6.1.5.5.7.3.3"),
    ("emailProtection", "1.3.6.1.5.5.7.3.4"),
    ("timeStamping", "1.3.6.1.5.5.7.3.8"),
    ("ocspSigning", "1.3.6.1.5.5.7.3.9"),
    ("documentSigning", "1.3.6.1.5.5.7.3.36"),
    ("smartcardLogon", "1.3.6.1.4.1.311.20.2.2"),
    ("certificateRequestAgent", "1.3.6.1.4.1.311.20.2.1"),
    ("encryptingFileSystem", "1.3.6.1.4.1.311.10.3.4"),
];

/// The object identifier of a usage that is named, or given as one; `None` for anything else.
#[must_use]
pub fn oid_of_usage(usage: &str) -> Option<String> {
    if let Some((_, oid)) = USAGES.iter().find(|(name, _)| *name == usage) {
        return Some((*oid).to_owned());
    }
    let oid = const_oid::ObjectIdentifier::new(usage).ok()?;
    (oid.to_string() == usage).then(|| usage.to_owned())
}

/// What a usage is called, where it has a name here.
#[must_use]
pub fn usage_in_words(oid: &str) -> &str {
    USAGES
        .iter()
        .find(|(_, known)| *known == oid)
        .map_or(oid, |(name, _)| name)
}
