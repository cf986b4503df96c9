//! Java: the PKCS12 key store of the JDK.

use super::{Answer, Basis, Platform, Rule, What};
use crate::pfx::{EncryptionScheme, MacScheme, PasswordForm, Target};

pub(super) const JAVA: Platform = Platform {
    target: Target::Java,
    basis: Basis::Tried { version: "Java 17" },
    sources: &[
        "https://bugs.openjdk.org/browse/JDK-8076190 (AES in key stores; in 8u301 and 11.0.12)",
        "https://github.com/openjdk/jdk/pull/24429 (JDK-8343232, PBMAC1: open when Java 25 came; its CSR is JDK-8370042)",
        "https://docs.oracle.com/en/java/javase/17/docs/specs/security/standard-names.html",
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
                ciphers: &["aes-128-cbc", "aes-256-cbc"],
                prfs: &[
                    "hmac-sha1",
                    "hmac-sha224",
                    "hmac-sha256",
                    "hmac-sha384",
                    "hmac-sha512",
                ],
            },
            Answer::ReadsNoting("from Java 8u301 and 11.0.12 on"),
        ),
        Rule(
            What::Encryption {
                scheme: EncryptionScheme::Pbes2,
                ciphers: &[],
                prfs: &[],
            },
            Answer::Refuses(
                "within PBES2 it reads AES-128 and AES-256 with PBKDF2 and HMAC-SHA-1, -224, -256, -384 or -512 only",
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
                "where it has JDK-8343232, which came after Java 25; others say that there is no such algorithm",
            ),
        ),
        Rule(What::NoMac, Answer::Reads),
        Rule(
            What::PublicKeyMode,
            Answer::Refuses("it reads the password modes only"),
        ),
        Rule(
            What::KeyInClear,
            Answer::Refuses(
                "it passes over private keys that are not encrypted: the key store is empty",
            ),
        ),
        Rule(What::KeyWithoutCertificate, Answer::Reads),
        Rule(
            What::OneKeyWithoutIdThenCertificate,
            Answer::NotKnown(
                "it takes that certificate for the key's, whichever it is, and no other",
            ),
        ),
        Rule(
            What::KeyWithoutId,
            Answer::Refuses(
                "it finds the certificate of a key by their local key ids: the key comes without its certificate, or not at all",
            ),
        ),
        Rule(
            What::KeyNotJoined,
            Answer::Refuses(
                "it finds the certificate of a key by their local key ids: the key comes without its certificate",
            ),
        ),
        Rule(
            What::SharedId,
            Answer::Refuses("it gives each of these keys the same certificate"),
        ),
        Rule(
            What::NoKeyAndNoTrust,
            Answer::Refuses(
                "it passes over certificates without a private key, but for those that Java itself marked as trusted",
            ),
        ),
        Rule(
            What::Keys(&[
                "rsa", "rsa-pss", "ec-p256", "ec-p384", "ec-p521", "dsa", "dh", "ed25519", "ed448",
                "x25519", "x448",
            ]),
            Answer::Reads,
        ),
        Rule(
            What::SecretOfOthers,
            Answer::Refuses(
                "it reads no secrets but its own, and says that the password is incorrect",
            ),
        ),
        Rule(What::Secret, Answer::Reads),
        Rule(What::Ber, Answer::Reads),
        Rule(
            What::PasswordNotAscii,
            Answer::Refuses("it takes passwords of printable ASCII only"),
        ),
        Rule(What::EmptyPassword, Answer::Reads),
        Rule(What::Password(PasswordForm::Null), Answer::Reads),
        Rule(
            What::IterationsAbove(5_000_000),
            Answer::Refuses("it refuses more than 5,000,000 iterations"),
        ),
    ],
};
