//! A small authority of OpenSSL's behind the trait, keys of OpenSSL's, and a memory that can fail at any step.

use crate::config::WhenUnknown;
use crate::connector::error::{CallError, CallErrorKind};
use crate::connector::journal::JournalError;
use crate::connector::pkcs::authority::{Authority, Terms};
use crate::connector::pkcs::order::{End, Run};
use crate::connector::pkcs::ports::{Keeper, Keys, Later};
use crate::connector::pkcs::progress::{Progress, resume};
use crate::engine::api::keys::{AltName, KeyType, KeyUsage};
use crate::engine::api::{CmsFormat, DeviceTarget, MadeKey, MakeKeyRequest, PackRequest, Packed};
use crate::engine::client::RecryptError;
use crate::gateway::pkcs_api::{
    AltNameKind, AltNameTemplate, CertificateType, PkcsProfile, PkcsWorkItem, Variable,
};
use crate::issuance::IssuancePolicy;
use crate::telemetry::Draft;
use ca::{
    Answer, Capabilities, CertificationAuthority, Enrolment, Error, ErrorClass, Health, Issued,
    Order, Pending, Recovered, Revocation, Revoked,
};
use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub(super) const DAY_MS: i64 = 86_400_000;

/// What the authority does at its next call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    /// Issues.
    Issue(Made),
    /// Issues, and the answer is lost.
    IssueAndLose,
    /// The order is lost on its way.
    Lose,
    /// Decides later.
    Pend,
    /// Fails in this way.
    Fail(ErrorClass),
}

/// How what it issues is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Made {
    Well,
    ForAnotherKey,
    WithMoreNames,
    WithoutNames,
    WithAnotherSubject,
    WithSha1,
    ByStrangers,
    ForLogon,
    ForAnything,
    AsAnAuthority,
    ForTenYears,
    OtherKeyUsage,
}

