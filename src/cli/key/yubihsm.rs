//! The attestation of a YubiHSM 2: a certificate that the device makes for one of its keys, with what it says of that key in extensions.
//!
//! ```text
//! root of the vendor (named by the operator) -> intermediate -> the device's own certificate -> attestation of the key
//! ```
//!
//! What it says and how it is encoded: Yubico, "YubiHSM OIDs" (docs.yubico.com/hardware/oid/oid-product-arc.html); the meaning of the bits:
//! "Core Concepts" of the YubiHSM 2 user guide. The path is verified as a device's is ([`chain::verify`]): every signature, name, date and
//! authority. It says nothing about a certificate that was revoked: the vendor publishes no lists for these.

use crate::encoding::Base64Bytes;
use crate::engine::api::DeviceTarget;
use crate::engine::recrypt::anchors::Anchor;
use crate::engine::recrypt::chain::{self, CheckedDevice, DeviceTrust, Link};
use crate::engine::recrypt::layout::{self, Layout};
use der::Decode;
use der::asn1::{BitStringRef, IntRef, OctetStringRef, Utf8StringRef};
use formats::words;
use hsm::KeyFingerprint;
use serde::Serialize;
use x509_cert::Certificate;

/// The extensions, by their last number under 1.3.6.1.4.1.41482.4.
const ARC: &str = "1.3.6.1.4.1.41482.4.";
const FIRMWARE: &str = "1";
const SERIAL: &str = "2";
const ORIGIN: &str = "3";
const DOMAINS: &str = "4";
const CAPABILITIES: &str = "5";
const OBJECT_ID: &str = "6";
const LABEL: &str = "9";

/// Certificates between the root and the attestation at most.
const MAX_BETWEEN: usize = 3;

/// Bits of the origin.
const GENERATED: u8 = 0x01;
const IMPORTED: u8 = 0x02;
const IMPORTED_WRAPPED: u8 = 0x10;

/// Capabilities of private keys by their bit, with the vendor's name.
const CAPABILITY_NAMES: [(u32, &str); 9] = [
    (5, "sign-pkcs"),
    (6, "sign-pss"),
    (7, "sign-ecdsa"),
    (8, "sign-eddsa"),
    (9, "decrypt-pkcs"),
    (10, "decrypt-oaep"),
    (11, "derive-ecdh"),
    (EXPORTABLE_UNDER_WRAP, "exportable-under-wrap"),
    (34, "sign-attestation-certificate"),
];
const EXPORTABLE_UNDER_WRAP: u32 = 16;

/// What the device says of a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) struct Statement {
    /// Version of the device's firmware.
    pub(super) firmware: String,
    /// Serial number of the device.
    pub(super) serial: u64,
    /// `generated`, `imported` or `imported-wrapped`, or several: a key that came back under a wrap key keeps where it was from.
    pub(super) origin: Vec<&'static str>,
    /// Its domains, from 1.
    pub(super) domains: Vec<u32>,
    /// What it may be used for, by the vendor's names.
    pub(super) capabilities: Vec<String>,
    /// Whether it may leave the device encrypted under a wrap key.
    pub(super) exportable_under_wrap: bool,
    /// Its number in the device.
    pub(super) object_id: u64,
    /// Its label.
    pub(super) label: String,
}

/// An attestation that was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Attested {
    pub(super) statement: Statement,
    /// SHA-256 of the root that vouches for it, lower-case hexadecimal.
    pub(super) root: String,
    /// Certificates between the root and the attestation.
    pub(super) between: usize,
}

/// Why there is no attestation of the key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unattested {
    /// None of the certificates is an attestation of this key.
    #[error("none of the certificates is a YubiHSM's attestation of the key with this fingerprint")]
    NoneOfTheKey,
    /// A certificate does not parse.
    #[error("certificate {0} does not parse as one certificate in DER")]
    Malformed(usize),
    /// It says something in a form that is not the vendor's.
    #[error("the attestation says {0} in a form that is not the vendor's")]
    Statement(&'static str),
    /// It does not come from the root.
    #[error(
        "the attestation does not chain to the root that was named ({0}): give the certificates between them, and the vendor's own root"
    )]
    Path(&'static str),
    /// The device's certificate is another device's.
    #[error("the attestation speaks of another device than the certificate that issued it")]
    OtherDevice,
}

