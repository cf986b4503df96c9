#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

//! What real TPMs said is in tests/data/tpm (a software TPM, told by the TPM's tools); what they would not say is built here.

use super::*;
use fips::digest::Hash;
use fips::policy::Policy;
use fips::sign::{KeyKind, SignatureAlgorithm, SigningKey};

macro_rules! data {
    ($name:literal) => {
        include_bytes!(concat!("../../../tests/data/tpm/", $name)).as_slice()
    };
}

/// A statement of the software TPM with its attestation key.
struct Told {
    attestation: &'static [u8],
    signature: &'static [u8],
    public: &'static [u8],
    attestation_key: &'static [u8],
    words: &'static str,
}

const TOLD: [Told; 5] = [
    Told {
        attestation: data!("key-p256.attest"),
        signature: data!("key-p256.sig"),
        public: data!("key.pub"),
        attestation_key: data!("ak-p256.pub"),
        words: "ECDSA with SHA-256",
    },
    Told {
        attestation: data!("key-p384.attest"),
        signature: data!("key-p384.sig"),
        public: data!("key.pub"),
        attestation_key: data!("ak-p384.pub"),
        words: "ECDSA with SHA-384",
    },
    Told {
        attestation: data!("key-rsassa.attest"),
        signature: data!("key-rsassa.sig"),
        public: data!("key.pub"),
        attestation_key: data!("ak-rsassa.pub"),
        words: "RSA PKCS#1 v1.5 with SHA-256",
    },
    Told {
        attestation: data!("key-rsapss.attest"),
        signature: data!("key-rsapss.sig"),
        public: data!("key.pub"),
        attestation_key: data!("ak-rsapss.pub"),
        words: "RSA-PSS with SHA-256",
    },
    Told {
        attestation: data!("imported-p256.attest"),
        signature: data!("imported-p256.sig"),
        public: data!("imported.pub"),
        attestation_key: data!("ak-p256.pub"),
        words: "ECDSA with SHA-256",
    },
];

/// Verifies with the attestation key's own name trusted.
fn judged(
    attestation: &[u8],
    signature: &[u8],
    public: &[u8],
    attestation_key: &[u8],
) -> Result<Certified, TpmError> {
    let name = Public::read(attestation_key)?.name().clone();
    named(attestation, signature, public, attestation_key, &name)
}

fn named(
    attestation: &[u8],
    signature: &[u8],
    public: &[u8],
    attestation_key: &[u8],
    name: &Name,
) -> Result<Certified, TpmError> {
    let evidence = Evidence {
        attestation,
        signature,
        public,
        parents: &[],
        qualification: None,
    };
    let attester = Attester::Name {
        public: attestation_key,
        name,
    };
    verify(&evidence, &attester)
}

fn of(told: &Told) -> Result<Certified, TpmError> {
    judged(
        told.attestation,
        told.signature,
        told.public,
        told.attestation_key,
    )
}

fn flips(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> + '_ {
    (0..bytes.len() * 8).map(|bit| {
        let mut changed = bytes.to_vec();
        changed[bit / 8] ^= 1 << (bit % 8);
        changed
    })
}

#[test]
fn what_a_software_tpm_says_of_its_keys_is_verified_and_says_where_they_are() {
    fips::start(Policy::STRICT).unwrap();
    for told in &TOLD {
        let certified = of(told).unwrap();
        assert_eq!(certified.algorithm, told.words);
        assert_eq!(certified.attestation.extra_data, [0x00, 0xff, 0x55, 0xaa]);
        let attributes = certified.public.attributes();
        let imported = told.public == data!("imported.pub");
        assert_eq!(attributes.fixed_tpm(), !imported, "{attributes:?}");
        assert_eq!(attributes.sensitive_data_origin(), !imported);
        assert!(attributes.decrypt());
        // Neither is a primary object, and nothing more is known of where they are.
        assert_eq!((certified.place, certified.signer_place), (None, None));
    }
}

