//! Android: the certificate installer and KeyChain, which read PKCS#12 with the platform's own, reduced Bouncy Castle.

use super::{Answer, Basis, Platform, Rule, What};
use crate::pfx::{EncryptionScheme, MacScheme, Target};

pub(super) const ANDROID: Platform = Platform {
    target: Target::Android,
    basis: Basis::Documentation,
    sources: &[
        "https://github.com/thevindu-w/clip_share_server/pull/48 (Android 13 and older)",
        "https://github.com/thevindu-w/clip_share_server/pull/58 (a MAC with SHA-256 on Android 11)",
        "https://github.com/strongswan/strongswan-docs/issues/5 (Android 12)",
        "https://github.com/NeySlim/ultimate-ca-manager/issues/331 (Android 16)",
        "https://github.com/chris2511/xca/pull/389",
    ],
    all_read: "it reads everything that is in the file",
    rules: &[
        Rule(
            What::Encryption {
                scheme: EncryptionScheme::Pkcs12,
                ciphers: &["3des-cbc/168", "rc2-cbc/40"],
                prfs: &[],
            },
            Answer::Reads,
        ),
        Rule(
            What::Encryption {
                scheme: EncryptionScheme::Pbes2,
                ciphers: &["aes-256-cbc"],
                prfs: &["hmac-sha256"],
            },
            Answer::If(
                "reported to fail as a wrong password up to Android 13, and to work on newer ones",
            ),
        ),
        Rule(
            What::Encryption {
                scheme: EncryptionScheme::Pbes2,
                ciphers: &[],
                prfs: &[],
            },
            Answer::NotKnown("known are reports on AES-256 with HMAC-SHA-256 only"),
        ),
        Rule(
            What::Mac {
                scheme: MacScheme::Classic,
                hashes: &["sha1"],
            },
            Answer::Reads,
        ),
        Rule(
            What::Mac {
                scheme: MacScheme::Classic,
                hashes: &["sha256"],
            },
            Answer::If(
                "reported to fail on some devices with Android 11 and older; SHA-1 works on all",
            ),
        ),
        Rule(
            What::Mac {
                scheme: MacScheme::Pbmac1,
                hashes: &[],
            },
            Answer::Refuses(
                "Android is not documented to read PBMAC1 (RFC 9579): it needs the classic MAC",
            ),
        ),
        Rule(
            What::Keys(&["rsa", "ec-p256", "ec-p384", "ec-p521"]),
            Answer::Reads,
        ),
        // Bouncy Castle reads BER.
        Rule(What::Ber, Answer::Reads),
    ],
};