/// Finds the attestation of a key among certificates (DER, in any order), verifies it up to one of the roots, and reads what it says.
///
/// # Errors
/// [`Unattested`].
pub(super) fn verify(
    key: &KeyFingerprint,
    certificates: &[Vec<u8>],
    roots: &[Anchor],
    now_ms: i64,
) -> Result<Attested, Unattested> {
    let mut parsed = Vec::with_capacity(certificates.len());
    for (place, der) in certificates.iter().enumerate() {
        let layout = layout::read(der).ok_or(Unattested::Malformed(place))?;
        parsed.push((der.as_slice(), layout));
    }
    let (attestation, of_it) = parsed
        .iter()
        .find(|(der, layout)| {
            let spki = layout.spans.spki.of(der).unwrap_or_default();
            KeyFingerprint::of_spki(spki) == *key && extension(der, ORIGIN).is_some()
        })
        .ok_or(Unattested::NoneOfTheKey)?;
    let statement = statement(attestation)?;
    let links = links((attestation, of_it), &parsed);
    let target = DeviceTarget {
        certificate: Base64Bytes(attestation.to_vec()),
        intermediates: links
            .iter()
            .map(|(der, _)| Base64Bytes(der.to_vec()))
            .collect(),
    };
    let checked = CheckedDevice {
        leaf: of_it.spans,
        links: (0_u32..)
            .zip(&links)
            .map(|(intermediate, (_, layout))| Link {
                intermediate,
                spans: layout.spans,
            })
            .collect(),
    };
    let trust = DeviceTrust::Anchors(roots.to_vec());
    chain::verify(&target, &checked, &trust, now_ms)
        .map_err(|error| Unattested::Path(error.code()))?;
    // Which of the roots it was: the one with the name that the end of the path has.
    let (last, of_last) = links.last().copied().unwrap_or((attestation, of_it));
    let issuer = of_last.spans.issuer.of(last);
    let root = roots
        .iter()
        .find(|root| Some(root.subject()) == issuer)
        .ok_or(Unattested::Path("device_no_anchor"))?;
    // The device says its own number in both; who made the upper one is the vendor.
    if let Some((device, _)) = links.first()
        && serial(device) != Some(statement.serial)
    {
        return Err(Unattested::OtherDevice);
    }
    Ok(Attested {
        statement,
        root: root.fingerprint(),
        between: links.len(),
    })
}

/// From the attestation upwards, by names, as far as there are certificates; whether they are right is for the verification.
fn links<'a>(
    (mut below, mut of_it): (&'a [u8], &'a Layout),
    all: &'a [(&'a [u8], Layout)],
) -> Vec<(&'a [u8], &'a Layout)> {
    let mut links: Vec<(&[u8], &Layout)> = Vec::new();
    while links.len() < MAX_BETWEEN {
        let issuer = of_it.spans.issuer.of(below);
        let next = all.iter().find(|(der, layout)| {
            let subject = layout.spans.subject.of(der);
            // The root itself is named apart.
            subject == issuer && subject != layout.spans.issuer.of(der)
        });
        let Some((der, layout)) = next else {
            break;
        };
        links.push((der, layout));
        (below, of_it) = (der, layout);
    }
    links
}

/// The value of one of the vendor's extensions.
fn extension(certificate: &[u8], number: &str) -> Option<Vec<u8>> {
    let certificate = Certificate::from_der(certificate).ok()?;
    let wanted = format!("{ARC}{number}");
    certificate
        .tbs_certificate()
        .extensions()?
        .iter()
        .find(|extension| extension.extn_id.to_string() == wanted)
        .map(|extension| extension.extn_value.as_bytes().to_vec())
}

fn serial(certificate: &[u8]) -> Option<u64> {
    number(&extension(certificate, SERIAL)?)
}

fn number(der: &[u8]) -> Option<u64> {
    let integer = IntRef::from_der(der).ok()?;
    let bytes = integer.as_bytes();
    if bytes.first().is_some_and(|first| first & 0x80 != 0) {
        return None;
    }
    bytes.iter().try_fold(0_u64, |sum, byte| {
        sum.checked_mul(256)?.checked_add(u64::from(*byte))
    })
}

