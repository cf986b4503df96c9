//! Several connectors, a gateway that tells the truth, and an authority: leases end at any step, connectors die at any step, answers are lost
//! at any step. Whatever happens, nothing is ordered twice, and every request ends.
//!
//! Everything is decided by a generator that starts from a number, which a failure names.

use super::bench::{item, policy, terms};
use super::scripted::{Made, Workshop};
use crate::config::WhenUnknown;
use crate::connector::error::{CallError, CallErrorKind};
use crate::connector::journal::JournalError;
use crate::connector::pkcs::authority::Authority;
use crate::connector::pkcs::course::{Course, Kept, resume};
use crate::connector::pkcs::order::{End, Run};
use crate::connector::pkcs::ports::{Keeper, Keys, Later};
use crate::connector::pkcs::progress::{Progress, Step};
use crate::engine::api::{JudgeDeviceRequest, MadeKey, MakeKeyRequest, PackRequest, Packed};
use crate::engine::client::RecryptError;
use crate::gateway::pkcs_api::PkcsWorkItem;
use crate::issuance::IssuancePolicy;
use crate::telemetry::Draft;
use ca::{
    Answer, Capabilities, CertificationAuthority, Enrolment, Error, ErrorClass, Health, Issued,
    Order, Pending, Recovered, Revocation, Revoked,
};
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// Keys that connectors may need for one request.
const KEYS: usize = 12;
/// Leases after which a request counts as stuck.
const LEASES: usize = 300;

/// CSRs, and the certificate of each: OpenSSL is slow, so they are made once.
struct Supply {
    item: PkcsWorkItem,
    policy: IssuancePolicy,
    root: Vec<u8>,
    pairs: Vec<(Vec<u8>, Vec<u8>)>,
}

fn supply() -> &'static Supply {
    static SUPPLY: OnceLock<Supply> = OnceLock::new();
    SUPPLY.get_or_init(|| {
        let workshop = Workshop::new();
        let pairs = (0..KEYS)
            .map(|_| {
                let csr = workshop.csr("/CN=anna", "email:anna@example.com");
                let certificate = workshop.issue(&csr, Made::Well);
                (csr, certificate)
            })
            .collect();
        Supply {
            item: item(&workshop),
            policy: policy(),
            root: workshop.root(),
            pairs,
        }
    })
}

/// What may go wrong.
#[derive(Debug, Clone, Copy)]
pub(super) struct Faults {
    /// Connectors die, journals and the gateway fail, answers are lost; else nothing worse happens than that the authority is away.
    pub(super) losses: bool,
    /// A lease may end while its connector goes on.
    pub(super) late: bool,
}

#[derive(Default)]
struct State {
    random: u64,
    /// Faults to come: then everything works.
    faults: usize,
    now_ms: i64,
    fence: u64,
    /// Whether the lease with that fence is held.
    leased: bool,
    told: Option<Vec<u8>>,
    journals: BTreeMap<usize, Vec<u8>>,
    /// Who made each key.
    makers: Vec<usize>,
    pending: Vec<Vec<u8>>,
    /// Everything that was ever issued.
    issued: Vec<Vec<u8>>,
}

impl State {
    /// A number below `most`.
    fn below(&mut self, most: u64) -> u64 {
        // xorshift64*
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        (self.random.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % most
    }

    fn certificate_of(csr: &[u8]) -> Vec<u8> {
        let pair = supply().pairs.iter().find(|(known, _)| known == csr);
        pair.unwrap().1.clone()
    }
}

/// How a call goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Well,
    /// Nothing happens, and an error comes.
    Fails,
    /// It happens, and its answer is lost.
    Lost,
}

/// One connector at work under one lease, and what it sees of the world.
struct Hands {
    state: Arc<Mutex<State>>,
    connector: usize,
    fence: AtomicU64,
    dead: AtomicBool,
    faults: Faults,
    can: Capabilities,
}

/// The others have their turn.
struct OnceMore(bool);

impl Future for OnceMore {
    type Output = ();
    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.0, true) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

impl Hands {
    /// Something is about to be done, or was: here the connector may die.
    async fn pass(&self) {
        OnceMore(false).await;
        let dies = {
            let mut state = self.state.lock().unwrap();
            let dies = self.faults.losses && state.faults > 0 && state.below(25) == 0;
            state.faults -= usize::from(dies);
            dies
        };
        if dies {
            self.dead.store(true, Ordering::SeqCst);
            std::future::pending::<()>().await;
        }
    }

