//! What a PFX shows of itself: its encoding, its integrity check, its parts, their bags, and every algorithm.

use super::{Algorithm, EncryptionFacts, KeyFacts, MacFacts, MacScheme};
use crate::pfx::{CertificateFacts, LARGEST_CERTIFICATE};
use serde::Serialize;

/// Everything that is visible in a PFX: without its password, or, after it was opened, also what the encrypted parts hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Survey {
    /// Size of the whole file, in bytes.
    pub size_bytes: usize,
    /// How it is encoded.
    pub encoding: Encoding,
    /// Version of the PFX structure; 3 is the only one there is.
    pub version: u8,
    /// Octets after the end of the structure, such as the zeros of some exports. Nothing reads them.
    pub trailing_octets: usize,
    /// How changes are noticed.
    pub integrity: Integrity,
    /// The parts of the AuthenticatedSafe, in the order of the file.
    pub parts: Vec<Part>,
    /// Whether it was opened: `false` when only what needs no password was looked at.
    pub opened: bool,
    /// How the password had to be encoded, once it was opened.
    pub password_form: Option<PasswordForm>,
}

/// The encoding rules of X.690 that a file follows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Encoding {
    /// Whether it is DER in every place that was looked at; BER otherwise.
    pub der: bool,
    /// What of BER it uses that DER does not allow.
    pub ber_forms: Vec<BerForm>,
}

/// What BER allows and DER does not (X.690 section 10).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum BerForm {
    /// A length that says "until the end marker" (section 8.1.3.6).
    IndefiniteLength,
    /// A length in more octets than needed (section 8.1.3.5).
    LongLength,
    /// An OCTET STRING in pieces (section 8.7.3).
    StringInPieces,
}

/// How changes of the file are noticed (RFC 7292 section 4).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", tag = "mode")]
#[non_exhaustive]
pub enum Integrity {
    /// Not at all: there is no MacData.
    None,
    /// By a MAC under the password (password integrity mode).
    Mac(MacFacts),
    /// By a signature (public-key integrity mode), which is not supported.
    Signature,
}

/// One part of the AuthenticatedSafe: a ContentInfo with a SafeContents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Part {
    /// How it is kept secret.
    pub protection: Protection,
    /// Its bags, those within bags too; `None` while they are not visible.
    pub bags: Option<Vec<Bag>>,
    /// What of its protection is not supported, so that it stays closed under any password.
    pub not_supported: Option<String>,
}

/// How a part is kept secret (RFC 7292 section 4).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", tag = "mode")]
#[non_exhaustive]
pub enum Protection {
    /// Not at all; its key bags may be encrypted one by one.
    Plain,
    /// Encrypted under the password (password privacy mode).
    Password(EncryptionFacts),
    /// Encrypted to certificates (public-key privacy mode), which is not supported.
    PublicKey,
    /// A content type that PKCS#12 does not have.
    Unknown {
        /// In words and as object identifier.
        content_type: String,
    },
}

/// One bag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Bag {
    /// What it holds.
    pub kind: BagKind,
    /// How many SafeContents bags it is within.
    pub depth: usize,
    /// In words and as object identifier: what a secret, a CRL, a certificate of a rare kind or an unknown bag is.
    pub of_type: Option<String>,
    /// How this bag itself is encrypted (key bags, and the secrets of Java).
    pub encryption: Option<EncryptionFacts>,
    /// friendlyName (RFC 2985 section 5.5.1): printable, at most 256 characters.
    pub friendly_name: Option<String>,
    /// localKeyID (RFC 2985 section 5.5.2), lower-case hexadecimal.
    pub local_key_id: Option<String>,
    /// The provider that Microsoft's exports name (1.3.6.1.4.1.311.17.1).
    pub microsoft_provider: Option<String>,
    /// Whether Java marks it as a trusted certificate (2.16.840.1.113894.746875.1.1).
    pub java_trusted: bool,
    /// Attributes that are there with a value of another type than theirs, and were ignored.
    pub broken_attributes: Vec<String>,
    /// What of its encryption is not supported, so that it stays closed under any password (key bags).
    pub not_supported: Option<String>,
    /// The key, when it could be read.
    pub key: Option<KeyFacts>,
    /// The certificate, when it parses: those from before RFC 2459 may have dates in forms that are no longer read, and one that
    /// [is too large](Self::certificate_is_too_large) is not tried.
    pub certificate: Option<CertificateFacts>,
    /// The certificate as it is in the file (DER).
    #[serde(skip)]
    pub certificate_der: Option<Vec<u8>>,
}

