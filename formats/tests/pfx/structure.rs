//! What may be inside: bags within bags, attributes that are wrong, keys of every kind, ids that repeat. Files put together by hand.

use super::asn1::{DATA, bag, certificate, data, der, pfx, sequence};
use super::openssl::{Issuance, KeyAlgorithm, Workshop, openssl, text};
use super::{open, read, refusal};
use fips::secret::SecretBytes;
use formats::pfx::{
    self, BagKind, Integrity, MatchedBy, PasswordForm, PfxError, PfxLimits, Protection,
};
use std::path::Path;

pub(super) const KEY: u8 = 1;
pub(super) const SHROUDED_KEY: u8 = 2;
pub(super) const CERTIFICATE: u8 = 3;
const CRL: u8 = 4;
const SECRET: u8 = 5;
const SAFE_CONTENTS: u8 = 6;

const FRIENDLY_NAME: u8 = 20;
const LOCAL_KEY_ID: u8 = 21;

/// A set of one attribute of PKCS#9.
fn attribute(number: u8, value: &[u8]) -> Vec<u8> {
    let id = [
        b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x09".as_slice(),
        &[number],
    ]
    .concat();
    der(0x31, &sequence(&[&id, &der(0x31, value)]))
}

fn local_key_id(id: &[u8]) -> Vec<u8> {
    attribute(LOCAL_KEY_ID, &der(0x04, id))
}

/// PKCS#8 in DER.
pub(super) fn pkcs8(key: &Path) -> Vec<u8> {
    openssl(&[
        "pkcs8",
        "-topk8",
        "-nocrypt",
        "-outform",
        "DER",
        "-in",
        text(key),
    ])
}

/// EncryptedPrivateKeyInfo in DER.
pub(super) fn shrouded(key: &Path, password: &str) -> Vec<u8> {
    shrouded_under("aes-256-cbc", key, password)
}

/// As [`shrouded`], with this cipher of OpenSSL's.
pub(super) fn shrouded_under(cipher: &str, key: &Path, password: &str) -> Vec<u8> {
    shrouded_with(&["-v2", cipher], key, password)
}

/// As [`shrouded`], with these options of `openssl pkcs8`.
pub(super) fn shrouded_with(options: &[&str], key: &Path, password: &str) -> Vec<u8> {
    let password = format!("pass:{password}");
    let arguments = [
        "pkcs8",
        "-topk8",
        "-passout",
        &password,
        "-outform",
        "DER",
        "-in",
        text(key),
    ];
    openssl(&[&arguments[..], options].concat())
}

fn bags(bags: &[Vec<u8>]) -> Vec<u8> {
    pfx(&der(0x30, &bags.concat()))
}

#[test]
fn bags_within_bags_are_found_and_their_depth_is_limited() {
    let workshop = Workshop::new();
    let root = workshop.authority("Root", KeyAlgorithm::P256);
    let device = root.device("ada", KeyAlgorithm::P256);
    let nested = |depth: usize| {
        let mut safe = der(0x30, &bag(CERTIFICATE, &certificate(&device.der()), &[]));
        for _ in 0..depth {
            safe = sequence(&[
                &bag(SAFE_CONTENTS, &safe, &[]),
                &bag(KEY, &pkcs8(&device.key), &[]),
            ]);
        }
        pfx(&safe)
    };
    let opened = open(&nested(3), "").unwrap();
    assert_eq!(opened.keys().len(), 3);
    assert_eq!(opened.certificates().len(), 1);
    let kinds: Vec<_> = opened
        .survey()
        .bags()
        .map(|bag| (bag.kind, bag.depth))
        .collect();
    assert_eq!(
        kinds,
        [
            (BagKind::SafeContents, 0),
            (BagKind::SafeContents, 1),
            (BagKind::SafeContents, 2),
            (BagKind::Certificate, 3),
            (BagKind::Key, 2),
            (BagKind::Key, 1),
            (BagKind::Key, 0),
        ]
    );
    assert!(open(&nested(8), "").is_ok());
    assert_eq!(refusal(&nested(9), "").code(), "limit_exceeded");
    assert_eq!(refusal(&nested(200), "").code(), "limit_exceeded");
}

