//! `doctor`: what `crate::doctor` finds, for people and for machines; and the hidden command that probes a token.

use super::Context;
use super::engine::PolicyArgs;
use super::output::{Exit, Failure, Report};
use super::page::Page;
use super::pin_memory::{PinMemory, state_variable};
use super::{process, token};
use crate::clock::SystemClock;
use crate::config::{self, Config, EngineException};
use crate::doctor::token::{ProbeRequest, run_probe};
use crate::doctor::{Examination, Finding, Group, Plan, ProbeLaunch, Severity, TokenPlan};
use crate::engine::hardening;
use clap::Args;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a call of the probe may take at least: its process has to start, and to test its module.
const LEAST_PATIENCE: Duration = Duration::from_secs(3);
/// How long a step of the probe may take where no `[engine.restart]` says it.
const PATIENCE: Duration = Duration::from_secs(30);
/// Width of the column of severities, with what is before it.
const SEVERITY: usize = 11;
/// Width of the column of checks.
const CHECK: usize = 17;
/// Switches of the hidden command.
const NO_LOGIN: &str = "--no-login";
const MEASURE: &str = "--measure";

/// Arguments of `doctor`.
#[derive(Debug, Clone, Args)]
pub struct DoctorArgs {
    /// Configuration file of the engine, the connector, the gateway or imports: everything in it is looked at
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Only this group of checks (may be given several times): configuration, files, limits, clock, fips, certificates, endpoints, authorities, service, token
    #[arg(long, value_name = "GROUP")]
    only: Vec<Group>,
    /// Do not log in to the token: its keys are not looked at then, and nothing is tried with them
    #[arg(long)]
    no_login: bool,
}

/// Arguments of the process that probes a token.
#[derive(Debug, Clone, Args)]
pub struct ProbeArgs {
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// `engine.token`, `engine.tokens.NAME` or `import.token`
    #[arg(long, value_name = "KEY")]
    section: String,
    #[arg(long)]
    no_login: bool,
    #[arg(long)]
    measure: bool,
    #[command(flatten)]
    policy: PolicyArgs,
}

/// Examines: exit code 0 when nothing would fail, 3 when something would.
///
/// # Errors
/// [`Failure`] when the configuration cannot be read, or this process cannot be protected.
pub fn run(args: &DoctorArgs, context: &Context) -> Result<Report, Failure> {
    let config = config::load(&args.config)?;
    process::protect_memory()?;
    let module = config.start_module().map(drop);
    let plan = Plan {
        config: &config,
        module,
        only: &args.only,
        tokens: tokens(&config, args, context)?,
        clock: &SystemClock,
    };
    let examination = plan.examine();
    let text = human(&examination);
    Ok(Report {
        json: examination.json(),
        text: if colours_are_wanted(context) {
            coloured(&text)
        } else {
            text
        },
        exit: if examination.worst() < Severity::Error {
            Exit::Done
        } else {
            Exit::Unhealthy
        },
    })
}

/// The token sections of the configuration, and how each is probed.
fn tokens(
    config: &Config,
    args: &DoctorArgs,
    context: &Context,
) -> Result<Vec<TokenPlan>, Failure> {
    let program = std::env::current_exe().map_err(|error| {
        Failure::failed("program", format!("this program is not found: {error}"))
    })?;
    let path = token::absolute(&args.config)?;
    let mut plans = Vec::new();
    if let Some(engine) = &config.engine {
        let patience = Duration::from_millis(engine.restart.call_limit_ms).max(LEAST_PATIENCE);
        // They are in one process, which has one environment.
        let environment = engine.token_environment();
        for (section, _) in engine.token_paths() {
            let launch = launch(&program, &path, &section, &environment, patience);
            plans.push((section, launch));
        }
    }
    if let Some(section) = config
        .import
        .as_ref()
        .and_then(|import| import.token.as_ref())
    {
        let environment = &section.environment;
        let launch = launch(&program, &path, "import.token", environment, PATIENCE);
        plans.push(("import.token".to_owned(), launch));
    }
    let policy = config.fips.policy();
    for (_, launch) in &mut plans {
        let arguments = &mut launch.arguments;
        arguments.extend(["--fips-mode".into(), policy.mode().name().into()]);
        for exception in policy.exceptions().iter() {
            arguments.extend(["--fips-exception".into(), exception.name().into()]);
        }
        arguments.extend(context.log_arguments());
        launch.show_messages = context.global.verbose > 0 || context.global.log.is_some();
    }
    Ok(plans
        .into_iter()
        .map(|(key, launch)| TokenPlan {
            key,
            launch,
            login: !args.no_login,
            no_login: NO_LOGIN,
            measuring: MEASURE,
        })
        .collect())
}

