//! The one thread that holds the supervisor's state: it takes events in their order and never waits for anybody.

use super::SupervisorError;
use super::callers::Callers;
use super::calls::Calls;
use super::event::Event;
use super::lane::Lane;
use super::listener::caller_of;
use super::manager::{Manager, Seen};
use super::module_fault::Ending;
use super::part::{EXIT_CONFIGURATION, Launch, Part, PartKind};
use super::program::Program;
use super::requests::Requests;
use super::status::{Outward, Reports};
use crate::config::EngineConfig;
use crate::engine::api::FailureCode;
use crate::engine::custody::{CustodyReport, request_threads};
use crate::engine::ipc::{Frame, Kind};
use crate::evidence::process::FaultEvidence;
use std::collections::HashSet;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};

/// How long requests in flight may take to finish once the engine is to stop.
const DRAIN_LIMIT: Duration = Duration::from_secs(10);
/// How long the answers may take to be written, and the parts to end by themselves.
const FAREWELL_LIMIT: Duration = Duration::from_secs(2);
/// How often it is looked whether they have.
const FAREWELL_PAUSE: Duration = Duration::from_millis(20);
/// Nothing is looked at less often than this.
const LONGEST_WAIT: Duration = Duration::from_secs(1);
const MODULE_OUT_OF_SERVICE: &str = "the engine's cryptographic module has failed: see its status and log; it does nothing before a restart";
const STOPPING: &str = "the engine is being stopped: ask again once it runs";

/// The supervisor's state.
#[derive(Debug)]
pub(super) struct Router<'a> {
    config: &'a EngineConfig,
    sandbox: sandbox::Report,
    callers: Callers,
    requests: Requests,
    custody: Part,
    formats: Part,
    custody_lane: Lane,
    /// Requests that custody holds: done, and their answers wait for their time, or not begun. They are in nobody's way.
    held: HashSet<u64>,
    /// Of these, which it has begun: suspects, should it die.
    working: HashSet<u64>,
    calls: Calls,
    reports: Reports,
    outward: Outward,
    answered: u64,
    /// A request with too little time was told of.
    told_of_haste: bool,
    stop: Option<Instant>,
    /// Why no cryptography is done any more; only a restart of the engine ends it.
    module_fault: Option<FaultEvidence>,
    failed: Option<SupervisorError>,
    manager: Manager,
    program: Option<Program>,
}

impl<'a> Router<'a> {
    pub(super) fn new(
        config: &'a EngineConfig,
        launches: (Launch, Launch),
        events: &SyncSender<Event>,
        sandbox: sandbox::Report,
    ) -> Self {
        let (custody, formats) = launches;
        Self {
            config,
            sandbox,
            callers: Callers::new(events.clone()),
            requests: Requests::new(config.max_in_flight),
            custody: Part::new(PartKind::Custody, custody, config.restart, events.clone()),
            formats: Part::new(PartKind::Formats, formats, config.restart, events.clone()),
            custody_lane: Lane::new(request_threads(config)),
            held: HashSet::new(),
            working: HashSet::new(),
            calls: Calls::new(),
            reports: Reports::default(),
            outward: Outward::default(),
            answered: 0,
            told_of_haste: false,
            stop: None,
            module_fault: None,
            failed: None,
            manager: Manager::default(),
            program: None,
        }
    }

    /// The same, with somebody to be told how it fares.
    pub(super) fn told_to(self, manager: Manager) -> Self {
        Self { manager, ..self }
    }

    /// The same, with the program that this process runs, to be told of.
    pub(super) fn running(self, program: Program) -> Self {
        Self {
            program: Some(program),
            ..self
        }
    }

