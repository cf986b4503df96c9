//! Seeded fault scripts against the engine's real processes: custody aborts, crashes, hangs and loses its token, and is well again
//! by itself. No request is lost, no token is locked, and the supervisor never has to be restarted.
//!
//! `CHAOS_PROCESS_SCRIPTS=500` plays more of them than the usual 50 (`make soak`); `CHAOS_SEED=42` plays the script of one seed.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    missing_docs
)]

#[path = "support/engine.rs"]
mod engine;
#[path = "../hsm/tests/chaos/generate.rs"]
mod generate;
#[path = "support/openssl.rs"]
mod openssl;
#[path = "../hsm/examples/chaos_pkcs11/script.rs"]
mod script;
#[path = "support/softhsm.rs"]
mod softhsm;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use engine::{Engine, Options, PASSWORD, PATIENCE, is_alive, part};
use generate::Stage;
use hsm::Padding;
use openssl::{Device, KeyAlgorithm, Workshop};
use pfx_connector::encoding::Base64Bytes;
use pfx_connector::engine::api::{CmsFormat, FailureCode, RecryptRequest};
use pfx_connector::engine::client::{EngineClient, RecryptError};
use script::{Fault, ROTATED, Script, When};
use softhsm::{PIN, SoftHsm, TOKEN_LABEL};

const SCRIPTS: u64 = 50;
/// Engines that run at once: most of the time they wait.
const AT_ONCE: u64 = 6;
const DEADLINE: Duration = Duration::from_secs(10);
/// Requests are sent for so long even if nothing goes wrong any more: every event with a time has happened by then.
const AT_LEAST: Duration = Duration::from_millis(3500);

/// As the connector would.
const PAUSE: Duration = Duration::from_millis(20);

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| {
        text.parse()
            .unwrap_or_else(|_| panic!("{name} is no number"))
    })
}

/// The real token behind the module, which all scripts share, and the devices of one thread.
struct Ground<'a> {
    token: &'a SoftHsm,
    authority: &'a openssl::Authority<'a>,
    ec: &'a Device<'a>,
    rsa: &'a Device<'a>,
    module: &'a Path,
}

#[derive(Default)]
struct Counts {
    answered: AtomicU64,
    retries: AtomicU64,
    restarts: AtomicU64,
}

#[test]
fn the_engine_survives_every_script_without_a_restart_of_the_service() {
    let token = SoftHsm::new();
    // Under a name that says what is behind it: the token's own file is guarded, as it is with SoftHSM itself, against kills during a login.
    let module = token.path().join("libsofthsm2-behind-chaos.so");
    std::fs::copy(softhsm::chaos_module(), &module).unwrap();
    let (first, count) = match number("CHAOS_SEED") {
        Some(seed) => (seed, 1),
        None => (
            number("CHAOS_FIRST").unwrap_or(1),
            number("CHAOS_PROCESS_SCRIPTS").unwrap_or(SCRIPTS),
        ),
    };
    let next = AtomicU64::new(first);
    let counts = Counts::default();
    let failures = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE.min(count) {
            scope.spawn(|| {
                let workshop = Workshop::new();
                let authority = workshop.authority("Devices", KeyAlgorithm::P256);
                let ground = Ground {
                    token: &token,
                    authority: &authority,
                    ec: &authority.device("phone", KeyAlgorithm::P256),
                    rsa: &authority.device("tablet", KeyAlgorithm::Rsa(2048)),
                    module: &module,
                };
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .unwrap();
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + count {
                        break;
                    }
                    let script = generate::script(seed, Stage::Processes);
                    let played = runtime.block_on(Play::new(&ground, &script).run(&counts));
                    if let Err(problem) = played {
                        println!(
                            "FAILED: {problem}\n{script}replay: CHAOS_SEED={seed} cargo test --test chaos_processes\n"
                        );
                        failures.lock().unwrap().push(seed);
                    }
                }
            });
        }
    });
    println!(
        "played {count} scripts: {} requests answered after {} retries, custody was replaced {} times",
        counts.answered.load(Ordering::Relaxed),
        counts.retries.load(Ordering::Relaxed),
        counts.restarts.load(Ordering::Relaxed),
    );
    assert_eq!(*failures.lock().unwrap(), Vec::<u64>::new(), "see above");
}

