//! What each part leaves possible. What is not known leaves nothing.

use super::Part;
use crate::evidence::process::ProcessEvidence;
use crate::evidence::status::{Facts, ServiceTotal, Source, TokenEvidence};
use fips::claim::{Level, is_certificate_number};
use fips::policy::Service;

const NOBODY_ASKED: &str = "unknown: no running service was asked";

fn unvalidated(says: impl Into<String>) -> Part {
    Part::new(Level::Unvalidated, says)
}

/// The highest that anything can be that we built.
fn own(says: impl Into<String>) -> Part {
    Part::new(Level::CertifiedSource, says)
}

/// Why nothing can be said of every process; `None` when all of them report.
fn somebody_is_silent(facts: &Facts) -> Option<Part> {
    match facts.silent.as_slice() {
        [] if facts.processes.is_empty() => Some(unvalidated("unknown: no process reports")),
        [] => None,
        [one] => Some(unvalidated(format!(
            "unknown of {one}, which does not report"
        ))),
        several => Some(unvalidated(format!(
            "unknown of {}, which do not report",
            several.join(", ")
        ))),
    }
}

/// The same for what only a running service can say.
fn service_is_silent(facts: &Facts) -> Option<Part> {
    match facts.source {
        Source::ThisCommandOnly => Some(unvalidated(NOBODY_ASKED)),
        Source::RunningConnector | Source::RunningEngine => somebody_is_silent(facts),
    }
}

fn names<'a>(processes: impl IntoIterator<Item = &'a ProcessEvidence>) -> String {
    let names: Vec<&str> = processes
        .into_iter()
        .map(|process| process.process.as_str())
        .collect();
    names.join(", ")
}

pub(super) fn module_version(facts: &Facts) -> Part {
    if let Some(part) = somebody_is_silent(facts) {
        return part;
    }
    let statement = |process: &ProcessEvidence| {
        let module = &process.module;
        let level = Level::of_module(&module.version);
        let says = match level {
            Level::Unvalidated if module.version.is_empty() => {
                format!("the module of {} did not start", process.process)
            }
            Level::Unvalidated => format!("{}: no certificate names this version", module.version),
            Level::Pending => format!(
                "{}: among the modules in process, there is no certificate yet",
                module.version
            ),
            Level::CertifiedSource | Level::Certified => format!(
                "{}, {}: the version that CMVP certificate {} names",
                module.version,
                if module.static_build {
                    "static"
                } else {
                    "dynamic"
                },
                module.certificate
            ),
        };
        Part::new(level, says)
    };
    lowest(facts.processes.iter().map(statement))
}

/// The lowest of several statements, the first of equal ones.
fn lowest(parts: impl Iterator<Item = Part>) -> Part {
    parts
        .min_by_key(|part| part.level)
        .unwrap_or_else(|| unvalidated("unknown: no process reports"))
}

pub(super) fn build(facts: &Facts) -> Part {
    if let Some(part) = somebody_is_silent(facts) {
        return part;
    }
    let others = facts.other_sources();
    if others.is_empty() {
        own("own build of the certificate's source: the digest of the source is the pinned one")
    } else {
        unvalidated(format!(
            "the digest of the compiled source is not the pinned one, or not known: {}",
            others.join(", ")
        ))
    }
}

pub(super) fn environment(facts: &Facts) -> Part {
    let untold = names(
        facts
            .processes
            .iter()
            .filter(|process| process.environment.is_none()),
    );
    match facts.environment() {
        None => unvalidated("unknown: no process tells where it runs"),
        Some(_) if !untold.is_empty() => unvalidated(format!("unknown of {untold}")),
        Some(environment) => {
            let level = match environment.tested {
                Some(_) => Level::Certified,
                None => Level::CertifiedSource,
            };
            Part::new(level, environment.says.clone())
        }
    }
}

pub(super) fn mode(facts: &Facts) -> Part {
    if let Some(part) = service_is_silent(facts) {
        return part;
    }
    let is_strict = |process: &&ProcessEvidence| process.mode == "strict";
    let off = names(facts.processes.iter().filter(|process| !is_strict(process)));
    if off.is_empty() {
        own(
            "strict in every process: what is not approved is refused unless its exception is named",
        )
    } else {
        unvalidated(format!("off in {off}: what is not approved is done"))
    }
}

pub(super) fn exceptions_used(facts: &Facts) -> Part {
    if let Some(part) = service_is_silent(facts) {
        return part;
    }
    let used: Vec<String> = facts
        .services()
        .iter()
        .filter(|service| !service.approved && service.performed > 0)
        .map(use_of)
        .collect();
    if !used.is_empty() {
        return unvalidated(format!("done although not approved: {}", used.join("; ")));
    }
    match facts.not_approved() {
        0 => nothing_used(facts),
        count => unvalidated(format!(
            "{count} uses that are not approved and that no process names"
        )),
    }
}

