//! The command line: one binary, a sub-command for each job, every report also as JSON.

pub mod approve;
pub mod audit;
pub mod ca;
mod ca_state;
pub mod cert;
pub mod config;
pub mod csr;
pub mod demo;
pub mod doctor;
pub mod engine;
pub mod enroll;
pub mod events;
pub mod files;
pub mod fips;
pub mod gateway;
pub mod import;
pub mod key;
mod key_report;
pub mod logging;
pub mod oracle;
pub mod output;
mod page;
pub mod pfx;
pub mod pin_memory;
pub mod policy;
pub mod process;
pub mod prompt;
pub mod recrypt;
pub mod revocation;
pub mod run;
mod signing_key;
pub mod status;
pub mod token;
pub mod version;

use clap::error::ErrorKind;
use clap::{ArgAction, Args, Parser, Subcommand};
use logging::Usual;
use output::{Failure, Report};
use std::ffi::OsString;
use std::process::ExitCode;

/// The whole command line.
#[derive(Debug, Parser)]
#[command(
    name = "pfx-connector",
    version,
    about = "Delivers S/MIME certificates to devices; the decryption key never leaves the HSM",
    after_help = "Exit codes: 0 done; 1 the operation failed; 2 usage or configuration; 3 not healthy.",
    disable_help_subcommand = true
)]
struct Cli {
    #[command(flatten)]
    global: GlobalArgs,
    #[command(subcommand)]
    command: Command,
}

/// Options of every command.
#[derive(Debug, Clone, Args)]
pub struct GlobalArgs {
    /// Answer in JSON: the report as one line on standard output, an error as one line on standard error
    #[arg(long, global = true)]
    pub json: bool,
    /// More messages about what is done (-v, -vv, -vvv), on standard error
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub verbose: u8,
    /// Exactly these messages, such as `warn,pfx_connector::engine=debug`
    #[arg(long, global = true, value_name = "FILTER", conflicts_with = "verbose")]
    pub log: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The whole job on this machine, checked by an independent reader
    Demo(demo::DemoArgs),
    /// The engine: the only processes that use the custody key and see a clear password
    Engine(engine::EngineArgs),
    #[command(hide = true)]
    EngineCustody(engine::CustodyArgs),
    #[command(hide = true)]
    EngineFormats(engine::PolicyArgs),
    /// Custody keys: made on a token, never leaving it
    Key(key::KeyArgs),
    /// Dangerous steps need several people: ask for approval, read what is asked for, sign it
    Approve(approve::ApproveArgs),
    /// One re-encryption by hand: encrypted password and device certificate in, CMS message out
    Recrypt(recrypt::RecryptArgs),
    /// The connector: leases work, has the engine do it, delivers it exactly once
    Run(run::RunArgs),
    /// The connector's own certificate: the first one, by a one-time token of the gateway's
    Enroll(enroll::EnrollArgs),
    /// The service side: stores records that it cannot decrypt, queues, leases
    Gateway(gateway::GatewayArgs),
    /// What is in a PFX, with which algorithms, who reads it; convert it
    Pfx(pfx::PfxArgs),
    /// Certification requests (PKCS#10): make one with its key, look into one
    Csr(csr::CsrArgs),
    /// Certificates: what they say, and whether they can be trusted for a purpose
    Cert(cert::CertArgs),
    /// What a connector may have issued: read a policy, and warn of over-broad rules
    Policy(policy::PolicyArgs),
    /// Failing records: who is suspended, what is quarantined; let go
    Oracle(oracle::OracleArgs),
    /// Certification authorities whose keys are on the token: make one, issue, revoke, publish
    Ca(ca::CaArgs),
    /// PFX records in Intune or in a gateway
    Import(import::ImportArgs),
    /// Checks everything before and in operation, and says the remedy
    Doctor(doctor::DoctorArgs),
    #[command(hide = true)]
    DoctorToken(doctor::ProbeArgs),
    /// What the running connector says of itself
    Status(status::StatusArgs),
    /// The running connector's brake against mass revocation: show it, let more through
    Revocation(revocation::RevocationArgs),
    /// What the running connector did
    Events(events::EventsArgs),
    /// What can be claimed of the cryptography in FIPS mode, and the evidence
    Fips(fips::FipsArgs),
    /// The log of every use of the custody key: verify, show, export
    Audit(audit::AuditArgs),
    /// The configuration file: print an example, check one
    Config(config::ConfigArgs),
    /// Versions of the program and of the cryptographic module
    Version,
}

