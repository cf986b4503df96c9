//! Files that are replaced, repaired or put there while the engine runs: its own program, and the library of its token.

use super::engine::{Engine, Options, part, send_signal};
use super::openssl::{KeyAlgorithm, Workshop};
use super::requests::DEADLINE;
use super::softhsm::{SoftHsm, module};
use pfx_connector::engine::api::{EngineStatus, OnDisk};
use pfx_connector::engine::client::EngineClient;
use rustix::process::Signal;
use std::path::Path;

const PARTS: [&str; 2] = ["custody", "formats"];

fn on_disk(status: &EngineStatus) -> OnDisk {
    status.program.as_ref().unwrap().on_disk
}

/// Kills both parts and waits for their successors.
async fn replace_parts(engine: &Engine, client: &EngineClient) -> EngineStatus {
    let before = client.status().await.unwrap();
    for name in PARTS {
        send_signal(part(&before, name).pid.unwrap(), Signal::KILL);
    }
    engine
        .wait_for(client, "parts that were replaced", |status| {
            status.token.is_some()
                && PARTS.iter().all(|name| {
                    let (now, then) = (part(status, name), part(&before, name));
                    now.restarts > then.restarts && now.pid.is_some()
                })
        })
        .await
}

#[tokio::test]
async fn parts_are_started_again_after_the_program_file_was_replaced_or_removed_and_the_status_says_so()
 {
    let workshop = Workshop::new();
    let authority = workshop.authority("Devices", KeyAlgorithm::P256);
    let device = authority.device("phone", KeyAlgorithm::Rsa(2048)).der();
    let token = SoftHsm::new();
    let folder = tempfile::tempdir().unwrap();
    let (program, next) = (
        folder.path().join("pfx-connector"),
        folder.path().join("pfx-connector.new"),
    );
    std::fs::copy(env!("CARGO_BIN_EXE_pfx-connector"), &program).unwrap();
    // Another release, which would not even speak with this one.
    std::fs::copy("/bin/false", &next).unwrap();
    let options = Options {
        program: Some(program.clone()),
        engine: "sandbox = \"required\"\n".to_owned(),
        ..Options::default()
    };
    let mut engine = Engine::start(&token, &authority, &options);
    let client = engine.ready_client().await;
    let status = client.status().await.unwrap();
    assert_eq!(on_disk(&status), OnDisk::Same);

    // As a package manager does it.
    std::fs::rename(&next, &program).unwrap();
    let status = replace_parts(&engine, &client).await;
    assert_eq!(on_disk(&status), OnDisk::Another);
    let notice = status.program.as_ref().unwrap().notice().unwrap();
    assert!(notice.starts_with(program.to_str().unwrap()), "{notice}");
    for name in PARTS {
        // To people they are what they were.
        let pid = part(&status, name).pid.unwrap();
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap();
        assert!(line.starts_with(program.as_os_str().as_encoded_bytes()));
        let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap();
        assert_eq!(name.trim_end(), "pfx-connector");
    }
    let request = engine.request("replaced", &token, device.clone());
    assert!(client.recrypt(request, DEADLINE).await.is_ok());

    std::fs::remove_file(&program).unwrap();
    let status = replace_parts(&engine, &client).await;
    assert_eq!(on_disk(&status), OnDisk::Missing);
    let request = engine.request("removed", &token, device);
    assert!(client.recrypt(request, DEADLINE).await.is_ok());

    // The service is started again, with what is there then.
    engine.signal(Signal::TERM);
    assert_eq!(engine.wait().code(), Some(0), "{}", engine.log());
    std::fs::copy(env!("CARGO_BIN_EXE_pfx-connector"), &program).unwrap();
    engine.launch();
    let client = engine.ready_client().await;
    assert_eq!(on_disk(&client.status().await.unwrap()), OnDisk::Same);
}

/// An engine whose token's library is to be at `library`.
fn engine_with(token: &SoftHsm, library: &Path) -> Options {
    let section = token.token_section();
    let usual = format!("{:?}", module());
    assert!(section.contains(&usual), "{section}");
    Options {
        token: Some(section.replace(&usual, &format!("{library:?}"))),
        engine: "sandbox = \"required\"\n".to_owned(),
        ..Options::default()
    }
}

/// Waits until the library is told to be unusable; the sentence.
async fn not_loaded(engine: &Engine, client: &EngineClient) -> String {
    let status = engine
        .wait_for(client, "word of the library", |status| {
            status
                .token_problem
                .as_deref()
                .is_some_and(|problem| problem.contains("cannot be loaded"))
        })
        .await;
    status.token_problem.unwrap()
}

#[tokio::test]
async fn a_library_that_is_damaged_is_told_as_the_loader_says_it_and_found_once_it_is_whole() {
    let workshop = Workshop::new();
    let authority = workshop.authority("Devices", KeyAlgorithm::P256);
    let token = SoftHsm::new();
    let folder = tempfile::tempdir().unwrap();
    let library = folder.path().join("libsofthsm2.so");
    std::fs::write(&library, "no library yet").unwrap();
    let engine = Engine::start(&token, &authority, &engine_with(&token, &library));
    let client = engine.client().await;
    let problem = not_loaded(&engine, &client).await;
    assert!(!problem.contains("Permission denied"), "{problem}");
    assert!(problem.contains(library.to_str().unwrap()), "{problem}");

    // Into the same file.
    std::fs::copy(module(), &library).unwrap();
    let status = engine
        .wait_for(&client, "open token", |status| status.token.is_some())
        .await;
    assert!(part(&status, "custody").restarts >= 1);
    let device = authority.device("phone", KeyAlgorithm::Rsa(2048)).der();
    let request = engine.request("one", &token, device);
    assert!(client.recrypt(request, DEADLINE).await.is_ok());
}

#[tokio::test]
async fn a_library_that_was_taken_away_is_found_once_it_is_back() {
    let workshop = Workshop::new();
    let authority = workshop.authority("Devices", KeyAlgorithm::P256);
    let token = SoftHsm::new();
    let folder = tempfile::tempdir().unwrap();
    let library = folder.path().join("libsofthsm2.so");
    std::fs::copy(module(), &library).unwrap();
    let engine = Engine::start(&token, &authority, &engine_with(&token, &library));
    let client = engine.ready_client().await;
    std::fs::remove_file(&library).unwrap();
    let status = client.status().await.unwrap();
    send_signal(part(&status, "custody").pid.unwrap(), Signal::KILL);
    engine
        .wait_for(&client, "custody that does not come back", |status| {
            status.token.is_none() && part(status, "custody").restarts >= 2
        })
        .await;
    std::fs::copy(module(), &library).unwrap();
    engine
        .wait_for(&client, "open token", |status| status.token.is_some())
        .await;
}
