//! A renewal against a gateway that loses answers, refuses and is killed at every point, on a clock that the test moves.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

use super::folder::{Folder, Kept, Order};
use super::renewal::{Then, Trouble, World, due_at_ms, step};
use super::state::IdentityState;
use crate::config::IdentityConfig;
use crate::connector::error::{CallError, CallErrorKind};
use crate::encoding::{Base64Bytes, hex};
use crate::engine::api::SignedClientCsr;
use crate::gateway::enrolment_api::Enrolled;
use fips::ec::Curve;
use fips::sign::{KeyKind, SignatureAlgorithm, SigningKey};
use pki::issue::{
    self, Authority, AuthorityRequest, KeyRule, Profile, Publication, Purpose, SubjectPart,
};
use pki::name::{Lengths, SubjectTemplate};
use pki::template::Values;
use pki::{SignError, Signer, csr};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const DAY_MS: i64 = 86_400_000;
const START_MS: i64 = 1_800_000_000_000;
const NAME: &str = "connector-1";

struct Key(SigningKey);

impl Key {
    fn new() -> Self {
        Self(SigningKey::generate(KeyKind::EcP256).unwrap())
    }
}

impl Signer for Key {
    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::EcdsaP256Sha256
    }

    fn spki_der(&self) -> &[u8] {
        self.0.spki_der()
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        Ok(self.0.sign_with(self.algorithm(), message)?)
    }
}

fn name(text: &str) -> x509_cert::name::Name {
    SubjectTemplate::parse(text)
        .unwrap()
        .fill(&Values::new(), Lengths::Rfc5280)
        .unwrap()
}

fn request(key: &Key, common_name: &str) -> Vec<u8> {
    let wanted = csr::Request {
        subject: name(&format!("CN={common_name}")),
        ..csr::Request::default()
    };
    csr::create(&wanted, key).unwrap()
}

fn at(ms: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(u64::try_from(ms).unwrap())
}

struct Issuer {
    key: Key,
    authority: Authority,
    days: u64,
}

impl Issuer {
    fn new() -> Self {
        fips::start(fips::policy::Policy::STRICT).unwrap();
        let key = Key::new();
        let wanted = AuthorityRequest {
            subject: name("CN=Connectors"),
            path_len: Some(0),
            constraints: None,
        };
        let lasts = Duration::from_secs(3650 * 86_400);
        let serial = issue::new_serial().unwrap();
        let root = issue::root(&wanted, &serial, lasts, at(START_MS - 200 * DAY_MS), &key).unwrap();
        Self {
            authority: Authority::read(&root.der).unwrap(),
            key,
            days: 90,
        }
    }

    fn certify(&self, csr: &[u8], now_ms: i64) -> Vec<u8> {
        let profile = Profile {
            name: "connectors".to_owned(),
            purpose: Purpose::ClientAuthentication,
            validity: Duration::from_secs(self.days * 86_400),
            keys: vec![KeyRule::Ec(Curve::P256)],
            names: Vec::new(),
            domains: Vec::new(),
            subject: vec![SubjectPart::CommonName],
            policies: Vec::new(),
            path_len: 0,
            constraints: None,
        };
        let publication = Publication {
            crl: None,
            delta_crl: None,
            ocsp: None,
            issuer: None,
        };
        let asked = issue::Request::read(csr).unwrap();
        let serial = issue::new_serial().unwrap();
        issue::issue(
            &self.authority,
            &profile,
            &publication,
            &asked,
            &serial,
            at(now_ms),
            &self.key,
        )
        .unwrap()
        .der
    }
}

/// What goes wrong with the n-th call of the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// It is not made.
    Before,
    /// It is made, and whoever made it dies or never hears of it.
    After,
}

/// Makes another certificate than the one that was asked for.
type Twist = fn(&Gateway, &[u8]) -> Vec<u8>;

