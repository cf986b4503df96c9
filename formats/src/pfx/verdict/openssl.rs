//! OpenSSL 3 with the default provider, as programs use it that load no other.

use super::{Answer, Basis, Platform, Rule, What};
use crate::pfx::{EncryptionScheme, MacScheme, PasswordForm, Target};

const LEGACY: Answer =
    Answer::If("with the legacy provider only (`-legacy` on the command line of OpenSSL)");

pub(super) const OPENSSL3: Platform = Platform {
    target: Target::OpenSsl3,
    basis: Basis::Tried {
        version: "OpenSSL 3.0",
    },
    sources: &[
        "https://docs.openssl.org/3.0/man7/OSSL_PROVIDER-legacy/",
        "https://docs.openssl.org/3.0/man1/openssl-pkcs12/",
        "https://docs.openssl.org/3.4/man3/PKCS12_gen_mac/ (PBMAC1 since 3.4)",
    ],
    all_read: "it reads everything that is in the file",
    rules: &[
        Rule(
            What::Encryption {
                scheme: EncryptionScheme::Pkcs12,
                ciphers: &["3des-cbc"],
                prfs: &[],
            },
            Answer::Reads,
        ),
        Rule(
            What::Encryption {
                scheme: EncryptionScheme::Pkcs12,
                ciphers: &["rc2-cbc", "rc4"],
                prfs: &[],
            },
            LEGACY,
        ),
        Rule(
            What::Encryption {
                scheme: EncryptionScheme::Pbes2,
                ciphers: &["aes-128-cbc", "aes-192-cbc", "aes-256-cbc", "3des-cbc"],
                prfs: &[],
            },
            Answer::Reads,
        ),
        Rule(
            What::Encryption {
                scheme: EncryptionScheme::Pbes2,
                ciphers: &["des-cbc", "rc2-cbc"],
                prfs: &[],
            },
            LEGACY,
        ),
        Rule(
            What::Encryption {
                scheme: EncryptionScheme::Pbes1,
                ciphers: &[],
                prfs: &[],
            },
            LEGACY,
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
            Answer::If("from OpenSSL 3.4 on; older ones say that the digest algorithm is unknown"),
        ),
        Rule(What::NoMac, Answer::Reads),
        Rule(
            What::PublicKeyMode,
            Answer::Refuses("PKCS#12 functions of OpenSSL know the password modes only"),
        ),
        Rule(
            What::Keys(&[
                "rsa", "rsa-pss", "ec-p256", "ec-p384", "ec-p521", "ec", "dsa", "dh", "ed25519",
                "ed448", "x25519", "x448",
            ]),
            Answer::Reads,
        ),
        Rule(What::Ber, Answer::Reads),
        Rule(What::Secret, Answer::Reads),
        Rule(What::Password(PasswordForm::Null), Answer::Reads),
        Rule(
            What::Password(PasswordForm::OctetsAsCharacters),
            Answer::ReadsNoting("the command line tries that encoding too; programs may not"),
        ),
        Rule(What::EmptyPassword, Answer::Reads),
        Rule(What::PasswordNotAscii, Answer::Reads),
    ],
};