/// What a bag holds (RFC 7292 section 4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum BagKind {
    /// A private key in clear (keyBag).
    Key,
    /// An encrypted private key (pkcs8ShroudedKeyBag).
    ShroudedKey,
    /// An X.509 certificate (certBag).
    Certificate,
    /// A certificate of another kind (certBag with sdsiCertificate, or an unknown type).
    OtherCertificate,
    /// A certificate revocation list (crlBag).
    Crl,
    /// Something secret of another kind (secretBag), such as Java's symmetric keys.
    Secret,
    /// Bags within a bag (safeContentsBag). They follow, one deeper.
    SafeContents,
    /// A bag type that PKCS#12 does not have.
    Unknown,
}

/// How the password was turned into octets. PKCS#12 knows one way for each place; some writers went others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum PasswordForm {
    /// As the standards say: BMPString with two zeros (UTF-16 beyond it), UTF-8 for PBES2 and PBMAC1.
    Standard,
    /// The empty password as no password at all: without the two zeros.
    Null,
    /// Each octet of its UTF-8 as a character of its own (OpenSSL before 1.1.0).
    OctetsAsCharacters,
    /// ISO-8859-1 for PBES2 (Bouncy Castle's old default).
    Latin1,
    /// The BMPString for PBES2 too (NSS before 3.31).
    BmpForPbes2,
}

impl From<crate::ber::Forms> for Encoding {
    fn from(forms: crate::ber::Forms) -> Self {
        let seen = [
            (forms.indefinite_length, BerForm::IndefiniteLength),
            (forms.long_length, BerForm::LongLength),
            (forms.string_in_pieces, BerForm::StringInPieces),
        ];
        Self {
            der: !forms.any(),
            ber_forms: seen
                .into_iter()
                .filter_map(|(seen, form)| seen.then_some(form))
                .collect(),
        }
    }
}

impl Bag {
    /// Whether it holds a certificate of more than 64 KiB. Such a one is an entry like others, and joined to its key, but nothing else of
    /// it is looked into.
    #[must_use]
    pub fn certificate_is_too_large(&self) -> bool {
        let der = self.certificate_der.as_ref();
        der.is_some_and(|der| der.len() > LARGEST_CERTIFICATE)
    }
}

impl Survey {
    /// Every algorithm that protects something, in the order of the file and each as often as it is used.
    pub fn algorithms(&self) -> impl Iterator<Item = &Algorithm> {
        let mac = match &self.integrity {
            Integrity::Mac(mac) => Some(&mac.algorithm),
            Integrity::None | Integrity::Signature => None,
        };
        let parts = self.parts.iter().flat_map(|part| {
            let own = match &part.protection {
                Protection::Password(facts) => Some(&facts.algorithm),
                _ => None,
            };
            let bags = part.bags.iter().flatten();
            own.into_iter().chain(bags.filter_map(|bag| {
                let facts = bag.encryption.as_ref()?;
                Some(&facts.algorithm)
            }))
        });
        mac.into_iter().chain(parts)
    }

