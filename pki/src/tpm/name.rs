//! Names of objects: the digest of what they are.

use super::TpmError;
use super::reader::{Reader, algorithm, hash};
use fips::digest::{Hash, digest};
use formats::text::hex;
use serde::{Serialize, Serializer};
use std::fmt;

/// nameAlg and digest, as the content of a TPM2B_NAME (part 2, clause 10.5.3; part 1, "Names").
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Name(Vec<u8>);

/// The longest: a TPMT_HA with SHA-512.
pub(super) const MAX_NAME_BYTES: usize = 2 + 64;

impl Name {
    /// From its bytes: the algorithm in two, and a digest of its length.
    ///
    /// # Errors
    /// [`TpmError`] for anything else, SHA-1 included.
    pub fn read(bytes: &[u8]) -> Result<Self, TpmError> {
        const STRUCTURE: &str = "TPM2B_NAME";
        let mut reader = Reader::new(STRUCTURE, bytes);
        let hash = hash(STRUCTURE, reader.u16("nameAlg")?)?;
        match reader.rest().len() == hash.output_len() {
            true => Ok(Self(bytes.to_vec())),
            false => Err(reader.malformed("the digest")),
        }
    }

    /// Of a public area: the digest of its TPMT_PUBLIC.
    pub(super) fn of(hash: Hash, public: &[u8]) -> Self {
        Self::with(hash, digest(hash, public).as_ref())
    }

    /// The qualified name of the object with this name below `parent`, which is a qualified name or the handle of a hierarchy
    /// (part 1, "Qualified Name").
    pub(super) fn below(&self, parent: &[u8]) -> Option<Self> {
        let hash = self.hash()?;
        Some(Self::of(hash, &[parent, &self.0].concat()))
    }

    fn with(hash: Hash, digest: &[u8]) -> Self {
        let algorithm = match hash {
            Hash::Sha384 => algorithm::SHA384,
            Hash::Sha512 => algorithm::SHA512,
            _ => algorithm::SHA256,
        };
        Self([&algorithm.to_be_bytes(), digest].concat())
    }

    fn hash(&self) -> Option<Hash> {
        let (algorithm, _) = self.0.split_first_chunk()?;
        hash("TPM2B_NAME", u16::from_be_bytes(*algorithm)).ok()
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Lower-case hexadecimal, as the TPM's tools write names.
impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Name({self})")
    }
}

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
