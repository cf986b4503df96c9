//! The rows of the table: what is decided about every service, and where that is written.
//!
//! "Security policy" is the one of certificates 5314 and 5298 (AWS-LC FIPS 3.1.0). Its table 8 lists what is "non-approved, not
//! allowed". What its list of approved algorithms does not name is not approved either.

mod legacy;

use super::table::{Bound, Entry, IndicatorReading, Performer, Standing, bounds};
use super::{Exception, Service};

const fn approved(
    name: &'static str,
    operation: &'static str,
    parameters: &'static str,
    source: &'static str,
    functions: &'static [&'static str],
) -> Entry {
    Entry {
        name,
        operation,
        parameters,
        bounds: &[],
        performer: Performer::Module,
        standing: Standing::Approved,
        source,
        remedy: "",
        indicator: IndicatorReading::Moves,
        functions,
    }
}

/// The parts of a row that is not approved.
struct Refused {
    name: &'static str,
    operation: &'static str,
    parameters: &'static str,
    reason: &'static str,
    exception: Exception,
    source: &'static str,
    remedy: &'static str,
    functions: &'static [&'static str],
}

const fn refused(row: Refused, performer: Performer, indicator: IndicatorReading) -> Entry {
    Entry {
        name: row.name,
        operation: row.operation,
        parameters: row.parameters,
        bounds: &[],
        performer,
        standing: Standing::NotApproved {
            reason: row.reason,
            exception: row.exception,
        },
        source: row.source,
        remedy: row.remedy,
        indicator,
        functions: row.functions,
    }
}

const fn token(
    name: &'static str,
    operation: &'static str,
    parameters: &'static str,
    source: &'static str,
    functions: &'static [&'static str],
) -> Entry {
    Entry {
        performer: Performer::Token,
        indicator: IndicatorReading::NoEvidence,
        ..approved(name, operation, parameters, source, functions)
    }
}

const HMAC_BOUNDS: &[Bound] = &[Bound {
    name: "key, bytes",
    minimum: bounds::HMAC_KEY_BYTES as u64,
    tested: None,
}];

/// Password 14 to 128, iterations 1000 to 10000: the ranges of the module's algorithm certificate, as its security policy gives them.
const PBKDF2_BOUNDS: &[Bound] = &[
    Bound {
        name: "password, bytes",
        minimum: bounds::PBKDF2_PASSWORD_BYTES as u64,
        tested: Some((14, 128)),
    },
    Bound {
        name: "salt, bytes",
        minimum: bounds::PBKDF2_SALT_BYTES as u64,
        tested: None,
    },
    Bound {
        name: "iterations",
        minimum: bounds::PBKDF2_ITERATIONS as u64,
        tested: Some((1000, 10_000)),
    },
];

const TABLE_8: &str = "security policy, table 8 (non-approved, not allowed): RSA encryption primitive with PKCS#1 v1.5 and OAEP padding";
const NOT_LISTED: &str = "security policy, approved algorithms: not listed";

