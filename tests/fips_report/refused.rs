//! When there is no report: it is said why, and nothing is left behind.

use super::cli_common::{Ran, program, text, write};
use super::world::{World, report};
use std::fs;
use std::path::Path;

const EC_P256: [&str; 4] = ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"];

fn refused(ran: &Ran, exit: i32, code: &str) -> String {
    assert_eq!(ran.code, exit, "{}", ran.stderr);
    let error = ran.error();
    assert_eq!(error["code"], code, "{error}");
    error["message"].as_str().unwrap().to_owned()
}

fn entries(folder: &Path) -> usize {
    fs::read_dir(folder).unwrap().count()
}

#[tokio::test]
async fn a_key_that_cannot_sign_is_said_before_anything_is_written() {
    let world = World::new().await;
    let out_folder = world.path("out");
    fs::create_dir(&out_folder).unwrap();
    let out = out_folder.join("bundle");

    let (config, key, _) = world.signed_by_file("key", &EC_P256);
    write(&key, fs::read(&key).unwrap(), 0o644);
    refused(&report(&config, &out), 2, "secret_file_exposed");
    write(&key, "not a key", 0o600);
    let message = refused(&report(&config, &out), 2, "signing_key");
    assert!(message.contains("fips.report_key"), "{message}");
    fs::remove_file(&key).unwrap();
    refused(&report(&config, &out), 2, "secret_file_unreadable");

    let config = world.configuration("unknown.toml", "report_token_key = \"no such key\"");
    let message = refused(&report(&config, &out), 1, "signing_key_not_found");
    assert!(message.contains("no such key"), "{message}");
    // A custody key does not sign.
    let config = world.configuration("custody.toml", "report_token_key = \"custody-key\"");
    refused(&report(&config, &out), 1, "signing_key_not_found");
    let both = "report_token_key = \"a\"\nreport_key = \"b\"";
    let config = world.configuration("both.toml", both);
    refused(&report(&config, &out), 2, "config_invalid");
    assert_eq!(entries(&out_folder), 0);
}

#[tokio::test]
async fn a_place_that_is_taken_is_not_touched() {
    let world = World::new().await;
    let config = world.configuration("c.toml", "");
    let out = world.path("out");
    fs::create_dir(&out).unwrap();
    fs::write(out.join("mine"), "mine").unwrap();
    refused(&report(&config, &out), 2, "bundle_place_taken");
    assert_eq!(entries(&out), 1);
    let file = out.join("mine");
    refused(&report(&config, &file), 2, "bundle_place_taken");
    assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
    refused(
        &report(&config, &world.path("no/where")),
        1,
        "bundle_unwritable",
    );
    // An empty folder is as good as a new one.
    fs::remove_file(&file).unwrap();
    report(&config, &out).json();
}

#[tokio::test]
async fn a_service_that_does_not_run_is_not_reported_about() {
    let mut world = World::new().await;
    let config = world.configuration("c.toml", "");
    world.engine.signal(rustix::process::Signal::TERM);
    world.engine.wait();
    let out = world.path("bundle");
    refused(&report(&config, &out), 1, "not_running");
    assert_eq!(entries(world.folder.path()), 0);
}

#[test]
fn options_that_do_not_go_together_are_wrong_usage() {
    let folder = tempfile::tempdir().unwrap();
    let path = text(folder.path());
    for args in [
        vec![],
        vec!["--out", path, "--verify", path],
        vec!["--verify", path, "--config", path],
        vec!["--out", path, "--public-key", path],
        vec!["--public-key", path],
    ] {
        let ran = program(&[&["fips", "report"][..], &args].concat(), &[]);
        assert_eq!(ran.code, 2, "{args:?}: {}", ran.stderr);
    }
}