/// One engine and its script.
struct Play<'a> {
    ground: &'a Ground<'a>,
    script: &'a Script,
    engine: Engine,
    journal: PathBuf,
    pin_file: PathBuf,
}

impl<'a> Play<'a> {
    fn new(ground: &'a Ground<'a>, script: &'a Script) -> Self {
        let token = ground.token;
        let folder = token.path().join(format!("chaos-{}", script.seed));
        std::fs::create_dir(&folder).unwrap();
        let (script_file, journal, pin_file) = (
            folder.join("script"),
            folder.join("journal"),
            folder.join("pin"),
        );
        std::fs::write(&script_file, script.to_string()).unwrap();
        put_pin(&pin_file, PIN);
        let section = format!(
            "[engine.token]\nmodule = {:?}\nlabel = {TOKEN_LABEL:?}\npin_file = {pin_file:?}\nthreads = 2\nsandbox_paths = [{folder:?}]\n\
             [engine.token.environment]\nSOFTHSM2_CONF = {:?}\nCHAOS_MODULE = {:?}\nCHAOS_PIN = {PIN:?}\n\
             CHAOS_SCRIPT = {script_file:?}\nCHAOS_JOURNAL = {journal:?}\n",
            ground.module,
            token.configuration(),
            softhsm::module(),
        );
        let options = Options {
            token: Some(section),
            restart: "backoff_ms = 10\nbackoff_max_ms = 100\ncall_limit_ms = 2000"
                .to_owned(),
            // Far more bad records are asked for here than anybody may.
            engine: "oracle = { importer_failures_per_hour = 1000, importer_failures_per_day = 1000, caller_failures_per_hour = 1000 }"
                .to_owned(),
            ..Options::default()
        };
        Self {
            ground,
            script,
            engine: Engine::start(token, ground.authority, &options),
            journal,
            pin_file,
        }
    }

    async fn run(&self, counts: &Counts) -> Result<(), String> {
        let client = self.engine.client().await;
        let until = Instant::now() + AT_LEAST;
        let loops = [
            self.requests("ec", Some(self.ground.ec), &client, until, counts),
            self.requests("rsa", Some(self.ground.rsa), &client, until, counts),
            self.requests("bad", None, &client, until, counts),
        ];
        let [ec, rsa, bad] = loops;
        let ended = tokio::join!(ec, rsa, bad);
        for result in [ended.0, ended.1, ended.2] {
            result.map_err(|problem| format!("{problem}\n{}", self.last_lines()))?;
        }
        let journal = self.journal();
        for line in journal.lines() {
            if line == "lockout" || line.starts_with("violation") {
                return Err(format!("{line}\n{journal}"));
            }
        }
        if !is_alive(self.engine.pid()) {
            return Err("the supervisor has ended".to_owned());
        }
        let status = client.status().await.map_err(|error| error.to_string())?;
        let custody = part(&status, "custody");
        counts
            .restarts
            .fetch_add(custody.restarts, Ordering::Relaxed);
        if part(&status, "supervisor").restarts > 0 {
            return Err("the supervisor was replaced".to_owned());
        }
        Ok(())
    }

    /// One request after the other until `until`, and then until one more has been answered with nothing going wrong any more.
    /// Without a device: of a bad record.
    async fn requests(
        &self,
        name: &str,
        device: Option<&Device<'_>>,
        client: &EngineClient,
        until: Instant,
        counts: &Counts,
    ) -> Result<(), String> {
        let request = self.request(name, device);
        let mut last = None;
        loop {
            let is_last = Instant::now() >= until;
            let answer = self.ask(name, client, &request, counts).await?;
            counts.answered.fetch_add(1, Ordering::Relaxed);
            match (&answer, device) {
                (Some(cms), Some(_)) => last = Some(cms.clone()),
                (None, None) => {}
                (Some(_), None) => return Err(format!("{name}: a bad record was decrypted")),
                (None, Some(_)) => return Err(format!("{name}: taken for a bad record")),
            }
            if is_last {
                break;
            }
            tokio::time::sleep(PAUSE).await;
        }
        if let (Some(cms), Some(device)) = (last, device)
            && device.decrypt_cms(&cms) != PASSWORD
        {
            return Err(format!("{name}: a wrong password was delivered"));
        }
        Ok(())
    }

