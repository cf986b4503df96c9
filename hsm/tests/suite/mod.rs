//! What custody promises, over any token. Instantiated once per token by `custody_suite!`.
#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing
)]

mod agreement;
mod encryption;
mod hostile;
mod labels;
mod pins;
mod pkcs1;
mod probing;
mod signing;

pub use agreement::*;
pub use encryption::*;
pub use hostile::*;
pub use labels::*;
pub use pins::*;
pub use pkcs1::*;
pub use probing::*;
pub use signing::*;

use std::sync::Barrier;
use std::time::Duration;

use cryptoki::mechanism::Mechanism;
use cryptoki::object::Attribute;
use hsm::pkcs11::{GenerateKey, Pkcs11Custody};
use hsm::{
    Custody, Error, ErrorClass, KeyFingerprint, KeyInfo, KeyProblem, Padding, PinProblem,
    SecretBytes, Terms,
};

use crate::support::{TestToken, encrypt, session_beside, write_pin};

fn assert_well(custody: &Pkcs11Custody, key: &KeyInfo) {
    let message = b"still well";
    for padding in Padding::OAEP {
        let ciphertext = encrypt(&key.spki_der, padding, message);
        let plain = custody
            .decrypt(&key.fingerprint, padding, &ciphertext)
            .unwrap();
        assert_eq!(plain.expose(), message);
    }
    let health = custody.health();
    assert_eq!(health.reconnects, 0);
    assert_eq!(health.token_failures, 0);
    assert!(!health.needs_restart);
}

fn error<T>(result: Result<T, Error>) -> Error {
    match result {
        Err(error) => error,
        Ok(_) => panic!("it worked"),
    }
}

pub fn a_generated_key_cannot_leave_and_only_decrypts(token: &TestToken) {
    for modulus_bits in [2048, 3072] {
        let custody = token.open();
        let label = format!("key-{modulus_bits}");
        let request = GenerateKey {
            label: label.clone(),
            id: None,
            modulus_bits,
            always_authenticate: false,
        };
        let key = custody.generate(&request).unwrap();
        assert_eq!(key.modulus_bits, modulus_bits);
        assert_eq!(key.label, label);
        assert_eq!(key.fingerprint, KeyFingerprint::of_spki(&key.spki_der));
        assert_eq!(key.id, key.fingerprint.as_bytes()[..20]);
        let attributes = &key.attributes;
        for (name, value, expected) in [
            ("sensitive", attributes.sensitive, true),
            ("always_sensitive", attributes.always_sensitive, true),
            ("extractable", attributes.extractable, false),
            ("never_extractable", attributes.never_extractable, true),
            ("local", attributes.local, token.says_local()),
            ("decrypt", attributes.decrypt, true),
            ("sign", attributes.sign, false),
            ("unwrap", attributes.unwrap, false),
            ("token", attributes.token, true),
            ("private", attributes.private, true),
        ] {
            assert_eq!(value, Some(expected), "{name}");
        }
        assert!(key.is_usable() && key.waived.is_empty());
        assert!(custody.keys().unwrap().contains(&key));
        drop(custody);
        assert!(token.open().keys().unwrap().contains(&key));
    }
}

pub fn a_label_is_used_once_and_only_sensible_sizes_are_generated(token: &TestToken) {
    let (custody, key) = token.open_with_key();
    let again = GenerateKey {
        label: key.label.clone(),
        id: Some(vec![1, 2, 3]),
        modulus_bits: 2048,
        always_authenticate: false,
    };
    assert_eq!(error(custody.generate(&again)).code(), "label_in_use");
    for modulus_bits in [0, 1024, 2047, 2049, 8192, u32::MAX] {
        let odd = GenerateKey {
            label: "odd".into(),
            id: None,
            modulus_bits,
            always_authenticate: false,
        };
        let refused = error(custody.generate(&odd));
        assert_eq!(refused.class(), ErrorClass::BadInput);
    }
    let own_id = GenerateKey {
        label: "own id".into(),
        ..again
    };
    assert_eq!(custody.generate(&own_id).unwrap().id, [1, 2, 3]);
    let same_id = GenerateKey {
        label: "same id".into(),
        ..own_id
    };
    assert_eq!(error(custody.generate(&same_id)).code(), "id_in_use");
    assert_eq!(custody.keys().unwrap().len(), 2);
}

