//! The header of a message, read and written.

use super::asn1::{self, OCTET_STRING, UTF8_STRING, constructed, element, encoded, sequence};
use super::{CmpError, MAX_TEXTS, oid};
use der::asn1::{AnyRef, GeneralizedTime, ObjectIdentifier, OctetStringRef, Utf8StringRef};
use der::{Decode, Encode, Sequence};
use std::time::{Duration, SystemTime};

/// Longest nonce, key identifier or transaction name that is read, in octets.
const MAX_OCTETS: usize = 256;
/// Most entries of generalInfo or of a general message.
pub(super) const MAX_INFOS: usize = 64;

/// PKIHeader (RFC 9810, section 5.1.1), with EXPLICIT tags:
///
/// ```text
/// PKIHeader ::= SEQUENCE {
///     pvno                INTEGER { cmp1999(1), cmp2000(2), cmp2021(3) },
///     sender              GeneralName,
///     recipient           GeneralName,
///     messageTime     [0] GeneralizedTime                     OPTIONAL,
///     protectionAlg   [1] AlgorithmIdentifier{ALGORITHM, {...}} OPTIONAL,
///     senderKID       [2] KeyIdentifier                       OPTIONAL,
///     recipKID        [3] KeyIdentifier                       OPTIONAL,
///     transactionID   [4] OCTET STRING                        OPTIONAL,
///     senderNonce     [5] OCTET STRING                        OPTIONAL,
///     recipNonce      [6] OCTET STRING                        OPTIONAL,
///     freeText        [7] PKIFreeText                         OPTIONAL,
///     generalInfo     [8] SEQUENCE SIZE (1..MAX) OF InfoTypeAndValue OPTIONAL
/// }
/// ```
#[derive(Sequence)]
pub(super) struct PkiHeader<'a> {
    pvno: u8,
    sender: AnyRef<'a>,
    recipient: AnyRef<'a>,
    #[asn1(context_specific = "0", optional = "true")]
    message_time: Option<GeneralizedTime>,
    #[asn1(context_specific = "1", optional = "true")]
    protection_alg: Option<AnyRef<'a>>,
    #[asn1(context_specific = "2", optional = "true")]
    sender_kid: Option<&'a OctetStringRef>,
    #[asn1(context_specific = "3", optional = "true")]
    recip_kid: Option<&'a OctetStringRef>,
    #[asn1(context_specific = "4", optional = "true")]
    transaction_id: Option<&'a OctetStringRef>,
    #[asn1(context_specific = "5", optional = "true")]
    sender_nonce: Option<&'a OctetStringRef>,
    #[asn1(context_specific = "6", optional = "true")]
    recip_nonce: Option<&'a OctetStringRef>,
    #[asn1(context_specific = "7", optional = "true")]
    free_text: Option<Vec<Utf8StringRef<'a>>>,
    #[asn1(context_specific = "8", optional = "true")]
    general_info: Option<Vec<InfoTypeAndValue<'a>>>,
}

/// ```text
/// InfoTypeAndValue ::= SEQUENCE {
///     infoType    OBJECT IDENTIFIER,
///     infoValue   ANY DEFINED BY infoType OPTIONAL
/// }
/// ```
#[derive(Sequence)]
pub(super) struct InfoTypeAndValue<'a> {
    info_type: ObjectIdentifier,
    info_value: Option<AnyRef<'a>>,
}

/// One piece of information: of a header, or of a general message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Info {
    /// What it is.
    pub kind: ObjectIdentifier,
    /// Its value (DER), where it has one.
    pub value: Option<Vec<u8>>,
}

impl Info {
    /// implicitConfirm: asked for in a request, granted in an answer.
    #[must_use]
    pub fn implicit_confirm() -> Self {
        Self {
            kind: oid::IMPLICIT_CONFIRM,
            value: Some(asn1::NULL.to_vec()),
        }
    }

    /// The name of a certificate profile.
    #[must_use]
    pub fn cert_profile(name: &str) -> Self {
        let name = element(UTF8_STRING, &[name.as_bytes()]);
        Self {
            kind: oid::CERT_PROFILE,
            value: Some(sequence(&[&name])),
        }
    }

    /// A question: no value.
    #[must_use]
    pub const fn question(kind: ObjectIdentifier) -> Self {
        Self { kind, value: None }
    }

    pub(super) fn encode(&self) -> Result<Vec<u8>, CmpError> {
        let value = self.value.as_deref().unwrap_or_default();
        Ok(sequence(&[&encoded(&self.kind)?, value]))
    }

    pub(super) fn read_all(infos: Vec<InfoTypeAndValue<'_>>) -> Result<Vec<Self>, CmpError> {
        if infos.len() > MAX_INFOS {
            return Err(CmpError::TooMany {
                what: "pieces of information",
                limit: MAX_INFOS,
            });
        }
        infos
            .into_iter()
            .map(|info| {
                let value = info.info_value.map(|value| encoded(&value)).transpose()?;
                Ok(Self {
                    kind: info.info_type,
                    value,
                })
            })
            .collect()
    }
}

