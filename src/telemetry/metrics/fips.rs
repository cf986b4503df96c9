//! Figures of FIPS mode: those of [`FipsStatus`], so that page, command and metrics cannot say different things.

use crate::evidence::status::FipsStatus;
use fips::policy::{Mode, Service};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use std::sync::atomic::Ordering;

/// The processes that a connector can tell of. What calls itself otherwise gets no series.
const PROCESSES: [&str; 4] = ["connector", "supervisor", "custody", "formats"];

/// Labels `process`, `service`, `approved`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ServiceLabel {
    process: &'static str,
    service: &'static str,
    approved: &'static str,
}

/// Label `process`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ProcessLabel {
    process: &'static str,
}

/// The figures.
#[derive(Debug, Default)]
pub(super) struct FipsMetrics {
    strict: Gauge,
    level: Gauge,
    fault: Gauge,
    services: Family<ServiceLabel, Counter>,
    refused: Family<ProcessLabel, Counter>,
}

impl ServiceLabel {
    fn of(process: &'static str, service: Service) -> Self {
        let entry = service.entry();
        Self {
            process,
            service: entry.name,
            approved: if entry.standing.is_approved() {
                "true"
            } else {
                "false"
            },
        }
    }
}

impl FipsMetrics {
    pub(super) fn register(&self, to: &mut Registry) {
        to.register(
            "fips_strict",
            "1 while every process that reports is in strict FIPS mode",
            self.strict.clone(),
        );
        to.register(
            "fips_level",
            "What can be claimed: 0 unvalidated (or not known), 1 pending, 2 certified source in an untested environment, 3 certified",
            self.level.clone(),
        );
        to.register(
            "fips_fault",
            "1 when a self-test or the service indicator failed in a process",
            self.fault.clone(),
        );
        to.register(
            "fips_services",
            "Uses of each service of the policy table by process, since the process started; approved is the table's word",
            self.services.clone(),
        );
        to.register(
            "fips_refused",
            "Uses that were refused by the policy or after a fault, by process, since the process started",
            self.refused.clone(),
        );
        // The others come with what the engine says.
        self.set(&FipsStatus::of_connector(None, None), &["connector"]);
    }

    /// Takes over the figures of a status.
    pub(super) fn take(&self, status: &FipsStatus) {
        self.set(status, &[]);
    }

    fn set(&self, status: &FipsStatus, from_the_start: &[&str]) {
        self.strict
            .set(i64::from(status.mode == Mode::Strict.name()));
        self.level.set(i64::from(status.overall.level.rank()));
        self.fault
            .set(i64::from(!status.module_problems.is_empty()));
        for process in PROCESSES {
            let evidence = status.processes.iter().find(|said| said.process == process);
            if evidence.is_none() && !from_the_start.contains(&process) {
                // What is not known any more is not told any more.
                for service in Service::ALL {
                    self.services.remove(&ServiceLabel::of(process, service));
                }
                self.refused.remove(&ProcessLabel { process });
                continue;
            }
            for service in Service::ALL {
                let performed = evidence.map_or(0, |said| said.performed(service));
                store(
                    &self
                        .services
                        .get_or_create(&ServiceLabel::of(process, service)),
                    performed,
                );
            }
            let refused = evidence
                .iter()
                .flat_map(|said| &said.services)
                .map(|service| service.refused)
                .fold(0, u64::saturating_add);
            store(
                &self.refused.get_or_create(&ProcessLabel { process }),
                refused,
            );
        }
    }
}

/// Each process counts for itself; a figure that falls is a process that was started again, as Prometheus takes it.
fn store(counter: &Counter, value: u64) {
    counter.inner().store(value, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

    use crate::evidence::process::ProcessEvidence;
    use crate::evidence::status::FipsStatus;
    use crate::telemetry::metrics::Metrics;
    use fips::policy::Service;

    fn page(metrics: &Metrics, connector: Option<&ProcessEvidence>) -> String {
        metrics.take_fips_status(&FipsStatus::of_connector(connector, None));
        metrics.encode()
    }

    #[test]
    fn uses_are_told_by_process_and_service_and_forgotten_with_the_process() {
        let metrics = Metrics::new();
        let series = "fips_services_total{process=\"connector\",service=\"tls\",approved=\"true\"}";
        assert!(metrics.encode().contains(&format!("{series} 0\n")));
        let mut evidence = ProcessEvidence::of_this("connector");
        let tls = &mut evidence.services[Service::Tls as usize];
        (tls.done, tls.failed, tls.refused) = (3, 1, 2);
        let text = page(&metrics, Some(&evidence));
        assert!(text.contains(&format!("{series} 4\n")), "{text}");
        assert!(text.contains("fips_refused_total{process=\"connector\"}"));
        // It was started again.
        evidence.services[Service::Tls as usize].done = 0;
        assert!(page(&metrics, Some(&evidence)).contains(&format!("{series} 1\n")));
        let text = page(&metrics, None);
        assert!(!text.contains("process="), "{text}");
    }

    #[test]
    fn a_fault_and_a_mode_that_is_off_show() {
        let metrics = Metrics::new();
        let mut evidence = ProcessEvidence::of_this("connector");
        evidence.mode = "strict".to_owned();
        evidence.fault = None;
        for service in &mut evidence.services {
            service.disagreed = 0;
        }
        let text = page(&metrics, Some(&evidence));
        assert!(text.contains("fips_strict 1\n") && text.contains("fips_fault 0\n"));
        // The engine says nothing: nothing can be claimed.
        assert!(text.contains("fips_level 0\n"));
        evidence.mode = "off".to_owned();
        evidence.services[0].disagreed = 1;
        let text = page(&metrics, Some(&evidence));
        assert!(text.contains("fips_strict 0\n") && text.contains("fips_fault 1\n"));
    }
}
