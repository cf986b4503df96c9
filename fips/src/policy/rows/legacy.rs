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
        parameters: "MD5, SHA-1, SHA-224, SHA-256, SHA-384, SHA-512, SHA-512/224, SHA-512/256",
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
        parameters: "two or three keys; the key wrap of RFC 3217 with three",
        reason: "Triple DES is not a service of the module",
        exception: Exception::Pkcs12LegacyRead,
        source: NOT_LISTED,
        remedy: MODERN_FILE,
        functions: &[
            "fips::legacy::des_ede3_cbc_decrypt",
            "fips::legacy::des_ede3_key_unwrap",
        ],
    },
    Module,
    StandsStill,
);

pub(super) const RC2_DECRYPT: Entry = refused(
    Refused {
        name: "rc2-decrypt",
        operation: "decryption with RC2 (CBC)",
        parameters: "keys of 1 to 128 bytes with 1 to 1024 effective bits; files have 40, 64 and 128",
        reason: "RC2 is not an approved algorithm anywhere",
        exception: Exception::Pkcs12LegacyRead,
        source: NOT_LISTED,
        remedy: MODERN_FILE,
        functions: &["fips::legacy::rc2_cbc_decrypt"],
    },
    Module,
    StandsStill,
);

pub(super) const HMAC_MD5: Entry = refused(
    Refused {
        name: "hmac-md5",
        operation: "message authentication (HMAC) with MD5",
        parameters: "any key",
        reason: "MD5 is not an approved algorithm; the module has it beside its services",
        exception: Exception::Pkcs12LegacyRead,
        source: NOT_LISTED,
        remedy: MODERN_FILE,
        functions: &["fips::hmac::sign", "fips::hmac::verify"],
    },
    Module,
    StandsStill,
);

pub(super) const PBKDF2_MD5: Entry = refused(
    Refused {
        name: "pbkdf2-md5",
        operation: "key derivation from a password (PBKDF2) with MD5",
        parameters: "any password, salt and number of iterations",
        reason: "MD5 is not an approved algorithm; the module has it beside its services",
        exception: Exception::Pkcs12LegacyRead,
        source: NOT_LISTED,
        remedy: MODERN_FILE,
        functions: &["fips::kdf::pbkdf2"],
    },
    Module,
    StandsStill,
);

pub(super) const PBKDF1: Entry = refused(
    Refused {
        name: "pbkdf1",
        operation: "key derivation from a password (PBKDF1), to read a PFX",
        parameters: "MD5, SHA-1",
        reason: "the module has no such service: it is built from digests here, and the indicator counts those",
        exception: Exception::Pkcs12LegacyRead,
        source: NOT_LISTED,
        remedy: MODERN_FILE,
        functions: &["fips::kdf::pbkdf1"],
    },
    Program,
    NoEvidence,
);

pub(super) const SCRYPT: Entry = refused(
    Refused {
        name: "scrypt",
        operation: "key derivation from a password (scrypt), to read a PFX",
        parameters: "costs that RFC 7914 allows, in memory that the caller bounds",
        reason: "scrypt is not an approved algorithm; it is in the library beside the module",
        exception: Exception::Pkcs12LegacyRead,
        source: NOT_LISTED,
        remedy: MODERN_FILE,
        functions: &["fips::kdf::scrypt"],
    },
    Module,
    StandsStill,
);

const SIGNED_MESSAGES: &str = "give the connector a certificate and let it sign its messages, agree on a random secret that is the HMAC key itself (`hmac`), or \
                               name the exception `cmp-shared-secret`";

pub(super) const CMP_PBMAC1: Entry = refused(
    Refused {
        name: "cmp-pbmac1",
        operation: "key derivation from a shared secret (PBKDF2), to authenticate CMP messages with PBMAC1",
        parameters: "HMAC with SHA-1, SHA-256, SHA-384, SHA-512",
        reason: "keys that PBKDF2 derives are approved for storage only, and this one protects what is sent",
        exception: Exception::CmpSharedSecret,
        source: "SP 800-132 sections 1 and 5.4; security policy, PBKDF2",
        remedy: SIGNED_MESSAGES,
        functions: &["fips::kdf::pbmac1_message_key"],
    },
    Module,
    NoEvidence,
);

pub(super) const CMP_PASSWORD_BASED_MAC: Entry = refused(
    Refused {
        name: "cmp-password-based-mac",
        operation: "key derivation from a shared secret (iterated hash), to authenticate CMP messages with PasswordBasedMac",
        parameters: "SHA-1, SHA-256, SHA-384, SHA-512",
        reason: "the module has no such service: it is built from digests here, and the indicator counts those",
        exception: Exception::CmpSharedSecret,
        source: NOT_LISTED,
        remedy: SIGNED_MESSAGES,
        functions: &["fips::kdf::password_based_mac_key"],
    },
    Program,
    NoEvidence,
);

pub(super) const DES_DECRYPT: Entry = refused(
    Refused {
        name: "des-decrypt",
        operation: "decryption with DES (CBC)",
        parameters: "one key",
        reason: "DES is not an approved algorithm since 2005",
        exception: Exception::Pkcs12LegacyRead,
        source: "security policy, approved algorithms: not listed; FIPS 46-3 was withdrawn",
        remedy: MODERN_FILE,
        functions: &["fips::legacy::des_cbc_decrypt"],
    },
    Module,
    StandsStill,
);

pub(super) const RC4_DECRYPT: Entry = refused(
    Refused {
        name: "rc4-decrypt",
        operation: "decryption with RC4",
        parameters: "keys of 1 to 32 bytes; files have 40 and 128 bits",
        reason: "RC4 is not an approved algorithm anywhere",
        exception: Exception::Pkcs12LegacyRead,
        source: NOT_LISTED,
        remedy: MODERN_FILE,
        functions: &["fips::legacy::rc4_decrypt"],
    },
    Module,
    StandsStill,
);
