//! The life of a custody key by the command line: SoftHSM and Kryoptic, and from the one to the other.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

mod cli_common;

use cli_common::life::{Kryoptic, Run, replicable, second, word};
use cli_common::{TOKEN, Token, openssl, program, text, write};
use serde_json::Value;
use std::fs;
use std::path::Path;

/// The four steps with files, and what both tokens say of the key afterwards.
fn by_files(folder: &Path, source: Run<'_>, target: Run<'_>) {
    let key = replicable(source);
    assert_eq!(key["usable"], false, "before it is sealed");
    let fingerprint = word(&key, "fingerprint");
    let (request, bundle) = (folder.join("request.json"), folder.join("bundle.json"));
    let asked = target(&[
        "key",
        "replicate",
        "request",
        "--bits",
        "2048",
        "--out",
        text(&request),
        "--json",
    ])
    .json();
    let transport = word(&asked, "transportFingerprint");
    let wrap = |transport: &str, out: &Path| {
        source(&[
            "key",
            "replicate",
            "wrap",
            "--request",
            text(&request),
            "--transport-fingerprint",
            transport,
            "--fingerprint",
            fingerprint,
            "--out",
            text(out),
            "--json",
        ])
    };
    let exchanged = wrap(fingerprint, &bundle);
    assert_eq!(
        (exchanged.code, &exchanged.error()["code"]),
        (1, &"transport_key".into())
    );
    assert!(!bundle.exists());
    wrap(transport, &bundle).json();
    let unwrap = |expected: &str| {
        target(&[
            "key",
            "replicate",
            "unwrap",
            "--bundle",
            text(&bundle),
            "--fingerprint",
            expected,
            "--json",
        ])
    };
    let other = unwrap(transport);
    assert_eq!(
        (other.code, &other.error()["code"]),
        (1, &"other_key".into())
    );
    let copy = unwrap(fingerprint).json();
    assert_eq!(copy["origin"], "unwrappedHere");
    assert_eq!(copy["usable"], true);
    assert_eq!(copy["label"], "custody");
    let again = unwrap(fingerprint);
    assert_eq!(
        (again.code, &again.error()["code"]),
        (1, &"key_already_there".into())
    );

    let seal = |more: &[&str]| {
        source(
            &[
                &[
                    "key",
                    "replicate",
                    "seal",
                    "--fingerprint",
                    fingerprint,
                    "--json",
                ],
                more,
            ]
            .concat(),
        )
    };
    let refused = seal(&[]);
    assert_eq!(
        (refused.code, &refused.error()["code"]),
        (1, &"no_copy".into())
    );
    let sealed = seal(&["--no-more-copies"]).json();
    assert_eq!(
        (&sealed["already"], &sealed["usable"]),
        (&false.into(), &true.into())
    );
    let late = wrap(transport, &folder.join("late.json"));
    assert_eq!(
        (late.code, &late.error()["code"]),
        (1, &"key_not_replicable".into())
    );
    for (run, origin, local) in [
        (source, "generatedHereReplicable", true),
        (target, "unwrappedHere", false),
    ] {
        let shown = run(&["key", "show", "--fingerprint", fingerprint, "--json"]).json();
        assert_eq!(shown["origin"], origin);
        let attributes = &shown["attributes"];
        assert_eq!(attributes["local"], local);
        assert_eq!(attributes["sensitive"], true);
        assert_eq!(attributes["extractable"], false);
        assert_ne!(attributes["neverExtractable"], true);
        assert_eq!(attributes["encrypt"], Value::Null, "a private key has none");
        let verified = run(&[
            "key",
            "verify",
            "--fingerprint",
            fingerprint,
            "--rounds",
            "3",
            "--json",
        ])
        .json();
        assert_eq!(verified["verified"], true, "{verified}");
        let list = run(&["key", "list", "--json"]).json();
        assert_eq!(
            list["keys"].as_array().unwrap().len(),
            1,
            "no transport key is left"
        );
    }
}

#[test]
fn a_key_goes_by_files_from_softhsm_to_softhsm() {
    let (source, target) = (Token::new(), Token::new());
    by_files(source.folder.path(), &|args| source.run(args), &|args| {
        target.run(args)
    });
}

#[test]
fn a_key_goes_by_files_from_softhsm_to_kryoptic() {
    let (source, target) = (Token::new(), Kryoptic::new());
    by_files(source.folder.path(), &|args| source.run(args), &|args| {
        target.run(args)
    });
}

