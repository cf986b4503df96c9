//! Tokens for tests: each in a folder of its own, of one of the kinds in the files beside this one.
//!
//! All read their configuration from the environment when they are initialised, and a process has one environment: so every test
//! program uses one of them, and each test in it has a token of its own in there.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

mod children;
mod kryoptic;
mod nss;
pub mod opencryptoki;
mod softhsm;
mod tools;
pub mod tpm2;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Condvar, Mutex, OnceLock, PoisonError};

use fips::ec::Curve;
use fips::policy::Policy;
use fips::sign::KeyKind;
use hsm::SecretBytes;
use hsm::pin::{Pin, PinSource};
use hsm::pkcs11::quirks::{self, Quirks};
use hsm::pkcs11::{GenerateKey, Pkcs11Custody, TokenConfig, init_token, list_tokens};
use hsm::{Custody, KeyInfo, Padding, TokenInfo};

/// No token takes longer ones: openCryptoki's are 4 to 8 characters.
pub const USER_PIN: &str = "test-pin";
/// A PIN that is wrong, and that every token takes for a PIN.
pub const WRONG_PIN: &str = "not-it";
const SO_PIN: &str = "test-sop";

/// More tokens than one test program has tests.
const TOKENS: usize = 48;

/// A PKCS#11 module and the folder of its tokens.
pub struct Module {
    pub path: PathBuf,
    pub folder: PathBuf,
    /// What it is told at C_Initialize.
    pub init_parameters: Option<String>,
    /// Where new tokens come from.
    source: Source,
}

/// Where new tokens come from.
enum Source {
    /// C_InitToken makes one of an empty one.
    Initialise,
    /// There are some, made by the tool of the module, with labels `test-0`, `test-1` ...
    Ready,
    /// There is one, `test-0`, and each test has it in turn and leaves it empty.
    Shared,
}

/// Whose turn it is with the one token of [`Source::Shared`]. A test that failed gives it on as well.
struct Turn;

static TAKEN: Mutex<bool> = Mutex::new(false);
static FREE: Condvar = Condvar::new();

impl Turn {
    fn wait() -> Self {
        let taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
        *FREE
            .wait_while(taken, |taken| *taken)
            .unwrap_or_else(PoisonError::into_inner) = true;
        Self
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        *TAKEN.lock().unwrap_or_else(PoisonError::into_inner) = false;
        FREE.notify_one();
    }
}

static MODULE: OnceLock<Module> = OnceLock::new();

/// A fresh folder below the build's own temporary folder.
fn folder() -> PathBuf {
    let name = format!("{}-{}", env!("CARGO_CRATE_NAME"), std::process::id());
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    if folder.exists() {
        std::fs::remove_dir_all(&folder).unwrap();
    }
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn set_environment(name: &str, value: impl AsRef<std::ffi::OsStr>) {
    // SAFETY: `std::env::set_var`: no other thread may read the environment other than through `std::env` meanwhile. Only
    // PKCS#11 modules do that here, and none is loaded before `MODULE` is set, whose initialisation this is part of.
    unsafe { std::env::set_var(name, value) };
}

/// SoftHSM 2: removes OAEP with SHA-1 by itself. `mechanisms` is its configuration `slots.mechanisms`.
pub fn softhsm_with(mechanisms: &str) -> &'static Module {
    MODULE.get_or_init(|| softhsm_module(mechanisms))
}

fn softhsm_module(mechanisms: &str) -> Module {
    let folder = folder();
    let softhsm = softhsm::set_up(&folder, mechanisms);
    set_environment(softhsm::CONFIGURATION, &softhsm.configuration);
    Module {
        path: softhsm.module,
        folder: softhsm.tokens,
        init_parameters: None,
        source: Source::Initialise,
    }
}

pub fn softhsm() -> &'static Module {
    softhsm_with("ALL")
}

/// One of our own PKCS#11 modules. Cargo builds the examples of a package for its tests, next to their programs' folder.
pub fn example(name: &str) -> PathBuf {
    let programs = std::env::current_exe().unwrap();
    let path = programs
        .ancestors()
        .nth(2)
        .unwrap()
        .join(format!("examples/lib{name}.so"));
    assert!(
        path.exists(),
        "{} is missing: run `cargo build -p hsm --examples`",
        path.display()
    );
    path
}

/// Loads a module of ours for the rest of the process: what it holds in statics would be lost, and look like a leak, each time
/// that nobody uses it.
fn keep_loaded(path: &Path) {
    static LOADED: OnceLock<cryptoki::context::Pkcs11> = OnceLock::new();
    LOADED.get_or_init(|| cryptoki::context::Pkcs11::new(path).unwrap());
}

