//! The policy table against the code, both ways: every service of the table is performed somewhere, everything that is performed is in
//! the table, and nothing reaches the module or the token past it.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

mod source;

use fips::policy::{Performer, Service};
use source::{code_of, root, rust_files};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The files of the two crates that reach the module and the token, the policy itself and tests left out.
fn performing_files() -> Vec<PathBuf> {
    let policy = root().join("fips/src/policy");
    ["fips/src", "hsm/src"]
        .iter()
        .flat_map(|folder| rust_files(&root().join(folder)))
        .filter(|file| !file.starts_with(&policy) && *file != root().join("fips/src/policy.rs"))
        .filter(|file| file.file_name().is_none_or(|name| name != "tests.rs"))
        .collect()
}

/// The code of a file without its tests.
fn tested_code(file: &Path) -> String {
    let code = code_of(file);
    match code.find("#[cfg(test)]") {
        Some(tests) => code[..tests].to_owned(),
        None => code,
    }
}

struct Function {
    name: String,
    public: bool,
    text: String,
}

/// The functions of a file in their order, each with its text up to the next one.
fn functions(file: &Path) -> Vec<Function> {
    let code = tested_code(file);
    let mut found: Vec<Function> = Vec::new();
    for line in code.lines() {
        let words: Vec<_> = line.split_whitespace().collect();
        let at = words.iter().position(|word| *word == "fn");
        let name = at.and_then(|at| words.get(at + 1)).map(|name| {
            name.chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect::<String>()
        });
        if let Some(name) = name.filter(|name| !name.is_empty()) {
            found.push(Function {
                name,
                public: words.first() == Some(&"pub"),
                text: String::new(),
            });
        }
        if let Some(last) = found.last_mut() {
            last.text.push_str(line);
            last.text.push('\n');
        }
    }
    found
}

/// The last part of each function that the rows name.
fn named_functions() -> BTreeMap<String, BTreeSet<&'static str>> {
    let mut named: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for service in Service::ALL {
        for function in service.entry().functions {
            let last = function.rsplit("::").next().unwrap();
            named.entry(last.to_owned()).or_default().insert(function);
        }
    }
    named
}

#[test]
fn every_function_that_a_row_names_is_there() {
    let mut existing: BTreeSet<String> = BTreeSet::new();
    for file in performing_files() {
        let crate_name = if file.starts_with(root().join("fips")) {
            "fips"
        } else {
            "hsm"
        };
        for function in functions(&file) {
            existing.insert(format!("{crate_name} {}", function.name));
        }
    }
    for (last, paths) in named_functions() {
        for path in paths {
            let crate_name = path.split("::").next().unwrap();
            assert!(
                existing.contains(&format!("{crate_name} {last}")),
                "the table names {path}, which is not there"
            );
        }
    }
}

#[test]
fn every_service_of_the_table_is_performed_and_no_other() {
    let mut performed: BTreeSet<String> = BTreeSet::new();
    for file in performing_files() {
        let code = tested_code(&file);
        for (at, _) in code.match_indices("Service::") {
            let name: String = code[at + "Service::".len()..]
                .chars()
                .take_while(|c| c.is_alphanumeric())
                .collect();
            performed.insert(name);
        }
    }
    // `Service::hmac(..)` and `Service::pbkdf2(..)` choose between two rows each, by the bounds.
    for (chooser, rows) in [
        ("hmac", ["Hmac", "HmacShortKey"]),
        ("pbkdf2", ["Pbkdf2", "Pbkdf2OutOfBounds"]),
    ] {
        assert!(performed.remove(chooser), "{chooser}");
        performed.extend(rows.map(str::to_owned));
    }
    let table: BTreeSet<_> = Service::ALL
        .iter()
        .map(|service| format!("{service:?}"))
        .collect();
    assert_eq!(performed, table);
}

