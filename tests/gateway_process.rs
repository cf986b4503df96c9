//! The gateway as a process of its own: its commands, an orderly stop, and being killed at any moment.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

#[path = "support/gateway.rs"]
mod gateway;
#[path = "support/gateway_host.rs"]
mod gateway_host;
#[path = "support/pki.rs"]
mod pki;

use gateway::*;
use gateway_host::*;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

fn terminate(process: &Process) {
    let pid = rustix::process::Pid::from_child(&process.0);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
}

#[tokio::test]
async fn tokens_are_made_listed_and_revoked_by_command_while_the_service_runs() {
    let host = Host::new();
    let (_process, base) = host.start();
    let made = host.done(&[
        "token", "create", "--role", "importer", "--name", "ca", "--days", "7",
    ]);
    let secret = made["token"].as_str().unwrap();
    let importer = host.caller(&base, Some(secret));
    assert_eq!(importer.get(RECORDS).await.status, 200);
    let listed = host.done(&["token", "list"]);
    assert_eq!(listed["tokens"][0]["id"], made["id"]);
    assert!(!listed.to_string().contains(secret));
    host.done(&["token", "revoke", made["id"].as_str().unwrap()]);
    assert_eq!(importer.get(RECORDS).await.status, 401);
    let unknown = host.run(&["token", "revoke", "nobody"]);
    assert_eq!(unknown.status.code(), Some(1));
    let file = host.path("token");
    let shown = host.done(&[
        "token",
        "create",
        "--role",
        "mdm",
        "--name",
        "m",
        "--out",
        file.to_str().unwrap(),
    ]);
    assert!(shown.get("token").is_none());
    let written = std::fs::read_to_string(&file).unwrap();
    let mdm = host.caller(&base, Some(written.trim()));
    assert_eq!(mdm.get("/mdm/v1/requests/x").await.status, 404);
    let log = std::fs::read_to_string(host.path("log")).unwrap();
    assert!(!log.contains(secret) && !log.contains(written.trim()));
}

#[tokio::test]
async fn status_asks_the_running_service_as_an_administrator() {
    let host = Host::new();
    let (_process, base) = host.start();
    let connector = host.caller(&base, None);
    let beat = json!({"connector": identity("one"), "inFlight": 2, "engineHealthy": false});
    let answer = connector.post("/connector/v1/heartbeat", beat).await;
    assert_eq!(answer.status, 204);
    let (admin, mdm) = (host.path("admin-token"), host.path("mdm-token"));
    for (role, file) in [("administrator", &admin), ("mdm", &mdm)] {
        let file = file.to_str().unwrap();
        host.done(&[
            "token", "create", "--role", role, "--name", "x", "--out", file,
        ]);
    }
    let ask = |token: &Path| {
        Command::new(env!("CARGO_BIN_EXE_pfx-connector"))
            .args(["gateway", "status", "--json", "--gateway", &base])
            .arg("--gateway-ca")
            .arg(host.authority.certificate())
            .arg("--token-file")
            .arg(token)
            .output()
            .unwrap()
    };
    let told = ask(&admin);
    let told: Value = serde_json::from_slice(&told.stdout).unwrap();
    assert_eq!(told["connectors"][0]["instance"], "one");
    assert_eq!(told["connectors"][0]["inFlight"], 2);
    assert_eq!(told["service"]["queued"], 0);
    let fips = &told["service"]["fips"];
    assert_eq!(fips["process"], "gateway");
    assert_eq!(
        (&fips["mode"], &fips["notApproved"]),
        (&json!("strict"), &json!(0))
    );
    assert_eq!(fips["tls"]["serverConfigurations"], 1);
    assert!(fips["tls"]["fullHandshakes"].as_u64().unwrap() > 0);
    let refused = ask(&mdm);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("administrator"));
}

#[tokio::test]
async fn a_backup_is_made_while_it_runs_and_restored_once_it_stopped() {
    let host = Host::new();
    let token = host.token("importer");
    let (mut process, base) = host.start();
    let importer = host.caller(&base, Some(&token));
    importer.post(RECORDS, record("a@b.org", 1)).await;
    let copy = host.path("copy.db");
    let copy = copy.to_str().unwrap();
    host.done(&["backup", "--to", copy]);
    importer.post(RECORDS, record("a@b.org", 2)).await;
    let refused = host.run(&["restore", "--from", copy]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("stop the gateway"));
    terminate(&process);
    assert_eq!(process.0.wait().unwrap().code(), Some(0));
    host.done(&["restore", "--from", copy]);
    let (_process, base) = host.start();
    let importer = host.caller(&base, Some(&token));
    let listed = importer.get(RECORDS).await;
    assert_eq!(listed.body["value"].as_array().unwrap().len(), 1);
    assert_eq!(listed.body["value"][0]["thumbprint"], thumbprint(1));
    host.done(&["purge"]);
}

#[test]
fn a_configuration_that_is_not_there_or_not_right_is_a_usage_error() {
    let host = Host::new();
    std::fs::write(host.path("config.toml"), "[gateway]\nlisten = 5\n").unwrap();
    assert_eq!(host.run(&[]).status.code(), Some(2));
    std::fs::remove_file(host.path("config.toml")).unwrap();
    assert_eq!(host.run(&["token", "list"]).status.code(), Some(2));
}

