//! Requests that were changed after they were signed, and ones that were signed and are wrong.

use der::asn1::{BitString, SetOfVec};
use der::{Any, Decode, Encode};
use fips::policy::Policy;
use fips::sign::SigningKey;
use pki::csr::{Csr, CsrError, MAX_CSR_BYTES, Request, create};
use pki::extension::{Extensions, extension};
use pki::key::KeySpec;
use pki::name::{Lengths, SubjectTemplate};
use pki::template::Values;
use pki::{KeyAndAlgorithm, algorithm};
use x509_cert::attr::Attribute;
use x509_cert::ext::Extension;
use x509_cert::request::CertReq;

fn request() -> Request {
    Request {
        subject: SubjectTemplate::parse("CN=Ada,O=Example")
            .unwrap()
            .fill(&Values::new(), Lengths::Rfc5280)
            .unwrap(),
        extensions: Extensions {
            alt_names: vec![
                pki::san::SubjectAltName::new(pki::san::SanKind::Email, "a@b.example").unwrap(),
            ],
            sid: Some("S-1-5-21-1-2-3-4".parse().unwrap()),
            ..Extensions::default()
        },
        challenge_password: Some(fips::secret::Password::from_slice(b"secret")),
    }
}

fn key() -> (SigningKey, Vec<u8>) {
    fips::start(Policy::STRICT).unwrap();
    let key = KeySpec::EcP256.generate().unwrap();
    let der = create(&request(), &KeyAndAlgorithm::new(&key, key.algorithm())).unwrap();
    (key, der)
}

/// Signs what was changed, so that only its form can be what is refused.
fn signed_again(key: &SigningKey, der: &[u8], change: impl FnOnce(&mut CertReq)) -> Vec<u8> {
    let mut request = CertReq::from_der(der).unwrap();
    change(&mut request);
    let message = request.info.to_der().unwrap();
    request.signature = BitString::from_bytes(&key.sign(&message).unwrap()).unwrap();
    request.to_der().unwrap()
}

#[test]
fn no_single_changed_removed_or_added_octet_is_taken() {
    let (_, der) = key();
    assert!(Csr::read(&der).is_ok());
    for at in 0..der.len() {
        for change in [0x01, 0x80, 0xff] {
            let mut changed = der.clone();
            changed[at] ^= change;
            assert!(Csr::read(&changed).is_err(), "octet {at} ^ {change:#x}");
        }
        assert!(Csr::read(&der[..at]).is_err());
        let mut longer = der.clone();
        longer.insert(at, 0);
        assert!(Csr::read(&longer).is_err(), "inserted at {at}");
        let mut shorter = der.clone();
        shorter.remove(at);
        assert!(Csr::read(&shorter).is_err(), "removed at {at}");
    }
    let mut behind = der.clone();
    behind.push(0);
    assert!(Csr::read(&behind).is_err());
}

#[test]
fn random_octets_and_random_cuts_end_in_a_refusal() {
    let (_, der) = key();
    let mut state: u64 = 99;
    let mut random = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap()
    };
    for _ in 0..5_000 {
        let mut changed = der.clone();
        for _ in 0..=random() % 8 {
            let at = random() % changed.len();
            changed[at] = u8::try_from(random() % 256).unwrap();
        }
        if changed != der {
            assert!(Csr::read(&changed).is_err());
        }
        let noise: Vec<u8> = (0..random() % 300)
            .map(|_| u8::try_from(random() % 256).unwrap())
            .collect();
        assert!(Csr::read_pem_or_der(&noise).is_err());
    }
}

#[test]
fn what_is_too_large_or_too_deep_is_refused_before_it_is_parsed() {
    let (_, der) = key();
    let mut large = der;
    large.resize(MAX_CSR_BYTES + 1, 0);
    assert_eq!(Csr::read(&large).unwrap_err(), CsrError::TooLarge);
    let mut deep = vec![0x05, 0x00];
    for _ in 0..2000 {
        let mut outer = vec![0x30, 0x82];
        outer.extend(u16::try_from(deep.len()).unwrap().to_be_bytes());
        outer.extend(&deep);
        deep = outer;
    }
    assert!(matches!(
        Csr::read(&deep).unwrap_err(),
        CsrError::Malformed(_)
    ));
}