/// This program with the environment that the engine gives its custody process, and where it remembers refused PINs, and no other.
fn launch(
    program: &Path,
    config: &Path,
    section: &str,
    environment: &BTreeMap<String, String>,
    patience: Duration,
) -> ProbeLaunch {
    const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";
    let arguments: Vec<OsString> = vec![
        "doctor-token".into(),
        "--config".into(),
        config.into(),
        "--section".into(),
        section.into(),
    ];
    let mut environment: Vec<(OsString, OsString)> = environment
        .iter()
        .map(|(name, value)| (name.into(), value.into()))
        .collect();
    if let Some(folder) = std::env::var_os(CREDENTIALS) {
        environment.push((CREDENTIALS.into(), folder));
    }
    environment.extend(state_variable());
    ProbeLaunch {
        program: program.to_owned(),
        arguments,
        environment,
        patience,
        show_messages: false,
    }
}

/// `doctor-token`: started by `doctor` alone, which is on the other end of standard input.
///
/// # Errors
/// [`Failure`] when it was started by somebody else, or nobody listens any more.
pub fn probe(args: &ProbeArgs) -> Result<Report, Failure> {
    let output = hardening::supervisor_socket()
        .map_err(|error| Failure::usage("doctor_token", error.to_string()))?;
    let notes = hardening::protect(hardening::Limits {
        lock_memory: true,
        ..hardening::Limits::default()
    });
    for note in notes {
        tracing::info!("{note}");
    }
    let (mut request, memory) = request(args)?;
    let source = request.token.pin.clone();
    if request.login {
        request.token.pin_memory = memory.prepare(&source);
    }
    let refused = |error: &hsm::Error| memory.refused(error, &source);
    run_probe(&request, &refused, args.policy.policy(), output)
        .map_err(|error| Failure::failed("doctor_token", error.to_string()))?;
    // A thread may be inside the PKCS#11 module.
    hardening::exit(0)
}

fn request(args: &ProbeArgs) -> Result<(ProbeRequest, PinMemory), Failure> {
    let config = config::load(&args.config)?;
    let missing = || {
        Failure::usage(
            "doctor_token",
            "the configuration has no such token section",
        )
    };
    let (section, extractable, for_custody) = match args.section.as_str() {
        path if path.starts_with("engine.") => {
            let engine = config.engine.as_ref().ok_or_else(missing)?;
            let extractable = engine
                .exceptions
                .contains(&EngineException::ExtractableKeys);
            let (_, section) = engine
                .token_paths()
                .find(|(known, _)| known == path)
                .ok_or_else(missing)?;
            (section, extractable, true)
        }
        "import.token" => {
            let import = config.import.as_ref().ok_or_else(missing)?;
            (import.token.as_ref().ok_or_else(missing)?, false, false)
        }
        _ => return Err(missing()),
    };
    let mut settings = token::from_section(section, extractable);
    if for_custody {
        settings.threads = section.threads;
    }
    let memory = match &config.engine {
        Some(engine) if for_custody => PinMemory::of_engine(&settings, engine, section),
        _ => PinMemory::of_user(&settings),
    };
    let request = ProbeRequest {
        key: args.section.clone(),
        token: settings,
        for_custody,
        report_key: config.fips.report_token_key.clone().filter(|_| for_custody),
        login: !args.no_login,
        measure: args.measure,
    };
    Ok((request, memory))
}

/// The findings as a page: a heading for each group, a line for each finding, and what to do below what is not ok.
#[must_use]
pub fn human(examination: &Examination) -> String {
    let mut page = Page::default();
    for (place, group) in examination
        .findings
        .chunk_by(|one, next| one.id.group == next.id.group)
        .enumerate()
    {
        let common = common_subject(group);
        let title = group.first().map_or("", |found| found.id.group.title());
        let title = match common {
            Some(subject) => format!("{title} ({subject})"),
            None => title.to_owned(),
        };
        if place == 0 {
            page.text(&title);
        } else {
            page.heading(&title);
        }
        for found in group {
            line(&mut page, found, common.unwrap_or_default());
        }
    }
    let counts: Vec<String> = [
        (Severity::Error, "error"),
        (Severity::Warning, "warning"),
        (Severity::Note, "note"),
    ]
    .into_iter()
    .map(|(severity, name)| match examination.count(severity) {
        1 => format!("1 {name}"),
        count => format!("{count} {name}s"),
    })
    .collect();
    page.heading(&format!(
        "{}: {}, {} ok.",
        match examination.worst() {
            Severity::Error => "Something would fail",
            Severity::Warning => "Nothing would fail now",
            Severity::Note | Severity::Ok => "Nothing would fail",
        },
        counts.join(", "),
        examination.count(Severity::Ok)
    ));
    page.finish()
}

