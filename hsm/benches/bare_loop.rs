//! The bare loop: C_DecryptInit and C_Decrypt into a ready buffer, one session per thread, the key's handle found once. With
//! `--encrypt-to` also C_EncryptInit and C_Encrypt of a content key to a device's public key, which is a session object made once: the
//! calls of the engine in strict mode. With `--sign` it is C_SignInit and C_Sign of a digest instead: the signature of an authority.
//!
//! What the token and its module can do at best, with nothing of ours around it: `side_by_side` starts this program and holds
//! the engine against it. It deliberately uses neither this crate's sessions nor its worker threads.
//!
//! Prints one JSON line: operations per second, and the percentiles and processor time of one operation in microseconds.
#![allow(
    clippy::print_stdout,
    reason = "a program whose answer is its standard output"
)]

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::object::{Attribute, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::Slot;
use cryptoki::types::AuthPin;
use cryptoki_sys::{
    CK_FUNCTION_LIST, CK_MECHANISM, CK_RSA_PKCS_OAEP_PARAMS, CK_RV, CK_ULONG, CKG_MGF1_SHA1,
    CKM_ECDSA, CKM_RSA_PKCS_OAEP, CKM_SHA_1, CKR_OK, CKZ_DATA_SPECIFIED,
};
use hsm::public_key::PublicKey;

const USAGE: &str = "bare_loop --module FILE --token-label TEXT --pin-file FILE --key-label TEXT --ciphertext FILE \
                     --threads 1..64 --operations 1..1000000 [--per-second RATE] [--encrypt-to SPKI-FILE]
bare_loop --module FILE --token-label TEXT --pin-file FILE --key-label TEXT --sign ecdsa --threads 1..64 --operations 1..1000000
bare_loop --module FILE --token-label TEXT --pin-file FILE --add-objects 1..10000";
const MAX_THREADS: usize = 64;
const MAX_OPERATIONS: usize = 1_000_000;
const MAX_OBJECTS: usize = 10_000;
/// Length of a content key (AES-256) in bytes.
const CONTENT_KEY_LEN: usize = 32;
/// What an EC key signs: a digest by SHA-256.
const DIGEST: [u8; 32] = [7; 32];
/// Room for a signature by an EC key on P-521.
const MAX_SIGNATURE: usize = 132;
/// Operations of each thread before the clock starts.
const WARM_UP: usize = 20;

type Fallible<T> = Result<T, Box<dyn Error + Send + Sync>>;

struct Options {
    values: BTreeMap<String, String>,
}

impl Options {
    fn parse(arguments: impl Iterator<Item = String>) -> Fallible<Self> {
        let mut arguments = arguments.filter(|argument| argument != "--bench");
        let mut values = BTreeMap::new();
        while let Some(name) = arguments.next() {
            let value = arguments.next().ok_or(USAGE)?;
            values.insert(name, value);
        }
        Ok(Self { values })
    }

    fn text(&self, name: &str) -> Fallible<&str> {
        let value = self.values.get(name);
        value.map(String::as_str).ok_or_else(|| USAGE.into())
    }

    fn number(&self, name: &str, max: usize) -> Fallible<usize> {
        let number: usize = self.text(name)?.parse()?;
        if (1..=max).contains(&number) {
            Ok(number)
        } else {
            Err(USAGE.into())
        }
    }
}

/// The module's table of functions, and what keeps it valid.
#[derive(Clone)]
struct Functions {
    table: CK_FUNCTION_LIST,
    _library: Arc<cryptoki_sys::Pkcs11>,
}

impl Functions {
    fn load(module: &Path) -> Fallible<Self> {
        // SAFETY: libloading, `Library::new`: the library's initialisers run. Whoever starts this program names it as the
        // PKCS#11 module to be measured; cryptoki has loaded the same one already.
        let library = unsafe { cryptoki_sys::Pkcs11::new(module) }?;
        let get = library
            .C_GetFunctionList
            .as_ref()
            .map_err(|error| error.to_string())?;
        let mut table = std::ptr::null_mut();
        // SAFETY: PKCS#11, C_GetFunctionList: takes a pointer to a pointer, which is a live local.
        check(unsafe { get(&raw mut table) }, "C_GetFunctionList")?;
        if table.is_null() {
            return Err("C_GetFunctionList gave no table".into());
        }
        // SAFETY: PKCS#11, C_GetFunctionList: after CKR_OK the pointer leads to a CK_FUNCTION_LIST of the library, valid while
        // it is loaded. It is copied by value, and the library kept beside it.
        let table = unsafe { *table };
        Ok(Self {
            table,
            _library: Arc::new(library),
        })
    }

    /// RSAES-OAEP with SHA-1, which every token does natively.
    fn oaep() -> CK_RSA_PKCS_OAEP_PARAMS {
        CK_RSA_PKCS_OAEP_PARAMS {
            hashAlg: CKM_SHA_1,
            mgf: CKG_MGF1_SHA1,
            source: CKZ_DATA_SPECIFIED,
            pSourceData: std::ptr::null_mut(),
            ulSourceDataLen: 0,
        }
    }

    fn decrypt(
        &self,
        session: &Session,
        key: ObjectHandle,
        ciphertext: &[u8],
        result: &mut [u8],
    ) -> Fallible<usize> {
        let init = self.table.C_DecryptInit.ok_or("C_DecryptInit is missing")?;
        let call = self.table.C_Decrypt.ok_or("C_Decrypt is missing")?;
        let ciphertext_len = CK_ULONG::try_from(ciphertext.len())?;
        let mut result_len = CK_ULONG::try_from(result.len())?;
        let mut parameters = Self::oaep();
        let mut mechanism = CK_MECHANISM {
            mechanism: CKM_RSA_PKCS_OAEP,
            pParameter: std::ptr::from_mut(&mut parameters).cast(),
            ulParameterLen: CK_ULONG::try_from(size_of::<CK_RSA_PKCS_OAEP_PARAMS>())?,
        };
        // SAFETY: PKCS#11, C_DecryptInit: mechanism and parameters are live for the call and not kept beyond it; the session
        // belongs to this thread alone (PKCS#11, section 5.1).
        let rv = unsafe { init(session.handle(), &raw mut mechanism, key.handle()) };
        check(rv, "C_DecryptInit")?;
        // SAFETY: PKCS#11, C_Decrypt: the input is readable for the given length and not written (the pointer lacks const in
        // the binding only); the output is writable for `result_len` bytes, which the library respects; all are live and distinct.
        let rv = unsafe {
            call(
                session.handle(),
                ciphertext.as_ptr().cast_mut(),
                ciphertext_len,
                result.as_mut_ptr(),
                &raw mut result_len,
            )
        };
        check(rv, "C_Decrypt")?;
        Ok(usize::try_from(result_len)?)
    }

    fn encrypt(
        &self,
        session: &Session,
        key: ObjectHandle,
        message: &[u8],
        result: &mut [u8],
    ) -> Fallible<()> {
        let init = self.table.C_EncryptInit.ok_or("C_EncryptInit is missing")?;
        let call = self.table.C_Encrypt.ok_or("C_Encrypt is missing")?;
        let message_len = CK_ULONG::try_from(message.len())?;
        let mut result_len = CK_ULONG::try_from(result.len())?;
        let mut parameters = Self::oaep();
        let mut mechanism = CK_MECHANISM {
            mechanism: CKM_RSA_PKCS_OAEP,
            pParameter: std::ptr::from_mut(&mut parameters).cast(),
            ulParameterLen: CK_ULONG::try_from(size_of::<CK_RSA_PKCS_OAEP_PARAMS>())?,
        };
        // SAFETY: PKCS#11, C_EncryptInit: as for C_DecryptInit above.
        let rv = unsafe { init(session.handle(), &raw mut mechanism, key.handle()) };
        check(rv, "C_EncryptInit")?;
        // SAFETY: PKCS#11, C_Encrypt: as for C_Decrypt above.
        let rv = unsafe {
            call(
                session.handle(),
                message.as_ptr().cast_mut(),
                message_len,
                result.as_mut_ptr(),
                &raw mut result_len,
            )
        };
        check(rv, "C_Encrypt")
    }

    fn sign(&self, session: &Session, key: ObjectHandle, result: &mut [u8]) -> Fallible<()> {
        let init = self.table.C_SignInit.ok_or("C_SignInit is missing")?;
        let call = self.table.C_Sign.ok_or("C_Sign is missing")?;
        let mut digest = DIGEST;
        let digest_len = CK_ULONG::try_from(digest.len())?;
        let mut result_len = CK_ULONG::try_from(result.len())?;
        let mut mechanism = CK_MECHANISM {
            mechanism: CKM_ECDSA,
            pParameter: std::ptr::null_mut(),
            ulParameterLen: 0,
        };
        // SAFETY: PKCS#11, C_SignInit: as for C_DecryptInit above.
        let rv = unsafe { init(session.handle(), &raw mut mechanism, key.handle()) };
        check(rv, "C_SignInit")?;
        // SAFETY: PKCS#11, C_Sign: as for C_Decrypt above.
        let rv = unsafe {
            call(
                session.handle(),
                digest.as_mut_ptr(),
                digest_len,
                result.as_mut_ptr(),
                &raw mut result_len,
            )
        };
        check(rv, "C_Sign")
    }
}

fn check(rv: CK_RV, function: &str) -> Fallible<()> {
    if rv == CKR_OK {
        Ok(())
    } else {
        Err(format!("{function} returned {rv:#x}").into())
    }
}

/// What every thread does.
#[derive(Clone)]
struct Work {
    functions: Functions,
    /// What is decrypted; none: a digest is signed.
    ciphertext: Option<Arc<[u8]>>,
    /// To whom each operation encrypts after it has decrypted.
    device: Option<Arc<PublicKey>>,
    operations: usize,
    /// Pause from the start of one operation to the start of the next; zero: as fast as possible.
    period: Duration,
    barrier: Arc<Barrier>,
}

struct Done {
    started: Instant,
    ended: Instant,
    took: Vec<Duration>,
    processor: Duration,
}

/// A device's key on the token, and the place for what is encrypted to it.
struct OnToken {
    key: ObjectHandle,
    result: Vec<u8>,
}

impl Work {
    fn device_on(&self, session: &Session) -> Fallible<Option<OnToken>> {
        let Some(device) = &self.device else {
            return Ok(None);
        };
        let key = session.create_object(&[
            Attribute::Class(ObjectClass::PUBLIC_KEY),
            Attribute::KeyType(KeyType::RSA),
            Attribute::Token(false),
            Attribute::Private(false),
            Attribute::Encrypt(true),
            Attribute::Modulus(device.modulus().to_vec()),
            Attribute::PublicExponent(device.exponent().to_vec()),
        ])?;
        Ok(Some(OnToken {
            key,
            result: vec![0; device.modulus().len()],
        }))
    }

    /// One operation.
    fn once(
        &self,
        session: &Session,
        key: ObjectHandle,
        device: Option<&mut OnToken>,
        result: &mut [u8],
    ) -> Fallible<()> {
        let Some(ciphertext) = &self.ciphertext else {
            return self.functions.sign(session, key, result);
        };
        self.functions.decrypt(session, key, ciphertext, result)?;
        match device {
            Some(OnToken { key, result }) => {
                self.functions
                    .encrypt(session, *key, &[7; CONTENT_KEY_LEN], result)
            }
            None => Ok(()),
        }
    }

    fn run(&self, session: &Session, key: ObjectHandle, first: Duration) -> Fallible<Done> {
        let mut result = vec![
            0;
            self.ciphertext
                .as_ref()
                .map_or(MAX_SIGNATURE, |text| text.len())
        ];
        let mut device = None;
        let mut prepare = || -> Fallible<()> {
            device = self.device_on(session)?;
            for _ in 0..WARM_UP {
                self.once(session, key, device.as_mut(), &mut result)?;
            }
            Ok(())
        };
        let prepared = prepare();
        // Even a thread that failed comes here: the others wait for it.
        self.barrier.wait();
        prepared?;
        let started = Instant::now();
        let processor = processor_time()?;
        let mut took = Vec::with_capacity(self.operations);
        let mut due = started + first;
        for _ in 0..self.operations {
            if !self.period.is_zero() {
                thread::sleep(due.saturating_duration_since(Instant::now()));
                due += self.period;
            }
            let begun = Instant::now();
            self.once(session, key, device.as_mut(), &mut result)?;
            took.push(begun.elapsed());
        }
        Ok(Done {
            started,
            ended: Instant::now(),
            took,
            processor: processor_time()?.saturating_sub(processor),
        })
    }
}

/// Processor time of the calling thread (Linux: the first number of schedstat, in nanoseconds).
fn processor_time() -> Fallible<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanoseconds = text.split_whitespace().next().ok_or("schedstat is empty")?;
    Ok(Duration::from_nanos(nanoseconds.parse()?))
}

