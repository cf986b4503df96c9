//! Enough of a digest to tell distinct ones by.

use crate::text::Hash;
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// Bytes of the digest that are kept: with 128 bits nobody finds two that are the same.
const BYTES: usize = 16;

/// The first 128 bits of a digest; as text 32 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Short([u8; BYTES]);

impl Short {
    pub(super) fn of(hash: &Hash) -> Self {
        let mut bytes = [0; BYTES];
        for (to, from) in bytes.iter_mut().zip(hash.as_bytes()) {
            *to = *from;
        }
        Self(bytes)
    }

    /// What snapshots of version 1 have kept: 64 bits. It is equal to nothing that is seen now, so the same ciphertext or device counts
    /// once more: too much, never too little, and for a day.
    fn of_half(half: u64) -> Self {
        let mut bytes = [0; BYTES];
        for (to, from) in bytes.iter_mut().zip(half.to_be_bytes()) {
            *to = from;
        }
        Self(bytes)
    }
}

impl Serialize for Short {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:032x}", u128::from_be_bytes(self.0)))
    }
}

impl<'de> Deserialize<'de> for Short {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl Visitor<'_> for Either {
            type Value = Short;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("32 hexadecimal digits, or a number of version 1")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Short, E> {
                let is_hex = text.len() == 2 * BYTES
                    && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
                is_hex
                    .then(|| u128::from_str_radix(text, 16).ok())
                    .flatten()
                    .map(|number| Short(number.to_be_bytes()))
                    .ok_or_else(|| E::custom("not 32 hexadecimal digits"))
            }

            fn visit_u64<E: de::Error>(self, half: u64) -> Result<Short, E> {
                Ok(Short::of_half(half))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;

    fn digest(first: &[u8]) -> Hash {
        let mut bytes = [7; 32];
        for (to, from) in bytes.iter_mut().zip(first) {
            *to = *from;
        }
        Hash::from_bytes(bytes)
    }

    #[test]
    fn sixteen_bytes_tell_digests_apart_and_come_back() {
        let one = Short::of(&digest(&[0; 15]));
        let mut other = [0; 16];
        other[15] = 1;
        assert_ne!(one, Short::of(&digest(&other)), "the sixteenth byte counts");
        let text = serde_json::to_string(&one).unwrap();
        assert_eq!(text, format!("\"{}07\"", "0".repeat(30)));
        assert_eq!(serde_json::from_str::<Short>(&text).unwrap(), one);
    }

    #[test]
    fn a_number_of_an_older_snapshot_is_read_and_is_nothing_that_is_seen_now() {
        let digest = digest(&[1, 2, 3, 4, 5, 6, 7, 8]);
        let old: Short = serde_json::from_str("72623859790382856").unwrap();
        assert_ne!(old, Short::of(&digest));
        assert_eq!(
            serde_json::to_string(&old).unwrap(),
            "\"01020304050607080000000000000000\""
        );
        for bad in [
            "\"\"",
            "\"0102\"",
            "-1",
            "1.5",
            "null",
            "\"zz020304050607080000000000000000\"",
        ] {
            assert!(serde_json::from_str::<Short>(bad).is_err(), "{bad}");
        }
    }
}