/// What the service has promised so far.
#[derive(Default)]
struct Promised {
    records: Vec<String>,
    /// Request to its result, once a completion was answered.
    requests: BTreeMap<String, Option<String>>,
}

async fn send(caller: &Caller, path: &str, body: Value) -> Option<(u16, Value)> {
    let mut request = caller
        .client
        .post(format!("{}{path}", caller.base))
        .json(&body);
    if let Some(token) = &caller.token {
        request = request.bearer_auth(token);
    }
    let response = request.send().await.ok()?;
    let status = response.status().as_u16();
    let bytes = response.bytes().await.ok()?;
    Some((status, serde_json::from_slice(&bytes).ok()?))
}

/// Imports, asks, leases and completes without end; notes only what was answered.
async fn traffic(
    importer: &Caller,
    mdm: &Caller,
    connector: &Caller,
    promised: &mut Promised,
    round: u32,
) -> Option<()> {
    for number in 0.. {
        let name = round * 1000 + number;
        let user = format!("user{name}@b.org");
        let (status, made) = send(importer, RECORDS, record(&user, name)).await?;
        assert_eq!(status, 201, "{made}");
        promised.records.push(made["id"].as_str()?.to_owned());
        let (status, asked) = send(mdm, "/mdm/v1/deviceRequests", device_request(&user)).await?;
        assert_eq!(status, 202, "{asked}");
        let id = asked["requests"][0]["requestId"].as_str()?.to_owned();
        promised.requests.insert(id, None);
        deliver(connector, promised).await?;
    }
    Some(())
}

/// Leases what there is and completes it, each time with another result.
async fn deliver(connector: &Caller, promised: &mut Promised) -> Option<usize> {
    let (status, leased) = send(connector, "/connector/v1/lease", lease("one", 0)).await?;
    assert_eq!(status, 200, "{leased}");
    let work = leased["work"].as_array()?;
    for item in work {
        let id = item["requestId"].as_str()?;
        let result =
            pfx_connector::encoding::Base64Bytes(fips::random::array::<24>().unwrap().to_vec())
                .encode();
        let body = json!({"fence": item["fence"], "encryptedPassword": result});
        let path = format!("/connector/v1/requests/{id}/complete");
        let (status, settled) = send(connector, &path, body).await?;
        assert_eq!((status, &settled["outcome"]), (200, &json!("accepted")));
        let earlier = promised.requests.insert(id.to_owned(), Some(result));
        assert!(!matches!(earlier, Some(Some(_))), "{id} was accepted twice");
    }
    Some(work.len())
}

#[tokio::test]
async fn nothing_that_was_answered_is_lost_when_it_is_killed_again_and_again() {
    let host = Host::new();
    let (importer_token, mdm_token) = (host.token("importer"), host.token("mdm"));
    let mut promised = Promised::default();
    for round in 0..12 {
        let (mut process, base) = host.start();
        let importer = host.caller(&base, Some(&importer_token));
        let mdm = host.caller(&base, Some(&mdm_token));
        let connector = host.caller(&base, None);
        let [random] = fips::random::array::<1>().unwrap();
        let killer = tokio::task::spawn_blocking(move || {
            std::thread::sleep(Duration::from_millis(30 + u64::from(random)));
            process.0.kill().unwrap();
            process.0.wait().unwrap();
        });
        let _ = traffic(&importer, &mdm, &connector, &mut promised, round).await;
        killer.await.unwrap();
    }
    assert!(!promised.requests.is_empty());
    let (_process, base) = host.start();
    let importer = host.caller(&base, Some(&importer_token));
    let mdm = host.caller(&base, Some(&mdm_token));
    let connector = host.caller(&base, None);
    for id in &promised.records {
        let answer = importer.get(&format!("{RECORDS}/{id}")).await;
        assert_eq!(answer.status, 200, "the record {id} is lost");
    }
    // What was cut off half-way is done now, once the leases of the killed rounds are over.
    let deadline = Instant::now() + DEADLINE;
    let ids: Vec<String> = promised.requests.keys().cloned().collect();
    loop {
        deliver(&connector, &mut promised).await.unwrap();
        let mut open = 0;
        for id in &ids {
            let state = mdm.get(&format!("/mdm/v1/requests/{id}")).await;
            assert_eq!(state.status, 200, "the request {id} is lost");
            if state.body["completions"] != 1 {
                open += 1;
            }
        }
        if open == 0 {
            break;
        }
        assert!(
            Instant::now() < deadline,
            "{open} requests are not finished"
        );
    }
    for (id, result) in &promised.requests {
        let path = format!("/mdm/v1/requests/{id}/collect");
        let collected = mdm.call("POST", &path, None).await;
        assert_eq!(collected.status, 200);
        // A completion may have been taken in the moment of the kill, before its answer; one that was answered stays as it is.
        if let Some(result) = result {
            assert_eq!(&collected.body["encryptedPassword"], result, "{id}");
        }
    }
    assert_clean(&host.path("log"));
}

fn assert_clean(log: &Path) {
    let log = std::fs::read_to_string(log).unwrap();
    for secret in ["pfxgw1_", "UEZYLUJZVEVT", "Q0lQSEVSVEVYVA"] {
        assert!(!log.contains(secret));
    }
}