/// A gateway that takes the old certificate no more from the moment when the new one is used: harsher than the real one.
struct Gateway {
    issuer: Issuer,
    key: Key,
    now_ms: Cell<i64>,
    issued: RefCell<BTreeMap<Vec<u8>, Vec<u8>>>,
    accepted: RefCell<Vec<u8>>,
    /// The certificate that the connector shows.
    shown: RefCell<Vec<u8>>,
    taken: Cell<u32>,
    calls: Cell<usize>,
    fault: Option<(usize, Fault)>,
    /// What the authority issues instead.
    twisted: Option<Twist>,
    pending: Cell<bool>,
}

impl Gateway {
    fn call<T>(&self, effect: impl FnOnce() -> Result<T, CallError>) -> Result<T, CallError> {
        let number = self.calls.get();
        self.calls.set(number + 1);
        let fault = self
            .fault
            .filter(|(at, _)| *at == number)
            .map(|(_, fault)| fault);
        if fault == Some(Fault::Before) {
            return Err(lost());
        }
        let done = effect();
        if fault == Some(Fault::After) {
            Err(lost())
        } else {
            done
        }
    }
}

fn failed(kind: CallErrorKind, message: &str) -> CallError {
    CallError {
        kind,
        message: message.to_owned(),
        tls: None,
        correlation: None,
    }
}

fn lost() -> CallError {
    failed(CallErrorKind::Unavailable, "no answer")
}

impl World for Gateway {
    async fn sign_request(&self) -> Result<SignedClientCsr, String> {
        self.call(|| {
            Ok(SignedClientCsr {
                csr: Base64Bytes(request(&self.key, NAME)),
                public_key: Base64Bytes(self.key.spki_der().to_vec()),
                common_name: NAME.to_owned(),
            })
        })
        .map_err(|error| error.to_string())
    }

    async fn renew(&self, csr: &Base64Bytes) -> Result<Enrolled, CallError> {
        self.call(|| {
            if *self.shown.borrow() != *self.accepted.borrow() {
                return Err(failed(CallErrorKind::Refused, "renewed"));
            }
            if self.pending.get() {
                return Ok(Enrolled {
                    certificate: None,
                    chain: Vec::new(),
                    ask_again_ms: Some(5_000),
                });
            }
            let mut issued = self.issued.borrow_mut();
            let certificate =
                issued
                    .entry(csr.as_slice().to_vec())
                    .or_insert_with(|| match self.twisted {
                        Some(twisted) => twisted(self, csr.as_slice()),
                        None => self.issuer.certify(csr.as_slice(), self.now_ms.get()),
                    });
            Ok(Enrolled {
                certificate: Some(Base64Bytes(certificate.clone())),
                chain: vec![Base64Bytes(
                    self.issuer.authority.certificate_der().to_vec(),
                )],
                ask_again_ms: None,
            })
        })
    }

    async fn try_next(&self, next: &Kept) -> Result<(), CallError> {
        self.call(|| {
            let next = next.chain[0].clone();
            let is_known = self.issued.borrow().values().any(|one| *one == next);
            if !is_known {
                return Err(failed(CallErrorKind::Refused, "unknown"));
            }
            *self.accepted.borrow_mut() = next;
            Ok(())
        })
    }

    async fn take(&self, current: &Kept) {
        *self.shown.borrow_mut() = current.chain[0].clone();
        self.taken.set(self.taken.get() + 1);
    }
}