#[test]
fn the_names_are_those_that_the_tools_print() {
    for (public, printed) in [
        (data!("key.pub"), data!("key.name")),
        (data!("ak-p256.pub"), data!("ak-p256.name")),
        (data!("ak-p384.pub"), data!("ak-p384.name")),
        (data!("srk.pub"), data!("srk.name")),
    ] {
        let public = Public::read(public).unwrap();
        assert_eq!(public.name().as_bytes(), printed);
        assert_eq!(Name::read(printed).unwrap(), *public.name());
    }
}

#[test]
fn the_parents_tell_the_place_and_one_that_is_above_nothing_is_refused() {
    fips::start(Policy::STRICT).unwrap();
    let told = &TOLD[0];
    let [srk, ek] = [data!("srk.pub"), data!("ek.pub")].map(<[u8]>::to_vec);
    let name = Public::read(told.attestation_key).unwrap().name().clone();
    let with = |parents: &[Vec<u8>]| {
        let evidence = Evidence {
            attestation: told.attestation,
            signature: told.signature,
            public: told.public,
            parents,
            qualification: Some(&[0x00, 0xff, 0x55, 0xaa]),
        };
        let attester = Attester::Name {
            public: told.attestation_key,
            name: &name,
        };
        verify(&evidence, &attester)
    };
    for parents in [vec![srk.clone(), ek.clone()], vec![ek.clone(), srk.clone()]] {
        let certified = with(&parents).unwrap();
        let (place, signer) = (certified.place.unwrap(), certified.signer_place.unwrap());
        assert_eq!(place.hierarchy, Hierarchy::Owner);
        assert_eq!(place.above, [Public::read(&srk).unwrap().name().clone()]);
        assert_eq!(signer.hierarchy, Hierarchy::Endorsement);
        assert_eq!(signer.above, [Public::read(&ek).unwrap().name().clone()]);
    }
    let stranger = told.public.to_vec();
    assert!(matches!(
        with(&[srk.clone(), stranger]),
        Err(TpmError::NotAbove(_))
    ));
    let many = vec![srk; MAX_PARENTS + 1];
    assert!(matches!(with(&many), Err(TpmError::TooMany { .. })));
}

#[test]
fn other_qualifying_data_is_refused() {
    fips::start(Policy::STRICT).unwrap();
    let told = &TOLD[0];
    let name = Public::read(told.attestation_key).unwrap().name().clone();
    let evidence = Evidence {
        attestation: told.attestation,
        signature: told.signature,
        public: told.public,
        parents: &[],
        qualification: Some(b"a nonce"),
    };
    let attester = Attester::Name {
        public: told.attestation_key,
        name: &name,
    };
    assert_eq!(
        verify(&evidence, &attester).unwrap_err(),
        TpmError::Qualification {
            found: "00ff55aa".to_owned()
        }
    );
}

/// Whatever bit of whatever file is changed: it is refused, and nothing panics.
#[test]
fn no_changed_bit_is_taken() {
    fips::start(Policy::STRICT).unwrap();
    for told in &TOLD {
        let name = Public::read(told.attestation_key).unwrap().name().clone();
        let judge = |attestation: &[u8], signature: &[u8], public: &[u8], key: &[u8]| {
            named(attestation, signature, public, key, &name)
        };
        let Told {
            attestation,
            signature,
            public,
            attestation_key,
            words,
        } = *told;
        for changed in flips(attestation) {
            assert!(
                judge(&changed, signature, public, attestation_key).is_err(),
                "{words}"
            );
        }
        for changed in flips(signature) {
            assert!(
                judge(attestation, &changed, public, attestation_key).is_err(),
                "{words}"
            );
        }
        for changed in flips(public) {
            assert!(
                judge(attestation, signature, &changed, attestation_key).is_err(),
                "{words}"
            );
        }
        for changed in flips(attestation_key) {
            assert!(
                judge(attestation, signature, public, &changed).is_err(),
                "{words}"
            );
        }
    }
}

type Reads = fn(&[u8]) -> bool;