#[test]
fn keys_find_their_certificates_by_the_public_key_whatever_the_ids_say() {
    let workshop = Workshop::new();
    let root = workshop.authority("Root", KeyAlgorithm::P256);
    let ada = root.device("ada", KeyAlgorithm::Rsa(2048));
    let bob = root.device("bob", KeyAlgorithm::P384);
    // Crossed, the same for all, and none.
    for ids in [
        [&b"1"[..], b"2", b"2", b"1"],
        [b"1", b"1", b"1", b"1"],
        [b"", b"", b"", b""],
    ] {
        let id = |place: usize| match ids[place] {
            b"" => Vec::new(),
            id => local_key_id(id),
        };
        let file = bags(&[
            bag(CERTIFICATE, &certificate(&root.der()), &[]),
            bag(KEY, &pkcs8(&ada.key), &id(0)),
            bag(CERTIFICATE, &certificate(&bob.der()), &id(3)),
            bag(KEY, &pkcs8(&bob.key), &id(1)),
            bag(CERTIFICATE, &certificate(&ada.der()), &id(2)),
        ]);
        let opened = open(&file, "").unwrap();
        let found: Vec<_> = opened
            .identities()
            .iter()
            .map(|identity| identity.certificate().to_vec())
            .collect();
        assert_eq!(found, [ada.der(), bob.der()]);
        let chain = opened.chain_of(1).unwrap();
        assert_eq!((chain.issuers, chain.complete), (vec![0], true));
        assert_eq!(opened.certificates()[1].key(), Some(1));
        assert_eq!(opened.certificates()[0].key(), None);
        assert_eq!(
            opened.identity().err().unwrap().code(),
            "several_private_keys"
        );
    }
}

#[test]
fn of_two_certificates_of_one_key_the_file_says_which() {
    let workshop = Workshop::new();
    let root = workshop.authority("Root", KeyAlgorithm::P256);
    let old = root.device("ada", KeyAlgorithm::P256);
    let new = root.device_with_key("ada", old.key.clone(), &Issuance::default());
    let file = |id: &[u8]| {
        bags(&[
            bag(KEY, &pkcs8(&old.key), &local_key_id(b"new")),
            bag(CERTIFICATE, &certificate(&old.der()), &local_key_id(b"old")),
            bag(CERTIFICATE, &certificate(&new.der()), &local_key_id(id)),
        ])
    };
    let opened = open(&file(b"new"), "").unwrap();
    assert_eq!(opened.identity().unwrap().certificate(), new.der());
    assert_eq!(opened.identity().unwrap().chain(), [old.der()]);
    // It says nothing that fits: the first.
    let opened = open(&file(b"other"), "").unwrap();
    assert_eq!(opened.identity().unwrap().certificate(), old.der());
}

