//! Revocation with the real processes: gateway, connector and engine, and an authority whose key is on the engine's token. Certificates are asked
//! for more than once, some were never issued, the authority is away in the middle, connector and gateway are killed, both brakes close and are
//! opened; in the end OpenSSL judges the authority's list.
//!
//! `REVOCATIONS=200` revokes more than the usual 40 (`make soak`); `KILLS_SEED=7` chooses other moments.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::cast_possible_truncation,
    dead_code,
    missing_docs
)]

#[path = "../ca/tests/support/authority.rs"]
mod authority;
#[path = "revocations/cmp.rs"]
mod cmp;
#[path = "certificates/company.rs"]
mod company;
#[path = "support/issuance.rs"]
mod issuance;
#[path = "../ca/tests/support/mock.rs"]
mod mock;
#[path = "memory/needles.rs"]
mod needles;
#[path = "support/openssl.rs"]
mod openssl;
#[path = "certificates/partner.rs"]
mod partner;
#[path = "support/power.rs"]
mod power;
#[path = "certificates/site.rs"]
mod site;
#[path = "support/stack.rs"]
mod stack;
#[path = "revocations/way.rs"]
mod way;
#[path = "../ca/tests/support/world.rs"]
mod world;

use ca::{CertificationAuthority, Enrolment, Order};
use der::{Decode, Encode};
use openssl::openssl;
use pfx_connector::ca::local::{LocalCa, Settings};
use pfx_connector::cli::demo::Running;
use pfx_connector::encoding::{Base64Bytes, hex};
use pfx_connector::engine::client::EngineClient;
use pfx_connector::gateway::api::Collection;
use pfx_connector::gateway::revocation_api::{
    AcceptedRevocation, CertificateName, Reason, RevocationRequest, RevocationResult,
    RevocationState, RevocationStatus, RevocationsAccepted,
};
use power::Random;
use site::{Issuing, Setup};
use stack::{block_on, until};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

/// A certificate of the authority.
struct Issued {
    der: Vec<u8>,
    issuer: Vec<u8>,
    serial: Vec<u8>,
}

impl Issued {
    fn of(der: Vec<u8>) -> Self {
        let certificate = x509_cert::Certificate::from_der(&der).unwrap();
        let tbs = certificate.tbs_certificate();
        Self {
            issuer: tbs.issuer().to_der().unwrap(),
            serial: tbs.serial_number().as_bytes().to_vec(),
            der,
        }
    }

    fn by_serial(&self) -> CertificateName {
        CertificateName {
            issuer: Base64Bytes(self.issuer.clone()),
            serial_number: Some(hex(&self.serial)),
            ..CertificateName::default()
        }
    }

    fn by_itself(&self) -> CertificateName {
        CertificateName {
            certificate: Base64Bytes(self.der.clone()),
            ..CertificateName::default()
        }
    }
}

fn name_by_request(id: &str) -> CertificateName {
    CertificateName {
        request_id: Some(id.to_owned()),
        ..CertificateName::default()
    }
}

/// The stack with its processes, each of which can be away.
struct Revoking {
    issuing: Issuing,
    engine: Option<Running>,
    gateway: Option<Running>,
    connector: Option<Running>,
}

impl Revoking {
    /// With these thresholds of the gateway and of the connector.
    fn start(gateway_per_hour: usize, connector_per_hour: usize) -> Self {
        Self::start_with(gateway_per_hour, connector_per_hour, "")
    }

    /// The same with further authorities of the connector.
    fn start_with(gateway_per_hour: usize, connector_per_hour: usize, more: &str) -> Self {
        let mut issuing = Issuing::with(Setup {
            // Strict FIPS mode without any exception.
            fips: "",
            connector: format!(
                "publish = \"crl\"\n[connector.revocation]\nper_hour = {connector_per_hour}\n{more}"
            ),
            ..Setup::default()
        });
        issuing.site.stack.configure_gateway(&format!(
            "[gateway.revocation]\nper_hour = {gateway_per_hour}\nper_token_per_hour = {gateway_per_hour}"
        ));
        let stack = &issuing.site.stack;
        std::fs::create_dir(stack.path("crl")).unwrap();
        let engine = stack.start_engine().unwrap();
        let gateway = stack.start_gateway().unwrap();
        let connector = stack.start_connector(0).unwrap();
        issuing.enrol();
        Self {
            engine: Some(engine),
            gateway: Some(gateway),
            connector: Some(connector),
            issuing,
        }
    }

