//! A configuration profile for Apple's systems with certificates of a user (Apple, Configuration Profile Reference; Device Management,
//! `TopLevel` and `CertificatePKCS12`).
//!
//! ```text
//! Configuration profile, a property list (XML)
//!   PayloadIdentifier, PayloadUUID          of the user and of what the profile is of: a newer one of both takes the place of the older one
//!   EncryptedPayloadContent (data)          CMS EnvelopedData (DER) over a property list that is an array:
//!     com.apple.security.pkcs12               one for each certificate, the newest first
//!       PayloadContent, Password              the PFX, and what opens it
//!       PayloadIdentifier, PayloadUUID        of user and certificate
//!       PayloadDisplayName                    says which one is the newest: "(current, ...)"; the others are "(earlier, ...)"
//! ```
//!
//! Property lists are written here, in the little of XML that they are. A text that has secrets is measured first and written then, into
//! memory that does not grow, so that no copy stays behind.

use crate::text::{hex, printable};
use base64ct::{Base64, Encoding};
use fips::digest::{Hash, Hasher};
use fips::secret::SecretBytes;
use zeroize::Zeroize;

/// What identifiers of profiles with imported certificates begin with.
const IDENTIFIER: &str = "pfx-connector.smime";
/// What identifiers of profiles with an issued certificate begin with.
const ISSUED_IDENTIFIER: &str = "pfx-connector.issued";
/// Separates these names from every other digest of the same values; ends in their version.
const CONTEXT: &[u8] = b"pfx-connector profile v1";
/// The same for issued certificates.
const ISSUED_CONTEXT: &[u8] = b"pfx-connector issued profile v1";
/// Of the digest that stands for a user in an identifier.
const USER_DIGITS: usize = 32;

const HEAD: &str = concat!(
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n",
    "<!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n",
    "<plist version=\"1.0\">\n",
);
const TAIL: &str = "</plist>\n";

/// From when to when a certificate is valid, each as `YYYYMMDDHHMMSS` (UTC).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// The first moment.
    pub not_before: [u8; 14],
    /// The last moment.
    pub not_after: [u8; 14],
}

/// One certificate of a profile.
pub struct Certificate<'a> {
    /// SHA-1 of the certificate (DER), 40 lower-case hexadecimal digits.
    pub thumbprint: String,
    /// When it is valid.
    pub validity: Validity,
    /// The PFX with it and its key.
    pub pfx: &'a [u8],
    /// The password of the PFX (UTF-8). Best without characters that XML escapes.
    pub password: &'a SecretBytes,
}

/// What certificates a profile is of: profiles of another kind or name stay beside it on the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind<'a> {
    /// All of the user's imported certificates for mail.
    Mail,
    /// The newest certificate that was issued under this name.
    Issued(&'a str),
}

/// Certificates of a user for one device.
pub struct Profile<'a> {
    /// The user's principal name.
    pub user: &'a str,
    /// Which of the user's certificates they are.
    pub kind: Kind<'a>,
    /// The newest first.
    pub certificates: Vec<Certificate<'a>>,
}