#[test]
fn attributes_of_another_type_are_none_and_are_named() {
    let workshop = Workshop::new();
    let key = workshop.key(KeyAlgorithm::P256);
    let opened =
        |attributes: &[u8]| open(&bags(&[bag(KEY, &pkcs8(&key), attributes)]), "").unwrap();
    for (number, value) in [
        (FRIENDLY_NAME, &b"\x01\x01\xff"[..]),
        (FRIENDLY_NAME, b"\x1e\x03\x00a\x00"),
        (FRIENDLY_NAME, b"\x04\x02\x00a"),
        (FRIENDLY_NAME, b"\x0c\x01\xff"),
        (FRIENDLY_NAME, b""),
        (LOCAL_KEY_ID, b"\x01\x01\xff"),
        (LOCAL_KEY_ID, b"\x02\x01\x01"),
        (LOCAL_KEY_ID, b"\x24\x00"),
    ] {
        let pfx = opened(&attribute(number, value));
        let key = &pfx.keys()[0];
        let is_empty_string = value == b"\x24\x00";
        assert_eq!(key.friendly_name(), None, "{value:?}");
        assert_eq!(key.local_key_id(), is_empty_string.then_some(&[][..]));
        let bag = pfx.survey().bags().next().unwrap();
        assert_eq!(
            bag.broken_attributes.len(),
            usize::from(!is_empty_string),
            "{value:?}"
        );
    }
    for (value, name) in [
        (&b"\x1e\x04\x00a\x00b"[..], "ab"),
        (b"\x1e\x06\x00a\x00b\x00\x00", "ab"),
        (b"\x1e\x04\xd8\x3d\xdd\x11", "\u{1f511}"),
        (b"\x1e\x02\xd8\x3d", "\u{fffd}"),
        (b"\x0c\x03\xc3\xa4b", "\u{e4}b"),
        (b"\x13\x02ab", "ab"),
        (b"\x1e\x04\x00\x1b\x00b", "\u{fffd}b"),
    ] {
        let pfx = opened(&attribute(FRIENDLY_NAME, value));
        assert_eq!(pfx.keys()[0].friendly_name(), Some(name), "{value:?}");
    }
    // No attributes at all, but something in their place.
    let garbage = opened(&der(0x31, b"\x04\x01\x00"));
    assert_eq!(
        garbage
            .survey()
            .bags()
            .next()
            .unwrap()
            .broken_attributes
            .len(),
        1
    );
}

#[test]
fn keys_of_other_kinds_are_listed_and_refused_by_name_where_they_would_be_used() {
    let workshop = Workshop::new();
    let root = workshop.authority("Root", KeyAlgorithm::P256);
    let made = |arguments: &[&str]| {
        let path = workshop.fresh(".pem");
        openssl(&[&["genpkey", "-quiet", "-out", text(&path)], arguments].concat());
        path
    };
    let curve = |name: &str| made(&["-algorithm", "EC", "-pkeyopt", name]);
    let explicit = made(&[
        "-algorithm",
        "EC",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-pkeyopt",
        "ec_param_enc:explicit",
    ]);
    let supported = root.device("ada", KeyAlgorithm::P256);
    for (name, key) in [
        ("ed25519", made(&["-algorithm", "ED25519"])),
        ("ed448", made(&["-algorithm", "ED448"])),
        ("x25519", made(&["-algorithm", "X25519"])),
        ("ec", curve("ec_paramgen_curve:secp256k1")),
        ("ec", curve("ec_paramgen_curve:brainpoolP256r1")),
        ("ec-explicit", explicit),
        (
            "rsa-pss",
            made(&["-algorithm", "RSA-PSS", "-pkeyopt", "rsa_keygen_bits:2048"]),
        ),
    ] {
        let alone = open(&bags(&[bag(KEY, &pkcs8(&key), &[])]), "").unwrap();
        let facts = alone.keys()[0].facts();
        assert_eq!(facts.algorithm, name);
        assert!(!facts.supported);
        let error = alone.identity().err().unwrap();
        assert_eq!(error.code(), "unsupported_algorithm");
        assert!(error.to_string().contains(&facts.text), "{error}");
        // Beside one that is supported it is only listed.
        let both = open(
            &bags(&[
                bag(KEY, &pkcs8(&key), &[]),
                bag(CERTIFICATE, &certificate(&supported.der()), &[]),
                bag(KEY, &pkcs8(&supported.key), &[]),
            ]),
            "",
        )
        .unwrap();
        assert_eq!(both.keys().len(), 2, "{name}");
        assert_eq!(both.identity().unwrap().certificate(), supported.der());
    }
    // Their certificates are found nevertheless; the id is what is left where the public half is out of reach.
    for (algorithm, by) in [
        ("ED25519", MatchedBy::PublicKey),
        ("ED448", MatchedBy::LocalKeyId),
    ] {
        let key = made(&["-algorithm", algorithm]);
        let device = root.device_with_key("eve", key.clone(), &Issuance::default());
        let id = local_key_id(b"1");
        let file = bags(&[
            bag(KEY, &pkcs8(&key), &id),
            bag(CERTIFICATE, &certificate(&device.der()), &id),
        ]);
        let opened = open(&file, "").unwrap();
        assert_eq!(opened.keys()[0].certificate(), Some(0));
        assert_eq!(opened.keys()[0].matched_by(), Some(by), "{algorithm}");
    }
}