    /// Of these algorithms those that opening the file takes: what is not supported stays closed, and a secret of Java's is not decrypted.
    pub fn algorithms_to_open(&self) -> impl Iterator<Item = &Algorithm> {
        let mac = self.mac().map(|mac| &mac.algorithm);
        let parts = self.parts.iter().flat_map(|part| {
            let own = match &part.protection {
                Protection::Password(facts) if part.not_supported.is_none() => {
                    Some(&facts.algorithm)
                }
                _ => None,
            };
            let keys = part.bags.iter().flatten();
            let keys =
                keys.filter(|bag| bag.kind != BagKind::Secret && bag.not_supported.is_none());
            own.into_iter().chain(keys.filter_map(|bag| {
                let facts = bag.encryption.as_ref()?;
                Some(&facts.algorithm)
            }))
        });
        let all = mac.into_iter().chain(parts);
        all.filter(|algorithm| algorithm.supported)
    }

    /// Whether a password may show a private key: in a part that it may open, or in one that is seen.
    #[must_use]
    pub fn may_show_a_key(&self) -> bool {
        self.parts.iter().any(|part| match &part.bags {
            None => part.not_supported.is_none(),
            Some(bags) => bags.iter().any(|bag| {
                matches!(bag.kind, BagKind::Key | BagKind::ShroudedKey)
                    && bag.not_supported.is_none()
            }),
        })
    }

    /// Every bag that is visible, in the order of the file.
    pub fn bags(&self) -> impl Iterator<Item = &Bag> {
        self.parts
            .iter()
            .flat_map(|part| part.bags.iter().flatten())
    }

    /// What stays closed under any password, each thing once, in words: parts and keys whose protection is not supported.
    #[must_use]
    pub fn not_supported(&self) -> Vec<&str> {
        let parts = self.parts.iter().flat_map(|part| {
            let bags = part.bags.iter().flatten();
            let keys = bags.filter_map(|bag| bag.not_supported.as_deref());
            part.not_supported.as_deref().into_iter().chain(keys)
        });
        let mut found: Vec<&str> = Vec::new();
        for what in parts {
            if !found.contains(&what) {
                found.push(what);
            }
        }
        found
    }

    /// Whether every part shows its bags: after it was opened with nothing closed left, or in a file nothing of which is encrypted but
    /// single keys.
    #[must_use]
    pub fn bags_are_all_visible(&self) -> bool {
        self.parts.iter().all(|part| part.bags.is_some())
    }

    /// Every encryption under the password that is visible, of parts and of bags.
    pub fn encryptions(&self) -> impl Iterator<Item = &EncryptionFacts> {
        self.parts.iter().flat_map(|part| {
            let own = match &part.protection {
                Protection::Password(facts) => Some(facts),
                _ => None,
            };
            let bags = part.bags.iter().flatten();
            own.into_iter()
                .chain(bags.filter_map(|bag| bag.encryption.as_ref()))
        })
    }

    /// The integrity check under the password.
    #[must_use]
    pub fn mac(&self) -> Option<&MacFacts> {
        match &self.integrity {
            Integrity::Mac(mac) => Some(mac),
            Integrity::None | Integrity::Signature => None,
        }
    }

    /// The most iterations of one visible derivation.
    #[must_use]
    pub fn most_iterations(&self) -> Option<u64> {
        let mac = self.mac().and_then(|mac| mac.iterations);
        self.encryptions()
            .filter_map(|facts| facts.iterations)
            .chain(mac)
            .max()
    }

    /// The iterations of all visible derivations together.
    #[must_use]
    pub fn all_iterations(&self) -> Option<u64> {
        let mac = self.mac().and_then(|mac| mac.iterations);
        self.encryptions()
            .filter_map(|facts| facts.iterations)
            .chain(mac)
            .reduce(u64::saturating_add)
    }

    /// Whether a visible derivation is PBKDF2.
    #[must_use]
    pub fn uses_pbkdf2(&self) -> bool {
        self.mac()
            .is_some_and(|mac| mac.scheme == MacScheme::Pbmac1)
            || self
                .encryptions()
                .any(|facts| facts.kdf.as_deref() == Some("pbkdf2"))
    }
}