fn openssl(arguments: &[&str]) -> Vec<u8> {
    let output = Command::new("openssl")
        .args(arguments)
        .output()
        .expect("openssl (scripts/bootstrap.sh)");
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    output.stdout
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A folder with two authorities, one of them a stranger.
pub(super) struct Workshop {
    folder: tempfile::TempDir,
    files: AtomicUsize,
}

impl Workshop {
    fn new() -> Self {
        let workshop = Self {
            folder: tempfile::tempdir().unwrap(),
            files: AtomicUsize::new(0),
        };
        for name in ["root", "stranger"] {
            let (key, certificate) = (workshop.named(name, "key"), workshop.named(name, "pem"));
            openssl(&[
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-nodes",
                "-subj",
                "/CN=Root",
                "-days",
                "3650",
                "-keyout",
                text(&key),
                "-out",
                text(&certificate),
                "-addext",
                "keyUsage=critical,keyCertSign,cRLSign",
            ]);
        }
        workshop
    }

    fn named(&self, name: &str, suffix: &str) -> PathBuf {
        self.folder.path().join(format!("{name}.{suffix}"))
    }

    fn fresh(&self, suffix: &str) -> PathBuf {
        let number = self.files.fetch_add(1, Ordering::SeqCst);
        self.named(&format!("f{number}"), suffix)
    }

    pub(super) fn root(&self) -> Vec<u8> {
        openssl(&[
            "x509",
            "-in",
            text(&self.named("root", "pem")),
            "-outform",
            "DER",
        ])
    }

    /// A CSR for a new key.
    fn csr(&self, subject: &str, alt_names: &str) -> Vec<u8> {
        let (key, out) = (self.fresh("key"), self.fresh("csr"));
        let alt_names = format!("subjectAltName={alt_names}");
        openssl(&[
            "req",
            "-new",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-subj",
            subject,
            "-addext",
            &alt_names,
            "-outform",
            "DER",
            "-keyout",
            text(&key),
            "-out",
            text(&out),
        ]);
        std::fs::read(out).unwrap()
    }

    fn issue(&self, csr: &[u8], made: Made) -> Vec<u8> {
        let own = if made == Made::ForAnotherKey {
            self.csr("/CN=anna", "email:anna@example.com")
        } else {
            csr.to_vec()
        };
        let (request, extensions, out) = (self.fresh("csr"), self.fresh("cnf"), self.fresh("der"));
        std::fs::write(&request, own).unwrap();
        let names = match made {
            Made::WithMoreNames => "email:anna@example.com,email:boss@example.com",
            _ => "email:anna@example.com",
        };
        let usage = match made {
            Made::ForLogon => "extendedKeyUsage=emailProtection,clientAuth",
            Made::ForAnything => "",
            _ => "extendedKeyUsage=emailProtection",
        };
        let key_usage = match made {
            Made::OtherKeyUsage => "keyUsage=critical,keyAgreement",
            _ => "keyUsage=critical,digitalSignature",
        };
        let mut lines = vec![usage, key_usage];
        let names = format!("subjectAltName={names}");
        if made != Made::WithoutNames {
            lines.push(&names);
        }
        if made == Made::AsAnAuthority {
            lines.push("basicConstraints=critical,CA:TRUE");
        }
        std::fs::write(&extensions, lines.join("\n")).unwrap();
        let signer = if made == Made::ByStrangers {
            "stranger"
        } else {
            "root"
        };
        let (certificate, key) = (self.named(signer, "pem"), self.named(signer, "key"));
        let mut arguments = vec![
            "x509",
            "-req",
            "-inform",
            "DER",
            "-in",
            text(&request),
            "-CA",
            text(&certificate),
            "-CAkey",
            text(&key),
            "-extfile",
            text(&extensions),
            "-outform",
            "DER",
            "-out",
            text(&out),
            if made == Made::WithSha1 {
                "-sha1"
            } else {
                "-sha256"
            },
            "-days",
            if made == Made::ForTenYears {
                "3000"
            } else {
                "99"
            },
        ];
        if made == Made::WithAnotherSubject {
            arguments.extend(["-subj", "/CN=boss"]);
        }
        openssl(&arguments);
        std::fs::read(out).unwrap()
    }
}

/// The authority.
pub(super) struct Scripted {
    workshop: Arc<Workshop>,
    script: Mutex<VecDeque<Act>>,
    /// By order: everything that was ever issued for it.
    pub(super) issued: Mutex<BTreeMap<String, Vec<Vec<u8>>>>,
    pending: Mutex<BTreeMap<String, ()>>,
    pub(super) revoked: Mutex<Vec<Revocation>>,
    pub(super) enrolments: AtomicUsize,
    capabilities: Capabilities,
}

impl Scripted {
    fn next(&self) -> Act {
        self.script
            .lock()
            .unwrap()
            .pop_front()
            .unwrap_or(Act::Issue(Made::Well))
    }

    fn do_issue(&self, order: &Order, made: Made) -> Issued {
        let der = self.workshop.issue(&order.csr_der, made);
        self.issued
            .lock()
            .unwrap()
            .entry(order.id.clone())
            .or_default()
            .push(der.clone());
        self.pending.lock().unwrap().remove(&order.id);
        Issued {
            certificate_der: der,
            others: vec![self.workshop.root()],
        }
    }

    fn act(&self, order: &Order) -> Result<Enrolment, Error> {
        match self.next() {
            Act::Issue(made) => Ok(Enrolment::Issued(self.do_issue(order, made))),
            Act::IssueAndLose => {
                self.do_issue(order, Made::Well);
                Err(Error::new(ErrorClass::Unknown, "the answer was lost"))
            }
            Act::Lose => Err(Error::new(ErrorClass::Unknown, "the connection broke")),
            Act::Pend => {
                self.pending.lock().unwrap().insert(order.id.clone(), ());
                Ok(self.waits())
            }
            Act::Fail(class) => Err(Error::new(class, "as the script says")),
        }
    }

    fn waits(&self) -> Enrolment {
        Enrolment::Pending(Pending {
            reference: b"reference".to_vec(),
            ask_again_in: Duration::from_secs(3600),
        })
    }
}

impl CertificationAuthority for Scripted {
    fn name(&self) -> &str {
        "company"
    }

    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    fn enroll<'a>(&'a self, order: &'a Order) -> Answer<'a, Enrolment> {
        Box::pin(async {
            self.enrolments.fetch_add(1, Ordering::SeqCst);
            self.act(order)
        })
    }

    fn poll<'a>(&'a self, order: &'a Order, pending: &'a Pending) -> Answer<'a, Enrolment> {
        Box::pin(async {
            assert_eq!(pending.reference, b"reference");
            self.act(order)
        })
    }

    fn recover<'a>(&'a self, order: &'a Order, _: Option<&'a Pending>) -> Answer<'a, Recovered> {
        Box::pin(async {
            let issued = self.issued.lock().unwrap().get(&order.id).cloned();
            Ok(match issued.and_then(|all| all.last().cloned()) {
                Some(certificate_der) => Recovered::Known(Enrolment::Issued(Issued {
                    certificate_der,
                    others: vec![self.workshop.root()],
                })),
                None if self.pending.lock().unwrap().contains_key(&order.id) => {
                    Recovered::Known(self.waits())
                }
                None => Recovered::NeverAsked,
            })
        })
    }

    fn revoke<'a>(&'a self, revocation: &'a Revocation) -> Answer<'a, Revoked> {
        Box::pin(async {
            self.revoked.lock().unwrap().push(revocation.clone());
            Ok(Revoked::Now)
        })
    }

    fn chain(&self) -> Answer<'_, Vec<Vec<u8>>> {
        Box::pin(async { Ok(vec![self.workshop.root()]) })
    }

    fn health(&self) -> Answer<'_, Health> {
        Box::pin(async {
            Ok(Health {
                may_enroll: None,
                may_revoke: None,
                credential_expires: None,
                note: String::new(),
            })
        })
    }
}