    /// Works until asked to stop and what was in flight is answered, or a bound is reached.
    pub(super) fn run(
        &mut self,
        events: &Receiver<Event>,
        mut stop_accepting: impl FnMut(),
    ) -> Result<(), SupervisorError> {
        loop {
            let now = Instant::now();
            self.tick(now);
            if self.failed.is_some() && self.stop.is_none() {
                self.stop = Some(now);
            }
            self.tell_manager(now);
            if let Some(since) = self.stop {
                stop_accepting();
                if self.failed.is_some()
                    || self.has_nothing_left()
                    || now.duration_since(since) >= DRAIN_LIMIT
                {
                    break;
                }
            }
            let wait = self
                .next_tick(now)
                .saturating_duration_since(now)
                .min(LONGEST_WAIT);
            match events.recv_timeout(wait) {
                Ok(event) => self.handle(event, Instant::now()),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        self.farewell(events);
        let fault = self.module_fault.as_ref().map(module_error);
        self.failed.take().or(fault).map_or(Ok(()), Err)
    }

    fn tell_manager(&mut self, now: Instant) {
        let seen = Seen {
            custody: self.custody.is_ready(),
            formats: self.formats.is_ready(),
            module_fault: self.module_fault.as_ref().map(|fault| fault.code.as_str()),
            stopping: self.stop.is_some(),
        };
        self.manager.look(seen, now);
    }

    fn handle(&mut self, event: Event, now: Instant) {
        match event {
            Event::ClientNew(stream, uid) => {
                self.callers
                    .admit(stream, uid, caller_of(uid, &self.config.allowed_uids));
            }
            Event::ClientFrame(caller, frame) => {
                if self.callers.take(caller, &frame) {
                    self.take_from_caller(caller, frame, now);
                }
            }
            Event::ClientGone(caller) => {
                self.callers.drop_caller(caller);
                self.reports.forget(caller);
                for id in self.requests.ids(|pending| pending.caller == caller) {
                    self.abandon(id);
                }
            }
            Event::PartFrame(PartKind::Custody, generation, frame) => {
                if self.custody.is_current(generation) {
                    self.custody.heard(&frame, now);
                    self.take_from_custody(frame, now);
                }
            }
            Event::PartFrame(PartKind::Formats, generation, frame) => {
                if self.formats.is_current(generation) {
                    self.formats.heard(&frame, now);
                    self.take_from_formats(frame, now);
                }
            }
            Event::PartGone(kind, generation) => self.part_gone(kind, generation, now),
            Event::PartReaped(kind, generation, ending) => {
                self.part_reaped(kind, generation, &ending, now);
            }
            Event::Stop => {
                tracing::info!(in_flight = self.requests.len(), "stopping");
                // Who asks twice does not want to wait.
                self.stop = match self.stop {
                    None => Some(now),
                    Some(since) => Some(now.checked_sub(DRAIN_LIMIT).unwrap_or(since)),
                };
            }
        }
    }

    fn take_from_caller(&mut self, caller: u64, frame: Frame, now: Instant) {
        match frame.kind {
            Kind::Ping => self.callers.send(caller, Frame::bare(Kind::Pong, frame.id)),
            Kind::Status => self.ask_parts(caller, frame.id, now),
            Kind::Request if self.module_fault.is_some() => self.callers.send_failure(
                caller,
                frame.id,
                FailureCode::ModuleOutOfService,
                MODULE_OUT_OF_SERVICE,
            ),
            Kind::Request if self.stop.is_some() => {
                self.callers
                    .send_failure(caller, frame.id, FailureCode::Busy, STOPPING);
            }
            Kind::Request => {
                self.look_at_its_time(&frame);
                let frame_id = frame.id;
                let Some(uid) = self.callers.uid(caller) else {
                    return;
                };
                match self.requests.insert(caller, uid, frame, now) {
                    Some(id) => self.custody_lane.push(id),
                    None => self.callers.send_failure(
                        caller,
                        frame_id,
                        FailureCode::Busy,
                        "too many requests are in flight: ask again later (max_in_flight)",
                    ),
                }
            }
            _ => {}
        }
    }

    fn take_from_custody(&mut self, frame: Frame, now: Instant) {
        match frame.kind {
            Kind::Held => self.answer_is_held(frame.id),
            Kind::Working if self.requests.get(frame.id).is_some() => {
                self.working.insert(frame.id);
            }
            Kind::Reply => {
                self.custody_lane.done(frame.id);
                self.held.remove(&frame.id);
                self.working.remove(&frame.id);
                if let Some(pending) = self.requests.remove(frame.id) {
                    self.answered = self.answered.saturating_add(1);
                    let reply = Frame::with_payload(Kind::Reply, pending.frame_id, frame.payload);
                    self.callers.send(pending.caller, reply);
                }
            }
            // Not begun, or begun and not to blame for the end of the process that says so.
            Kind::GivenBack => {
                self.held.remove(&frame.id);
                self.working.remove(&frame.id);
                if self.requests.get(frame.id).is_some() {
                    self.custody_lane.give_back(frame.id);
                } else {
                    self.custody_lane.done(frame.id);
                }
            }
            // A long call follows a use of the key, whose outcome counts also when nobody waits for the request any more.
            Kind::Call if self.requests.get(frame.id).is_none() => {
                self.custody.send(Frame::bare(Kind::Abandoned, frame.id));
            }
            Kind::Call | Kind::LongCall => self.calls.push(frame.id, frame.kind, frame.payload),
            Kind::Status => match serde_json::from_slice::<CustodyReport>(&frame.payload) {
                Ok(report) => {
                    if let Some(fault) = report.fips.as_ref().and_then(|fips| fips.fault.clone()) {
                        self.module_failed(fault);
                    }
                    self.reports.take_custody(report);
                    self.report_if_complete(now);
                }
                Err(error) => tracing::error!(%error, "custody's report is none of this release"),
            },
            _ => {}
        }
    }

    /// Custody keeps a request beside its places; its answer comes later. One that has a single chance left is kept in hand, alone.
    fn answer_is_held(&mut self, id: u64) {
        let max = self.config.restart.max_crashes_per_request;
        if !has_last_chance(&self.requests, max, id)
            && self.custody_lane.done(id)
            && self.requests.get(id).is_some()
        {
            self.held.insert(id);
        }
    }

    fn take_from_formats(&mut self, frame: Frame, now: Instant) {
        if frame.kind == Kind::Status {
            self.reports.take_formats(&frame.payload);
            self.report_if_complete(now);
            return;
        }
        if frame.kind == Kind::Return
            && let Some(request) = self.calls.done(frame.id)
        {
            self.custody
                .send(Frame::with_payload(Kind::Return, request, frame.payload));
        }
    }

    /// A part's connection is over: it is killed if it is not dead already, and what it had in hand goes to its successor.
    fn part_gone(&mut self, kind: PartKind, generation: u64, now: Instant) {
        let part = match kind {
            PartKind::Custody => &mut self.custody,
            PartKind::Formats => &mut self.formats,
        };
        if !part.is_current(generation) || part.pid().is_none() {
            return;
        }
        if self.stop.is_none() {
            tracing::error!(part = kind.name(), pid = part.pid(), "the part has died");
        }
        part.kill(now);
        self.lost(kind);
    }

    fn lost(&mut self, kind: PartKind) {
        match kind {
            PartKind::Custody => {
                self.calls.custody_lost();
                // Their answers are lost with it. It was done with them or had not begun, so they are no suspects; those begun are.
                let mut held: Vec<_> = self.held.drain().collect();
                let working = std::mem::take(&mut self.working);
                held.sort_unstable_by(|one, other| other.cmp(one));
                for id in held {
                    let goes_on = if working.contains(&id) {
                        self.survives(id)
                    } else {
                        self.requests.get(id).is_some()
                    };
                    if goes_on {
                        self.custody_lane.give_back(id);
                    }
                }
                for id in self.custody_lane.lost().into_iter().rev() {
                    if self.survives(id) {
                        self.custody_lane.give_back(id);
                    }
                }
            }
            PartKind::Formats => {
                for lost in self.calls.formats_lost() {
                    let goes_on = lost.request.is_some_and(|request| {
                        if self.requests.get(request).is_some() {
                            self.survives(request)
                        } else {
                            lost.crashes < self.config.restart.max_crashes_per_request
                        }
                    });
                    if goes_on {
                        self.calls.give_back(lost.id);
                        continue;
                    }
                    self.calls.remove(lost.id);
                    if let Some(request) = lost.request {
                        self.custody.send(Frame::bare(Kind::GivenBack, request));
                    }
                }
            }
        }
    }

    /// Counts one more death over a request; when there were too many, the caller is told and the request is over.
    fn survives(&mut self, id: u64) -> bool {
        let Some(crashes) = self.requests.crashed(id) else {
            return false;
        };
        if crashes < self.config.restart.max_crashes_per_request {
            return true;
        }
        tracing::error!(
            request = id,
            crashes,
            "a request is given up: parts died over it"
        );
        self.fail(
            id,
            FailureCode::EngineFault,
            "the engine's processes died over this request repeatedly: see the engine's log",
        );
        false
    }

    fn fail(&mut self, id: u64, code: FailureCode, message: &str) {
        if let Some(pending) = self.requests.get(id) {
            let (caller, frame_id) = (pending.caller, pending.frame_id);
            self.answered = self.answered.saturating_add(1);
            self.callers.send_failure(caller, frame_id, code, message);
        }
        self.abandon(id);
    }

    /// Nobody waits for this request any more.
    fn abandon(&mut self, id: u64) {
        self.requests.remove(id);
        self.calls.abandon(id);
        if self.custody_lane.forget(id) {
            // Custody still answers it, to nobody: only then is its thread known to be free.
            self.custody.send(Frame::bare(Kind::Abandoned, id));
        }
    }

    /// The cryptographic module has failed in a part: every request is refused from now on, and custody is not started again.
    fn module_failed(&mut self, fault: FaultEvidence) {
        if self.module_fault.is_some() {
            return;
        }
        tracing::error!(
            code = fault.code,
            "THE CRYPTOGRAPHIC MODULE HAS FAILED; custody is stopped until the engine is restarted: {}",
            fault.message
        );
        if !self.custody.was_ever_ready() && self.stop.is_none() {
            // Nobody was served yet: it does not start.
            self.failed = Some(module_error(&fault));
        }
        self.module_fault = Some(fault);
        for id in self.requests.ids(|_| true) {
            self.fail(id, FailureCode::ModuleOutOfService, MODULE_OUT_OF_SERVICE);
        }
    }

    fn part_reaped(&mut self, kind: PartKind, generation: u64, ending: &Ending, now: Instant) {
        let code = ending.code;
        tracing::warn!(part = kind.name(), ?code, "the part's process has ended");
        if ending.broke_out {
            tracing::error!(
                part = kind.name(),
                "the part was killed (SIGSYS): it made a system call that its sandbox does not allow"
            );
        }
        if let Some(fault) = &ending.fault {
            self.module_failed(fault.clone());
        }
        let part = match kind {
            PartKind::Custody => &mut self.custody,
            PartKind::Formats => &mut self.formats,
        };
        part.reaped(generation, now);
        if code == Some(EXIT_CONFIGURATION) && !part.was_ever_ready() && self.stop.is_none() {
            self.failed = Some(SupervisorError::PartConfiguration(kind.name()));
        }
    }

    /// Whether a part that is down stays down.
    fn is_stopping(&self) -> bool {
        (self.stop.is_some() && self.has_nothing_left()) || self.module_fault.is_some()
    }

    /// Nobody waits for an answer, and custody for none about a use of the key.
    fn has_nothing_left(&self) -> bool {
        self.requests.len() == 0 && !self.calls.is_any_wanted()
    }

    fn tick(&mut self, now: Instant) {
        let stopping = self.is_stopping();
        let unresponsive = Duration::from_millis(self.config.restart.unresponsive_ms);
        if self.custody.tick(now, stopping) {
            self.lost(PartKind::Custody);
        }
        let overdue = self
            .calls
            .overdue_at(unresponsive)
            .is_some_and(|at| at <= now);
        if overdue {
            tracing::error!(
                "the formats part takes too long over a certificate or a PFX and is killed"
            );
            self.formats.kill(now);
        }
        if self.formats.tick(now, stopping) || overdue {
            self.lost(PartKind::Formats);
        }
        for id in self.requests.ids(|pending| pending.deadline <= now) {
            self.fail(
                id,
                FailureCode::DeadlineExceeded,
                "the deadline passed before the engine had an answer",
            );
        }
        if self.reports.until().is_some_and(|until| until <= now) {
            self.report(now);
        }
        self.hand_out(now);
    }

    fn hand_out(&mut self, now: Instant) {
        let max = self.config.restart.max_crashes_per_request;
        let requests = &self.requests;
        let last_chance = |id: u64| has_last_chance(requests, max, id);
        while self.custody.is_ready() {
            let Some(id) = self.custody_lane.next(now, last_chance) else {
                break;
            };
            let Some(pending) = requests.get(id) else {
                self.custody_lane.done(id);
                continue;
            };
            let left = pending.deadline.saturating_duration_since(now).as_millis();
            let mut frame = Frame::with_payload(Kind::Request, id, pending.payload.clone());
            frame.verb = pending.verb;
            frame.time_left_ms = u32::try_from(left).unwrap_or(u32::MAX).max(1);
            frame.caller = pending.asker;
            self.custody.send(frame);
        }
        while self.formats.is_ready() {
            let suspect =
                |request: u64, crashes: u32| last_chance(request) || is_last(crashes, max);
            let Some((id, kind, payload)) = self.calls.next(now, suspect) else {
                break;
            };
            self.formats.send(Frame::with_payload(kind, id, payload));
        }
    }

    fn next_tick(&self, now: Instant) -> Instant {
        let unresponsive = Duration::from_millis(self.config.restart.unresponsive_ms);
        let stopping = self.is_stopping();
        [
            self.custody.next_tick(stopping),
            self.formats.next_tick(stopping),
            self.calls.overdue_at(unresponsive),
            self.requests.next_deadline(),
            self.reports.until(),
            self.manager.next(),
            self.stop.map(|since| since + DRAIN_LIMIT),
        ]
        .into_iter()
        .flatten()
        .min()
        .unwrap_or(now + LONGEST_WAIT)
    }

    /// Answers what is left, lets the answers be written, and ends the parts: by closing their connections, then by force.
    fn farewell(&mut self, events: &Receiver<Event>) {
        for id in self.requests.ids(|_| true) {
            self.fail(id, FailureCode::Busy, STOPPING);
        }
        self.report(Instant::now());
        self.custody.close();
        self.formats.close();
        let until = Instant::now() + FAREWELL_LIMIT;
        while !(self.custody.has_ended() && self.formats.has_ended() && self.callers.all_drained())
        {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            // What still happens is of no consequence, but whoever reports it must not be kept waiting.
            match events.recv_timeout(left.min(FAREWELL_PAUSE)) {
                Ok(_) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        self.custody.end();
        self.formats.end();
    }
}

/// Whether one more death over this request is the last.
fn has_last_chance(requests: &Requests, max: u32, id: u64) -> bool {
    requests
        .get(id)
        .is_some_and(|pending| is_last(pending.crashes, max))
}

/// Whether one more death after so many is the last.
const fn is_last(crashes: u32, max: u32) -> bool {
    crashes > 0 && crashes.saturating_add(1) >= max
}

fn module_error(fault: &FaultEvidence) -> SupervisorError {
    SupervisorError::Module {
        code: fault.code.clone(),
        message: fault.message.clone(),
    }
}

mod reporting;
#[cfg(test)]
mod tests;
