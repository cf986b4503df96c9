//! `key rotate` with the real gateway, engine and SoftHSM: interrupted, taken up again, and records that are to be left alone.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

#[path = "support/stack.rs"]
mod stack;

use audit::Verb;
use fips::secret::BearerToken;
use hsm::Padding;
use pfx_connector::cli::demo::{Deliveries, Running};
use pfx_connector::clock::SystemClock;
use pfx_connector::encoding::Base64Bytes;
use pfx_connector::engine::api::{EngineRequest, FailureCode, ReencryptRequest};
use pfx_connector::engine::client::{EngineClient, RecryptError};
use pfx_connector::engine::ipc::blocking::{Incoming, read_frame, write_frame};
use pfx_connector::intune::{RetryBudget, UserPfxClient};
use serde_json::Value;
use stack::{PATIENCE, Site, block_on, until, write_private};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

const SIGNER: &str = "pfx-rotation";

/// Runs the program; its exit code and its one line of JSON.
fn program(site: &Site, arguments: &[&str]) -> (i32, Value) {
    let output = Command::new(site.stack.program())
        .args(arguments)
        .arg("--json")
        .envs(site.stack.token.environment())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let said = String::from_utf8_lossy(&output.stderr);
    // A failure is told on standard error.
    let line = [text.trim(), said.trim()]
        .into_iter()
        .find(|line| !line.is_empty())
        .unwrap();
    let json = serde_json::from_str(line)
        .unwrap_or_else(|error| panic!("{arguments:?}: {error}: {text} {said}"));
    (output.status.code().unwrap(), json)
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// A second custody key and a signing key on the token; the engine's configuration names the latter.
fn prepare(site: &Site) -> String {
    let config = shown(&site.stack.path("key.toml"));
    let generate = ["key", "generate", "--config", &config, "--bits", "2048"];
    let (code, key) = program(site, &[&generate[..], &["--key-label", "second"]].concat());
    assert_eq!(code, 0, "{key}");
    let public = shown(&site.stack.path("import/rotation.pem"));
    let generate = ["key", "generate-signing", "--config", &config];
    let options = ["--key-label", SIGNER, "--out-public", &public];
    let (code, signer) = program(site, &[&generate[..], &options].concat());
    assert_eq!(code, 0, "{signer}");
    let file = site.stack.path("engine.toml");
    let text = std::fs::read_to_string(&file).unwrap()
        + &format!(
            "[engine.rotation]\nsigning_key = \"{SIGNER}\"\n[[engine.importers]]\nname = \"rotation\"\npublic_key = \"{public}\"\n"
        );
    write_private(&file, text.as_bytes());
    key["fingerprint"].as_str().unwrap().to_owned()
}

fn rotate(site: &Site, config: &Path, to: &str, more: &[&str]) -> (i32, Value) {
    let mut arguments = rotation_arguments(site, config, to);
    arguments.extend(more.iter().map(ToString::to_string));
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    program(site, &arguments)
}

fn rotation_arguments(site: &Site, config: &Path, to: &str) -> Vec<String> {
    let (gateway, ca) = (
        site.stack.gateway_url().unwrap(),
        shown(&site.stack.pki.tls_ca()),
    );
    let token = shown(&site.stack.path("import/rotation.token"));
    let mut arguments = vec!["key", "rotate", "--gateway", &gateway, "--gateway-ca", &ca];
    let config = shown(config);
    arguments.extend(["--config", &config, "--token-file", &token, "--to", to]);
    arguments.extend(["--from", &site.stack.custody_fingerprint]);
    arguments.into_iter().map(str::to_owned).collect()
}

/// A bearer token for rotations, from the running gateway's configuration.
fn rotation_token(site: &Site) {
    let (config, out) = (
        shown(&site.stack.path("gateway.toml")),
        shown(&site.stack.path("import/rotation.token")),
    );
    let create = ["gateway", "token", "create", "--config", &config];
    let options = ["--role", "rotation", "--name", "rotation", "--out", &out];
    assert_eq!(program(site, &[&create[..], &options].concat()).0, 0);
}

fn rotation_client(site: &Site) -> UserPfxClient {
    let tls = pfx_connector::tls::client_config(&site.stack.pki.tls_ca(), None).unwrap();
    let token = std::fs::read(site.stack.path("import/rotation.token")).unwrap();
    UserPfxClient::new(
        &site.stack.gateway_url().unwrap(),
        tls,
        &BearerToken::from_slice(token.trim_ascii()),
        RetryBudget::default(),
        Arc::new(SystemClock),
    )
    .unwrap()
}

/// Ids of the records that name this key.
fn ids(site: &Site, key: &str) -> Vec<String> {
    let client = rotation_client(site);
    block_on(client.records_of_custody_key(key, None))
        .unwrap()
        .ids
}

/// Stands between the command and the engine for one connection: `first` sees the first request for a re-encryption that it wants to
/// see before the engine does. Returns the configuration that leads there.
fn between(
    site: &Site,
    mut first: impl FnMut(&ReencryptRequest) -> bool + Send + 'static,
) -> PathBuf {
    let (ours, theirs) = (
        site.stack.path("run/between.sock"),
        site.stack.path("run/engine.sock"),
    );
    let file = site.stack.path("between.toml");
    let text = std::fs::read_to_string(site.stack.path("engine.toml")).unwrap();
    write_private(
        &file,
        text.replace("engine.sock", "between.sock").as_bytes(),
    );
    let listener = UnixListener::bind(ours).unwrap();
    std::thread::spawn(move || {
        let (mut caller, _) = listener.accept().unwrap();
        let mut engine = UnixStream::connect(theirs).unwrap();
        let (mut from_engine, mut to_caller) =
            (engine.try_clone().unwrap(), caller.try_clone().unwrap());
        std::thread::spawn(move || std::io::copy(&mut from_engine, &mut to_caller));
        let mut waits = true;
        while let Ok(Incoming::Frame(frame)) = read_frame(&mut caller) {
            if waits
                && frame.verb == Some(Verb::Reencrypt)
                && let Ok(EngineRequest::Reencrypt(request)) =
                    serde_json::from_slice(&frame.payload)
            {
                waits = !first(&request);
            }
            write_frame(&mut engine, &frame).unwrap();
        }
        let _ = engine.shutdown(std::net::Shutdown::Both);
    });
    file
}

#[test]
fn records_go_to_a_new_key_with_interruptions_and_what_is_not_right_is_left_alone() {
    let site = Site::new();
    let stack = &site.stack;
    let new = prepare(&site);
    let _engine = stack.start_engine().unwrap();
    let _gateway = stack.start_gateway().unwrap();
    stack.enrol().unwrap();
    rotation_token(&site);
    let plan = site.plan(5, 1);
    let engine_config = stack.path("engine.toml");
    let old = stack.custody_fingerprint.clone();

    let (code, dry) = rotate(&site, &engine_config, &new, &["--dry-run"]);
    assert_eq!(
        (code, &dry["found"], &dry["remaining"]),
        (0, &5.into(), &5.into())
    );
    assert_eq!(ids(&site, &new), Vec::<String>::new());

    // Half-way.
    let (code, half) = rotate(&site, &engine_config, &new, &["--limit", "2"]);
    assert_eq!(code, 0, "{half}");
    assert_eq!(
        (&half["reencrypted"], &half["remaining"]),
        (&2.into(), &3.into())
    );
    let done = ids(&site, &new);
    assert_eq!(done.len(), 2);

    // A record that is not what its importer signed.
    let pfx = b"not looked at";
    let honest = site.record("mallory@example.com", Padding::OaepSha1, vec![7; 256]);
    let mut forged = site.signed(honest, pfx);
    forged.user_principal_name = "victim@example.com".to_owned();
    site.put(&forged, pfx);
    let forged_id = ids(&site, &old)
        .into_iter()
        .find(|id| id.ends_with(&forged.thumbprint))
        .unwrap();

    // One is imported again after it was read and before the engine has it.
    let people = plan.people.clone();
    let import_config = shown(&stack.path("import.toml"));
    let (binary, environment) = (stack.program().to_owned(), stack.token.environment());
    let (changed, told) = std::sync::mpsc::channel();
    let through = between(&site, move |request| {
        let user = &request.record.user_principal_name;
        let Some(person) = people.iter().find(|person| person.user == *user) else {
            return false;
        };
        let imported = Command::new(&binary)
            .args(["import", "add", "--replace", "--config", &import_config])
            .args(["--user", user, "--pfx", &shown(&person.pfx)])
            .args(["--certificate", &shown(&person.certificate)])
            .args(["--password-file", &shown(&person.password_file)])
            .envs(environment.clone())
            .output()
            .unwrap();
        assert!(imported.status.success(), "{imported:?}");
        changed.send(request.record.clone()).unwrap();
        true
    });
    let report_file = stack.path("rotated.json");
    let (code, report) = rotate(&site, &through, &new, &["--report", &shown(&report_file)]);
    assert_eq!(code, 1, "{report}");
    assert_eq!(
        (&report["found"], &report["reencrypted"]),
        (&4.into(), &2.into())
    );
    assert_eq!(report["failed"]["recordChanged"], 1, "{report}");
    assert_eq!(report["failed"]["recordRefused"], 1, "{report}");
    assert_eq!(
        (&report["stopped"], &report["remaining"]),
        (&Value::Null, &2.into())
    );
    let failures = report["failures"].as_array().unwrap();
    let refused = failures
        .iter()
        .find(|failure| failure["code"] == "recordRefused")
        .unwrap();
    assert_eq!(refused["id"], forged_id.as_str());
    let mut written: Value = serde_json::from_slice(&std::fs::read(&report_file).unwrap()).unwrap();
    written["fips"] = report["fips"].clone();
    assert_eq!(written, report);
    // What was imported meanwhile is there, not what was read before.
    let before = told.recv().unwrap();
    let stale = failures
        .iter()
        .find(|failure| failure["code"] == "recordChanged")
        .unwrap();
    let client = rotation_client(&site);
    let now = block_on(client.stored_record(stale["id"].as_str().unwrap())).unwrap();
    assert_eq!(now.record.custody_key.as_deref(), Some(old.as_str()));
    assert_eq!(now.record.user_principal_name, before.user_principal_name);
    assert_ne!(now.record.encrypted_password, before.encrypted_password);

    let (code, rest) = rotate(&site, &engine_config, &new, &[]);
    assert_eq!(code, 1, "{rest}");
    assert_eq!(
        (&rest["reencrypted"], &rest["remaining"]),
        (&1.into(), &1.into())
    );
    assert_eq!(ids(&site, &old), [forged_id]);

    // All five are delivered by the new key, and opened by OpenSSL.
    let moved = ids(&site, &new);
    assert_eq!(moved.len(), 5);
    for id in &moved {
        let stored = block_on(client.stored_record(id)).unwrap();
        assert_eq!(stored.record.key_name, "second");
        let signature = stored.record.importer_signature.unwrap();
        assert!(!signature.importer.is_empty());
    }
    let _connector = stack.start_connector(0).unwrap();
    let mut deliveries = Deliveries::new(stack).unwrap();
    for person in &plan.people {
        deliveries.ask(person, &plan.devices[0]).unwrap();
    }
    deliveries.wait(PATIENCE, |_| Ok(())).unwrap();
    let mut problems = Vec::new();
    deliveries
        .verify_all(stack, |problem| {
            problems.extend(problem);
            Ok(())
        })
        .unwrap();
    assert_eq!((problems, deliveries.verified()), (Vec::new(), 5));
}

/// Starts a rotation and kills the command, or the engine, once a further record has moved.
fn killed_rotation(site: &Site, to: &str, engine: &mut Running, kills_engine: bool) {
    let before = ids(site, to).len();
    let mut command = Command::new(site.stack.program())
        .args(rotation_arguments(
            site,
            &site.stack.path("engine.toml"),
            to,
        ))
        .envs(site.stack.token.environment())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    until("nothing moves", || {
        ids(site, to).len() > before || command.try_wait().unwrap().is_some()
    });
    if kills_engine {
        engine.kill();
    }
    let _ = command.kill();
    command.wait().unwrap();
    if kills_engine {
        *engine = site.stack.start_engine().unwrap();
    }
}

#[test]
fn a_rotation_that_is_killed_again_and_again_goes_on_where_it_was() {
    const PEOPLE: usize = 6;
    let site = Site::new();
    let stack = &site.stack;
    let new = prepare(&site);
    let mut engine = stack.start_engine().unwrap();
    let _gateway = stack.start_gateway().unwrap();
    stack.enrol().unwrap();
    rotation_token(&site);
    let plan = site.plan(PEOPLE, 1);
    for round in 0..PEOPLE {
        killed_rotation(&site, &new, &mut engine, round % 2 == 1);
        let (old, moved) = (ids(&site, &stack.custody_fingerprint), ids(&site, &new));
        // Each record is for the one key or for the other.
        assert_eq!(old.len() + moved.len(), PEOPLE);
    }
    let mut outcome = (1, Value::Null);
    until("the engine has no token again", || {
        outcome = rotate(&site, &stack.path("engine.toml"), &new, &[]);
        // It listens before it has opened the token.
        outcome.1["error"]["code"] != "key_not_found"
    });
    let (code, rest) = outcome;
    assert_eq!((code, &rest["remaining"]), (0, &0.into()), "{rest}");
    assert_eq!(ids(&site, &new).len(), PEOPLE);

    let _connector = stack.start_connector(0).unwrap();
    let mut deliveries = Deliveries::new(stack).unwrap();
    for person in &plan.people {
        deliveries.ask(person, &plan.devices[0]).unwrap();
    }
    site.assert_all_delivered_once(&mut deliveries);
}

#[test]
fn an_engine_re_encrypts_nothing_without_a_signing_key_that_engines_accept() {
    let site = Site::new();
    let engine = site.stack.start_engine().unwrap();
    let pfx = b"not looked at";
    let record = site.signed(
        site.record("a@example.com", Padding::OaepSha1, vec![7; 256]),
        pfx,
    );
    let request = ReencryptRequest {
        request_id: "r".to_owned(),
        record,
        pfx: Base64Bytes(pfx.to_vec()),
        to: "ab".repeat(32),
        padding: None,
    };
    let socket = site.stack.path("run/engine.sock");
    let refusal = |request: &ReencryptRequest| {
        let refused = block_on(async {
            let client = EngineClient::connect(&socket).await?;
            client.reencrypt(request.clone(), PATIENCE).await
        });
        let Err(RecryptError::Failed(failure)) = refused else {
            panic!("{refused:?}")
        };
        failure
    };
    let failure = refusal(&request);
    assert_eq!(failure.code, FailureCode::BadRequest);
    assert!(
        failure.message.contains("engine.rotation.signing_key"),
        "{failure:?}"
    );

    std::fs::write(site.stack.path("import/rotation.token"), "x").unwrap();
    let config = site.stack.path("engine.toml");
    let ca = shown(&site.stack.pki.tls_ca());
    let (code, said) = program(
        &site,
        &[
            "key",
            "rotate",
            "--config",
            &shown(&config),
            "--gateway",
            "https://127.0.0.1:1",
            "--gateway-ca",
            &ca,
            "--token-file",
            &shown(&site.stack.path("import/rotation.token")),
            "--from",
            &site.stack.custody_fingerprint,
            "--to",
            &"ab".repeat(32),
        ],
    );
    assert_eq!(
        (code, &said["error"]["code"]),
        (2, &"rotation_not_configured".into())
    );

    // The key signs, but its public half is no importer's: what it signed would be refused everywhere.
    let new = prepare(&site);
    let text = std::fs::read_to_string(&config).unwrap();
    let (text, _) = text
        .rsplit_once("[[engine.importers]]\nname = \"rotation\"")
        .unwrap();
    write_private(&config, text.as_bytes());
    engine.stop().unwrap();
    let _engine = site.stack.start_engine().unwrap();
    until("the new key is not used", || {
        let keys = site.engine_status().keys;
        keys.iter().any(|key| key.fingerprint == new)
    });
    let failure = refusal(&ReencryptRequest { to: new, ..request });
    assert_eq!(failure.code, FailureCode::BadRequest);
    assert!(
        failure.message.contains("none of `engine.importers`"),
        "{failure:?}"
    );
}
