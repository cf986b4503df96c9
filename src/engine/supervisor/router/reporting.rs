//! Who asks for the engine's report is answered once the parts have said what they have to say, or have taken too long.

use super::super::program::Program;
use super::super::status::{Asked, Counters, compose};
use super::Router;
use crate::engine::api::{EngineReply, EngineStatus, FailureCode};
use crate::engine::ipc::{Frame, Kind};
use audit::Verb;
use audit::verb::CallerKind;
use std::time::Instant;

const TOO_MANY_REPORTS: &str =
    "this connection has not taken the reports that it asked for before: ask again when it has";

impl Router<'_> {
    /// Tells once of a device's request that one call that hangs would be the end of.
    pub(super) fn look_at_its_time(&mut self, frame: &Frame) {
        let is_for_device = matches!(frame.verb, Some(Verb::Recrypt | Verb::Deliver | Verb::Pack));
        if self.told_of_haste || !is_for_device || frame.time_left_ms == 0 {
            return;
        }
        let timeout_ms = u64::from(frame.time_left_ms);
        if let Some(problem) = self.config.restart.too_little_time(timeout_ms) {
            self.told_of_haste = true;
            tracing::warn!("{problem} (`connector.engine_timeout_ms`)");
        }
    }

    /// Somebody wants the engine's report.
    pub(super) fn ask_parts(&mut self, caller: u64, frame_id: u64, now: Instant) {
        let asked = if self.callers.is_behind(caller) {
            Asked::TooMany
        } else {
            self.reports.ask(caller, frame_id, now)
        };
        match asked {
            Asked::First => {
                let formats = self.formats.send(Frame::bare(Kind::Status, 0));
                let custody = self.custody.send(Frame::bare(Kind::Status, 0));
                self.reports.asked(custody, formats);
                self.report_if_complete(now);
            }
            Asked::Waits => {}
            Asked::TooMany => {
                self.callers
                    .send_failure(caller, frame_id, FailureCode::Busy, TOO_MANY_REPORTS);
            }
        }
    }

    pub(super) fn report_if_complete(&mut self, now: Instant) {
        if self.reports.is_complete() {
            self.report(now);
        }
    }

    /// Answers everybody who waits for a report, with what has come and they may know. It is written once for all who are told the same.
    pub(super) fn report(&mut self, now: Instant) {
        let due = self.reports.take();
        if due.waiting.is_empty() {
            return;
        }
        let counters = Counters {
            answered: self.answered,
            in_flight: u64::try_from(self.requests.len()).unwrap_or(u64::MAX),
        };
        let said = (due.custody, due.formats);
        let mut status = compose(
            self.config,
            &self.custody,
            &self.formats,
            counters,
            said,
            &self.sandbox,
        );
        status.module_fault.clone_from(&self.module_fault);
        status.program = self.program.as_ref().map(Program::status);
        let (own, others): (Vec<_>, Vec<_>) = due
            .waiting
            .into_iter()
            .partition(|(caller, _)| self.callers.is(*caller, CallerKind::EngineUser));
        if !others.is_empty() {
            let told = self.outward.of(status.clone(), now);
            self.tell(&others, told);
        }
        if !own.is_empty() {
            self.tell(&own, status);
        }
    }

    fn tell(&mut self, waiting: &[(u64, u64)], status: EngineStatus) {
        let reply = EngineReply::Status(Box::new(status));
        match Frame::json(Kind::Reply, 0, &reply) {
            Ok(Frame { payload, .. }) => {
                for (caller, frame_id) in waiting {
                    let frame = Frame::with_payload(Kind::Reply, *frame_id, payload.clone());
                    self.callers.send(*caller, frame);
                }
            }
            Err(error) => tracing::error!(%error, "the report cannot be told"),
        }
    }
}