/// What a command is told besides its own options.
#[derive(Debug, Clone)]
pub struct Context {
    /// The whole command line, for a command that has to execute the program again.
    pub args: Vec<OsString>,
    /// The options of every command.
    pub global: GlobalArgs,
}

impl Context {
    /// The options that make a process started by this one log as this one does.
    #[must_use]
    pub fn log_arguments(&self) -> Vec<OsString> {
        let mut arguments = Vec::new();
        if self.global.json {
            arguments.push("--json".into());
        }
        for _ in 0..self.global.verbose {
            arguments.push("-v".into());
        }
        if let Some(filter) = &self.global.log {
            arguments.push("--log".into());
            arguments.push(filter.into());
        }
        arguments
    }
}

/// Runs the program with the given arguments and returns its exit code:
/// 0 done, 1 the operation failed, 2 usage or configuration, 3 not healthy.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    let cli = match Cli::try_parse_from(&args) {
        Ok(cli) => cli,
        Err(error) => return refuse(&error, &args),
    };
    let context = Context {
        args,
        global: cli.global,
    };
    if let Err(failure) = start_log(&cli.command, &context.global) {
        return output::finish(Err(failure), context.global.json);
    }
    dispatch(&cli.command, &context)
}

fn start_log(command: &Command, global: &GlobalArgs) -> Result<(), Failure> {
    let usual = match command {
        Command::Engine(_)
        | Command::EngineCustody(_)
        | Command::EngineFormats(_)
        | Command::Run(_) => Usual::Service,
        Command::Gateway(args) if args.is_service() => Usual::Service,
        Command::Ca(args) if args.is_service() => Usual::Service,
        _ => Usual::Command,
    };
    logging::start(usual, global.verbose, global.log.as_deref(), global.json)
}

fn dispatch(command: &Command, context: &Context) -> ExitCode {
    let json = context.global.json;
    let result = match command {
        Command::Demo(args) => demo::command(args, context),
        Command::Engine(args) => engine::run(args, context),
        Command::EngineCustody(args) => engine::custody(args),
        Command::EngineFormats(args) => engine::formats(args),
        Command::Run(args) => return run::run(args, json),
        Command::Enroll(args) => enroll::run(args),
        Command::Gateway(args) => gateway::run(args, context),
        Command::Key(args) => key::run(args, context),
        Command::Approve(args) => approve::run(args, context),
        Command::Recrypt(args) => recrypt::run(args, context),
        Command::Pfx(args) => pfx::run(args, context),
        Command::Csr(args) => csr::run(args, context),
        Command::Cert(args) => cert::run(args),
        Command::Policy(args) => policy::run(args),
        Command::Oracle(args) => oracle::run(args),
        Command::Ca(args) => ca::run(args, context),
        Command::Import(args) => import::run(args, context),
        Command::Doctor(args) => doctor::run(args, context),
        Command::DoctorToken(args) => doctor::probe(args),
        Command::Status(args) => status::run(args),
        Command::Revocation(args) => revocation::run(args),
        // Prints while it reads.
        Command::Events(args) => return events::run(args, json),
        Command::Fips(args) => fips::run(args, context),
        // Prints while it reads.
        Command::Audit(args) if args.prints() => return audit::run_printing(args, json),
        Command::Audit(args) => audit::run(args, json),
        Command::Config(args) => config::run(args),
        Command::Version => version::run(),
    };
    output::finish(unless_module_failed(result), json)
}

/// What fails after the module did says nothing about certificate, record or password: the module is what is told then.
fn unless_module_failed(result: Result<Report, Failure>) -> Result<Report, Failure> {
    match (result, ::fips::policy::fault()) {
        (Err(failure), Some(fault))
            if failure.exit == output::Exit::Failed && !failure.code.starts_with("fips_") =>
        {
            Err(::fips::Error::ModuleFault {
                fault: fault.code(),
            }
            .into())
        }
        (result, _) => result,
    }
}

/// Help and version are answers; everything else that the parser says is wrong usage.
fn refuse(error: &clap::Error, args: &[OsString]) -> ExitCode {
    let asked = matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
    );
    if !asked && args.iter().any(|arg| arg == "--json") {
        let text = error.render().to_string();
        let message = text.trim().trim_start_matches("error: ");
        return output::finish(Err(Failure::usage("usage", message)), true);
    }
    // Whoever reads may have gone: that is no failure of ours.
    let _ = error.print();
    if asked {
        ExitCode::SUCCESS
    } else {
        output::Exit::Usage.into()
    }
}