#[test]
fn attributes_and_extensions_that_stand_there_twice_are_refused_though_they_are_signed() {
    let (key, der) = key();
    assert!(Csr::read(&signed_again(&key, &der, |_| {})).is_ok());
    // The same attribute with another value.
    let twice = signed_again(&key, &der, |request| {
        let password =
            Any::encode_from(&der::asn1::Utf8StringRef::new("another").unwrap()).unwrap();
        let values = SetOfVec::try_from(vec![password]).unwrap();
        request
            .info
            .attributes
            .insert(Attribute {
                oid: "1.2.840.113549.1.9.7".parse().unwrap(),
                values,
            })
            .unwrap();
    });
    assert!(matches!(
        Csr::read(&twice).unwrap_err(),
        CsrError::Attribute(_)
    ));
    let with_list = |oid: &str, list: Vec<Extension>| {
        signed_again(&key, &der, |request| {
            let kept: Vec<Attribute> = request
                .info
                .attributes
                .iter()
                .filter(|attribute| attribute.oid.to_string() != oid)
                .cloned()
                .collect();
            let mut attributes = SetOfVec::try_from(kept).unwrap();
            let value = Any::encode_from(&list).unwrap();
            attributes
                .insert(Attribute {
                    oid: oid.parse().unwrap(),
                    values: SetOfVec::try_from(vec![value]).unwrap(),
                })
                .unwrap();
            request.info.attributes = attributes;
        })
    };
    let unknown = || extension("1.2.3.4".parse().unwrap(), false, &true).unwrap();
    let requested = "1.2.840.113549.1.9.14";
    assert!(Csr::read(&with_list(requested, vec![unknown()])).is_ok());
    assert!(matches!(
        Csr::read(&with_list(requested, vec![unknown(), unknown()])).unwrap_err(),
        CsrError::Extensions(_)
    ));
    assert!(matches!(
        Csr::read(&with_list(requested, Vec::new())).unwrap_err(),
        CsrError::Malformed(_)
    ));
    // Microsoft's older attribute beside the standard's.
    assert!(matches!(
        Csr::read(&with_list("1.3.6.1.4.1.311.2.1.14", vec![unknown()])).unwrap_err(),
        CsrError::Attribute(_)
    ));
    // Two values in one attribute.
    let values = signed_again(&key, &der, |request| {
        let attributes: Vec<Attribute> = request
            .info
            .attributes
            .iter()
            .cloned()
            .map(|mut attribute| {
                if attribute.oid.to_string() == "1.2.840.113549.1.9.7" {
                    let more =
                        Any::encode_from(&der::asn1::Utf8StringRef::new("more").unwrap()).unwrap();
                    attribute.values.insert(more).unwrap();
                }
                attribute
            })
            .collect();
        request.info.attributes = SetOfVec::try_from(attributes).unwrap();
    });
    assert!(matches!(
        Csr::read(&values).unwrap_err(),
        CsrError::Attribute(_)
    ));
}

#[test]
fn another_key_than_the_signers_is_found() {
    let (key, der) = key();
    let other = KeySpec::EcP256.generate().unwrap();
    let swapped = signed_again(&key, &der, |request| {
        request.info.public_key =
            spki::SubjectPublicKeyInfoOwned::from_der(other.spki_der()).unwrap();
    });
    assert!(matches!(
        Csr::read(&swapped).unwrap_err(),
        CsrError::Signature(algorithm::VerifyError::Signature(_))
    ));
}

/// A signer that shows one key and signs with another: what a misconfigured token does.
struct Liar(SigningKey, SigningKey);

impl pki::Signer for Liar {
    fn algorithm(&self) -> fips::sign::SignatureAlgorithm {
        self.0.algorithm()
    }
    fn spki_der(&self) -> &[u8] {
        self.0.spki_der()
    }
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, pki::SignError> {
        Ok(self.1.sign(message)?)
    }
}

#[test]
fn a_signer_that_signs_with_another_key_makes_no_request() {
    fips::start(Policy::STRICT).unwrap();
    let liar = Liar(
        KeySpec::EcP256.generate().unwrap(),
        KeySpec::EcP256.generate().unwrap(),
    );
    assert!(matches!(
        create(&request(), &liar).unwrap_err(),
        CsrError::Signature(_)
    ));
}
