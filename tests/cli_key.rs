//! `key` on a SoftHSM token.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

mod cli_common;

use cli_common::{PIN, Ran, TOKEN, Token, openssl, program, text, write};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

#[test]
fn a_generated_key_cannot_leave_and_names_its_best_padding() {
    let token = Token::new();
    let key = token.generate("custody", "2048");
    assert_eq!(key["label"], "custody");
    assert_eq!(key["modulusBits"], 2048);
    assert_eq!(key["usable"], true);
    assert_eq!(key["attributes"]["sensitive"], true);
    assert_eq!(key["attributes"]["extractable"], false);
    assert_eq!(key["attributes"]["neverExtractable"], true);
    assert_eq!(key["attributes"]["local"], true);
    assert_eq!(key["attributes"]["decrypt"], true);
    assert_eq!(key["attributes"]["sign"], false);
    assert_eq!(key["token"]["label"], TOKEN);
    let best = key["bestPadding"].as_str().unwrap();
    let native = key["capabilities"]["native"].as_array().unwrap();
    assert!(native.iter().any(|padding| padding == best));

    let shown = token.run(&["key", "show", "--json"]).json();
    assert_eq!(shown["fingerprint"], key["fingerprint"]);
    assert_eq!(shown["bestPadding"], key["bestPadding"]);
    let text = token.run(&["key", "show", "--key-label", "custody"]).text();
    assert!(text.contains("CKA_EXTRACTABLE"), "{text}");
    let list = token.run(&["key", "list", "--json"]).json();
    assert_eq!(list["keys"].as_array().unwrap().len(), 1);
}

/// Opening a token tries it out, with RSA encryption by the module where the mode is off.
#[test]
fn every_report_about_keys_says_the_fips_mode_and_what_was_not_approved() {
    let token = Token::new();
    token.generate("custody", "2048");
    let fips = token.run(&["key", "show", "--json"]).json()["fips"].clone();
    assert_eq!(fips["mode"], "off");
    assert!(fips["notApproved"].as_u64().unwrap() > 0, "{fips}");
    let text = token.run(&["key", "list"]).text();
    assert!(
        text.contains("FIPS mode is off here; not approved: rsa-oaep-encrypt"),
        "{text}"
    );
}

#[test]
fn a_label_that_is_in_use_is_refused() {
    let token = Token::new();
    token.generate("custody", "2048");
    let again = token.run(&["key", "generate", "--key-label", "custody", "--json"]);
    assert_eq!(again.code, 1);
    assert_eq!(again.error()["code"], "label_in_use");
    let list = token.run(&["key", "list", "--json"]).json();
    assert_eq!(list["keys"].as_array().unwrap().len(), 1);
}

#[test]
fn the_exported_public_key_is_the_same_in_both_forms_and_openssl_reads_it() {
    let token = Token::new();
    let key = token.generate("custody", "2048");
    let (pem, blob) = (token.path("public.pem"), token.path("public.blob"));
    let export = |format: &str, out: &str| {
        token.run(&[
            "key",
            "export-public",
            "--format",
            format,
            "--out",
            out,
            "--json",
        ])
    };
    let said = export("pem", text(&pem)).json();
    assert_eq!(said["fingerprint"], key["fingerprint"]);
    let der = openssl(&["pkey", "-pubin", "-in", text(&pem), "-outform", "DER"]);
    let der_file = token.path("public.der");
    fs::write(&der_file, der).unwrap();
    let digest = openssl(&["dgst", "-sha256", "-r", text(&der_file)]);
    let fingerprint = key["fingerprint"].as_str().unwrap();
    assert!(String::from_utf8(digest).unwrap().starts_with(fingerprint));

    export("rsapublicblob", text(&blob)).json();
    let blob = fs::read(blob).unwrap();
    assert_eq!(blob.len(), 24 + 3 + 256);
    let word = |at: usize| u32::from_le_bytes(blob[at..at + 4].try_into().unwrap());
    assert_eq!(&blob[..4], b"RSA1");
    assert_eq!(
        [word(4), word(8), word(12), word(16), word(20)],
        [2048, 3, 256, 0, 0]
    );
    assert_eq!(blob[24..27], [1, 0, 1]);
    let modulus = openssl(&["rsa", "-pubin", "-in", text(&pem), "-noout", "-modulus"]);
    let modulus = String::from_utf8(modulus).unwrap();
    let expected: String = blob[27..]
        .iter()
        .map(|byte| format!("{byte:02X}"))
        .collect();
    assert_eq!(modulus.trim(), format!("Modulus={expected}"));

    let again = export("pem", text(&pem));
    assert_eq!(again.code, 2);
    assert_eq!(again.error()["code"], "file_exists");
}