/// SoftHSM behind the module that fails on command, and the file that commands it.
pub fn faulty_softhsm() -> (&'static Module, PathBuf) {
    faulty(|| softhsm_module("ALL"))
}

/// Kryoptic behind it.
pub fn faulty_kryoptic() -> (&'static Module, PathBuf) {
    faulty(kryoptic_module)
}

fn faulty(real: fn() -> Module) -> (&'static Module, PathBuf) {
    let module = MODULE.get_or_init(|| {
        let real = real();
        set_environment("FAULTY_MODULE", &real.path);
        set_environment("FAULTY_CONTROL", real.folder.with_file_name("fault"));
        let path = example("faulty_pkcs11");
        keep_loaded(&path);
        Module { path, ..real }
    });
    (module, module.folder.with_file_name("fault"))
}

/// SoftHSM behind the module that fails as a script says.
pub fn chaos_softhsm() -> &'static Module {
    MODULE.get_or_init(|| {
        let real = softhsm_module("ALL");
        set_environment("CHAOS_MODULE", &real.path);
        set_environment("CHAOS_PIN", Path::new(USER_PIN));
        let path = example("chaos_pkcs11");
        keep_loaded(&path);
        Module { path, ..real }
    })
}

/// The same with its script from the beginning, and not loaded when nobody uses it.
pub fn chaos_softhsm_with(script: &str) -> &'static Module {
    MODULE.get_or_init(|| {
        let real = softhsm_module("ALL");
        let file = real.folder.with_file_name("script");
        std::fs::write(&file, script).unwrap();
        set_environment("CHAOS_MODULE", &real.path);
        set_environment("CHAOS_SCRIPT", &file);
        set_environment("CHAOS_JOURNAL", file.with_extension("journal"));
        let path = example("chaos_pkcs11");
        Module { path, ..real }
    })
}

/// Tells the module of [`faulty_softhsm`] what goes wrong from now on.
pub fn command(control: &Path, fault: &str) {
    // In one step: the module must never see half of it.
    let next = control.with_extension("next");
    std::fs::write(&next, fault).unwrap();
    std::fs::rename(next, control).unwrap();
}

/// Kryoptic: removes OAEP with every hash by itself.
pub fn kryoptic() -> &'static Module {
    MODULE.get_or_init(kryoptic_module)
}

fn kryoptic_module() -> Module {
    let folder = folder();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let kryoptic = kryoptic::set_up(&folder, root, TOKENS);
    set_environment(kryoptic::CONFIGURATION, &kryoptic.configuration);
    Module {
        path: kryoptic.module,
        folder,
        init_parameters: None,
        source: Source::Initialise,
    }
}

/// NSS softoken.
pub fn nss() -> &'static Module {
    MODULE.get_or_init(|| {
        let folder = folder();
        let nss = nss::set_up(&folder, TOKENS, USER_PIN);
        for (name, value) in nss::ENVIRONMENT {
            set_environment(name, value);
        }
        Module {
            path: nss.module,
            folder: nss.tokens,
            init_parameters: Some(nss.init_parameters),
            source: Source::Ready,
        }
    })
}

/// tpm2-pkcs11 on a software TPM.
pub fn tpm2() -> &'static Module {
    MODULE.get_or_init(|| {
        let tpm2 = tpm2::set_up(&folder());
        for (name, value) in tpm2.environment {
            set_environment(name, value);
        }
        // One, because each takes a connection to the resource manager at each start, of which there are few.
        let pins = (pin(SO_PIN), pin(USER_PIN));
        init_token(&tpm2.module, None, None, "test-0", &pins.0, &pins.1).unwrap();
        Module {
            path: tpm2.module,
            folder: tpm2.store,
            init_parameters: None,
            source: Source::Shared,
        }
    })
}

/// openCryptoki's soft token. The program begins anew, in a namespace of its own.
pub fn opencryptoki() -> &'static Module {
    MODULE.get_or_init(|| {
        opencryptoki::enter();
        let opencryptoki = opencryptoki::set_up(SO_PIN, USER_PIN);
        Module {
            path: opencryptoki.module,
            folder: opencryptoki.token,
            init_parameters: None,
            source: Source::Shared,
        }
    })
}

/// A token of its own for one test.
pub struct TestToken {
    pub module: &'static Module,
    pub info: TokenInfo,
    pub pin_file: PathBuf,
    turn: Option<Turn>,
}

pub fn pin(text: &str) -> Pin {
    Pin::new(SecretBytes::from_slice(text.as_bytes()))
}