#[test]
fn every_public_function_that_performs_a_service_is_named_by_a_row() {
    let named = named_functions();
    let mut seen = 0;
    for file in performing_files() {
        for function in functions(&file) {
            let performs = ["perform(", "perform_infallible(", "decide("]
                .iter()
                .any(|call| function.text.contains(call));
            // The functions of `hsm` that perform are inside; the rows name the interface that leads to them.
            if function.public && performs && file.starts_with(root().join("fips")) {
                seen += 1;
                assert!(
                    named.contains_key(&function.name),
                    "{}: {} performs a service, and no row names it",
                    file.display(),
                    function.name
                );
            }
        }
    }
    assert!(seen > 20, "the functions were not understood: {seen}");
}

/// What the module's C interface offers, as far as it is used: cryptography, and everything else.
const CRYPTOGRAPHY: [&str; 33] = [
    "AES_set_decrypt_key",
    "AES_set_encrypt_key",
    "AES_unwrap_key",
    "AES_unwrap_key_padded",
    "AES_wrap_key",
    "AES_wrap_key_padded",
    "BORINGSSL_integrity_test",
    "BORINGSSL_self_test",
    "EVP_AEAD_CTX_new",
    "EVP_AEAD_CTX_open_gather",
    "EVP_CIPHER_CTX_ctrl",
    "EVP_CIPHER_CTX_set_key_length",
    "EVP_CIPHER_CTX_set_padding",
    "EVP_DecryptFinal_ex",
    "EVP_DecryptInit_ex",
    "EVP_DecryptUpdate",
    "EVP_EncryptFinal_ex",
    "EVP_EncryptInit_ex",
    "EVP_EncryptUpdate",
    "EVP_PBE_scrypt",
    "EVP_PKEY_decrypt",
    "HMAC",
    "MD5",
    "PKCS5_PBKDF2_HMAC",
    "RC4",
    "RC4_set_key",
    "SHA1",
    "SHA224",
    "SHA256",
    "SHA384",
    "SHA512",
    "SHA512_224",
    "SHA512_256",
];
const NO_CRYPTOGRAPHY: [&str; 48] = [
    "BN_bn2bin",
    "BN_num_bytes",
    "CBB_cleanup",
    "CBB_finish",
    "CBB_init",
    "EC_GROUP_get_curve_name",
    "EC_KEY_get0_group",
    "ERR_clear_error",
    "EVP_AEAD_CTX_free",
    "EVP_CIPHER_CTX_free",
    "EVP_CIPHER_CTX_new",
    "EVP_PKEY_CTX_free",
    "EVP_PKEY_CTX_new",
    "EVP_PKEY_CTX_set0_rsa_oaep_label",
    "EVP_PKEY_CTX_set_rsa_mgf1_md",
    "EVP_PKEY_CTX_set_rsa_oaep_md",
    "EVP_PKEY_CTX_set_rsa_padding",
    "EVP_PKEY_bits",
    "EVP_PKEY_decrypt_init",
    "EVP_PKEY_free",
    "EVP_PKEY_get0_EC_KEY",
    "EVP_PKEY_get0_RSA",
    "EVP_PKEY_id",
    "EVP_aead_aes_128_gcm",
    "EVP_aead_aes_256_gcm",
    "EVP_aes_128_cbc",
    "EVP_aes_192_cbc",
    "EVP_aes_256_cbc",
    "EVP_des_cbc",
    "EVP_des_ede3_cbc",
    "EVP_marshal_public_key",
    "EVP_md5",
    "EVP_rc2_cbc",
    "EVP_sha1",
    "EVP_sha224",
    "EVP_sha256",
    "EVP_sha384",
    "EVP_sha512",
    "EVP_sha512_224",
    "EVP_sha512_256",
    "FIPS_service_indicator_after_call",
    "FIPS_service_indicator_before_call",
    "OPENSSL_cleanse",
    "OPENSSL_free",
    "OPENSSL_memdup",
    "RSA_get0_e",
    "RSA_get0_n",
    "awslc_version_string",
];