struct Bench {
    _dir: tempfile::TempDir,
    folder: Folder,
    gateway: Gateway,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = IdentityConfig {
            client_key: "gateway".to_owned(),
            folder: dir.path().join("identity"),
        };
        let folder = Folder::open(&config).unwrap();
        let (issuer, key) = (Issuer::new(), Key::new());
        let first = issuer.certify(&request(&key, NAME), START_MS);
        folder.keep_next(std::slice::from_ref(&first)).unwrap();
        folder.promote().unwrap();
        let gateway = Gateway {
            issuer,
            key,
            now_ms: Cell::new(START_MS),
            issued: RefCell::default(),
            accepted: RefCell::new(first.clone()),
            shown: RefCell::new(first),
            taken: Cell::new(0),
            calls: Cell::new(0),
            fault: None,
            twisted: None,
            pending: Cell::new(false),
        };
        Self {
            _dir: dir,
            folder,
            gateway,
        }
    }

    fn current(&self) -> Kept {
        self.folder.current().unwrap().unwrap()
    }

    fn due(&self) -> i64 {
        due_at_ms(&self.current())
    }

    fn go_to(&self, now_ms: i64) {
        self.gateway.now_ms.set(now_ms);
    }

    async fn step(&self) -> Result<Then, Trouble> {
        // Nothing is remembered but what is on disk: each step begins as after a crash, with the certificate that is there.
        *self.gateway.shown.borrow_mut() = self.current().chain[0].clone();
        step(&self.folder, &self.gateway, self.gateway.now_ms.get()).await
    }

    /// Steps until there is nothing to do.
    async fn settle(&self) -> u32 {
        let mut failures = 0;
        for _ in 0..40 {
            match self.step().await {
                Ok(Then::WaitUntil(_)) => return failures,
                Ok(_) => {}
                Err(_) => failures += 1,
            }
        }
        panic!("no end: {:?}", self.step().await);
    }

    fn assert_renewed_once(&self, before: &Kept, what: &str) {
        let current = self.current();
        assert_ne!(current.facts.digest, before.facts.digest, "{what}");
        assert_eq!(self.gateway.issued.borrow().len(), 1, "{what}: issued once");
        assert_eq!(*self.gateway.accepted.borrow(), current.chain[0], "{what}");
        assert_eq!(self.folder.next().unwrap(), None, "{what}");
        assert_eq!(self.folder.order().unwrap(), None, "{what}");
    }
}

#[tokio::test]
async fn nothing_is_done_before_two_thirds_of_the_life_and_then_it_is_renewed() {
    let bench = Bench::new();
    let (before, due) = (bench.current(), bench.due());
    let life = before.facts.not_after_ms - before.facts.not_before_ms;
    assert!(due >= before.facts.not_before_ms + life / 3 * 2);
    assert!(due <= before.facts.not_before_ms + life / 3 * 2 + life / 30 + 1);
    bench.go_to(due - 1);
    assert_eq!(bench.step().await.unwrap(), Then::WaitUntil(due));
    assert_eq!(bench.gateway.calls.get(), 0);
    bench.go_to(due);
    let mut steps = Vec::new();
    loop {
        let then = bench.step().await.unwrap();
        if matches!(then, Then::WaitUntil(_)) {
            break;
        }
        steps.push(then);
    }
    assert_eq!(steps, [Then::Go, Then::Go, Then::Renewed]);
    bench.assert_renewed_once(&before, "renewed");
    assert_eq!(bench.gateway.taken.get(), 1);
    assert!(bench.due() > due + 50 * DAY_MS);
}

#[tokio::test]
async fn whatever_call_is_lost_before_or_after_its_effect_one_certificate_is_issued_and_used() {
    for number in 0..3 {
        for fault in [Fault::Before, Fault::After] {
            let what = format!("call {number}, {fault:?}");
            let mut bench = Bench::new();
            bench.gateway.fault = Some((number, fault));
            let before = bench.current();
            bench.go_to(bench.due());
            assert_eq!(bench.settle().await, 1, "{what}");
            bench.assert_renewed_once(&before, &what);
        }
    }
}

#[tokio::test]
async fn a_crash_between_the_new_file_and_the_end_of_the_order_leaves_nothing_to_do_twice() {
    let bench = Bench::new();
    let before = bench.current();
    bench.go_to(bench.due());
    bench.settle().await;
    let order = Order::new(
        hex(&before.facts.digest),
        Base64Bytes(request(&bench.gateway.key, NAME)),
        Base64Bytes(bench.gateway.key.spki_der().to_vec()),
        NAME.to_owned(),
    );
    bench.folder.keep_order(&order).unwrap();
    bench.settle().await;
    bench.assert_renewed_once(&before, "left over");
}