/// What the subjects of all findings begin with, where that is one token section: said once, in the heading.
fn common_subject(group: &[Finding]) -> Option<&str> {
    let first = group.first()?;
    let section = first.subject.split(' ').next()?;
    let is_one = first.id.group == Group::Token
        && group
            .iter()
            .all(|found| found.subject.split(' ').next() == Some(section));
    is_one.then_some(section)
}

fn line(page: &mut Page, found: &Finding, common: &str) {
    let subject = found.subject.strip_prefix(common).unwrap_or(&found.subject);
    // A key stands in brackets behind its section.
    let subject = match subject.trim_start() {
        rest if common.is_empty() => rest,
        rest => rest.trim_start_matches('(').trim_end_matches(')'),
    };
    let text = if subject.is_empty() {
        found.found.clone()
    } else {
        format!("{subject}: {}", found.found)
    };
    let severity = format!("  {}", found.severity);
    page.row(&[(&severity, SEVERITY), (found.id.name(), CHECK)], &text);
    if let Some(remedy) = &found.remedy
        && found.severity > Severity::Ok
    {
        page.row(&[("", SEVERITY + CHECK), ("->", 3)], remedy);
    }
}

/// Whether standard output is a terminal of somebody who wants colours (no-color.org).
fn colours_are_wanted(context: &Context) -> bool {
    !context.global.json
        && std::io::stdout().is_terminal()
        && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
        && std::env::var_os("TERM").is_some_and(|term| term != "dumb")
}

/// The page with its severities coloured and its headings bold. What others wrote is never at the beginning of a line, and has no
/// control characters any more.
fn coloured(page: &str) -> String {
    let mut text = String::with_capacity(page.len() * 2);
    for (number, line) in page.lines().enumerate() {
        if number > 0 {
            text.push('\n');
        }
        let severity = [
            (Severity::Ok, "32"),
            (Severity::Note, "36"),
            (Severity::Warning, "33"),
            (Severity::Error, "1;31"),
        ]
        .into_iter()
        .find_map(|(severity, colour)| {
            let rest = line.strip_prefix("  ")?.strip_prefix(severity.name())?;
            rest.starts_with(' ').then_some((severity, colour, rest))
        });
        match severity {
            Some((severity, colour, rest)) => {
                text.push_str(&format!("  \u{1b}[{colour}m{severity}\u{1b}[0m{rest}"));
            }
            None if line.starts_with(' ') || line.is_empty() => text.push_str(line),
            None => text.push_str(&format!("\u{1b}[1m{line}\u{1b}[0m")),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(missing_docs)]
    use super::*;
    use crate::doctor::catalogue;

    fn examination() -> Examination {
        Examination {
            findings: vec![
                catalogue::FILES_ROOM.ok("connector.journal", "4 GiB are free"),
                catalogue::TOKEN_LOGIN.error("engine.token", "bad \u{1b}[2J\nerror PIN"),
            ],
        }
    }

    #[test]
    fn the_remedy_stands_below_what_is_not_ok_and_nowhere_else() {
        let page = human(&examination());
        let lines: Vec<&str> = page.lines().collect();
        let at = |text: &str| lines.iter().position(|line| line.contains(text));
        assert_eq!(at("Files and folders"), Some(0));
        assert_eq!(
            at("  ok       room             connector.journal: 4 GiB are free"),
            Some(1)
        );
        assert_eq!(at("Token (engine.token)"), Some(3));
        assert_eq!(at("-> put the right PIN into its source"), Some(5));
        assert!(
            page.ends_with("1 error, 0 warnings, 0 notes, 1 ok."),
            "{page}"
        );
    }

    #[test]
    fn colours_change_no_text_and_come_from_nobody_else() {
        let page = human(&examination());
        assert!(!page.contains('\u{1b}'));
        let coloured = coloured(&page);
        assert_eq!(coloured.matches("\u{1b}[1;31merror\u{1b}[0m").count(), 1);
        let mut plain = coloured.clone();
        for code in ["32", "36", "33", "1;31", "1", "0"] {
            plain = plain.replace(&format!("\u{1b}[{code}m"), "");
        }
        assert_eq!(plain, page);
    }
}
