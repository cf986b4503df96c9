//! Private keys in the forms that writers give them: all that other programs take.

use super::asn1::{bag, certificate, der, pfx, sequence};
use super::open;
use super::openssl::{Issuance, KeyAlgorithm, Workshop, openssl, text};
use super::structure::{CERTIFICATE, KEY, pkcs8, shrouded_with};
use fips::secret::SecretBytes;
use formats::pfx::{self, Budget, MatchedBy, Passwords, PfxLimits};
use std::path::Path;

const RSA: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01";
const P256: &[u8] =
    b"\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07";
const NULL: &[u8] = b"\x05\x00";
/// A key usage, as Windows has it.
const ATTRIBUTES: &[u8] = b"\xa0\x0d\x30\x0b\x06\x03\x55\x1d\x0f\x31\x04\x03\x02\x00\x80";

fn rsa_private(key: &Path) -> Vec<u8> {
    openssl(&["rsa", "-traditional", "-outform", "DER", "-in", text(key)])
}

fn info(version: u8, algorithm: &[u8], key: &[u8], rest: &[u8]) -> Vec<u8> {
    sequence(&[&[2, 1, version], algorithm, &der(0x04, key), rest])
}

fn file(pkcs8: &[u8], of_certificate: &[u8]) -> Vec<u8> {
    let bags = [
        bag(KEY, pkcs8, &[]),
        bag(CERTIFICATE, &certificate(of_certificate), &[]),
    ];
    pfx(&der(0x30, &bags.concat()))
}

#[test]
fn rsa_without_null_and_with_its_public_key_opens_and_comes_out_as_every_program_reads_it() {
    let workshop = Workshop::new();
    let root = workshop.authority("Root", KeyAlgorithm::P256);
    let device = root.device("ada", KeyAlgorithm::Rsa(2048));
    let (usual, key) = (pkcs8(&device.key), rsa_private(&device.key));
    let public = openssl(&[
        "rsa",
        "-RSAPublicKey_out",
        "-outform",
        "DER",
        "-in",
        text(&device.key),
    ]);
    let public = der(0x81, &[&[0], public.as_slice()].concat());
    let (without, with) = (sequence(&[RSA]), sequence(&[RSA, NULL]));
    let of_windows = info(0, &with, &key, ATTRIBUTES);
    for (form, expected) in [
        (info(0, &without, &key, &[]), &usual),
        (info(1, &without, &key, &[]), &usual),
        (info(1, &with, &key, &public), &usual),
        (info(1, &without, &key, &public), &usual),
        (info(0, &without, &key, ATTRIBUTES), &of_windows),
        (
            info(1, &with, &key, &[ATTRIBUTES, &public].concat()),
            &of_windows,
        ),
    ] {
        let opened = open(&file(&form, &device.der()), "").unwrap();
        let identity = opened.identity().unwrap();
        assert_eq!(identity.certificate(), device.der());
        assert_eq!(identity.key().matched_by(), Some(MatchedBy::PublicKey));
        assert!(identity.pkcs8().expose() == expected.as_slice());
        // What custody and the signers ask.
        assert!(fips::pkcs8_public(identity.pkcs8().expose()).is_ok());
    }
    for broken in [
        info(2, &with, &key, &[]),
        info(0, &sequence(&[RSA, &[2, 1, 1]]), &key, &[]),
    ] {
        let error = open(&file(&broken, &device.der()), "").err().unwrap();
        assert_eq!(error.code(), "malformed");
    }
}

#[test]
fn an_elliptic_key_with_its_public_key_beside_it_opens() {
    let workshop = Workshop::new();
    let root = workshop.authority("Root", KeyAlgorithm::P256);
    let device = root.device("ada", KeyAlgorithm::P256);
    let private = |more: &[&str]| {
        let all = [&["ec", "-outform", "DER", "-in", text(&device.key)], more].concat();
        openssl(&all)
    };
    let spki = fips::pkcs8_public(&pkcs8(&device.key)).unwrap();
    let public = der(0x81, &spki[spki.len() - 66..]);
    for key in [private(&[]), private(&["-no_public"])] {
        for rest in [public.clone(), [ATTRIBUTES, &public].concat()] {
            let opened = open(&file(&info(1, P256, &key, &rest), &device.der()), "").unwrap();
            let identity = opened.identity().unwrap();
            assert_eq!(identity.certificate(), device.der());
            let pkcs8 = identity.pkcs8().expose();
            assert_eq!(fips::pkcs8_public(pkcs8).unwrap(), spki);
            // Once within, and not beside.
            let point = &spki[spki.len() - 65..];
            let count = pkcs8.windows(65).filter(|part| *part == point).count();
            assert_eq!(count, 1);
            assert_eq!(pkcs8[3..6], [2, 1, 0]);
        }
    }
}

