//! Signing keys: what they sign verifies, they do nothing else, and no custody key is one of them.

use cryptoki::mechanism::Mechanism;
use cryptoki::object::Attribute;
use fips::ec::Curve;
use fips::sign::{KeyKind, SignatureAlgorithm, verify};
use hsm::pkcs11::{GenerateKey, GenerateSigningKey, Pkcs11Custody};
use hsm::{
    Custody, Error, ErrorClass, KeyFingerprint, KeyProblem, Padding, SigningKeyInfo,
    SigningKeyName, TokenSignature,
};

use super::{error, generate_beside, makes_no_extractable_key};
use crate::support::{TestToken, session_beside};

/// CKA_EC_PARAMS of P-256.
const P256: &[u8] = &[0x06, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
const MESSAGE: &[u8] = b"a report";

fn generate(custody: &Pkcs11Custody, label: &str, kind: KeyKind) -> SigningKeyInfo {
    custody
        .generate_signing_key(&GenerateSigningKey {
            label: label.into(),
            kind,
        })
        .unwrap()
}

/// The kinds that custody generates on curves.
const ON_CURVES: [(Curve, KeyKind, SignatureAlgorithm); 3] = [
    (
        Curve::P256,
        KeyKind::EcP256,
        SignatureAlgorithm::EcdsaP256Sha256,
    ),
    (
        Curve::P384,
        KeyKind::EcP384,
        SignatureAlgorithm::EcdsaP384Sha384,
    ),
    (
        Curve::P521,
        KeyKind::EcP521,
        SignatureAlgorithm::EcdsaP521Sha512,
    ),
];

fn label(text: &str) -> SigningKeyName {
    SigningKeyName::Label(text.into())
}

fn assert_verifies(signature: &TokenSignature, key: &SigningKeyInfo) {
    assert_eq!(signature.algorithm, key.algorithm);
    assert_eq!(signature.spki_der, key.spki_der);
    let check = |message| {
        verify(
            signature.algorithm,
            &signature.spki_der,
            message,
            &signature.signature,
        )
    };
    check(MESSAGE).unwrap();
    assert!(check(b"another report").is_err());
}

/// Generates a pair on a curve past custody.
pub(super) fn generate_ec_beside(
    token: &TestToken,
    custody: &Pkcs11Custody,
    label: &str,
    curve_oid: &[u8],
    id: u8,
    private: &[Attribute],
) {
    let both = [
        Attribute::Token(true),
        Attribute::Label(label.as_bytes().to_vec()),
        Attribute::Id(vec![id]),
    ];
    let public = [&both[..], &[Attribute::EcParams(curve_oid.to_vec())]].concat();
    let private = [&both[..], &[Attribute::Private(true)], private].concat();
    session_beside(token, custody)
        .generate_key_pair(&Mechanism::EccKeyPairGen, &public, &private)
        .unwrap();
}

/// Generates a pair past custody of a kind with which the token signs.
pub fn generate_one_that_signs(
    token: &TestToken,
    custody: &Pkcs11Custody,
    label: &str,
    id: u8,
    private: &[Attribute],
) {
    if has_curve(token, Curve::P256) {
        generate_ec_beside(token, custody, label, P256, id, private);
    } else {
        generate_beside(token, custody, label, private);
    }
}

fn has_curve(token: &TestToken, curve: Curve) -> bool {
    token.quirks().curves.unwrap().contains(&curve)
}

/// What a signing key can be on this token.
fn kinds(token: &TestToken) -> Vec<(KeyKind, SignatureAlgorithm)> {
    let mut kinds = Vec::new();
    if token.quirks().rsa_pss.unwrap() {
        kinds.push((KeyKind::Rsa(3072), SignatureAlgorithm::RsaPssSha256));
    }
    for (curve, kind, algorithm) in ON_CURVES {
        if has_curve(token, curve) {
            kinds.push((kind, algorithm));
        }
    }
    kinds
}

/// A private half as a signing key has to be.
pub fn signing_only() -> [Attribute; 6] {
    [
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::Sign(true),
        Attribute::Decrypt(false),
        Attribute::Unwrap(false),
        Attribute::Derive(false),
    ]
}

pub fn a_signing_key_signs_and_does_nothing_else(token: &TestToken) {
    let custody = token.open();
    let mut keys = Vec::new();
    for (kind, algorithm) in kinds(token) {
        let name = format!("report-{}", algorithm.name());
        let key = generate(&custody, &name, kind);
        assert_eq!((&key.label, key.algorithm), (&name, algorithm));
        assert_eq!(key.fingerprint, KeyFingerprint::of_spki(&key.spki_der));
        assert!(key.is_usable());
        let attributes = &key.attributes;
        for (name, value, expected) in [
            ("sensitive", attributes.sensitive, true),
            ("always_sensitive", attributes.always_sensitive, true),
            ("extractable", attributes.extractable, false),
            ("never_extractable", attributes.never_extractable, true),
            ("local", attributes.local, token.says_local()),
            ("sign", attributes.sign, true),
            ("decrypt", attributes.decrypt, false),
            ("unwrap", attributes.unwrap, false),
            ("derive", attributes.derive, false),
            ("token", attributes.token, true),
            ("private", attributes.private, true),
        ] {
            assert_eq!(value, Some(expected), "{name}");
        }
        keys.push(key);
    }
    // As another process finds them.
    drop(custody);
    let custody = token.open();
    let mut listed = custody.signing_keys().unwrap();
    for list in [&mut listed, &mut keys] {
        list.sort_by_key(|key| key.fingerprint);
    }
    assert_eq!(listed, keys);
    for key in &keys {
        for name in [
            label(&key.label),
            SigningKeyName::Fingerprint(key.fingerprint),
        ] {
            assert_eq!(custody.signing_key(&name).unwrap(), *key);
            assert_verifies(&custody.sign(&name, MESSAGE).unwrap(), key);
        }
    }
    let health = custody.health();
    assert_eq!(health.signatures, 2 * u64::try_from(keys.len()).unwrap());
    assert_eq!(health.token_failures, 0);
    let json = serde_json::to_value(&listed).unwrap();
    assert_eq!(json[0]["algorithm"], listed[0].algorithm.name());
}

pub fn a_kind_with_which_the_token_does_not_sign_leaves_no_key(token: &TestToken) {
    let custody = token.open();
    let possible: Vec<_> = kinds(token).into_iter().map(|(kind, _)| kind).collect();
    for kind in [KeyKind::Rsa(3072), KeyKind::EcP256, KeyKind::EcP384] {
        if possible.contains(&kind) {
            continue;
        }
        let label = "not possible".to_owned();
        let refused = error(custody.generate_signing_key(&GenerateSigningKey { label, kind }));
        assert_eq!(refused.class(), ErrorClass::Configuration, "{refused}");
        assert_eq!(refused.code(), "mechanism_not_supported");
    }
    assert!(custody.signing_keys().unwrap().is_empty());
    assert_eq!(custody.health().token_failures, 0);
}

pub fn a_signature_on_every_curve_verifies(token: &TestToken) {
    let custody = token.open();
    let oids: [(Curve, &[u8]); 3] = [
        (Curve::P256, P256),
        (Curve::P384, &[0x06, 5, 0x2b, 0x81, 4, 0, 0x22]),
        (Curve::P521, &[0x06, 5, 0x2b, 0x81, 4, 0, 0x23]),
    ];
    for (id, (curve, oid)) in (1..).zip(oids) {
        if has_curve(token, curve) {
            generate_ec_beside(token, &custody, "beside", oid, id, &signing_only());
        }
    }
    let keys = custody.signing_keys().unwrap();
    assert_eq!(keys.len(), token.quirks().curves.unwrap().len());
    for (curve, _) in oids
        .into_iter()
        .filter(|(curve, _)| has_curve(token, *curve))
    {
        let key = keys
            .iter()
            .find(|key| key.algorithm.curve() == Some(curve))
            .unwrap();
        // Often enough for numbers with leading zeros.
        for _ in 0..20 {
            let name = SigningKeyName::Fingerprint(key.fingerprint);
            assert_verifies(&custody.sign(&name, MESSAGE).unwrap(), key);
        }
    }
}

pub fn a_signing_key_is_no_custody_key_nor_the_reverse(token: &TestToken) {
    let (custody, custody_key) = token.open_with_key();
    let capabilities = custody.capabilities();
    generate_beside(token, &custody, "rsa", &signing_only());
    let rsa = custody.signing_keys().unwrap().remove(0);
    let other = generate(&custody, "other", token.small_signing_key());

    let usable: Vec<_> = custody
        .keys()
        .unwrap()
        .into_iter()
        .filter(hsm::KeyInfo::is_usable)
        .collect();
    assert_eq!(usable, std::slice::from_ref(&custody_key));
    let listed = custody.keys().unwrap();
    let as_custody_key = listed
        .iter()
        .find(|key| key.fingerprint == rsa.fingerprint)
        .unwrap();
    assert_eq!(
        as_custody_key.problems,
        [KeyProblem::NotForDecryption, KeyProblem::OtherUses]
    );
    let refused = error(custody.decrypt(&rsa.fingerprint, Padding::OaepSha1, &[1; 256]));
    assert_eq!(refused.code(), "key_refused");
    let refused = error(custody.decrypt(&other.fingerprint, Padding::OaepSha1, &[1; 256]));
    let code = if other.algorithm.curve().is_some() {
        "unknown_key"
    } else {
        "key_refused"
    };
    assert_eq!(refused.code(), code);

    // Nor does a custody key sign.
    assert_eq!(custody.signing_keys().unwrap().len(), 2);
    for name in [
        label(&custody_key.label),
        SigningKeyName::Fingerprint(custody_key.fingerprint),
    ] {
        let refused = error(custody.sign(&name, MESSAGE));
        assert_eq!(refused.code(), "signing_key_not_found");
        assert_eq!(refused.class(), ErrorClass::Configuration);
        assert!(refused.to_string().contains(&name.to_string()));
    }
    assert_eq!(custody.capabilities(), capabilities);
    drop(custody);
    assert_eq!(token.open().capabilities(), capabilities);
}

pub fn a_label_is_used_once_whatever_the_key_is_for(token: &TestToken) {
    let (custody, custody_key) = token.open_with_key();
    generate(&custody, "report", token.small_signing_key());
    for taken in ["report", &custody_key.label] {
        let again = GenerateSigningKey {
            label: taken.into(),
            kind: token.small_signing_key(),
        };
        assert_eq!(
            error(custody.generate_signing_key(&again)).code(),
            "label_in_use"
        );
    }
    let again = GenerateKey {
        label: "report".into(),
        id: None,
        modulus_bits: 2048,
        always_authenticate: false,
    };
    assert_eq!(error(custody.generate(&again)).code(), "label_in_use");
}

pub fn a_key_that_signs_and_decrypts_is_refused_for_both(token: &TestToken) {
    let custody = token.open();
    let mut private = signing_only();
    private[3] = Attribute::Decrypt(true);
    generate_beside(token, &custody, "both", &private);
    let key = custody.signing_keys().unwrap().remove(0);
    assert_eq!(key.problems, [KeyProblem::NotForSigningAlone]);
    let Error::KeyRefused { problems, .. } = error(custody.sign(&label("both"), MESSAGE)) else {
        panic!("not refused for its use");
    };
    assert_eq!(problems, key.problems);
    let as_custody_key = custody.keys().unwrap().remove(0);
    assert_eq!(as_custody_key.problems, [KeyProblem::OtherUses]);
    let refused = error(custody.decrypt(&key.fingerprint, Padding::OaepSha1, &[1; 256]));
    assert_eq!(refused.code(), "key_refused");
}

pub fn a_signing_key_that_could_leave_is_refused(token: &TestToken) {
    let mut config = token.config();
    // The switch is for custody keys.
    config.allow_extractable_keys = true;
    let custody = Pkcs11Custody::open(config).unwrap();
    let mut private = signing_only();
    private[0] = Attribute::Sensitive(false);
    private[1] = Attribute::Extractable(true);
    if makes_no_extractable_key(token, &custody, &private) {
        return;
    }
    generate_beside(token, &custody, "extractable", &private);
    let refused = error(custody.sign(&label("extractable"), MESSAGE));
    let Error::KeyRefused { problems, .. } = &refused else {
        panic!("{refused}");
    };
    assert_eq!(
        *problems,
        [KeyProblem::NotSensitive, KeyProblem::Extractable]
    );
    assert_eq!(custody.health().signatures, 0);
}

pub fn a_label_of_two_signing_keys_is_ambiguous_and_the_fingerprint_decides(token: &TestToken) {
    let custody = token.open();
    let has_curve = has_curve(token, Curve::P256);
    for id in [1, 2] {
        generate_one_that_signs(token, &custody, "beside", id, &signing_only());
    }
    let refused = error(custody.sign(&label("beside"), MESSAGE));
    assert!(matches!(
        refused,
        Error::SigningKeyAmbiguous { count: 2, .. }
    ));
    assert_eq!(refused.class(), ErrorClass::Configuration);
    let keys = custody.signing_keys().unwrap();
    for key in &keys {
        let name = SigningKeyName::Fingerprint(key.fingerprint);
        assert_verifies(&custody.sign(&name, MESSAGE).unwrap(), key);
    }
    if !has_curve {
        // An RSA key shows its public half itself.
        return;
    }

    // Which public half belongs to which key cannot be told once they share an identifier.
    generate_ec_beside(token, &custody, "beside", P256, 2, &signing_only());
    let left = custody.signing_keys().unwrap();
    if token.quirks().same_id_replaces.unwrap() {
        assert_eq!(left.len(), 2);
        assert_eq!(left.iter().filter(|key| keys.contains(key)).count(), 1);
    } else {
        assert_eq!(left.len(), 1);
        assert!(keys.contains(&left[0]));
    }
}

pub fn a_signing_key_of_an_odd_size_is_not_generated(token: &TestToken) {
    let custody = token.open();
    for bits in [0, 1024, 2049, 8192, usize::MAX] {
        let odd = GenerateSigningKey {
            label: "odd".into(),
            kind: KeyKind::Rsa(bits),
        };
        assert_eq!(
            error(custody.generate_signing_key(&odd)).code(),
            "modulus_bits"
        );
    }
    assert!(custody.signing_keys().unwrap().is_empty());
}
