//! An order with everything that it needs, and a memory that can fail at any step.

use super::scripted::{Act, KNOWS_ORDERS, Scripted, Workshop};
use crate::config::WhenUnknown;
use crate::connector::error::{CallError, CallErrorKind};
use crate::connector::journal::JournalError;
use crate::connector::pkcs::authority::{Authority, Terms};
use crate::connector::pkcs::course::{Course, Kept, resume};
use crate::connector::pkcs::order::{End, Run};
use crate::connector::pkcs::ports::{Keeper, Keys, Later};
use crate::connector::pkcs::progress::Progress;
use crate::engine::api::keys::{AltName, KeyType, KeyUsage};
use crate::engine::api::{
    CmsFormat, Delivery, DeviceTarget, JudgeDeviceRequest, MadeKey, MakeKeyRequest, PackRequest,
    Packed,
};
use crate::engine::client::RecryptError;
use crate::gateway::pkcs_api::{
    AltNameKind, AltNameTemplate, CertificateType, PkcsProfile, PkcsWorkItem, Variable,
};
use crate::issuance::IssuancePolicy;
use crate::telemetry::Draft;
use ca::{Capabilities, CertificationAuthority};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub(super) const DAY_MS: i64 = 86_400_000;

pub(super) const POLICY: &str = r#"
version = 1
[[rule]]
name = "smime"
ca = ["company"]
profiles = ["smime"]
keys = ["ecP256"]
key_usage = ["digitalSignature"]
extended_key_usage = ["emailProtection"]
subject = { CN = ["*"] }
alt_names = { email = ["*@example.com"] }
max_validity_days = 100
"#;

pub(super) fn item(workshop: &Workshop) -> PkcsWorkItem {
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
            certificate: workshop.root().into(),
            intermediates: Vec::new(),
        },
        renews: None,
        progress: Vec::new().into(),
    }
}

pub(super) fn policy() -> IssuancePolicy {
    IssuancePolicy::read(POLICY).unwrap()
}

pub(super) fn terms(root: Vec<u8>, when_unknown: WhenUnknown) -> Terms {
    Terms {
        roots: vec![root],
        intermediates: Vec::new(),
        when_unknown,
        pending: Duration::from_secs(30 * 86_400),
        patience: Duration::from_secs(3 * 86_400),
        pauses: (Duration::from_secs(1), Duration::from_secs(60)),
    }
}

/// Everything that an order needs, and what is remembered of it.
pub(super) struct Bench {
    pub(super) workshop: Arc<Workshop>,
    pub(super) scripted: Arc<Scripted>,
    pub(super) authority: Authority,
    pub(super) policy: IssuancePolicy,
    pub(super) item: PkcsWorkItem,
    clock: AtomicI64,
    fence: AtomicU64,
    /// The journal.
    pub(super) own: Mutex<Option<Vec<u8>>>,
    /// What the gateway was told.
    pub(super) told: Mutex<Option<Vec<u8>>>,
    pub(super) waits: Mutex<Vec<Duration>>,
    /// Steps until the memory fails, once.
    fail_in: AtomicUsize,
    pub(super) events: Mutex<Vec<u16>>,
    pub(super) keys_made: AtomicUsize,
    pub(super) held: std::sync::atomic::AtomicBool,
    /// While the key is made, another connector has the request, and then this one again.
    pub(super) overtaken: std::sync::atomic::AtomicBool,
    pub(super) engine_answers: Mutex<VecDeque<RecryptError>>,
    /// What the engine says against the device from now on, and how often it was asked.
    pub(super) against_device: Mutex<Option<RecryptError>>,
    pub(super) judged: AtomicUsize,
    /// What the engine says against the form of what it packs.
    pub(super) warnings: Vec<String>,
}

impl Bench {
    pub(super) fn new(script: &[Act]) -> Self {
        Self::with(script, KNOWS_ORDERS, WhenUnknown::Fail)
    }

