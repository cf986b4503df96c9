//! The life of a key between two tokens of one module.
#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use cryptoki::mechanism::MechanismType;
use cryptoki::object::{Attribute, CertificateType, ObjectClass};
use fips::digest::Hash;
use hsm::pkcs11::{GenerateKey, Pkcs11Custody};
use hsm::public_key::PublicKey;
use hsm::{
    AuditValue, Custody, Error, KeyAudit, KeyInfo, KeyLifeProblem, KeyOrigin, KeyProblem, Padding,
    TransportKey, WrappedKey,
};

use crate::support::{Module, TestToken, encrypt, session_beside};

fn request(label: &str) -> GenerateKey {
    GenerateKey {
        label: label.into(),
        id: None,
        modulus_bits: 2048,
        always_authenticate: false,
    }
}

fn problem<T>(result: Result<T, Error>) -> KeyLifeProblem {
    match result {
        Err(Error::Life(problem)) => problem,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it worked"),
    }
}

fn public(key: &KeyInfo) -> PublicKey {
    PublicKey::from_spki_der(&key.spki_der).unwrap()
}

fn value<'a>(audit: &'a KeyAudit, json: &str) -> Option<&'a AuditValue> {
    audit
        .attributes
        .iter()
        .find(|attribute| attribute.json == json)
        .unwrap()
        .value
        .as_ref()
}

fn audit_of(custody: &Pkcs11Custody, key: &KeyInfo) -> KeyAudit {
    custody
        .audit()
        .unwrap()
        .into_iter()
        .find(|audit| audit.fingerprint == Some(key.fingerprint))
        .expect("the key is in the audit")
}

fn decrypts(custody: &Pkcs11Custody, key: &KeyInfo) {
    for padding in custody.capabilities().native {
        let ciphertext = encrypt(&key.spki_der, padding, b"a password");
        let plain = custody
            .decrypt(&key.fingerprint, padding, &ciphertext)
            .unwrap();
        assert!(plain.ct_eq(b"a password"));
    }
}

/// The whole way of a key from one token to another.
pub fn a_replicable_key_is_copied_and_sealed_and_both_say_where_they_came_from(
    module: &'static Module,
) {
    let (source, target) = (TestToken::new(module), TestToken::new(module));
    let (from, to) = (source.open(), target.open());
    let key = from.generate_replicable(&request("custody")).unwrap();
    assert_eq!(key.problems, [KeyProblem::Extractable]);
    let ciphertext = encrypt(&key.spki_der, source.native()[0], b"x");
    assert!(
        matches!(
            from.decrypt(&key.fingerprint, source.native()[0], &ciphertext),
            Err(Error::KeyRefused { .. })
        ),
        "custody does not use it before it is sealed"
    );

    let transport = to.make_transport_key(2048).unwrap();
    assert_eq!(transport.paddings, source.native());
    let wrapped = from.wrap_for(&key.fingerprint, &transport).unwrap();
    let best = if source.native().contains(&Padding::OaepSha256) {
        Padding::OaepSha256
    } else {
        Padding::OaepSha1
    };
    assert_eq!(wrapped.padding, best);
    let copy = to
        .unwrap(&transport.fingerprint, &wrapped, &public(&key), "copy")
        .unwrap();
    assert_eq!(copy.fingerprint, key.fingerprint);
    assert!(copy.is_usable());
    assert_eq!(copy.attributes.origin(), KeyOrigin::UnwrappedHere);
    assert_eq!(copy.attributes.sensitive, Some(true));
    assert_eq!(copy.attributes.extractable, Some(false));
    // Kryoptic does not tell it of unwrapped keys at all.
    assert_ne!(copy.attributes.never_extractable, Some(true));
    assert_eq!(
        value(&audit_of(&to, &copy), "signRecover"),
        Some(&AuditValue::Flag(false))
    );
    decrypts(&to, &copy);
    let left: Vec<_> = to.audit().unwrap().into_iter().map(|a| a.label).collect();
    assert_eq!(left, ["copy"], "the transport key is gone");
    let beside = session_beside(&target, &to);
    let public_keys = beside
        .find_objects(&[
            Attribute::Class(ObjectClass::PUBLIC_KEY),
            Attribute::Token(true),
        ])
        .unwrap();
    assert_eq!(public_keys.len(), 1, "and its public half");

    let sealed = from.seal(&key.fingerprint).unwrap();
    assert!(!sealed.already);
    assert!(sealed.key.is_usable());
    assert_eq!(
        sealed.key.attributes.origin(),
        KeyOrigin::GeneratedHereReplicable
    );
    decrypts(&from, &sealed.key);
    assert!(from.seal(&key.fingerprint).unwrap().already);
    let beside = session_beside(&source, &from);
    let object = beside
        .find_objects(&[Attribute::Class(ObjectClass::PRIVATE_KEY)])
        .unwrap()[0];
    assert!(
        beside
            .update_attributes(object, &[Attribute::Extractable(true)])
            .is_err(),
        "it does not become extractable again"
    );
    let again = to.make_transport_key(2048).unwrap();
    assert_eq!(
        problem(from.wrap_for(&key.fingerprint, &again)),
        KeyLifeProblem::NotReplicable(key.fingerprint)
    );
}

