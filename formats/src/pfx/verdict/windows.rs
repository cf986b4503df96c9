//! Windows: PFXImportCertStore, and with it the import wizard, Import-PfxCertificate, Intune and Outlook.

use super::{Answer, Basis, Platform, Rule, What};
use crate::pfx::{EncryptionScheme, MacScheme, PasswordForm, Target};

const NO_PBMAC1: Answer = Answer::Refuses(
    "Windows is not documented to read PBMAC1 (RFC 9579): it needs the classic MAC",
);
const KEYS: Rule = Rule(
    What::Keys(&["rsa", "ec-p256", "ec-p384", "ec-p521"]),
    Answer::Reads,
);
const OTHER_KEYS: Rule = Rule(
    What::Keys(&["ed25519", "ed448"]),
    Answer::Refuses("Windows has no keys of this kind"),
);
/// Firefox and Thunderbird have always exported BER, and their exports are imported into Windows.
const BER: Rule = Rule(What::Ber, Answer::Reads);
const CLASSIC_SHA1: Rule = Rule(
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
    NO_PBMAC1,
);
const PKCS12: Rule = Rule(
    What::Encryption {
        scheme: EncryptionScheme::Pkcs12,
        ciphers: &["3des-cbc/168", "rc2-cbc/40"],
        prfs: &[],
    },
    Answer::Reads,
);
const ITERATIONS: Rule = Rule(
    What::IterationsAbove(300_000),
    Answer::ReadsNoting(
        "X509CertificateLoader of .NET (9 and newer) refuses more than 300,000 iterations of one derivation, unless the program says otherwise",
    ),
);
const ALL_ITERATIONS: Rule = Rule(
    What::AllIterationsAbove(600_000),
    Answer::ReadsNoting(
        "programs on .NET that give no password are refused more than 600,000 iterations in all; X509CertificateLoader (.NET 9 and newer) \
         refuses more than 1,000,000 beside those of the MAC, unless the program says otherwise",
    ),
);
const NO_MAC: Rule = Rule(What::NoMac, Answer::Reads);
const NO_KEY: Rule = Rule(What::NoKey, Answer::Reads);
const NO_ENTRIES: Rule = Rule(What::NoEntries, Answer::Reads);
const KEY_WITHOUT_ID: Rule = Rule(What::KeyWithoutId, Answer::Reads);
const NULL_PASSWORD: Rule = Rule(What::Password(PasswordForm::Null), Answer::Reads);
const EMPTY_PASSWORD: Rule = Rule(What::EmptyPassword, Answer::Reads);
const PUBLIC_KEY: Rule = Rule(
    What::PublicKeyMode,
    Answer::NotKnown("Windows reads the protection to accounts of its own domain only"),
);
const SECRET: Rule = Rule(
    What::Secret,
    Answer::Refuses("an import that meets a secret bag is reported to fail as a whole"),
);

const ALL_READ: &str = "it reads everything that is in the file";

/// What writes and reads TripleDES-SHA1 only.
pub(super) const SERVER_2016: Platform = Platform {
    target: Target::WindowsServer2016,
    basis: Basis::Documentation,
    sources: &[
        "https://learn.microsoft.com/en-us/troubleshoot/windows-server/certificates-and-public-key-infrastructure-pki/cannot-import-aes256-sha256-encrypted-pfx-certificate",
        "https://learn.microsoft.com/en-us/windows/win32/api/wincrypt/ns-wincrypt-pkcs12_pbes2_export_params",
        "https://github.com/ansible-collections/ansible.windows/pull/582",
        "https://github.com/dotnet/runtime/pull/112806 (Windows 8.1 and older write RC2-40)",
        "https://github.com/dotnet/runtime/issues/92921 (secret bags)",
        "https://support.microsoft.com/kb/5025823 and https://github.com/dotnet/runtime/pull/87514 (iterations)",
        "https://github.com/dotnet/runtime/blob/main/src/libraries/Common/src/System/Security/Cryptography/X509Certificates/Pkcs12LoaderLimits.cs (iterations)",
        "https://github.com/dotnet/runtime/blob/main/src/libraries/System.Security.Cryptography/tests/X509Certificates/PfxFormatTests.cs (no MAC, no key, no local key ids, empty passwords: Microsoft's tests of Windows)",
    ],
    all_read: ALL_READ,
    rules: &[
        PKCS12,
        Rule(
            What::Encryption {
                scheme: EncryptionScheme::Pbes2,
                ciphers: &[],
                prfs: &[],
            },
            Answer::Refuses(
                "it knows no PBES2 (AES), and says that the password is incorrect: it needs PKCS#12 encryption with 3DES",
            ),
        ),
        CLASSIC_SHA1,
        Rule(
            What::Mac {
                scheme: MacScheme::Classic,
                hashes: &[],
            },
            Answer::NotKnown("known to be read is the classic MAC with SHA-1"),
        ),
        PBMAC1,
        KEYS,
        OTHER_KEYS,
        BER,
        SECRET,
        NO_MAC,
        NO_KEY,
        NO_ENTRIES,
        KEY_WITHOUT_ID,
        NULL_PASSWORD,
        EMPTY_PASSWORD,
        ITERATIONS,
        ALL_ITERATIONS,
        PUBLIC_KEY,
    ],
};

/// What writes and reads AES256-SHA256 too.
pub(super) const SERVER_2019: Platform = Platform {
    target: Target::Windows2019,
    basis: Basis::Documentation,
    sources: &[
        "https://learn.microsoft.com/en-us/windows/win32/api/wincrypt/ns-wincrypt-pkcs12_pbes2_export_params",
        "https://github.com/strongswan/strongswan-docs/issues/5 (OpenSSL 3's default form on Windows 10)",
        "https://github.com/dotnet/runtime/issues/92921 (secret bags)",
        "https://support.microsoft.com/kb/5025823 and https://github.com/dotnet/runtime/pull/87514 (iterations)",
        "https://github.com/dotnet/runtime/blob/main/src/libraries/Common/src/System/Security/Cryptography/X509Certificates/Pkcs12LoaderLimits.cs (iterations)",
        "https://github.com/dotnet/runtime/blob/main/src/libraries/System.Security.Cryptography/tests/X509Certificates/PfxFormatTests.cs (no MAC, no key, no local key ids, empty passwords: Microsoft's tests of Windows)",
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
            Answer::Reads,
        ),
        Rule(
            What::Encryption {
                scheme: EncryptionScheme::Pbes2,
                ciphers: &[],
                prfs: &[],
            },
            Answer::NotKnown("documented is PBES2 with AES-256 and HMAC-SHA-256 only"),
        ),
        CLASSIC_SHA1,
        Rule(
            What::Mac {
                scheme: MacScheme::Classic,
                hashes: &["sha256"],
            },
            Answer::Reads,
        ),
        PBMAC1,
        KEYS,
        OTHER_KEYS,
        BER,
        SECRET,
        NO_MAC,
        NO_KEY,
        NO_ENTRIES,
        KEY_WITHOUT_ID,
        NULL_PASSWORD,
        EMPTY_PASSWORD,
        ITERATIONS,
        ALL_ITERATIONS,
        PUBLIC_KEY,
    ],
};