/// The row of a service: every one has exactly one, and a service without one does not compile.
#[expect(
    clippy::too_many_lines,
    reason = "a table is read as one; there is nothing else in this function"
)]
pub(super) const fn row(service: Service) -> Entry {
    use IndicatorReading::NoEvidence;
    use Performer::{Module, Program};
    match service {
        // --- Approved, by the module -------------------------------------------------------------------------------
        Service::Random => approved(
            "random",
            "random bytes (CTR_DRBG with AES-256)",
            "any length; seeded from outside of the module (the certificate's caveat)",
            "security policy, approved algorithms: Counter DRBG, SP 800-90A",
            &[
                "fips::random::fill",
                "fips::random::array",
                "fips::random::secret",
                "fips::random::alphanumeric",
                "fips::random::uuid_v4",
            ],
        ),
        Service::Digest => approved(
            "digest",
            "hashing",
            "SHA-1, SHA-256, SHA-384, SHA-512; nothing here signs with SHA-1",
            "security policy, approved algorithms: SHA-1 and SHA-2, FIPS 180-4",
            &["fips::digest::digest", "fips::digest::Hasher::finish"],
        ),
        Service::Hmac => Entry {
            bounds: HMAC_BOUNDS,
            ..approved(
                "hmac",
                "message authentication (HMAC)",
                "SHA-1, SHA-224, SHA-256, SHA-384, SHA-512, SHA-512/224, SHA-512/256; key of 112 bits or more",
                "security policy, approved algorithms: HMAC, FIPS 198-1; SP 800-131A for the length of the key",
                &[
                    "fips::hmac::sign",
                    "fips::hmac::verify",
                    "fips::hmac::Signer::new",
                    "fips::hmac::Signer::finish",
                ],
            )
        },
        Service::Hkdf => approved(
            "hkdf",
            "key derivation (HKDF, one-step extract and expand)",
            "HMAC with SHA-1, SHA-256, SHA-384, SHA-512; salt and info not empty",
            "security policy, approved algorithms: KDA HKDF, SP 800-56C revision 2",
            &["fips::kdf::hkdf"],
        ),
        Service::Pbkdf2 => Entry {
            bounds: PBKDF2_BOUNDS,
            ..approved(
                "pbkdf2",
                "key derivation from a password (PBKDF2)",
                "HMAC with SHA-1, SHA-224, SHA-256, SHA-384, SHA-512, SHA-512/224, SHA-512/256. SP 800-132 permits the key for storage only: a PFX file is a key in storage, on its way to \
                 the device that stores it, and nothing is sent under such a key",
                "security policy, approved algorithms: PBKDF2 option 1a, SP 800-132",
                &["fips::kdf::pbkdf2"],
            )
        },
        Service::AesCbc => approved(
            "aes-cbc",
            "encryption and decryption (AES-CBC)",
            "128, 192, 256 bits; padding of RFC 5652; the IV of an encryption is random",
            "security policy, approved algorithms: AES-CBC, SP 800-38A",
            &[
                "fips::aes::cbc_encrypt",
                "fips::aes::cbc_encrypt_random_iv",
                "fips::aes::cbc_decrypt",
            ],
        ),
        Service::AesGcm => approved(
            "aes-gcm",
            "authenticated encryption and decryption (AES-GCM)",
            "128 and 256 bits; nonce of 96 bits made in the module (SP 800-38D section 8.2.2), tag of 128 bits; others' messages are opened with the nonce \
             and the tag (96 to 128 bits) that they have",
            "security policy, approved algorithms: AES-GCM with an internal IV, SP 800-38D",
            &[
                "fips::aes::gcm_seal",
                "fips::aes::gcm_open",
                "fips::aes::gcm_open_detached",
            ],
        ),
        Service::AesKeyWrap => approved(
            "aes-key-wrap",
            "key wrapping (AES-KW, AES-KWP)",
            "128, 192, 256 bits; default initial value",
            "security policy, approved algorithms: AES-KW and AES-KWP, SP 800-38F",
            &[
                "fips::aes::key_wrap",
                "fips::aes::key_unwrap",
                "fips::aes::key_wrap_padded",
                "fips::aes::key_unwrap_padded",
            ],
        ),
        Service::RsaKeyGeneration => approved(
            "rsa-key-generation",
            "RSA key generation",
            "2048, 3072, 4096 bits, exponent 65537",
            "security policy, approved algorithms: RSA KeyGen, FIPS 186-5",
            &[
                "fips::rsa::PrivateKey::generate",
                "fips::sign::SigningKey::generate",
            ],
        ),
        Service::EcKeyGeneration => approved(
            "ec-key-generation",
            "EC key generation",
            "P-256, P-384, P-521",
            "security policy, approved algorithms: ECDSA KeyGen, FIPS 186-5",
            &[
                "fips::ec::PrivateKey::generate",
                "fips::ec::agree_ephemeral",
                "fips::sign::SigningKey::generate",
            ],
        ),
        Service::SignatureGeneration => approved(
            "signature-generation",
            "digital signature generation",
            "ECDSA on P-256, P-384, P-521; RSA PKCS#1 v1.5 and PSS of 2048 bits or more, an even number of them; SHA-256, SHA-384, SHA-512",
            "security policy, approved algorithms: ECDSA SigGen, RSA SigGen, FIPS 186-5",
            &[
                "fips::sign::SigningKey::sign",
                "fips::sign::SigningKey::sign_with",
            ],
        ),
        Service::SignatureVerification => approved(
            "signature-verification",
            "digital signature verification",
            "as for generation",
            "security policy, approved algorithms: ECDSA SigVer, RSA SigVer, FIPS 186-5",
            &["fips::sign::verify"],
        ),
        Service::Tls => Entry {
            indicator: NoEvidence,
            ..approved(
                "tls",
                "TLS 1.2 and 1.3, as one composite service",
                "AES-GCM suites; ECDHE on P-256 and P-384, and X25519MLKEM768, whose approved half is ML-KEM-768; extended master secret required",
                "security policy, approved algorithms: TLS KDF with extended master secret (RFC 7627), KAS-ECC-SSC with ephemeral keys within TLS, ML-KEM; \
                 evidence is rustls' fips() on every configuration",
                &[
                    "fips::tls::assert_fips_client",
                    "fips::tls::assert_fips_server",
                    "fips::tls::client_config",
                    "fips::tls::client_config_with_key",
                    "fips::tls::server_config",
                    "fips::tls::record_served",
                ],
            )
        },
        // --- Not approved, by the module ---------------------------------------------------------------------------
        Service::HmacShortKey => legacy::HMAC_SHORT_KEY,
        Service::HmacMd5 => legacy::HMAC_MD5,
        Service::Pbkdf2OutOfBounds => legacy::PBKDF2_OUT_OF_BOUNDS,
        Service::Pbkdf2Md5 => legacy::PBKDF2_MD5,
        Service::RsaOaepEncrypt => refused(
            Refused {
                name: "rsa-oaep-encrypt",
                operation: "RSA key transport in the module (RSAES-OAEP encryption)",
                parameters: "2048 to 8192 bits; SHA-1, SHA-256, SHA-384, SHA-512, MGF1 with the same",
                reason: "non-approved and not allowed in this module; the indicator counts the hash inside",
                exception: Exception::RsaKeyTransportInModule,
                source: TABLE_8,
                remedy: "let a token encrypt (C_Encrypt; for `import` name one in [import.token]), or name the exception `rsa-key-transport-in-module`",
                functions: &[
                    "fips::rsa::PublicKey::encrypt_oaep",
                    "fips::rsa::PublicKey::encrypt_oaep_with_label",
                ],
            },
            Module,
            NoEvidence,
        ),
        Service::RsaOaepDecrypt => refused(
            Refused {
                name: "rsa-oaep-decrypt",
                operation: "RSA decryption in the module (RSAES-OAEP)",
                parameters: "2048 to 8192 bits; SHA-1, SHA-256, SHA-384, SHA-512, MGF1 with the same; to read others' messages also SHA-224, SHA-512/224, SHA-512/256, and MGF1 with another one",
                reason: "non-approved and not allowed in this module; the indicator counts the hash inside",
                exception: Exception::RsaKeyTransportInModule,
                source: TABLE_8,
                remedy: "keep the key on a token, or name the exception `rsa-key-transport-in-module`",
                functions: &[
                    "fips::rsa::PrivateKey::decrypt_oaep",
                    "fips::rsa::PrivateKey::decrypt_oaep_with_label",
                    "fips::rsa::ReadingKey::decrypt_oaep",
                ],
            },
            Module,
            NoEvidence,
        ),
        Service::RsaPkcs1v15Encrypt => refused(
            Refused {
                name: "rsa-pkcs1v15-encrypt",
                operation: "RSA key transport in the module (RSAES-PKCS1-v1_5 encryption)",
                parameters: "2048 to 8192 bits",
                reason: "non-approved and not allowed in this module; the indicator counts the random bytes inside",
                exception: Exception::CmsRsaPkcs1v15,
                source: TABLE_8,
                remedy: "ask for the format `modern`, or name the exception `cms-rsa-pkcs1v15`",
                functions: &["fips::rsa::PublicKey::encrypt_pkcs1v15"],
            },
            Module,
            NoEvidence,
        ),
        Service::RsaPkcs1v15Decrypt => refused(
            Refused {
                name: "rsa-pkcs1v15-decrypt",
                operation: "RSA decryption in the module (RSAES-PKCS1-v1_5)",
                parameters: "2048 to 8192 bits",
                reason: "non-approved and not allowed in this module",
                exception: Exception::CmsRsaPkcs1v15,
                source: TABLE_8,
                remedy: "use RSAES-OAEP on a token, or name the exception `cms-rsa-pkcs1v15`",
                functions: &[
                    "fips::rsa::PrivateKey::decrypt_pkcs1v15",
                    "fips::rsa::ReadingKey::decrypt_pkcs1v15",
                ],
            },
            Module,
            NoEvidence,
        ),
        Service::RsaShortKeyDecrypt => refused(
            Refused {
                name: "rsa-short-key-decrypt",
                operation: "RSA decryption in the module with a key of less than 2048 bits, to read an old message",
                parameters: "1024 to 2047 bits; RSAES-PKCS1-v1_5 and RSAES-OAEP",
                reason: "keys of less than 112 bits of strength protect nothing any more; the module allows no RSA decryption",
                exception: Exception::Pkcs12LegacyRead,
                source: "SP 800-131A revision 2, section 6; security policy, table 8",
                remedy: "have the message encrypted to a key of 2048 bits or more, or name the exception `pkcs12-legacy-read`",
                functions: &[
                    "fips::rsa::ReadingKey::decrypt_oaep",
                    "fips::rsa::ReadingKey::decrypt_pkcs1v15",
                ],
            },
            Module,
            NoEvidence,
        ),
        Service::Ecdh => refused(
            Refused {
                name: "ecdh",
                operation: "key agreement outside of TLS (ECDH)",
                parameters: "P-256, P-384, P-521; an ephemeral key of ours, a static key of the device's",
                reason: "the module approves key agreement with ephemeral keys on both sides, within TLS; the indicator does not know the difference",
                exception: Exception::CmsEcdhStatic,
                source: "security policy, approved algorithms: KAS-ECC-SSC (ephemeral unified; static keys are not supported; to be used with TLS)",
                remedy: "give the device an RSA certificate, or name the exception `cms-ecdh-static`",
                functions: &["fips::ec::PrivateKey::agree", "fips::ec::agree_ephemeral"],
            },
            Module,
            NoEvidence,
        ),
        Service::X963Kdf => refused(
            Refused {
                name: "x963-kdf",
                operation: "key derivation (ANSI X9.63)",
                parameters: "SHA-1, SHA-224, SHA-256, SHA-384, SHA-512, SHA-512/224, SHA-512/256",
                reason: "the module has no such service: it is built from digests here, and the indicator counts those",
                exception: Exception::CmsEcdhStatic,
                source: NOT_LISTED,
                remedy: "give the device an RSA certificate, or name the exception `cms-ecdh-static`",
                functions: &["fips::kdf::x963"],
            },
            Program,
            NoEvidence,
        ),
        Service::Pkcs12KdfRead => legacy::PKCS12_KDF_READ,
        Service::Pkcs12KdfWrite => legacy::PKCS12_KDF_WRITE,
        Service::Pbkdf1 => legacy::PBKDF1,
        Service::Scrypt => legacy::SCRYPT,
        Service::CmpPbmac1 => legacy::CMP_PBMAC1,
        Service::CmpPasswordBasedMac => legacy::CMP_PASSWORD_BASED_MAC,
        Service::TripleDesEncrypt => legacy::TRIPLE_DES_ENCRYPT,
        Service::TripleDesDecrypt => legacy::TRIPLE_DES_DECRYPT,
        Service::Rc2Decrypt => legacy::RC2_DECRYPT,
        Service::DesDecrypt => legacy::DES_DECRYPT,
        Service::Rc4Decrypt => legacy::RC4_DECRYPT,
        // --- By the token ------------------------------------------------------------------------------------------
        Service::TokenOaepDecrypt => token(
            "token-oaep-decrypt",
            "custody decryption by the token (RSAES-OAEP, C_Decrypt)",
            "2048 to 4096 bits; the hashes that the token was seen to do; SHA-1 too, as a hash inside of OAEP",
            "SP 800-56B revision 2 (KTS-OAEP); the token's own certificate, which the operator states",
            &["hsm::Custody::decrypt"],
        ),
        Service::TokenOaepEncrypt => token(
            "token-oaep-encrypt",
            "RSA key transport by the token (RSAES-OAEP, C_Encrypt with the public key as a session object)",
            "2048 bits or more, exponent of 65537 or more; the hashes that the token was seen to do",
            "SP 800-56B revision 2 (KTS-OAEP); the token's own certificate, which the operator states",
            &["hsm::Custody::encrypt"],
        ),
        Service::TokenKeyGeneration => token(
            "token-key-generation",
            "key generation on the token (C_GenerateKeyPair)",
            "RSA of 2048, 3072, 4096 bits for custody and for transport; RSA and EC on P-256 and P-384 to sign reports; EC on P-256, P-384, P-521 for key agreement; AES of 256 bits for transport \
             (C_GenerateKey)",
            "FIPS 186-5, SP 800-133; the token's own certificate, which the operator states",
            &[
                "hsm::pkcs11::Pkcs11Custody::generate",
                "hsm::pkcs11::Pkcs11Custody::generate_replicable",
                "hsm::pkcs11::Pkcs11Custody::generate_signing_key",
                "hsm::pkcs11::Pkcs11Custody::generate_agreement_key",
                "hsm::pkcs11::Pkcs11Custody::make_transport_key",
                "hsm::pkcs11::Pkcs11Custody::wrap_for",
            ],
        ),
        Service::TokenKeyWrap => token(
            "token-key-wrap",
            "key wrapping by the token (C_WrapKey), to copy a custody key to another token",
            "the private key under AES-256 with AES-KWP; the AES key under a transport key of the receiver with RSAES-OAEP, not shorter than the key that \
             is copied; SHA-1 too, as a hash inside of OAEP",
            "SP 800-38F (AES-KWP), SP 800-56B revision 2 (KTS-OAEP); the token's own certificate, which the operator states",
            &[
                "hsm::pkcs11::Pkcs11Custody::wrap_for",
                "hsm::pkcs11::Pkcs11Custody::make_transport_key",
            ],
        ),
        Service::TokenKeyUnwrap => token(
            "token-key-unwrap",
            "key unwrapping by the token (C_UnwrapKey), to receive a copy of a custody key",
            "as for wrapping; what comes out is sensitive and not extractable from the first moment",
            "SP 800-38F (AES-KWP), SP 800-56B revision 2 (KTS-OAEP); the token's own certificate, which the operator states",
            &[
                "hsm::pkcs11::Pkcs11Custody::unwrap",
                "hsm::pkcs11::Pkcs11Custody::make_transport_key",
            ],
        ),
        Service::TokenSignature => token(
            "token-signature",
            "signature by the token (C_Sign)",
            "RSA PSS with SHA-256; ECDSA on P-256 and P-384 over a digest of the module",
            "FIPS 186-5; the token's own certificate, which the operator states",
            &["hsm::pkcs11::Pkcs11Custody::sign"],
        ),
        Service::TokenEcdh => refused(
            Refused {
                name: "token-ecdh",
                operation: "key agreement by the token (CKM_ECDH1_DERIVE with CKD_NULL)",
                parameters: "P-256, P-384, P-521; a static key of the token, a point of the peer's that the module has found on the curve",
                reason: "the token performs the primitive alone: the shared secret leaves it, and keys are derived outside of it",
                exception: Exception::CmsEcdhStatic,
                source: "SP 800-56A revision 3, section 6.2.2.2 (C(1e, 1s, ECC CDH)): the scheme is the primitive of section 5.7.1.2 together with the key \
                         derivation of section 5.8, and the shared secret is destroyed by whoever computed it",
                remedy: "use an RSA key of the token (`token-oaep-decrypt`), or name the exception `cms-ecdh-static`",
                functions: &[
                    "hsm::pkcs11::Pkcs11Custody::derive_ecdh",
                    "hsm::pkcs11::Pkcs11Custody::generate_agreement_key",
                ],
            },
            Performer::Token,
            NoEvidence,
        ),
        Service::TokenRawRsaOaep => refused(
            Refused {
                name: "token-raw-rsa-oaep",
                operation: "RSAES-OAEP by the token's raw RSA operation (CKM_RSA_X_509), with the padding in software",
                parameters: "hashes that the token does not do itself",
                reason: "the padding is removed by the program, outside of every module",
                exception: Exception::OaepUnpaddingInSoftware,
                source: "SP 800-56B revision 2 asks for the whole scheme within a module",
                remedy: "import with a padding that the token does itself (`key show` names it), or name the exception `oaep-unpadding-in-software`",
                functions: &["hsm::Custody::decrypt"],
            },
            Program,
            NoEvidence,
        ),
        Service::TokenRawRsaPkcs1v15 => Entry {
            standing: Standing::OffOnly {
                reason: PKCS1_CUSTODY,
            },
            ..refused(
                Refused {
                    name: "token-raw-rsa-pkcs1v15",
                    operation: "custody decryption of RSAES-PKCS1-v1_5 by the token's raw RSA operation (CKM_RSA_X_509), with the padding in software",
                    parameters: "custody keys that `engine.pkcs1_keys` names, until the date there",
                    reason: PKCS1_CUSTODY,
                    exception: Exception::CmsRsaPkcs1v15,
                    source: SP_800_131A_PKCS1,
                    remedy: PKCS1_REMEDY,
                    functions: &["hsm::Custody::decrypt"],
                },
                Program,
                NoEvidence,
            )
        },
        Service::TokenPkcs1v15 => Entry {
            standing: Standing::OffOnly {
                reason: PKCS1_CUSTODY,
            },
            ..refused(
                Refused {
                    name: "token-pkcs1v15",
                    operation: "custody decryption of RSAES-PKCS1-v1_5 by the token (CKM_RSA_PKCS)",
                    parameters: "custody keys that `engine.pkcs1_keys` names, until the date there, on tokens without CKM_RSA_X_509",
                    reason: PKCS1_CUSTODY,
                    exception: Exception::CmsRsaPkcs1v15,
                    source: SP_800_131A_PKCS1,
                    remedy: PKCS1_REMEDY,
                    functions: &["hsm::Custody::decrypt"],
                },
                Performer::Token,
                NoEvidence,
            )
        },
    }
}

const PKCS1_CUSTODY: &str = "RSA key transport with PKCS #1 v1.5 padding is disallowed, and its decryption is what Bleichenbacher's attack needs: no exception permits it for custody";
const SP_800_131A_PKCS1: &str =
    "SP 800-131A revision 2, section 6 (disallowed after 2023); RFC 8017 section 7.2";
const PKCS1_REMEDY: &str = "import the records again with an OAEP padding; until then an engine of its own in mode off can re-encrypt them (`engine.pkcs1_keys`, `key rotate`)";