/// Cut anywhere, or with something behind it; inside of a TPM2B, or without.
#[test]
fn every_file_is_read_to_its_end_and_no_further() {
    fips::start(Policy::STRICT).unwrap();
    let told = &TOLD[0];
    let is_public: Reads = |bytes| Public::read(bytes).is_ok();
    let read: [(&[u8], Reads); 4] = [
        (told.attestation, |bytes| Attestation::read(bytes).is_ok()),
        (told.signature, |bytes| Signature::read(bytes).is_ok()),
        (told.public, is_public),
        (told.attestation_key, is_public),
    ];
    for (bytes, is_read) in read {
        assert!(is_read(bytes));
        for end in 0..bytes.len() {
            assert!(!is_read(&bytes[..end]), "{end}");
        }
        assert!(!is_read(&[bytes, &[0]].concat()));
        assert!(!is_read(&vec![0xff; MAX_STRUCTURE_BYTES + 1]));
    }
    let wrapped = |bytes: &[u8]| {
        let length = u16::try_from(bytes.len()).unwrap();
        [&length.to_be_bytes(), bytes].concat()
    };
    // The tools write the attestation bare and public areas wrapped.
    let attestation = wrapped(told.attestation);
    let public = &told.public[2..];
    judged(
        &attestation,
        told.signature,
        public,
        &told.attestation_key[2..],
    )
    .unwrap();
    assert!(Attestation::read(&[attestation.as_slice(), &[0]].concat()).is_err());
    assert!(Attestation::read(&wrapped(&attestation)).is_err());
}

#[test]
fn files_of_different_runs_do_not_fit() {
    fips::start(Policy::STRICT).unwrap();
    let [first, second, .., imported] = &TOLD;
    let other = judged(
        first.attestation,
        first.signature,
        imported.public,
        first.attestation_key,
    );
    assert!(
        matches!(other, Err(TpmError::OtherObject { .. })),
        "{other:?}"
    );
    let other = judged(
        first.attestation,
        second.signature,
        first.public,
        first.attestation_key,
    );
    assert!(matches!(other, Err(TpmError::Scheme(_))), "{other:?}");
    let other = judged(
        second.attestation,
        first.signature,
        first.public,
        first.attestation_key,
    );
    assert!(matches!(other, Err(TpmError::Signature(_))), "{other:?}");
    let name = Public::read(second.attestation_key).unwrap().name().clone();
    let other = named(
        first.attestation,
        first.signature,
        first.public,
        first.attestation_key,
        &name,
    );
    assert!(
        matches!(other, Err(TpmError::OtherAttestationKey { .. })),
        "{other:?}"
    );
    // A key that is no attestation key: the storage key, the custody key itself.
    for key in [data!("srk.pub"), first.public] {
        let other = judged(first.attestation, first.signature, first.public, key);
        assert!(
            matches!(other, Err(TpmError::NotAnAttestationKey { .. })),
            "{other:?}"
        );
    }
}

/// A signing key's public area: what a TPM makes of a template for ECDSA on P-256.
fn area(key: &SigningKey, name_algorithm: u16, attributes: u32, scheme: &[u16]) -> Vec<u8> {
    let (_, point) = crate::algorithm::ec_point(key.spki_der()).unwrap();
    let (x, y) = point[1..].split_at(32);
    let numbers = |numbers: &[u16]| numbers.iter().flat_map(|n| n.to_be_bytes()).collect();
    [
        numbers(&[0x0023, name_algorithm]),
        attributes.to_be_bytes().to_vec(),
        numbers(&[0, 0x0010]),
        numbers(scheme),
        numbers(&[0x0003, 0x0010]),
        [numbers(&[32]), x.to_vec(), numbers(&[32]), y.to_vec()].concat(),
    ]
    .concat()
}