#[test]
fn a_signing_key_signs_alone_and_openssl_reads_its_public_half() {
    let token = Token::new();
    let public = token.path("report.pem");
    let made = token
        .run(&[
            "key",
            "generate-signing",
            "--key-label",
            "report",
            "--out-public",
            text(&public),
            "--json",
        ])
        .json();
    assert_eq!(made["algorithm"], "ecdsa-p256-sha256");
    assert_eq!(made["attributes"]["sign"], true);
    assert_eq!(made["attributes"]["decrypt"], false);
    assert_eq!(made["attributes"]["neverExtractable"], true);
    let der = openssl(&["pkey", "-pubin", "-in", text(&public), "-outform", "DER"]);
    let der_file = token.path("report.der");
    fs::write(&der_file, der).unwrap();
    let digest = openssl(&["dgst", "-sha256", "-r", text(&der_file)]);
    let fingerprint = made["fingerprint"].as_str().unwrap();
    assert!(String::from_utf8(digest).unwrap().starts_with(fingerprint));

    let again = token.run(&["key", "generate-signing", "--key-label", "report", "--json"]);
    assert_eq!(
        (again.code, &again.error()["code"]),
        (1, &"label_in_use".into())
    );
    let other = [
        "--key-label",
        "other",
        "--out-public",
        text(&public),
        "--json",
    ];
    let taken = token.run(&[&["key", "generate-signing"][..], &other].concat());
    assert_eq!(
        (taken.code, &taken.error()["code"]),
        (2, &"file_exists".into())
    );
    let said = token.run(&[
        "key",
        "generate-signing",
        "--key-label",
        "rsa",
        "--kind",
        "rsa3072",
    ]);
    let said = said.text();
    assert!(said.contains("report_token_key = \"rsa\""), "{said}");
    // It is no custody key.
    let list = token.run(&["key", "list", "--json"]).json();
    assert_eq!(list["keys"][0]["usable"], false);
}

#[test]
fn several_keys_need_a_name() {
    let token = Token::new();
    token.generate("one", "2048");
    let two = token.generate("two", "2048");
    let ran = token.run(&["key", "show", "--json"]);
    assert_eq!(
        (ran.code, &ran.error()["code"]),
        (1, &"key_ambiguous".into())
    );
    let fingerprint = two["fingerprint"].as_str().unwrap();
    let shown = token.run(&["key", "show", "--fingerprint", fingerprint, "--json"]);
    assert_eq!(shown.json()["label"], "two");
    let ran = token.run(&["key", "show", "--key-label", "three", "--json"]);
    assert_eq!(
        (ran.code, &ran.error()["code"]),
        (1, &"key_not_found".into())
    );
}

/// What a kill in the middle of a C_Login leaves of a SoftHSM token.
#[test]
fn a_token_whose_own_file_was_emptied_comes_back_with_its_keys() {
    let token = Token::new();
    let key = token.generate("custody", "2048");
    let folder = fs::read_dir(token.path("tokens")).unwrap().next().unwrap();
    let object = folder.unwrap().path().join("token.object");
    let emptied = fs::File::create(&object).unwrap();
    emptied.set_modified(std::time::UNIX_EPOCH).unwrap();
    let list = token.run(&["key", "list", "--json"]).json();
    assert_eq!(list["keys"][0]["fingerprint"], key["fingerprint"]);
    assert!(fs::metadata(&object).unwrap().len() > 0);
}

#[test]
fn a_wrong_pin_is_said_once_with_code_2() {
    let token = Token::new();
    let wrong = token.path("wrong-pin");
    write(&wrong, "00000000\n", 0o600);
    let ran = token.run_with_pin(&["key", "list", "--json"], &wrong);
    assert_eq!(ran.code, 2);
    assert_eq!(ran.error()["code"], "pin_incorrect");
    assert!(!ran.stderr.contains("00000000"));
}

/// The commands of one person, who has a state folder.
struct Person<'a> {
    token: &'a Token,
    state: &'a Path,
}

impl Person<'_> {
    fn list(&self, options: &[&str]) -> Ran {
        let conf = self.token.path("softhsm2.conf");
        program(
            &[&["key", "list", "--json"], options].concat(),
            &[
                ("SOFTHSM2_CONF", text(&conf)),
                ("XDG_STATE_HOME", text(self.state)),
            ],
        )
    }

    fn list_by_options(&self) -> Ran {
        let (module, pin) = (text(&self.token.module), self.token.path("pin"));
        let options = ["--module", module, "--token-label", TOKEN, "--pin-file"];
        self.list(&[&options[..], &[text(&pin)]].concat())
    }

    fn list_by_config(&self) -> Ran {
        let config = self.token.path("engine.toml");
        self.list(&["--config", text(&config)])
    }
}

