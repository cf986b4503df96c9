//! The paddings of RSA encryption that custody knows: RSAES-OAEP (RFC 8017, section 7.1), and nothing else.

use std::fmt;
use std::str::FromStr;

use fips::digest::Hash;
use serde::{Deserialize, Serialize};

/// RSAES-OAEP with one hash for the label and for MGF1 (RFC 8017, section 7.1). The label itself is a [`Label`](crate::Label) beside it.
///
/// The serialized names are those of the `paddingScheme` of a Graph `userPfxCertificate`; `oaepSha1` is our own extension.
/// RSAES-PKCS1-v1_5 is left out on purpose: its decryption is a padding oracle on most tokens.
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
}

impl Padding {
    /// Every padding, the weakest hash first.
    pub const ALL: [Self; 4] = [
        Self::OaepSha1,
        Self::OaepSha256,
        Self::OaepSha384,
        Self::OaepSha512,
    ];

    /// The hash of the label and of MGF1.
    #[must_use]
    pub fn hash(self) -> Hash {
        match self {
            Self::OaepSha1 => Hash::Sha1,
            Self::OaepSha256 => Hash::Sha256,
            Self::OaepSha384 => Hash::Sha384,
            Self::OaepSha512 => Hash::Sha512,
        }
    }

    /// Length of the hash in bytes.
    #[must_use]
    pub const fn hash_len(self) -> usize {
        match self {
            Self::OaepSha1 => 20,
            Self::OaepSha256 => 32,
            Self::OaepSha384 => 48,
            Self::OaepSha512 => 64,
        }
    }

    /// The longest message in bytes under a modulus of `modulus_bits`: k - 2 hLen - 2 (RFC 8017, section 7.1.1, step 1b).
    ///
    /// Zero where the modulus is too short even for the empty message.
    #[must_use]
    pub fn max_message_len(self, modulus_bits: u32) -> usize {
        usize::try_from(modulus_bits.div_ceil(8))
            .unwrap_or(0)
            .saturating_sub(2 * self.hash_len() + 2)
    }

    /// The name in Graph's form, for example `oaepSha512`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::OaepSha1 => "oaepSha1",
            Self::OaepSha256 => "oaepSha256",
            Self::OaepSha384 => "oaepSha384",
            Self::OaepSha512 => "oaepSha512",
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

    /// Takes Graph's form (`oaepSha512`) and the form of the command line (`oaep-sha512`).
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
        for padding in Padding::ALL {
            let json = serde_json::to_string(&padding).unwrap();
            assert_eq!(json, format!("\"{padding}\""));
            assert_eq!(serde_json::from_str::<Padding>(&json).unwrap(), padding);
            assert_eq!(padding.to_string().parse::<Padding>().unwrap(), padding);
            let dashed = padding.to_string().replace("oaepSha", "oaep-sha");
            assert_eq!(dashed.parse::<Padding>().unwrap(), padding);
        }
        assert!("pkcs1".parse::<Padding>().is_err());
        assert!("OAEP-SHA512".parse::<Padding>().is_err());
    }

    #[test]
    fn message_limits_are_those_of_rfc_8017() {
        assert_eq!(Padding::OaepSha512.max_message_len(2048), 126);
        assert_eq!(Padding::OaepSha256.max_message_len(3072), 318);
        assert_eq!(Padding::OaepSha1.max_message_len(4096), 470);
        assert_eq!(Padding::OaepSha512.max_message_len(1024), 0);
        assert_eq!(Padding::OaepSha512.max_message_len(0), 0);
    }
}
