//! A throw-away device for `key verify`: a certificate like a device's, for a key that exists for this one test, and the reading of what
//! is encrypted to it.

use crate::cli::output::Failure;
use crate::clock::{Clock, SystemClock};
use crate::encoding::Base64Bytes;
use crate::engine::api::DeviceTarget;
use crate::engine::formats::device::{DevicePolicy, check_device};
use crate::engine::recrypt::chain::{self, DeviceIdentity, DeviceTrust};
use cms::content_info::ContentInfo;
use cms::enveloped_data::{EnvelopedData, RecipientInfo};
use const_oid::db::{rfc5911, rfc5912};
use der::asn1::{Any, BitString, OctetString, Uint, UtcTime};
use der::{Decode, Encode, Sequence};
use fips::secret::SecretBytes;
use fips::sign::{KeyKind, SigningKey};
use spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};
use std::time::Duration;
use x509_cert::name::Name;

/// Names whose certificate it is, should it ever be seen.
const NAME: &str = "CN=throw-away device of key verify";
/// How long the certificate is valid, in seconds: longer than the test takes.
const VALID_SECONDS: u64 = 3600;

/// ```text
/// Validity ::= SEQUENCE { notBefore Time, notAfter Time }
/// ```
#[derive(Sequence)]
struct Validity {
    not_before: UtcTime,
    not_after: UtcTime,
}

/// RFC 5280 section 4.1, version 1: no extensions, so none that restricts the use of the key.
///
/// ```text
/// TBSCertificate ::= SEQUENCE {
///     serialNumber CertificateSerialNumber, signature AlgorithmIdentifier, issuer Name, validity Validity,
///     subject Name, subjectPublicKeyInfo SubjectPublicKeyInfo }
/// ```
#[derive(Sequence)]
struct TbsCertificate {
    serial_number: Uint,
    signature: AlgorithmIdentifierOwned,
    issuer: Name,
    validity: Validity,
    subject: Name,
    subject_public_key_info: SubjectPublicKeyInfoOwned,
}

#[derive(Sequence)]
pub(super) struct Certificate {
    tbs_certificate: TbsCertificate,
    signature_algorithm: AlgorithmIdentifierOwned,
    signature: BitString,
}

/// A device with this public key, checked as `recrypt` and the engine check devices, but held against no anchor.
pub(super) fn identity(spki_der: &[u8]) -> Result<DeviceIdentity, Failure> {
    let broken = |error: der::Error| Failure::failed("throw_away_device", error.to_string());
    let now_ms = SystemClock.now_ms();
    let certificate = certificate(spki_der, now_ms)?;
    let certificate = certificate.to_der().map_err(broken)?;
    let target = DeviceTarget {
        certificate: Base64Bytes(certificate),
        intermediates: Vec::new(),
    };
    let policy = DevicePolicy {
        anchors: Vec::new(),
        require_anchor: false,
        now_ms,
    };
    let checked = check_device(&target, &policy)
        .map_err(|refusal| Failure::failed("throw_away_device", refusal.to_string()))?;
    chain::verify(&target, &checked, &DeviceTrust::Unanchored, now_ms)
        .map_err(|error| Failure::failed("throw_away_device", error.to_string()))
}

/// The certificate, by an authority that exists for this one certificate.
pub(super) fn certificate(spki_der: &[u8], now_ms: i64) -> Result<Certificate, Failure> {
    let authority = SigningKey::generate(KeyKind::EcP256)?;
    let build = || -> der::Result<TbsCertificate> {
        let now = Duration::from_secs(u64::try_from(now_ms / 1000).unwrap_or(0));
        let time = |at: Duration| UtcTime::from_unix_duration(at);
        let name: Name = std::str::FromStr::from_str(NAME)?;
        Ok(TbsCertificate {
            serial_number: Uint::new(&[1])?,
            signature: AlgorithmIdentifierOwned {
                oid: rfc5912::ECDSA_WITH_SHA_256,
                parameters: None,
            },
            issuer: name.clone(),
            validity: Validity {
                not_before: time(now.saturating_sub(Duration::from_secs(60)))?,
                not_after: time(now.saturating_add(Duration::from_secs(VALID_SECONDS)))?,
            },
            subject: name,
            subject_public_key_info: SubjectPublicKeyInfoOwned::from_der(spki_der)?,
        })
    };
    let broken = |error: der::Error| Failure::failed("throw_away_device", error.to_string());
    let tbs_certificate = build().map_err(broken)?;
    let signature = authority.sign(&tbs_certificate.to_der().map_err(broken)?)?;
    Ok(Certificate {
        signature_algorithm: tbs_certificate.signature.clone(),
        signature: BitString::from_bytes(&signature).map_err(broken)?,
        tbs_certificate,
    })
}

/// What a device reads of a CMS message: the encrypted content key, and the content under it.
pub(super) struct Enveloped {
    /// The content key, encrypted to the device.
    pub(super) encrypted_key: Vec<u8>,
    iv: [u8; 16],
    content: Vec<u8>,
}

impl Enveloped {
    /// Reads a ContentInfo with EnvelopedData for one RSA recipient and AES-256-CBC, as [`crate::engine::recrypt::cms::envelop`] makes it.
    pub(super) fn read(message: &[u8]) -> Result<Self, Failure> {
        let unreadable =
            |what: &str| Failure::failed("cms_unreadable", format!("the CMS message has {what}"));
        let parse = |bytes: &[u8]| -> der::Result<EnvelopedData> {
            let info = ContentInfo::from_der(bytes)?;
            EnvelopedData::from_der(&info.content.to_der()?)
        };
        let data = parse(message).map_err(|_| unreadable("another form"))?;
        let encrypted_key = match data.recip_infos.0.as_slice() {
            [RecipientInfo::Ktri(recipient)] => recipient.enc_key.as_bytes().to_vec(),
            _ => return Err(unreadable("another recipient")),
        };
        let content = data.encrypted_content;
        if content.content_enc_alg.oid != rfc5911::ID_AES_256_CBC {
            return Err(unreadable("another content encryption"));
        }
        let iv = content
            .content_enc_alg
            .parameters
            .and_then(|iv: Any| iv.decode_as::<OctetString>().ok())
            .and_then(|iv| <[u8; 16]>::try_from(iv.as_bytes()).ok())
            .ok_or_else(|| unreadable("no initialisation vector"))?;
        let content = content
            .encrypted_content
            .ok_or_else(|| unreadable("no content"))?
            .as_bytes()
            .to_vec();
        Ok(Self {
            encrypted_key,
            iv,
            content,
        })
    }

    /// The content, with the content key that the device has decrypted.
    pub(super) fn open(&self, key: &SecretBytes) -> Result<SecretBytes, Failure> {
        Ok(fips::aes::cbc_decrypt(key, &self.iv, &self.content)?)
    }
}
