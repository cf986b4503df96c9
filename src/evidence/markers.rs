//! By which symbols a cryptographic library is recognised in a program.

use super::symbols::Symbol;
use std::collections::BTreeSet;

/// What the build puts in front of every name that the validated module and the library around it export. Another
/// version of it has another prefix.
pub(super) const MODULE_PREFIX: &str = "aws_lc_fips_0_13_11_";

/// The rules of the supply-chain check: its list of banned packages is the list of crates that are looked for.
const SUPPLY_CHAIN_RULES: &str = include_str!("../../deny.toml");

/// A crate that the rules do not ban by name alone, since an empty one of ours stands in for it.
const UNVALIDATED_AWS_LC: &str = "aws_lc_sys";

/// How one symbol gives a library away.
enum Mark {
    /// A name that begins with this.
    Prefix(&'static str),
    /// A name that begins with this and is visible outside of the file that it was compiled from. Inside, the module has
    /// functions of its own with such names.
    Exported(&'static str),
    /// Exactly this name.
    Name(&'static str),
}

use Mark::{Exported, Name, Prefix};

/// A cryptographic library in C, or several that share their names.
pub(super) struct Family {
    pub(super) library: &'static str,
    marks: &'static [Mark],
}

/// The libraries in C that are looked for.
pub(super) const FAMILIES: [Family; 12] = [
    Family {
        library: "OpenSSL, LibreSSL, BoringSSL or AWS-LC, not the validated module",
        marks: &[
            Exported("AES_"),
            Exported("ASN1_"),
            Exported("BIO_"),
            Exported("BN_"),
            Exported("BORINGSSL_"),
            Exported("CRYPTO_"),
            Exported("DES_"),
            Exported("DH_"),
            Exported("DSA_"),
            Exported("ECDH_"),
            Exported("ECDSA_"),
            Exported("EC_"),
            Exported("ERR_"),
            Exported("EVP_"),
            Exported("HMAC_"),
            Exported("MD5_"),
            Exported("OPENSSL_"),
            Exported("OSSL_"),
            Exported("PEM_"),
            Exported("PKCS12_"),
            Exported("PKCS5_"),
            Exported("PKCS7_"),
            Exported("RAND_"),
            Exported("RSA_"),
            Exported("SHA1_"),
            Exported("SHA256_"),
            Exported("SHA512_"),
            Exported("SSL_"),
            Exported("TLS_"),
            Exported("X509_"),
            // Where a linker has made a whole library's names local.
            Name("AES_set_encrypt_key"),
            Name("BN_mod_exp"),
            Name("BN_new"),
            Name("BORINGSSL_self_test"),
            Name("ECDSA_do_sign"),
            Name("EC_KEY_new"),
            Name("EVP_CIPHER_CTX_new"),
            Name("EVP_DigestInit_ex"),
            Name("EVP_DigestUpdate"),
            Name("EVP_EncryptInit_ex"),
            Name("EVP_MD_CTX_new"),
            Name("EVP_PKEY_new"),
            Name("HMAC_Init_ex"),
            Name("OPENSSL_init_crypto"),
            Name("OSSL_PROVIDER_load"),
            Name("RAND_bytes"),
            Name("RSA_new"),
            Name("SHA1_Init"),
            Name("SHA256_Init"),
            Name("SHA512_Init"),
            Name("SSL_CTX_new"),
            Name("X509_new"),
        ],
    },
    Family {
        library: "AWS-LC, the build that is not validated (aws-lc-sys)",
        marks: &[Prefix("aws_lc_0_"), Prefix("aws_lc_1_")],
    },
    Family {
        library: "AWS-LC FIPS of another version",
        marks: &[Prefix("aws_lc_fips_")],
    },
    Family {
        library: "ring",
        marks: &[Prefix("ring_core_")],
    },
    Family {
        library: "Mbed TLS",
        marks: &[Prefix("mbedtls_"), Prefix("psa_crypto_")],
    },
    Family {
        library: "Libgcrypt",
        marks: &[Prefix("gcry_"), Prefix("_gcry_")],
    },
    Family {
        library: "libsodium",
        marks: &[
            Prefix("sodium_"),
            Prefix("crypto_aead_"),
            Prefix("crypto_box_"),
            Prefix("crypto_secretbox_"),
            Prefix("crypto_sign_"),
        ],
    },
    Family {
        library: "wolfSSL",
        marks: &[Prefix("wolfSSL_"), Prefix("wolfCrypt_"), Exported("wc_")],
    },
    Family {
        library: "GnuTLS or Nettle",
        marks: &[Prefix("gnutls_"), Prefix("nettle_"), Prefix("_nettle_")],
    },
    Family {
        library: "NSS",
        marks: &[Exported("PK11_"), Exported("NSS_"), Exported("SECKEY_")],
    },
    Family {
        library: "Botan",
        marks: &[Prefix("botan_"), Prefix("_ZN5Botan"), Prefix("_ZNK5Botan")],
    },
    Family {
        library: "SymCrypt",
        marks: &[Prefix("SymCrypt")],
    },
];

/// The names that the build of the validated module leaves without the prefix, and whether it defines them: its integrity
/// test, and the memory allocator that a program may give it.
const UNPREFIXED: [(&str, bool); 5] = [
    ("BORINGSSL_integrity_test", true),
    ("OPENSSL_memory_alloc", false),
    ("OPENSSL_memory_free", false),
    ("OPENSSL_memory_get_size", false),
    ("OPENSSL_memory_realloc", false),
];

impl Family {
    /// Whether `symbol` belongs to this library.
    pub(super) fn has(&self, symbol: Symbol<'_>) -> bool {
        let name = symbol.name;
        if name.starts_with(MODULE_PREFIX) || UNPREFIXED.contains(&(name, symbol.defined)) {
            return false;
        }
        self.marks.iter().any(|mark| match mark {
            Prefix(prefix) => name.starts_with(prefix),
            Exported(prefix) => !symbol.local && name.starts_with(prefix),
            Name(whole) => name == *whole,
        })
    }
}

/// Parts of the file names of shared libraries with cryptography in them.
const SHARED_LIBRARIES: [&str; 20] = [
    "aws_lc", "aws-lc", "botan", "crypto", "freebl", "gcrypt", "gnutls", "hogweed", "libcrypt",
    "libnss", "mbedtls", "mbedx509", "nettle", "s2n", "sodium", "softokn", "libssl", "symcrypt",
    "tomcrypt", "wolfssl",
];

/// Whether the shared library of that file name is a cryptographic one.
pub(super) fn is_cryptographic_library(file_name: &str) -> bool {
    let name = file_name.to_ascii_lowercase();
    SHARED_LIBRARIES.iter().any(|part| name.contains(part))
}

#[derive(serde::Deserialize)]
struct Rules {
    bans: Bans,
}

#[derive(serde::Deserialize)]
struct Bans {
    deny: Vec<toml::Value>,
}

/// The Rust crates that are looked for, as they are called in code. Empty when the rules cannot be read, which the tests
/// rule out.
pub(super) fn banned_crates() -> BTreeSet<String> {
    let rules = toml::from_str::<Rules>(SUPPLY_CHAIN_RULES);
    let deny = rules.map_or_else(|_| Vec::new(), |rules| rules.bans.deny);
    // Rules with a version or with exceptions are tables; a plain text bans the package as a whole.
    deny.iter()
        .filter_map(toml::Value::as_str)
        .map(|name| name.replace('-', "_"))
        .chain([UNVALIDATED_AWS_LC.to_owned()])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exported(name: &str) -> Symbol<'_> {
        Symbol {
            name,
            local: false,
            defined: true,
        }
    }

    fn libraries_of(symbol: Symbol<'_>) -> Vec<&'static str> {
        FAMILIES
            .iter()
            .filter(|family| family.has(symbol))
            .map(|family| family.library)
            .collect()
    }

    #[test]
    fn names_of_other_libraries_give_them_away() {
        for name in [
            "EVP_DigestFinal_ex",
            "aws_lc_0_45_0_SHA256_Init",
            "aws_lc_fips_0_13_17_SHA256_Init",
            "ring_core_0_17_14__x25519_fe_mul",
            "mbedtls_sha256_init",
            "gcry_md_open",
            "crypto_secretbox_easy",
            "wc_InitSha256",
            "nettle_sha256_init",
            "PK11_Encrypt",
            "_ZN5Botan6SHA_25614compress_nEPKhm",
            "SymCryptSha256",
        ] {
            assert_eq!(libraries_of(exported(name)).len(), 1, "{name}");
        }
    }

    #[test]
    fn the_module_and_its_unprefixed_names_are_not_another_library() {
        assert!(libraries_of(exported("aws_lc_fips_0_13_11_EVP_sha256")).is_empty());
        let hook = Symbol {
            name: "OPENSSL_memory_alloc",
            local: false,
            defined: false,
        };
        assert!(libraries_of(hook).is_empty());
        assert!(libraries_of(exported("BORINGSSL_integrity_test")).is_empty());
        assert_eq!(libraries_of(exported("OPENSSL_memory_alloc")).len(), 1);
        // The module's own functions, which nobody outside of their file sees.
        let own = Symbol {
            name: "EVP_sha512_storage",
            local: true,
            defined: true,
        };
        assert!(libraries_of(own).is_empty());
        // A library whose names a linker has hidden.
        let hidden = Symbol {
            name: "EVP_DigestInit_ex",
            ..own
        };
        assert_eq!(libraries_of(hidden).len(), 1);
    }

    #[test]
    fn the_crates_that_are_looked_for_are_those_that_the_rules_ban() {
        let banned = banned_crates();
        assert!(banned.len() > 50, "{banned:?}");
        for name in [
            "ring",
            "rsa",
            "sha2",
            "aes_gcm",
            "openssl_sys",
            "aws_lc_sys",
        ] {
            assert!(banned.contains(name), "{name}");
        }
    }

    #[test]
    fn shared_libraries_with_cryptography_are_known_by_name() {
        for name in [
            "libcrypto.so.3",
            "libssl.so.3",
            "libgcrypt.so.20",
            "libgnutls.so.30",
            "libnss3.so",
        ] {
            assert!(is_cryptographic_library(name), "{name}");
        }
        for name in [
            "libc.so.6",
            "libgcc_s.so.1",
            "libm.so.6",
            "ld-linux-x86-64.so.2",
            "libdl.so.2",
        ] {
            assert!(!is_cryptographic_library(name), "{name}");
        }
    }
}
