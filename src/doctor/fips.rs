//! The cryptographic module, the mode, and what can be claimed.

use super::catalogue::{
    FIPS_ADVISORY, FIPS_CLAIM, FIPS_EXCEPTION, FIPS_MODE, FIPS_MODULE, FIPS_TOKEN,
};
use super::finding::Finding;
use super::service::Running;
use crate::config::{Config, EngineConfig};
use crate::evidence::status::FipsStatus;
use fips::claim::Level;
use fips::policy::Mode;
use fips::policy::system::{self, Setting};
use serde_json::json;

/// Looks at the module of this program and the mode of the configuration, and says what can be claimed of what runs. `started` is how
/// the module's start ended in this process.
#[must_use]
pub fn examine(
    config: &Config,
    started: &Result<(), fips::Error>,
    running: &Running,
) -> Vec<Finding> {
    let own = FipsStatus::of_this_command();
    let mut findings = vec![module(&own, started), mode(config, system::setting())];
    if config.fips.policy().mode() == Mode::Strict {
        for exception in &config.fips.exceptions {
            findings.push(FIPS_EXCEPTION.note(exception.0.name(), exception.0.permits()));
        }
    }
    findings.push(match running.fips() {
        Some(status) => claim(&status),
        None => claim_of_nobody(&own),
    });
    findings.extend(config.engine.iter().flat_map(tokens));
    findings.extend(advisories(&own));
    findings
}

fn module(own: &FipsStatus, started: &Result<(), fips::Error>) -> Finding {
    if let Err(error) = started {
        return FIPS_MODULE.error("", error.to_string()).code(error.code());
    }
    if let Some(problem) = own.module_problems.first() {
        return FIPS_MODULE.error("", problem);
    }
    let text = format!(
        "{}, {}; self-tests passed; certificate {} names this version",
        own.module.version, own.module.linkage, own.module.certificate
    );
    let facts = json!({
        "version": own.module.version,
        "certificate": own.module.certificate,
        "sourceMatches": own.build.matches_pinned,
    });
    if own.build.matches_pinned {
        FIPS_MODULE.ok("", text).facts(facts)
    } else {
        FIPS_MODULE
            .warning(
                "",
                format!("{text}, but its sources are not known to be the pinned ones"),
            )
            .remedy("build from the pinned sources (README), or nothing can be claimed")
            .facts(facts)
    }
}

fn mode(config: &Config, setting: Setting) -> Finding {
    let mode = config.fips.policy().mode();
    let facts = json!({"mode": mode.name(), "system": setting.name()});
    let system = match setting {
        Setting::Required => "the system demands FIPS mode",
        Setting::NotRequired => "the system does not demand FIPS mode",
        Setting::Unknown => "the system does not tell whether it demands FIPS mode",
    };
    match (mode, setting) {
        (Mode::Off, Setting::Required) => {
            FIPS_MODE.error("", format!("off, but {system}: nothing starts"))
        }
        (Mode::Off, _) => FIPS_MODE
            .note(
                "",
                format!("off: what is not approved is done and counted; {system}"),
            )
            .remedy(FIPS_MODE.remedy),
        (Mode::Strict, _) => FIPS_MODE.ok("", format!("strict; {system}")),
    }
    .facts(facts)
}

fn claim(status: &FipsStatus) -> Finding {
    let facts = json!({"level": status.overall.level.name(), "source": status.source});
    let text = format!("{} (said by {})", status.overall.says, status.source);
    let found = if status.healthy {
        match status.overall.level {
            Level::CertifiedSource | Level::Certified => FIPS_CLAIM.ok("", text),
            _ => FIPS_CLAIM.note("", text).remedy(FIPS_CLAIM.remedy),
        }
    } else {
        let problems: Vec<String> = status
            .module_problems
            .iter()
            .cloned()
            .chain(
                status
                    .silent
                    .iter()
                    .map(|who| format!("{who} does not report")),
            )
            .collect();
        // A module that failed stops everything; who does not report may only be being restarted.
        if status.module_problems.is_empty() {
            FIPS_CLAIM.warning("", format!("{text}; {}", problems.join("; ")))
        } else {
            FIPS_CLAIM.error("", format!("{text}; {}", problems.join("; ")))
        }
    };
    found.facts(facts)
}

/// Nothing is running: what this program is says nothing of what a service does.
fn claim_of_nobody(own: &FipsStatus) -> Finding {
    FIPS_CLAIM
        .note(
            "",
            format!(
                "no service runs that could be asked. This program: {}; {}",
                own.claim.build.says, own.claim.environment.says
            ),
        )
        .facts(json!({"level": null, "source": own.source}))
}

fn tokens(engine: &EngineConfig) -> Vec<Finding> {
    engine
        .token_paths()
        .map(|(path, section)| {
            let found = match &section.fips_certificate {
                Some(number) => FIPS_TOKEN.ok(
                    &path,
                    format!("certificate {number}, by the operator's statement"),
                ),
                None => FIPS_TOKEN
                    .note(
                        &path,
                        "no certificate is stated: every report calls the token not validated",
                    )
                    .remedy(FIPS_TOKEN.remedy),
            };
            found.facts(json!({"certificate": section.fips_certificate}))
        })
        .collect()
}

/// Those of this version: one in what this program uses is a warning; of the others it is enough that they are known.
fn advisories(own: &FipsStatus) -> Vec<Finding> {
    let affecting = || own.advisories.iter().filter(|advisory| advisory.affected);
    let mut findings: Vec<Finding> = affecting()
        .filter(|advisory| advisory.used)
        .map(|advisory| {
            FIPS_ADVISORY.warning(
                &advisory.id,
                format!("{}: {}", advisory.problem, advisory.why),
            )
        })
        .collect();
    let unused: Vec<&str> = affecting()
        .filter(|advisory| !advisory.used)
        .map(|advisory| advisory.id.as_str())
        .collect();
    if !unused.is_empty() {
        findings.push(
            FIPS_ADVISORY
                .note(
                    "",
                    format!(
                        "known for this version, none of it in what this program uses: {}",
                        unused.join(", ")
                    ),
                )
                .remedy(FIPS_ADVISORY.remedy)
                .facts(json!({"unused": unused})),
        );
    }
    if findings.is_empty() {
        findings.push(FIPS_ADVISORY.ok("", "none is known for this version"));
    }
    findings
}