    fn kill_connector(&mut self) {
        self.connector.take().unwrap().kill();
        self.connector = Some(self.issuing.site.stack.start_connector(0).unwrap());
    }

    fn kill_gateway(&mut self) {
        self.gateway.take().unwrap().kill();
        self.gateway = Some(self.issuing.site.stack.start_gateway().unwrap());
    }

    fn kill_engine(&mut self) {
        self.engine.take().unwrap().kill();
    }

    fn start_engine(&mut self) {
        self.engine = Some(self.issuing.site.stack.start_engine().unwrap());
    }

    fn stop(self) {
        for process in [self.connector, self.gateway, self.engine] {
            process.unwrap().stop().unwrap();
        }
    }

    /// Certificates of the authority, by as many orders at it.
    fn issue(&self, count: usize) -> Vec<Issued> {
        let stack = &self.issuing.site.stack;
        let folder = tempfile::tempdir().unwrap();
        let csr = folder.path().join("csr");
        openssl(&[
            "req",
            "-new",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-keyout",
            "/dev/null",
            "-subj",
            "/CN=anna",
            "-addext",
            "subjectAltName=email:anna@example.com",
            "-outform",
            "DER",
            "-out",
            csr.to_str().unwrap(),
        ]);
        let settings = Settings {
            name: "company".to_owned(),
            folder: stack.path("ca"),
            publish: None,
            chain: pfx_connector::ca::certificates(&stack.path("ca.pem")).unwrap(),
            profile: Some("smime".to_owned()),
        };
        let engine = EngineClient::unconnected(&stack.path("run/engine.sock"));
        let authority = LocalCa::open(settings, engine).unwrap();
        let csr_der = std::fs::read(csr).unwrap();
        block_on(async {
            let mut issued = Vec::new();
            for number in 0..count {
                let order = Order {
                    id: format!("order-of-the-test-{number}"),
                    csr_der: csr_der.clone(),
                    profile: None,
                };
                let Enrolment::Issued(answer) = authority.enroll(&order).await.unwrap() else {
                    panic!("pending");
                };
                issued.push(Issued::of(answer.certificate_der));
            }
            issued
        })
    }

    fn revoke(&self, certificates: Vec<CertificateName>, key: &str) -> Vec<AcceptedRevocation> {
        let request = RevocationRequest {
            certificates,
            reason: Reason::KeyCompromise,
            idempotency_key: Some(key.to_owned()),
        };
        let accepted: RevocationsAccepted =
            self.issuing.post("mdm", "mdm/v1/revocations", &request);
        accepted.revocations
    }

    /// All revocations by their names.
    fn all(&self) -> BTreeMap<String, RevocationStatus> {
        let mut found = BTreeMap::new();
        let mut path = "mdm/v1/revocations".to_owned();
        loop {
            let page: Collection<RevocationStatus> = self.issuing.get("mdm", &path);
            for status in page.value {
                found.insert(status.request_id.clone(), status);
            }
            let Some(next) = page.next_link else {
                return found;
            };
            path = next.split_once("/mdm/").unwrap().1.to_owned();
            path.insert_str(0, "mdm/");
        }
    }

    fn count(&self, state: RevocationState) -> usize {
        let all = self.all();
        all.values().filter(|one| one.state == state).count()
    }

    fn command(&self, arguments: &[&str], config: &Path) -> Output {
        Command::new(self.issuing.site.stack.program())
            .args(arguments)
            .arg("--config")
            .arg(config)
            .output()
            .unwrap()
    }

