//! What somebody gave in place of a PFX.

use crate::ber::{Element, tag};
use der::Decode;

/// A file that is no PFX, but something else that people take for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum OtherFormat {
    /// Nothing at all.
    Empty,
    /// PEM text (RFC 7468) with a private key, and maybe certificates.
    PemKey,
    /// PEM text with certificates only.
    PemCertificate,
    /// PEM text with something else.
    Pem,
    /// A PFX as base64 text, as web pages and JSON carry it.
    Base64Pfx,
    /// A certificate in DER.
    Certificate,
    /// A private key in DER (PKCS#8 or PKCS#1).
    PrivateKey,
    /// Certificates without keys (PKCS#7, `.p7b`).
    Pkcs7,
    /// Java's own key store.
    Jks,
    /// Java's own key store with stronger protection.
    Jceks,
    /// Bouncy Castle's key store.
    Bks,
    /// A key of OpenSSH or PuTTY.
    Ssh,
    /// A ZIP archive.
    Zip,
    /// A web page or another text in angle brackets.
    Markup,
}

impl OtherFormat {
    /// Recognises it by its beginning; `None` when it is nothing that is known, or may be a PFX after all.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Option<Self> {
        if bytes.is_empty() {
            return Some(Self::Empty);
        }
        match bytes {
            [0xfe, 0xed, 0xfe, 0xed, ..] => return Some(Self::Jks),
            [0xce, 0xce, 0xce, 0xce, ..] => return Some(Self::Jceks),
            [0, 0, 0, 1 | 2, 0, 0, 0, 8..=64, ..] => return Some(Self::Bks),
            [b'P', b'K', 3, 4, ..] => return Some(Self::Zip),
            [tag::SEQUENCE, ..] => return of_der(bytes),
            _ => {}
        }
        of_text(bytes)
    }

    /// What it is, as the end of "this is".
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Empty => "an empty file",
            Self::PemKey => "a PEM file with a private key",
            Self::PemCertificate => "a PEM file with certificates and no private key",
            Self::Pem => "a PEM file",
            Self::Base64Pfx => "base64 text",
            Self::Certificate => "a certificate without its private key (DER)",
            Self::PrivateKey => "a private key without its certificate (DER)",
            Self::Pkcs7 => "a PKCS#7 file (.p7b): certificates without a private key",
            Self::Jks => "a Java key store of the old kind (JKS)",
            Self::Jceks => "a Java key store of the old kind (JCEKS)",
            Self::Bks => "a key store of Bouncy Castle (BKS)",
            Self::Ssh => "a key of SSH",
            Self::Zip => "a ZIP archive",
            Self::Markup => "a web page or an XML file",
        }
    }

    /// How to come to a PFX from there.
    #[must_use]
    pub fn remedy(self) -> &'static str {
        match self {
            Self::Empty => "get the file again: its transfer did not work",
            Self::PemKey => {
                "make a PFX of it: openssl pkcs12 -export -in FILE -out new.pfx (with -certfile CHAIN where the certificates are elsewhere)"
            }
            Self::PemCertificate | Self::Certificate | Self::Pkcs7 => {
                "export it together with its private key where that is, or join both: openssl pkcs12 -export -in CERTIFICATE -inkey KEY -out new.pfx"
            }
            Self::PrivateKey => {
                "join it with its certificate: openssl pkcs12 -export -in CERTIFICATE -inkey KEY -out new.pfx"
            }
            Self::Pem => {
                "look what it holds: a PFX is made of a key and its certificate by openssl pkcs12 -export"
            }
            Self::Base64Pfx => "decode it first: base64 -d FILE > new.pfx",
            Self::Jks | Self::Jceks | Self::Bks => {
                "convert it: keytool -importkeystore -srckeystore FILE -destkeystore new.p12 -deststoretype PKCS12"
            }
            Self::Ssh => {
                "keys of SSH have no certificate: ask the authority that issued the certificate for a PFX"
            }
            Self::Zip => "unpack it first",
            Self::Markup => "get the file again: what was stored is a page about it",
        }
    }
}

/// DER: by what follows the first tag and length.
fn of_der(bytes: &[u8]) -> Option<OtherFormat> {
    let mut inside = Element::whole(bytes).ok()?.within(tag::SEQUENCE).ok()?;
    let first = inside.next_element().ok()??;
    match first.tag {
        tag::SEQUENCE => x509_cert::Certificate::from_der(bytes)
            .is_ok()
            .then_some(OtherFormat::Certificate),
        tag::OBJECT_IDENTIFIER => Some(OtherFormat::Pkcs7),
        tag::INTEGER => match (first.content, inside.next_element().ok()??.tag) {
            // PKCS#8: version, algorithm. (A PFX has version 3 there.)
            ([0 | 1], tag::SEQUENCE) => Some(OtherFormat::PrivateKey),
            // PKCS#1: version, modulus. SEC 1: version, OCTET STRING.
            ([0 | 1], tag::INTEGER | tag::OCTET_STRING) => Some(OtherFormat::PrivateKey),
            _ => None,
        },
        _ => None,
    }
}

fn of_text(bytes: &[u8]) -> Option<OtherFormat> {
    /// Enough of a text to know it by.
    const BEGINNING: usize = 256 * 1024;
    let bytes = bytes.get(..BEGINNING).unwrap_or(bytes);
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let has = |needle: &[u8]| bytes.windows(needle.len()).any(|window| window == needle);
    if bytes.starts_with(b"PuTTY-User-Key-File") || has(b"BEGIN OPENSSH PRIVATE KEY") {
        return Some(OtherFormat::Ssh);
    }
    if has(b"-----BEGIN ") {
        return Some(if has(b"PRIVATE KEY-----") {
            OtherFormat::PemKey
        } else if has(b"BEGIN CERTIFICATE-----") {
            OtherFormat::PemCertificate
        } else {
            OtherFormat::Pem
        });
    }
    let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace())?;
    if *first == b'<' {
        return Some(OtherFormat::Markup);
    }
    let base64 = bytes.starts_with(b"MII")
        && bytes.iter().all(|byte| {
            byte.is_ascii_alphanumeric()
                || matches!(byte, b'+' | b'/' | b'=' | b'-' | b'_')
                || byte.is_ascii_whitespace()
        });
    base64.then_some(OtherFormat::Base64Pfx)
}
