//! What OpenSSL makes, and what nobody should.

use super::openssl;
use fips::policy::Policy;
use pki::csr::{Csr, CsrError};
use pki::key::KeySpec;
use pki::name::rfc4514;

const KEYS: [(&[&str], KeySpec); 4] = [
    (&["-newkey", "rsa:2048"], KeySpec::Rsa2048),
    (
        &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
        KeySpec::EcP256,
    ),
    (
        &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384"],
        KeySpec::EcP384,
    ),
    (
        &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-521"],
        KeySpec::EcP521,
    ),
];

fn made(arguments: &[&str]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let mut all = vec![
        "req",
        "-new",
        "-nodes",
        "-keyout",
        "k.pem",
        "-out",
        "r.der",
        "-outform",
        "DER",
        "-subj",
        "/C=DE/O=Example/CN=Ada",
    ];
    all.extend(arguments);
    openssl(folder.path(), &all);
    std::fs::read(folder.path().join("r.der")).unwrap()
}

#[test]
fn what_openssl_makes_with_each_key_and_hash_is_read() {
    fips::start(Policy::STRICT).unwrap();
    for (key, kind) in KEYS {
        for hash in ["-sha256", "-sha384", "-sha512"] {
            let mut arguments = key.to_vec();
            arguments.extend([hash, "-addext", "subjectAltName=email:a@b.example,DNS:x.example,URI:urn:x:y,otherName:1.3.6.1.4.1.311.20.2.3;UTF8:a@corp", "-addext", "keyUsage=critical,digitalSignature", "-addext", "extendedKeyUsage=clientAuth"]);
            let csr = Csr::read(&made(&arguments)).unwrap();
            assert_eq!(KeySpec::of_spki(csr.spki_der()), Some(kind));
            assert_eq!(rfc4514(csr.subject()), "CN=Ada,O=Example,C=DE");
            let names: Vec<&str> = csr
                .extensions()
                .alt_names
                .iter()
                .map(|name| name.text())
                .collect();
            assert_eq!(names, ["a@b.example", "x.example", "urn:x:y", "a@corp"]);
        }
    }
    let pss = [
        "-newkey",
        "rsa:2048",
        "-sha256",
        "-sigopt",
        "rsa_padding_mode:pss",
        "-sigopt",
        "rsa_pss_saltlen:digest",
    ];
    assert!(Csr::read(&made(&pss)).is_ok());
}

#[test]
fn pem_is_read_with_either_label_and_nothing_around() {
    fips::start(Policy::STRICT).unwrap();
    let der = made(KEYS[1].0);
    for label in ["CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"] {
        let pem = der::pem::encode_string(label, der::pem::LineEnding::LF, &der).unwrap();
        assert!(Csr::read_pem_or_der(pem.as_bytes()).is_ok());
        assert!(Csr::read_pem_or_der(format!("\n{pem}\n").as_bytes()).is_ok());
        let twice = format!("{pem}{pem}");
        assert_eq!(
            Csr::read_pem_or_der(twice.as_bytes()).unwrap_err(),
            CsrError::Pem
        );
    }
    let other = der::pem::encode_string("CERTIFICATE", der::pem::LineEnding::LF, &der).unwrap();
    assert_eq!(
        Csr::read_pem_or_der(other.as_bytes()).unwrap_err(),
        CsrError::Pem
    );
    assert!(Csr::read_pem_or_der(&der).is_ok());
    assert_eq!(Csr::read_pem_or_der(b"").unwrap_err(), CsrError::Pem);
}

#[test]
fn weak_and_unknown_signatures_and_keys_are_refused() {
    fips::start(Policy::STRICT).unwrap();
    let cases: [&[&str]; 5] = [
        &["-newkey", "rsa:2048", "-sha1"],
        &["-newkey", "rsa:1024", "-sha256"],
        &["-newkey", "ed25519"],
        &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:secp256k1"],
        &[
            "-newkey",
            "rsa:2048",
            "-sha256",
            "-sigopt",
            "rsa_padding_mode:pss",
            "-sigopt",
            "rsa_pss_saltlen:20",
        ],
    ];
    for case in cases {
        let refused = Csr::read(&made(case)).unwrap_err();
        assert!(
            matches!(refused, CsrError::Signature(_)),
            "{case:?}: {refused:?}"
        );
    }
}

#[test]
fn names_of_other_kinds_are_kept_apart() {
    fips::start(Policy::STRICT).unwrap();
    let mut arguments = KEYS[1].0.to_vec();
    arguments.extend(["-addext", "subjectAltName=IP:10.0.0.1,email:a@b.example"]);
    let csr = Csr::read(&made(&arguments)).unwrap();
    assert_eq!(csr.extensions().alt_names.len(), 1);
    assert_eq!(csr.extensions().other_alt_names.len(), 1);
}
