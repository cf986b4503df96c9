//! Custody on a PKCS#11 token (OASIS PKCS#11, 2.40 to 3.2).

mod agreement;
mod alone;
mod cache;
mod canary;
mod classify;
mod counters;
mod credentials;
mod decryption;
mod discovery;
mod ec;
mod ec_keys;
mod encryption;
mod evidence;
mod footprint;
mod gate;
mod generate;
mod inspect;
mod key_pair;
mod keys;
mod labels;
mod lanes;
mod life;
mod limiter;
mod login;
mod mechanisms;
mod module;
mod parameters;
mod pkcs1;
mod policy;
mod preload;
mod probe;
mod public_objects;
mod queue;
pub mod quirks;
mod raw;
mod recovery;
mod requests;
mod session;
mod setup;
mod signing;
mod softhsm;
mod turns;
mod worker;

use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use fips::secret::SecretBytes;

pub use agreement::GenerateAgreementKey;
pub use classify::{Actor, Class, Classified, Healing, Level, Retry, classification};
pub use footprint::{Footprint, LibraryKind, footprint};
pub use generate::GenerateKey;
pub use inspect::{Inspection, MechanismInfo, Slot, inspect};
pub use parameters::check_init_parameters;
pub use preload::preload;
pub use setup::{init_token, list_tokens};
pub use signing::GenerateSigningKey;

use crate::clock::{Clock, MonotonicClock};
use crate::custody::{self, Answer, Capabilities, Custody, Health, Operation};
use crate::padding::Padding;
use crate::pin::PinSource;
use crate::public_key::PublicKey;
use crate::token::TokenInfo;
use crate::{Error, KeyFingerprint, KeyInfo, Label, Terms};
use alone::Alone;
use counters::{Counters, Known, count};
use credentials::Credentials;
use evidence::Budget;
use module::Module;
use queue::Queue;
use recovery::Recovery;
use requests::{Bench, Job};
use worker::{Place, Shared, Worker};

/// Most threads, and so sessions, of one custody.
const MAX_THREADS: usize = 64;

/// Requests that wait in each lane, per thread, before a caller has to wait for a place or is told to come later.
const QUEUED_PER_THREAD: usize = 16;

/// Keys that are looked up and probed when custody is opened; others at their first use.
const KEYS_AT_OPEN: usize = 4;

/// The target of the log messages of the cryptoki crate. It logs at the level of errors what is none of ours (a mechanism
/// it does not know, a session that was closed already): a program should filter this target to "off".
pub const CRYPTOKI_LOG_TARGET: &str = "cryptoki";

/// Which token, and how to open it.
#[derive(Clone, Debug)]
pub struct TokenConfig {
    /// Absolute path of the PKCS#11 library. It must belong to root or to the caller and not be writable by group or others.
    pub module: PathBuf,
    /// What the library is told at C_Initialize (`pReserved`): at most 8192 bytes without NUL. NSS softoken needs it, the others
    /// have their configuration elsewhere. All users of one module in one process have to give the same.
    pub init_parameters: Option<String>,
    /// The token's label, if more than one token is there.
    pub token_label: Option<String>,
    /// The token's serial number.
    pub token_serial: Option<String>,
    /// Where the user PIN is read from.
    pub pin: PinSource,
    /// A file that outlives the process, in a folder that only this user writes to: for which state of its source a token refused the
    /// PIN, or what it said was lost, or a process did not survive the attempt. Nothing of the PIN. `None`: each process tries a wrong PIN once.
    pub pin_memory: Option<PathBuf>,
    /// Worker threads, each with one session: 1 to 64. Fewer are opened where the token is known to have fewer
    /// sessions, or its library not to be safe for threads.
    pub threads: usize,
    /// Development switch: keys that are extractable or not sensitive are used as well. They carry
    /// [`KeyInfo::waived`] so that every status can show it.
    pub allow_extractable_keys: bool,
    /// Keys that decrypt records of old imports ([`Padding::Pkcs1`]) as well; each was named by an operator. In strict mode none does.
    pub pkcs1_keys: Vec<KeyFingerprint>,
    /// Who is told of every use of a key for a known ciphertext.
    pub canary_observer: Option<CanaryObserver>,
    /// What deadlines and pauses are measured by.
    pub clock: Arc<dyn Clock>,
}

