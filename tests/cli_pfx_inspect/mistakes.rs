//! What is given in place of a PFX, or cannot be read.

use super::bench::{Bench, PASSWORD};
use crate::cli_common::{openssl, text, write};
use std::fs;

#[test]
fn what_is_given_by_mistake_is_told_by_name() {
    let bench = Bench::new();
    let jks = bench.path("store.jks");
    bench.run(
        "keytool",
        &[
            "-genkeypair",
            "-alias",
            "a",
            "-keyalg",
            "RSA",
            "-dname",
            "CN=a",
            "-storetype",
            "JKS",
            "-keystore",
            text(&jks),
            "-storepass",
            "changeit",
            "-keypass",
            "changeit",
        ],
    );
    let der = bench.path("ada.der");
    openssl(&[
        "x509",
        "-in",
        text(&bench.path("ada.pem")),
        "-outform",
        "DER",
        "-out",
        text(&der),
    ]);
    let key = bench.path("ada.key.der");
    openssl(&[
        "pkey",
        "-in",
        text(&bench.path("ada.key")),
        "-outform",
        "DER",
        "-out",
        text(&key),
    ]);
    let p7b = bench.path("ada.p7b");
    openssl(&[
        "crl2pkcs7",
        "-nocrl",
        "-certfile",
        text(&bench.path("ada.pem")),
        "-outform",
        "DER",
        "-out",
        text(&p7b),
    ]);
    let base64 = bench.path("ada.b64");
    openssl(&[
        "base64",
        "-in",
        text(&bench.pfx("ada.pfx", &[])),
        "-out",
        text(&base64),
    ]);
    write(&bench.path("nothing"), "", 0o600);
    write(
        &bench.path("page.pfx"),
        "<!DOCTYPE html><html></html>",
        0o600,
    );
    let folder = |name: &str| text(&bench.path(name)).to_owned();
    for (file, word, remedy) in [
        (
            folder("ada.key"),
            "a PEM file with a private key",
            "openssl pkcs12 -export",
        ),
        (
            folder("ada.pem"),
            "a PEM file with certificates",
            "openssl pkcs12 -export",
        ),
        (folder("ada.der"), "a certificate", "openssl pkcs12 -export"),
        (
            folder("ada.key.der"),
            "a private key",
            "openssl pkcs12 -export",
        ),
        (folder("ada.p7b"), "PKCS#7", "private key"),
        (folder("ada.b64"), "base64", "base64 -d"),
        (folder("store.jks"), "JKS", "keytool -importkeystore"),
        (folder("nothing"), "an empty file", "again"),
        (folder("page.pfx"), "a web page", "again"),
    ] {
        let (code, seen) = bench.report(&file, &[]);
        assert_eq!(code, 1, "{file}");
        assert_eq!(seen["error"]["code"], "malformed", "{file}");
        let message = seen["error"]["message"].as_str().unwrap();
        assert!(message.contains(word), "{file}: {message}");
        let hint = seen["error"]["hint"].as_str().unwrap();
        assert!(hint.contains(remedy), "{file}: {hint}");
        let page = bench.inspect(&file, &[]);
        assert_eq!((page.code, page.stdout.len()), (1, 0));
        assert!(
            page.stderr.contains(word) && page.stderr.contains("hint:"),
            "{}",
            page.stderr
        );
    }
}

#[test]
fn files_that_cannot_be_read_or_are_too_large_are_refused_as_such() {
    let bench = Bench::new();
    bench.run("mkfifo", &[text(&bench.path("pipe"))]);
    for (file, word) in [
        (bench.path("no such file"), "cannot be read"),
        (bench.path(""), "a folder"),
        (bench.path("pipe"), "not a file"),
    ] {
        let ran = bench.inspect(text(&file), &["--json"]);
        assert_eq!(ran.code, 2, "{}", ran.stderr);
        let error = ran.error();
        assert_eq!(error["code"], "file_unreadable");
        assert!(error["message"].as_str().unwrap().contains(word), "{error}");
    }
    let mut large = fs::read(bench.pfx("ada.pfx", &[])).unwrap();
    large.resize(5 * 1024 * 1024, 0);
    write(&bench.path("large"), large, 0o600);
    let (code, seen) = bench.report(text(&bench.path("large")), &[]);
    assert_eq!(
        (code, seen["error"]["code"].as_str()),
        (1, Some("limit_exceeded"))
    );

    let file = bench.pfx("ada.pfx", &[]);
    // Who else can read the password is the person's own business, but told.
    write(&bench.path("open"), PASSWORD, 0o644);
    let ran = bench.inspect(
        text(&file),
        &["--json", "--password-file", text(&bench.path("open"))],
    );
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stderr.contains("0644"), "{}", ran.stderr);
    let ran = bench.inspect(text(&file), &["--json", "--password", PASSWORD]);
    assert_eq!(ran.code, 2, "a password as an argument");
}
