//! Keys that the configuration names by labels: looked for once, and anew when they do not sign. The module between engine and token writes
//! down each search that it is asked for.

use super::client_keys::make_key;
use super::engine::{Engine, Options};
use super::issuance::entries;
use super::openssl::{KeyAlgorithm, Workshop, openssl, text};
use super::requests::DEADLINE;
use super::softhsm::{self, SoftHsm, TOKEN_LABEL};
use audit::Hash;
use audit::event::{CaAct, Event};
use pfx_connector::encoding::Base64Bytes;
use pfx_connector::engine::api::{
    IssueRequest, SerialState, SerialStatus, SignCrlRequest, SignOcspRequest,
};
use pfx_connector::engine::client::EngineClient;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// How often everything is signed: each signature was two searches and more when its key was looked for each time.
const ROUNDS: u64 = 20;

/// How many seals are waited for.
const SEALS: u64 = 4;
const PAUSE: Duration = Duration::from_millis(20);

/// The files of the token's objects.
fn objects(token: &SoftHsm) -> BTreeSet<PathBuf> {
    let files = std::fs::read_dir(token.token_folder()).unwrap();
    files
        .map(|file| file.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "object"))
        .collect()
}

/// A key that is there from now on, and its files.
fn new_key(token: &SoftHsm, label: &str) -> BTreeSet<PathBuf> {
    let before = objects(token);
    make_key(token, label, "p256");
    objects(token).difference(&before).cloned().collect()
}

/// Another key has the label from now on, and the one that had it is gone.
fn replace(token: &SoftHsm, label: &str, files: &BTreeSet<PathBuf>) {
    assert!(!files.is_empty());
    files
        .iter()
        .for_each(|file| std::fs::remove_file(file).unwrap());
    make_key(token, label, "p256");
}

fn authority(token: &SoftHsm, folder: &Path) -> PathBuf {
    let certificate = folder.join("ca.pem");
    let created = Command::new(env!("CARGO_BIN_EXE_pfx-connector"))
        .args(["ca", "create", "--module"])
        .arg(softhsm::module())
        .args(["--token-label", TOKEN_LABEL, "--pin-file"])
        .arg(token.pin_file())
        .args(["--key-label", "ca-key", "--kind", "p256"])
        .args(["--subject", "CN=Example CA", "--out"])
        .arg(&certificate)
        .env("SOFTHSM2_CONF", token.configuration())
        .output()
        .unwrap();
    assert!(created.status.success(), "{created:?}");
    certificate
}

fn csr(workshop: &Workshop) -> Vec<u8> {
    let key = workshop.key(KeyAlgorithm::P256);
    openssl(&[
        "req",
        "-new",
        "-key",
        text(&key),
        "-subj",
        "/CN=Anna",
        "-addext",
        "subjectAltName=email:anna@example.com",
        "-outform",
        "DER",
    ])
}

/// One of each document.
async fn sign_all(client: &EngineClient, csr: &[u8], number: u64) {
    let request = IssueRequest {
        request_id: format!("order-{number:016}"),
        ca: "issuing".to_owned(),
        profile: "mail".to_owned(),
        csr: Base64Bytes(csr.to_vec()),
    };
    client.issue(request, DEADLINE).await.unwrap();
    let request = SignCrlRequest {
        request_id: format!("crl-{number}"),
        ca: "issuing".to_owned(),
        number,
        base: None,
        entries: Vec::new(),
    };
    client.sign_crl(request, DEADLINE).await.unwrap();
    sign_ocsp(client).await;
}

async fn sign_ocsp(client: &EngineClient) {
    let request = SignOcspRequest {
        request_id: "ocsp".to_owned(),
        ca: "issuing".to_owned(),
        statuses: vec![SerialStatus {
            serial: Base64Bytes(vec![1]),
            by_sha256: true,
            state: SerialState::Good,
        }],
        nonce: None,
    };
    client.sign_ocsp(request, DEADLINE).await.unwrap();
}

/// The keys that signed OCSP answers, by the log.
fn responders(engine: &Engine) -> Vec<Hash> {
    let signed = entries(engine)
        .into_iter()
        .filter_map(|entry| match entry.event {
            Event::CaUse(used) if matches!(used.signed, CaAct::Status { .. }) => Some(used.key),
            _ => None,
        });
    signed.collect()
}

