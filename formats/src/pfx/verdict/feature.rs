//! The things of a file that a reader may know or not know.

use super::PasswordFacts;
use crate::pfx::{
    Bag, BagKind, EncryptionFacts, Integrity, KeyFacts, MacFacts, PasswordForm, Protection, Survey,
};
use fips::policy::bounds;

/// One thing of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Feature<'a> {
    /// Integrity by a MAC.
    Mac(&'a MacFacts),
    /// No integrity check.
    NoMac,
    /// Integrity by a signature.
    Signature,
    /// Encryption of a part or of a bag under the password.
    Encryption(&'a EncryptionFacts),
    /// Encryption to certificates.
    PublicKey,
    /// A part of an unknown content type.
    UnknownPart(&'a str),
    /// A private key in clear.
    KeyInClear,
    /// BER where DER is usual.
    Ber,
    /// A private key.
    Key(&'a KeyFacts),
    /// No private key, in a file all of which was seen.
    NoKey {
        /// Whether Java's mark of trust is on every certificate.
        java_trusted: bool,
    },
    /// Nothing at all, in a file all of which was seen.
    NoEntries,
    /// Several private keys.
    SeveralKeys(usize),
    /// A secret that is no private key.
    Secret {
        /// Whether it is a symmetric key as Java keeps them.
        of_java: bool,
    },
    /// Private keys and no certificate at all.
    KeyWithoutCertificate,
    /// A private key whose local key id no certificate has, beside certificates.
    KeyNotJoined,
    /// A private key without a local key id, beside certificates.
    KeyWithoutId {
        /// Whether it is the only key, and the first thing of a part behind it is a certificate without one too.
        certificate_follows: bool,
    },
    /// Several private keys with the same local key id.
    SharedId,
    /// A part or a key that stays closed in this program, since what protects it is not supported.
    Closed {
        /// What.
        what: &'a str,
        /// Whether a private key may be read nevertheless.
        rest_is_read: bool,
    },
    /// How the password had to be encoded.
    Password(PasswordForm),
    /// A password of no characters.
    EmptyPassword,
    /// A password with other characters than those of printable ASCII.
    PasswordNotAscii,
    /// A password of so few bytes that PBKDF2 with it is not approved.
    ShortPassword(usize),
    /// The most iterations of one derivation.
    Iterations(u64),
    /// The iterations of all derivations together.
    AllIterations(u64),
}

/// Everything of a file that a reader could stumble over, in the order in which it would meet it.
pub(super) fn features<'a>(
    survey: &'a Survey,
    password: Option<PasswordFacts>,
) -> Vec<Feature<'a>> {
    let mut found = Vec::new();
    if !survey.encoding.der {
        found.push(Feature::Ber);
    }
    found.push(match &survey.integrity {
        Integrity::None => Feature::NoMac,
        Integrity::Mac(mac) => Feature::Mac(mac),
        Integrity::Signature => Feature::Signature,
    });
    for part in &survey.parts {
        match &part.protection {
            Protection::Plain => {}
            Protection::Password(facts) => found.push(Feature::Encryption(facts)),
            Protection::PublicKey => found.push(Feature::PublicKey),
            Protection::Unknown { content_type } => found.push(Feature::UnknownPart(content_type)),
        }
        for bag in part.bags.iter().flatten() {
            of_bag(bag, &mut found);
        }
    }
    let keys = survey.bags().filter(|bag| is_key(bag)).count();
    let whole = survey.bags_are_all_visible();
    match keys {
        0 if whole && survey.bags().next().is_none() => found.push(Feature::NoEntries),
        0 if whole => {
            let mut certificates = survey.bags().filter(|bag| bag.kind == BagKind::Certificate);
            found.push(Feature::NoKey {
                java_trusted: certificates.all(|bag| bag.java_trusted),
            });
        }
        0 | 1 => {}
        several => found.push(Feature::SeveralKeys(several)),
    }
    if whole && keys > 0 && !survey.bags().any(|bag| bag.kind == BagKind::Certificate) {
        found.push(Feature::KeyWithoutCertificate);
    } else if whole {
        of_ids(survey, keys, &mut found);
    }
    if let Some(form) = survey.password_form {
        found.push(Feature::Password(form));
    }
    if let Some(password) = password {
        of_password(password, survey, &mut found);
    }
    found.extend(survey.most_iterations().map(Feature::Iterations));
    found.extend(survey.all_iterations().map(Feature::AllIterations));
    let rest_is_read = survey.may_show_a_key();
    found.extend(
        survey
            .not_supported()
            .into_iter()
            .map(|what| Feature::Closed { what, rest_is_read }),
    );
    found
}

/// How local key ids join the keys to certificates.
fn of_ids<'a>(survey: &Survey, keys: usize, found: &mut Vec<Feature<'a>>) {
    let mut ids: Vec<&str> = Vec::new();
    let (mut shared, mut not_joined, mut without) = (false, false, false);
    for key in survey.bags().filter(|bag| is_key(bag)) {
        match key.local_key_id.as_deref() {
            None => without = true,
            Some(id) => {
                not_joined |= !survey.bags().any(|bag| {
                    bag.kind == BagKind::Certificate && bag.local_key_id.as_deref() == Some(id)
                });
                shared |= ids.contains(&id);
                ids.push(id);
            }
        }
    }
    if without {
        found.push(Feature::KeyWithoutId {
            certificate_follows: keys == 1 && certificate_follows(survey),
        });
    }
    if not_joined {
        found.push(Feature::KeyNotJoined);
    }
    if shared {
        found.push(Feature::SharedId);
    }
}

