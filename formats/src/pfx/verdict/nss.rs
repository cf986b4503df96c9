//! NSS: Firefox, Thunderbird and `pk12util`.

use super::{Answer, Basis, Platform, Rule, What};
use crate::pfx::{EncryptionScheme, MacScheme, PasswordForm, Target};

pub(super) const NSS: Platform = Platform {
    target: Target::Nss,
    basis: Basis::Tried {
        version: "NSS 3.87",
    },
    sources: &[
        "https://firefox-source-docs.mozilla.org/security/nss/releases/index.html (3.101: PBMAC1, bug 1793811)",
        "https://bugzilla.mozilla.org/show_bug.cgi?id=1793811",
    ],
    all_read: "it reads everything that is in the file",
    rules: &[
        Rule(
            What::Encryption {
                scheme: EncryptionScheme::Pkcs12,
                ciphers: &["3des-cbc/112"],
                prfs: &[],
            },
            Answer::Refuses("it knows no 3DES with two keys"),
        ),
        Rule(
            What::Encryption {
                scheme: EncryptionScheme::Pkcs12,
                ciphers: &["3des-cbc", "rc2-cbc", "rc4"],
                prfs: &[],
            },
            Answer::Reads,
        ),
        Rule(
            What::Encryption {
                scheme: EncryptionScheme::Pbes2,
                ciphers: &[
                    "aes-128-cbc",
                    "aes-192-cbc",
                    "aes-256-cbc",
                    "3des-cbc",
                    "rc2-cbc",
                ],
                prfs: &[
                    "hmac-sha1",
                    "hmac-sha224",
                    "hmac-sha256",
                    "hmac-sha384",
                    "hmac-sha512",
                ],
            },
            Answer::Reads,
        ),
        Rule(
            What::Encryption {
                scheme: EncryptionScheme::Pbes2,
                ciphers: &[
                    "aes-128-cbc",
                    "aes-192-cbc",
                    "aes-256-cbc",
                    "3des-cbc",
                    "rc2-cbc",
                ],
                prfs: &[],
            },
            Answer::Refuses(
                "within PBES2 it reads PBKDF2 with HMAC-SHA-1, -224, -256, -384 or -512 only",
            ),
        ),
        Rule(
            What::Mac {
                scheme: MacScheme::Classic,
                hashes: &["sha1", "sha224", "sha256", "sha384", "sha512"],
            },
            Answer::Reads,
        ),
        Rule(
            What::Mac {
                scheme: MacScheme::Pbmac1,
                hashes: &[],
            },
            Answer::If(
                "from NSS 3.101 on (Firefox 128); older ones say that the password is incorrect",
            ),
        ),
        Rule(
            What::NoMac,
            Answer::Refuses("it refuses files without an integrity check as improperly formatted"),
        ),
        Rule(
            What::PublicKeyMode,
            Answer::Refuses("it reads the password modes only"),
        ),
        Rule(
            What::KeyWithoutCertificate,
            Answer::Refuses("it imports no private key without its certificate"),
        ),
        Rule(
            What::NoEntries,
            Answer::Refuses("there is nothing in it to import"),
        ),
        Rule(
            What::KeyNotJoined,
            Answer::Refuses("it finds the certificate of a key by their local key ids alone"),
        ),
        Rule(
            What::KeyWithoutId,
            Answer::Refuses("it finds the certificate of a key by their local key ids alone"),
        ),
        Rule(
            What::SharedId,
            Answer::Refuses("it takes the same certificate for each of these keys, and fails"),
        ),
        Rule(
            What::Keys(&["rsa", "ec-p256", "ec-p384", "ec-p521", "dsa"]),
            Answer::Reads,
        ),
        Rule(
            What::Keys(&["ed25519", "ed448", "x448"]),
            Answer::Refuses("it cannot import keys of this kind"),
        ),
        Rule(What::Ber, Answer::Reads),
        Rule(What::Password(PasswordForm::BmpForPbes2), Answer::Reads),
        Rule(What::Password(PasswordForm::Null), Answer::Reads),
        Rule(What::EmptyPassword, Answer::Reads),
        Rule(What::PasswordNotAscii, Answer::Reads),
    ],
};
