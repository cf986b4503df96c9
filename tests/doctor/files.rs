//! Files, folders and room.

use super::examined::{doctor, read};
use super::gateway_host::Host;
use super::pki::Authority;
use super::token::Site;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A connector's configuration with everything that it names, for a gateway that nobody runs.
pub(crate) fn connector(folder: &Path, gateway: &str, more: &str) -> PathBuf {
    let authority = Authority::new(folder, "authority");
    authority.client("connector");
    write_connector(folder, gateway, "authority.pem", more)
}

pub(crate) fn write_connector(
    folder: &Path,
    gateway: &str,
    gateway_ca: &str,
    more: &str,
) -> PathBuf {
    for name in ["journal", "events"] {
        std::fs::create_dir_all(folder.join(name)).unwrap();
    }
    let config = folder.join("connector.toml");
    std::fs::write(
        &config,
        format!(
            "[connector]\ninstance = \"c\"\ngateway = {gateway:?}\ngateway_ca = {gateway_ca:?}\ncertificate = \"connector.pem\"\n\
             private_key = \"connector-key.pem\"\nengine_socket = \"engine.sock\"\njournal = \"journal/journal.db\"\n\
             control_socket = \"control.sock\"\n{more}\n[connector.log]\ndirectory = \"events\"\n"
        ),
    )
    .unwrap();
    config
}

#[test]
fn what_says_who_is_trusted_may_not_be_everybodys() {
    let site = Site::new();
    let importer = site.engine.path().join("importer.pem");
    std::fs::set_permissions(&importer, std::fs::Permissions::from_mode(0o664)).unwrap();
    let examined = site.examine(&["--only", "files"]);
    examined.nothing_fails();
    let found = examined.about("files.trusted", "engine.importers.public_key");
    assert_eq!(found["severity"], "warning");
    // The engine itself refuses one that everybody may change.
    std::fs::set_permissions(&importer, std::fs::Permissions::from_mode(0o666)).unwrap();
    site.examine(&["--only", "certificates"])
        .fails_of("certificates.importer");
}

#[test]
fn missing_files_and_folders_are_errors() {
    let site = Site::new();
    std::fs::remove_file(site.engine.path().join("importer.pem")).unwrap();
    site.examine(&["--only", "files"])
        .fails_of("files.readable");

    let folder = tempfile::tempdir().unwrap();
    let config = connector(folder.path(), "https://127.0.0.1:9", "");
    std::fs::remove_dir(folder.path().join("journal")).unwrap();
    let examined = doctor(&config, &["--only", "files"]);
    examined.fails_of("files.folder");
    examined.about("files.folder", "connector.journal");

    let config = connector(folder.path(), "https://127.0.0.1:9", "");
    std::fs::remove_dir(folder.path().join("events")).unwrap();
    std::fs::write(folder.path().join("events"), "").unwrap();
    let examined = doctor(&config, &["--only", "files"]);
    examined.fails_of("files.folder");
    examined.about("files.folder", "connector.log.directory");
}

#[test]
fn a_private_key_that_others_can_read_is_an_error_with_the_command_that_helps() {
    let host = Host::new();
    let key = host.path("gateway-key.pem");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o640)).unwrap();
    let examined = doctor(&host.path("config.toml"), &["--only", "files"]);
    examined.fails_of("files.secret");
    let remedy = examined.about("files.secret", "gateway.private_key")["remedy"].clone();
    assert_eq!(remedy, format!("chmod 600 {}", key.display()));
}

/// Needs a file system of its own, in a user and mount namespace of its own.
#[test]
fn a_full_file_system_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let config = connector(folder.path(), "https://127.0.0.1:9", "");
    let script = format!(
        "mount -t tmpfs -o size=1m,mode=700 none {:?} && exec {:?} doctor --json --only files --config {:?}",
        folder.path().join("journal"),
        env!("CARGO_BIN_EXE_pfx-connector"),
        config
    );
    let output = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", &script])
        .output()
        .expect("the program `unshare` (util-linux) is needed for this test");
    let examined = read(&output);
    examined.fails_of("files.room");
    let found = examined.about("files.room", "connector.journal");
    assert!(found["facts"]["freeBytes"].as_u64().unwrap() <= 1024 * 1024);
}

#[test]
fn a_pipe_in_the_place_of_a_file_is_told_and_nobody_waits_for_it() {
    let site = Site::new();
    let pipe = site.engine.path().join("pipe");
    let made = Command::new("mkfifo").arg(&pipe).status();
    assert!(
        made.expect("this test needs the program `mkfifo`")
            .success()
    );
    let text = std::fs::read_to_string(site.config()).unwrap();
    let line = text
        .lines()
        .find(|line| line.starts_with("device_anchors"))
        .unwrap();
    site.change(line, &format!("device_anchors = [{pipe:?}]"));
    let examined = site.examine(&["--only", "files", "--only", "certificates"]);
    for id in ["files.readable", "certificates.anchor"] {
        let told = examined
            .findings(id)
            .into_iter()
            .any(|found| found["found"].as_str().unwrap().contains("not a file"));
        assert!(told, "{id}: {:#}", examined.report);
    }
}
