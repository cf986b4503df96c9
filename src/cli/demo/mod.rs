//! `demo`: the whole job on this machine, with real processes, a real PKCS#11 token, and an independent reader at the end.
//!
//! ```text
//! openssl, certtool -> PFX + password -> import add -> gateway -> connector -> engine -> token
//!                                                        |                                 |
//! openssl cms, openssl pkcs12 <- PFX + password encrypted to the device <------------------'
//! ```

mod deliveries;
mod error;
mod figures;
mod mdm;
mod pfx;
mod pki;
mod process;
mod stack;
mod summary;
mod token;
mod verify;

pub use deliveries::{Deliveries, Plan, admin_events};
pub use error::DemoError;
pub use mdm::Mdm;
pub use pfx::Person;
pub use pki::{Device, DeviceKind, Pki};
pub use process::Running;
pub use stack::{KEY_LABEL, Stack, StackOptions, temporary_folder};
pub use summary::Summary;
pub use token::{DemoToken, TokenKind, find_module};
pub use verify::verify;

use super::Context;
use super::output::{Exit, Failure, Report};
use crate::connector::control::protocol::Status;
use crate::engine::api::{CmsFormat, Delivery};
use crate::evidence::process::ProcessEvidence;
use clap::{Args, ValueEnum};
use figures::FipsFigures;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Options of `demo`.
#[derive(Debug, Clone, Args)]
pub struct DemoArgs {
    /// People, each with a PFX and a device
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub users: u16,
    /// Which token to set up
    #[arg(long, value_enum, default_value_t = TokenKind::Softhsm)]
    pub token: TokenKind,
    /// Its PKCS#11 module, where it is not at its usual place
    #[arg(long)]
    pub module: Option<PathBuf>,
    /// The devices' keys: RSA, or RSA and EC in turn
    #[arg(long, value_enum, default_value_t = DeviceMix::Rsa)]
    pub devices: DeviceMix,
    /// What the devices get: the stored PFX with its password, a new PFX under a fresh password, or an Apple profile
    #[arg(long, value_enum, default_value_t = DemoDelivery::Password)]
    pub delivery: DemoDelivery,
    /// Size of the custody key in bits
    #[arg(long, default_value_t = 3072, value_parser = clap::value_parser!(u32).range(2048..=4096))]
    pub key_bits: u32,
    /// Leave the folder with everything in it, and say where it is
    #[arg(long)]
    pub keep: bool,
}

/// Keys of the demo's devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DeviceMix {
    /// RSA-2048.
    Rsa,
    /// RSA-2048, P-256, RSA-3072 and P-384 in turn.
    Mixed,
}

impl DeviceMix {
    /// What the engine's `[fips]` has to name for these devices.
    fn exceptions(self) -> &'static [&'static str] {
        match self {
            Self::Rsa => &[],
            Self::Mixed => &["cms-ecdh-static"],
        }
    }

    fn kind(self, index: usize) -> DeviceKind {
        match (self, index % 4) {
            (Self::Rsa, _) | (Self::Mixed, 0) => DeviceKind::Rsa(2048),
            (Self::Mixed, 1) => DeviceKind::Ec("P-256"),
            (Self::Mixed, 2) => DeviceKind::Rsa(3072),
            (Self::Mixed, _) => DeviceKind::Ec("P-384"),
        }
    }
}

/// What the demo's devices get.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DemoDelivery {
    /// The stored PFX, and its password encrypted to the device.
    Password,
    /// A new PFX under a fresh password, both encrypted to the device.
    Rewrap,
    /// A configuration profile for Apple's systems; Python reads it.
    AppleProfile,
}

impl DemoDelivery {
    fn kind(self) -> Delivery {
        match self {
            Self::Password => Delivery::Password,
            Self::Rewrap => Delivery::Rewrap,
            Self::AppleProfile => Delivery::AppleProfile,
        }
    }

