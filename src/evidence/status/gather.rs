//! Puts together what the processes said.

use super::{
    AdvisoryStatus, BuildStatus, ExceptionStatus, Facts, FaultStatus, FipsStatus, ModuleStatus,
    ServiceTotal, Source, TokenEvidence,
};
use crate::clock::{Clock, SystemClock, rfc3339};
use crate::engine::api::EngineStatus;
use crate::evidence::claim::Claim;
use crate::evidence::environment::EnvironmentEvidence;
use crate::evidence::process::ProcessEvidence;
use fips::advisories::ADVISORIES;
use fips::environment::Environment;
use fips::policy::Exception;
use fips::provenance::MODULE_SOURCE;
use std::collections::BTreeMap;

/// The processes of an engine, in the order of its report.
const ENGINE_PROCESSES: [&str; 3] = ["supervisor", "custody", "formats"];

impl FipsStatus {
    /// What this command knows of itself, without having asked anybody.
    #[must_use]
    pub fn of_this_command() -> Self {
        Self::of(Facts {
            processes: vec![ProcessEvidence::of_this("command")],
            ..Facts::nothing(Source::ThisCommandOnly)
        })
    }

    /// What a running engine says.
    #[must_use]
    pub fn of_engine(engine: &EngineStatus) -> Self {
        let mut facts = Facts::nothing(Source::RunningEngine);
        facts.take_engine(engine);
        Self::of(facts)
    }

    /// What a running connector says of itself, and its engine if it answers.
    #[must_use]
    pub fn of_connector(own: Option<&ProcessEvidence>, engine: Option<&EngineStatus>) -> Self {
        let mut facts = Facts::nothing(Source::RunningConnector);
        match own {
            Some(own) => facts.processes.push(own.clone()),
            None => facts.silent.push("connector".to_owned()),
        }
        match engine {
            Some(engine) => facts.take_engine(engine),
            None => facts.silent.push("engine".to_owned()),
        }
        Self::of(facts)
    }

    fn of(facts: Facts) -> Self {
        let claim = Claim::of(&facts);
        let module_problems = facts.module_problems();
        let faults = facts.all_faults();
        let module = facts.module();
        let services = facts.services();
        let approved = services
            .iter()
            .filter(|service| service.approved)
            .map(|service| service.performed)
            .fold(0, u64::saturating_add);
        Self {
            version: crate::VERSION.to_owned(),
            made_at: rfc3339(SystemClock.now_ms()),
            source: facts.source,
            overall: claim.overall(),
            claim,
            healthy: module_problems.is_empty() && facts.silent.is_empty(),
            module_problems,
            build: facts.build(),
            environment: facts
                .environment()
                .cloned()
                .unwrap_or_else(|| EnvironmentEvidence::from(&Environment::default())),
            system_setting: facts.system_setting(),
            mode: facts.mode(),
            exceptions: ExceptionStatus::over(&facts.processes, &services),
            services,
            approved,
            not_approved: facts.not_approved(),
            advisories: advisories(&module.version),
            module,
            trust_exceptions: facts.trust_exceptions,
            tokens: facts.tokens,
            token_problem: facts.token_problem,
            keys: facts.keys,
            processes: facts.processes,
            silent: facts.silent,
            restarts: facts.restarts,
            faults,
        }
    }
}

fn advisories(module_version: &str) -> Vec<AdvisoryStatus> {
    ADVISORIES
        .iter()
        .map(|advisory| AdvisoryStatus {
            id: advisory.id.to_owned(),
            problem: advisory.problem.to_owned(),
            versions: advisory.versions(),
            affected: advisory.affects(module_version),
            in_module: advisory.in_module,
            used: advisory.used,
            why: advisory.why.to_owned(),
        })
        .collect()
}

impl Facts {
    pub(in crate::evidence) fn nothing(source: Source) -> Self {
        Self {
            source,
            processes: Vec::new(),
            silent: Vec::new(),
            restarts: BTreeMap::new(),
            tokens: Vec::new(),
            token_problem: None,
            keys: Vec::new(),
            trust_exceptions: Vec::new(),
            faults: Vec::new(),
        }
    }

    fn take_engine(&mut self, engine: &EngineStatus) {
        for name in ENGINE_PROCESSES {
            match engine.fips.iter().find(|process| process.process == name) {
                Some(process) => self.processes.push(process.clone()),
                None => self.silent.push(name.to_owned()),
            }
        }
        self.restarts = engine
            .parts
            .iter()
            .filter(|part| part.restarts > 0)
            .map(|part| (part.name.clone(), part.restarts))
            .collect();
        self.tokens = TokenEvidence::of_engine(engine).into_iter().collect();
        self.token_problem.clone_from(&engine.token_problem);
        self.keys.clone_from(&engine.keys);
        self.trust_exceptions = engine
            .exceptions
            .iter()
            .filter(|name| name.parse::<Exception>().is_err())
            .cloned()
            .collect();
        self.faults
            .extend(engine.module_fault.iter().map(|fault| FaultStatus {
                process: "engine".to_owned(),
                fault: fault.clone(),
            }));
    }

