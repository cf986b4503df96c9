//! Files that OpenSSL and GnuTLS write here and now.

use super::openssl::{Issuance, KeyAlgorithm, Workshop, openssl, text};
use super::{open, refusal};
use formats::pfx::printable_ascii;
use std::process::Command;

const PASSWORD: &str = "Passw0rd!";

#[test]
fn every_cipher_and_mac_of_openssl_that_is_not_legacy_opens() {
    let workshop = Workshop::new();
    let root = workshop.authority("Root", KeyAlgorithm::P256);
    let device = root.device("ada", KeyAlgorithm::Rsa(2048));
    for options in [
        vec![],
        vec![
            "-keypbe",
            "AES-128-CBC",
            "-certpbe",
            "AES-192-CBC",
            "-macalg",
            "sha1",
        ],
        vec![
            "-keypbe",
            "AES-256-CBC",
            "-certpbe",
            "NONE",
            "-macalg",
            "sha384",
        ],
        vec!["-macalg", "sha512", "-iter", "1"],
        vec!["-iter", "100000"],
        vec!["-keypbe", "NONE", "-certpbe", "NONE"],
    ] {
        let pfx = device.pfx(PASSWORD, &options);
        let opened = open(&pfx, PASSWORD).unwrap_or_else(|e| panic!("{options:?}: {e}"));
        let identity = opened.identity().unwrap();
        assert_eq!(identity.certificate(), device.der(), "{options:?}");
        assert_eq!(identity.facts().unwrap().key_matches, Some(true));
    }
}

#[test]
fn a_million_iterations_in_every_place_open() {
    let workshop = Workshop::new();
    let root = workshop.authority("Root", KeyAlgorithm::P256);
    let device = root.device("ada", KeyAlgorithm::P256);
    let pfx = device.pfx(PASSWORD, &["-iter", "1000000"]);
    assert!(open(&pfx, PASSWORD).is_ok());
}

#[test]
fn facts_name_and_chain_are_those_of_the_certificate() {
    let workshop = Workshop::new();
    let root = workshop.authority("Root", KeyAlgorithm::P256);
    let device = root.device_with(
        "Ada Lovelace",
        KeyAlgorithm::P256,
        &Issuance {
            extensions: "subjectAltName = email:ada@example.org, email:ada@example.com, email:ada@example.org, DNS:x"
                .to_owned(),
            ..Issuance::default()
        },
    );
    let options = [
        "-name",
        "Ada's certificate \u{2014} 2026",
        "-certfile",
        text(&root.certificate),
    ];
    let opened = open(&device.pfx(PASSWORD, &options), PASSWORD).unwrap();
    let identity = opened.identity().unwrap();
    assert_eq!(identity.chain(), [root.der()]);
    assert!(
        identity
            .friendly_name()
            .unwrap()
            .starts_with("Ada's certificate")
    );
    let facts = identity.facts().unwrap();
    assert_eq!(facts.not_before, "2020-01-01T00:00:00Z");
    assert_eq!(facts.not_after, "2049-12-31T23:59:59Z");
    assert_eq!(facts.subject, "CN=Ada Lovelace");
    assert_eq!(
        facts.email_addresses,
        ["ada@example.org", "ada@example.com"]
    );
    let fingerprint = openssl(&[
        "x509",
        "-in",
        text(&device.certificate),
        "-noout",
        "-fingerprint",
        "-sha1",
    ]);
    let fingerprint = String::from_utf8(fingerprint).unwrap().replace(':', "");
    assert!(
        fingerprint
            .trim()
            .to_lowercase()
            .ends_with(&facts.thumbprint),
        "{fingerprint} {facts:?}"
    );
    let key = openssl(&[
        "pkey",
        "-in",
        text(&device.key),
        "-pubout",
        "-outform",
        "DER",
    ]);
    assert_eq!(fips::pkcs8_public(identity.pkcs8().expose()).unwrap(), key);
}

#[test]
fn files_of_gnutls_open() {
    let workshop = Workshop::new();
    let root = workshop.authority("Root", KeyAlgorithm::P256);
    let device = root.device("ada", KeyAlgorithm::Rsa(2048));
    for options in [&["--hash=SHA256"], &["--hash=SHA512"]] {
        let out = workshop.fresh(".p12");
        let output = Command::new("certtool")
            .args(["--to-p12", "--outder", "--p12-name=ada"])
            .args(options)
            .args(["--password", PASSWORD, "--load-privkey", text(&device.key)])
            .args([
                "--load-certificate",
                text(&device.certificate),
                "--outfile",
                text(&out),
            ])
            .output()
            .unwrap_or_else(|error| {
                panic!("this test needs the program `certtool` (gnutls-bin): {error}")
            });
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let pfx = std::fs::read(out).unwrap();
        let opened = open(&pfx, PASSWORD).unwrap_or_else(|e| panic!("{options:?}: {e}"));
        assert_eq!(opened.identity().unwrap().certificate(), device.der());
        assert_eq!(refusal(&pfx, "wrong").code(), "wrong_password");
    }
}

