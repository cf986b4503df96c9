//! Keys for certificates: made by threads of their own, so that an RSA key of 4096 bits, which takes seconds, keeps no re-encryption waiting.
//!
//! ```text
//! a request's thread   bounds -> the CSR's content -> the device, where it is said -> the custody key to seal to -> room in the queue -> it is held
//! a maker's thread     key in the module -> CSR -> wrapping key to the custody key (by the token in strict mode) -> sealed
//!                      -> the log has it durably -> the answer leaves
//! ```
//!
//! What a request can be wrong in is found out before it is queued. The supervisor is told at once that it is held ([`Kind::Held`]): it
//! occupies none of the places of requests that the token works for, and goes to this process' successor should this one die. Nobody has
//! seen anything of the key then, and another one is made. When a thread begins with it the supervisor is told that too ([`Kind::Working`]):
//! a key over whose making processes die is given up as any request is.

use super::pack::{bounded_user, configured};
use super::queue::Job;
use super::refusal::Refusal;
use super::usage::caller;
use super::{Shared, flow, to_custody_key};
use crate::config::IssuanceConfig;
use crate::encoding::Base64Bytes;
use crate::engine::api::keys::{CsrSignature, KeyType, MadeKey, MakeKeyRequest};
use crate::engine::api::{EngineReply, FailureCode, IssuanceStatus};
use crate::engine::ipc::{Frame, Kind};
use crate::engine::recrypt::cms::{self, KeyTransport};
use crate::engine::recrypt::sealed::{Binding, SealError, SealedKey, csr_digest, wrapping_key};
use audit::Hash;
use audit::event::{Caller, Event, KeyMade};
use fips::secret::PrivateKey;
use fips::sign::{KeyKind, SignatureAlgorithm, SigningKey};
use hsm::{KeyInfo, Padding, Terms};
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

mod content;
mod target;

use content::Content;
use target::Targets;

/// A key that is to be made: everything that could be wrong with it has been looked at.
struct Order {
    /// The request's number among the engine's processes.
    id: u64,
    deadline: Instant,
    caller: Caller,
    request_id: String,
    user: String,
    kind: KeyType,
    algorithm: SignatureAlgorithm,
    content: Content,
    target: KeyInfo,
    padding: Padding,
}

#[derive(Default)]
struct Orders {
    waiting: VecDeque<Order>,
    /// What threads are busy with, and since when.
    busy: HashMap<u64, Instant>,
}

/// The orders that wait, and what was made.
#[derive(Default)]
pub(super) struct KeyMaking {
    orders: Mutex<Orders>,
    added: Condvar,
    most_waiting: usize,
    made: AtomicU64,
    shed: AtomicU64,
    pub(super) packed: AtomicU64,
    targets: Targets,
}

impl KeyMaking {
    pub(super) fn new(config: Option<&IssuanceConfig>) -> Self {
        Self {
            most_waiting: config.map_or(0, |config| config.key_queue),
            ..Self::default()
        }
    }

