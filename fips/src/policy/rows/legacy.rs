//! The rows of what files and devices of the past need: never approved, and most of it to read PFX files alone.

use super::{HMAC_BOUNDS, NOT_LISTED, PBKDF2_BOUNDS, Refused, refused};
use crate::policy::Exception;
use crate::policy::table::{Entry, IndicatorReading, Performer};
use IndicatorReading::{NoEvidence, StandsStill};
use Performer::{Module, Program};

const MODERN_FILE: &str = "export the PFX again with PBES2 (AES-256, PBKDF2 with a salt of 16 bytes) and PBMAC1, pass it on unopened \
                           (`import add --certificate`), or name the exception `pkcs12-legacy-read`";

pub(super) const HMAC_SHORT_KEY: Entry = Entry {
    bounds: HMAC_BOUNDS,
    ..refused(
        Refused {
            name: "hmac-short-key",
            operation: "message authentication (HMAC) with a key of less than 112 bits",
            parameters: "any key below 14 bytes",
            reason: "HMAC keys of less than 112 bits are not approved; the indicator does not look at the length",
            exception: Exception::Pkcs12LegacyRead,
            source: "SP 800-131A revision 2, section 10",
            remedy: MODERN_FILE,
            functions: &[
                "fips::hmac::sign",
                "fips::hmac::verify",
                "fips::hmac::Signer::new",
                "fips::hmac::Signer::finish",
            ],
        },
        Module,
        NoEvidence,
    )
};

pub(super) const PBKDF2_OUT_OF_BOUNDS: Entry = Entry {
    bounds: PBKDF2_BOUNDS,
    ..refused(
        Refused {
            name: "pbkdf2-out-of-bounds",
            operation: "key derivation from a password (PBKDF2) out of bounds",
            parameters: "a password below 14 bytes, a salt below 16 bytes or fewer than 1000 iterations",
            reason: "PBKDF2 needs a password of 14 bytes, a salt of 16 bytes and 1000 iterations",
            exception: Exception::Pkcs12LegacyRead,
            source: "SP 800-132 section 5; security policy, PBKDF2",
            remedy: MODERN_FILE,
            functions: &["fips::kdf::pbkdf2"],
        },
        Module,
        StandsStill,
    )
};

pub(super) const PKCS12_KDF_READ: Entry = refused(
    Refused {
        name: "pkcs12-kdf-read",
        operation: "key derivation from a password (PKCS#12), to read a PFX",
        parameters: "SHA-1, SHA-256, SHA-384, SHA-512",
        reason: "the module has no such service: it is built from digests here, and the indicator counts those",
        exception: Exception::Pkcs12LegacyRead,
        source: NOT_LISTED,
        remedy: MODERN_FILE,
        functions: &["fips::kdf::pkcs12"],
    },
    Program,
    NoEvidence,
);

pub(super) const PKCS12_KDF_WRITE: Entry = refused(
    Refused {
        name: "pkcs12-kdf-write",
        operation: "key derivation from a password (PKCS#12), to write a PFX",
        parameters: "SHA-1, SHA-256, SHA-384, SHA-512",
        reason: "the module has no such service: it is built from digests here, and the indicator counts those",
        exception: Exception::Pkcs12KdfMacWrite,
        source: NOT_LISTED,
        remedy: "write the file with PBMAC1 (RFC 9579), or name the exception `pkcs12-kdf-mac-write`",
        functions: &["fips::kdf::pkcs12"],
    },
    Program,
    NoEvidence,
);

pub(super) const TRIPLE_DES_ENCRYPT: Entry = refused(
    Refused {
        name: "triple-des-encrypt",
        operation: "encryption with Triple DES (CBC)",
        parameters: "three keys",
        reason: "Triple DES is not a service of the module, and disallowed since 2024",
        exception: Exception::TripleDesEncryption,
        source: "security policy, approved algorithms: not listed; SP 800-131A revision 2, section 2",
        remedy: "ask for the format `modern` or `compatible`, or name the exception `triple-des-encryption`",
        functions: &["fips::legacy::des_ede3_cbc_encrypt"],
    },
    Module,
    StandsStill,
);

pub(super) const TRIPLE_DES_DECRYPT: Entry = refused(
    Refused {
        name: "triple-des-decrypt",
        operation: "decryption with Triple DES (CBC)",
        parameters: "two or three keys",
        reason: "Triple DES is not a service of the module",
        exception: Exception::Pkcs12LegacyRead,
        source: NOT_LISTED,
        remedy: MODERN_FILE,
        functions: &["fips::legacy::des_ede3_cbc_decrypt"],
    },
    Module,
    StandsStill,
);

pub(super) const RC2_DECRYPT: Entry = refused(
    Refused {
        name: "rc2-decrypt",
        operation: "decryption with RC2 (CBC)",
        parameters: "40 and 128 bits",
        reason: "RC2 is not an approved algorithm anywhere",
        exception: Exception::Pkcs12LegacyRead,
        source: NOT_LISTED,
        remedy: MODERN_FILE,
        functions: &["fips::legacy::rc2_cbc_decrypt"],
    },
    Module,
    StandsStill,
);
