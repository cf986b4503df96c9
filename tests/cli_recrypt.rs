//! `recrypt` on a SoftHSM token; OpenSSL encrypts the password before and decrypts the message after.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

mod cli_common;

use cli_common::{Token, openssl, program, text, write};
use std::fs;
use std::path::PathBuf;

const PASSWORD: &str = "correct horse battery staple";

struct Bench {
    token: Token,
}

impl Bench {
    fn new() -> Self {
        let token = Token::new();
        token.generate("custody", "2048");
        let public = token.path("public.pem");
        token
            .run(&["key", "export-public", "--out", text(&public), "--json"])
            .json();
        write(&token.path("password"), PASSWORD, 0o600);
        Self { token }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.token.path(name)
    }

    /// The password, encrypted by OpenSSL with this hash.
    fn encrypted(&self, hash: &str) -> PathBuf {
        let out = self.path(&format!("password.{hash}"));
        let md = format!("rsa_oaep_md:{hash}");
        let mgf = format!("rsa_mgf1_md:{hash}");
        openssl(&[
            "pkeyutl",
            "-encrypt",
            "-pubin",
            "-inkey",
            text(&self.path("public.pem")),
            "-in",
            text(&self.path("password")),
            "-out",
            text(&out),
            "-pkeyopt",
            "rsa_padding_mode:oaep",
            "-pkeyopt",
            &md,
            "-pkeyopt",
            &mgf,
        ]);
        out
    }

    /// A self-made device certificate with its key.
    fn device(&self, name: &str, key: &[&str], usage: &str) -> (PathBuf, PathBuf) {
        let (cert, secret) = (
            self.path(&format!("{name}.pem")),
            self.path(&format!("{name}.key")),
        );
        let usage = format!("keyUsage=critical,{usage}");
        let mut args = vec![
            "req",
            "-x509",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=device",
            "-addext",
            &usage,
            "-addext",
            "basicConstraints=critical,CA:FALSE",
            "-keyout",
            text(&secret),
            "-out",
            text(&cert),
        ];
        args.extend(key);
        openssl(&args);
        (cert, secret)
    }

    /// An authority that has issued nothing.
    fn authority(&self) -> PathBuf {
        let anchor = self.path("ca.pem");
        openssl(&[
            "req",
            "-x509",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=authority",
            "-newkey",
            "rsa:2048",
            "-keyout",
            text(&self.path("ca.key")),
            "-out",
            text(&anchor),
            "-addext",
            "keyUsage=critical,keyCertSign",
        ]);
        anchor
    }

    fn decrypted(&self, message: &str, secret: &std::path::Path) -> Vec<u8> {
        openssl(&[
            "cms",
            "-decrypt",
            "-inform",
            "DER",
            "-in",
            message,
            "-inkey",
            text(secret),
        ])
    }
}

#[test]
fn openssl_reads_what_was_encrypted_to_rsa_and_ec_devices() {
    let bench = Bench::new();
    let encrypted = bench.encrypted("sha512");
    let rsa = bench.device("rsa", &["-newkey", "rsa:2048"], "keyEncipherment");
    let ec = bench.device(
        "ec",
        &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
        "keyAgreement",
    );
    for (name, device, format) in [
        ("a", &rsa, "modern"),
        ("b", &rsa, "compatible"),
        ("c", &ec, "modern"),
    ] {
        let out = bench.path(&format!("{name}.cms"));
        let said = bench
            .token
            .run(&[
                "recrypt",
                "--encrypted-password",
                text(&encrypted),
                "--padding",
                "oaep-sha512",
                "--device-cert",
                text(&device.0),
                "--format",
                format,
                "--out",
                text(&out),
                "--json",
            ])
            .json();
        assert_eq!(said["deviceAnchored"], false);
        let note = said["notes"][0].as_str().unwrap();
        assert!(note.contains("not whose it is"), "{note}");
        assert_eq!(
            bench.decrypted(text(&out), &device.1),
            PASSWORD.as_bytes(),
            "{format}"
        );
    }
}

#[test]
fn base64_and_bytes_and_pem_and_der_are_the_same() {
    let bench = Bench::new();
    let encrypted = bench.encrypted("sha1");
    let base64 = bench.path("password.b64");
    openssl(&["base64", "-in", text(&encrypted), "-out", text(&base64)]);
    let (cert, secret) = bench.device("rsa", &["-newkey", "rsa:2048"], "keyEncipherment");
    let der = bench.path("rsa.der");
    openssl(&[
        "x509",
        "-in",
        text(&cert),
        "-outform",
        "DER",
        "-out",
        text(&der),
    ]);
    let out = bench.path("out.cms");
    bench
        .token
        .run(&[
            "recrypt",
            "--encrypted-password",
            text(&base64),
            "--padding",
            "oaep-sha1",
            "--device-cert",
            text(&der),
            "--format",
            "modern",
            "--out",
            text(&out),
            "--json",
        ])
        .json();
    assert_eq!(bench.decrypted(text(&out), &secret), PASSWORD.as_bytes());
}