/// Counters die with their process. Where something that is not approved was permitted, nobody knows whether the dead one did it.
fn nothing_used(facts: &Facts) -> Part {
    const NOTHING: &str = "nothing that is not approved was done since the processes started";
    let uncounted = names(
        facts
            .processes
            .iter()
            .filter(|process| !counts_all(process)),
    );
    if !uncounted.is_empty() {
        return unvalidated(format!(
            "unknown of {uncounted}: not every service of the policy table is counted there"
        ));
    }
    if facts.restarts.is_empty() {
        return own(NOTHING);
    }
    let restarted: Vec<&str> = facts.restarts.keys().map(String::as_str).collect();
    let restarted = restarted.join(", ");
    let permitted = |process: &ProcessEvidence| !process.exceptions.is_empty();
    if facts.processes.iter().any(permitted) {
        unvalidated(format!(
            "unknown: {restarted} died and was started again, and what it did before under the exceptions is not counted"
        ))
    } else {
        own(format!(
            "{NOTHING} ({restarted} was started again); no exception is in force"
        ))
    }
}

/// Whether a process counts every service that this release knows. What it does not count it may have done.
fn counts_all(process: &ProcessEvidence) -> bool {
    Service::ALL.iter().all(|service| {
        let mut counted = process.services.iter();
        counted.any(|counted| counted.name == service.name())
    })
}

fn use_of(service: &ServiceTotal) -> String {
    let exception = match &service.exception {
        Some(exception) => format!(" ({exception})"),
        None => String::new(),
    };
    let count = service.performed;
    let times = if count == 1 { "time" } else { "times" };
    format!("{} {count} {times}{exception}", service.name)
}

pub(super) fn tokens(facts: &Facts) -> Part {
    if facts.source == Source::ThisCommandOnly {
        return unvalidated(NOBODY_ASKED);
    }
    if facts.tokens.is_empty() {
        let problem = facts.token_problem.as_deref();
        return unvalidated(format!(
            "unknown: {}",
            problem.unwrap_or("no token is reported")
        ));
    }
    lowest(facts.tokens.iter().map(token))
}

fn token(token: &TokenEvidence) -> Part {
    match &token.stated_certificate {
        Some(number) if is_certificate_number(number) => Part::new(
            Level::Certified,
            format!(
                "{}: certified, as the operator states (certificate {number}, not verified here)",
                token.describe()
            ),
        ),
        Some(other) => unvalidated(format!(
            "{}: not a validated token; the operator states \"{other}\", which is no number of a certificate",
            token.describe()
        )),
        None => unvalidated(format!(
            "{}: not a validated token; the operator states no certificate",
            token.describe()
        )),
    }
}

pub(super) fn tls(facts: &Facts) -> Part {
    if let Some(part) = service_is_silent(facts) {
        return part;
    }
    let untold = names(
        facts
            .processes
            .iter()
            .filter(|process| process.tls.is_none()),
    );
    if !untold.is_empty() {
        return unvalidated(format!("unknown of {untold}"));
    }
    let told = || {
        facts
            .processes
            .iter()
            .filter_map(|process| Some((process, process.tls.as_ref()?)))
    };
    let others = names(
        told()
            .filter(|(_, tls)| !tls.is_fips())
            .map(|(process, _)| process),
    );
    if !others.is_empty() {
        return unvalidated(format!(
            "could agree on something that is none of FIPS: {others}"
        ));
    }
    let asserted = told()
        .map(|(_, tls)| tls.configurations())
        .fold(0, u64::saturating_add);
    own(format!(
        "by the module, {asserted} configurations asserted: AES-GCM with ephemeral keys and extended master secret only; X25519 in \
         X25519MLKEM768 is declared"
    ))
}

pub(super) fn self_tests(facts: &Facts) -> Part {
    let problems = facts.module_problems();
    if !problems.is_empty() {
        return unvalidated(problems.join("; "));
    }
    if let Some(part) = somebody_is_silent(facts) {
        return part;
    }
    let passed = |process: &&ProcessEvidence| {
        let test = process.module.self_test.as_ref();
        test.is_some_and(|test| test.integrity_passed && test.known_answers_passed)
    };
    let others = names(facts.processes.iter().filter(|process| !passed(process)));
    if others.is_empty() {
        own(format!(
            "integrity and known-answer tests passed in {}; the indicator did not contradict the policy table",
            names(&facts.processes)
        ))
    } else {
        unvalidated(format!("no self-test is known to have passed in {others}"))
    }
}