    /// The faults: those of the engine, and those that a process tells of itself and the engine has not told already.
    pub(in crate::evidence) fn all_faults(&self) -> Vec<FaultStatus> {
        let mut faults = self.faults.clone();
        for process in &self.processes {
            if let Some(fault) = &process.fault
                && !faults.iter().any(|known| known.fault == *fault)
            {
                faults.push(FaultStatus {
                    process: process.process.clone(),
                    fault: fault.clone(),
                });
            }
        }
        faults
    }

    /// Faults, and where the indicator contradicted the table without being a fault (with the mode off).
    pub(in crate::evidence) fn module_problems(&self) -> Vec<String> {
        let faults = self
            .all_faults()
            .into_iter()
            .map(|found| format!("{}: {}", found.process, found.fault.message));
        // A fault is the word for it where there is one.
        let without_fault = self
            .processes
            .iter()
            .filter(|process| process.fault.is_none());
        let disagreements = without_fault.flat_map(|process| {
            let contradicted = process
                .services
                .iter()
                .filter(|service| service.disagreed > 0);
            contradicted.map(|service| {
                format!(
                    "{}: the module's indicator contradicted the policy table for {}, uses: {}",
                    process.process, service.name, service.disagreed
                )
            })
        });
        let not_started = self
            .processes
            .iter()
            .filter(|process| process.fault.is_none() && process.module.version.is_empty())
            .map(|process| {
                format!(
                    "{}: the cryptographic module did not start: it is not the one that this program expects, or not in FIPS mode",
                    process.process
                )
            });
        faults.chain(disagreements).chain(not_started).collect()
    }

    pub(in crate::evidence) fn services(&self) -> Vec<ServiceTotal> {
        ServiceTotal::over(&self.processes)
    }

    /// The larger of what the processes say in sum and what their counters give.
    pub(in crate::evidence) fn not_approved(&self) -> u64 {
        let counted = self
            .services()
            .iter()
            .filter(|service| !service.approved)
            .map(|service| service.performed)
            .fold(0, u64::saturating_add);
        let said = self
            .processes
            .iter()
            .map(|process| process.not_approved)
            .fold(0, u64::saturating_add);
        counted.max(said)
    }

    /// The environment of the first process whose environment was not tested; else of the first that tells one.
    pub(in crate::evidence) fn environment(&self) -> Option<&EnvironmentEvidence> {
        let told = || {
            self.processes
                .iter()
                .filter_map(|process| process.environment.as_ref())
        };
        told()
            .find(|environment| environment.tested.is_none())
            .or_else(|| told().next())
    }

    fn module(&self) -> ModuleStatus {
        let first = self
            .processes
            .iter()
            .map(|process| &process.module)
            .find(|module| !module.version.is_empty());
        ModuleStatus {
            version: first.map_or_else(String::new, |module| module.version.clone()),
            certificate: first.map_or_else(String::new, |module| module.certificate.clone()),
            linkage: match first.map(|module| module.static_build) {
                None => "unknown",
                Some(true) => "static",
                Some(false) => "dynamic",
            }
            .to_owned(),
        }
    }

    fn build(&self) -> BuildStatus {
        BuildStatus {
            source_sha256: self
                .processes
                .iter()
                .find_map(|process| process.module.source_sha256.clone()),
            pinned_sha256: MODULE_SOURCE.pinned_sha256.to_owned(),
            matches_pinned: !self.processes.is_empty() && self.other_sources().is_empty(),
        }
    }

    /// The processes whose module is not known to be compiled from the source that is pinned here.
    pub(in crate::evidence) fn other_sources(&self) -> Vec<&str> {
        let matches = |process: &&ProcessEvidence| {
            process.module.source_matches_pinned
                && process.module.source_sha256.as_deref() == Some(MODULE_SOURCE.pinned_sha256)
        };
        self.processes
            .iter()
            .filter(|process| !matches(process))
            .map(|process| process.process.as_str())
            .collect()
    }

    /// A demand that one process sees is one; else what the first says.
    fn system_setting(&self) -> String {
        let mut said = self
            .processes
            .iter()
            .map(|process| process.system_setting.as_str());
        let first = said.next().unwrap_or("unknown");
        said.find(|setting| *setting == "required")
            .unwrap_or(first)
            .to_owned()
    }

    fn mode(&self) -> String {
        let mut modes: Vec<&str> = self
            .processes
            .iter()
            .map(|process| process.mode.as_str())
            .collect();
        modes.dedup();
        match modes.as_slice() {
            [] => "unknown",
            [one] => one,
            _ => "mixed",
        }
        .to_owned()
    }
}