    fn fate(&self, may_be_lost: bool) -> Fate {
        let mut state = self.state.lock().unwrap();
        if state.faults == 0 {
            return Fate::Well;
        }
        let fate = match state.below(8) {
            0 => Fate::Fails,
            1 if self.faults.losses && may_be_lost => Fate::Lost,
            _ => Fate::Well,
        };
        state.faults -= usize::from(fate != Fate::Well);
        fate
    }

    /// A call with an effect: it may die before and after.
    async fn call<T, E>(
        &self,
        can_fail: bool,
        act: impl FnOnce(&mut State) -> Result<T, E>,
        error: impl Fn(Fate) -> E,
    ) -> Result<T, E> {
        self.pass().await;
        let fate = if can_fail {
            self.fate(true)
        } else {
            Fate::Well
        };
        let answer = match fate {
            Fate::Fails => Err(error(fate)),
            Fate::Well => act(&mut self.state.lock().unwrap()),
            Fate::Lost => act(&mut self.state.lock().unwrap()).and_then(|_| Err(error(fate))),
        };
        self.pass().await;
        answer
    }

    fn holds(&self, state: &State) -> bool {
        state.leased && state.fence == self.fence.load(Ordering::SeqCst)
    }
}

fn engine_away(_: Fate) -> RecryptError {
    RecryptError::Unavailable("gone".to_owned())
}

impl Keys for Hands {
    fn make_key(&self, _: MakeKeyRequest) -> Later<'_, Result<MadeKey, RecryptError>> {
        Box::pin(async move {
            let make = |state: &mut State| {
                let csr = supply().pairs[state.makers.len()].0.clone();
                state.makers.push(self.connector);
                Ok(MadeKey {
                    csr: csr.into(),
                    sealed_key: b"SEALED".to_vec().into(),
                    public_key: String::new(),
                    custody_key: String::new(),
                })
            };
            self.call(true, make, engine_away).await
        })
    }

    fn judge(&self, _: JudgeDeviceRequest) -> Later<'_, Result<(), RecryptError>> {
        Box::pin(self.call(true, |_| Ok(()), engine_away))
    }

    fn pack(&self, request: PackRequest) -> Later<'_, Result<Packed, RecryptError>> {
        Box::pin(async move {
            let wanted = State::certificate_of(request.csr.as_slice());
            assert_eq!(request.certificate.as_slice(), wanted);
            let packed = |_: &mut State| {
                Ok(Packed {
                    encrypted_password: b"PASSWORD".to_vec().into(),
                    encrypted_pfx: b"PFX".to_vec().into(),
                    profile: Vec::new().into(),
                    thumbprint: String::new(),
                    form: "approved".to_owned(),
                    warnings: Vec::new(),
                    chain_certificates: 1,
                    custody_key: String::new(),
                })
            };
            self.call(true, packed, engine_away).await
        })
    }
}

impl Keeper for Hands {
    fn keep<'a>(&'a self, course: &'a Course) -> Later<'a, Result<(), JournalError>> {
        Box::pin(async move {
            let keep = |state: &mut State| {
                state.journals.insert(self.connector, course.to_bytes());
                Ok(())
            };
            self.call(self.faults.losses, keep, |_| JournalError::Closed)
                .await
        })
    }

    fn share<'a>(
        &'a self,
        progress: &'a Progress,
        fence: u64,
        resume: Option<Duration>,
    ) -> Later<'a, Result<(), CallError>> {
        let failed = |kind| CallError {
            kind,
            message: "no".to_owned(),
            tls: None,
            correlation: None,
        };
        Box::pin(async move {
            let share = |state: &mut State| {
                if !state.leased || state.fence != fence {
                    return Err(failed(CallErrorKind::Stale));
                }
                state.told = Some(progress.to_bytes());
                if let Some(wait) = resume {
                    state.leased = false;
                    state.now_ms += i64::try_from(wait.as_millis()).unwrap();
                }
                Ok(())
            };
            self.call(self.faults.losses, share, |_| {
                failed(CallErrorKind::Unavailable)
            })
            .await
        })
    }

    fn fence(&self) -> u64 {
        self.fence.load(Ordering::SeqCst)
    }

    fn is_held(&self) -> bool {
        self.holds(&self.state.lock().unwrap())
    }

    fn tell(&self, _: Draft) -> Later<'_, ()> {
        Box::pin(async {})
    }

    fn now_ms(&self) -> i64 {
        self.state.lock().unwrap().now_ms
    }
}