/// The key of the last seal, once everything before it is sealed, by the log: a status would have all keys listed.
async fn sealed_by(engine: &Engine) -> Hash {
    let begun = Instant::now();
    loop {
        if let Some(Event::Seal(seal)) = entries(engine).pop().map(|entry| entry.event) {
            return seal.key;
        }
        assert!(begun.elapsed() < DEADLINE, "no seal: {}", engine.log());
        tokio::time::sleep(PAUSE).await;
    }
}

#[tokio::test]
async fn a_key_is_looked_for_by_its_label_once_and_again_when_another_one_took_its_place() {
    let workshop = Workshop::new();
    let devices = workshop.authority("Devices", KeyAlgorithm::P256);
    let token = SoftHsm::new();
    let folder = token.path().join("calls");
    std::fs::create_dir(&folder).unwrap();
    let certificate = authority(&token, token.path());
    let ocsp_key = new_key(&token, "ocsp-key");
    let audit_key = new_key(&token, "audit-key");
    let (script, journal) = (folder.join("script"), folder.join("journal"));
    std::fs::write(&script, "").unwrap();
    let options = Options {
        fips: Some(String::new()),
        exceptions: vec!["co-located-ca"],
        token: Some(format!(
            "[engine.token]\nmodule = {:?}\nlabel = {TOKEN_LABEL:?}\npin_file = {:?}\nthreads = 2\nsandbox_paths = [{folder:?}]\n\
             [engine.token.environment]\nSOFTHSM2_CONF = {:?}\nCHAOS_MODULE = {:?}\nCHAOS_SCRIPT = {script:?}\nCHAOS_JOURNAL = {journal:?}\n\
             CHAOS_CALLS = \"C_FindObjectsInit\"\n",
            softhsm::chaos_module(),
            token.pin_file(),
            token.configuration(),
            softhsm::module(),
        )),
        importers: format!(
            "[[engine.ca]]\nname = \"issuing\"\nsigning_key = \"ca-key\"\nocsp_key = \"ocsp-key\"\ncertificate = {certificate:?}\n\
             [[engine.ca.profiles]]\nname = \"mail\"\npurpose = \"smime-signing\"\ndomains = [\"example.com\"]\n"
        ),
        ..Options::default()
    };
    let mut engine = Engine::prepare(&token, &devices, &options);
    let config = engine.path().join("config.toml");
    let lines = std::fs::read_to_string(&config).unwrap();
    let lines = lines
        .lines()
        .map(|line| match line.starts_with("signing_key_file =") {
            true => "signing_key = \"audit-key\"",
            false => line,
        });
    std::fs::write(&config, lines.collect::<Vec<_>>().join("\n")).unwrap();
    engine.launch();
    let client = engine.ready_client().await;
    let csr = csr(&workshop);
    let searches = || {
        let journal = std::fs::read_to_string(&journal).unwrap();
        let calls = journal
            .lines()
            .filter(|line| *line == "call C_FindObjectsInit");
        u64::try_from(calls.count()).unwrap()
    };

    sign_all(&client, &csr, 1).await;
    let sealing = sealed_by(&engine).await;
    let before = searches();
    assert!(before > 0, "the module tells nothing");
    for number in 2..ROUNDS + 2 {
        sign_all(&client, &csr, number).await;
    }
    let searched = searches() - before;
    assert!(searched < ROUNDS, "{searched} searches in {ROUNDS} rounds");
    // To look for a key is five searches here: RSA keys, EC keys, and the public half of each of three.
    let before = searches();
    for _ in 0..SEALS {
        sign_ocsp(&client).await;
        assert_eq!(sealed_by(&engine).await, sealing);
    }
    let searched = searches() - before;
    assert!(
        searched < 5 * SEALS,
        "{searched} searches for {SEALS} seals"
    );

    // The responder's key: found out by the very request that needs it.
    let answering = responders(&engine);
    assert!(answering.iter().all(|key| *key == answering[0]));
    replace(&token, "ocsp-key", &ocsp_key);
    sign_ocsp(&client).await;
    assert_ne!(*responders(&engine).last().unwrap(), answering[0]);
    // The audit key: by the next batch.
    replace(&token, "audit-key", &audit_key);
    let begun = Instant::now();
    while sealed_by(&engine).await == sealing {
        sign_ocsp(&client).await;
        assert!(begun.elapsed() < DEADLINE, "{}", engine.log());
    }
}