    fn request(&self, name: &str, device: Option<&Device<'_>>) -> RecryptRequest {
        let der = device.unwrap_or(self.ground.ec).der();
        let mut request = self.engine.request(name, self.ground.token, der);
        request.format = CmsFormat::Modern;
        if device.is_none() {
            let mut bad = self.ground.token.encrypt(Padding::OaepSha512, PASSWORD);
            *bad.last_mut().unwrap() ^= 1;
            request.record.encrypted_password = Base64Bytes(bad);
            self.engine.sign(&mut request);
        }
        request
    }

    /// Asks until there is an answer that stays: the CMS, or that the record is bad.
    async fn ask(
        &self,
        name: &str,
        client: &EngineClient,
        request: &RecryptRequest,
        counts: &Counts,
    ) -> Result<Option<Vec<u8>>, String> {
        let patience = Instant::now() + PATIENCE;
        loop {
            let problem = match client.recrypt(request.clone(), DEADLINE).await {
                Ok(done) => return Ok(Some(done.cms.0)),
                Err(RecryptError::Failed(failure))
                    if failure.code == FailureCode::DecryptionFailed =>
                {
                    return Ok(None);
                }
                Err(RecryptError::Failed(failure)) if failure.code.is_transient() => {
                    format!("{failure:?}")
                }
                Err(other) => return Err(format!("{name}: {other:?}")),
            };
            if Instant::now() >= patience {
                return Err(format!("{name} is lost: {problem}"));
            }
            counts.retries.fetch_add(1, Ordering::Relaxed);
            self.operate();
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// What the operator does: puts the token's new PIN into the file.
    fn operate(&self) {
        let journal = self.journal();
        let rotated = self.script.events.iter().enumerate().any(|(index, event)| {
            event.fault == Fault::RotatePin
                && journal
                    .lines()
                    .any(|line| line.starts_with(&format!("done {index} ")))
        });
        let rotated_pin = format!("{PIN}{ROTATED}");
        let refused = journal.lines().any(|line| line == "login wrong");
        if rotated && refused && std::fs::read_to_string(&self.pin_file).unwrap() == PIN {
            put_pin(&self.pin_file, &rotated_pin);
        }
    }

    fn journal(&self) -> String {
        std::fs::read_to_string(&self.journal).unwrap_or_default()
    }

    fn last_lines(&self) -> String {
        let log = self.engine.log();
        let lines: Vec<_> = log
            .lines()
            .filter(|line| {
                !line.contains(" INFO recrypted ") && !line.contains("decryption_failed")
            })
            .collect();
        let last = lines
            .get(lines.len().saturating_sub(40)..)
            .unwrap_or_default();
        format!("{}\n{}", self.journal(), last.join("\n"))
    }
}

/// In one step: a login must never see half of it.
fn put_pin(path: &Path, pin: &str) {
    let fresh = path.with_extension("new");
    std::fs::write(&fresh, pin).unwrap();
    std::fs::set_permissions(&fresh, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::rename(fresh, path).unwrap();
}

#[test]
fn scripts_for_processes_end_one_in_every_other_of_them() {
    let ending = |seed: &u64| {
        generate::script(*seed, Stage::Processes)
            .events
            .iter()
            .any(|event| {
                matches!(event.fault, Fault::Abort | Fault::Segfault | Fault::Hang)
                    && matches!(event.when, When::Call { .. })
            })
    };
    assert!((1..=SCRIPTS).filter(ending).count() >= 25);
}
