//! Keys for agreements: the token comes to the secret that the module comes to, and keeps nothing of it.

use cryptoki::object::{Attribute, ObjectClass};
use fips::ec::{Curve, PrivateKey, point_from_spki};
use hsm::pkcs11::{GenerateAgreementKey, Pkcs11Custody};
use hsm::{AgreementKeyInfo, Custody, Error, ErrorClass, KeyFingerprint, KeyProblem, Terms};
use std::time::Duration;

use super::error;
use super::signing::generate_ec_beside;
use crate::support::{TestToken, session_beside};

fn generate(custody: &Pkcs11Custody, label: &str, curve: Curve) -> Result<AgreementKeyInfo, Error> {
    custody.generate_agreement_key(&GenerateAgreementKey {
        label: label.into(),
        curve,
    })
}

/// False after it was seen that a token without ECDH says so, and keeps no key.
fn agrees(token: &TestToken) -> bool {
    if token.quirks().ecdh.unwrap() {
        return true;
    }
    let custody = token.open();
    let refused = error(generate(&custody, "agreement", Curve::P256));
    assert_eq!(refused.class(), ErrorClass::Configuration, "{refused}");
    assert_eq!(custody.agreement_keys().unwrap(), []);
    let unknown = error(custody.derive_ecdh(&KeyFingerprint::from_bytes([1; 32]), &[4; 65]));
    assert_eq!(unknown.code(), "unknown_key");
    false
}

fn secret_keys(token: &TestToken, custody: &Pkcs11Custody) -> usize {
    session_beside(token, custody)
        .find_objects(&[Attribute::Class(ObjectClass::SECRET_KEY)])
        .unwrap()
        .len()
}

pub fn the_token_agrees_to_the_secret_of_the_module_and_keeps_none(token: &TestToken) {
    if !agrees(token) {
        return;
    }
    let custody = token.open();
    for curve in Curve::ALL {
        let label = format!("{curve:?}");
        let key = generate(&custody, &label, curve).unwrap();
        assert_eq!((&key.label, key.curve), (&label, curve));
        assert!(key.is_usable());
        let attributes = &key.attributes;
        for (name, value, expected) in [
            ("sensitive", attributes.sensitive, true),
            ("extractable", attributes.extractable, false),
            ("derive", attributes.derive, true),
            ("sign", attributes.sign, false),
            ("decrypt", attributes.decrypt, false),
            ("unwrap", attributes.unwrap, false),
            ("token", attributes.token, true),
            ("private", attributes.private, true),
        ] {
            assert_eq!(value, Some(expected), "{name}");
        }
        assert_eq!(
            error(generate(&custody, &label, curve)).code(),
            "label_in_use"
        );
        let own = point_from_spki(&key.spki_der).unwrap().1;
        // One whose secret begins with a zero, which some forms of numbers leave out, and any other.
        let peers = std::iter::repeat_with(|| PrivateKey::generate(curve).unwrap());
        let zero = peers
            .take(20_000)
            .find(|peer| curve == Curve::P521 || peer.agree(&own).unwrap().expose()[0] == 0)
            .unwrap();
        for peer in [zero, PrivateKey::generate(curve).unwrap()] {
            let point = peer.public_point().unwrap();
            let secret = custody.derive_ecdh(&key.fingerprint, &point).unwrap();
            assert!(secret.ct_eq(peer.agree(&own).unwrap().expose()), "{label}");
            let until = |within| custody.derive_ecdh_on(&key.fingerprint, &point, within);
            let in_time = until(Terms::within(Duration::from_secs(60))).unwrap();
            assert!(in_time.ct_eq(secret.expose()), "{label}");
            let late = until(Terms::within(Duration::ZERO));
            assert!(matches!(late, Err(Error::Deadline)), "{label}");
        }
    }
    assert_eq!(secret_keys(token, &custody), 0);
    let mut listed = custody.agreement_keys().unwrap();
    listed.sort_by_key(|key| key.curve.field_len());
    // As another process finds them.
    drop(custody);
    let mut again = token.open().agreement_keys().unwrap();
    again.sort_by_key(|key| key.curve.field_len());
    assert_eq!(listed.len(), 3);
    assert_eq!(listed, again);
}

pub fn a_point_that_is_none_is_bad_input_and_leaves_the_token_well(token: &TestToken) {
    if !agrees(token) {
        return;
    }
    let custody = token.open();
    let key = generate(&custody, "agreement", Curve::P256).unwrap();
    let peer = PrivateKey::generate(Curve::P256).unwrap();
    let point = peer.public_point().unwrap();
    let mut off_curve = point.clone();
    off_curve[64] ^= 1;
    let mut compressed = point[..33].to_vec();
    compressed[0] = 2 + (point[64] & 1);
    let mut longer = point.clone();
    longer.push(0);
    let other = PrivateKey::generate(Curve::P384).unwrap();
    let bad = [
        off_curve,
        compressed,
        longer,
        other.public_point().unwrap(),
        peer.spki_der().unwrap(),
        Vec::new(),
        vec![0],
        vec![4; 1 << 20],
    ];
    for bad in &bad {
        let refused = error(custody.derive_ecdh(&key.fingerprint, bad));
        assert!(matches!(refused, Error::InvalidPoint), "{refused}");
        assert_eq!(refused.class(), ErrorClass::BadInput);
    }
    let unknown = error(custody.derive_ecdh(&KeyFingerprint::from_bytes([1; 32]), &point));
    assert_eq!(unknown.code(), "unknown_key");
    let health = custody.health();
    assert_eq!(health.bad_inputs, u64::try_from(bad.len()).unwrap() + 1);
    assert_eq!((health.reconnects, health.token_failures), (0, 0));
    custody.derive_ecdh(&key.fingerprint, &point).unwrap();
}

pub fn a_key_that_agrees_does_nothing_else_and_no_other_key_agrees(token: &TestToken) {
    if !agrees(token) {
        return;
    }
    let custody = token.open();
    let key = generate(&custody, "agreement", Curve::P256).unwrap();
    assert_eq!(custody.signing_keys().unwrap(), []);
    assert_eq!(custody.keys().unwrap(), []);
    let name = hsm::SigningKeyName::Fingerprint(key.fingerprint);
    assert_eq!(
        error(custody.sign(&name, b"a report")).code(),
        "signing_key_not_found"
    );

    const P256: &[u8] = &[0x06, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
    let private = |sign: bool, extractable: bool| {
        [
            Attribute::Sensitive(!extractable),
            Attribute::Extractable(extractable),
            Attribute::Sign(sign),
            // SoftHSM's defaults for these two are true.
            Attribute::Decrypt(false),
            Attribute::Unwrap(false),
            Attribute::Derive(true),
        ]
    };
    generate_ec_beside(token, &custody, "beside", P256, 1, &private(true, false));
    generate_ec_beside(token, &custody, "beside", P256, 2, &private(false, true));
    let point = PrivateKey::generate(Curve::P256)
        .unwrap()
        .public_point()
        .unwrap();
    for (id, expected) in [
        (1, vec![KeyProblem::NotForAgreementAlone]),
        (2, vec![KeyProblem::NotSensitive, KeyProblem::Extractable]),
    ] {
        let listed = custody.agreement_keys().unwrap();
        let beside = listed.iter().find(|key| key.id == [id]).unwrap();
        assert_eq!(beside.problems, expected);
        let refused = error(custody.derive_ecdh(&beside.fingerprint, &point));
        assert_eq!(refused.code(), "key_refused");
        assert_eq!(refused.class(), ErrorClass::Configuration);
    }
}
