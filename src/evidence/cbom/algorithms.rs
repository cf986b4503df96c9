//! The algorithms behind each service of the policy table.

use super::algorithm::{
    Algorithm, aes, ec_key, ecdh, ecdsa, hash, hmac, kdf, plain, rsa, triple_des,
};
use fips::policy::Service;

type Algorithms = &'static [Algorithm];
type Functions = &'static [&'static str];

const DIGESTS: Algorithms = &[
    hash("SHA-1", "160", "1.3.14.3.2.26"),
    hash("SHA-256", "256", "2.16.840.1.101.3.4.2.1"),
    hash("SHA-384", "384", "2.16.840.1.101.3.4.2.2"),
    hash("SHA-512", "512", "2.16.840.1.101.3.4.2.3"),
];

const HMACS: Algorithms = &[
    hmac("HMAC-SHA-1", "1.2.840.113549.2.7"),
    hmac("HMAC-SHA-256", "1.2.840.113549.2.9"),
    hmac("HMAC-SHA-384", "1.2.840.113549.2.10"),
    hmac("HMAC-SHA-512", "1.2.840.113549.2.11"),
];

const RANDOM: Algorithms = &[plain("CTR_DRBG-AES-256", "drbg", &["generate"])];

const HKDF: Algorithms = &[kdf("HKDF")];
const X963_KDF: Algorithms = &[kdf("ANSI-X9.63-KDF")];
const PKCS12_KDF: Algorithms = &[kdf("PKCS#12-KDF")];
const PBKDF2: Algorithms = &[Algorithm {
    oid: Some("1.2.840.113549.1.5.12"),
    ..kdf("PBKDF2")
}];

const PBKDF1: Algorithms = &[kdf("PBKDF1")];
const SCRYPT: Algorithms = &[kdf("scrypt")];
const PASSWORD_BASED_MAC: Algorithms = &[kdf("PasswordBasedMac")];
const HMAC_MD5: Algorithms = &[plain("HMAC-MD5", "mac", &["tag"])];

const AES_CBC: Algorithms = &[
    aes("AES-128-CBC", "128", "cbc", "2.16.840.1.101.3.4.1.2"),
    aes("AES-192-CBC", "192", "cbc", "2.16.840.1.101.3.4.1.22"),
    aes("AES-256-CBC", "256", "cbc", "2.16.840.1.101.3.4.1.42"),
];
const AES_GCM: Algorithms = &[
    aes("AES-128-GCM", "128", "gcm", "2.16.840.1.101.3.4.1.6"),
    aes("AES-256-GCM", "256", "gcm", "2.16.840.1.101.3.4.1.46"),
];
const AES_KEY_WRAP: Algorithms = &[
    aes("AES-128-KW", "128", "other", "2.16.840.1.101.3.4.1.5"),
    aes("AES-192-KW", "192", "other", "2.16.840.1.101.3.4.1.25"),
    aes("AES-256-KW", "256", "other", "2.16.840.1.101.3.4.1.45"),
    aes("AES-128-KWP", "128", "other", "2.16.840.1.101.3.4.1.8"),
    aes("AES-192-KWP", "192", "other", "2.16.840.1.101.3.4.1.28"),
    AES_256_KWP,
];
const AES_256_KWP: Algorithm = aes("AES-256-KWP", "256", "other", "2.16.840.1.101.3.4.1.48");

const RSA: &str = "1.2.840.113549.1.1.1";
const RSA_KEY: Algorithm = rsa("RSA", "other", None, RSA, &["keygen"]);
const EC_KEYS: Algorithms = &[
    ec_key("EC-P256", "P-256"),
    ec_key("EC-P384", "P-384"),
    ec_key("EC-P521", "P-521"),
];
const TOKEN_KEYS: Algorithms = &[
    RSA_KEY,
    ec_key("EC-P256", "P-256"),
    ec_key("EC-P384", "P-384"),
];

const fn p256(functions: Functions) -> Algorithm {
    ecdsa(
        "ECDSA-P256-SHA256",
        "P-256",
        "1.2.840.10045.4.3.2",
        functions,
    )
}