/// The octets of a BIT STRING without unused bits, as one number, the first octet the highest.
fn bits(der: &[u8]) -> Option<u64> {
    let bits = BitStringRef::from_der(der).ok()?;
    let octets = bits.as_bytes().filter(|octets| octets.len() <= 8)?;
    Some(
        octets
            .iter()
            .fold(0, |sum, octet| sum << 8 | u64::from(*octet)),
    )
}

fn set(bits: u64) -> impl Iterator<Item = u32> {
    (0..u64::BITS).filter(move |bit| bits >> bit & 1 == 1)
}

fn statement(certificate: &[u8]) -> Result<Statement, Unattested> {
    let value =
        |number: &str, what| extension(certificate, number).ok_or(Unattested::Statement(what));
    let malformed = Unattested::Statement;
    let firmware = value(FIRMWARE, "its firmware")?;
    let firmware = match <&OctetStringRef>::from_der(&firmware).map(OctetStringRef::as_bytes) {
        Ok([major, minor, patch]) => format!("{major}.{minor}.{patch}"),
        _ => return Err(malformed("its firmware")),
    };
    let origin = bits(&value(ORIGIN, "the key's origin")?)
        .and_then(|bits| u8::try_from(bits).ok())
        .ok_or(malformed("the key's origin"))?;
    let capabilities = bits(&value(CAPABILITIES, "the key's capabilities")?)
        .ok_or(malformed("the key's capabilities"))?;
    let domains =
        bits(&value(DOMAINS, "the key's domains")?).ok_or(malformed("the key's domains"))?;
    let label = value(LABEL, "the key's label")?;
    let label = Utf8StringRef::from_der(&label).map_err(|_| malformed("the key's label"))?;
    Ok(Statement {
        firmware,
        serial: serial(certificate).ok_or(malformed("the device's serial number"))?,
        origin: [
            (GENERATED, "generated"),
            (IMPORTED, "imported"),
            (IMPORTED_WRAPPED, "imported-wrapped"),
        ]
        .into_iter()
        .filter_map(|(bit, name)| (origin & bit != 0).then_some(name))
        .collect(),
        domains: set(domains).map(|bit| bit.saturating_add(1)).collect(),
        capabilities: set(capabilities)
            .map(|bit| {
                let known = CAPABILITY_NAMES.iter().find(|(known, _)| *known == bit);
                known.map_or_else(|| format!("bit {bit}"), |(_, name)| (*name).to_owned())
            })
            .collect(),
        exportable_under_wrap: capabilities >> EXPORTABLE_UNDER_WRAP & 1 == 1,
        object_id: number(&value(OBJECT_ID, "the key's number")?)
            .ok_or(malformed("the key's number"))?,
        // A short label is filled up with zeros.
        label: words::printable(label.as_str().trim_end_matches('\0')),
    })
}