    fn done(&self, arguments: &[&str], config: &Path) -> serde_json::Value {
        let output = self.command(arguments, config);
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn gateway_config(&self) -> PathBuf {
        self.issuing.site.stack.path("gateway.toml")
    }

    /// OpenSSL judges a certificate with the published list: whether it is revoked.
    fn is_revoked(&self, folder: &Path, certificate: &Issued) -> bool {
        let stack = &self.issuing.site.stack;
        let (list, pem) = (folder.join("list.pem"), folder.join("one.pem"));
        let published = stack.path("crl/company.crl");
        openssl(&[
            "crl",
            "-inform",
            "DER",
            "-in",
            published.to_str().unwrap(),
            "-out",
            list.to_str().unwrap(),
        ]);
        let text =
            der::pem::encode_string("CERTIFICATE", der::pem::LineEnding::LF, &certificate.der);
        std::fs::write(&pem, text.unwrap()).unwrap();
        let ca = stack.path("ca.pem");
        let output = Command::new("openssl")
            .args(["verify", "-crl_check", "-CAfile", ca.to_str().unwrap()])
            .arg("-CRLfile")
            .arg(&list)
            .arg(&pem)
            .output()
            .expect("openssl (scripts/bootstrap.sh)");
        let said = String::from_utf8_lossy(&output.stderr);
        if output.status.success() {
            return false;
        }
        assert!(said.contains("certificate revoked"), "{output:?}");
        true
    }

    /// The serial numbers in the published list, as OpenSSL reads them.
    fn listed(&self) -> BTreeSet<String> {
        let published = self.issuing.site.stack.path("crl/company.crl");
        let text = openssl(&[
            "crl",
            "-inform",
            "DER",
            "-in",
            published.to_str().unwrap(),
            "-noout",
            "-text",
            "-CAfile",
            self.issuing.site.stack.path("ca.pem").to_str().unwrap(),
        ]);
        String::from_utf8(text)
            .unwrap()
            .lines()
            .filter_map(|line| line.trim().strip_prefix("Serial Number: "))
            .map(str::to_lowercase)
            .collect()
    }
}

fn unknown(issuer: &[u8], count: usize) -> Vec<CertificateName> {
    (0..count)
        .map(|number| CertificateName {
            issuer: Base64Bytes(issuer.to_vec()),
            serial_number: Some(format!("7777{number:04x}")),
            ..CertificateName::default()
        })
        .collect()
}

#[test]
fn each_certificate_is_revoked_once_and_told_once_through_kills_an_outage_and_both_brakes() {
    let wanted: usize = std::env::var("REVOCATIONS")
        .ok()
        .map_or(40, |text| text.parse().expect("REVOCATIONS is no number"));
    let seed = std::env::var("KILLS_SEED")
        .map_or(1, |text| text.parse().expect("KILLS_SEED is no number"));
    let mut random = Random::new(seed);
    let never_issued = wanted / 10;
    // The gateway holds a part, and the connector stops before all are done.
    let mut all = Revoking::start(wanted * 3 / 4, wanted - never_issued);
    let issued = all.issue(wanted + 1);
    let (spared, issued) = issued.split_last().unwrap();
    let issuer = issued[0].issuer.clone();

    // Five calls, each with a part of the one before, one way of naming and the other, and each call twice.
    let mut asked: Vec<AcceptedRevocation> = Vec::new();
    let part = wanted / 5;
    for call in 0..5 {
        let first = (call * part).saturating_sub(part / 2);
        let names: Vec<CertificateName> = issued[first..(call + 1) * part]
            .iter()
            .enumerate()
            .map(|(place, one)| match place % 2 {
                0 => one.by_serial(),
                _ => one.by_itself(),
            })
            .collect();
        let key = format!("call-{call}");
        let answer = all.revoke(names.clone(), &key);
        let again = all.revoke(names, &key);
        let ids = |answer: &[AcceptedRevocation]| -> Vec<String> {
            answer.iter().map(|one| one.request_id.clone()).collect()
        };
        assert_eq!(ids(&answer), ids(&again));
        asked.extend(answer);
        match call {
            1 => all.kill_connector(),
            // The authority is away from here on.
            2 => all.kill_engine(),
            3 => all.kill_gateway(),
            _ => std::thread::sleep(Duration::from_millis(random.below(300) as u64)),
        }
    }
    let unknown_asked = all.revoke(unknown(&issuer, never_issued), "unknown");
    let ids: BTreeSet<&str> = asked.iter().map(|one| one.request_id.as_str()).collect();
    assert_eq!(ids.len(), wanted, "duplicates are the same request");
    assert_eq!(all.count(RevocationState::Held), wanted / 4 + never_issued);
    until("no attempt that is tried again", || {
        let seen = all.issuing.site.operational();
        seen.iter().any(|event| event.id == 3052)
    });
    all.kill_connector();

    // An operator of the gateway releases what is held.
    let gateway_config = all.gateway_config();
    let held = all.done(
        &["gateway", "revocations", "list", "--json"],
        &gateway_config,
    );
    assert_eq!(
        held["revocations"].as_array().unwrap().len(),
        wanted / 4 + never_issued
    );
    all.done(
        &["gateway", "revocations", "release", "--all", "--json"],
        &gateway_config,
    );
    assert_eq!(all.count(RevocationState::Held), 0);
    all.start_engine();

    // The connector's own brake: an event, status, and `revocation release`.
    let connector_config = all.issuing.site.stack.connector_config(0);
    for _ in 0..3 {
        std::thread::sleep(Duration::from_millis(random.below(400) as u64));
        match random.below(2) {
            0 => all.kill_connector(),
            _ => all.kill_gateway(),
        }
    }
    all.issuing.site.wait_for_event(3060);
    let settled =
        |all: &Revoking| all.count(RevocationState::Completed) + all.count(RevocationState::Failed);
    until("the brake lets its share through", || {
        settled(&all) == wanted - never_issued
    });
    let waiting = all.all();
    let braked = waiting.values().find(|one| one.last_failure.is_some());
    assert_eq!(
        braked.unwrap().last_failure.as_ref().unwrap().code,
        "revocationBraked"
    );
    // A connector that was killed since shows it when it gives the next one back.
    until("the status does not show the brake", || {
        let status = all.command(&["status", "--json"], &connector_config);
        let code = status.status.code();
        let status: serde_json::Value = serde_json::from_slice(&status.stdout).unwrap();
        status["revocation"]["braked"] == true && code == Some(3)
    });
    let count = (2 * never_issued).to_string();
    let released = all.done(
        &["revocation", "release", "--json", "--count", &count],
        &connector_config,
    );
    assert_eq!(released["released"], 2 * never_issued);

    until("all are settled", || settled(&all) == wanted + never_issued);
    let states = all.all();
    assert_eq!(states.len(), wanted + never_issued);
    for one in &asked {
        let state = &states[&one.request_id];
        assert_eq!(state.state, RevocationState::Completed, "{state:?}");
    }
    for one in &unknown_asked {
        let failure = states[&one.request_id].failure.as_ref().unwrap();
        assert_eq!(failure.code, "unknownCertificate");
    }
    // Each once: in the Admin log, in the authority's store and in its list.
    until("an Admin event for each", || {
        all.issuing.site.count(3000) == wanted && all.issuing.site.count(3001) == never_issued
    });
    let told: BTreeSet<_> = all
        .issuing
        .site
        .admin()
        .into_iter()
        .filter(|event| matches!(event.id, 3000 | 3001))
        .map(|event| event.request_id.unwrap())
        .collect();
    assert_eq!(told.len(), wanted + never_issued);
    let serials: BTreeSet<String> = issued.iter().map(|one| plain(&one.serial)).collect();
    assert_eq!(all.listed(), serials);
    let folder = tempfile::tempdir().unwrap();
    for one in issued {
        assert!(all.is_revoked(folder.path(), one));
    }
    assert!(!all.is_revoked(folder.path(), spared));
    let now = states
        .values()
        .filter(|one| one.result == Some(RevocationResult::Now))
        .count();
    println!(
        "{wanted} certificates revoked, {now} of them at the first answer that arrived; {never_issued} were never issued"
    );
    all.stop();
}

/// A serial number as OpenSSL prints it.
fn plain(serial: &[u8]) -> String {
    match serial {
        [0, rest @ ..] if !rest.is_empty() => hex(rest),
        serial => hex(serial),
    }
}

#[test]
fn a_retired_device_loses_its_certificates() {
    let all = Revoking::start(100, 100);
    let device = all.issuing.device(0);
    let request = all.issuing.ask("anna@example.com", &device, "windows");
    all.issuing.settled(&request);
    let path = format!("mdm/v1/devices/{}/retire", device.id);
    let retired: RevocationsAccepted = all.issuing.post("mdm", &path, &serde_json::json!({}));
    assert_eq!(retired.revocations.len(), 1);
    let by_request = all.revoke(vec![name_by_request(&request)], "by request");
    assert!(by_request[0].duplicate);
    until("it is revoked", || {
        all.count(RevocationState::Completed) == 1
    });
    let event = all.issuing.site.wait_for_event(3000);
    let text = serde_json::to_string(&event).unwrap();
    assert!(
        text.contains(&device.id) && text.contains("CN=Company CA"),
        "{text}"
    );
    assert_eq!(all.listed().len(), 1);
    all.stop();
}