#[test]
fn a_key_whose_numbers_do_not_fit_is_malformed() {
    let workshop = Workshop::new();
    let mut key = pkcs8(&workshop.key(KeyAlgorithm::Rsa(2048)));
    let middle = key.len() / 2;
    key[middle] ^= 1;
    let error = refusal(&bags(&[bag(KEY, &key, &[])]), "");
    assert_eq!(error.code(), "malformed");
}

#[test]
fn revocation_lists_secrets_and_what_nobody_knows_are_kept_apart() {
    let secret = sequence(&[b"\x06\x03\x55\x04\x03", &der(0xa0, &der(0x04, b"secret"))]);
    let crl = sequence(&[
        b"\x06\x0a\x2a\x86\x48\x86\xf7\x0d\x01\x09\x17\x01",
        &der(0xa0, &der(0x04, b"crl")),
    ]);
    let sdsi = sequence(&[
        b"\x06\x0a\x2a\x86\x48\x86\xf7\x0d\x01\x09\x16\x02",
        &der(0xa0, &der(0x16, b"c2RzaQ==")),
    ]);
    let file = bags(&[
        bag(CRL, &crl, &[]),
        bag(SECRET, &secret, &attribute(FRIENDLY_NAME, b"\x1e\x02\x00s")),
        bag(CERTIFICATE, &sdsi, &[]),
        bag(9, &der(0x05, b""), &[]),
    ]);
    let opened = open(&file, "").unwrap();
    let kinds: Vec<_> = opened.others().iter().map(pfx::OpenedOther::kind).collect();
    assert_eq!(
        kinds,
        [
            BagKind::Crl,
            BagKind::Secret,
            BagKind::OtherCertificate,
            BagKind::Unknown
        ]
    );
    assert_eq!(opened.others()[1].friendly_name(), Some("s"));
    assert_eq!(opened.others()[1].value().expose(), secret);
    assert!(
        opened.others()[3]
            .of_type()
            .contains("1.2.840.113549.1.12.10.1.9")
    );
    assert_eq!(opened.identity().err().unwrap().code(), "no_private_key");
}

#[test]
fn protection_by_certificates_is_seen_and_refused_by_name() {
    let enveloped = sequence(&[
        b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x03",
        &der(0xa0, &der(0x30, b"\x02\x01\x00")),
    ]);
    let private = sequence(&[&[2, 1, 3], &data(&sequence(&[&enveloped]))]);
    let error = refusal(&private, "");
    assert_eq!(error.code(), "unsupported_algorithm");
    assert!(error.to_string().contains("public-key privacy"), "{error}");
    let survey = pfx::survey(&private, &PfxLimits::default()).unwrap();
    assert_eq!(survey.parts[0].protection, Protection::PublicKey);
    assert_eq!(survey.integrity, Integrity::None);

    let signed = sequence(&[
        b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02",
        &der(0xa0, &der(0x30, b"\x02\x01\x01")),
    ]);
    let signed = sequence(&[&[2, 1, 3], &signed]);
    let error = refusal(&signed, "");
    assert_eq!(error.code(), "unsupported_algorithm");
    assert!(
        error.to_string().contains("public-key integrity"),
        "{error}"
    );
    let survey = pfx::survey(&signed, &PfxLimits::default()).unwrap();
    assert_eq!(survey.integrity, Integrity::Signature);

    let version = sequence(&[&[2, 1, 4], &data(&[0x30, 0])]);
    assert_eq!(refusal(&version, "").code(), "unsupported_algorithm");
}