#[test]
fn no_function_calls_cryptography_of_the_module_without_a_permit() {
    let mut called = BTreeSet::new();
    for file in performing_files() {
        let is_module = file.ends_with("fips/src/module.rs");
        for function in functions(&file) {
            let text: String = function.text.split_whitespace().collect();
            for name in CRYPTOGRAPHY.iter().chain(&NO_CRYPTOGRAPHY) {
                if !text.contains(&format!("::{name}(")) {
                    continue;
                }
                called.insert(*name);
                if CRYPTOGRAPHY.contains(name) && !is_module {
                    assert!(
                        text.contains("Permit"),
                        "{}: {} calls {name} without a permit",
                        file.display(),
                        function.name
                    );
                }
            }
            for (at, _) in text.match_indices("lc::") {
                let name: String = text[at + 4..]
                    .chars()
                    .take_while(|c| c.is_alphanumeric() || *c == '_')
                    .collect();
                let calls_c = text[at + 4 + name.len()..].starts_with('(')
                    && name.contains('_')
                    && name.chars().next().is_some_and(char::is_uppercase);
                assert!(
                    !calls_c
                        || CRYPTOGRAPHY.contains(&name.as_str())
                        || NO_CRYPTOGRAPHY.contains(&name.as_str()),
                    "{}: {name} of the C interface is used: say which kind it is",
                    file.display()
                );
            }
        }
    }
    let all: BTreeSet<_> = CRYPTOGRAPHY
        .iter()
        .chain(&NO_CRYPTOGRAPHY)
        .copied()
        .collect();
    let unused: Vec<_> = all.difference(&called).collect();
    assert!(unused.is_empty(), "not used any more: {unused:?}");
}

/// The calls by which `hsm` has a token do cryptography, and those that would be new ways to it.
const OF_THE_TOKEN: [&str; 9] = [
    "functions.encrypt(",
    "functions.decrypt(",
    "functions.wrap(",
    "functions.unwrap(",
    "session.generate_key(",
    "session.sign_init(",
    "functions().sign(",
    "session.generate_key_pair(",
    "session.derive_key(",
];
const NOT_USED_OF_THE_TOKEN: [&str; 11] = [
    "session.encrypt",
    "session.decrypt",
    "session.sign(",
    "session.sign_update",
    "session.sign_final",
    "session.sign_recover",
    "session.verify",
    "session.digest",
    "session.generate_random",
    "session.wrap_key",
    "session.unwrap_key",
];

#[test]
fn no_function_has_the_token_do_cryptography_without_a_decision() {
    let mut called = BTreeSet::new();
    for file in rust_files(&root().join("hsm/src")) {
        for function in functions(&file) {
            let text: String = function.text.split_whitespace().collect();
            for call in OF_THE_TOKEN.iter().filter(|call| text.contains(**call)) {
                called.insert(*call);
                // Its only caller is the function of the name without the ending, which performs it.
                assert!(
                    text.contains("perform(") || function.name.ends_with("_permitted"),
                    "{}: {} calls {call}..) without a decision",
                    file.display(),
                    function.name
                );
            }
            for call in NOT_USED_OF_THE_TOKEN {
                assert!(
                    !text.contains(call),
                    "{}: {} calls {call}: decide and perform it, and name it here",
                    file.display(),
                    function.name
                );
            }
        }
    }
    assert_eq!(called.len(), OF_THE_TOKEN.len(), "{called:?}");
}

#[test]
fn a_permit_is_made_in_one_place() {
    for file in performing_files() {
        assert!(
            !tested_code(&file).contains("Permit {"),
            "{} makes a permit",
            file.display()
        );
    }
    let permit = code_of(&root().join("fips/src/policy/permit.rs"));
    assert_eq!(
        permit.matches("Permit {").count(),
        4,
        "the structure, its methods, decide, and hashing"
    );
}

#[test]
fn the_programs_own_constructions_are_never_approved() {
    for service in Service::ALL {
        let entry = service.entry();
        if entry.performer == Performer::Program {
            assert!(!entry.standing.is_approved(), "{}", entry.name);
        }
    }
}
