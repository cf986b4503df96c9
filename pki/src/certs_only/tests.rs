#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

use super::*;
use std::process::{Command, Stdio};

fn openssl(arguments: &[&str], input: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut child = Command::new("openssl")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("this test needs the program `openssl`: {error}"));
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(
        output.status.success(),
        "openssl {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}

/// A self-signed certificate, as PEM.
fn pem(name: &str) -> Vec<u8> {
    let subject = format!("/CN={name}");
    openssl(
        &[
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-keyout",
            "/dev/null",
            "-subj",
            &subject,
        ],
        b"",
    )
}

fn der(pem: &[u8]) -> Vec<u8> {
    openssl(&["x509", "-outform", "DER"], pem)
}

#[test]
fn what_openssl_writes_is_read_in_its_order() {
    let all = [pem("one"), pem("two"), pem("three")];
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("all.pem");
    std::fs::write(&file, all.concat()).unwrap();
    let message = openssl(
        &[
            "crl2pkcs7",
            "-nocrl",
            "-outform",
            "DER",
            "-certfile",
            file.to_str().unwrap(),
        ],
        b"",
    );
    let expected: Vec<_> = all.iter().map(|pem| der(pem)).collect();
    assert_eq!(read(&message).unwrap(), expected);
}

#[test]
fn openssl_reads_what_is_written() {
    let (one, two) = (pem("first of two"), pem("second of two"));
    let message = write(&[der(&one), der(&two)]).unwrap();
    let printed = openssl(
        &["pkcs7", "-inform", "DER", "-print_certs", "-noout"],
        &message,
    );
    let printed = String::from_utf8(printed).unwrap();
    assert!(
        printed.contains("first of two") && printed.contains("second of two"),
        "{printed}"
    );
    let mut back = read(&message).unwrap();
    back.sort_unstable();
    let mut expected = vec![der(&one), der(&two)];
    expected.sort_unstable();
    assert_eq!(back, expected);
}

#[test]
fn signed_messages_give_their_certificates_too() {
    let folder = tempfile::tempdir().unwrap();
    let (key, certificate) = (folder.path().join("key"), folder.path().join("certificate"));
    openssl(
        &[
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-subj",
            "/CN=signer",
            "-keyout",
            key.to_str().unwrap(),
            "-out",
            certificate.to_str().unwrap(),
        ],
        b"",
    );
    // In pieces, with lengths that are not known before: BER, as Java libraries write it.
    let message = openssl(
        &[
            "cms",
            "-sign",
            "-stream",
            "-nodetach",
            "-binary",
            "-outform",
            "DER",
            "-signer",
            certificate.to_str().unwrap(),
            "-inkey",
            key.to_str().unwrap(),
        ],
        b"some content",
    );
    assert_eq!(message.get(1), Some(&0x80), "not of indefinite length");
    let pem = std::fs::read(&certificate).unwrap();
    assert_eq!(read(&message).unwrap(), [der(&pem)]);
}

#[test]
fn a_message_without_certificates_is_an_empty_list() {
    let none: [&[u8]; 0] = [];
    assert_eq!(read(&write(&none).unwrap()).unwrap(), Vec::<Vec<u8>>::new());
}

#[test]
fn every_end_and_every_changed_octet_is_an_answer_and_no_panic() {
    let message = write(&[ber::sequence(&[&[2, 1, 1]]), ber::sequence(&[&[2, 1, 2]])]).unwrap();
    for end in 0..message.len() {
        assert!(read(&message[..end]).is_err(), "cut at {end}");
    }
    for at in 0..message.len() {
        for value in [0, 1, 0x30, 0x7f, 0x80, 0x84, 0xa0, 0xff] {
            let mut changed = message.clone();
            changed[at] = value;
            let _ = read(&changed);
        }
    }
    let mut longer = message;
    longer.push(0);
    assert!(matches!(read(&longer), Err(CertsOnlyError::Malformed(_))));
}

#[test]
fn limits_hold() {
    let many = vec![ber::sequence(&[&[2, 1, 1]]); MAX_CERTIFICATES + 1];
    assert_eq!(write(&many), Err(CertsOnlyError::TooMany));
    let one_less = write(many.get(1..).unwrap()).unwrap();
    assert_eq!(read(&one_less).unwrap().len(), MAX_CERTIFICATES);
    // The same message with one more certificate, made by hand.
    let set: Vec<u8> = many.concat();
    let parts = [
        &[2_u8, 1, 1][..],
        &[0x31, 0],
        &ber::sequence(&[&element(6, DATA)]),
        &element(0xa0, &set),
        &[0x31, 0],
    ];
    let message = ber::sequence(&[
        &element(6, SIGNED_DATA),
        &element(0xa0, &ber::sequence(&parts)),
    ]);
    assert_eq!(read(&message), Err(CertsOnlyError::TooMany));
    assert_eq!(
        read(&vec![0x30; MAX_BYTES + 1]),
        Err(CertsOnlyError::TooLong)
    );
    let other = ber::sequence(&[&element(6, DATA), &element(0xa0, &element(4, b"x"))]);
    assert_eq!(read(&other), Err(CertsOnlyError::AnotherContent));
}
