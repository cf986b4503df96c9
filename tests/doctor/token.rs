//! The token: PIN, keys, what it does, how fast.

use super::engine::{Engine, Options};
use super::examined::{Examined, doctor};
use super::openssl::{KeyAlgorithm, Workshop, openssl};
use super::softhsm::{KEY_LABEL, PIN, SoftHsm, TOKEN_LABEL, module};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

/// An engine's configuration that is healthy until a test changes something; nothing runs.
pub(crate) struct Site {
    pub(crate) token: SoftHsm,
    pub(crate) engine: Engine,
    _workshop: Workshop,
}

impl Site {
    pub(crate) fn new() -> Self {
        Self::with(Options::default())
    }

    pub(crate) fn with(options: Options) -> Self {
        let workshop = Workshop::new();
        let token = SoftHsm::new();
        let authority = workshop.authority("Devices", KeyAlgorithm::P256);
        let engine = Engine::prepare(&token, &authority, &options);
        drop(authority);
        Self {
            token,
            engine,
            _workshop: workshop,
        }
    }

    pub(crate) fn config(&self) -> std::path::PathBuf {
        self.engine.path().join("config.toml")
    }

    /// Exchanges a text of the configuration.
    pub(crate) fn change(&self, from: &str, to: &str) {
        let text = std::fs::read_to_string(self.config()).unwrap();
        assert!(text.contains(from), "{from} is not in {text}");
        std::fs::write(self.config(), text.replace(from, to)).unwrap();
    }

    pub(crate) fn examine(&self, more: &[&str]) -> Examined {
        doctor(&self.config(), more)
    }

    /// Looks at the token alone.
    pub(crate) fn examine_token(&self) -> Examined {
        self.examine(&["--only", "token"])
    }

    fn softhsm_util(&self, arguments: &[&str]) {
        let output = Command::new("softhsm2-util")
            .args(arguments)
            .env("SOFTHSM2_CONF", self.token.configuration())
            .output()
            .expect("this test needs the program `softhsm2-util`");
        assert!(output.status.success(), "{output:?}");
    }
}

#[test]
fn of_a_healthy_configuration_nothing_fails_and_everything_was_looked_at() {
    let site = Site::new();
    let examined = site.examine(&[]);
    examined.nothing_fails();
    let ok = examined.ids("ok");
    for id in [
        "configuration.file",
        "configuration.values",
        "files.secret",
        "files.readable",
        "files.trusted",
        "files.folder",
        "limits.files",
        "limits.core",
        "clock.plausible",
        "fips.module",
        "fips.mode",
        "certificates.anchor",
        "certificates.expiry",
        "certificates.importer",
        "token.module-file",
        "token.module-digest",
        "token.module-loads",
        "token.found",
        "token.state",
        "token.quirks",
        "token.mechanisms",
        "token.pin-source",
        "token.pin-tries",
        "token.login",
        "token.key",
        "token.key-origin",
        "token.decryption",
        "token.encryption",
        "token.round-trip",
    ] {
        assert!(ok.contains(&id), "{id}: {:#}", examined.report);
    }
    assert_eq!(examined.finding("service.engine")["code"], "not_running");
    // What strict mode is told to permit is shown.
    assert_eq!(examined.findings("fips.exception").len(), 4);
    let digest = examined.finding("token.module-digest");
    let file = module();
    let printed = openssl(&["dgst", "-sha256", "-r", file.to_str().unwrap()]);
    let expected = String::from_utf8(printed).unwrap();
    assert_eq!(
        digest["facts"]["sha256"].as_str(),
        expected.split(' ').next()
    );
    let loaded = examined.finding("token.module-loads");
    assert_eq!(loaded["facts"]["cryptokiVersion"], "2.40");
    let key = examined.finding("token.key");
    assert_eq!(key["facts"]["fingerprint"], site.token.fingerprint());
    let decryption = examined.finding("token.decryption");
    assert_eq!(
        decryption["facts"]["native"],
        serde_json::json!(["oaepSha1"])
    );
    let times = &examined.finding("token.round-trip")["facts"];
    assert!(times["medianMicroseconds"].as_u64() > Some(0), "{times}");
    assert!(times["p99Microseconds"].as_u64() >= times["medianMicroseconds"].as_u64());
    let rates = &examined.finding("token.concurrency")["facts"];
    assert_eq!(rates["configured"], 2);
    assert_eq!(rates["rates"].as_array().unwrap().len(), 2);
    // Passwords in Intune's records cannot be read back.
    let copies = examined.finding("token.key-copies");
    assert_eq!(
        (&copies["severity"], &copies["code"]),
        (&"warning".into(), &"single_copy".into())
    );
}