#[test]
fn a_wrong_password_is_called_one() {
    let workshop = Workshop::new();
    let root = workshop.authority("Root", KeyAlgorithm::P256);
    let pfx = root.device("ada", KeyAlgorithm::P256).pfx(PASSWORD, &[]);
    for wrong in ["", "Passw0rd", "Passw0rd!!", "passw0rd!", "Pässw0rd!"] {
        assert_eq!(refusal(&pfx, wrong).code(), "wrong_password", "{wrong:?}");
    }
}

#[test]
fn empty_and_foreign_passwords_open() {
    let workshop = Workshop::new();
    let root = workshop.authority("Root", KeyAlgorithm::P256);
    let device = root.device("ada", KeyAlgorithm::P256);
    for password in ["", "x", "  lead and trail  "] {
        assert!(
            open(&device.pfx(password, &[]), password).is_ok(),
            "{password:?}"
        );
    }
}

/// What OpenSSL can still write of the older forms, each made fresh. Its legacy provider has the old ciphers.
#[test]
fn every_older_form_that_openssl_writes_opens() {
    let workshop = Workshop::new();
    let root = workshop.authority("Root", KeyAlgorithm::P256);
    let device = root.device("ada", KeyAlgorithm::P256);
    let legacy = ["-provider", "legacy", "-provider", "default"];
    let schemes = [
        "PBE-SHA1-RC4-128",
        "PBE-SHA1-RC4-40",
        "PBE-SHA1-3DES",
        "PBE-SHA1-2DES",
        "PBE-SHA1-RC2-128",
        "PBE-SHA1-RC2-40",
        "PBE-MD5-DES",
        "PBE-SHA1-DES",
        "PBE-MD5-RC2-64",
        "PBE-SHA1-RC2-64",
        "DES-CBC",
        "DES-EDE3-CBC",
        "RC2-40-CBC",
        "RC2-64-CBC",
        "RC2-CBC",
        "AES-128-CBC",
        "AES-192-CBC",
    ];
    for scheme in schemes {
        for place in ["-keypbe", "-certpbe"] {
            let options = [&legacy[..], &[place, scheme]].concat();
            let opened = open(&device.pfx(PASSWORD, &options), PASSWORD)
                .unwrap_or_else(|error| panic!("{place} {scheme}: {error}"));
            let identity = opened.identity().unwrap();
            assert_eq!(identity.certificate(), device.der(), "{place} {scheme}");
        }
    }
    for hash in [
        "md5",
        "sha1",
        "sha224",
        "sha384",
        "sha512",
        "sha512-224",
        "sha512-256",
    ] {
        open(&device.pfx(PASSWORD, &["-macalg", hash]), PASSWORD)
            .unwrap_or_else(|error| panic!("{hash}: {error}"));
    }
    open(&device.pfx(PASSWORD, &["-nomac"]), PASSWORD).unwrap();
}

#[test]
fn what_no_module_has_is_refused_by_name() {
    let workshop = Workshop::new();
    let root = workshop.authority("Root", KeyAlgorithm::P256);
    let device = root.device("ada", KeyAlgorithm::P256);
    let legacy = ["-provider", "legacy", "-provider", "default"];
    for (option, algorithm, named) in [
        ("-keypbe", "CAST5-CBC", "CAST5-CBC"),
        ("-keypbe", "CAMELLIA-256-CBC", "1.2.392.200011.61.1.1.1.4"),
        ("-macalg", "sha3-256", "2.16.840.1.101.3.4.2.8"),
    ] {
        let options = [&legacy[..], &[option, algorithm]].concat();
        let file = device.pfx(PASSWORD, &options);
        let error = refusal(&file, PASSWORD);
        assert_eq!(error.code(), "unsupported_algorithm", "{error}");
        assert!(error.to_string().contains(named), "{algorithm}: {error}");
    }
}

#[test]
fn a_file_without_one_identity_says_what_is_missing() {
    let workshop = Workshop::new();
    let root = workshop.authority("Root", KeyAlgorithm::P256);
    let device = root.device("ada", KeyAlgorithm::P256);
    let keyless = open(&device.pfx(PASSWORD, &["-nokeys"]), PASSWORD).unwrap();
    assert_eq!(keyless.identity().err().unwrap().code(), "no_private_key");
    assert_eq!(keyless.certificates().len(), 1);
    assert_eq!(keyless.certificates()[0].der(), device.der());
    let alone = open(&device.pfx(PASSWORD, &["-nocerts"]), PASSWORD).unwrap();
    assert_eq!(
        alone.identity().err().unwrap().code(),
        "no_certificate_for_key"
    );
}

#[test]
fn only_printable_ascii_is_called_so() {
    assert!(printable_ascii(b"Passw0rd! ~"));
    for bad in ["tab\t", "newline\n", "\u{e4}", "\u{7f}", "\0"] {
        assert!(!printable_ascii(bad.as_bytes()), "{bad:?}");
    }
}
