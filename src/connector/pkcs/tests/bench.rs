//! An order with everything that it needs, and a memory that can fail at any step.

use super::scripted::{Act, Scripted, Workshop};
use crate::config::WhenUnknown;
use crate::connector::error::{CallError, CallErrorKind};
use crate::connector::journal::JournalError;
use crate::connector::pkcs::authority::{Authority, Terms};
use crate::connector::pkcs::order::{End, Run};
use crate::connector::pkcs::ports::{Keeper, Keys, Later};
use crate::connector::pkcs::progress::{Progress, resume};
use crate::engine::api::keys::{AltName, KeyType, KeyUsage};
use crate::engine::api::{
    CmsFormat, Delivery, DeviceTarget, MadeKey, MakeKeyRequest, PackRequest, Packed,
};
use crate::engine::client::RecryptError;
use crate::gateway::pkcs_api::{
    AltNameKind, AltNameTemplate, CertificateType, PkcsProfile, PkcsWorkItem, Variable,
};
use crate::issuance::IssuancePolicy;
use crate::telemetry::Draft;
use ca::CertificationAuthority;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub(super) const DAY_MS: i64 = 86_400_000;

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
            delivery: Delivery::Rewrap,
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
    /// What the engine says against the form of what it packs.
    pub(super) warnings: Vec<String>,
}

impl Bench {
    pub(super) fn new(script: &[Act]) -> Self {
        Self::with(script, true, WhenUnknown::Fail)
    }

    pub(super) fn with(script: &[Act], recovers: bool, when_unknown: WhenUnknown) -> Self {
        let workshop = Arc::new(Workshop::new());
        let scripted = Arc::new(Scripted::new(&workshop, script, recovers));
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
            warnings: Vec::new(),
        }
    }

    /// One lease's work, from what is remembered.
    pub(super) async fn run(&self) -> End {
        let known = resume(
            self.own.lock().unwrap().clone(),
            self.told.lock().unwrap().clone(),
            self.item.fence,
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
                profile: Vec::new().into(),
                thumbprint: String::new(),
                form: "approved".to_owned(),
                warnings: self.warnings.clone(),
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