impl Statement {
    /// What an auditor has to know of it, in words; empty when the key was made there and cannot leave.
    pub(super) fn remarks(&self) -> Vec<&'static str> {
        let mut remarks = Vec::new();
        if self.origin != ["generated"] {
            remarks
                .push("the device does not say that the key was generated in it and nowhere else");
        }
        if self.exportable_under_wrap {
            remarks.push("the key may leave the device encrypted under a wrap key");
        }
        if !self.capabilities.iter().any(|name| name == "decrypt-oaep") {
            remarks.push("the key may not be used for RSAES-OAEP decryption");
        }
        remarks
    }

    /// As one line.
    pub(super) fn line(&self) -> String {
        format!(
            "YubiHSM {} (firmware {}): object {:#06x} `{}`, origin {}, capabilities {}, domains {}",
            self.serial,
            self.firmware,
            self.object_id,
            self.label,
            self.origin.join(" and "),
            self.capabilities.join(", "),
            self.domains
                .iter()
                .map(u32::to_string)
                .collect::<Vec<_>>()
                .join(", "),
        )
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]
    use super::*;
    use crate::cli::files;

    /// In 2026.
    const NOW: i64 = 1_780_000_000_000;

    fn chain() -> Vec<Vec<u8>> {
        fips::start(fips::policy::Policy::STRICT).unwrap();
        files::certificates(include_bytes!(
            "../../../tests/data/yubihsm-attestation.pem"
        ))
        .unwrap()
    }

    fn roots() -> Vec<Anchor> {
        Anchor::all_from_pem(include_bytes!("../../../tests/data/yubihsm-root.pem")).unwrap()
    }

    fn key_of(der: &[u8]) -> KeyFingerprint {
        let layout = layout::read(der).unwrap();
        KeyFingerprint::of_spki(layout.spans.spki.of(der).unwrap())
    }

    fn refused(certificates: &[Vec<u8>], roots: &[Anchor], now: i64) -> Unattested {
        verify(&key_of(&chain()[0]), certificates, roots, now).unwrap_err()
    }

    #[test]
    fn the_attestation_of_a_real_device_is_verified_and_says_what_its_owner_published() {
        let chain = chain();
        let attested = verify(&key_of(&chain[0]), &chain, &roots(), NOW).unwrap();
        assert_eq!(attested.between, 2);
        assert_eq!(
            attested.root,
            "094a3ac493c2bdcd65a54bdf40190f52bb03f7156397a3fc69d8aa9a392fb724"
        );
        let statement = attested.statement;
        assert_eq!(statement.firmware, "2.2.0");
        assert_eq!(statement.serial, 20_783_176);
        assert_eq!(statement.origin, ["generated"]);
        assert_eq!(statement.object_id, 0x24);
        assert_eq!(statement.label, "Swish Sign RSA4096");
        assert_eq!(statement.domains, [3, 4]);
        assert_eq!(
            statement.capabilities,
            [
                "sign-pkcs",
                "sign-pss",
                "decrypt-pkcs",
                "decrypt-oaep",
                "sign-attestation-certificate"
            ]
        );
        assert!(!statement.exportable_under_wrap);
        assert!(statement.remarks().is_empty());
        // In any order, and with the root among them.
        let mut shuffled = chain.clone();
        shuffled.reverse();
        shuffled.push(roots()[0].der().to_vec());
        assert!(verify(&key_of(&chain[0]), &shuffled, &roots(), NOW).is_ok());
    }

    #[test]
    fn another_key_a_missing_link_another_root_and_another_time_are_refused_by_name() {
        let whole = chain();
        let other = verify(&key_of(&whole[1]), &whole, &roots(), NOW).unwrap_err();
        // The device's own key is none that it attests.
        assert_eq!(other, Unattested::NoneOfTheKey);
        for missing in [1, 2] {
            let mut certificates = whole.clone();
            certificates.remove(missing);
            let error = refused(&certificates, &roots(), NOW);
            assert!(matches!(error, Unattested::Path(_)), "{error}");
        }
        let not_the_root = vec![Anchor::from_der(whole[2].clone()).unwrap()];
        // It is an authority of the path, and whoever names it trusts it: but then with what is below it alone.
        assert!(verify(&key_of(&whole[0]), &whole[..2], &not_the_root, NOW).is_ok());
        assert_eq!(
            refused(&whole, &[], NOW),
            Unattested::Path("device_no_anchor")
        );
        let before = refused(&whole, &roots(), 1_400_000_000_000);
        assert_eq!(before, Unattested::Path("device_not_valid_now"));
        let mut broken = whole.clone();
        broken[2].truncate(100);
        assert_eq!(refused(&broken, &roots(), NOW), Unattested::Malformed(2));
    }

    /// Whatever octet of the path is changed: it is refused, and nothing panics.
    #[test]
    fn no_changed_attestation_is_taken() {
        let whole = chain();
        let key = key_of(&whole[0]);
        for place in 0..whole.len() {
            for at in (0..whole[place].len()).step_by(3) {
                let mut changed = whole.clone();
                changed[place][at] ^= 0x01;
                assert!(
                    verify(&key, &changed, &roots(), NOW).is_err(),
                    "certificate {place}, octet {at}"
                );
            }
        }
    }

    #[test]
    fn what_an_auditor_has_to_know_is_said() {
        let chain = chain();
        let mut statement = statement(&chain[0]).unwrap();
        statement.origin = vec!["imported"];
        statement.exportable_under_wrap = true;
        statement.capabilities.clear();
        assert_eq!(statement.remarks().len(), 3);
        assert!(statement.line().contains("20783176"));
    }
}
