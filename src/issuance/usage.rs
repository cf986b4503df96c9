//! Extended key usages by name.

/// The object identifier of a usage that is named, or given as one; `None` for anything else.
#[must_use]
pub fn oid_of_usage(usage: &str) -> Option<String> {
    pki::extension::purpose(usage)
        .ok()
        .map(|oid| oid.to_string())
}

/// What a usage is called, where it has a name.
#[must_use]
pub fn usage_in_words(oid: &str) -> String {
    const_oid::ObjectIdentifier::new(oid)
        .map_or_else(|_| oid.to_owned(), |oid| pki::extension::purpose_name(&oid))
}