pub fn write_pin(path: &Path, pin: &str) {
    std::fs::write(path, format!("{pin}\n")).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

impl TestToken {
    /// Under the FIPS mode off, so that everything that custody can do can be tried; one process has one mode.
    pub fn new(module: &'static Module) -> Self {
        Self::under(Policy::OFF, module)
    }

    pub fn under(policy: Policy, module: &'static Module) -> Self {
        fips::start(policy).unwrap();
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let turn = matches!(module.source, Source::Shared).then(Turn::wait);
        let number = match module.source {
            Source::Shared => 0,
            _ => NEXT.fetch_add(1, Ordering::Relaxed),
        };
        let label = format!("test-{number}");
        let parameters = module.init_parameters.as_deref();
        let info = match module.source {
            Source::Initialise => {
                let (so_pin, user_pin) = (pin(SO_PIN), pin(USER_PIN));
                init_token(&module.path, parameters, None, &label, &so_pin, &user_pin).unwrap()
            }
            Source::Ready | Source::Shared => list_tokens(&module.path, parameters)
                .unwrap()
                .into_iter()
                .find(|token| token.label == label)
                .expect("more tests than tokens"),
        };
        let pin_file = module.folder.parent().unwrap().join(format!(
            "{}-{label}.pin",
            module.folder.file_name().unwrap().display()
        ));
        write_pin(&pin_file, USER_PIN);
        Self {
            module,
            info,
            pin_file,
            turn,
        }
    }

    /// What is known about this kind of token, and has to be seen when it is tried.
    pub fn quirks(&self) -> &'static Quirks {
        quirks::of(&self.info)
    }

    /// What the token does by itself with a key.
    pub fn native(&self) -> &'static [Padding] {
        self.quirks().oaep_native.expect("a token that is known")
    }

    /// Whether a key that was generated on the token says so (CKA_LOCAL).
    pub fn says_local(&self) -> bool {
        self.quirks()
            .generated_is_local
            .expect("a token that is known")
    }

    /// The kind of signing key that is generated fastest.
    pub fn small_signing_key(&self) -> KeyKind {
        let curves = self.quirks().curves.expect("a token that is known");
        if curves.contains(&Curve::P256) {
            KeyKind::EcP256
        } else {
            KeyKind::Rsa(2048)
        }
    }

    pub fn config(&self) -> TokenConfig {
        let pin = PinSource::File(self.pin_file.clone());
        TokenConfig {
            init_parameters: self.module.init_parameters.clone(),
            token_label: Some(self.info.label.clone()),
            token_serial: Some(self.info.serial.clone()),
            threads: 2,
            ..TokenConfig::new(self.module.path.clone(), pin)
        }
    }

    fn destroy_everything(&self) {
        write_pin(&self.pin_file, USER_PIN);
        let custody = self.open();
        let session = session_beside(self, &custody);
        for object in session.find_objects(&[]).unwrap() {
            session.destroy_object(object).unwrap();
        }
    }

    pub fn open(&self) -> Pkcs11Custody {
        Pkcs11Custody::open(self.config()).unwrap()
    }

    /// A custody with one 2048-bit key, for tests in which the length does not matter.
    pub fn open_with_key(&self) -> (Pkcs11Custody, KeyInfo) {
        let custody = self.open();
        let key = custody
            .generate(&GenerateKey {
                label: "custody".into(),
                id: None,
                modulus_bits: 2048,
                always_authenticate: false,
            })
            .unwrap();
        (custody, key)
    }
}

impl Drop for TestToken {
    fn drop(&mut self) {
        // A second panic would hide the first one.
        if self.turn.is_some() && !std::thread::panicking() {
            self.destroy_everything();
        }
        let _ = std::fs::remove_file(&self.pin_file);
    }
}

/// Encrypts outside of the token.
pub fn encrypt(spki: &[u8], padding: Padding, message: &[u8]) -> Vec<u8> {
    encrypt_with_label(spki, padding, b"", message)
}

/// As [`encrypt`], with a label.
pub fn encrypt_with_label(spki: &[u8], padding: Padding, label: &[u8], message: &[u8]) -> Vec<u8> {
    fips::rsa::PublicKey::from_spki(spki)
        .unwrap()
        .encrypt_oaep_with_label(padding.hash().unwrap(), label, message)
        .unwrap()
}

/// A session of the test's own, next to custody's: it shares custody's login.
pub fn session_beside(token: &TestToken, custody: &Pkcs11Custody) -> cryptoki::session::Session {
    let context = cryptoki::context::Pkcs11::new(&token.module.path).unwrap();
    // Not the slot of the time when the token was initialised: SoftHSM numbers its slots anew at each start.
    let slot = cryptoki::slot::Slot::try_from(custody.token().slot).unwrap();
    context.open_rw_session(slot).unwrap()
}