/// Told of every use of a key for a known ciphertext, canaries and tries alike: the key, and whether it decrypted to what was encrypted. One
/// without its label should not, and is told as not working. Called on the token's thread, so it must return at once.
#[derive(Clone)]
pub struct CanaryObserver(Arc<dyn Fn(KeyFingerprint, bool) + Send + Sync>);

impl CanaryObserver {
    /// One that calls `tell`.
    pub fn new(tell: impl Fn(KeyFingerprint, bool) + Send + Sync + 'static) -> Self {
        Self(Arc::new(tell))
    }

    fn tell(&self, key: KeyFingerprint, is_well: bool) {
        (self.0)(key, is_well);
    }
}

impl std::fmt::Debug for CanaryObserver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CanaryObserver")
    }
}

impl TokenConfig {
    /// The only token of `module`, with one thread, no development switch and the system's clock.
    #[must_use]
    pub fn new(module: PathBuf, pin: PinSource) -> Self {
        Self {
            module,
            init_parameters: None,
            token_label: None,
            token_serial: None,
            pin,
            pin_memory: None,
            threads: 1,
            allow_extractable_keys: false,
            pkcs1_keys: Vec::new(),
            canary_observer: None,
            clock: MonotonicClock::start(),
        }
    }
}

/// Custody of the keys on one PKCS#11 token.
///
/// Dropping it waits for the requests that run, closes the sessions, and finalises the module if nobody else in this process
/// uses it. A module that hangs makes that wait for ever: such a process has to be killed (see [`Health::oldest_call_ms`]).
pub struct Pkcs11Custody {
    queue: Arc<Queue<Job>>,
    bench: Arc<Bench>,
    threads: Vec<JoinHandle<()>>,
    shared: Arc<Shared>,
}

impl Pkcs11Custody {
    /// Opens the token: initialises the module (once per process), logs in, opens one session per thread (one after the
    /// other, stopping at the first failure), and tries what the token can do with its first keys.
    ///
    /// # Errors
    /// [`Error::File`], [`Error::Module`], [`Error::TokenAmbiguous`], [`Error::Pin`], [`Error::Threads`]: for the operator;
    /// trying again without a change is useless, and with a wrong PIN dangerous. [`Error::TokenNotFound`] and
    /// [`Error::Token`]: the token may come back.
    pub fn open(config: TokenConfig) -> Result<Self, Error> {
        let by_module = fips::policy::Service::RsaOaepEncrypt;
        Self::open_with(config, fips::policy::in_force().allows(by_module))
    }

    /// As [`open`](Self::open), but as if the module refused RSA encryption, which it does in FIPS mode: the token makes the
    /// known ciphertexts by which it is probed. For tests of just that.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    #[doc(hidden)]
    pub fn open_probed_by_token(config: TokenConfig) -> Result<Self, Error> {
        Self::open_with(config, false)
    }