    pub(super) fn with(
        script: &[Act],
        capabilities: Capabilities,
        when_unknown: WhenUnknown,
    ) -> Self {
        let workshop = Arc::new(Workshop::new());
        let scripted = Arc::new(Scripted::new(&workshop, script, capabilities));
        let terms = terms(workshop.root(), when_unknown);
        let now_ms = crate::clock::Clock::now_ms(&crate::clock::SystemClock);
        Self {
            authority: Authority::new(
                Arc::clone(&scripted) as Arc<dyn CertificationAuthority>,
                crate::config::AuthorityKind::Cmp,
                terms,
                2,
            ),
            item: item(&workshop),
            workshop,
            scripted,
            policy: policy(),
            clock: AtomicI64::new(now_ms),
            fence: AtomicU64::new(0),
            own: Mutex::default(),
            told: Mutex::default(),
            waits: Mutex::default(),
            fail_in: AtomicUsize::new(usize::MAX),
            events: Mutex::default(),
            keys_made: AtomicUsize::new(0),
            held: true.into(),
            overtaken: false.into(),
            engine_answers: Mutex::default(),
            against_device: Mutex::default(),
            judged: AtomicUsize::new(0),
            warnings: Vec::new(),
        }
    }

    /// One lease's work, from what is remembered.
    pub(super) async fn run(&self) -> End {
        let fence = self.fence.fetch_add(1, Ordering::SeqCst) + 1;
        let item = PkcsWorkItem {
            fence,
            ..self.item.clone()
        };
        let kept = self.own.lock().unwrap().as_deref().map(Kept::of_bytes);
        let known = resume(
            kept.map(Option::unwrap).unwrap_or_default(),
            self.told(),
            fence,
        );
        Run {
            item: &item,
            policy: &self.policy,
            authority: &self.authority,
            keys: self,
            keeper: self,
        }
        .run(known)
        .await
    }

    /// What the gateway was told last.
    pub(super) fn told(&self) -> Option<Progress> {
        let told = self.told.lock().unwrap();
        told.as_deref()
            .map(|told| Progress::of_bytes(told).unwrap())
    }

    /// The gateway tells something else.
    pub(super) fn lie(&self, lie: impl FnOnce(&mut Progress)) {
        let mut told = self.told().unwrap();
        lie(&mut told);
        *self.told.lock().unwrap() = Some(told.to_bytes());
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
            if self.overtaken.load(Ordering::SeqCst) {
                self.fence.fetch_add(2, Ordering::SeqCst);
            }
            assert_eq!(request.recipient.unwrap().device, self.item.device);
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

    fn judge(&self, request: JudgeDeviceRequest) -> Later<'_, Result<(), RecryptError>> {
        Box::pin(async move {
            assert_eq!(request.device, self.item.device);
            self.judged.fetch_add(1, Ordering::SeqCst);
            match &*self.against_device.lock().unwrap() {
                Some(error) => Err(error.clone()),
                None => Ok(()),
            }
        })
    }

    fn pack(&self, request: PackRequest) -> Later<'_, Result<Packed, RecryptError>> {
        Box::pin(async move {
            if let Some(error) = self.engine_answers.lock().unwrap().pop_front() {
                return Err(error);
            }
            if let Some(error) = &*self.against_device.lock().unwrap() {
                return Err(error.clone());
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
    fn keep<'a>(&'a self, course: &'a Course) -> Later<'a, Result<(), JournalError>> {
        Box::pin(async {
            if !self.may_step() {
                return Err(JournalError::Closed);
            }
            *self.own.lock().unwrap() = Some(course.to_bytes());
            Ok(())
        })
    }

    fn share<'a>(
        &'a self,
        progress: &'a Progress,
        fence: u64,
        resume: Option<Duration>,
    ) -> Later<'a, Result<(), CallError>> {
        Box::pin(async move {
            let failed = |kind| CallError {
                kind,
                message: "the gateway is gone".to_owned(),
                tls: None,
                correlation: None,
            };
            if !self.may_step() {
                return Err(failed(CallErrorKind::Unavailable));
            }
            if fence != self.fence() {
                return Err(failed(CallErrorKind::Stale));
            }
            *self.told.lock().unwrap() = Some(progress.to_bytes());
            self.waits.lock().unwrap().extend(resume);
            Ok(())
        })
    }

    fn fence(&self) -> u64 {
        self.fence.load(Ordering::SeqCst)
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