impl Profile<'_> {
    /// The array of payloads, a property list of its own, to be encrypted to the device.
    #[must_use]
    pub fn content(&self) -> SecretBytes {
        let mut length = Length(0);
        self.write_content(&mut length);
        let mut content = Filled {
            bytes: SecretBytes::zeroed(length.0),
            at: 0,
        };
        self.write_content(&mut content);
        content.bytes
    }

    /// The profile with its content encrypted: `sealed` is CMS ContentInfo with EnvelopedData (DER) over [`content`](Self::content).
    #[must_use]
    pub fn with_content(&self, sealed: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        out.put(HEAD);
        out.put("<dict>\n");
        key(&mut out, "EncryptedPayloadContent");
        data(&mut out, sealed);
        let description = match self.kind {
            Kind::Mail => {
                "Certificates and keys for encrypted and signed mail, those of earlier mail among them."
            }
            Kind::Issued(_) => "A certificate that was issued for this device, and its key.",
        };
        string(&mut out, "PayloadDescription", description);
        string(&mut out, "PayloadDisplayName", &self.title());
        string(&mut out, "PayloadIdentifier", &self.identifier());
        string(&mut out, "PayloadType", "Configuration");
        string(&mut out, "PayloadUUID", &self.uuid(&[]));
        version(&mut out);
        out.put("</dict>\n");
        out.put(TAIL);
        out
    }

    fn write_content(&self, out: &mut impl Sink) {
        out.put(HEAD);
        out.put("<array>\n");
        for (number, certificate) in self.certificates.iter().enumerate() {
            self.write_certificate(out, certificate, number == 0);
        }
        out.put("</array>\n");
        out.put(TAIL);
    }

    fn write_certificate(
        &self,
        out: &mut impl Sink,
        certificate: &Certificate<'_>,
        is_newest: bool,
    ) {
        let thumbprint = &certificate.thumbprint;
        let Validity {
            not_before,
            not_after,
        } = &certificate.validity;
        let which = if is_newest { "current" } else { "earlier" };
        let name = format!(
            "{} ({which}, {} to {})",
            self.title(),
            date(not_before),
            date(not_after)
        );
        out.put("<dict>\n");
        key(out, "Password");
        out.put("<string>");
        escaped(out, certificate.password.expose());
        out.put("</string>\n");
        string(
            out,
            "PayloadCertificateFileName",
            &format!("{thumbprint}.p12"),
        );
        key(out, "PayloadContent");
        data(out, certificate.pfx);
        string(out, "PayloadDisplayName", &name);
        string(
            out,
            "PayloadIdentifier",
            &format!("{}.{thumbprint}", self.identifier()),
        );
        string(out, "PayloadType", "com.apple.security.pkcs12");
        string(out, "PayloadUUID", &self.uuid(thumbprint.as_bytes()));
        version(out);
        out.put("</dict>\n");
    }

    /// What people read.
    fn title(&self) -> String {
        match self.kind {
            Kind::Mail => format!("S/MIME: {}", self.user),
            Kind::Issued(name) => format!("{name}: {}", self.user),
        }
    }

    fn identifier(&self) -> String {
        let begins = match self.kind {
            Kind::Mail => IDENTIFIER,
            Kind::Issued(_) => ISSUED_IDENTIFIER,
        };
        let mut user = hex(self.digest(&[]).as_ref());
        user.truncate(USER_DIGITS);
        format!("{begins}.{user}")
    }

    /// A UUID of version 8 (RFC 9562 section 5.8): the same for the same user, kind and `of`.
    fn uuid(&self, of: &[u8]) -> String {
        const UUID_DIGITS: usize = 32;
        let mut digits = hex(self.digest(of).as_ref());
        digits.truncate(UUID_DIGITS);
        let mut uuid = String::new();
        for (place, digit) in digits.chars().enumerate() {
            if matches!(place, 8 | 12 | 16 | 20) {
                uuid.push('-');
            }
            uuid.push(match place {
                12 => '8',
                // The variant: 10xx in bits.
                16 => match digit {
                    '0'..='3' => '8',
                    '4'..='7' => '9',
                    '8' | '9' | 'a' | 'b' => 'A',
                    _ => 'B',
                },
                _ => digit.to_ascii_uppercase(),
            });
        }
        uuid
    }

    fn digest(&self, of: &[u8]) -> fips::digest::Digest {
        let mut hasher = Hasher::new(Hash::Sha256);
        let user = self.user.to_lowercase();
        let parts = match self.kind {
            Kind::Mail => vec![CONTEXT, user.as_bytes(), of],
            Kind::Issued(name) => vec![ISSUED_CONTEXT, user.as_bytes(), name.as_bytes(), of],
        };
        for part in parts {
            let length = u64::try_from(part.len()).unwrap_or(u64::MAX);
            hasher.update(&length.to_be_bytes());
            hasher.update(part);
        }
        hasher.finish()
    }
}

/// `2026-01-31` of `20260131...`.
fn date(moment: &[u8; 14]) -> String {
    let digits: String = moment.iter().map(|digit| char::from(*digit)).collect();
    match (digits.get(..4), digits.get(4..6), digits.get(6..8)) {
        (Some(year), Some(month), Some(day)) => format!("{year}-{month}-{day}"),
        _ => digits,
    }
}

/// Where a text goes: it is measured, or written.
trait Sink {
    fn bytes(&mut self, bytes: &[u8]);

    fn put(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }
}

struct Length(usize);

impl Sink for Length {
    fn bytes(&mut self, bytes: &[u8]) {
        self.0 = self.0.saturating_add(bytes.len());
    }
}

/// Memory of the measured length.
struct Filled {
    bytes: SecretBytes,
    at: usize,
}

impl Sink for Filled {
    fn bytes(&mut self, bytes: &[u8]) {
        let rest = self.bytes.expose_mut().get_mut(self.at..);
        for (place, byte) in rest.into_iter().flatten().zip(bytes) {
            *place = *byte;
        }
        self.at = self.at.saturating_add(bytes.len());
    }
}

impl Sink for Vec<u8> {
    fn bytes(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

fn key(out: &mut impl Sink, name: &str) {
    out.put("<key>");
    out.put(name);
    out.put("</key>\n");
}

fn string(out: &mut impl Sink, name: &str, text: &str) {
    key(out, name);
    out.put("<string>");
    // What XML cannot have at all (section 2.2 of XML 1.0) is among what is not printable.
    escaped(out, printable(text).as_bytes());
    out.put("</string>\n");
}

fn version(out: &mut impl Sink) {
    key(out, "PayloadVersion");
    out.put("<integer>1</integer>\n");
}

/// Character data (XML 1.0 section 2.4).
fn escaped(out: &mut impl Sink, text: &[u8]) {
    let mut rest = text;
    while let Some(place) = rest.iter().position(|byte| b"&<>\"'".contains(byte)) {
        let (before, after) = rest.split_at(place);
        out.bytes(before);
        out.put(match after.first() {
            Some(b'&') => "&amp;",
            Some(b'<') => "&lt;",
            Some(b'>') => "&gt;",
            Some(b'"') => "&quot;",
            _ => "&apos;",
        });
        rest = after.get(1..).unwrap_or_default();
    }
    out.bytes(rest);
}

/// Base64 in lines, through a buffer that is overwritten.
fn data(out: &mut impl Sink, bytes: &[u8]) {
    const LINE_BYTES: usize = 48;
    const LINE_CHARACTERS: usize = 64;
    out.put("<data>\n");
    let mut line = [0_u8; LINE_CHARACTERS];
    for chunk in bytes.chunks(LINE_BYTES) {
        if let Ok(text) = Base64::encode(chunk, &mut line) {
            out.put(text);
        }
        out.put("\n");
    }
    line.zeroize();
    out.put("</data>\n");
}