#[test]
fn a_key_goes_by_files_from_kryoptic_to_softhsm() {
    let (source, target) = (Kryoptic::new(), Token::new());
    by_files(source.folder.path(), &|args| source.run(args), &|args| {
        target.run(args)
    });
}

#[test]
fn a_key_goes_by_files_from_kryoptic_to_kryoptic() {
    let (source, target) = (Kryoptic::new(), Kryoptic::new());
    by_files(source.folder.path(), &|args| source.run(args), &|args| {
        target.run(args)
    });
}

#[test]
fn two_tokens_in_reach_need_one_command_and_the_copies_are_counted() {
    let token = Token::new();
    let other = second(&token);
    let key = replicable(&|args| token.run(args));
    let fingerprint = word(&key, "fingerprint");
    let copy = token
        .run(&[
            "key",
            "replicate",
            "direct",
            "--fingerprint",
            fingerprint,
            "--to",
            &other,
            "--seal",
            "--json",
        ])
        .json();
    assert_eq!(copy["origin"], "unwrappedHere");
    assert_eq!(copy["sealed"]["usable"], true);
    let list = token
        .run(&["key", "list", "--also", &other, "--json"])
        .json();
    assert_eq!(list["tokensLookedAt"], 2);
    let copies = list["keys"][0]["copies"].as_array().unwrap();
    let origins: Vec<_> = copies
        .iter()
        .map(|copy| copy["origin"].as_str().unwrap())
        .collect();
    assert_eq!(origins, ["generatedHereReplicable", "unwrappedHere"]);
    let text = token.run(&["key", "list", "--also", &other]).text();
    assert!(
        text.contains("2 copies on the 2 tokens that were looked at"),
        "{text}"
    );
    let twice = token.run(&["key", "list", "--also", &other, "--also", &other, "--json"]);
    assert_eq!(
        (twice.code, &twice.error()["code"]),
        (2, &"token_named_twice".into())
    );
}

#[test]
fn a_key_is_destroyed_by_fingerprint_in_two_steps_and_the_last_copy_only_when_said_so() {
    let token = Token::new();
    let other = second(&token);
    let key = replicable(&|args| token.run(args));
    let fingerprint = word(&key, "fingerprint");
    token
        .run(&[
            "key",
            "replicate",
            "direct",
            "--fingerprint",
            fingerprint,
            "--to",
            &other,
            "--seal",
            "--json",
        ])
        .json();
    let destroy = |more: &[&str]| {
        token.run(
            &[
                &["key", "destroy", "--fingerprint", fingerprint, "--json"],
                more,
            ]
            .concat(),
        )
    };
    let last = destroy(&[]);
    assert_eq!((last.code, &last.error()["code"]), (1, &"last_copy".into()));
    let said = destroy(&["--also", &other]).json();
    assert_eq!(
        (&said["destroyed"], &said["copiesElsewhere"]),
        (&false.into(), &1.into())
    );
    let code = word(&said, "confirm");
    assert_eq!(
        token.run(&["key", "list", "--json"]).json()["keys"]
            .as_array()
            .unwrap()
            .len(),
        1
    );

    // Not for another choice, not for another key, not changed, not for later.
    let (end, digest) = code.split_once('-').unwrap();
    let later = format!("{}-{digest}", end.parse::<u64>().unwrap() + 1);
    for bad in ["", "x", "0-00", &later, &code[..code.len() - 1]] {
        let refused = destroy(&["--also", &other, "--confirm", bad]);
        assert_eq!(
            (refused.code, &refused.error()["code"]),
            (2, &"confirmation".into()),
            "{bad}"
        );
    }
    let refused = destroy(&["--last-copy", "--confirm", code]);
    assert_eq!(refused.error()["code"], "confirmation");

    // The code is for what was said: with fewer copies it is another thing to do.
    let both = destroy(&["--also", &other, "--last-copy"]).json();
    let refused = destroy(&["--last-copy", "--confirm", word(&both, "confirm")]);
    assert_eq!(refused.error()["code"], "confirmation");
    let nowhere = token.path("none/destroyed.json");
    let refused = destroy(&[
        "--also",
        &other,
        "--confirm",
        code,
        "--transcript",
        text(&nowhere),
    ]);
    assert_eq!(refused.error()["code"], "file_unwritable");

    let transcript = token.path("destroyed.json");
    let done = destroy(&[
        "--also",
        &other,
        "--confirm",
        code,
        "--transcript",
        text(&transcript),
    ])
    .json();
    assert_eq!(done["destroyed"], true);
    let written: Value = serde_json::from_slice(&fs::read(&transcript).unwrap()).unwrap();
    assert_eq!(written, done["transcript"]);
    assert_eq!(written["steps"][1]["result"]["publicHalves"], 1);
    assert_eq!(
        token.run(&["key", "list", "--json"]).json()["keys"],
        serde_json::json!([])
    );
    let again = destroy(&["--also", &other, "--confirm", code]);
    assert_eq!(again.error()["code"], "unknown_key");
}