const fn p384(functions: Functions) -> Algorithm {
    ecdsa(
        "ECDSA-P384-SHA384",
        "P-384",
        "1.2.840.10045.4.3.3",
        functions,
    )
}

const fn p521(functions: Functions) -> Algorithm {
    ecdsa(
        "ECDSA-P521-SHA512",
        "P-521",
        "1.2.840.10045.4.3.4",
        functions,
    )
}

const fn pss(functions: Functions) -> Algorithm {
    let oid = "1.2.840.113549.1.1.10";
    rsa("RSASSA-PSS", "signature", Some("other"), oid, functions)
}

const fn pkcs1_signature(functions: Functions) -> Algorithm {
    rsa(
        "RSASSA-PKCS1-v1_5",
        "signature",
        Some("pkcs1v15"),
        RSA,
        functions,
    )
}

const fn oaep(functions: Functions) -> Algorithm {
    rsa(
        "RSAES-OAEP",
        "pke",
        Some("oaep"),
        "1.2.840.113549.1.1.7",
        functions,
    )
}

const fn pkcs1_encryption(functions: Functions) -> Algorithm {
    rsa("RSAES-PKCS1-v1_5", "pke", Some("pkcs1v15"), RSA, functions)
}

const ECDH: Algorithms = &[
    ecdh("ECDH-P256", "P-256"),
    ecdh("ECDH-P384", "P-384"),
    ecdh("ECDH-P521", "P-521"),
];

const RC2: Algorithms = &[Algorithm {
    parameters: Some("40, 64, 128"),
    mode: Some("cbc"),
    oid: Some("1.2.840.113549.3.2"),
    ..plain("RC2-CBC", "block-cipher", &["decrypt"])
}];
const DES: Algorithms = &[Algorithm {
    parameters: Some("56"),
    mode: Some("cbc"),
    ..plain("DES-CBC", "block-cipher", &["decrypt"])
}];
const RC4: Algorithms = &[plain("RC4", "stream-cipher", &["decrypt"])];

const SIGN: Functions = &["sign"];
const VERIFY: Functions = &["verify"];
const ENCRYPT: Functions = &["encrypt"];
const DECRYPT: Functions = &["decrypt"];