/// Whether a part behind the one with the key begins with a certificate without a local key id.
fn certificate_follows(survey: &Survey) -> bool {
    survey
        .parts
        .iter()
        .skip_while(|part| !part.bags.iter().flatten().any(is_key))
        .skip(1)
        .filter_map(|part| part.bags.as_ref()?.first())
        .any(|bag| bag.kind == BagKind::Certificate && bag.local_key_id.is_none())
}

fn of_password<'a>(password: PasswordFacts, survey: &Survey, found: &mut Vec<Feature<'a>>) {
    if password.bytes == 0 {
        found.push(Feature::EmptyPassword);
    }
    if !password.printable_ascii {
        found.push(Feature::PasswordNotAscii);
    }
    if password.bytes < bounds::PBKDF2_PASSWORD_BYTES && survey.uses_pbkdf2() {
        found.push(Feature::ShortPassword(password.bytes));
    }
}

fn of_bag<'a>(bag: &'a Bag, found: &mut Vec<Feature<'a>>) {
    match bag.kind {
        BagKind::Key => found.push(Feature::KeyInClear),
        BagKind::Secret => found.push(Feature::Secret {
            of_java: bag.encryption.is_some(),
        }),
        _ => {}
    }
    // What protects a secret of Java's matters to Java alone, and Java wrote it.
    if bag.kind != BagKind::Secret {
        found.extend(bag.encryption.as_ref().map(Feature::Encryption));
    }
    found.extend(bag.key.as_ref().map(Feature::Key));
}

fn is_key(bag: &Bag) -> bool {
    matches!(bag.kind, BagKind::Key | BagKind::ShroudedKey)
}

impl Feature<'_> {
    /// What it is, in words.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Mac(mac) => format!("integrity by {}", mac.algorithm.text),
            Self::NoMac => "no integrity check".to_owned(),
            Self::Signature => "integrity by a signature".to_owned(),
            Self::Encryption(facts) => facts.algorithm.text.clone(),
            Self::PublicKey => "encryption to a certificate".to_owned(),
            Self::UnknownPart(content_type) => format!("a part of type {content_type}"),
            Self::KeyInClear => "a private key in clear".to_owned(),
            Self::Ber => "BER encoding".to_owned(),
            Self::Key(key) => format!("{} key", key.text),
            Self::NoEntries => "no entries".to_owned(),
            Self::NoKey { .. } => "no private key".to_owned(),
            Self::SeveralKeys(count) => format!("{count} private keys"),
            Self::Secret { .. } => "a secret that is no private key".to_owned(),
            Self::Password(PasswordForm::Null) => "an empty password as none at all".to_owned(),
            Self::Password(PasswordForm::OctetsAsCharacters) => {
                "a password beyond ASCII, each octet a character (old OpenSSL)".to_owned()
            }
            Self::Password(PasswordForm::Latin1) => {
                "a password as ISO-8859-1 (old Bouncy Castle)".to_owned()
            }
            Self::Password(PasswordForm::BmpForPbes2) => {
                "a password as BMPString for PBES2 (old NSS)".to_owned()
            }
            Self::Password(_) => "the password".to_owned(),
            Self::KeyWithoutCertificate => "a private key without a certificate".to_owned(),
            Self::KeyNotJoined => {
                "a private key with another local key id than any certificate".to_owned()
            }
            Self::KeyWithoutId { .. } => "a private key without a local key id".to_owned(),
            Self::SharedId => "several private keys with the same local key id".to_owned(),
            Self::Closed { what, .. } => (*what).to_owned(),
            Self::EmptyPassword => "an empty password".to_owned(),
            Self::PasswordNotAscii => "a password beyond printable ASCII".to_owned(),
            Self::ShortPassword(bytes) => format!("a password of {bytes} bytes"),
            Self::Iterations(count) => format!("{count} iterations"),
            Self::AllIterations(count) => format!("{count} iterations in all"),
        }
    }
}