fn slot_of(context: &Pkcs11, label: &str) -> Fallible<Slot> {
    for slot in context.get_slots_with_token()? {
        if context
            .get_token_info(slot)
            .is_ok_and(|info| info.label() == label)
        {
            return Ok(slot);
        }
    }
    Err(format!("no token has the label {label:?}").into())
}

fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

fn percentile(sorted: &[Duration], hundredths: usize) -> f64 {
    let index = sorted.len().saturating_sub(1) * hundredths / 100;
    sorted.get(index).copied().map_or(0.0, micros)
}

/// Data objects on the token, as other programs keep theirs there.
fn add_objects(context: &Pkcs11, slot: Slot, count: usize) -> Fallible<serde_json::Value> {
    let session = context.open_rw_session(slot)?;
    for number in 0..count {
        session.create_object(&[
            Attribute::Class(ObjectClass::DATA),
            Attribute::Token(true),
            Attribute::Private(false),
            Attribute::Label(format!("other {number}").into_bytes()),
            Attribute::Value(vec![0; 64]),
        ])?;
    }
    Ok(serde_json::json!({ "added": count }))
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts of at most a million operations"
)]
fn run(options: &Options) -> Fallible<serde_json::Value> {
    let module = Path::new(options.text("--module")?);
    let rate: f64 = match options.values.get("--per-second") {
        Some(rate) => rate.parse()?,
        None => 0.0,
    };
    let context = Pkcs11::new(module)?;
    context.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK))?;
    let slot = slot_of(&context, options.text("--token-label")?)?;
    let pin = std::fs::read_to_string(options.text("--pin-file")?)?;
    let login = context.open_ro_session(slot)?;
    login.login(UserType::User, Some(&AuthPin::new(pin.trim_end().into())))?;
    if options.values.contains_key("--add-objects") {
        let count = options.number("--add-objects", MAX_OBJECTS)?;
        return add_objects(&context, slot, count);
    }
    let threads = options.number("--threads", MAX_THREADS)?;
    let operations = options.number("--operations", MAX_OPERATIONS)?;
    let key = login
        .find_objects(&[
            Attribute::Class(ObjectClass::PRIVATE_KEY),
            Attribute::Label(options.text("--key-label")?.into()),
        ])?
        .first()
        .copied()
        .ok_or("no private key has this label")?;

    let device = match options.values.get("--encrypt-to") {
        Some(file) => Some(PublicKey::from_spki_der(&std::fs::read(file)?)?),
        None => None,
    };

    let each = operations.div_ceil(threads);
    let period = if rate > 0.0 {
        Duration::try_from_secs_f64(threads as f64 / rate)?
    } else {
        Duration::ZERO
    };
    let ciphertext = match options.values.get("--sign").map(String::as_str) {
        Some("ecdsa") => None,
        Some(_) => return Err(USAGE.into()),
        None => Some(std::fs::read(options.text("--ciphertext")?)?.into()),
    };
    let work = Work {
        functions: Functions::load(module)?,
        ciphertext,
        device: device.map(Arc::new),
        operations: each,
        period,
        barrier: Arc::new(Barrier::new(threads)),
    };
    // Opened one after another, before any of them works.
    let sessions = (0..threads)
        .map(|_| context.open_ro_session(slot))
        .collect::<Result<Vec<_>, _>>()?;
    let running: Vec<_> = sessions
        .into_iter()
        .enumerate()
        .map(|(number, session)| {
            let work = work.clone();
            // Spread over the period, so that the threads do not all ask at once.
            let first = period.mul_f64(number as f64 / threads as f64);
            thread::spawn(move || work.run(&session, key, first))
        })
        .collect();
    let mut done = Vec::new();
    for thread in running {
        done.push(thread.join().map_err(|_| "a thread ended by a fault")??);
    }
    let started = done.iter().map(|done| done.started).min();
    let ended = done.iter().map(|done| done.ended).max();
    let elapsed = started
        .zip(ended)
        .map_or(Duration::ZERO, |(from, to)| to - from);
    let processor: Duration = done.iter().map(|done| done.processor).sum();
    let mut took: Vec<_> = done.into_iter().flat_map(|done| done.took).collect();
    took.sort_unstable();
    let count = took.len() as f64;
    Ok(serde_json::json!({
        "threads": threads,
        "operations": took.len(),
        "perSecond": count / elapsed.as_secs_f64(),
        "p50Us": percentile(&took, 50),
        "p99Us": percentile(&took, 99),
        "processorUs": micros(processor) / count,
    }))
}

fn main() -> Fallible<()> {
    let options = Options::parse(std::env::args().skip(1))?;
    if options.values.is_empty() {
        println!("Started by `side_by_side` (make bench). By hand: {USAGE}");
        return Ok(());
    }
    println!("{}", run(&options)?);
    Ok(())
}