pub fn every_padding_decrypts_and_the_capabilities_say_how(token: &TestToken) {
    let (custody, key) = token.open_with_key();
    let capabilities = custody.capabilities();
    assert_eq!(capabilities.native, token.native());
    let software: Vec<_> = Padding::OAEP
        .into_iter()
        .filter(|padding| !token.native().contains(padding))
        .collect();
    assert_eq!(capabilities.software_unpadding, software);
    for padding in Padding::OAEP {
        let limit = padding.max_message_len(2048);
        for len in [0, 1, 20, limit - 1, limit] {
            let message: Vec<u8> = (0..len).map(|i| u8::try_from(i % 256).unwrap()).collect();
            let ciphertext = encrypt(&key.spki_der, padding, &message);
            let plain = custody
                .decrypt(&key.fingerprint, padding, &ciphertext)
                .unwrap();
            assert_eq!(plain.expose(), message, "{padding}, {len} bytes");
        }
    }
    assert_eq!(custody.health().decrypts, 20);
    assert_well(&custody, &key);
}

pub fn a_ciphertext_for_another_key_is_bad_input(token: &TestToken) {
    let (custody, key) = token.open_with_key();
    let other = custody
        .generate(&GenerateKey {
            label: "other".into(),
            id: None,
            modulus_bits: 2048,
            always_authenticate: false,
        })
        .unwrap();
    for padding in Padding::OAEP {
        let ciphertext = encrypt(&other.spki_der, padding, b"for the other");
        let refused = error(custody.decrypt(&key.fingerprint, padding, &ciphertext));
        // By chance the number may be out of the other modulus's range: the same error.
        assert!(matches!(refused, Error::Decryption), "{refused}");
        let plain = custody
            .decrypt(&other.fingerprint, padding, &ciphertext)
            .unwrap();
        assert_eq!(plain.expose(), b"for the other");
    }
    assert_eq!(custody.health().bad_inputs, 4);
    assert_well(&custody, &key);
}

pub fn a_key_that_was_never_there_is_bad_input(token: &TestToken) {
    let (custody, key) = token.open_with_key();
    let stranger = KeyFingerprint::from_bytes([7; 32]);
    let refused = error(custody.decrypt(&stranger, Padding::OaepSha1, &[1; 256]));
    assert!(matches!(refused, Error::UnknownKey(named) if named == stranger));
    assert_eq!(refused.class(), ErrorClass::BadInput);
    assert_well(&custody, &key);
}

pub fn the_wrong_padding_is_bad_input(token: &TestToken) {
    let (custody, key) = token.open_with_key();
    for padding in Padding::OAEP {
        let ciphertext = encrypt(&key.spki_der, padding, b"message");
        for wrong in Padding::OAEP.into_iter().filter(|other| *other != padding) {
            let refused = error(custody.decrypt(&key.fingerprint, wrong, &ciphertext));
            assert!(
                matches!(refused, Error::Decryption),
                "{padding} as {wrong}: {refused}"
            );
        }
    }
    assert_eq!(custody.health().bad_inputs, 12);
    assert_well(&custody, &key);
}

pub fn garbage_is_bad_input_and_leaves_the_token_well(token: &TestToken) {
    let (custody, key) = token.open_with_key();
    let public = hsm::public_key::PublicKey::from_spki_der(&key.spki_der).unwrap();
    let modulus = public.modulus().to_vec();
    let mut below = modulus.clone();
    *below.last_mut().unwrap() -= 1;
    let mut one = vec![0; 256];
    one[255] = 1;
    let mut garbage = vec![vec![0; 256], one, below, modulus, vec![0xff; 256]];
    for _ in 0..20 {
        let mut random = vec![0; 256];
        fips::random::fill(&mut random).unwrap();
        garbage.push(random);
    }
    for padding in Padding::OAEP {
        for ciphertext in &garbage {
            let refused = error(custody.decrypt(&key.fingerprint, padding, ciphertext));
            assert!(matches!(refused, Error::Decryption), "{padding}: {refused}");
            assert_eq!(refused.class(), ErrorClass::BadInput);
        }
    }
    assert_eq!(custody.health().bad_inputs, 100);
    assert_well(&custody, &key);
}