    fn open_with(config: TokenConfig, module_may_encrypt: bool) -> Result<Self, Error> {
        if !(1..=MAX_THREADS).contains(&config.threads) {
            return Err(Error::Threads(config.threads));
        }
        let module = Module::acquire(&config.module, config.init_parameters.as_deref())?;
        let place = {
            let _pass = module.enter();
            let (slot, token) = discovery::find(
                &module,
                config.token_label.as_deref(),
                config.token_serial.as_deref(),
            )?;
            Place { slot, token }
        };
        let quirks = quirks::of(&place.token);
        let threads = quirks.threads(config.threads);
        if threads < config.threads {
            tracing::warn!(
                asked = config.threads,
                threads,
                token = quirks.name,
                "the token is not for so many threads; custody works with fewer"
            );
        }
        let alone = if quirks.several_tokens == Some(false) {
            Some(Alone::with(module.path(), &place.token)?)
        } else {
            None
        };
        let shared = Arc::new(Shared {
            quirks,
            _alone: alone,
            place: Mutex::new(place),
            wanted_serial: config.token_serial,
            credentials: Credentials::new(config.pin, config.pin_memory)?,
            allow_extractable: config.allow_extractable_keys,
            module_may_encrypt,
            cache: cache::Cache::default(),
            counters: Counters::new(threads),
            recovery: Recovery::default(),
            numbers: AtomicU64::new(0),
            pkcs1: pkcs1::Named::new(config.pkcs1_keys)?,
            canaries: Budget::new(evidence::CANARIES),
            second_tries: Budget::new(evidence::SECOND_TRIES),
            canary_observer: config.canary_observer,
            clock: config.clock,
            module,
        });
        let mut workers = Vec::with_capacity(threads);
        for opened in 0..threads {
            if opened > 0 {
                let pacing = Duration::from_millis(quirks.session_pacing_ms.into());
                shared.clock.pause(pacing);
            }
            workers.push(Worker::open(Arc::clone(&shared), opened)?);
        }
        if let Some(first) = workers.first_mut() {
            first.inside(|first| {
                let usable: Vec<_> = first
                    .list()?
                    .into_iter()
                    .filter(KeyInfo::is_usable)
                    .map(|key| key.fingerprint)
                    .take(KEYS_AT_OPEN)
                    .collect();
                usable
                    .iter()
                    .try_for_each(|fingerprint| first.load(fingerprint).map(drop))
            })?;
        }
        let mut custody = Self {
            queue: Arc::new(Queue::new(
                threads,
                threads * QUEUED_PER_THREAD,
                Arc::clone(&shared.clock),
            )),
            bench: Arc::new(Bench::new(workers)),
            threads: Vec::with_capacity(threads),
            shared,
        };
        for index in 0..threads {
            let (bench, queue) = (Arc::clone(&custody.bench), Arc::clone(&custody.queue));
            let thread = std::thread::Builder::new()
                .name(format!("hsm-{index}"))
                .spawn(move || requests::serve(&bench, &queue))
                .map_err(|_| Error::Internal("a thread could not be started"))?;
            custody.threads.push(thread);
        }
        Ok(custody)
    }

    /// Generates a custody key: sensitive, not extractable, private, for decryption only, exponent 65537.
    ///
    /// # Errors
    /// [`Error::ModulusBits`], [`Error::LabelInUse`], [`Error::IdInUse`], [`Error::Generation`] if the token refuses,
    /// [`Error::GeneratedKeyRefused`] if it generated something else (which was destroyed), [`Error::Token`].
    pub fn generate(&self, key: &GenerateKey) -> Result<KeyInfo, Error> {
        let request = key.clone();
        self.submit(Operation::Generate, move |worker| {
            // Not tried again: a generation of which nobody knows how far it went must not be repeated.
            let info = generate::generate(worker, &request)?;
            let fingerprint = info.fingerprint;
            worker.with_recovery(None, |worker| worker.load(&fingerprint).map(drop))?;
            Ok(info)
        })
    }

    /// Until when a token in trouble is waited for, by custody's clock. `None`: everything is tried once.
    fn deadline(&self, terms: Terms) -> Option<Duration> {
        let within = terms.within.filter(|_| !terms.elsewhere)?;
        Some(self.shared.clock.now().saturating_add(within))
    }

    /// Hands `action` to a worker and waits for its answer.
    fn submit<T: Send + 'static>(
        &self,
        operation: Operation,
        action: impl FnOnce(&mut Worker) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        self.queue.run(operation, action)
    }

    /// As [`submit`](Self::submit), on these terms: with a deadline it waits for no place, and no longer than that for the answer.
    fn submit_on<T: Send + 'static>(
        &self,
        terms: Terms,
        operation: Operation,
        action: impl FnOnce(&mut Worker) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        if terms.within.is_none() {
            return self.queue.run_in(terms.lane, operation, action);
        }
        custody::wait(terms.within, |answer| {
            self.queue
                .begin(&self.bench, operation, terms, action, answer);
        })
    }
}