/// What the key of `area` would say of the object with this name, and its signature, which is of SHA-256 whatever it says.
fn said(key: &SigningKey, name: &[u8], kind: u16, hash: u16) -> (Vec<u8>, Vec<u8>) {
    let sized = |bytes: &[u8]| {
        let length = u16::try_from(bytes.len()).unwrap();
        [&length.to_be_bytes(), bytes].concat()
    };
    let attestation = [
        b"\xffTCG".to_vec(),
        kind.to_be_bytes().to_vec(),
        sized(name),
        sized(b"question"),
        vec![0; 16],
        vec![1],
        vec![7; 8],
        sized(name),
        sized(name),
    ]
    .concat();
    let der = key
        .sign_with(SignatureAlgorithm::EcdsaP256Sha256, &attestation)
        .unwrap();
    let mut numbers = der::asn1::AnyRef::try_from(der.as_slice())
        .unwrap()
        .value()
        .to_vec();
    let mut signature = [0x0018_u16, hash]
        .iter()
        .flat_map(|n| n.to_be_bytes())
        .collect::<Vec<u8>>();
    while !numbers.is_empty() {
        let length = usize::from(numbers[1]);
        let number: Vec<u8> = numbers[2..2 + length].to_vec();
        numbers.drain(..2 + length);
        let number: Vec<u8> = number.into_iter().skip_while(|byte| *byte == 0).collect();
        signature.extend(sized(&number));
    }
    (attestation, signature)
}

const AK: u32 = 1 << 1 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 16 | 1 << 18;
const ECDSA_SHA256: &[u16] = &[0x0018, 0x000b];

#[test]
fn what_can_sign_anything_or_be_elsewhere_attests_nothing() {
    fips::start(Policy::STRICT).unwrap();
    let key = SigningKey::generate(KeyKind::EcP256).unwrap();
    let public = data!("key.pub");
    let name = Public::read(public).unwrap().name().clone();
    let (attestation, signature) = said(&key, name.as_bytes(), 0x8017, 0x000b);
    let judge = |attributes| {
        let area = area(&key, 0x000b, attributes, ECDSA_SHA256);
        judged(&attestation, &signature, public, &area)
    };
    assert_eq!(judge(AK).unwrap().attestation.extra_data, b"question");
    for (changed, wanted) in [
        (AK & !(1 << 16), "restricted"),
        (AK & !(1 << 18), "sign"),
        (AK | 1 << 17, "decrypt"),
        (AK & !(1 << 1), "fixedTPM"),
        (AK & !(1 << 5), "sensitiveDataOrigin"),
    ] {
        match judge(changed) {
            Err(TpmError::NotAnAttestationKey { attribute, .. }) => {
                assert_eq!(attribute, wanted);
            }
            other => panic!("{wanted}: {other:?}"),
        }
    }
}

#[test]
fn a_key_signs_by_its_own_scheme_and_for_this_command_alone() {
    fips::start(Policy::STRICT).unwrap();
    let key = SigningKey::generate(KeyKind::EcP256).unwrap();
    let public = data!("key.pub");
    let name = Public::read(public).unwrap().name().clone();
    let judge = |kind, hash, scheme: &[u16]| {
        let (attestation, signature) = said(&key, name.as_bytes(), kind, hash);
        let area = area(&key, 0x000b, AK, scheme);
        judged(&attestation, &signature, public, &area).map(|found| found.algorithm)
    };
    assert_eq!(
        judge(0x8017, 0x000b, ECDSA_SHA256).unwrap(),
        "ECDSA with SHA-256"
    );
    let other = judge(0x8017, 0x000c, &[0x0018, 0x000c]);
    assert!(matches!(other, Err(TpmError::Signature(_))), "{other:?}");
    let bound = judge(0x8017, 0x000c, ECDSA_SHA256);
    assert!(matches!(bound, Err(TpmError::Scheme(_))), "{bound:?}");
    // A quote, and what TPM2_CertifyCreation gives.
    for kind in [0x8018, 0x801a] {
        assert_eq!(
            judge(kind, 0x000b, ECDSA_SHA256).unwrap_err(),
            TpmError::NotCertify(kind)
        );
    }
    // ECDAA and SM2 keys are read, and their signatures are not.
    for scheme in [&[0x001a, 0x000b, 1][..], &[0x001b, 0x000b]] {
        let other = judge(0x8017, 0x000b, scheme);
        assert!(matches!(other, Err(TpmError::Scheme(_))), "{other:?}");
    }
}