#[test]
fn a_verified_key_opens_what_its_exported_half_encrypts_and_another_file_is_told() {
    let token = Token::new();
    let key = token.generate("custody", "2048");
    let fingerprint = word(&key, "fingerprint");
    let (pem, blob) = (token.path("public.pem"), token.path("public.blob"));
    for (format, out) in [("pem", &pem), ("rsapublicblob", &blob)] {
        token
            .run(&[
                "key",
                "export-public",
                "--format",
                format,
                "--out",
                text(out),
                "--json",
            ])
            .json();
        let verified = token
            .run(&[
                "key",
                "verify",
                "--public",
                text(out),
                "--fingerprint",
                fingerprint,
                "--rounds",
                "20",
                "--json",
            ])
            .json();
        assert_eq!(verified["verified"], true, "{verified}");
        assert_eq!(verified["job"]["outcome"]["result"], "works");
        let paddings = verified["paddings"].as_array().unwrap();
        assert_eq!(paddings.len(), 4);
        assert!(
            paddings
                .iter()
                .all(|check| check["result"] == "works" && check["encryptedBy"] == "module")
        );
        let latency = &verified["latency"];
        assert_eq!(latency["rounds"], 20);
        assert!(latency["p50Us"].as_u64() <= latency["p99Us"].as_u64());
        assert!(latency["p99Us"].as_u64() <= latency["maxUs"].as_u64());
    }
    let foreign = token.path("foreign.pem");
    let made = openssl(&[
        "genpkey",
        "-algorithm",
        "RSA",
        "-pkeyopt",
        "rsa_keygen_bits:2048",
    ]);
    let private = token.path("foreign.key");
    write(&private, made, 0o600);
    write(
        &foreign,
        openssl(&["pkey", "-in", text(&private), "-pubout"]),
        0o644,
    );
    let other = token.run(&["key", "verify", "--public", text(&foreign), "--json"]);
    assert_eq!(
        (other.code, &other.error()["code"]),
        (1, &"other_key".into())
    );
}

/// In strict mode the token does all of it, and what the module may not do is not done.
#[test]
fn a_key_is_verified_and_copied_in_strict_mode_by_the_tokens_alone() {
    let token = Token::new();
    let other = second(&token);
    let config = token.path("engine.toml");
    write(
        &config,
        format!(
            "[fips]\nmode = \"strict\"\n[engine]\nsocket = \"engine.sock\"\n[engine.token]\n{}",
            token.section()
        ),
        0o600,
    );
    let run = |args: &[&str]| {
        program(
            &[args, &["--config", text(&config), "--json"]].concat(),
            &[],
        )
    };
    let key = run(&[
        "key",
        "generate",
        "--key-label",
        "custody",
        "--bits",
        "2048",
        "--replicable",
    ])
    .json();
    let fingerprint = word(&key, "fingerprint");
    let copied = run(&[
        "key",
        "replicate",
        "direct",
        "--fingerprint",
        fingerprint,
        "--to",
        &other,
        "--seal",
    ])
    .json();
    assert_eq!(copied["fips"]["mode"], "strict");
    assert_eq!(copied["fips"]["notApproved"], 0);
    let verified = run(&["key", "verify"]).json();
    assert_eq!(verified["verified"], true, "{verified}");
    assert_eq!(verified["paddings"][0]["encryptedBy"], "token");
    assert!(word(&verified["job"], "device").contains("custody key itself"));
    assert_eq!(verified["fips"]["notApproved"], 0);
}