    fn lock(&self) -> MutexGuard<'_, Orders> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, order: Order) -> Result<(), Refusal> {
        let mut orders = self.lock();
        if orders.waiting.len() >= self.most_waiting {
            self.shed.fetch_add(1, Ordering::Relaxed);
            return Err(Refusal::open(
                FailureCode::Busy,
                "key_queue_full",
                "too many keys wait to be made: ask again later (`engine.issuance.key_queue`)"
                    .to_owned(),
            ));
        }
        orders.waiting.push_back(order);
        self.added.notify_one();
        Ok(())
    }

    fn take(&self) -> Order {
        // Of the key before.
        fips::secret::clear_registers();
        let mut orders = self.lock();
        loop {
            if let Some(order) = orders.waiting.pop_front() {
                orders.busy.insert(order.id, Instant::now());
                return order;
            }
            orders = self
                .added
                .wait(orders)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn finished(&self, id: u64) {
        self.lock().busy.remove(&id);
    }

    /// Requests whose keys are being made, each with when that was begun.
    pub(super) fn busy(&self) -> Vec<(u64, Instant)> {
        let orders = self.lock();
        orders
            .busy
            .iter()
            .map(|(id, since)| (*id, *since))
            .collect()
    }

    /// Nothing waits, and nothing is being made.
    pub(super) fn is_idle(&self) -> bool {
        let orders = self.lock();
        orders.busy.is_empty() && orders.waiting.is_empty()
    }

    /// For a report.
    pub(super) fn status(&self) -> IssuanceStatus {
        let (waiting, busy) = {
            let orders = self.lock();
            (orders.waiting.len(), orders.busy.len())
        };
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        IssuanceStatus {
            keys_made: self.made.load(Ordering::Relaxed),
            keys_shed: self.shed.load(Ordering::Relaxed),
            keys_waiting: count(waiting),
            keys_in_making: count(busy),
            packed: self.packed.load(Ordering::Relaxed),
        }
    }
}

/// Takes the request on, or says why not.
pub(super) fn accept(shared: &Shared, job: &Job, request: &MakeKeyRequest) -> Result<(), Refusal> {
    let config = configured(shared)?;
    flow::named(&request.request_id)?;
    bounded_user(&request.user)?;
    let algorithm = algorithm(request.key, request.signature)?;
    let content = Content::prepare(&request.csr)?;
    shared.oracle.book().ready()?;
    let custody = flow::open_tokens(shared, job.deadline)?;
    if let Some(recipient) = &request.recipient {
        let device = flow::admit_device(shared, job, &recipient.device, recipient.format)?;
        let transport = KeyTransport::choose(custody, Some(job.deadline));
        cms::check_policy(recipient.format, &device, transport).map_err(flow::cms_refusal)?;
    }
    let named = request
        .custody_key
        .as_deref()
        .or(config.custody_key.as_deref());
    let target = shared.key_making.targets.find(custody, named)?;
    let padding = to_custody_key::choose_any_padding(custody)?;
    shared.key_making.push(Order {
        id: job.id,
        deadline: job.deadline,
        caller: caller(job),
        request_id: request.request_id.clone(),
        user: request.user.clone(),
        kind: request.key,
        algorithm,
        content,
        target,
        padding,
    })
}

/// Makes keys, for ever.
pub(super) fn work(shared: &Shared) {
    loop {
        let order = shared.key_making.take();
        shared.link.send(Frame::bare(Kind::Working, order.id));
        let outcome = make(shared, &order).map(|made| EngineReply::KeyMade(Box::new(made)));
        let outcome = flow::unless_module_failed(shared, outcome);
        if outcome.is_ok() {
            shared.key_making.made.fetch_add(1, Ordering::Relaxed);
        }
        let frame = flow::frame_of(order.id, &order.request_id, order.caller.uid, outcome);
        shared.link.send(frame);
        shared.key_making.finished(order.id);
    }
}

/// What the supervisor is told of a request that was taken on.
pub(super) fn held(job: &Job) -> Frame {
    Frame::bare(Kind::Held, job.id)
}

fn make(shared: &Shared, order: &Order) -> Result<MadeKey, Refusal> {
    // Nobody waits for it, or soon will not: a key takes long, and another one may be wanted in time.
    if order.deadline <= Instant::now() {
        return Err(Refusal::deadline());
    }
    let module = |error: fips::Error| Refusal::fault("key_not_made", error.to_string());
    let key = SigningKey::generate(kind(order.kind)).map_err(module)?;
    let csr = order.content.sign(&key, order.algorithm)?;
    let private = PrivateKey::new(key.pkcs8_der().map_err(module)?);
    let public = Hash::of(key.spki_der());
    drop(key);
    let sealed = seal(shared, order, &csr, &private)?;
    drop(private);
    let custody_key = order.target.fingerprint;
    shared.oracle.record(
        Event::KeyMade(Box::new(KeyMade {
            request: order.request_id.clone(),
            caller: order.caller.clone(),
            user: order.user.clone(),
            kind: order.kind.name().to_owned(),
            csr: Hash::of(&csr),
            public_key: public,
            sealed: Hash::of(&sealed),
            key: Hash::from_bytes(*custody_key.as_bytes()),
            policy: shared.policy_digest,
        })),
        Some(order.deadline),
    )?;
    Ok(MadeKey {
        csr: Base64Bytes(csr),
        sealed_key: Base64Bytes(sealed),
        public_key: public.to_string(),
        custody_key: custody_key.to_string(),
    })
}

fn seal(
    shared: &Shared,
    order: &Order,
    csr: &[u8],
    private: &PrivateKey,
) -> Result<Vec<u8>, Refusal> {
    let left = order.deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(Refusal::deadline());
    }
    let fault = |error: SealError| Refusal::fault("key_not_sealed", error.to_string());
    let wrapping = wrapping_key().map_err(|error| fault(error.into()))?;
    let custody = flow::open_tokens(shared, order.deadline)?;
    // It may have gone while this waited.
    let target = shared
        .key_making
        .targets
        .named(custody, order.target.fingerprint)?;
    let encrypted = to_custody_key::encrypt(
        custody,
        &target.spki_der,
        order.padding,
        &wrapping,
        Terms::within(left),
    )?;
    let binding = Binding {
        request_id: order.request_id.clone(),
        csr: csr_digest(csr),
        custody_key: order.target.fingerprint,
        padding: order.padding,
    };
    SealedKey::wrap(binding, &wrapping, encrypted, private)
        .and_then(|sealed| sealed.to_der())
        .map_err(fault)
}

fn kind(kind: KeyType) -> KeyKind {
    match kind {
        KeyType::Rsa2048 => KeyKind::Rsa(2048),
        KeyType::Rsa3072 => KeyKind::Rsa(3072),
        KeyType::Rsa4096 => KeyKind::Rsa(4096),
        KeyType::EcP256 => KeyKind::EcP256,
        KeyType::EcP384 => KeyKind::EcP384,
        KeyType::EcP521 => KeyKind::EcP521,
    }
}

fn algorithm(kind: KeyType, signature: CsrSignature) -> Result<SignatureAlgorithm, Refusal> {
    use SignatureAlgorithm as A;
    Ok(match (kind, signature) {
        (KeyType::EcP256, CsrSignature::Usual) => A::EcdsaP256Sha256,
        (KeyType::EcP384, CsrSignature::Usual) => A::EcdsaP384Sha384,
        (KeyType::EcP521, CsrSignature::Usual) => A::EcdsaP521Sha512,
        (KeyType::EcP256 | KeyType::EcP384 | KeyType::EcP521, _) => {
            return Err(Refusal::bad_request(
                "an EC key signs its CSR with ECDSA alone: leave signature out",
            ));
        }
        (_, CsrSignature::Usual) => A::RsaPkcs1Sha256,
        (_, CsrSignature::Pkcs1Sha384) => A::RsaPkcs1Sha384,
        (_, CsrSignature::Pkcs1Sha512) => A::RsaPkcs1Sha512,
        (_, CsrSignature::PssSha256) => A::RsaPssSha256,
        (_, CsrSignature::PssSha384) => A::RsaPssSha384,
        (_, CsrSignature::PssSha512) => A::RsaPssSha512,
    })
}