    /// What the engine's `[fips]` has to name: the files are as OpenSSL and GnuTLS write them, and what is written OpenSSL 3.0 has to read.
    fn exceptions(self) -> &'static [&'static str] {
        match self {
            Self::Password => &[],
            Self::Rewrap | Self::AppleProfile => &["pkcs12-legacy-read", "pkcs12-kdf-mac-write"],
        }
    }

    /// What the engine's `[engine]` has to name.
    fn engine(self) -> String {
        match self {
            Self::Password => String::new(),
            other => format!(
                "deliveries = [{:?}]\npfx = {{ form = \"compatible\" }}\n",
                other.kind().config_name()
            ),
        }
    }
}

/// `demo`: runs it, and says how it went; exit code 1 if any number is off.
///
/// # Errors
/// [`Failure`] naming the step that failed.
pub fn command(args: &DemoArgs, context: &Context) -> Result<Report, Failure> {
    let summary = run(args, context.global.json)
        .map_err(|error| Failure::failed("demo", error.to_string()))?;
    let mut report = Report::done(summary.json(), summary.to_string());
    if !summary.is_good() {
        report.exit = Exit::Failed;
    }
    Ok(report)
}

/// Runs the demo in a fresh temporary folder and removes the folder afterwards, unless it is to be kept.
///
/// # Errors
/// The step that failed, and what was said. Processes that were started are ended in any case.
pub fn run(args: &DemoArgs, quiet: bool) -> Result<Summary, DemoError> {
    fips::start(fips::policy::Policy::STRICT)
        .map_err(|error| DemoError::step("cryptographic module", error.to_string()))?;
    let program = std::env::current_exe().map_err(|error| {
        DemoError::step("demo", format!("cannot find its own program: {error}"))
    })?;
    let folder = temporary_folder()?;
    let interrupted = Arc::new(AtomicBool::new(false));
    let result = run_in(args, quiet, program, folder.clone(), &interrupted);
    // Ctrl-C reaches OpenSSL and GnuTLS, too: that they failed then is not what went wrong.
    let result = result.map_err(|error| {
        if interrupted.load(Ordering::Relaxed) {
            DemoError::step("demo", "it was interrupted; everything it started is ended")
        } else {
            error
        }
    });
    if args.keep {
        if !quiet {
            eprintln!("Everything is left in {}", folder.display());
        }
    } else {
        std::fs::remove_dir_all(&folder)
            .map_err(|error| DemoError::io("remove", &folder, error))?;
    }
    result
}