/// The numbers of an OpenSSL key as CNG writes them.
fn rsa_full_private_blob(folder: &Path) -> (Vec<u8>, String) {
    let private = folder.join("exported.key");
    write(
        &private,
        openssl(&[
            "genpkey",
            "-algorithm",
            "RSA",
            "-pkeyopt",
            "rsa_keygen_bits:2048",
        ]),
        0o600,
    );
    let der = openssl(&["pkey", "-in", text(&private), "-pubout", "-outform", "DER"]);
    let spki = folder.join("exported.spki");
    fs::write(&spki, der).unwrap();
    let fingerprint = String::from_utf8(openssl(&["dgst", "-sha256", "-r", text(&spki)])).unwrap();
    let shown =
        String::from_utf8(openssl(&["rsa", "-in", text(&private), "-noout", "-text"])).unwrap();
    let number = |name: &str, len: usize| -> Vec<u8> {
        let after = shown.split(&format!("\n{name}:\n")).nth(1).unwrap();
        let digits: String = after
            .lines()
            .take_while(|line| line.starts_with(' '))
            .flat_map(|line| line.trim().chars())
            .filter(|c| *c != ':')
            .collect();
        let bytes: Vec<u8> = (0..digits.len() / 2)
            .map(|at| u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).unwrap())
            .collect();
        let start = bytes.iter().take_while(|byte| **byte == 0).count();
        [
            vec![0; len - (bytes.len() - start)],
            bytes[start..].to_vec(),
        ]
        .concat()
    };
    let words: Vec<u8> = [2048_u32, 3, 256, 128, 128]
        .iter()
        .flat_map(|word| word.to_le_bytes())
        .collect();
    let blob = [
        b"RSA3".to_vec(),
        words,
        vec![1, 0, 1],
        number("modulus", 256),
        number("prime1", 128),
        number("prime2", 128),
        number("exponent1", 128),
        number("exponent2", 128),
        number("coefficient", 128),
        number("privateExponent", 256),
    ]
    .concat();
    (blob, fingerprint[..64].to_owned())
}

#[test]
fn an_exported_key_of_microsofts_tools_enters_a_token_wrapped() {
    let target = Token::new();
    let (blob, fingerprint) = rsa_full_private_blob(target.folder.path());
    let blob_file = target.path("exported.blob");
    write(&blob_file, &blob, 0o600);
    let (request, bundle) = (target.path("request.json"), target.path("bundle.json"));
    let asked = target
        .run(&[
            "key",
            "replicate",
            "request",
            "--bits",
            "2048",
            "--out",
            text(&request),
            "--json",
        ])
        .json();
    let wrap = |blob: &Path, fingerprint: &str| {
        program(
            &[
                "key",
                "replicate",
                "wrap-blob",
                "--rsa-full-private-blob",
                text(blob),
                "--request",
                text(&request),
                "--transport-fingerprint",
                word(&asked, "transportFingerprint"),
                "--fingerprint",
                fingerprint,
                "--key-label",
                "from-intune",
                "--out",
                text(&bundle),
                "--json",
            ],
            &[],
        )
    };
    let exposed = target.path("exposed.blob");
    write(&exposed, &blob, 0o644);
    assert_eq!(
        wrap(&exposed, &fingerprint).error()["code"],
        "secret_file_exposed"
    );
    assert_eq!(
        wrap(&blob_file, word(&asked, "transportFingerprint")).error()["code"],
        "other_key"
    );
    let cut = target.path("cut.blob");
    write(&cut, &blob[..blob.len() - 1], 0o600);
    assert_eq!(wrap(&cut, &fingerprint).error()["code"], "private_blob");
    let said = wrap(&blob_file, &fingerprint).json();
    assert!(
        said["fips"]["notApproved"].as_u64().unwrap() > 0,
        "the module encrypted: {said}"
    );
    let copy = target
        .run(&[
            "key",
            "replicate",
            "unwrap",
            "--bundle",
            text(&bundle),
            "--fingerprint",
            &fingerprint,
            "--json",
        ])
        .json();
    assert_eq!(
        (word(&copy, "origin"), word(&copy, "label")),
        ("unwrappedHere", "from-intune")
    );
    // What was encrypted for the exported key is read by the token now.
    let verified = target
        .run(&["key", "verify", "--fingerprint", &fingerprint, "--json"])
        .json();
    assert_eq!(verified["verified"], true);
    assert_eq!(TOKEN, copy["token"]["label"]);
}

/// SoftHSM has none; hsm/tests/life has a token with a certificate, and src/cli/key/attest.rs says which ones count.
#[test]
fn a_token_without_attestation_says_so_and_nothing_is_called_verified() {
    let token = Token::new();
    let key = token.generate("custody", "2048");
    let folder = token.path("attestation");
    let nothing = token
        .run(&["key", "attest", "--out", text(&folder), "--json"])
        .json();
    assert_eq!(
        (&nothing["offered"], &nothing["verified"]),
        (&false.into(), &false.into())
    );
    assert_eq!(nothing["fingerprint"], key["fingerprint"]);
    assert!(!folder.exists());
}