pub fn a_key_that_was_made_to_stay_is_not_wrapped(module: &'static Module) {
    let (source, target) = (TestToken::new(module), TestToken::new(module));
    let (from, key) = source.open_with_key();
    assert_eq!(key.attributes.origin(), KeyOrigin::GeneratedHere);
    let transport = target.open().make_transport_key(2048).unwrap();
    assert_eq!(
        problem(from.wrap_for(&key.fingerprint, &transport)),
        KeyLifeProblem::NotReplicable(key.fingerprint)
    );
}

/// Whoever exchanges the bundle gets nothing into the token, and the transport key remains for the right one.
pub fn a_bundle_with_another_key_is_refused_and_leaves_nothing(module: &'static Module) {
    let (source, target) = (TestToken::new(module), TestToken::new(module));
    let (from, to) = (source.open(), target.open());
    let wanted = from.generate_replicable(&request("wanted")).unwrap();
    let other = from.generate_replicable(&request("other")).unwrap();
    let transport = to.make_transport_key(2048).unwrap();
    let wrong = from.wrap_for(&other.fingerprint, &transport).unwrap();
    let unwrap =
        |wrapped: &WrappedKey| to.unwrap(&transport.fingerprint, wrapped, &public(&wanted), "copy");
    assert_eq!(
        problem(unwrap(&wrong)),
        KeyLifeProblem::OtherKey {
            expected: wanted.fingerprint,
            found: other.fingerprint,
        }
    );
    let right = from.wrap_for(&wanted.fingerprint, &transport).unwrap();
    for damaged in [
        WrappedKey {
            wrapped_kek: vec![7; right.wrapped_kek.len()],
            ..right.clone()
        },
        WrappedKey {
            wrapped_key: vec![7; right.wrapped_key.len()],
            ..right.clone()
        },
        WrappedKey {
            wrapped_key: right.wrapped_key[8..].to_vec(),
            ..right.clone()
        },
        WrappedKey {
            wrapped_key: Vec::new(),
            ..right.clone()
        },
    ] {
        assert!(matches!(
            problem(unwrap(&damaged)),
            KeyLifeProblem::Refused { .. }
        ));
    }
    let left: Vec<_> = to.audit().unwrap().into_iter().map(|a| a.label).collect();
    assert_eq!(left, [transport.label.as_str()]);
    assert!(unwrap(&right).unwrap().is_usable());
    assert_eq!(
        problem(unwrap(&right)),
        KeyLifeProblem::AlreadyThere(wanted.fingerprint)
    );
}