const POLICY: &str = r#"
version = 1
[[rule]]
name = "smime"
ca = ["company"]
profiles = ["smime"]
keys = ["ecP256"]
extended_key_usage = ["emailProtection"]
subject = { CN = ["*"] }
alt_names = { email = ["*@example.com"] }
max_validity_days = 100
"#;

pub(super) fn item() -> PkcsWorkItem {
    PkcsWorkItem {
        request_id: "0123456789-0123456789".to_owned(),
        fence: 1,
        attempt: 1,
        lease_ms: 60_000,
        device_id: "device".to_owned(),
        user_principal_name: "anna@example.com".to_owned(),
        profile_name: "smime".to_owned(),
        profile: PkcsProfile {
            platform: "windows".to_owned(),
            certificate_type: CertificateType::User,
            ca: "company".to_owned(),
            ca_profile: None,
            key: KeyType::EcP256,
            subject: "CN={{UserName}}".to_owned(),
            alt_names: vec![AltNameTemplate {
                kind: AltNameKind::Email,
                value: "{{EmailAddress}}".to_owned(),
            }],
            key_usage: vec![KeyUsage::DigitalSignature],
            extended_key_usage: vec!["1.3.6.1.5.5.7.3.4".to_owned()],
            microsoft_template: None,
            security_identifier: None,
            validity_days: 100,
            renewal_percent: 20,
            format: CmsFormat::Modern,
        },
        variables: vec![
            Variable {
                name: "UserName".to_owned(),
                value: "anna".to_owned(),
            },
            Variable {
                name: "EmailAddress".to_owned(),
                value: "anna@example.com".to_owned(),
            },
        ],
        device: DeviceTarget {
            certificate: b"DEVICE".to_vec().into(),
            intermediates: Vec::new(),
        },
        renews: None,
        progress: Vec::new().into(),
    }
}

/// Everything that an order needs, and what is remembered of it.
pub(super) struct Bench {
    workshop: Arc<Workshop>,
    pub(super) scripted: Arc<Scripted>,
    pub(super) authority: Authority,
    pub(super) policy: IssuancePolicy,
    pub(super) item: PkcsWorkItem,
    clock: AtomicI64,
    own: Mutex<Option<Progress>>,
    told: Mutex<Option<Progress>>,
    pub(super) waits: Mutex<Vec<Duration>>,
    /// Steps until the memory fails, once.
    fail_in: AtomicUsize,
    pub(super) events: Mutex<Vec<u16>>,
    pub(super) keys_made: AtomicUsize,
    pub(super) held: std::sync::atomic::AtomicBool,
    pub(super) engine_answers: Mutex<VecDeque<RecryptError>>,
}

impl Bench {
    pub(super) fn new(script: &[Act]) -> Self {
        Self::with(script, true, WhenUnknown::Fail)
    }

    pub(super) fn with(script: &[Act], recovers: bool, when_unknown: WhenUnknown) -> Self {
        let workshop = Arc::new(Workshop::new());
        let scripted = Arc::new(Scripted {
            workshop: Arc::clone(&workshop),
            script: Mutex::new(script.iter().copied().collect()),
            issued: Mutex::default(),
            pending: Mutex::default(),
            revoked: Mutex::default(),
            enrolments: AtomicUsize::new(0),
            capabilities: Capabilities {
                revokes: true,
                pends: true,
                recovers,
            },
        });
        let terms = Terms {
            roots: vec![workshop.root()],
            intermediates: Vec::new(),
            when_unknown,
            pending: Duration::from_secs(30 * 86_400),
            patience: Duration::from_secs(3 * 86_400),
            pauses: (Duration::from_secs(1), Duration::from_secs(60)),
        };
        let now_ms = crate::clock::Clock::now_ms(&crate::clock::SystemClock);
        Self {
            authority: Authority::new(
                Arc::clone(&scripted) as Arc<dyn CertificationAuthority>,
                terms,
                2,
            ),
            workshop,
            scripted,
            policy: IssuancePolicy::read(POLICY).unwrap(),
            item: item(),
            clock: AtomicI64::new(now_ms),
            own: Mutex::default(),
            told: Mutex::default(),
            waits: Mutex::default(),
            fail_in: AtomicUsize::new(usize::MAX),
            events: Mutex::default(),
            keys_made: AtomicUsize::new(0),
            held: true.into(),
            engine_answers: Mutex::default(),
        }
    }