#[test]
fn a_wrong_pin_is_tried_once_and_not_again_while_the_token_counts_it() {
    let site = Site::new();
    site.token.write_pin("000000");
    let examined = site.examine_token();
    examined.fails_of("token.login");
    assert_eq!(examined.finding("token.login")["code"], "pin_incorrect");
    // The token counts a try; it was not used up by looking at the token a second and a third time.
    for _ in 0..2 {
        let examined = site.examine_token();
        examined.nothing_fails();
        assert_eq!(examined.finding("token.pin-tries")["code"], "pin_count_low");
        let login = examined.finding("token.login");
        assert_eq!(login["severity"], "note");
        assert!(login["found"].as_str().unwrap().starts_with("not tried"));
    }
    // The right PIN, by the command that the remedy names, gives the token its tries back.
    site.token.write_pin(PIN);
    let listed = Command::new(env!("CARGO_BIN_EXE_pfx-connector"))
        .args(["key", "list", "--config"])
        .arg(site.config())
        .output()
        .unwrap();
    assert!(listed.status.success(), "{listed:?}");
    let examined = site.examine_token();
    examined.nothing_fails();
    assert_eq!(examined.finding("token.login")["severity"], "ok");
}

#[test]
fn a_pin_that_was_refused_is_not_tried_again_although_the_token_has_all_its_tries() {
    let site = Site::new();
    site.token.write_pin("000000");
    let examined = site.examine_token();
    assert_eq!(examined.finding("token.login")["code"], "pin_incorrect");
    // Somebody logs in with the right PIN, from elsewhere: the token does not show any more what was tried.
    let pin = site.engine.path().join("other-pin");
    std::fs::write(&pin, PIN).unwrap();
    std::fs::set_permissions(&pin, std::fs::Permissions::from_mode(0o600)).unwrap();
    let listed = Command::new(env!("CARGO_BIN_EXE_pfx-connector"))
        .args(["key", "list", "--token-label", TOKEN_LABEL, "--module"])
        .arg(module())
        .arg("--pin-file")
        .arg(&pin)
        .env("SOFTHSM2_CONF", site.token.configuration())
        .env("XDG_STATE_HOME", site.engine.path().join("state"))
        .output()
        .unwrap();
    assert!(listed.status.success(), "{listed:?}");
    for _ in 0..2 {
        let examined = site.examine_token();
        examined.fails_of("token.login");
        assert_eq!(examined.finding("token.pin-tries")["severity"], "ok");
        let login = examined.finding("token.login");
        assert_eq!(login["code"], "pin_refused_before");
        let remedy = login["remedy"].as_str().unwrap();
        assert!(remedy.contains(".pin-refused"), "{remedy}");
    }
    site.token.write_pin(PIN);
    site.examine_token().nothing_fails();
}

#[test]
fn without_login_no_key_is_looked_at_and_no_try_is_used() {
    let site = Site::new();
    site.token.write_pin("000000");
    let examined = site.examine(&["--only", "token", "--no-login"]);
    examined.nothing_fails();
    assert_eq!(examined.finding("token.login")["severity"], "note");
    assert!(examined.findings("token.key").is_empty());
    site.token.write_pin(PIN);
    let examined = site.examine_token();
    assert_eq!(examined.finding("token.pin-tries")["severity"], "ok");
}

#[test]
fn a_pin_file_that_others_can_read_is_named_twice_and_not_used() {
    let site = Site::new();
    let file = site.token.pin_file();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    let examined = site.examine(&[]);
    assert_eq!(examined.code, 3);
    let secret = examined.about("files.secret", "engine.token.pin_file");
    assert_eq!(secret["code"], "secret_file_exposed");
    assert!(secret["remedy"].as_str().unwrap().starts_with("chmod 600 "));
    assert_eq!(examined.finding("token.pin-source")["code"], "file_refused");
    assert_eq!(examined.finding("token.login")["severity"], "note");
    assert_eq!(examined.ids("error"), ["files.secret", "token.pin-source"]);
}

