//! The paddings of RSA encryption that custody knows: RSAES-OAEP (RFC 8017, section 7.1), and that of old imports.

use std::fmt;
use std::str::FromStr;

use fips::digest::Hash;
use serde::{Deserialize, Serialize};

/// RSAES-OAEP with one hash for the label and for MGF1 (RFC 8017, section 7.1; the label itself is a [`Label`](crate::Label) beside it), or
/// RSAES-PKCS1-v1_5.
///
/// The serialized names are those of the `paddingScheme` of a Graph `userPfxCertificate`; `oaepSha1` is our own extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Padding {
    /// OAEP with SHA-1 and MGF1 with SHA-1.
    OaepSha1,
    /// OAEP with SHA-256 and MGF1 with SHA-256.
    OaepSha256,
    /// OAEP with SHA-384 and MGF1 with SHA-384.
    OaepSha384,
    /// OAEP with SHA-512 and MGF1 with SHA-512.
    OaepSha512,
    /// RSAES-PKCS1-v1_5 (RFC 8017, section 7.2), to decrypt records of old imports: with keys that are named for it
    /// ([`TokenConfig::pkcs1_keys`](crate::pkcs11::TokenConfig::pkcs1_keys)), never in strict mode. Nothing is encrypted so.
    Pkcs1,
}

impl Padding {
    /// Every padding of RSAES-OAEP, the weakest hash first: what can be chosen for something new.
    pub const OAEP: [Self; 4] = [
        Self::OaepSha1,
        Self::OaepSha256,
        Self::OaepSha384,
        Self::OaepSha512,
    ];

    /// The hash of OAEP's label and of MGF1; `None`: it is not OAEP.
    #[must_use]
    pub const fn hash(self) -> Option<Hash> {
        match self {
            Self::OaepSha1 => Some(Hash::Sha1),
            Self::OaepSha256 => Some(Hash::Sha256),
            Self::OaepSha384 => Some(Hash::Sha384),
            Self::OaepSha512 => Some(Hash::Sha512),
            Self::Pkcs1 => None,
        }
    }

    /// Length of the hash in bytes; 0: it is not OAEP.
    #[must_use]
    pub const fn hash_len(self) -> usize {
        match self.hash() {
            Some(hash) => hash.output_len(),
            None => 0,
        }
    }

    /// The longest message in bytes under a modulus of `modulus_bits`: k - 2 hLen - 2 (RFC 8017, section 7.1.1, step 1b), or k - 11
    /// (section 7.2.1, step 1).
    ///
    /// Zero where the modulus is too short even for the empty message.
    #[must_use]
    pub fn max_message_len(self, modulus_bits: u32) -> usize {
        usize::try_from(modulus_bits.div_ceil(8))
            .unwrap_or(0)
            .saturating_sub(match self.hash() {
                Some(hash) => 2 * hash.output_len() + 2,
                None => crate::pkcs1::OVERHEAD,
            })
    }

    /// The name in Graph's form, for example `oaepSha512`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::OaepSha1 => "oaepSha1",
            Self::OaepSha256 => "oaepSha256",
            Self::OaepSha384 => "oaepSha384",
            Self::OaepSha512 => "oaepSha512",
            Self::Pkcs1 => "pkcs1",
        }
    }

    /// The padding of a name in Graph's form, [`Pkcs1`](Self::Pkcs1) among them: of a record that is there already.
    #[must_use]
    pub fn of_record(name: &str) -> Option<Self> {
        match name {
            "pkcs1" => Some(Self::Pkcs1),
            other => Self::OAEP.into_iter().find(|one| one.name() == other),
        }
    }
}

impl fmt::Display for Padding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The text names no padding that custody knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown padding; one of oaep-sha1, oaep-sha256, oaep-sha384, oaep-sha512")]
pub struct UnknownPadding;

impl FromStr for Padding {
    type Err = UnknownPadding;

    /// Takes Graph's form (`oaepSha512`) and the form of the command line (`oaep-sha512`). PKCS#1 v1.5 is none of them: what is read here is
    /// chosen by somebody for something new.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "oaepSha1" | "oaep-sha1" => Ok(Self::OaepSha1),
            "oaepSha256" | "oaep-sha256" => Ok(Self::OaepSha256),
            "oaepSha384" | "oaep-sha384" => Ok(Self::OaepSha384),
            "oaepSha512" | "oaep-sha512" => Ok(Self::OaepSha512),
            _ => Err(UnknownPadding),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;

    #[test]
    fn names_are_those_of_graph_and_of_the_command_line() {
        for padding in Padding::OAEP {
            assert_eq!(Padding::of_record(padding.name()), Some(padding));
            let json = serde_json::to_string(&padding).unwrap();
            assert_eq!(json, format!("\"{padding}\""));
            assert_eq!(serde_json::from_str::<Padding>(&json).unwrap(), padding);
            assert_eq!(padding.to_string().parse::<Padding>().unwrap(), padding);
            let dashed = padding.to_string().replace("oaepSha", "oaep-sha");
            assert_eq!(dashed.parse::<Padding>().unwrap(), padding);
        }
        assert!("pkcs1".parse::<Padding>().is_err(), "not for what is new");
        assert_eq!(Padding::of_record("pkcs1"), Some(Padding::Pkcs1));
        assert_eq!(serde_json::to_string(&Padding::Pkcs1).unwrap(), "\"pkcs1\"");
        assert_eq!(Padding::of_record("none"), None);
        assert!("OAEP-SHA512".parse::<Padding>().is_err());
    }

    #[test]
    fn message_limits_are_those_of_rfc_8017() {
        assert_eq!(Padding::OaepSha512.max_message_len(2048), 126);
        assert_eq!(Padding::OaepSha256.max_message_len(3072), 318);
        assert_eq!(Padding::OaepSha1.max_message_len(4096), 470);
        assert_eq!(Padding::OaepSha512.max_message_len(1024), 0);
        assert_eq!(Padding::OaepSha512.max_message_len(0), 0);
        assert_eq!(Padding::Pkcs1.max_message_len(2048), 245);
    }
}