fn run_in(
    args: &DemoArgs,
    quiet: bool,
    program: PathBuf,
    folder: PathBuf,
    interrupted: &Arc<AtomicBool>,
) -> Result<Summary, DemoError> {
    let started = Instant::now();
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(interrupted))
            .map_err(|error| DemoError::step("signals", error.to_string()))?;
    }
    let progress = Progress {
        quiet,
        interrupted: Arc::clone(interrupted),
    };
    let users = usize::from(args.users);

    let step = progress.steps("Preparing token, custody key and certificates", 1);
    let stack = Stack::prepare(StackOptions {
        program,
        folder,
        token: args.token,
        module: args.module.clone(),
        module_environment: Vec::new(),
        key_bits: args.key_bits,
        connectors: 1,
        lease_ms: 60_000,
        connector_extra: String::new(),
        engine_extra: args.delivery.engine(),
        engine_fips: format!(
            "exceptions = {:?}",
            [args.devices.exceptions(), args.delivery.exceptions()].concat()
        ),
    })?;
    step.finish();

    let step = progress.steps("Starting engine, gateway and connector", 3);
    let engine = stack.start_engine()?;
    step.done_one()?;
    let gateway = stack.start_gateway()?;
    stack.enrol()?;
    step.done_one()?;
    let connector = stack.start_connector(0)?;
    step.done_one()?;
    step.finish();

    let step = progress.steps("Making people's PFX files and devices", users);
    let mut plan = Plan::default();
    for index in 0..users {
        plan.people
            .push(Person::make(&stack.pki, &stack.path("import"), index)?);
        plan.devices
            .push(stack.pki.device(index, args.devices.kind(index))?);
        step.done_one()?;
    }
    step.finish();

    let step = progress.steps("Importing (passwords encrypted on the token)", users);
    let mut fips = FipsFigures::default();
    for report in stack.key_reports() {
        fips.add_report(report);
    }
    for person in &plan.people {
        fips.add_report(&stack.import(person)?);
        step.done_one()?;
    }
    step.finish();

    let delivering = Instant::now();
    let step = progress.steps("Delivering to devices", users);
    let mut deliveries = Deliveries::new(&stack)?;
    for (person, device) in plan.people.iter().zip(&plan.devices) {
        deliveries.ask_for(
            &person.user,
            device,
            CmsFormat::Modern,
            args.delivery.kind(),
        )?;
    }
    deliveries.wait(
        Duration::from_secs(120) + Duration::from_secs(5) * u32::from(args.users),
        |settled| step.set(settled),
    )?;
    step.finish();
    let delivering = delivering.elapsed();

    let step = progress.steps("Opening each delivery with OpenSSL", users);
    let mut problems = Vec::new();
    deliveries.verify_all(&stack, |problem| {
        problems.extend(problem);
        step.done_one()
    })?;
    step.finish();

    let status = process::run_json(
        stack.program(),
        &[
            "status",
            "--config",
            &stack.connector_config(0).display().to_string(),
            "--json",
        ],
        &[],
    )?;
    let said: Status = serde_json::from_value(status.clone())
        .map_err(|error| DemoError::step("status", error.to_string()))?;
    let engine_processes = said.engine.iter().flat_map(|engine| &engine.fips);
    for evidence in engine_processes.chain(&said.fips) {
        fips.add_process(evidence);
    }
    let gateway_says = stack.gateway_status()?;
    let evidence = gateway_says
        .pointer("/service/fips")
        .cloned()
        .map(serde_json::from_value::<ProcessEvidence>);
    match evidence {
        Some(Ok(evidence)) => fips.add_process(&evidence),
        _ => {
            return Err(DemoError::step(
                "gateway status",
                "it says nothing of its cryptography",
            ));
        }
    }
    connector.stop()?;
    gateway.stop()?;
    engine.stop()?;
    let events = admin_events(&stack.event_log(0))?;
    Ok(Summary::new(
        &stack,
        &plan,
        &deliveries,
        &events,
        status,
        fips,
        problems,
        delivering,
        started.elapsed(),
    ))
}

/// Where the demo tells how far it is: bars on a terminal, a line a step elsewhere, nothing when quiet.
struct Progress {
    quiet: bool,
    interrupted: Arc<AtomicBool>,
}

struct Steps {
    bar: ProgressBar,
    interrupted: Arc<AtomicBool>,
}

impl Progress {
    fn steps(&self, title: &'static str, count: usize) -> Steps {
        let length = u64::try_from(count).unwrap_or(u64::MAX);
        let terminal = std::io::stderr().is_terminal();
        let target = if self.quiet || !terminal {
            ProgressDrawTarget::hidden()
        } else {
            ProgressDrawTarget::stderr()
        };
        if !self.quiet && !terminal {
            eprintln!("{title} ...");
        }
        let bar = ProgressBar::with_draw_target(Some(length), target);
        // The template is constant; should it ever be wrong, indicatif's own style does.
        if let Ok(style) =
            ProgressStyle::with_template("{msg:45} {bar:18.green} {pos:>4}/{len:<4} {elapsed:>4}")
        {
            bar.set_style(style.progress_chars("━╸─"));
        }
        bar.set_message(title);
        bar.enable_steady_tick(Duration::from_millis(100));
        Steps {
            bar,
            interrupted: Arc::clone(&self.interrupted),
        }
    }
}

impl Steps {
    fn check(&self) -> Result<(), DemoError> {
        if self.interrupted.load(Ordering::Relaxed) {
            return Err(DemoError::step(
                "demo",
                "it was interrupted; everything it started is being ended",
            ));
        }
        Ok(())
    }

    fn done_one(&self) -> Result<(), DemoError> {
        self.bar.inc(1);
        self.check()
    }

    fn set(&self, done: usize) -> Result<(), DemoError> {
        self.bar
            .set_position(u64::try_from(done).unwrap_or(u64::MAX));
        self.check()
    }

    fn finish(self) {
        if let Some(length) = self.bar.length() {
            self.bar.set_position(length);
        }
        self.bar.finish();
    }
}
