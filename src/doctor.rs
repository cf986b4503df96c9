//! `doctor`: checks everything before and in operation, and says the remedy.
//!
//! ```text
//! configuration --> groups of checks --> findings: id, severity, what was found, what to do
//!                   files, limits, clock, fips, certificates       looked at here
//!                   service                                        the running services, asked once
//!                   endpoints, authorities                         all at once, each step with a deadline
//!                   token                                          in a process of its own, which may crash or hang
//! ```
//!
//! It looks at things as the process that needs them would: with the same rules for files, the same TLS, the same client, the
//! same custody. It changes nothing, but for one: a login with a wrong PIN counts at the token. So it logs in once, only while
//! the token has all its tries, not with a PIN that is known to be refused, which is noted, and not at all when asked not to.
//!
//! Every check is in [`catalogue`]; docs/doctor.md is made from it.

pub mod authorities;
pub mod calendar;
pub mod catalogue;
pub mod certificates;
pub mod clock;
mod command;
pub mod configuration;
pub mod endpoints;
pub mod files;
pub mod finding;
pub mod fips;
pub mod limits;
pub mod service;
pub mod token;

pub use catalogue::Check;
pub use finding::{Finding, Group, Severity};
pub use service::Running;
pub use token::ProbeLaunch;

use crate::clock::Clock;
use crate::config::{Config, EngineConfig};
use serde_json::{Value, json};

/// How a token section is probed: its place in the configuration, and the process that does it.
#[derive(Debug, Clone)]
pub struct TokenPlan {
    /// `engine.token`, `engine.tokens.NAME` or `import.token`.
    pub key: String,
    /// How the probe is started, without the following arguments.
    pub launch: ProbeLaunch,
    /// Whether to log in.
    pub login: bool,
    /// The argument that says not to log in.
    pub no_login: &'static str,
    /// The argument that says to measure.
    pub measuring: &'static str,
}

/// Everything that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Examination {
    /// The findings, in the order of the groups.
    pub findings: Vec<Finding>,
}

/// What is examined and how.
pub struct Plan<'a> {
    /// The configuration.
    pub config: &'a Config,
    /// How the start of the cryptographic module ended in this process.
    pub module: Result<(), ::fips::Error>,
    /// The groups that are wanted; all of them when empty.
    pub only: &'a [Group],
    /// The token sections of the configuration, and how they are probed.
    pub tokens: Vec<TokenPlan>,
    /// The clock by which certificates are judged.
    pub clock: &'a dyn Clock,
}

impl Plan<'_> {
    fn wants(&self, group: Group) -> bool {
        self.only.is_empty() || self.only.contains(&group)
    }

    /// Examines the wanted groups. Every question to somebody else has a deadline, so this ends.
    #[must_use]
    pub fn examine(self) -> Examination {
        let now_ms = self.clock.now_ms();
        let config = self.config;
        let asks_services = [
            Group::Service,
            Group::Fips,
            Group::Token,
            Group::Authorities,
        ]
        .map(|group| self.wants(group));
        std::thread::scope(|scope| {
            // Other machines may be slow: they are asked meanwhile.
            let endpoints = self
                .wants(Group::Endpoints)
                .then(|| scope.spawn(move || endpoints::examine(config, now_ms)));
            let authorities = self
                .wants(Group::Authorities)
                .then(|| scope.spawn(move || authorities::examine(config, now_ms)));
            let running = if asks_services.contains(&true) {
                Running::ask(config)
            } else {
                Running::default()
            };
            let mut findings = Vec::new();
            for group in Group::ALL.into_iter().filter(|group| self.wants(*group)) {
                findings.extend(match group {
                    Group::Configuration => configuration::examine(config),
                    Group::Files => files::examine(config),
                    Group::Limits => limits::examine(config),
                    Group::Clock => clock::examine(now_ms),
                    Group::Fips => fips::examine(config, &self.module, &running),
                    Group::Certificates => {
                        let mut found = certificates::examine(config, now_ms);
                        found.extend(calendar::of_files(config, now_ms));
                        found
                    }
                    // Below, where they belong in the order.
                    Group::Endpoints => Vec::new(),
                    Group::Authorities => authorities::running(&running),
                    Group::Service => {
                        let mut found = service::examine(&running);
                        found.extend(calendar::running(&running, now_ms));
                        found
                    }
                    Group::Token => self.tokens(&running),
                });
            }
            let asked = [
                (endpoints, catalogue::ENDPOINTS_CONNECT),
                (authorities, catalogue::AUTHORITIES_REACHABLE),
            ];
            for (asked, check) in asked {
                match asked.map(|asked| asked.join()) {
                    None => {}
                    Some(Ok(found)) => findings.extend(found),
                    Some(Err(_)) => findings.push(check.error(
                        "",
                        "the check itself failed: this is a defect of the program",
                    )),
                }
            }
            findings.sort_by_key(|found| found.id.group);
            Examination { findings }
        })
    }

    fn tokens(&self, running: &Running) -> Vec<Finding> {
        let mut findings = Vec::new();
        let mut refused = Vec::new();
        for plan in &self.tokens {
            let of_engine = self
                .config
                .engine
                .iter()
                .flat_map(EngineConfig::token_paths)
                .find_map(|(path, section)| (path == plan.key).then_some(section));
            let of_import = || {
                let import = self.config.import.as_ref()?;
                import.token.as_ref().filter(|_| plan.key == "import.token")
            };
            let section = of_engine.or_else(of_import);
            let Some(section) = section else { continue };
            let mut launch = plan.launch.clone();
            // An engine that has no token has said why: its PIN may be wrong, and that is not tried a second time. Nor is one that a
            // token of the same name refused a moment ago: two sections may be about one token, which need not show its used-up tries.
            let token = (&section.module, &section.label);
            if !plan.login || running.engine_lacks(&plan.key) || refused.contains(&token) {
                launch.arguments.push(plan.no_login.into());
            }
            if !running.has_engine() {
                launch.arguments.push(plan.measuring.into());
            }
            let found = token::examine(&plan.key, section, &launch);
            if found.iter().any(is_refused_login) {
                refused.push(token);
            }
            findings.extend(found);
        }
        token::count_copies(&mut findings);
        if let Some(engine) = &self.config.engine {
            findings.extend(token::together::examine(engine, &findings));
        }
        findings
    }
}

/// Whether a login was tried, or begun, that did not end well: a try of the PIN may be gone.
fn is_refused_login(found: &Finding) -> bool {
    found.id == catalogue::TOKEN_LOGIN && found.severity == Severity::Error
}

impl Examination {
    /// The worst finding.
    #[must_use]
    pub fn worst(&self) -> Severity {
        self.findings
            .iter()
            .map(|found| found.severity)
            .max()
            .unwrap_or(Severity::Ok)
    }

    /// How many findings are of that severity.
    #[must_use]
    pub fn count(&self, severity: Severity) -> usize {
        self.findings
            .iter()
            .filter(|found| found.severity == severity)
            .count()
    }

    /// For machines.
    #[must_use]
    pub fn json(&self) -> Value {
        let findings: Vec<Value> = self.findings.iter().map(Finding::json).collect();
        json!({
            "version": crate::VERSION,
            "healthy": self.worst() < Severity::Error,
            "errors": self.count(Severity::Error),
            "warnings": self.count(Severity::Warning),
            "notes": self.count(Severity::Note),
            "ok": self.count(Severity::Ok),
            "findings": findings,
        })
    }
}