#[test]
fn a_token_that_is_not_there_is_told_with_those_that_are() {
    let site = Site::new();
    site.change(&format!("label = {TOKEN_LABEL:?}"), "label = \"another\"");
    let examined = site.examine_token();
    examined.fails_of("token.found");
    let found = examined.finding("token.found");
    assert_eq!(found["code"], "token_not_found");
    assert!(found["found"].as_str().unwrap().contains(TOKEN_LABEL));
}

#[test]
fn a_token_without_a_key_is_no_custody() {
    let site = Site::new();
    // Another token in the same folder, with the same PIN.
    site.softhsm_util(&[
        "--init-token",
        "--free",
        "--label",
        "empty",
        "--so-pin",
        "12345678",
        "--pin",
        PIN,
    ]);
    site.change(&format!("label = {TOKEN_LABEL:?}"), "label = \"empty\"");
    let examined = site.examine_token();
    examined.fails_of("token.key");
    assert_eq!(examined.finding("token.key")["code"], "no_key");
}

#[test]
fn a_key_that_came_from_a_file_is_refused_where_it_may_do_more_than_decrypt() {
    let site = Site::new();
    let workshop = Workshop::new();
    let key = workshop.key(KeyAlgorithm::Rsa(2048));
    let pin: &[&str] = &["--pin", PIN];
    let import = |token: &str| {
        site.softhsm_util(
            &[
                &["--import", key.to_str().unwrap(), "--token", token],
                &["--label", "imported", "--id", "beef"],
                pin,
            ]
            .concat(),
        );
    };
    // Beside a good key it is a warning, alone it is an error.
    import(TOKEN_LABEL);
    let beside = site.examine_token();
    beside.nothing_fails();
    let refused: Vec<_> = beside
        .findings("token.key")
        .into_iter()
        .filter(|found| found["severity"] == "warning")
        .collect();
    assert_eq!(refused.len(), 1, "{:#}", beside.report);
    assert_eq!(refused[0]["facts"]["label"], "imported");
    assert_eq!(refused[0]["code"], "key_refused");
    site.softhsm_util(&[
        "--init-token",
        "--free",
        "--label",
        "other",
        "--so-pin",
        "12345678",
        "--pin",
        PIN,
    ]);
    import("other");
    site.change(&format!("label = {TOKEN_LABEL:?}"), "label = \"other\"");
    let alone = site.examine_token();
    alone.fails_of("token.key");
    assert!(!alone.report.to_string().contains(KEY_LABEL));
}

#[test]
fn the_key_that_signs_reports_is_looked_for() {
    let site = Site::with(Options {
        fips: Some("report_token_key = \"report\"".to_owned()),
        ..Options::default()
    });
    let examined = site.examine_token();
    examined.fails_of("token.signing-key");
    assert_eq!(
        examined.finding("token.signing-key")["code"],
        "signing_key_not_found"
    );
    let made = Command::new(env!("CARGO_BIN_EXE_pfx-connector"))
        .args([
            "key",
            "generate-signing",
            "--key-label",
            "report",
            "--config",
        ])
        .arg(site.config())
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let examined = site.examine_token();
    examined.nothing_fails();
    assert_eq!(examined.finding("token.signing-key")["severity"], "ok");
}

#[test]
fn too_many_threads_are_measured_and_the_right_number_is_told() {
    let site = Site::new();
    site.change("threads = 2", "threads = 5");
    let examined = site.examine_token();
    examined.nothing_fails();
    let facts = &examined.finding("token.concurrency")["facts"];
    let at_once: Vec<_> = facts["rates"]
        .as_array()
        .unwrap()
        .iter()
        .map(|rate| rate["atOnce"].as_u64().unwrap())
        .collect();
    assert_eq!(at_once, [1, 2, 4, 5]);
    let recommended = facts["recommended"].as_u64().unwrap();
    assert!(at_once.contains(&recommended), "{facts}");
}
