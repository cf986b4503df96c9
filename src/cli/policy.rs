//! `policy`: what a connector may have issued.

use super::output::{Exit, Failure, Report};
use crate::encoding::printable;
use crate::issuance::IssuancePolicy;
use crate::issuance::lint::{Finding, Severity, lint};
use clap::{Args, Subcommand};
use serde_json::json;
use std::fmt::Write as _;
use std::path::PathBuf;

/// `policy`.
#[derive(Debug, Args)]
pub struct PolicyArgs {
    #[command(subcommand)]
    command: PolicyCommand,
}

#[derive(Debug, Subcommand)]
enum PolicyCommand {
    /// Read an issuance policy, and warn of rules that allow more than they seem to
    #[command(after_help = "Examples:
  pfx-connector policy lint /etc/pfx-connector/issuance.toml
  pfx-connector policy lint issuance.toml --strict

Exit code 1: the file is no policy, or a rule lets a request become somebody else (with --strict: or there is a warning).")]
    Lint(LintArgs),
}

#[derive(Debug, Args)]
struct LintArgs {
    /// The policy
    #[arg(value_name = "FILE")]
    policy: PathBuf,
    /// Warnings fail, too
    #[arg(long)]
    strict: bool,
}

/// Runs the command.
///
/// # Errors
/// [`Failure`] when the file is no policy.
pub fn run(args: &PolicyArgs) -> Result<Report, Failure> {
    let PolicyCommand::Lint(args) = &args.command;
    // Its digest is the module's.
    ::fips::start(::fips::policy::Policy::STRICT)?;
    let policy = IssuancePolicy::load(&args.policy)
        .map_err(|error| Failure::failed("policy_unusable", error.to_string()))?;
    let findings = lint(&policy);
    let worst = findings.iter().map(|finding| finding.severity).max();
    let limit = if args.strict {
        Severity::Warning
    } else {
        Severity::Error
    };
    let mut report = Report::done(
        json!({
            "rules": policy.rules().len(),
            "digest": policy.digest(),
            "findings": findings,
        }),
        human(&policy, &findings),
    );
    if worst.is_some_and(|worst| worst >= limit) {
        report.exit = Exit::Failed;
    }
    Ok(report)
}

fn human(policy: &IssuancePolicy, findings: &[Finding]) -> String {
    let mut text = format!(
        "{} rules, SHA-256 {}\n",
        policy.rules().len(),
        policy.digest()
    );
    for finding in findings {
        let severity = match finding.severity {
            Severity::Note => "note   ",
            Severity::Warning => "warning",
            Severity::Error => "ERROR  ",
        };
        let rule = finding.rule.as_deref().map(printable).unwrap_or_default();
        let _ = writeln!(
            text,
            "{severity} {rule}: {} ({})",
            finding.message, finding.code
        );
    }
    if findings.is_empty() {
        text.push_str("nothing to complain of\n");
    }
    text
}
