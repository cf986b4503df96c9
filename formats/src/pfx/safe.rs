//! From the file to its SafeContents (RFC 7292 sections 4 and 4.1).

use super::PfxError;
use super::bags::{self, Contents};
use super::encoding::{Password, refuse};
use super::limits::Budget;
use super::pbes2;
use crate::words;
use cms::encrypted_data::EncryptedData;
use const_oid::db::rfc5911::{ID_DATA, ID_ENCRYPTED_DATA, ID_ENVELOPED_DATA, ID_SIGNED_DATA};
use der::asn1::{AnyRef, IntRef, ObjectIdentifier, OctetStringRef};
use der::{Decode, Reader, Sequence, SliceReader};
use pkcs12::DigestInfo;

/// ```text
/// PFX ::= SEQUENCE { version INTEGER {v3(3)}, authSafe ContentInfo, macData MacData OPTIONAL }
/// ```
#[derive(Sequence)]
struct Pfx<'a> {
    version: u8,
    auth_safe: ContentInfo<'a>,
    mac_data: Option<MacData<'a>>,
}

/// ContentInfo (RFC 5652 section 3) without a copy of its content.
///
/// ```text
/// ContentInfo ::= SEQUENCE { contentType ContentType, content [0] EXPLICIT ANY DEFINED BY contentType }
/// ```
#[derive(Sequence)]
struct ContentInfo<'a> {
    content_type: ObjectIdentifier,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    content: AnyRef<'a>,
}

/// MacData, whose count of iterations may be of any size: what is too large is over a limit, not malformed.
///
/// ```text
/// MacData ::= SEQUENCE { mac DigestInfo, macSalt OCTET STRING, iterations INTEGER DEFAULT 1 }
/// ```
#[derive(Sequence)]
pub(super) struct MacData<'a> {
    pub(super) mac: DigestInfo,
    pub(super) salt: &'a OctetStringRef,
    pub(super) iterations: Option<IntRef<'a>>,
}

/// The outermost layer.
pub(super) struct Outer<'a> {
    /// The octets that the MAC covers: an AuthenticatedSafe.
    pub(super) auth_safe: &'a [u8],
    pub(super) mac_data: Option<MacData<'a>>,
}

pub(super) fn open_outer(bytes: &[u8]) -> Result<Outer<'_>, PfxError> {
    let bytes = without_padding(bytes);
    let pfx = Pfx::from_der(bytes).map_err(|_| refuse(bytes, "it is not a PFX in DER"))?;
    if pfx.version != 3 {
        return Err(PfxError::unsupported(format!(
            "version {} of PFX",
            pfx.version
        )));
    }
    if pfx.auth_safe.content_type == ID_SIGNED_DATA {
        return Err(PfxError::unsupported(
            "integrity by a signature (public-key integrity mode)",
        ));
    }
    if pfx.auth_safe.content_type != ID_DATA {
        return Err(PfxError::unsupported(words::oid(
            &pfx.auth_safe.content_type,
        )));
    }
    Ok(Outer {
        auth_safe: octets(
            pfx.auth_safe.content,
            "the AuthenticatedSafe is not an OCTET STRING",
        )?,
        mac_data: pfx.mac_data,
    })
}

/// Without the zeros that some exports of Windows have after their end.
fn without_padding(bytes: &[u8]) -> &[u8] {
    let end = SliceReader::new(bytes).ok().and_then(|mut reader| {
        AnyRef::decode(&mut reader).ok()?;
        usize::try_from(reader.position()).ok()
    });
    match end.and_then(|end| bytes.split_at_checked(end)) {
        Some((pfx, rest)) if rest.iter().all(|byte| *byte == 0) => pfx,
        _ => bytes,
    }
}

/// Every bag of every SafeContents.
pub(super) fn read_all(
    auth_safe: &[u8],
    password: &Password,
    budget: &mut Budget,
) -> Result<Contents, PfxError> {
    let mut contents = Contents::default();
    let broken = || {
        refuse(
            auth_safe,
            "the AuthenticatedSafe is not a sequence of ContentInfo",
        )
    };
    let list = AnyRef::from_der(auth_safe).map_err(|_| broken())?;
    let mut reader = sequence(list).ok_or_else(broken)?;
    while !reader.is_finished() {
        // Each part counts like a bag, so that a file of empty parts is bounded as well.
        budget.take_bag()?;
        let part = ContentInfo::decode(&mut reader).map_err(|_| broken())?;
        match part.content_type {
            ID_DATA => {
                let safe = octets(part.content, "a plain SafeContents is not an OCTET STRING")?;
                bags::read(safe, password, budget, 0, &mut contents)?;
            }
            ID_ENCRYPTED_DATA => {
                let encrypted = part
                    .content
                    .decode_as::<EncryptedData>()
                    .map_err(|_| broken())?;
                let info = encrypted.enc_content_info;
                if info.content_type != ID_DATA {
                    return Err(PfxError::unsupported(words::oid(&info.content_type)));
                }
                let ciphertext = info.encrypted_content.ok_or(PfxError::Malformed {
                    what: "an encrypted SafeContents is empty",
                })?;
                let safe = pbes2::decrypt(
                    &info.content_enc_alg,
                    ciphertext.as_bytes(),
                    password,
                    budget,
                )?;
                bags::read(safe.expose(), password, budget, 0, &mut contents)?;
            }
            ID_ENVELOPED_DATA => {
                return Err(PfxError::unsupported(
                    "encryption to a certificate (public-key privacy mode)",
                ));
            }
            other => return Err(PfxError::unsupported(words::oid(&other))),
        }
    }
    Ok(contents)
}

/// A reader over the elements of a SEQUENCE.
pub(super) fn sequence<'a>(any: AnyRef<'a>) -> Option<SliceReader<'a>> {
    if der::Tagged::tag(&any) != der::Tag::Sequence {
        return None;
    }
    SliceReader::new(any.value()).ok()
}

fn octets<'a>(any: AnyRef<'a>, what: &'static str) -> Result<&'a [u8], PfxError> {
    any.decode_as::<&OctetStringRef>()
        .map(OctetStringRef::as_bytes)
        .map_err(|_| PfxError::Malformed { what })
}