#[test]
fn a_device_of_another_authority_is_refused_when_anchors_are_given() {
    let bench = Bench::new();
    let encrypted = bench.encrypted("sha512");
    let (cert, _) = bench.device("rsa", &["-newkey", "rsa:2048"], "keyEncipherment");
    let anchor = bench.authority();
    let out = bench.path("out.cms");
    let ran = bench.token.run(&[
        "recrypt",
        "--encrypted-password",
        text(&encrypted),
        "--padding",
        "oaep-sha512",
        "--device-cert",
        text(&cert),
        "--anchors",
        text(&anchor),
        "--format",
        "modern",
        "--out",
        text(&out),
        "--json",
    ]);
    assert_eq!(ran.code, 1);
    assert!(ran.error()["code"].as_str().unwrap().starts_with("device_"));
    assert!(!out.exists());
}

#[test]
fn the_rules_of_a_named_configuration_hold() {
    let bench = Bench::new();
    let encrypted = bench.encrypted("sha1");
    let (cert, _) = bench.device("rsa", &["-newkey", "rsa:2048"], "keyEncipherment");
    let authority = bench.authority();
    let out = bench.path("out.cms");
    let run = |engine: &str, format: &str| {
        let config = bench.path("engine.toml");
        let token = bench.token.section();
        let text_of_it =
            format!("[engine]\nsocket = \"engine.sock\"\n{engine}[engine.token]\n{token}");
        write(&config, text_of_it, 0o600);
        program(
            &[
                "recrypt",
                "--config",
                text(&config),
                "--encrypted-password",
                text(&encrypted),
                "--padding",
                "oaep-sha1",
                "--device-cert",
                text(&cert),
                "--format",
                format,
                "--out",
                text(&out),
                "--json",
            ],
            &[],
        )
    };
    let nothing = run("", "modern");
    assert_eq!(
        (nothing.code, &nothing.error()["code"]),
        (2, &"anchors".into())
    );
    let anchored = format!("device_anchors = [{:?}]\n", text(&authority));
    let stranger = run(&anchored, "modern");
    assert_eq!(stranger.code, 1);
    let code = stranger.error()["code"].clone();
    assert!(code.as_str().unwrap().starts_with("device_"), "{code}");
    let excepted = "exceptions = [\"no-device-anchors\"]\n";
    let old = run(excepted, "compatible-des-ede3");
    assert_eq!(
        (old.code, &old.error()["code"]),
        (2, &"format_not_allowed".into())
    );
    assert!(!out.exists());
    assert_eq!(run(excepted, "modern").json()["deviceAnchored"], false);
}

#[test]
fn a_ciphertext_that_does_not_decrypt_says_so_and_leaves_no_file() {
    let bench = Bench::new();
    let encrypted = bench.encrypted("sha512");
    let mut bytes = fs::read(&encrypted).unwrap();
    bytes[100] ^= 1;
    fs::write(&encrypted, &bytes).unwrap();
    let (cert, _) = bench.device("rsa", &["-newkey", "rsa:2048"], "keyEncipherment");
    let out = bench.path("out.cms");
    let args = [
        "recrypt",
        "--encrypted-password",
        text(&encrypted),
        "--padding",
        "oaep-sha512",
        "--device-cert",
        text(&cert),
        "--format",
        "modern",
        "--out",
        text(&out),
        "--json",
    ];
    let ran = bench.token.run(&args);
    assert_eq!(
        (ran.code, &ran.error()["code"]),
        (1, &"decryption_failed".into())
    );
    fs::write(&encrypted, &bytes[1..]).unwrap();
    let ran = bench.token.run(&args);
    assert_eq!(
        (ran.code, &ran.error()["code"]),
        (1, &"ciphertext_length".into())
    );
    assert!(!out.exists());
}

#[test]
fn a_signature_only_device_is_refused_before_the_key_is_used() {
    let bench = Bench::new();
    let encrypted = bench.encrypted("sha512");
    let (cert, _) = bench.device("sign", &["-newkey", "rsa:2048"], "digitalSignature");
    let out = bench.path("out.cms");
    let ran = bench.token.run_with_pin(
        &[
            "recrypt",
            "--encrypted-password",
            text(&encrypted),
            "--padding",
            "oaep-sha512",
            "--device-cert",
            text(&cert),
            "--format",
            "modern",
            "--out",
            text(&out),
            "--json",
        ],
        // Would fail if the token were opened.
        &bench.path("no-such-pin"),
    );
    assert_eq!(ran.code, 1);
    assert!(ran.error()["code"].as_str().unwrap().starts_with("device_"));
}
