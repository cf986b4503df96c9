//! Apple's Security framework: SecPKCS12Import, the Keychain, `security import`, and the certificate payload of a configuration profile.

use super::{Answer, Basis, Platform, Rule, What};
use crate::pfx::{EncryptionScheme, MacScheme, PasswordForm, Target};

const PKCS12: Rule = Rule(
    What::Encryption {
        scheme: EncryptionScheme::Pkcs12,
        ciphers: &["3des-cbc/168", "rc2-cbc/40"],
        prfs: &[],
    },
    Answer::Reads,
);
const SHA1: Rule = Rule(
    What::Mac {
        scheme: MacScheme::Classic,
        hashes: &["sha1"],
    },
    Answer::Reads,
);
const PBMAC1: Rule = Rule(
    What::Mac {
        scheme: MacScheme::Pbmac1,
        hashes: &[],
    },
    Answer::Refuses("Apple is not documented to read PBMAC1 (RFC 9579): it needs the classic MAC"),
);
const KEYS: Rule = Rule(
    What::Keys(&["rsa", "ec-p256", "ec-p384", "ec-p521"]),
    Answer::Reads,
);
/// Firefox and Thunderbird have always exported BER, and their exports are imported into the Keychain.
const BER: Rule = Rule(What::Ber, Answer::Reads);
const NULL_PASSWORD: Rule = Rule(
    What::Password(PasswordForm::Null),
    Answer::NotKnown(
        "imports with an empty password are reported to fail since macOS 15: give it a password",
    ),
);
const EMPTY_PASSWORD: Rule = Rule(
    What::EmptyPassword,
    Answer::NotKnown(
        "imports with an empty password are reported to fail since macOS 15: give it a password",
    ),
);

const ALL_READ: &str = "it reads everything that is in the file";

const IOS_MODERN: Answer =
    Answer::If("reported to fail as a wrong password up to iOS 17, and to work on newer ones");

pub(super) const IOS: Platform = Platform {
    target: Target::Ios,
    basis: Basis::Documentation,
    sources: &[
        "https://developer.apple.com/forums/thread/697030",
        "https://github.com/7ritn/VaulTLS/issues/176 (iOS 17 and the newest)",
        "https://github.com/OpenVPN/easy-rsa/pull/1057",
        "https://github.com/openssl/openssl/issues/19871 (SecPKCS12Import)",
    ],
    all_read: ALL_READ,
    rules: &[
        PKCS12,
        Rule(
            What::Encryption {
                scheme: EncryptionScheme::Pbes2,
                ciphers: &["aes-256-cbc"],
                prfs: &["hmac-sha256"],
            },
            IOS_MODERN,
        ),
        Rule(
            What::Encryption {
                scheme: EncryptionScheme::Pbes2,
                ciphers: &[],
                prfs: &[],
            },
            Answer::NotKnown("known are reports on AES-256 with HMAC-SHA-256 only"),
        ),
        SHA1,
        Rule(
            What::Mac {
                scheme: MacScheme::Classic,
                hashes: &["sha256"],
            },
            IOS_MODERN,
        ),
        PBMAC1,
        KEYS,
        BER,
        NULL_PASSWORD,
        EMPTY_PASSWORD,
    ],
};

const MACOS_MODERN: Answer = Answer::If(
    "reported to fail as a wrong password up to macOS 14, and to work on newer ones where the importing program says that it is PKCS#12 \
     (`security import -f pkcs12`)",
);

pub(super) const MACOS: Platform = Platform {
    target: Target::MacOs,
    basis: Basis::Documentation,
    sources: &[
        "https://developer.apple.com/forums/thread/697030",
        "https://github.com/tauri-apps/tauri/pull/15844 (macOS 26)",
        "https://github.com/chris2511/xca/issues/474 (macOS 13)",
        "https://github.com/codemagic-ci-cd/cli-tools/pull/436 (empty passwords on macOS 15.1)",
    ],
    all_read: ALL_READ,
    rules: &[
        PKCS12,
        Rule(
            What::Encryption {
                scheme: EncryptionScheme::Pbes2,
                ciphers: &["aes-256-cbc"],
                prfs: &["hmac-sha256"],
            },
            MACOS_MODERN,
        ),
        Rule(
            What::Encryption {
                scheme: EncryptionScheme::Pbes2,
                ciphers: &[],
                prfs: &[],
            },
            Answer::NotKnown("known are reports on AES-256 with HMAC-SHA-256 only"),
        ),
        SHA1,
        Rule(
            What::Mac {
                scheme: MacScheme::Classic,
                hashes: &["sha256"],
            },
            MACOS_MODERN,
        ),
        PBMAC1,
        KEYS,
        BER,
        NULL_PASSWORD,
        EMPTY_PASSWORD,
    ],
};