pub fn a_key_is_wrapped_to_the_transport_key_that_was_named_and_to_no_weaker_one(
    module: &'static Module,
) {
    let (source, target) = (TestToken::new(module), TestToken::new(module));
    let (from, to) = (source.open(), target.open());
    let key = from
        .generate_replicable(&GenerateKey {
            modulus_bits: 3072,
            ..request("custody")
        })
        .unwrap();
    let transport = to.make_transport_key(2048).unwrap();
    assert_eq!(
        problem(from.wrap_for(&key.fingerprint, &transport)),
        KeyLifeProblem::WeakTransport {
            transport: 2048,
            key: 3072
        }
    );
    let exchanged = TransportKey {
        spki_der: key.spki_der.clone(),
        ..transport.clone()
    };
    assert!(matches!(
        from.wrap_for(&key.fingerprint, &exchanged),
        Err(Error::InvalidPublicKey(_))
    ));
    let custody_key = to.generate(&request("here")).unwrap();
    let nothing = WrappedKey {
        padding: Padding::OaepSha1,
        wrapped_kek: vec![1; 256],
        wrapped_key: vec![1; 64],
    };
    assert_eq!(
        problem(to.unwrap(&custody_key.fingerprint, &nothing, &public(&key), "copy")),
        KeyLifeProblem::NotATransportKey(custody_key.fingerprint),
        "a custody key unwraps nothing"
    );
    assert_eq!(
        problem(to.unwrap(&key.fingerprint, &nothing, &public(&key), "copy")),
        KeyLifeProblem::NoTransportKey(key.fingerprint)
    );
}

/// A key that was made by software, or exported from a system without tokens, enters the same way.
pub fn a_key_that_the_module_wrapped_enters_as_a_copy(module: &'static Module) {
    let target = TestToken::new(module);
    let to = target.open();
    let transport = to.make_transport_key(2048).unwrap();
    let key = fips::rsa::PrivateKey::generate(2048).unwrap();
    let kek = fips::random::secret(32).unwrap();
    let receiver = fips::rsa::PublicKey::from_spki(&transport.spki_der).unwrap();
    let padding = transport.paddings[0];
    let hash: Hash = padding.hash().unwrap();
    let wrapped = WrappedKey {
        padding,
        wrapped_kek: receiver.encrypt_oaep(hash, kek.expose()).unwrap(),
        wrapped_key: fips::aes::key_wrap_padded(&kek, &key.pkcs8_der().unwrap()).unwrap(),
    };
    let spki = key.public().unwrap().spki_der().to_vec();
    let expected = PublicKey::from_spki_der(&spki).unwrap();
    let copy = to
        .unwrap(&transport.fingerprint, &wrapped, &expected, "imported")
        .unwrap();
    assert_eq!(copy.attributes.origin(), KeyOrigin::UnwrappedHere);
    decrypts(&to, &copy);
}

pub fn a_destroyed_key_is_gone_with_its_public_half_and_others_stay(module: &'static Module) {
    let token = TestToken::new(module);
    let (custody, key) = token.open_with_key();
    let other = custody.generate(&request("other")).unwrap();
    let done = custody.destroy(&key.fingerprint).unwrap();
    assert_eq!((done.private_halves, done.public_halves), (1, 1));
    let left: Vec<_> = custody
        .audit()
        .unwrap()
        .into_iter()
        .map(|a| a.label)
        .collect();
    assert_eq!(left, ["other"]);
    let beside = session_beside(&token, &custody);
    let public_keys = beside
        .find_objects(&[
            Attribute::Class(ObjectClass::PUBLIC_KEY),
            Attribute::Token(true),
        ])
        .unwrap();
    assert_eq!(public_keys.len(), 1);
    assert!(matches!(
        custody.destroy(&key.fingerprint),
        Err(Error::UnknownKey(_))
    ));
    decrypts(&custody, &other);
    // The last one too: a token without keys is empty, and nothing that has to be healed.
    custody.destroy(&other.fingerprint).unwrap();
    assert!(custody.keys().unwrap().is_empty());
    let unknown = custody.decrypt(&other.fingerprint, Padding::OaepSha1, &[1; 256]);
    assert!(matches!(unknown, Err(Error::UnknownKey(_))));
    let made = custody.generate(&request("again")).unwrap();
    decrypts(&token.open(), &made);
}