pub fn a_ciphertext_of_another_length_is_bad_input(token: &TestToken) {
    let (custody, key) = token.open_with_key();
    for len in [0, 1, 255, 257, 384, 65536] {
        let refused = error(custody.decrypt(&key.fingerprint, Padding::OaepSha512, &vec![1; len]));
        assert!(
            matches!(refused, Error::CiphertextLength { expected: 256, actual } if actual == len),
            "{refused}"
        );
        assert_eq!(refused.class(), ErrorClass::BadInput);
    }
    assert_well(&custody, &key);
}

pub fn many_threads_get_their_own_answers(token: &TestToken) {
    const THREADS: usize = 8;
    const REQUESTS: usize = 50;
    let mut config = token.config();
    config.threads = 4;
    let key = token.open_with_key().1;
    let custody = Pkcs11Custody::open(config).unwrap();
    let start = Barrier::new(THREADS);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (custody, key, start) = (&custody, &key, &start);
            scope.spawn(move || {
                start.wait();
                for request in 0..REQUESTS {
                    let padding = Padding::OAEP[request % 4];
                    let message = format!("thread {thread}, request {request}");
                    let mut ciphertext = encrypt(&key.spki_der, padding, message.as_bytes());
                    let is_bad = request % 10 == 9;
                    if is_bad {
                        ciphertext[200] ^= 1;
                    }
                    // Every second one would have its own thread make the call.
                    let terms = match thread % 2 {
                        0 => Terms::default(),
                        _ => Terms::within(Duration::from_secs(60)).on_own_thread(),
                    };
                    let result = custody.decrypt_on(&key.fingerprint, padding, &ciphertext, terms);
                    if is_bad {
                        assert!(matches!(error(result), Error::Decryption));
                    } else {
                        assert_eq!(result.unwrap().expose(), message.as_bytes());
                    }
                }
            });
        }
    });
    let health = custody.health();
    let most = token.quirks().threads_max.unwrap_or(4);
    assert_eq!(health.threads, usize::try_from(most.min(4)).unwrap());
    assert_eq!(health.decrypts, 8 * 45);
    assert_eq!(health.bad_inputs, 8 * 5);
    assert_eq!(health.in_flight, 0);
    assert_well(&custody, &key);
}

/// Where the token makes no key that could leave, there is none to refuse: that it does not is what is seen then.
fn makes_no_extractable_key(
    token: &TestToken,
    custody: &Pkcs11Custody,
    private: &[Attribute],
) -> bool {
    if token.quirks().extractable_keys.unwrap() {
        return false;
    }
    assert!(try_generate_beside(token, custody, "extractable", private).is_err());
    assert!(custody.keys().unwrap().is_empty());
    true
}

/// Generates a pair past custody, with the given attributes of the private half.
fn generate_beside(token: &TestToken, custody: &Pkcs11Custody, label: &str, private: &[Attribute]) {
    try_generate_beside(token, custody, label, private).unwrap();
}

fn try_generate_beside(
    token: &TestToken,
    custody: &Pkcs11Custody,
    label: &str,
    private: &[Attribute],
) -> cryptoki::error::Result<()> {
    let session = session_beside(token, custody);
    let public = [
        Attribute::Token(true),
        Attribute::ModulusBits(2048_u64.into()),
        Attribute::PublicExponent(vec![1, 0, 1]),
    ];
    let mut template = vec![
        Attribute::Token(true),
        Attribute::Private(true),
        Attribute::Label(label.as_bytes().to_vec()),
    ];
    template.extend_from_slice(private);
    session
        .generate_key_pair(&Mechanism::RsaPkcsKeyPairGen, &public, &template)
        .map(drop)
}