fn is_refused(ran: &Ran, code: &str, noted_in: &Path) {
    let error = ran.error();
    assert_eq!((ran.code, &error["code"]), (2, &code.into()), "{error}");
    let hint = error["hint"].as_str().unwrap();
    assert!(hint.contains(text(noted_in)), "{hint}");
    let mode = fs::metadata(noted_in).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_refused_pin_is_not_tried_again_by_the_next_command_until_its_source_changes() {
    let token = Token::new();
    let person = Person {
        token: &token,
        state: &token.path("state"),
    };
    write(&token.path("pin"), "00000000\n", 0o600);
    let first = person.list_by_options();
    let folder = token.path("state/pfx-connector");
    let noted = fs::read_dir(&folder).unwrap().next().unwrap().unwrap();
    is_refused(&first, "pin_incorrect", &noted.path());
    let mode = fs::metadata(&folder).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    for _ in 0..3 {
        is_refused(
            &person.list_by_options(),
            "pin_refused_before",
            &noted.path(),
        );
    }
    write(&token.path("pin"), "11111111\n", 0o600);
    is_refused(&person.list_by_options(), "pin_incorrect", &noted.path());
    write(&token.path("pin"), PIN, 0o600);
    person.list_by_options().json();
    person.list_by_options().json();
}

#[test]
fn a_command_with_an_engines_configuration_and_the_engine_know_what_the_other_was_refused() {
    let token = Token::new();
    let person = Person {
        token: &token,
        state: &token.path("state"),
    };
    fs::create_dir(token.path("run")).unwrap();
    let config = format!(
        "[engine]\nsocket = {:?}\n[engine.token]\n{}",
        token.path("run/engine.sock"),
        token.section()
    );
    write(&token.path("engine.toml"), config, 0o600);
    let engines = token.path("run/engine.pin-refused");
    write(&token.path("pin"), "00000000\n", 0o600);
    is_refused(&person.list_by_config(), "pin_incorrect", &engines);
    is_refused(&person.list_by_config(), "pin_refused_before", &engines);

    // What another command of this person noted holds here too, and the engine finds it where it looks.
    write(&token.path("pin"), "11111111\n", 0o600);
    assert_eq!(person.list_by_options().error()["code"], "pin_incorrect");
    fs::remove_file(&engines).unwrap();
    is_refused(&person.list_by_config(), "pin_refused_before", &engines);

    // Where there is no folder for the engine yet, it is the person's own.
    fs::rename(token.path("run"), token.path("gone")).unwrap();
    write(&token.path("pin"), "22222222\n", 0o600);
    let own = token.path("state/pfx-connector");
    let own = fs::read_dir(own).unwrap().next().unwrap().unwrap().path();
    is_refused(&person.list_by_config(), "pin_incorrect", &own);
    is_refused(&person.list_by_config(), "pin_refused_before", &own);
    write(&token.path("pin"), PIN, 0o600);
    person.list_by_config().json();
}

#[test]
fn a_pin_file_that_others_can_read_is_refused() {
    let token = Token::new();
    let open = token.path("open-pin");
    write(&open, "12345678\n", 0o644);
    let ran = token.run_with_pin(&["key", "list", "--json"], &open);
    assert_eq!(ran.code, 2);
    assert_eq!(ran.error()["code"], "file_refused");
    let message = ran.error()["message"].as_str().unwrap().to_owned();
    assert!(message.contains("mode 644"), "{message}");
}

#[test]
fn without_a_pin_file_and_a_terminal_it_says_so() {
    let token = Token::new();
    let conf = token.path("softhsm2.conf");
    let ran = program(
        &[
            "key",
            "list",
            "--module",
            text(&token.module),
            "--token-label",
            TOKEN,
            "--json",
        ],
        &[("SOFTHSM2_CONF", text(&conf))],
    );
    assert_eq!(ran.code, 2);
    let message = ran.error()["message"].as_str().unwrap().to_owned();
    assert!(message.contains("there is no terminal"), "{message}");
}

#[test]
fn a_module_that_is_not_there_or_none_is_code_2() {
    let folder = tempfile::tempdir().unwrap();
    let pin = folder.path().join("pin");
    write(&pin, "1234", 0o600);
    let no_module = folder.path().join("text.so");
    write(&no_module, "not a library", 0o644);
    for module in ["/nonexistent/module.so", text(&no_module), "relative.so"] {
        let ran = program(
            &[
                "key",
                "list",
                "--module",
                module,
                "--token-label",
                "x",
                "--pin-file",
                text(&pin),
                "--json",
            ],
            &[],
        );
        assert_eq!(ran.code, 2, "{module}: {}", ran.stderr);
        ran.error();
    }
}

#[test]
fn a_configuration_names_the_token_and_its_environment() {
    let token = Token::new();
    let key = token.generate("custody", "2048");
    let config = token.path("engine.toml");
    write(
        &config,
        format!(
            "[engine]\nsocket = \"engine.sock\"\n[engine.token]\n{}",
            token.section()
        ),
        0o600,
    );
    // The shell's environment must not matter: it names another token folder.
    let ran = program(
        &["key", "show", "--config", text(&config), "--json"],
        &[("SOFTHSM2_CONF", "/nonexistent")],
    );
    assert_eq!(ran.json()["fingerprint"], key["fingerprint"]);
}