fn not_answered(fate: Fate) -> Error {
    match fate {
        Fate::Lost => Error::new(ErrorClass::Unknown, "the answer was lost"),
        _ => Error::new(ErrorClass::Unavailable, "it is away"),
    }
}

/// The authority, as one connector reaches it.
struct Asked(Arc<Hands>);

impl Asked {
    fn issue(state: &mut State, csr: &[u8]) -> Enrolment {
        state.pending.retain(|waiting| waiting != csr);
        state.issued.push(csr.to_vec());
        Self::issued(csr)
    }

    fn issued(csr: &[u8]) -> Enrolment {
        Enrolment::Issued(Issued {
            certificate_der: State::certificate_of(csr),
            others: Vec::new(),
        })
    }

    fn waits(csr: &[u8]) -> Enrolment {
        Enrolment::Pending(Pending {
            reference: vec![u8::try_from(place_of(csr)).unwrap()],
            ask_again_in: Duration::from_secs(3600),
        })
    }

    /// How the order for a CSR stands.
    fn standing(state: &mut State, csr: &[u8]) -> Option<Enrolment> {
        if state.pending.iter().any(|waiting| waiting == csr) {
            return Some(match state.below(3) {
                0 => Self::waits(csr),
                _ => Self::issue(state, csr),
            });
        }
        let issued = state.issued.iter().any(|one| one == csr);
        issued.then(|| Self::issued(csr))
    }

    /// An order: here, it shows who orders what.
    fn order(&self, state: &mut State, csr: &[u8]) -> Result<Enrolment, Error> {
        let maker = state.makers[place_of(csr)];
        assert_eq!(maker, self.0.connector, "ordered what another one made");
        if !self.0.faults.late {
            let told = Progress::of_bytes(state.told.as_deref().unwrap()).unwrap();
            assert_ne!(told.step, Step::KeyMade, "the gateway does not know");
            assert_eq!(told.csr.as_slice(), csr, "the gateway knows another one");
        }
        if self.0.can.recovers {
            let mut known = state.issued.iter().chain(&state.pending);
            if known.any(|known| known != csr) {
                return Err(Error::new(ErrorClass::Rejected, "the name is taken"));
            }
            if let Some(standing) = Self::standing(state, csr) {
                return Ok(standing);
            }
        } else if state.pending.iter().any(|waiting| waiting == csr) {
            // The same request once more.
            return Ok(Self::standing(state, csr).unwrap());
        }
        if state.below(3) == 0 {
            state.pending.push(csr.to_vec());
            return Ok(Self::waits(csr));
        }
        Ok(Self::issue(state, csr))
    }
}

fn place_of(csr: &[u8]) -> usize {
    let place = supply().pairs.iter().position(|(known, _)| known == csr);
    place.unwrap()
}

impl CertificationAuthority for Asked {
    fn name(&self) -> &str {
        "company"
    }

    fn capabilities(&self) -> Capabilities {
        self.0.can
    }

    fn enroll<'a>(&'a self, order: &'a Order) -> Answer<'a, Enrolment> {
        let ask = |state: &mut State| self.order(state, &order.csr_der);
        Box::pin(self.0.call(true, ask, not_answered))
    }

    fn poll<'a>(&'a self, order: &'a Order, pending: &'a Pending) -> Answer<'a, Enrolment> {
        let asked = &supply().pairs[usize::from(pending.reference[0])].0;
        let ask = move |state: &mut State| {
            if self.0.can.polls_by_reference {
                return Ok(Self::standing(state, asked).unwrap());
            }
            self.order(state, &order.csr_der)
        };
        Box::pin(self.0.call(true, ask, not_answered))
    }

    fn recover<'a>(&'a self, _: &'a Order, _: Option<&'a Pending>) -> Answer<'a, Recovered> {
        assert!(self.0.can.recovers);
        let ask = |state: &mut State| {
            // It is the name that it goes by, not the request.
            let known = state.issued.last().or(state.pending.last()).cloned();
            let standing = known.and_then(|csr| Self::standing(state, &csr));
            Ok(standing.map_or(Recovered::NeverAsked, Recovered::Known))
        };
        Box::pin(self.0.call(true, ask, not_answered))
    }

    fn revoke<'a>(&'a self, _: &'a Revocation) -> Answer<'a, Revoked> {
        panic!("something was revoked")
    }

    fn chain(&self) -> Answer<'_, Vec<Vec<u8>>> {
        panic!("nobody asks for it")
    }

    fn health(&self) -> Answer<'_, Health> {
        panic!("nobody asks for it")
    }
}