    /// One lease's work, from what is remembered.
    pub(super) async fn run(&self) -> End {
        let known = resume(
            self.own.lock().unwrap().clone(),
            self.told.lock().unwrap().clone(),
        );
        Run {
            item: &self.item,
            policy: &self.policy,
            authority: &self.authority,
            keys: self,
            keeper: self,
        }
        .run(known)
        .await
    }

    /// The same in another connector, which knows nothing but what the gateway was told.
    pub(super) async fn run_elsewhere(&self) -> End {
        self.own.lock().unwrap().take();
        self.run().await
    }

    /// Works until the request has ended, as often as it waits.
    pub(super) async fn run_to_the_end(&self) -> End {
        for _ in 0..100 {
            match self.run().await {
                End::Waits => {
                    let wait = self.waits.lock().unwrap().last().copied().unwrap();
                    self.pass(i64::try_from(wait.as_millis()).unwrap());
                }
                End::Abandon(_) | End::GiveBack(_) => {}
                end => return end,
            }
        }
        panic!("it never ends");
    }

    pub(super) fn pass(&self, ms: i64) {
        self.clock.fetch_add(ms, Ordering::SeqCst);
    }

    pub(super) fn fail_in(&self, steps: usize) {
        self.fail_in.store(steps, Ordering::SeqCst);
    }

    fn may_step(&self) -> bool {
        let left = self.fail_in.load(Ordering::SeqCst);
        if left == usize::MAX {
            return true;
        }
        self.fail_in
            .store(left.checked_sub(1).unwrap_or(usize::MAX), Ordering::SeqCst);
        left > 0
    }

    /// How many certificates there are for the order.
    pub(super) fn certificates(&self) -> usize {
        let issued = self.scripted.issued.lock().unwrap();
        issued.get(&self.item.request_id).map_or(0, Vec::len)
    }

    pub(super) fn seen(&self, event: u16) -> usize {
        self.events
            .lock()
            .unwrap()
            .iter()
            .filter(|seen| **seen == event)
            .count()
    }
}

impl Keys for Bench {
    fn make_key(&self, request: MakeKeyRequest) -> Later<'_, Result<MadeKey, RecryptError>> {
        Box::pin(async move {
            if let Some(error) = self.engine_answers.lock().unwrap().pop_front() {
                return Err(error);
            }
            self.keys_made.fetch_add(1, Ordering::SeqCst);
            assert_eq!(request.csr.subject, "CN=anna");
            assert_eq!(
                request.csr.alt_names,
                [AltName::Email("anna@example.com".to_owned())]
            );
            Ok(MadeKey {
                csr: self
                    .workshop
                    .csr("/CN=anna", "email:anna@example.com")
                    .into(),
                sealed_key: b"SEALED".to_vec().into(),
                public_key: String::new(),
                custody_key: String::new(),
            })
        })
    }

    fn pack(&self, request: PackRequest) -> Later<'_, Result<Packed, RecryptError>> {
        Box::pin(async move {
            if let Some(error) = self.engine_answers.lock().unwrap().pop_front() {
                return Err(error);
            }
            assert_eq!(request.sealed_key.as_slice(), b"SEALED");
            assert_eq!(request.chain.len(), 1);
            Ok(Packed {
                encrypted_password: b"PASSWORD".to_vec().into(),
                encrypted_pfx: b"PFX".to_vec().into(),
                thumbprint: String::new(),
                form: "approved".to_owned(),
                warnings: Vec::new(),
                chain_certificates: 1,
                custody_key: String::new(),
            })
        })
    }
}

impl Keeper for Bench {
    fn keep<'a>(&'a self, progress: &'a Progress) -> Later<'a, Result<(), JournalError>> {
        Box::pin(async {
            if !self.may_step() {
                return Err(JournalError::Closed);
            }
            *self.own.lock().unwrap() = Progress::of_bytes(&progress.to_bytes());
            Ok(())
        })
    }

    fn share<'a>(
        &'a self,
        progress: &'a Progress,
        resume: Option<Duration>,
    ) -> Later<'a, Result<(), CallError>> {
        Box::pin(async move {
            if !self.may_step() {
                return Err(CallError {
                    kind: CallErrorKind::Unavailable,
                    message: "the gateway is gone".to_owned(),
                    tls: None,
                    correlation: None,
                });
            }
            *self.told.lock().unwrap() = Progress::of_bytes(&progress.to_bytes());
            self.waits.lock().unwrap().extend(resume);
            Ok(())
        })
    }

    fn is_held(&self) -> bool {
        self.held.load(Ordering::SeqCst)
    }

    fn tell(&self, draft: Draft) -> Later<'_, ()> {
        self.events.lock().unwrap().push(draft.kind().id());
        Box::pin(async {})
    }

    fn now_ms(&self) -> i64 {
        self.clock.load(Ordering::SeqCst)
    }
}
