//! What TPM2_Certify gives: the structure that is signed.

use super::name::MAX_NAME_BYTES;
use super::reader::{Reader, unwrapped};
use super::{Name, TpmError};
use serde::Serialize;

const STRUCTURE: &str = "TPMS_ATTEST";

/// TPM_GENERATED_VALUE (part 2, clause 6.2): a restricted key signs no stranger's bytes that begin so.
const TPM_GENERATED: [u8; 4] = [0xff, b'T', b'C', b'G'];
/// TPM_ST_ATTEST_CERTIFY (clause 6.9).
const ATTEST_CERTIFY: u16 = 0x8017;
/// TPM2B_DATA (clause 10.4.3): a TPMT_HA at most.
const MAX_EXTRA_DATA_BYTES: usize = 66;

/// The attestation of an object that was loaded, read and not verified.
///
/// TPMS_ATTEST (part 2, clause 10.12.12):
/// ```text
/// magic            TPM_GENERATED
/// type             TPMI_ST_ATTEST         TPM_ST_ATTEST_CERTIFY here
/// qualifiedSigner  TPM2B_NAME
/// extraData        TPM2B_DATA             the caller's qualifying data
/// clockInfo        TPMS_CLOCK_INFO        10.11.1
/// firmwareVersion  UINT64
/// attested         TPMS_CERTIFY_INFO      10.12.3: name, qualifiedName
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Attestation {
    #[serde(skip)]
    signed: Vec<u8>,
    /// Qualified name of the key that signed.
    pub qualified_signer: Name,
    /// What the caller of the command gave.
    #[serde(serialize_with = "as_hex")]
    pub extra_data: Vec<u8>,
    /// Time and resets, as the TPM counts them.
    pub clock: ClockInfo,
    /// The vendor's number.
    #[serde(serialize_with = "as_hex_number")]
    pub firmware_version: u64,
    /// Name of the certified object.
    pub name: Name,
    /// Its qualified name.
    pub qualified_name: Name,
}

/// TPMS_CLOCK_INFO (part 2, clause 10.11.1).
///
/// Unless the signing key is in the endorsement or platform hierarchy, both counts and the firmware's version are obfuscated: the same for one
/// key, and no numbers that mean something (part 1, "Attestation").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ClockInfo {
    /// Milliseconds that the TPM was powered for; no time of day.
    pub clock_ms: u64,
    /// TPM resets since the last TPM2_Clear.
    pub reset_count: u32,
    /// Restarts and resumes since the last reset.
    pub restart_count: u32,
    /// Whether no later `clock_ms` was ever told.
    pub safe: bool,
}

fn as_hex<S: serde::Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&formats::text::hex(bytes))
}

/// A number that readers of JSON would round.
fn as_hex_number<S: serde::Serializer>(number: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{number:#018x}"))
}

impl Attestation {
    /// Reads a TPMS_ATTEST, or the TPM2B_ATTEST (clause 10.12.13) around it, with nothing behind it.
    ///
    /// # Errors
    /// [`TpmError`].
    pub fn read(bytes: &[u8]) -> Result<Self, TpmError> {
        let inner = unwrapped(STRUCTURE, bytes, |bytes| bytes.starts_with(&TPM_GENERATED))
            .map_err(|error| match error {
                TpmError::Malformed {
                    field: "its begin", ..
                } => TpmError::NotGenerated,
                other => other,
            })?;
        let mut reader = Reader::new(STRUCTURE, inner);
        reader.u32("magic")?;
        let kind = reader.u16("type")?;
        if kind != ATTEST_CERTIFY {
            return Err(TpmError::NotCertify(kind));
        }
        let found = Self {
            signed: inner.to_vec(),
            qualified_signer: Name::read(reader.sized("qualifiedSigner", MAX_NAME_BYTES)?)?,
            extra_data: reader.sized("extraData", MAX_EXTRA_DATA_BYTES)?.to_vec(),
            clock: ClockInfo {
                clock_ms: reader.u64("clockInfo.clock")?,
                reset_count: reader.u32("clockInfo.resetCount")?,
                restart_count: reader.u32("clockInfo.restartCount")?,
                safe: reader.yes_no("clockInfo.safe")?,
            },
            firmware_version: reader.u64("firmwareVersion")?,
            name: Name::read(reader.sized("attested.name", MAX_NAME_BYTES)?)?,
            qualified_name: Name::read(reader.sized("attested.qualifiedName", MAX_NAME_BYTES)?)?,
        };
        reader.finish()?;
        Ok(found)
    }

    /// The bytes that are signed: the TPMS_ATTEST.
    pub(super) fn signed(&self) -> &[u8] {
        &self.signed
    }
}