#[tokio::test]
async fn an_order_that_waits_is_asked_about_again_and_is_the_same_one() {
    let bench = Bench::new();
    let before = bench.current();
    bench.gateway.pending.set(true);
    bench.go_to(bench.due());
    assert_eq!(bench.step().await.unwrap(), Then::Go);
    let order = bench.folder.order().unwrap();
    for _ in 0..3 {
        let then = bench.step().await.unwrap();
        assert_eq!(then, Then::AskAgain(Duration::from_secs(5)));
        assert_eq!(bench.folder.order().unwrap(), order);
    }
    bench.gateway.pending.set(false);
    bench.settle().await;
    bench.assert_renewed_once(&before, "decided");
}

#[tokio::test]
async fn what_is_not_the_connectors_certificate_is_refused_and_the_old_one_goes_on() {
    let twists: [(&str, Twist); 5] = [
        ("another key", |gateway, _| {
            gateway
                .issuer
                .certify(&request(&Key::new(), NAME), gateway.now_ms.get())
        }),
        ("is for", |gateway, _| {
            gateway
                .issuer
                .certify(&request(&gateway.key, "connector-2"), gateway.now_ms.get())
        }),
        ("expired", |gateway, csr| {
            gateway
                .issuer
                .certify(csr, gateway.now_ms.get() - 91 * DAY_MS)
        }),
        ("malformed", |_, _| b"0\x03\x02\x01\x05".to_vec()),
        // The one that it has: taken, it would be due at once, and again without end.
        ("in use", |gateway, _| gateway.accepted.borrow().clone()),
    ];
    for (because, twist) in twists {
        let mut bench = Bench::new();
        bench.gateway.twisted = Some(twist);
        let before = bench.current();
        bench.go_to(bench.due());
        bench.step().await.unwrap();
        let trouble = bench.step().await.unwrap_err().to_string();
        assert!(trouble.contains(because), "{trouble}");
        assert_eq!(bench.folder.next().unwrap(), None);
        assert_eq!(bench.current(), before);
        assert_eq!(bench.gateway.taken.get(), 0);
    }
}

#[tokio::test]
async fn a_gateway_whose_database_was_put_back_learns_of_the_next_certificate_again() {
    let bench = Bench::new();
    let before = bench.current();
    bench.go_to(bench.due());
    bench.step().await.unwrap();
    bench.step().await.unwrap();
    let forgotten = std::mem::take(&mut *bench.gateway.issued.borrow_mut());
    assert_eq!(forgotten.len(), 1);
    let trouble = bench.step().await.unwrap_err();
    assert!(matches!(trouble, Trouble::NextRefused(_)), "{trouble}");
    bench.settle().await;
    bench.assert_renewed_once(&before, "put back");
}

#[test]
fn a_renewal_that_fails_is_unhealthy_long_before_the_end_and_not_at_once() {
    let bench = Bench::new();
    let current = bench.current();
    let state = IdentityState::default();
    assert_eq!(
        state.reason(current.facts.not_after_ms + 1),
        None,
        "nothing is known"
    );
    state.note(&current.facts, due_at_ms(&current));
    state.trouble("the gateway is away".to_owned());
    assert_eq!(state.reason(bench.due()), None);
    let end = current.facts.not_after_ms;
    let reason = state.reason(end - 14 * DAY_MS).unwrap();
    assert_eq!(reason.code, "identity");
    assert!(reason.message.contains("the gateway is away"), "{reason:?}");
    assert_eq!(state.reason(end - 16 * DAY_MS), None);
    assert!(state.reason(end).unwrap().message.contains("expired"));
}

#[test]
fn the_files_of_strangers_are_refused_by_name() {
    let bench = Bench::new();
    let path = bench.folder.next_path();
    for content in [
        &b"no pem"[..],
        b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    ] {
        std::fs::write(&path, content).unwrap();
        let error = bench.folder.next().unwrap_err().to_string();
        assert!(error.contains("next.pem"), "{error}");
    }
    std::fs::write(&path, vec![b'-'; 300 * 1024]).unwrap();
    assert!(
        bench
            .folder
            .next()
            .unwrap_err()
            .to_string()
            .contains("256 KiB")
    );
}
