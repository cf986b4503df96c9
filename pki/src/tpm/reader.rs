//! Reads the canonical encoding of the specification's structures (part 2, clause 4): big-endian numbers, and buffers behind their length.

use super::TpmError;
use fips::digest::Hash;

/// Goes from one field to the next, never beyond the end.
pub(super) struct Reader<'a> {
    structure: &'static str,
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) const fn new(structure: &'static str, bytes: &'a [u8]) -> Self {
        Self {
            structure,
            rest: bytes,
        }
    }

    pub(super) const fn malformed(&self, field: &'static str) -> TpmError {
        TpmError::at(self.structure, field)
    }

    pub(super) const fn structure(&self) -> &'static str {
        self.structure
    }

    fn take<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], TpmError> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or(self.malformed(field))?;
        self.rest = rest;
        Ok(*bytes)
    }

    pub(super) fn u16(&mut self, field: &'static str) -> Result<u16, TpmError> {
        self.take(field).map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self, field: &'static str) -> Result<u32, TpmError> {
        self.take(field).map(u32::from_be_bytes)
    }

    pub(super) fn u64(&mut self, field: &'static str) -> Result<u64, TpmError> {
        self.take(field).map(u64::from_be_bytes)
    }

    /// TPMI_YES_NO (clause 9.2).
    pub(super) fn yes_no(&mut self, field: &'static str) -> Result<bool, TpmError> {
        match self.take(field)? {
            [0] => Ok(false),
            [1] => Ok(true),
            _ => Err(self.malformed(field)),
        }
    }

    /// The buffer of a TPM2B: its length in two bytes before it, `limit` at most.
    pub(super) fn sized(
        &mut self,
        field: &'static str,
        limit: usize,
    ) -> Result<&'a [u8], TpmError> {
        let length = usize::from(self.u16(field)?);
        let (bytes, rest) = self
            .rest
            .split_at_checked(length)
            .filter(|_| length <= limit)
            .ok_or(self.malformed(field))?;
        self.rest = rest;
        Ok(bytes)
    }

    /// The rest, which is all of it while nothing was read.
    pub(super) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Nothing may follow.
    pub(super) const fn finish(&self) -> Result<(), TpmError> {
        match self.rest {
            [] => Ok(()),
            _ => Err(self.malformed("its end: something follows")),
        }
    }
}

/// What is in a file: the structure itself, or the TPM2B around it. `begins` tells whether bytes begin as the structure does.
///
/// The two cannot be mixed up: a TPM2B begins with its own length, with which none of the structures read here begins at such a length.
pub(super) fn unwrapped<'a>(
    structure: &'static str,
    bytes: &'a [u8],
    begins: impl Fn(&[u8]) -> bool,
) -> Result<&'a [u8], TpmError> {
    if bytes.len() > super::MAX_STRUCTURE_BYTES {
        return Err(TpmError::at(structure, "its length"));
    }
    if let Some(([high, low], inner)) = bytes.split_first_chunk()
        && usize::from(u16::from_be_bytes([*high, *low])) == inner.len()
        && begins(inner)
    {
        return Ok(inner);
    }
    match begins(bytes) {
        true => Ok(bytes),
        false => Err(TpmError::at(structure, "its begin")),
    }
}

/// TPM_ALG_ID (clause 6.3) of the algorithms that are looked at.
pub(super) mod algorithm {
    pub(in super::super) const RSA: u16 = 0x0001;
    pub(in super::super) const SHA256: u16 = 0x000b;
    pub(in super::super) const SHA384: u16 = 0x000c;
    pub(in super::super) const SHA512: u16 = 0x000d;
    pub(in super::super) const NULL: u16 = 0x0010;
    pub(in super::super) const RSASSA: u16 = 0x0014;
    pub(in super::super) const RSAES: u16 = 0x0015;
    pub(in super::super) const RSAPSS: u16 = 0x0016;
    pub(in super::super) const OAEP: u16 = 0x0017;
    pub(in super::super) const ECDSA: u16 = 0x0018;
    pub(in super::super) const ECDH: u16 = 0x0019;
    pub(in super::super) const ECDAA: u16 = 0x001a;
    pub(in super::super) const SM2: u16 = 0x001b;
    pub(in super::super) const ECSCHNORR: u16 = 0x001c;
    pub(in super::super) const ECMQV: u16 = 0x001d;
    pub(in super::super) const ECC: u16 = 0x0023;
}

/// The hash of a TPMI_ALG_HASH (clause 9.27): those of SHA-2 alone, since names and signatures stand on it.
pub(super) fn hash(structure: &'static str, algorithm: u16) -> Result<Hash, TpmError> {
    match algorithm {
        algorithm::SHA256 => Ok(Hash::Sha256),
        algorithm::SHA384 => Ok(Hash::Sha384),
        algorithm::SHA512 => Ok(Hash::Sha512),
        algorithm => Err(TpmError::Algorithm {
            structure,
            what: "the hash",
            algorithm,
            accepted: "SHA-256, SHA-384 and SHA-512",
        }),
    }
}
