//! What is in force around the engine's processes: as its status says it, so that command and metrics cannot say different things.

use crate::engine::api::EngineStatus;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// The engine's processes. What calls itself otherwise gets no series.
const PARTS: [&str; 3] = ["supervisor", "custody", "formats"];

/// Label `process`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PartLabel {
    process: &'static str,
}

/// The figures.
#[derive(Debug, Default)]
pub(super) struct SandboxMetrics {
    in_force: Family<PartLabel, Gauge>,
    confirmed: Family<PartLabel, Gauge>,
    landlock: Family<PartLabel, Gauge>,
}

impl SandboxMetrics {
    pub(super) fn register(&self, to: &mut Registry) {
        to.register(
            "sandbox_in_force",
            "1 while the engine's process says that Landlock and seccomp are in force, and the kernel says nothing else",
            self.in_force.clone(),
        );
        to.register(
            "sandbox_confirmed",
            "1 while the kernel says that the process' system calls are filtered; 0 also where it shows the engine nothing of it (ProtectProc=invisible)",
            self.confirmed.clone(),
        );
        to.register(
            "sandbox_landlock_abi",
            "The Landlock ABI in force in the engine's process; 0: none",
            self.landlock.clone(),
        );
    }

    /// Takes over what the engine says; nothing: it does not answer, and what is not known is not told.
    pub(super) fn take(&self, status: Option<&EngineStatus>) {
        for process in PARTS {
            let label = PartLabel { process };
            let part =
                status.and_then(|status| status.parts.iter().find(|part| part.name == process));
            match part.and_then(|part| part.sandbox.as_ref().map(|said| (part, said))) {
                Some((part, said)) => {
                    let in_force = said.is_in_force() && !part.contradicts_its_sandbox();
                    self.in_force.get_or_create(&label).set(i64::from(in_force));
                    self.confirmed
                        .get_or_create(&label)
                        .set(i64::from(part.is_filtered()));
                    self.landlock
                        .get_or_create(&label)
                        .set(i64::from(said.landlock_abi));
                }
                None => {
                    self.in_force.remove(&label);
                    self.confirmed.remove(&label);
                    self.landlock.remove(&label);
                }
            }
        }
    }
}