#[test]
fn without_a_mac_the_first_encrypted_part_tells_a_wrong_password() {
    let workshop = Workshop::new();
    let root = workshop.authority("Root", KeyAlgorithm::P256);
    let ada = root.device("ada", KeyAlgorithm::P256);
    let bob = root.device("bob", KeyAlgorithm::P256);
    let file = bags(&[
        bag(SHROUDED_KEY, &shrouded(&ada.key, "one"), &[]),
        bag(CERTIFICATE, &certificate(&ada.der()), &[]),
    ]);
    assert!(open(&file, "one").unwrap().identity().is_ok());
    for wrong in ["", "two", "\u{e4}"] {
        assert_eq!(refusal(&file, wrong), PfxError::WrongPassword);
    }
    // Two passwords: what one opens shows that it is no wrong one.
    let two = bags(&[
        bag(SHROUDED_KEY, &shrouded(&ada.key, "one"), &[]),
        bag(SHROUDED_KEY, &shrouded(&bob.key, "two"), &[]),
    ]);
    let error = refusal(&two, "one");
    assert_eq!(error, PfxError::AnotherPassword);
    assert_eq!(error.code(), "wrong_password");
    assert_eq!(refusal(&two, "two"), PfxError::WrongPassword);
}

#[test]
fn a_password_that_is_no_utf8_is_taken_as_latin1() {
    let workshop = Workshop::new();
    let root = workshop.authority("Root", KeyAlgorithm::P256);
    let device = root.device("ada", KeyAlgorithm::P256);
    let pfx = device.pfx("Gr\u{fc}\u{df}e", &[]);
    let limits = PfxLimits::default();
    let opened = read(&pfx, &SecretBytes::from_slice(b"Gr\xfc\xdfe"), &limits).unwrap();
    assert_eq!(opened.survey().password_form, Some(PasswordForm::Standard));
    let long = SecretBytes::zeroed(limits.max_password_bytes + 1);
    let error = read(&pfx, &long, &limits).err().unwrap();
    assert_eq!(error.code(), "limit_exceeded");
}

#[test]
fn broken_layers_are_malformed_each_by_its_name() {
    let encrypted = |content: &[u8]| {
        let info = sequence(&[DATA, &sequence(&[b"\x06\x03\x55\x04\x03"]), content]);
        let part = sequence(&[
            b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x06",
            &der(0xa0, &sequence(&[&[2, 1, 0], &info])),
        ]);
        sequence(&[&[2, 1, 3], &data(&sequence(&[&part]))])
    };
    for (named, file) in [
        ("EncryptedData", encrypted(b"")),
        ("EncryptedData", encrypted(b"\x05\x00")),
        ("EncryptedData", encrypted(&der(0xa0, b"\x02\x01\x01"))),
        ("SafeContents", pfx(b"\x31\x00")),
        ("SafeContents", pfx(&der(0x30, b"\x30\x02\x05\x00"))),
        ("SafeContents", pfx(b"\x30\x00\x01")),
        (
            "AuthenticatedSafe",
            sequence(&[&[2, 1, 3], &data(b"\x04\x00")]),
        ),
        (
            "ContentInfo",
            sequence(&[&[2, 1, 3], &data(b"\x30\x02\x05\x00")]),
        ),
        ("PFX", sequence(&[&[2, 1, 3]])),
        ("PFX", sequence(&[&[2, 2, 0, 3], &data(&[0x30, 0])])),
        (
            "MacData",
            sequence(&[&[2, 1, 3], &data(&[0x30, 0]), &[0x30, 0]]),
        ),
        (
            "EncryptedPrivateKeyInfo",
            bags(&[bag(SHROUDED_KEY, b"\x30\x00", &[])]),
        ),
        ("private key", bags(&[bag(KEY, b"\x30\x00", &[])])),
        (
            "certificate bag",
            bags(&[bag(CERTIFICATE, b"\x30\x00", &[])]),
        ),
        ("secret bag", bags(&[bag(SECRET, b"\x05\x00", &[])])),
    ] {
        let error = refusal(&file, "");
        assert_eq!(error.code(), "malformed", "{named}: {error}");
        assert!(error.to_string().contains(named), "{named}: {error}");
    }
    // Nothing is in it, which is allowed.
    assert!(open(&pfx(b"\x30\x00"), "").unwrap().keys().is_empty());
}