pub fn a_key_that_could_leave_is_refused(token: &TestToken) {
    let custody = token.open();
    let private = [
        Attribute::Sensitive(false),
        Attribute::Extractable(true),
        Attribute::Decrypt(true),
        Attribute::Sign(false),
        Attribute::Unwrap(false),
    ];
    if makes_no_extractable_key(token, &custody, &private) {
        return;
    }
    generate_beside(token, &custody, "extractable", &private);
    let key = custody.keys().unwrap().remove(0);
    assert_eq!(
        key.problems,
        [KeyProblem::NotSensitive, KeyProblem::Extractable]
    );
    let ciphertext = encrypt(&key.spki_der, Padding::OaepSha1, b"message");
    let refused = error(custody.decrypt(&key.fingerprint, Padding::OaepSha1, &ciphertext));
    assert_eq!(refused.code(), "key_refused");
    assert_eq!(refused.class(), ErrorClass::Configuration);
    drop(custody);

    let mut config = token.config();
    config.allow_extractable_keys = true;
    let custody = Pkcs11Custody::open(config).unwrap();
    let key = custody.keys().unwrap().remove(0);
    assert!(key.is_usable());
    assert_eq!(
        key.waived,
        [KeyProblem::NotSensitive, KeyProblem::Extractable]
    );
    let plain = custody
        .decrypt(&key.fingerprint, Padding::OaepSha1, &ciphertext)
        .unwrap();
    assert_eq!(plain.expose(), b"message");
}

pub fn a_key_for_other_purposes_is_refused(token: &TestToken) {
    let custody = token.open();
    generate_beside(
        token,
        &custody,
        "signing",
        &[
            Attribute::Sensitive(true),
            Attribute::Extractable(false),
            Attribute::Decrypt(false),
            Attribute::Sign(true),
        ],
    );
    let key = custody.keys().unwrap().remove(0);
    assert_eq!(
        key.problems,
        [KeyProblem::NotForDecryption, KeyProblem::OtherUses]
    );
    let refused = error(custody.decrypt(&key.fingerprint, Padding::OaepSha1, &[1; 256]));
    assert_eq!(refused.code(), "key_refused");
}

pub fn what_the_token_encrypts_it_decrypts(token: &TestToken) {
    let (custody, key) = token.open_with_key();
    let native = custody.capabilities().encrypt_native;
    assert_eq!(native, token.native());
    for padding in Padding::OAEP {
        let limit = padding.max_message_len(2048);
        for len in [0, 8, limit] {
            let message = SecretBytes::from_vec(vec![0x61; len]);
            let result = custody.encrypt(&key.spki_der, padding, &message);
            if !native.contains(&padding) {
                assert_eq!(error(result).code(), "padding_not_supported");
                continue;
            }
            let plain = custody
                .decrypt(&key.fingerprint, padding, &result.unwrap())
                .unwrap();
            assert_eq!(plain.expose(), message.expose());
        }
        let long = SecretBytes::zeroed(limit + 1);
        let refused = error(custody.encrypt(&key.spki_der, padding, &long));
        assert_eq!(refused.code(), "plaintext_too_long");
    }
    for bad in [&[][..], &[0x30, 0], &key.spki_der[..100]] {
        let refused = error(custody.encrypt(bad, Padding::OaepSha1, &SecretBytes::zeroed(1)));
        assert_eq!(refused.class(), ErrorClass::BadInput);
    }
    assert_well(&custody, &key);
}

pub fn a_wrong_pin_is_tried_once(token: &TestToken) {
    write_pin(&token.pin_file, crate::support::WRONG_PIN);
    let problem = |result| match error(result) {
        Error::Pin(problem) => problem,
        other => panic!("{other}"),
    };
    assert_eq!(
        problem(Pkcs11Custody::open(token.config())),
        PinProblem::Incorrect
    );
    for _ in 0..3 {
        assert_eq!(
            problem(Pkcs11Custody::open(token.config())),
            PinProblem::RefusedBefore
        );
    }
    write_pin(&token.pin_file, crate::support::USER_PIN);
    assert!(token.open().keys().unwrap().is_empty());
    write_pin(&token.pin_file, crate::support::WRONG_PIN);
    assert_eq!(
        problem(Pkcs11Custody::open(token.config())),
        PinProblem::Incorrect,
        "after a login that worked the tries are full again"
    );
}