/// The header of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// cmp2000 (2) or cmp2021 (3).
    pub version: u8,
    /// The sender's Name (DER); `None` where it is another kind of name.
    pub sender_der: Option<Vec<u8>>,
    /// The recipient's Name (DER); `None` where it is another kind of name.
    pub recipient_der: Option<Vec<u8>>,
    /// When it was made, to the second.
    pub time: Option<SystemTime>,
    /// AlgorithmIdentifier (DER) of the protection.
    pub protection_algorithm: Option<Vec<u8>>,
    /// Which key of the sender's protects it.
    pub sender_key_id: Option<Vec<u8>>,
    /// Which key of the recipient's is meant.
    pub recipient_key_id: Option<Vec<u8>>,
    /// Names the transaction.
    pub transaction_id: Option<Vec<u8>>,
    /// Random, of this message.
    pub sender_nonce: Option<Vec<u8>>,
    /// The nonce of the message that this one answers.
    pub recipient_nonce: Option<Vec<u8>>,
    /// Words for people, as somebody else wrote them.
    pub free_text: Vec<String>,
    /// More about the message.
    pub general_info: Vec<Info>,
}

impl Header {
    /// Whether implicitConfirm is in it.
    #[must_use]
    pub fn confirms_implicitly(&self) -> bool {
        self.general_info
            .iter()
            .any(|info| info.kind == oid::IMPLICIT_CONFIRM)
    }

    pub(super) fn read(header: AnyRef<'_>) -> Result<Self, CmpError> {
        let header: PkiHeader<'_> = header.decode_as().map_err(CmpError::at("the header"))?;
        let octets = |octets: Option<&OctetStringRef>| match octets.map(OctetStringRef::as_bytes) {
            Some(octets) if octets.len() > MAX_OCTETS => {
                Err(CmpError::malformed("a name or nonce of the header"))
            }
            octets => Ok(octets.map(<[u8]>::to_vec)),
        };
        Ok(Self {
            version: header.pvno,
            sender_der: directory_name(header.sender),
            recipient_der: directory_name(header.recipient),
            time: header.message_time.map(|time| time.to_system_time()),
            protection_algorithm: header
                .protection_alg
                .map(|algorithm| encoded(&algorithm))
                .transpose()?,
            sender_key_id: octets(header.sender_kid)?,
            recipient_key_id: octets(header.recip_kid)?,
            transaction_id: octets(header.transaction_id)?,
            sender_nonce: octets(header.sender_nonce)?,
            recipient_nonce: octets(header.recip_nonce)?,
            free_text: texts(header.free_text)?,
            general_info: Info::read_all(header.general_info.unwrap_or_default())?,
        })
    }

    pub(super) fn encode(&self) -> Result<Vec<u8>, CmpError> {
        let time = match self.time {
            Some(time) => {
                let seconds = time
                    .duration_since(SystemTime::UNIX_EPOCH)
                    .map_err(CmpError::at("the time"))?
                    .as_secs();
                let time = GeneralizedTime::from_unix_duration(Duration::from_secs(seconds))
                    .map_err(CmpError::at("the time"))?;
                Some(encoded(&time)?)
            }
            None => None,
        };
        let octets =
            |octets: &Option<Vec<u8>>| octets.as_ref().map(|o| element(OCTET_STRING, &[o]));
        let texts: Vec<Vec<u8>> = self
            .free_text
            .iter()
            .map(|text| element(UTF8_STRING, &[text.as_bytes()]))
            .collect();
        let infos = self
            .general_info
            .iter()
            .map(Info::encode)
            .collect::<Result<Vec<_>, _>>()?;
        let list = |items: Vec<Vec<u8>>| (!items.is_empty()).then(|| asn1::sequence_of(&items));
        Ok(sequence(&[
            &encoded(&self.version)?,
            &name(self.sender_der.as_deref()),
            &name(self.recipient_der.as_deref()),
            &asn1::optional(0, time),
            &asn1::optional(1, self.protection_algorithm.clone()),
            &asn1::optional(2, octets(&self.sender_key_id)),
            &asn1::optional(3, octets(&self.recipient_key_id)),
            &asn1::optional(4, octets(&self.transaction_id)),
            &asn1::optional(5, octets(&self.sender_nonce)),
            &asn1::optional(6, octets(&self.recipient_nonce)),
            &asn1::optional(7, list(texts)),
            &asn1::optional(8, list(infos)),
        ]))
    }
}

/// GeneralName of a Name (DER), or of the empty one: directoryName is `[4]`, EXPLICIT because Name is a CHOICE.
pub(super) fn name(name_der: Option<&[u8]>) -> Vec<u8> {
    const EMPTY: &[u8] = &[0x30, 0x00];
    element(constructed(4), &[name_der.unwrap_or(EMPTY)])
}

/// The Name (DER) of a GeneralName, if it is one.
pub(super) fn directory_name(general: AnyRef<'_>) -> Option<Vec<u8>> {
    let whole = general.to_der().ok()?;
    if whole.first() != Some(&constructed(4)) {
        return None;
    }
    let inner = AnyRef::from_der(general.value()).ok()?;
    (inner.to_der().ok()?.first() == Some(&asn1::SEQUENCE)).then(|| general.value().to_vec())
}

/// PKIFreeText: some words of somebody else's.
pub(super) fn texts(texts: Option<Vec<Utf8StringRef<'_>>>) -> Result<Vec<String>, CmpError> {
    let texts = texts.unwrap_or_default();
    if texts.len() > MAX_TEXTS {
        return Err(CmpError::TooMany {
            what: "texts",
            limit: MAX_TEXTS,
        });
    }
    Ok(texts
        .into_iter()
        .map(|text| printable(text.as_str()))
        .collect())
}

/// The beginning of a text, without what would move a terminal's cursor.
fn printable(text: &str) -> String {
    const MAX_CHARACTERS: usize = 256;
    let start: String = text.chars().take(MAX_CHARACTERS).collect();
    formats::text::printable(&start)
}
