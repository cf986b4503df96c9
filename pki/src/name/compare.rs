//! Whether two names are the same (RFC 5280 section 7.1).
//!
//! Texts are the same in upper or lower case, with any number of spaces between words and around them, and in any type of string. What
//! more RFC 4518 has (compatibility forms, characters that are mapped to nothing) is not done: such names are different here, so that a path
//! over them is not found.

use super::value_text;
use const_oid::ObjectIdentifier;
use der::{Tag, Tagged};
use x509_cert::attr::AttributeTypeAndValue;
use x509_cert::name::{Name, RelativeDistinguishedName};

/// A value as it is compared.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Value {
    Text(String),
    /// Of no type of string: octet by octet.
    Other(Tag, Vec<u8>),
}

/// A name as it is compared: two names are the same where these are equal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Comparable(Vec<Vec<(ObjectIdentifier, Value)>>);

impl Comparable {
    pub(crate) fn of(name: &Name) -> Self {
        Self(name.iter_rdn().map(rdn).collect())
    }

    /// Whether the name begins with the parts of `base`: is in its subtree (RFC 5280 section 4.2.1.10).
    pub(crate) fn begins_with(&self, base: &Self) -> bool {
        self.0.starts_with(&base.0)
    }
}

/// In any order: it is a set.
fn rdn(rdn: &RelativeDistinguishedName) -> Vec<(ObjectIdentifier, Value)> {
    let mut attributes: Vec<_> = rdn.iter().map(attribute).collect();
    attributes.sort();
    attributes
}

fn attribute(attribute: &AttributeTypeAndValue) -> (ObjectIdentifier, Value) {
    let value = &attribute.value;
    let value = match value_text(value) {
        Some(text) => {
            let words: Vec<&str> = text.split_whitespace().collect();
            Value::Text(words.join(" ").to_lowercase())
        }
        None => Value::Other(value.tag(), value.value().to_vec()),
    };
    (attribute.oid, value)
}