/// The algorithms of a service; none for TLS, which is a protocol. A service without a decision here does not compile.
pub(super) const fn of(service: Service) -> Algorithms {
    match service {
        Service::Tls => &[],
        Service::Random => RANDOM,
        Service::Digest => DIGESTS,
        Service::Hmac | Service::HmacShortKey => HMACS,
        Service::Hkdf => HKDF,
        Service::HmacMd5 => HMAC_MD5,
        Service::Pbkdf2 | Service::Pbkdf2OutOfBounds | Service::Pbkdf2Md5 => PBKDF2,
        Service::Pbkdf1 => PBKDF1,
        Service::Scrypt => SCRYPT,
        Service::CmpPbmac1 => PBKDF2,
        Service::CmpPasswordBasedMac => PASSWORD_BASED_MAC,
        Service::AesCbc => AES_CBC,
        Service::AesGcm => AES_GCM,
        Service::AesKeyWrap => AES_KEY_WRAP,
        Service::RsaKeyGeneration => &[RSA_KEY],
        Service::EcKeyGeneration => EC_KEYS,
        Service::SignatureGeneration => {
            const {
                &[
                    p256(SIGN),
                    p384(SIGN),
                    p521(SIGN),
                    pkcs1_signature(SIGN),
                    pss(SIGN),
                ]
            }
        }
        Service::SignatureVerification => {
            const {
                &[
                    p256(VERIFY),
                    p384(VERIFY),
                    p521(VERIFY),
                    pkcs1_signature(VERIFY),
                    pss(VERIFY),
                ]
            }
        }
        Service::RsaOaepEncrypt | Service::TokenOaepEncrypt => const { &[oaep(ENCRYPT)] },
        Service::RsaOaepDecrypt | Service::TokenOaepDecrypt | Service::TokenRawRsaOaep => {
            const { &[oaep(DECRYPT)] }
        }
        Service::RsaPkcs1v15Encrypt => const { &[pkcs1_encryption(ENCRYPT)] },
        Service::RsaPkcs1v15Decrypt | Service::TokenRawRsaPkcs1v15 | Service::TokenPkcs1v15 => {
            const { &[pkcs1_encryption(DECRYPT)] }
        }
        Service::RsaShortKeyDecrypt => const { &[pkcs1_encryption(DECRYPT), oaep(DECRYPT)] },
        Service::Ecdh | Service::TokenEcdh => ECDH,
        Service::X963Kdf => X963_KDF,
        Service::Pkcs12KdfRead | Service::Pkcs12KdfWrite => PKCS12_KDF,
        Service::TripleDesEncrypt => const { &[triple_des(ENCRYPT)] },
        Service::TripleDesDecrypt => const { &[triple_des(DECRYPT)] },
        Service::Rc2Decrypt => RC2,
        Service::DesDecrypt => DES,
        Service::Rc4Decrypt => RC4,
        Service::TokenKeyGeneration => TOKEN_KEYS,
        Service::TokenKeyWrap => const { &[AES_256_KWP, oaep(ENCRYPT)] },
        Service::TokenKeyUnwrap => const { &[AES_256_KWP, oaep(DECRYPT)] },
        Service::TokenSignature => const { &[pss(SIGN), p256(SIGN), p384(SIGN)] },
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;
    use const_oid::ObjectIdentifier;

    #[test]
    fn every_service_but_tls_has_algorithms_and_each_has_its_own_name() {
        for service in Service::ALL {
            let algorithms = of(service);
            assert_eq!(
                algorithms.is_empty(),
                service == Service::Tls,
                "{service:?}"
            );
            let mut names: Vec<_> = algorithms.iter().map(|algorithm| algorithm.name).collect();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), algorithms.len(), "{service:?}");
        }
    }

    /// Against the registry of another crate, by the names that it has for them.
    #[test]
    fn object_identifiers_are_those_of_the_standards() {
        for algorithm in Service::ALL.into_iter().flat_map(of) {
            let Some(oid) = algorithm.oid else { continue };
            let name = match algorithm.name {
                // The registry does not have them; those of key wrap with padding are in RFC 5649 section 3.
                "HMAC-SHA-1" | "AES-128-KWP" | "AES-192-KWP" | "AES-256-KWP" => continue,
                "SHA-1" => "id-sha1",
                "SHA-256" => "id-sha256",
                "SHA-384" => "id-sha384",
                "SHA-512" => "id-sha512",
                "HMAC-SHA-256" => "id-hmacWithSHA256",
                "HMAC-SHA-384" => "id-hmacWithSHA384",
                "HMAC-SHA-512" => "id-hmacWithSHA512",
                "PBKDF2" => "id-PBKDF2",
                "AES-128-CBC" => "id-aes128-CBC",
                "AES-192-CBC" => "id-aes192-CBC",
                "AES-256-CBC" => "id-aes256-CBC",
                "AES-128-GCM" => "id-aes128-GCM",
                "AES-256-GCM" => "id-aes256-GCM",
                "AES-128-KW" => "id-aes128-wrap",
                "AES-192-KW" => "id-aes192-wrap",
                "AES-256-KW" => "id-aes256-wrap",
                "DES-EDE3-CBC" => "des-ede3-cbc",
                "RC2-CBC" => "rc2-cbc",
                "RSA" | "RSAES-PKCS1-v1_5" | "RSASSA-PKCS1-v1_5" => "rsaEncryption",
                "RSAES-OAEP" => "id-RSAES-OAEP",
                "RSASSA-PSS" => "id-RSASSA-PSS",
                "EC-P256" | "EC-P384" | "EC-P521" => "id-ecPublicKey",
                "ECDSA-P256-SHA256" => "ecdsa-with-SHA256",
                "ECDSA-P384-SHA384" => "ecdsa-with-SHA384",
                "ECDSA-P521-SHA512" => "ecdsa-with-SHA512",
                other => other,
            };
            let oid = ObjectIdentifier::new(oid).unwrap();
            assert_eq!(const_oid::db::DB.by_oid(&oid), Some(name), "{algorithm:?}");
        }
    }
}