pub fn the_audit_names_every_attribute_and_every_key(module: &'static Module) {
    let token = TestToken::new(module);
    let (custody, key) = token.open_with_key();
    let audit = audit_of(&custody, &key);
    assert_eq!(audit.class, "CKO_PRIVATE_KEY");
    assert_eq!(audit.key_type, "CKK_RSA");
    assert_eq!(audit.bits, Some(2048));
    assert_eq!(audit.label, "custody");
    assert_eq!(audit.id, key.id);
    for (name, expected) in [
        ("token", true),
        ("private", true),
        ("sensitive", true),
        ("alwaysSensitive", true),
        ("extractable", false),
        ("neverExtractable", true),
        ("local", true),
        ("decrypt", true),
        ("sign", false),
        ("signRecover", false),
        ("unwrap", false),
        ("derive", false),
        ("wrapWithTrusted", true),
        ("alwaysAuthenticate", false),
    ] {
        assert_eq!(
            value(&audit, name),
            Some(&AuditValue::Flag(expected)),
            "{name}"
        );
    }
    for name in ["startDate", "endDate", "encrypt"] {
        assert_eq!(value(&audit, name), None, "{name}");
    }
    assert_eq!(
        value(&audit, "keyGenMechanism"),
        Some(&AuditValue::Text("CKM_RSA_PKCS_KEY_PAIR_GEN".into()))
    );
    // What custody does not use is seen all the same.
    let beside = session_beside(&token, &custody);
    beside
        .generate_key(
            &cryptoki::mechanism::Mechanism::AesKeyGen,
            &[
                Attribute::Token(true),
                Attribute::Private(true),
                Attribute::Label(b"foreign".to_vec()),
                Attribute::ValueLen(32.into()),
                Attribute::AllowedMechanisms(vec![MechanismType::AES_GCM]),
            ],
        )
        .unwrap();
    let foreign = custody
        .audit()
        .unwrap()
        .into_iter()
        .find(|audit| audit.label == "foreign")
        .unwrap();
    assert_eq!(
        (foreign.class, foreign.key_type.as_str(), foreign.bits),
        ("CKO_SECRET_KEY", "CKK_AES", Some(256))
    );
    assert_eq!(foreign.fingerprint, None);
    // CKM_AES_GCM: what nothing here uses keeps its number.
    assert_eq!(
        value(&foreign, "allowedMechanisms"),
        Some(&AuditValue::Text("0x1087".into()))
    );
    for name in ["allowedMechanisms", "unwrapTemplate", "wrapTemplate"] {
        assert_eq!(value(&audit, name), None, "{name}");
    }
}

pub fn certificates_of_the_token_are_given_as_they_are(module: &'static Module) {
    let token = TestToken::new(module);
    let custody = token.open();
    assert_eq!(custody.certificates().unwrap(), []);
    let value = b"whatever the vendor put there";
    session_beside(&token, &custody)
        .create_object(&[
            Attribute::Class(ObjectClass::CERTIFICATE),
            Attribute::CertificateType(CertificateType::X_509),
            Attribute::Token(true),
            Attribute::Private(false),
            Attribute::Label(b"attestation".to_vec()),
            Attribute::Id(vec![1, 2]),
            Attribute::Subject(b"0\x00".to_vec()),
            Attribute::Value(value.to_vec()),
        ])
        .unwrap();
    let found = custody.certificates().unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(
        (
            found[0].label.as_str(),
            found[0].id.as_slice(),
            found[0].der.as_slice()
        ),
        ("attestation", &[1, 2][..], &value[..])
    );
}

/// One test for each behaviour over one module.
#[macro_export]
macro_rules! life_suite {
    ($module:expr; $($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                life::$name($module);
            }
        )*
    };
    ($module:expr) => {
        $crate::life_suite! { $module;
            a_replicable_key_is_copied_and_sealed_and_both_say_where_they_came_from
            a_key_that_was_made_to_stay_is_not_wrapped
            a_bundle_with_another_key_is_refused_and_leaves_nothing
            a_key_is_wrapped_to_the_transport_key_that_was_named_and_to_no_weaker_one
            a_key_that_the_module_wrapped_enters_as_a_copy
            a_destroyed_key_is_gone_with_its_public_half_and_others_stay
            the_audit_names_every_attribute_and_every_key
            certificates_of_the_token_are_given_as_they_are
        }
    };
}