#[test]
fn rsa_of_three_primes_is_named_and_refused_as_not_supported() {
    let workshop = Workshop::new();
    let root = workshop.authority("Root", KeyAlgorithm::P256);
    let key = workshop.fresh(".pem");
    openssl(&[
        "genpkey",
        "-quiet",
        "-out",
        text(&key),
        "-algorithm",
        "RSA",
        "-pkeyopt",
        "rsa_keygen_bits:2048",
        "-pkeyopt",
        "rsa_keygen_primes:3",
    ]);
    let device = root.device_with_key("ada", key.clone(), &Issuance::default());
    let opened = open(&file(&pkcs8(&key), &device.der()), "").unwrap();
    let found = &opened.keys()[0];
    assert_eq!(found.facts().algorithm, "rsa-multi-prime");
    assert_eq!(found.facts().text, "RSA 2048 of more than two primes");
    assert!(!found.facts().supported);
    assert_eq!(found.certificate(), Some(0));
    assert!(found.pkcs8().expose() == pkcs8(&key).as_slice());
    let error = opened.identity().err().unwrap();
    assert_eq!(error.code(), "unsupported_algorithm");
    assert!(
        error.to_string().contains("more than two primes"),
        "{error}"
    );
    // Beside another key it is only listed.
    let other = root.device("bob", KeyAlgorithm::P256);
    let bags = [
        bag(KEY, &pkcs8(&key), &[]),
        bag(KEY, &pkcs8(&other.key), &[]),
        bag(CERTIFICATE, &certificate(&other.der()), &[]),
    ];
    let both = open(&pfx(&der(0x30, &bags.concat())), "").unwrap();
    assert_eq!(both.identity().unwrap().certificate(), other.der());
    // A version that nobody knows.
    let mut unknown = rsa_private(&workshop.key(KeyAlgorithm::Rsa(2048)));
    let version = unknown
        .windows(3)
        .position(|part| part == [2, 1, 0])
        .unwrap();
    unknown[version + 2] = 7;
    let unknown = info(0, &sequence(&[RSA, NULL]), &unknown, &[]);
    let opened = open(&file(&unknown, &other.der()), "").unwrap();
    assert!(opened.keys()[0].facts().text.contains("unknown version"));
}

/// RSA of so many bytes, of numbers that do not fit: the module says so when it has looked at them.
fn impossible(bytes: usize) -> Vec<u8> {
    let number = |bytes: usize| der(0x02, &[0x55].repeat(bytes));
    let (whole, half) = (number(bytes), number(bytes / 2));
    let exponent: &[u8] = &[2, 3, 1, 0, 1];
    let key = sequence(&[
        &[2, 1, 0],
        &whole,
        exponent,
        &whole,
        &half,
        &half,
        &half,
        &half,
        &half,
    ]);
    info(0, &sequence(&[RSA, NULL]), &key, &[])
}

#[test]
fn checking_a_large_key_is_paid_for_from_the_budget_before_it_is_done() {
    fips::start(fips::policy::Policy::OFF).unwrap();
    let empty = SecretBytes::zeroed(0);
    let refused = |bytes: usize, max_iterations: u64| {
        let limits = PfxLimits {
            max_iterations,
            ..PfxLimits::default()
        };
        let mut budget = Budget::new(&limits);
        let passwords = Passwords {
            integrity: &empty,
            privacy: None,
        };
        let file = pfx(&der(0x30, &bag(KEY, &impossible(bytes), &[])));
        let error = pfx::read_within(&file, passwords, &mut budget).err();
        (error.unwrap().code(), budget.iterations_spent())
    };
    // 4096 bits and less cost nothing.
    assert_eq!(refused(512, 1), ("malformed", 0));
    let (code, spent) = refused(2048, 10_000_000);
    assert_eq!(code, "malformed");
    // All keys that one file may have fit into the default budget, and leave most of it.
    assert!((50_000..200_000).contains(&spent), "{spent}");
    assert_eq!(refused(2048, spent - 1), ("limit_exceeded", 0));
    assert_eq!(refused(2048, spent), ("malformed", spent));
}

/// As `openssl pkcs8 -scrypt` writes it: N = 16384, r = 8, p = 1.
#[test]
fn a_key_under_the_scrypt_of_openssl_opens_with_the_default_limits() {
    let workshop = Workshop::new();
    let root = workshop.authority("Root", KeyAlgorithm::P256);
    let device = root.device("ada", KeyAlgorithm::P256);
    let key = shrouded_with(&["-scrypt"], &device.key, "password");
    let bags = [
        bag(super::structure::SHROUDED_KEY, &key, &[]),
        bag(CERTIFICATE, &certificate(&device.der()), &[]),
    ];
    let opened = open(&pfx(&der(0x30, &bags.concat())), "password").unwrap();
    assert!(opened.identity().is_ok());
    let encryption = opened.survey().encryptions().next().unwrap();
    assert_eq!(encryption.kdf.as_deref(), Some("scrypt"));
    assert_eq!(encryption.iterations, Some(16_384));
}
