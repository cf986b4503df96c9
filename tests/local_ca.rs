//! A local authority from its key to revocation: the real program, its engine with a SoftHSM token in strict FIPS mode without any exception
//! of it, and OpenSSL as everybody else.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

#[path = "support/engine.rs"]
mod engine;
#[path = "support/openssl.rs"]
mod openssl;
#[path = "support/pkilint.rs"]
mod pkilint;
#[path = "support/softhsm.rs"]
mod softhsm;

use engine::{Engine, Options, PATIENCE, crash, part};
use openssl::{KeyAlgorithm, Workshop, text, try_openssl};
use rustix::process::Signal;
use serde_json::Value;
use softhsm::{SoftHsm, TOKEN_LABEL};
use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const ANNA: &str = "/CN=anna@example.com";
const MAIL: &str = "subjectAltName=email:anna@example.com";

/// An authority with its engine.
struct Site {
    engine: Engine,
    shop: Workshop,
    folder: TempDir,
    _token: SoftHsm,
}

impl Site {
    fn new() -> Self {
        Self::with("")
    }

    /// With more keys of the authority.
    fn with(more: &str) -> Self {
        fips::start(fips::policy::Policy::STRICT).unwrap();
        let token = SoftHsm::new();
        let shop = Workshop::new();
        let folder = tempfile::tempdir().unwrap();
        let certificate = folder.path().join("ca.pem");
        let created = Command::new(env!("CARGO_BIN_EXE_pfx-connector"))
            .args(["ca", "create", "--json", "--module"])
            .arg(softhsm::module())
            .args(["--token-label", TOKEN_LABEL, "--pin-file"])
            .arg(token.pin_file())
            .args(["--key-label", "ca-key", "--ocsp-key-label", "ocsp-key"])
            .args(["--kind", "p256", "--subject", "CN=Example CA,O=Example"])
            .args(["--permit-email", "example.com", "--out"])
            .arg(&certificate)
            .env("SOFTHSM2_CONF", token.configuration())
            .output()
            .unwrap();
        assert!(created.status.success(), "{created:?}");
        std::fs::create_dir(folder.path().join("published")).unwrap();
        let devices = shop.authority("devices", KeyAlgorithm::P256);
        let path = |name: &str| folder.path().join(name);
        let socket = path("engine.sock");
        let authorities = format!(
            "[[engine.ca]]\nname = \"issuing\"\nsigning_key = \"ca-key\"\nocsp_key = \"ocsp-key\"\ncertificate = {certificate:?}\n{more}\
             crl_url = \"http://pki.example.com/issuing.crl\"\ndelta_crl_url = \"http://pki.example.com/issuing-delta.crl\"\n\
             ocsp_url = \"http://pki.example.com/ocsp\"\nissuer_url = \"http://pki.example.com/issuing.cer\"\n\
             [[engine.ca.profiles]]\nname = \"mail\"\npurpose = \"smime-signing\"\ndomains = [\"example.com\"]\npolicies = [\"2.23.140.1.5.1.2\"]\n\
             [[engine.ca.profiles]]\nname = \"beneath\"\npurpose = \"subordinate-authority\"\n\
             [[local_ca]]\nname = \"issuing\"\nengine_socket = {socket:?}\ncertificate = {certificate:?}\nfolder = {:?}\npublish = {:?}\n\
             listen = \"127.0.0.1:0\"\nprofile = \"mail\"\n",
            path("store"),
            path("published"),
        );
        let mut engine = Engine::prepare(
            &token,
            &devices,
            &Options {
                fips: Some(String::new()),
                exceptions: vec!["co-located-ca"],
                importers: authorities,
                restart: "backoff_ms = 10\nbackoff_max_ms = 100".to_owned(),
                ..Options::default()
            },
        );
        // The engine's own folder is made by `prepare`: its socket is known only now.
        let config = engine.path().join("config.toml");
        let written = std::fs::read_to_string(&config).unwrap();
        let real = engine.socket();
        let written = written.replace(&format!("{socket:?}"), &format!("{real:?}"));
        std::fs::write(&config, written).unwrap();
        engine.launch();
        let site = Self {
            engine,
            shop,
            folder,
            _token: token,
        };
        wait_for_token(&site);
        site
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn ca(&self) -> PathBuf {
        self.path("ca.pem")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pfx-connector"));
        let (name, rest) = arguments.split_first().unwrap();
        command
            .args(["ca", name, "--json", "--config"])
            .arg(self.engine.path().join("config.toml"))
            .args(rest)
            .stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    fn done(&self, arguments: &[&str]) -> Value {
        let output = self.run(arguments);
        assert!(
            output.status.success(),
            "{arguments:?}: {}\n{}",
            String::from_utf8_lossy(&output.stderr),
            self.engine.log()
        );
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// A request of OpenSSL's (PEM).
    fn csr(&self, subject: &str, names: &str) -> PathBuf {
        let (key, out) = (self.shop.key(KeyAlgorithm::P256), self.shop.fresh(".csr"));
        try_openssl(&[
            "req",
            "-new",
            "-key",
            text(&key),
            "-subj",
            subject,
            "-addext",
            names,
            "-out",
            text(&out),
        ])
        .unwrap();
        out
    }

    fn verify(&self, certificate: &Path) -> Result<(), String> {
        let full = self.shop.fresh(".pem");
        let list = self.path("published/issuing.crl");
        try_openssl(&[
            "crl",
            "-inform",
            "DER",
            "-in",
            text(&list),
            "-out",
            text(&full),
        ])?;
        let arguments = ["verify", "-x509_strict", "-crl_check", "-CAfile"];
        let ca = self.ca();
        try_openssl(
            &[
                &arguments[..],
                &[text(&ca), "-CRLfile", text(&full), text(certificate)],
            ]
            .concat(),
        )
        .map(drop)
    }

    /// Every `caUse` of the log that issued for an order: how often, and how many different certificates.
    fn issued(&self) -> BTreeMap<String, Vec<String>> {
        let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for line in self.receipts() {
            if let Some(certificate) = line["signed"]["certificate"]["certificate"].as_str() {
                let order = line["request"].as_str().unwrap().to_owned();
                found.entry(order).or_default().push(certificate.to_owned());
            }
        }
        found
    }

    fn receipts(&self) -> Vec<Value> {
        let mut lines = Vec::new();
        for file in std::fs::read_dir(self.engine.path().join("audit")).unwrap() {
            let path = file.unwrap().path();
            if path.extension().is_some_and(|end| end == "receipts") {
                let log = std::fs::read_to_string(path).unwrap();
                lines.extend(
                    log.lines()
                        .filter_map(|line| serde_json::from_str(line).ok()),
                );
            }
        }
        lines
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

/// `ca serve`, and where it listens.
struct Serving {
    child: Child,
    address: String,
}

impl Serving {
    fn start(site: &Site) -> Self {
        let log = site.path("serve.log");
        let mut command = site.command(&["serve"]);
        command.stderr(File::create(&log).unwrap());
        // Ended and waited for when it is dropped, also when it never listens.
        let mut serving = Self {
            child: command.spawn().unwrap(),
            address: String::new(),
        };
        let until = Instant::now() + PATIENCE;
        loop {
            let said = std::fs::read_to_string(&log).unwrap();
            let address = said.split("127.0.0.1:").nth(1).map(|rest| {
                let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
                format!("127.0.0.1:{digits}")
            });
            if let Some(address) = address {
                serving.address = address;
                return serving;
            }
            assert!(Instant::now() < until, "{said}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn from_the_key_on_the_token_to_a_revoked_certificate() {
    let site = Site::new();
    let ca = site.ca();
    pkilint::lint("lint_pkix_cert", &[], &ca);
    let request = site.csr(ANNA, MAIL);
    let certificate = site.path("anna.pem");
    let issue = |out: &Path, more: &[&str]| {
        let arguments = ["issue", "--csr", text(&request), "--out", text(out)];
        site.run(&[&arguments[..], more].concat())
    };
    assert!(
        issue(&certificate, &[]).status.success(),
        "{}",
        site.engine.log()
    );
    pkilint::lint("lint_pkix_cert", &[], &certificate);
    pkilint::lint("lint_cabf_smime_cert", &["--detect"], &certificate);
    // The same order again, also for an engine that has just been started.
    crash(custody_pid(&site), Signal::KILL);
    let again = site.path("again.pem");
    wait_for_token(&site);
    assert!(issue(&again, &["--profile", "mail"]).status.success());
    assert_eq!(
        std::fs::read(&again).unwrap(),
        std::fs::read(&certificate).unwrap()
    );

    site.done(&["crl"]);
    site.verify(&certificate).unwrap();
    let serving = Serving::start(&site);
    let url = format!("http://{}/ocsp", serving.address);
    let ask = || {
        let said = try_openssl(&[
            "ocsp",
            "-issuer",
            text(&ca),
            "-cert",
            text(&certificate),
            "-CAfile",
            text(&ca),
            "-url",
            &url,
            "-resp_text",
        ])
        .unwrap();
        String::from_utf8(said).unwrap()
    };
    let said = ask();
    assert!(said.contains(": good") && said.contains("Nonce"), "{said}");

    let revoked = site.done(&[
        "revoke",
        "--certificate",
        text(&certificate),
        "--reason",
        "key-compromise",
    ]);
    assert_eq!(revoked["now"], true);
    let refused = site.verify(&certificate).unwrap_err();
    assert!(refused.contains("certificate revoked"), "{refused}");
    let said = ask();
    assert!(said.contains("Reason: keyCompromise"), "{said}");
    let serial = revoked["serial"].as_str().unwrap();
    assert_eq!(site.done(&["revoke", "--serial", serial])["now"], false);
    let unknown = site.run(&["revoke", "--serial", "0102"]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("issued no certificate"));

    // What is served is what is published.
    let (full, delta) = (
        site.path("published/issuing.crl"),
        site.path("published/issuing-delta.crl"),
    );
    for file in [&full, &delta, &site.path("published/issuing.cer")] {
        let name = file.file_name().unwrap().to_str().unwrap();
        let served = get(&serving.address, &format!("/{name}"));
        assert_eq!(served, std::fs::read(file).unwrap(), "{name}");
    }
    for list in [full, delta] {
        pkilint::lint("lint_crl", &["--type", "CRL", "--profile", "PKIX"], &list);
    }
    let shown = site.done(&["show"]);
    assert_eq!(
        (&shown["issued"], &shown["revoked"]),
        (&1.into(), &1.into())
    );

    let kinds: Vec<_> = site
        .receipts()
        .iter()
        .filter(|line| line["event"] == "caUse")
        .flat_map(|line| line["signed"].as_object().unwrap().keys().cloned())
        .collect();
    for kind in ["certificate", "responder", "list", "status"] {
        assert!(kinds.iter().any(|found| found == kind), "{kind}: {kinds:?}");
    }
    let status = block_on(async { site.engine.client().await.status().await.unwrap() });
    assert_eq!(status.authorities[0].name, "issuing");
    assert!(status.authorities[0].last_crl > Some(2));
    // The usual exceptions of an engine, and the acknowledgement; none of FIPS mode.
    assert_eq!(status.exceptions, ["co-located-ca"]);
}

fn wait_for_token(site: &Site) {
    block_on(async { drop(site.engine.ready_client().await) });
}

fn custody_pid(site: &Site) -> u32 {
    let status = block_on(async { site.engine.client().await.status().await.unwrap() });
    part(&status, "custody").pid.unwrap()
}

fn get(address: &str, path: &str) -> Vec<u8> {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let end = answer
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200 "), "{path}");
    answer.split_off(end + 4)
}

#[test]
fn what_no_profile_allows_is_not_issued_whoever_asks() {
    let site = Site::new();
    for (subject, names, profile, expected) in [
        (
            ANNA,
            "subjectAltName=email:anna@elsewhere.example",
            "mail",
            "none of the domains",
        ),
        ("/O=Example", MAIL, "mail", "2.5.4.10"),
        (ANNA, MAIL, "tls", "no profile of this name"),
        (
            "/CN=Another CA",
            "keyUsage=keyCertSign",
            "beneath",
            "path length",
        ),
    ] {
        let request = site.csr(subject, names);
        let out = site.path("refused.pem");
        let refused = site.run(&[
            "issue",
            "--csr",
            text(&request),
            "--profile",
            profile,
            "--out",
            text(&out),
        ]);
        let said = String::from_utf8_lossy(&refused.stderr);
        assert!(said.contains(expected), "{subject} {names}: {said}");
        assert!(!out.exists());
    }
    assert!(site.issued().is_empty());
}

#[test]
fn each_order_gets_one_certificate_though_command_and_custody_are_killed_at_any_moment() {
    let site = Site::new();
    let orders = 10_u32;
    let requests: Vec<_> = (0..orders).map(|_| site.csr(ANNA, MAIL)).collect();
    let arguments = |number: usize, out: &Path| {
        let order = format!("order-of-the-kill-{number:04}");
        [
            "issue".to_owned(),
            "--csr".to_owned(),
            text(&requests[number]).to_owned(),
            "--order".to_owned(),
            order,
            "--out".to_owned(),
            text(out).to_owned(),
        ]
    };
    for number in 0..requests.len() {
        for attempt in 0..2 {
            let out = site.path(&format!("{number}-{attempt}.killed"));
            let arguments = arguments(number, &out);
            let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
            let mut child = site
                .command(&arguments)
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            // Each time a little later: from before the store is open until after the answer.
            std::thread::sleep(Duration::from_millis(
                u64::try_from(number).unwrap() * 12 + attempt * 5,
            ));
            if number % 3 == 2 && attempt == 1 {
                crash(custody_pid(&site), Signal::KILL);
            }
            let _ = child.kill();
            child.wait().unwrap();
        }
    }
    wait_for_token(&site);
    for number in 0..requests.len() {
        let out = site.path(&format!("{number}.pem"));
        let arguments = arguments(number, &out);
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        site.done(&arguments);
        let more = site.path(&format!("{number}.again.pem"));
        let again = replaced(&arguments, &more);
        site.done(&again.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(std::fs::read(&out).unwrap(), std::fs::read(more).unwrap());
    }
    let issued = site.issued();
    assert_eq!(issued.len(), requests.len());
    for (order, certificates) in issued {
        assert_eq!(certificates.len(), 1, "{order}");
    }
}

/// The same arguments with another output.
fn replaced(arguments: &[&str], out: &Path) -> Vec<String> {
    let mut all: Vec<String> = arguments.iter().map(ToString::to_string).collect();
    *all.last_mut().unwrap() = text(out).to_owned();
    all
}

/// Whoever asks: `ca crl` beside `ca serve`, or two that both believe to be the only one.
#[test]
fn of_lists_that_are_asked_for_at_once_with_one_number_one_is_signed() {
    use pfx_connector::engine::api::{FailureCode, SignCrlRequest};
    use pfx_connector::engine::client::RecryptError;
    let site = Site::new();
    let outcomes: Vec<Result<(), FailureCode>> = block_on(async {
        let mut asking = tokio::task::JoinSet::new();
        for place in 0..8 {
            let client = site.engine.client().await;
            asking.spawn(async move {
                let request = SignCrlRequest {
                    request_id: format!("list-{place}"),
                    ca: "issuing".to_owned(),
                    number: 7,
                    base: None,
                    entries: Vec::new(),
                };
                match client.sign_crl(request, PATIENCE).await {
                    Ok(_) => Ok(()),
                    Err(RecryptError::Failed(failure)) => Err(failure.code),
                    Err(other) => panic!("{other}"),
                }
            });
        }
        asking.join_all().await
    });
    let signed = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    assert_eq!(signed, 1, "{outcomes:?}");
    for outcome in outcomes.iter().filter_map(|outcome| outcome.err()) {
        assert_eq!(outcome, FailureCode::BadRequest);
    }
    // The program's own go on above it.
    assert_eq!(site.done(&["crl"])["number"].as_u64().unwrap(), 9);
    let lists = site.receipts();
    let numbers = lists
        .iter()
        .filter_map(|line| line["signed"]["list"]["number"].as_u64());
    let mut numbers: Vec<u64> = numbers.collect();
    let all = numbers.len();
    numbers.dedup();
    assert_eq!((all, numbers.len()), (3, 3), "{numbers:?}");
}

/// Everybody on the network may ask: what that costs the token and the audit log has an end, and clients that need no nonce are answered all the same.
#[test]
fn the_responder_signs_so_many_answers_in_a_minute_and_gives_kept_ones_above_that() {
    let site = Site::with("ocsp_per_minute = 4\n");
    let (csr, certificate) = (site.csr(ANNA, MAIL), site.path("anna.pem"));
    let issued = site.run(&["issue", "--csr", text(&csr), "--out", text(&certificate)]);
    assert!(issued.status.success(), "{issued:?}");
    let serving = Serving::start(&site);
    let (ca, url) = (site.ca(), format!("http://{}/ocsp", serving.address));
    let ask = |which: &[&str]| {
        let mut arguments = vec!["ocsp", "-issuer", text(&ca)];
        arguments.extend(which);
        arguments.extend(["-CAfile", text(&ca), "-url", &url, "-resp_text"]);
        // A responder that says "try later" is told of there, whatever the exit code.
        let said = Command::new("openssl").args(arguments).output().unwrap();
        String::from_utf8(said.stdout).unwrap()
    };
    let certificate = text(&certificate);
    let known = ["-cert", certificate];
    let first = ask(&known);
    assert!(
        first.contains(": good") && first.contains("Nonce"),
        "{first}"
    );
    // Minutes end while it is asked: whatever they do, it is soon over the pace.
    let over = (0..40).map(|_| ask(&known)).find(|said| {
        assert!(said.contains(": good"), "{said}");
        !said.contains("OCSP Nonce")
    });
    assert!(over.is_some(), "every answer was signed for its nonce");
    let made_up = ["-serial", "0x0102030405"];
    let refused = (0..40).any(|_| ask(&made_up).contains("trylater"));
    assert!(refused, "every serial number was signed for");
    drop(serving);
}
