//! TPMA_OBJECT: what an object may be used for, and whether it may leave.

use serde::{Serialize, Serializer};

/// TPMA_OBJECT (part 2, clause 8.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attributes(u32);

/// The bits by their names; 8 and 9 are of later revisions.
const NAMES: [(u32, &str); 14] = [
    (1, "fixedTPM"),
    (2, "stClear"),
    (4, "fixedParent"),
    (5, "sensitiveDataOrigin"),
    (6, "userWithAuth"),
    (7, "adminWithPolicy"),
    (8, "firmwareLimited"),
    (9, "svnLimited"),
    (10, "noDA"),
    (11, "encryptedDuplication"),
    (16, "restricted"),
    (17, "decrypt"),
    (18, "sign"),
    (19, "x509sign"),
];

impl Attributes {
    /// From the number.
    #[must_use]
    pub const fn new(bits: u32) -> Self {
        Self(bits)
    }

    /// The number.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    const fn has(self, bit: u32) -> bool {
        self.0 >> bit & 1 == 1
    }

    /// Neither the object nor anything above it can be duplicated: its hierarchy cannot change. Does not say that the TPM made it.
    #[must_use]
    pub const fn fixed_tpm(self) -> bool {
        self.has(1)
    }

    /// The object itself cannot be duplicated; something above it may be.
    #[must_use]
    pub const fn fixed_parent(self) -> bool {
        self.has(4)
    }

    /// The TPM made the secret part, when the object was created. Of an object that came from elsewhere, it is the word of elsewhere.
    #[must_use]
    pub const fn sensitive_data_origin(self) -> bool {
        self.has(5)
    }

    /// Its authorization value is enough for its use; otherwise its policy has to be satisfied.
    #[must_use]
    pub const fn user_with_auth(self) -> bool {
        self.has(6)
    }

    /// Wrong authorization values are not counted.
    #[must_use]
    pub const fn no_da(self) -> bool {
        self.has(10)
    }

    /// It handles only what has the TPM's own form: as a signing key it signs nothing that merely looks like an attestation.
    #[must_use]
    pub const fn restricted(self) -> bool {
        self.has(16)
    }

    /// Its secret part may be used to decrypt.
    #[must_use]
    pub const fn decrypt(self) -> bool {
        self.has(17)
    }

    /// Its secret part may be used to sign.
    #[must_use]
    pub const fn sign(self) -> bool {
        self.has(18)
    }

    /// Those that are set, by the specification's names; one without a name as `bit 3`.
    #[must_use]
    pub fn names(self) -> Vec<String> {
        (0..u32::BITS)
            .filter(|bit| self.has(*bit))
            .map(|bit| {
                let named = NAMES.iter().find(|(known, _)| *known == bit);
                named.map_or_else(|| format!("bit {bit}"), |(_, name)| (*name).to_owned())
            })
            .collect()
    }
}

impl Serialize for Attributes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.names())
    }
}