pub fn a_token_that_is_not_there_is_named(token: &TestToken) {
    let mut config = token.config();
    config.token_label = Some("elsewhere".into());
    let missing = error(Pkcs11Custody::open(config));
    assert_eq!(missing.class(), ErrorClass::Token);
    assert!(missing.to_string().contains("elsewhere"));

    let mut config = token.config();
    config.threads = 0;
    assert_eq!(error(Pkcs11Custody::open(config)).code(), "threads");

    let listed =
        hsm::pkcs11::list_tokens(&token.module.path, token.module.init_parameters.as_deref())
            .unwrap();
    let own = listed
        .iter()
        .find(|listed| listed.serial == token.info.serial && listed.label == token.info.label)
        .unwrap();
    assert!(own.flags.initialized && own.flags.user_pin_initialized);
}

pub fn reports_hold_no_secret_and_are_json(token: &TestToken) {
    let (custody, _) = token.open_with_key();
    let json = serde_json::json!({
        "token": custody.token(),
        "capabilities": custody.capabilities(),
        "keys": custody.keys().unwrap(),
        "health": custody.health(),
    });
    assert_eq!(json["token"]["label"], token.info.label);
    assert_eq!(json["keys"][0]["modulusBits"], 2048);
    assert_eq!(json["health"]["oldestCallMs"], serde_json::Value::Null);
    assert!(!json.to_string().contains(crate::support::USER_PIN));
}

/// One test per promise, each with a token of its own.
#[macro_export]
macro_rules! custody_suite {
    ($module:expr; $($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                suite::$name(&support::TestToken::new($module));
            }
        )*
    };
    ($module:expr) => {
        $crate::custody_suite! { $module;
            a_generated_key_cannot_leave_and_only_decrypts
            a_label_is_used_once_and_only_sensible_sizes_are_generated
            every_padding_decrypts_and_the_capabilities_say_how
            a_ciphertext_for_another_key_is_bad_input
            a_key_that_was_never_there_is_bad_input
            the_wrong_padding_is_bad_input
            garbage_is_bad_input_and_leaves_the_token_well
            a_ciphertext_of_another_length_is_bad_input
            no_stranger_causes_a_reconnect_or_has_good_requests_fail
            many_threads_get_their_own_answers
            a_key_that_could_leave_is_refused
            a_key_for_other_purposes_is_refused
            a_key_that_asks_for_the_pin_each_time_gets_it
            a_wrong_pin_at_one_use_is_tried_once_until_its_source_changes
            a_signing_key_that_asks_for_the_pin_each_time_gets_it
            a_pin_that_somebody_changes_is_read_again_at_the_next_login
            what_the_token_encrypts_it_decrypts
            what_the_token_encrypts_the_devices_decrypt
            a_message_comes_back_under_its_own_label_alone
            a_token_encrypts_with_a_label_if_it_does_labels
            what_has_no_time_is_not_done
            a_key_that_nobody_named_does_not_decrypt_pkcs1
            a_key_that_is_named_decrypts_pkcs1_and_encrypts_nothing_so
            nobody_learns_whether_a_pkcs1_padding_was_right
            a_public_key_is_made_an_object_once_and_reused
            the_objects_are_bounded_and_the_least_recently_used_goes
            objects_go_away_with_their_session
            the_token_shows_the_same_when_it_makes_the_known_ciphertexts_itself
            a_signing_key_signs_and_does_nothing_else
            a_kind_with_which_the_token_does_not_sign_leaves_no_key
            a_signature_on_every_curve_verifies
            a_signing_key_is_no_custody_key_nor_the_reverse
            a_label_is_used_once_whatever_the_key_is_for
            a_key_that_signs_and_decrypts_is_refused_for_both
            a_signing_key_that_could_leave_is_refused
            a_label_of_two_signing_keys_is_ambiguous_and_the_fingerprint_decides
            a_signing_key_of_an_odd_size_is_not_generated
            the_token_agrees_to_the_secret_of_the_module_and_keeps_none
            a_point_that_is_none_is_bad_input_and_leaves_the_token_well
            a_key_that_agrees_does_nothing_else_and_no_other_key_agrees
            a_wrong_pin_is_tried_once
            a_token_that_is_not_there_is_named
            reports_hold_no_secret_and_are_json
        }
    };
}