/// What a worker does for a decryption.
fn decryption(
    key: &KeyFingerprint,
    padding: Padding,
    label: &Label,
    ciphertext: &[u8],
    deadline: Option<Duration>,
) -> impl FnOnce(&mut Worker) -> Result<SecretBytes, Error> + Send + 'static {
    let (key, label, ciphertext) = (*key, label.clone(), ciphertext.to_vec());
    move |worker| {
        let message = worker.with_recovery(deadline, |worker| {
            worker.decrypt(&key, padding, label.as_bytes(), &ciphertext)
        })?;
        count(&worker.shared().counters.decrypts);
        worker.shared().well();
        Ok(message)
    }
}

impl Custody for Pkcs11Custody {
    fn token(&self) -> TokenInfo {
        self.shared.token()
    }

    fn capabilities(&self) -> Capabilities {
        self.shared.cache.capabilities()
    }

    fn keys(&self) -> Result<Vec<KeyInfo>, Error> {
        self.submit(Operation::ListKeys, |worker| {
            worker.with_recovery(None, Worker::list)
        })
    }

    fn begin_decrypt(
        &self,
        key: &KeyFingerprint,
        padding: Padding,
        label: &Label,
        ciphertext: &[u8],
        terms: Terms,
        answer: Answer,
    ) {
        let action = decryption(key, padding, label, ciphertext, self.deadline(terms));
        self.queue
            .begin(&self.bench, Operation::Decrypt, terms, action, answer);
    }

    /// Without a deadline it waits for a place too.
    fn decrypt_with_label(
        &self,
        key: &KeyFingerprint,
        padding: Padding,
        label: &Label,
        ciphertext: &[u8],
        terms: Terms,
    ) -> Result<SecretBytes, Error> {
        let action = decryption(key, padding, label, ciphertext, self.deadline(terms));
        self.submit_on(terms, Operation::Decrypt, action)
    }

    fn encrypt_with_label(
        &self,
        public_key_spki: &[u8],
        padding: Padding,
        label: &Label,
        plaintext: &SecretBytes,
        terms: Terms,
    ) -> Result<Vec<u8>, Error> {
        if padding == Padding::Pkcs1 {
            return Err(Error::PaddingNotSupported(padding));
        }
        let public = PublicKey::from_spki_der(public_key_spki)?;
        let limit = padding.max_message_len(public.modulus_bits());
        if plaintext.len() > limit {
            return Err(Error::PlaintextTooLong {
                limit,
                actual: plaintext.len(),
            });
        }
        let capabilities = self.capabilities();
        if capabilities != Capabilities::default()
            && !capabilities.encrypt_native.contains(&padding)
        {
            return Err(Error::PaddingNotSupported(padding));
        }
        let label = label.clone();
        let message = SecretBytes::from_slice(plaintext.expose());
        let deadline = self.deadline(terms);
        self.submit_on(terms, Operation::Encrypt, move |worker| {
            let ciphertext = worker.with_recovery(deadline, |worker| {
                worker.encrypt(&public, padding, label.as_bytes(), message.expose())
            })?;
            count(&worker.shared().counters.encrypts);
            worker.shared().well();
            Ok(ciphertext)
        })
    }

    fn health(&self) -> Health {
        let load = self.queue.load();
        let known = Known {
            handles: self.shared.cache.generation(),
            module: self.shared.module.generation(),
            pin_kept: self.shared.credentials.keeps_pin(),
        };
        Health {
            in_flight: u64::try_from(load.running + load.waiting_interactive + load.waiting_batch)
                .unwrap_or(u64::MAX),
            load,
            ..self.shared.counters.health(known)
        }
    }
}

impl Drop for Pkcs11Custody {
    fn drop(&mut self) {
        self.queue.close();
        let own = std::thread::current().id();
        for thread in self.threads.drain(..) {
            if thread.thread().id() == own {
                // The last owner was an answer, given on one of the threads: it ends by itself.
                continue;
            }
            // Its panics are caught; there is nothing to learn from the join.
            let _ = thread.join();
        }
        self.bench.close();
    }
}
