//! Two people for what is dangerous: the real engine, the real commands, and the token.

use super::engine::{Engine, Options};
use super::openssl::{Authority, KeyAlgorithm, Workshop};
use super::requests::DEADLINE;
use super::softhsm::SoftHsm;
use audit::approval::{Approval, Statement, Subject};
use audit::ledger::Release;
use audit::{Hash, Timestamp};
use fips::sign::{KeyKind, SigningKey};
use pfx_connector::encoding::public_key_pem;
use pfx_connector::engine::api::{AllowRequest, ApprovalFile, FailureCode, OracleRequest};
use pfx_connector::engine::client::{EngineClient, RecryptError};
use rustix::process::Signal;
use serde_json::Value;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// Three approvers with their keys in files; two of them it takes.
struct Approvers {
    folder: TempDir,
    keys: Vec<SigningKey>,
}

const NAMES: [&str; 3] = ["ada", "ben", "cyd"];

impl Approvers {
    fn new() -> Self {
        fips::start(fips::policy::Policy::OFF).unwrap();
        let folder = TempDir::new().unwrap();
        let keys: Vec<_> = NAMES
            .iter()
            .map(|name| {
                let key = SigningKey::generate(KeyKind::EcP256).unwrap();
                let private = pkcs8::SecretDocument::try_from(key.pkcs8_der().unwrap().expose())
                    .unwrap()
                    .to_pem("PRIVATE KEY", der::pem::LineEnding::LF)
                    .unwrap();
                let mut options = std::fs::OpenOptions::new();
                let mut file = options
                    .write(true)
                    .create_new(true)
                    .mode(0o600)
                    .open(folder.path().join(format!("{name}.key")))
                    .unwrap();
                std::io::Write::write_all(&mut file, private.as_bytes()).unwrap();
                let public = folder.path().join(format!("{name}.pem"));
                std::fs::write(public, public_key_pem(key.spki_der()).unwrap()).unwrap();
                key
            })
            .collect();
        Self { folder, keys }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// `[engine.approvals]`.
    fn section(&self) -> String {
        let files = NAMES.map(|name| self.path(&format!("{name}.pem")));
        format!(
            "[engine.approvals]\nrequired = 2\napprovers = {files:?}\nfolder = {:?}\n",
            self.path("approvals")
        )
    }

    fn options(&self) -> Options {
        Options {
            importers: self.section(),
            ..Options::default()
        }
    }

    /// A running engine whose log began before there were approvers, as one that is set up has it.
    async fn begun(&self, token: &SoftHsm, authority: &Authority<'_>) -> Engine {
        let mut engine = Engine::prepare(token, authority, &self.options());
        let config = engine.path().join("config.toml");
        let usual = std::fs::read_to_string(&config).unwrap();
        std::fs::write(&config, usual.replace(&self.section(), "")).unwrap();
        engine.launch();
        engine.ready_client().await;
        stop(&mut engine);
        std::fs::write(&config, usual).unwrap();
        engine.launch();
        engine
    }

    /// Has an approver sign a request file by the command.
    fn sign(&self, request: &Path, name: &str, out: &Path) -> Value {
        run(&[
            "approve",
            "sign",
            text(request),
            "--key",
            text(&self.path(&format!("{name}.key"))),
            "--out",
            text(out),
            "--json",
        ])
        .json()
    }

    fn file(&self, who: usize, statement: &Statement) -> ApprovalFile {
        let approval = Approval::sign(statement.clone(), &self.keys[who]).unwrap();
        ApprovalFile {
            name: NAMES[who].to_owned(),
            content: approval.to_file().unwrap().into(),
        }
    }
}

struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Ran {
    fn json(&self) -> Value {
        assert_eq!(self.code, Some(0), "{}\n{}", self.out, self.err);
        serde_json::from_str(&self.out).unwrap()
    }

    fn error(&self) -> Value {
        assert_eq!(self.code, Some(1), "{}\n{}", self.out, self.err);
        let last = self.err.lines().last().unwrap();
        serde_json::from_str::<Value>(last).unwrap()["error"].clone()
    }
}

fn run(args: &[&str]) -> Ran {
    let output = Command::new(env!("CARGO_BIN_EXE_pfx-connector"))
        .args(args)
        .output()
        .unwrap();
    Ran {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn log_of(engine: &Engine) -> String {
    let folder = engine.path().join("audit");
    std::fs::read_to_string(folder.join("00000001.receipts")).unwrap()
}

fn stop(engine: &mut Engine) {
    engine.signal(Signal::TERM);
    assert!(engine.wait().success(), "{}", engine.log());
}

async fn release(
    client: &EngineClient,
    approvals: Vec<ApprovalFile>,
) -> Result<(), (FailureCode, String)> {
    let request = OracleRequest::Release {
        release: Release::Caller { caller: Some(7) },
        approvals,
    };
    match client.oracle(request, DEADLINE).await {
        Ok(_) => Ok(()),
        Err(RecryptError::Failed(failure)) => Err((failure.code, failure.message)),
        Err(error) => panic!("{error}"),
    }
}

/// `key destroy` of this key, which is its last copy.
fn destroy(config: &Path, fingerprint: &str, more: &[&str]) -> Ran {
    let usual = [
        "key",
        "destroy",
        "--config",
        text(config),
        "--fingerprint",
        fingerprint,
        "--last-copy",
        "--json",
    ];
    run(&[&usual[..], more].concat())
}

#[tokio::test]
async fn a_key_is_destroyed_with_two_approvals_and_not_with_fewer() {
    let workshop = Workshop::new();
    let authority = workshop.authority("Devices", KeyAlgorithm::P256);
    let token = SoftHsm::new();
    let approvers = Approvers::new();
    let engine = approvers.begun(&token, &authority).await;
    let client = engine.ready_client().await;
    let config = engine.path().join("config.toml");
    let fingerprint = token.fingerprint();
    let destroy = |more: &[&str]| destroy(&config, &fingerprint, more);
    let first = destroy(&[]).json();
    assert_eq!(first["approvalsRequired"], 2);
    let code = first["confirm"].as_str().unwrap();
    let serial = first["token"]["serial"].as_str().unwrap();

    let request = approvers.path("destroy.request");
    let asked = run(&[
        "approve",
        "destroy-key",
        "--fingerprint",
        &fingerprint,
        "--token-serial",
        serial,
        "--last-copy",
        "--note",
        "the key was replaced",
        "--out",
        text(&request),
        "--json",
    ]);
    asked.json();
    let (one, two) = (approvers.path("one"), approvers.path("two"));
    approvers.sign(&request, "ada", &one);
    approvers.sign(&request, "cyd", &two);
    let shown = run(&["approve", "show", text(&request), text(&one)]);
    assert!(shown.out.contains("LAST COPY"), "{}", shown.out);
    assert!(shown.out.contains("the key was replaced"), "{}", shown.out);

    for approvals in [
        vec![],
        vec!["--approval", text(&one)],
        // The same one twice is one.
        vec!["--approval", text(&one), "--approval", text(&one)],
    ] {
        let refused = destroy(&[&["--confirm", code][..], &approvals].concat());
        assert_eq!(refused.error()["code"], "approval_missing", "{approvals:?}");
    }
    let device = authority.device("phone", KeyAlgorithm::P256).der();
    client
        .recrypt(engine.request("still", &token, device), DEADLINE)
        .await
        .expect("the key is still there");
    assert!(!log_of(&engine).contains("\"event\":\"approved\""));

    let both = [
        "--confirm",
        code,
        "--approval",
        text(&one),
        "--approval",
        text(&two),
    ];
    let done = destroy(&both).json();
    assert_eq!(done["destroyed"], true);
    let transcript = done["transcript"].to_string();
    assert!(
        transcript.contains("ada") && transcript.contains("cyd"),
        "{transcript}"
    );
    let log = log_of(&engine);
    let approved = log
        .lines()
        .find(|line| line.contains("\"event\":\"approved\""))
        .unwrap();
    assert!(approved.contains("\"verb\":\"keyDestroy\""), "{approved}");
    let gone = destroy(&both);
    assert_eq!(gone.error()["code"], "unknown_key", "{}", gone.err);
}

#[tokio::test]
async fn without_a_running_engine_no_key_is_destroyed_where_approvals_are_required() {
    let workshop = Workshop::new();
    let authority = workshop.authority("Devices", KeyAlgorithm::P256);
    let token = SoftHsm::new();
    let approvers = Approvers::new();
    let engine = Engine::prepare(&token, &authority, &approvers.options());
    let config = engine.path().join("config.toml");
    let fingerprint = token.fingerprint();
    let first = destroy(&config, &fingerprint, &[]).json();
    let code = first["confirm"].as_str().unwrap();
    let refused = destroy(&config, &fingerprint, &["--confirm", code]);
    assert_eq!(refused.error()["code"], "engine_unavailable");
    assert_eq!(
        destroy(&config, &fingerprint, &[]).json()["destroyed"],
        false,
        "it is still there"
    );
}

#[tokio::test]
async fn an_approval_works_once_also_after_a_restart() {
    let workshop = Workshop::new();
    let authority = workshop.authority("Devices", KeyAlgorithm::P256);
    let token = SoftHsm::new();
    let approvers = Approvers::new();
    let mut engine = approvers.begun(&token, &authority).await;
    let client = engine.ready_client().await;
    let about = |caller| {
        let release = Release::Caller {
            caller: Some(caller),
        };
        let subject = Subject::OracleRelease { release };
        Statement::new(subject, Timestamp::now(), 60_000, "").unwrap()
    };
    let statement = about(7);
    let files = |who: &[usize], statement: &Statement| -> Vec<_> {
        who.iter()
            .map(|who| approvers.file(*who, statement))
            .collect()
    };
    let (code, message) = release(&client, vec![]).await.unwrap_err();
    assert_eq!(code, FailureCode::ApprovalMissing, "{message}");
    let (_, message) = release(&client, files(&[0, 1], &about(8)))
        .await
        .unwrap_err();
    assert!(message.contains("it approves something else"), "{message}");
    release(&client, files(&[0, 1], &statement)).await.unwrap();
    let (_, message) = release(&client, files(&[0, 1], &statement))
        .await
        .unwrap_err();
    assert!(message.contains("it was used already"), "{message}");

    engine.signal(Signal::KILL);
    engine.wait();
    engine.launch();
    let client = engine.ready_client().await;
    let (_, message) = release(&client, files(&[1, 2], &statement))
        .await
        .unwrap_err();
    assert!(message.contains("it was used already"), "{message}");
    release(&client, files(&[1, 2], &about(7))).await.unwrap();
}

#[tokio::test]
async fn leave_is_given_for_the_destruction_of_keys_alone() {
    let workshop = Workshop::new();
    let authority = workshop.authority("Devices", KeyAlgorithm::P256);
    let token = SoftHsm::new();
    let engine = Engine::start(&token, &authority, &Options::default());
    let client = engine.ready_client().await;
    let ask = async |subject| {
        let request = AllowRequest {
            subject,
            approvals: vec![],
        };
        client.allow(request, DEADLINE).await
    };
    let hash = Hash::of(b"key");
    let destroy = Subject::KeyDestroy {
        key: hash,
        token_serial: "1".to_owned(),
        last_copy: false,
    };
    assert!(
        ask(destroy).await.unwrap().approved_by.is_empty(),
        "none are required here"
    );
    let policy = Subject::PolicyChange {
        from: hash,
        to: hash,
    };
    let release = Subject::OracleRelease {
        release: Release::Ciphertext { ciphertext: hash },
    };
    for subject in [policy, release] {
        match ask(subject).await {
            Err(RecryptError::Failed(failure)) => {
                assert_eq!(failure.code, FailureCode::BadRequest);
            }
            other => panic!("{other:?}"),
        }
    }
}

/// Starts the engine, which must refuse to.
fn refused(engine: &mut Engine) -> String {
    let before = engine.log().len();
    engine.launch();
    assert_eq!(engine.wait().code(), Some(2), "{}", engine.log());
    engine.log()[before..].to_owned()
}

#[tokio::test]
async fn a_changed_policy_starts_only_with_the_approvals_of_those_who_could_approve_before() {
    let workshop = Workshop::new();
    let authority = workshop.authority("Devices", KeyAlgorithm::P256);
    let token = SoftHsm::new();
    let approvers = Approvers::new();
    let folder = approvers.path("approvals");
    std::fs::create_dir(&folder).unwrap();
    let mut engine = approvers.begun(&token, &authority).await;
    engine.ready_client().await;
    stop(&mut engine);

    let config = engine.path().join("config.toml");
    let usual = std::fs::read_to_string(&config).unwrap();
    let raised = format!("{usual}\n[engine.oracle]\nimporter_failures_per_hour = 500\n");
    // What is no policy needs nobody.
    let restart = usual.replace("[engine.restart]", "[engine.restart]\nbackoff_ms = 60");
    assert_ne!(restart, usual);
    std::fs::write(&config, &restart).unwrap();
    engine.launch();
    engine.ready_client().await;
    stop(&mut engine);

    // Nor does it help to take the rule away with it.
    let without = raised.replace(&approvers.section(), "");
    assert!(without.len() < raised.len());
    for changed in [&raised, &without] {
        std::fs::write(&config, changed).unwrap();
        let said = refused(&mut engine);
        assert!(said.contains("approve policy"), "{said}");
        assert!(said.contains("5 is RAISED to 500"), "{said}");
    }

    std::fs::write(&config, &raised).unwrap();
    let request = approvers.path("policy.request");
    let usual_words = ["approve", "policy", "--config", text(&config)];
    let shown = run(&usual_words);
    assert!(
        shown
            .out
            .contains("importer_failures_per_hour: 5 is RAISED to 500"),
        "{}\n{}",
        shown.out,
        shown.err
    );
    let asked = run(&[&usual_words[..], &["--out", text(&request), "--json"]].concat()).json();
    assert_eq!(asked["approvalsRequired"], 2);
    let digest = asked["policy"].as_str().unwrap();
    approvers.sign(&request, "ben", &folder.join("ben.approval"));
    let said = refused(&mut engine);
    assert!(
        said.contains("there are 1") && said.contains(digest),
        "{said}"
    );
    let signed = approvers.sign(&request, "cyd", &folder.join("cyd.approval"));
    assert_eq!(signed["changes"][0]["after"], "500");
    engine.launch();
    engine.ready_client().await;
    let log = log_of(&engine);
    let at = |what: &str| log.rfind(what).unwrap_or_else(|| panic!("{what}: {log}"));
    assert!(
        at("\"verb\":\"policyChange\"") < at("\"event\":\"opened\""),
        "approved before it was in force"
    );
    stop(&mut engine);

    // The same policy again needs nobody; the one before does, and the approvals of then are used.
    engine.launch();
    engine.ready_client().await;
    stop(&mut engine);
    std::fs::write(&config, &usual).unwrap();
    let said = refused(&mut engine);
    assert!(said.contains("500 is LOWERED to 5"), "{said}");
    assert!(said.contains("it approves something else"), "{said}");
}

#[tokio::test]
async fn a_log_without_a_past_begins_only_with_approvals_where_approvers_are_named() {
    let workshop = Workshop::new();
    let authority = workshop.authority("Devices", KeyAlgorithm::P256);
    let token = SoftHsm::new();
    let approvers = Approvers::new();
    let folder = approvers.path("approvals");
    std::fs::create_dir(&folder).unwrap();
    let mut engine = approvers.begun(&token, &authority).await;
    engine.ready_client().await;
    stop(&mut engine);

    // Whoever may write to the folder takes the log away, and what was in force with it.
    let log = engine.path().join("audit");
    std::fs::rename(&log, engine.path().join("before")).unwrap();
    let said = refused(&mut engine);
    for part in ["has no past", "approve policy", "put it back"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(refused(&mut engine).contains("has no past"), "and again");

    let config = engine.path().join("config.toml");
    let request = approvers.path("first.request");
    let words = ["approve", "policy", "--config", text(&config)];
    let asked = run(&[&words[..], &["--out", text(&request), "--json"]].concat()).json();
    assert_eq!(asked["approvalsRequired"], 2);
    for name in ["ada", "cyd"] {
        approvers.sign(&request, name, &folder.join(format!("{name}.approval")));
    }
    engine.launch();
    let client = engine.ready_client().await;
    let log = log_of(&engine);
    assert!(log.contains("\"verb\":\"policyChange\""), "{log}");
    let status = client.status().await.unwrap().audit.unwrap();
    let begins = status.begins.unwrap();
    assert_eq!(status.without_past(begins.as_ms()), Some(begins));
}