/// A connector that works.
struct Worker {
    hands: Arc<Hands>,
    work: Pin<Box<dyn Future<Output = End>>>,
}

fn start(hands: &Arc<Hands>, when_unknown: WhenUnknown) -> Worker {
    let fence = hands.fence();
    let hands = Arc::clone(hands);
    let at_work = Arc::clone(&hands);
    // All of them are one task of tokio's, which never waits: it would be stopped for that.
    let work = Box::pin(tokio::task::unconstrained(async move {
        let item = PkcsWorkItem {
            fence,
            ..supply().item.clone()
        };
        let (kept, told) = {
            let state = hands.state.lock().unwrap();
            let kept = state.journals.get(&hands.connector);
            let kept = kept.map(|bytes| Kept::of_bytes(bytes).unwrap());
            let told = state.told.as_deref();
            let told = told.map(|bytes| Progress::of_bytes(bytes).unwrap());
            (kept.unwrap_or_default(), told)
        };
        // A breaker of its own for each lease: it goes by the clock on the wall, which does not move here.
        let authority = Authority::new(
            Arc::new(Asked(Arc::clone(&hands))),
            crate::config::AuthorityKind::Cmp,
            terms(supply().root.clone(), when_unknown),
            1,
        );
        Run {
            item: &item,
            policy: &supply().policy,
            authority: &authority,
            keys: &*hands,
            keeper: &*hands,
        }
        .run(resume(kept, told, fence))
        .await
    }));
    Worker {
        hands: at_work,
        work,
    }
}

/// How a request ended, and what was issued for it.
pub(super) struct Outcome {
    pub(super) end: End,
    pub(super) issued: usize,
}

pub(super) fn live(
    seed: u64,
    can: Capabilities,
    when_unknown: WhenUnknown,
    faults: Faults,
) -> Outcome {
    let state = Arc::new(Mutex::new(State {
        random: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1,
        faults: 6,
        now_ms: crate::clock::Clock::now_ms(&crate::clock::SystemClock),
        ..State::default()
    }));
    let connectors = 2 + seed % 2;
    let mut workers: Vec<Worker> = Vec::new();
    let mut leases = 0;
    loop {
        // A lease ends, or a new one begins.
        {
            let mut world = state.lock().unwrap();
            let late = faults.late && world.faults > 0 && world.below(20) == 0;
            if world.leased && late {
                world.faults -= 1;
                world.leased = false;
            }
            let held = workers.iter().any(|one| one.hands.holds(&world));
            if !held {
                leases += 1;
                assert!(leases < LEASES, "{seed}: it is stuck");
                world.fence += 1;
                world.leased = true;
                let connector = usize::try_from(world.below(connectors)).unwrap();
                let fence = world.fence;
                drop(world);
                match workers.iter().find(|one| one.hands.connector == connector) {
                    // It is still at work: it goes on under the new lease.
                    Some(one) => one.hands.fence.store(fence, Ordering::SeqCst),
                    None => {
                        let hands = Arc::new(Hands {
                            state: Arc::clone(&state),
                            connector,
                            fence: fence.into(),
                            dead: false.into(),
                            faults,
                            can,
                        });
                        workers.push(start(&hands, when_unknown));
                    }
                }
            }
        }
        let count = u64::try_from(workers.len()).unwrap();
        let place = usize::try_from(state.lock().unwrap().below(count)).unwrap();
        let worker = &mut workers[place];
        let polled = worker
            .work
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()));
        if worker.hands.dead.load(Ordering::SeqCst) {
            let worker = workers.swap_remove(place);
            let mut world = state.lock().unwrap();
            if worker.hands.holds(&world) {
                world.leased = false;
            }
            continue;
        }
        let Poll::Ready(end) = polled else { continue };
        let worker = workers.swap_remove(place);
        let mut world = state.lock().unwrap();
        if !worker.hands.holds(&world) {
            continue;
        }
        if matches!(end, End::Done(_) | End::Failed { .. }) {
            let issued = world.issued.len();
            return Outcome { end, issued };
        }
        world.leased = false;
        world.now_ms += 60_000;
    }
}