#[test]
fn algorithms_that_are_not_accepted_are_named() {
    fips::start(Policy::STRICT).unwrap();
    let key = SigningKey::generate(KeyKind::EcP256).unwrap();
    let algorithm_of = |error: TpmError| match error {
        TpmError::Algorithm { algorithm, .. } => algorithm,
        other => panic!("{other}"),
    };
    // SHA-1 for the name, SHA3-256 too.
    for name_algorithm in [0x0004, 0x0027] {
        let area = area(&key, name_algorithm, AK, ECDSA_SHA256);
        assert_eq!(
            algorithm_of(Public::read(&area).unwrap_err()),
            name_algorithm
        );
    }
    assert_eq!(
        algorithm_of(Name::read(&[&[0x00, 0x04], [0; 20].as_slice()].concat()).unwrap_err()),
        0x0004
    );
    // A sealed object, a curve that nobody has here, an HMAC, RSASSA with SHA-1.
    let mut sealed = area(&key, 0x000b, AK, ECDSA_SHA256);
    sealed[1] = 0x08;
    assert_eq!(algorithm_of(Public::read(&sealed).unwrap_err()), 0x0008);
    let mut curve = area(&key, 0x000b, AK, ECDSA_SHA256);
    curve[17] = 0x20;
    assert_eq!(algorithm_of(Public::read(&curve).unwrap_err()), 0x0020);
    assert_eq!(
        algorithm_of(Signature::read(&[0x00, 0x05, 0x00, 0x0b]).unwrap_err()),
        0x0005
    );
    assert_eq!(
        algorithm_of(Signature::read(&[0x00, 0x14, 0x00, 0x04, 0x00, 0x00]).unwrap_err()),
        0x0004
    );
    // A point that is not on the curve.
    let mut point = area(&key, 0x000b, AK, ECDSA_SHA256);
    *point.last_mut().unwrap() ^= 1;
    assert!(matches!(
        Public::read(&point).unwrap_err(),
        TpmError::Key { .. }
    ));
}

#[test]
fn rsa_has_one_form_and_the_usual_exponent_may_be_left_out() {
    fips::start(Policy::STRICT).unwrap();
    let key = fips::rsa::PrivateKey::generate(2048)
        .unwrap()
        .public()
        .unwrap();
    let area = |bits: u16, exponent: u32, modulus: &[u8]| {
        let numbers =
            |numbers: &[u16]| -> Vec<u8> { numbers.iter().flat_map(|n| n.to_be_bytes()).collect() };
        [
            numbers(&[0x0001, 0x000b]),
            0x0002_0072_u32.to_be_bytes().to_vec(),
            numbers(&[0, 0x0010, 0x0010, bits]),
            exponent.to_be_bytes().to_vec(),
            numbers(&[u16::try_from(modulus.len()).unwrap()]),
            modulus.to_vec(),
        ]
        .concat()
    };
    let modulus = key.modulus_be();
    for exponent in [0, 65_537] {
        let public = Public::read(&area(2048, exponent, modulus)).unwrap();
        assert_eq!(public.spki_der(), key.spki_der());
        assert!(!public.has_policy());
    }
    assert!(Public::read(&area(3072, 0, modulus)).is_err());
    assert!(Public::read(&area(2048, 2, modulus)).is_err());
    assert!(Public::read(&area(2048, 0, &[&[0], modulus].concat())).is_err());
    assert!(Public::read(&area(1024, 0, &modulus[..128])).is_err());
    assert!(Public::read(&area(0, 0, &[])).is_err());
}

#[test]
fn attributes_have_the_names_of_the_specification() {
    let names = Attributes::new(AK | 1 << 3).names();
    assert_eq!(
        names,
        [
            "fixedTPM",
            "bit 3",
            "fixedParent",
            "sensitiveDataOrigin",
            "userWithAuth",
            "restricted",
            "sign"
        ]
    );
}

#[test]
fn names_are_compared_with_the_hash_that_they_say() {
    let name = Name::of(Hash::Sha384, b"area");
    assert_eq!(name.as_bytes().len(), 50);
    assert_eq!(Name::read(name.as_bytes()).unwrap(), name);
    assert!(Name::read(&name.as_bytes()[..34]).is_err());
    assert_eq!(name.to_string().len(), 100);
}
