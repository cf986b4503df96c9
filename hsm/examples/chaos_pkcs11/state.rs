//! The simulated token: what the script has done to it so far.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Write as _;

use cryptoki_sys::{
    CK_FLAGS, CK_OBJECT_HANDLE, CK_RV, CK_SESSION_HANDLE, CK_SLOT_ID, CKF_USER_PIN_COUNT_LOW,
    CKF_USER_PIN_FINAL_TRY, CKF_USER_PIN_LOCKED, CKR_GENERAL_ERROR, CKR_OBJECT_HANDLE_INVALID,
    CKR_SESSION_HANDLE_INVALID, CKR_TOKEN_NOT_PRESENT,
};

use crate::codes;
use crate::journal::Journal;
use crate::pin::PinCounter;
use crate::script::{Fault, Script, When};

/// The calls that a report shows.
const TRACED: usize = 100;

/// What a call is about.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subject {
    Library,
    Slot,
    Session(CK_SESSION_HANDLE),
}

/// What is done to the real module when a fault begins, while no call runs there.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Deed {
    Logout(CK_SESSION_HANDLE),
    CloseAllSessions(CK_SLOT_ID),
}

/// What happens to one call.
#[derive(Default)]
pub(crate) struct Plan {
    pub(crate) deeds: Vec<Deed>,
    pub(crate) delay_ms: u64,
    pub(crate) hang: bool,
    pub(crate) crash: Option<Fault>,
    pub(crate) instead: Option<CK_RV>,
    pub(crate) afterwards: Option<CK_RV>,
    pub(crate) truncate: Option<u64>,
    pub(crate) lie: bool,
}

struct Returning {
    function: String,
    code: CK_RV,
    left: u64,
    afterwards: bool,
}

struct Window {
    fault: Fault,
    from_ms: u64,
    until_ms: u64,
}

#[derive(PartialEq, Eq)]
enum Presence {
    Present,
    Away(CK_RV),
    /// Back, but what was there is not found before the next C_Initialize.
    Stale,
}

pub(crate) struct Session {
    pub(crate) slot: CK_SLOT_ID,
    /// Calls that use it now: two are a fault of the caller (PKCS#11, section 5.1).
    busy: u32,
    /// The operation that C_DecryptInit began is CKM_RSA_X_509.
    pub(crate) raw: bool,
}

impl Session {
    pub(crate) const fn new(slot: CK_SLOT_ID) -> Self {
        Self {
            slot,
            busy: 0,
            raw: false,
        }
    }
}

struct Traced {
    at_ms: u64,
    function: &'static str,
    session: Option<CK_SESSION_HANDLE>,
    rv: CK_RV,
    by_script: bool,
}

pub(crate) struct State {
    script: Script,
    fired: Vec<bool>,
    counts: BTreeMap<&'static str, u64>,
    now_ms: u64,
    returning: Vec<Returning>,
    windows: Vec<Window>,
    truncate_raw: Option<u64>,
    pub(crate) sessions: BTreeMap<CK_SESSION_HANDLE, Session>,
    running: u32,
    initialised_at_ms: u64,
    initialisations: u64,
    /// Objects were found since the last C_Initialize: a library that needs a new one has read the token before.
    has_shown_objects: bool,
    pub(crate) slot_mask: CK_SLOT_ID,
    next_slot_mask: Option<CK_SLOT_ID>,
    /// Handles that are known since they were made invalid; `None`: all are.
    known: Option<BTreeSet<CK_OBJECT_HANDLE>>,
    pub(crate) pin: PinCounter,
    pub(crate) hanging: u32,
    /// Counted up when hanging calls are ended.
    pub(crate) ended_hangs: u64,
    /// A hang was ended: as for a process that was replaced, nothing works before the next C_Initialize.
    dead: bool,
    /// The next C_Initialize stands for that of another process.
    other_process: bool,
    violations: Vec<String>,
    trace: VecDeque<Traced>,
    journal: Option<Journal>,
}

impl State {
    pub(crate) const fn new() -> Self {
        Self {
            script: Script {
                seed: 0,
                tries: 10,
                pin: None,
                events: Vec::new(),
            },
            fired: Vec::new(),
            counts: BTreeMap::new(),
            now_ms: 0,
            returning: Vec::new(),
            windows: Vec::new(),
            truncate_raw: None,
            sessions: BTreeMap::new(),
            running: 0,
            initialised_at_ms: 0,
            initialisations: 0,
            has_shown_objects: false,
            slot_mask: 0,
            next_slot_mask: None,
            known: None,
            pin: PinCounter::new(),
            hanging: 0,
            ended_hangs: 0,
            dead: false,
            other_process: false,
            violations: Vec::new(),
            trace: VecDeque::new(),
            journal: None,
        }
    }

    /// Begins a script; time and counters start at zero, and all that the last script did to the token is undone.
    pub(crate) fn begin_script(&mut self, script: Script) {
        *self = Self {
            fired: vec![false; script.events.len()],
            pin: PinCounter::with_tries(script.tries),
            script,
            sessions: std::mem::take(&mut self.sessions),
            running: self.running,
            ended_hangs: self.ended_hangs,
            initialisations: self.initialisations,
            has_shown_objects: self.has_shown_objects,
            other_process: true,
            ..Self::new()
        };
    }

    /// As [`begin_script`](Self::begin_script), of whose events some have been in processes before this one. Time is the
    /// system's.
    pub(crate) fn resume_script(&mut self, script: Script, journal: Journal) {
        self.begin_script(script);
        self.pin.replay(&journal);
        self.now_ms = journal.now_ms();
        let done = journal.done().to_vec();
        self.journal = Some(journal);
        for (index, at_ms) in done {
            if let Some(fired) = self.fired.get_mut(index) {
                *fired = true;
            }
            if let Some(event) = self.script.events.get(index).cloned() {
                // What happened to calls and sessions of another process is over; what happened to the token is not.
                let _ = self.apply(&event.fault, index, None, at_ms);
            }
        }
        self.returning.clear();
        if let Some(mask) = self.next_slot_mask.take() {
            self.slot_mask = mask;
        }
    }

    pub(crate) fn is_simulated(&self) -> bool {
        self.journal.is_none()
    }

    pub(crate) fn journal(&mut self) -> Option<&mut Journal> {
        self.journal.as_mut()
    }

    pub(crate) fn now_ms(&self) -> u64 {
        match &self.journal {
            Some(journal) => journal.now_ms(),
            None => self.now_ms,
        }
    }

    pub(crate) fn advance(&mut self, ms: u64) {
        self.now_ms = self.now_ms.saturating_add(ms);
    }

    /// Nothing more goes wrong, and what went wrong for a time is over. What was done to the token stays done.
    pub(crate) fn end_faults(&mut self) {
        self.fired.fill(true);
        self.returning.clear();
        self.truncate_raw = None;
        let now_ms = self.now_ms();
        for window in &mut self.windows {
            window.until_ms = window.until_ms.min(now_ms);
        }
    }

    /// The PIN that the script gives the token.
    pub(crate) fn script_pin(&self) -> Option<Vec<u8>> {
        Some(self.script.pin.as_ref()?.clone().into_bytes())
    }

    /// Whether the next C_Initialize stands for that of another process.
    pub(crate) const fn is_other_process(&self) -> bool {
        self.other_process
    }

    pub(crate) fn replace_process(&mut self) {
        self.ended_hangs += 1;
        self.hanging = 0;
        self.dead = true;
        self.other_process = true;
    }

    /// Counts a call of `function`, lets everything happen that is due, and says what becomes of the call.
    pub(crate) fn begin_call(&mut self, function: &'static str) -> Plan {
        self.advance(1);
        if let Some(journal) = &mut self.journal {
            journal.called(function);
        }
        let now_ms = self.now_ms();
        let count = self.counts.entry(function).or_default();
        *count += 1;
        let count = *count;
        let mut plan = Plan::default();
        for index in 0..self.script.events.len() {
            let (Some(event), Some(false)) = (
                self.script.events.get(index),
                self.fired.get(index).copied(),
            ) else {
                continue;
            };
            let is_due = match &event.when {
                When::AtMs(at_ms) => *at_ms <= now_ms,
                When::Call {
                    number,
                    function: wanted,
                } => wanted == function && *number == count,
            };
            if !is_due {
                continue;
            }
            let fault = event.fault.clone();
            if let Some(fired) = self.fired.get_mut(index) {
                *fired = true;
            }
            if let Some(journal) = &mut self.journal {
                journal.write(&format!("done {index} {now_ms}"));
            }
            let of_call = self.apply(&fault, index, Some(function), now_ms);
            plan.deeds.extend(of_call.deeds);
            plan.delay_ms += of_call.delay_ms;
            plan.hang |= of_call.hang;
            plan.crash = plan.crash.or(of_call.crash);
            plan.truncate = plan.truncate.or(of_call.truncate);
            plan.lie |= of_call.lie;
        }
        for returning in &mut self.returning {
            if returning.function == function && returning.left > 0 {
                returning.left -= 1;
                let answer = if returning.afterwards {
                    &mut plan.afterwards
                } else {
                    &mut plan.instead
                };
                answer.get_or_insert(returning.code);
                break;
            }
        }
        plan
    }

    fn apply(
        &mut self,
        fault: &Fault,
        index: usize,
        function: Option<&'static str>,
        now_ms: u64,
    ) -> Plan {
        let mut plan = Plan::default();
        let last = |state: &mut Self, ms: u64| {
            state.windows.push(Window {
                fault: fault.clone(),
                from_ms: now_ms,
                until_ms: now_ms.saturating_add(ms),
            });
        };
        match fault {
            Fault::Return { code, calls } | Fault::AfterwardsReturn { code, calls } => {
                self.returning.push(Returning {
                    function: function.unwrap_or_default().to_owned(),
                    code: codes::value(code).unwrap_or(CKR_GENERAL_ERROR),
                    left: *calls,
                    afterwards: matches!(fault, Fault::AfterwardsReturn { .. }),
                });
            }
            Fault::Delay { ms } => plan.delay_ms = *ms,
            Fault::Hang => plan.hang = true,
            Fault::Truncate { by } if function == Some("C_Decrypt") => {
                self.truncate_raw = Some(*by)
            }
            Fault::Truncate { by } => plan.truncate = Some(*by),
            Fault::LieAboutLength => plan.lie = true,
            Fault::Abort | Fault::Segfault => plan.crash = Some(fault.clone()),
            Fault::ForgetLogin => {
                // One is enough: the login is the application's (PKCS#11, C_Logout).
                plan.deeds
                    .extend(self.sessions.keys().next().copied().map(Deed::Logout));
            }
            Fault::DropSessions => plan.deeds = self.close_all(),
            Fault::InvalidateHandles => self.known = Some(BTreeSet::new()),
            Fault::RenumberSlots { at_initialisation } => {
                // Far from every number that a module gives by itself.
                let mask = CK_SLOT_ID::try_from(index + 1).unwrap_or(1) << 40;
                if *at_initialisation {
                    self.next_slot_mask = Some(mask);
                    last(self, 0);
                } else {
                    self.slot_mask = mask;
                    plan.deeds = self.close_all();
                }
            }
            Fault::RotatePin => self.pin.rotate(),
            Fault::Gone { ms, .. } => {
                last(self, *ms);
                plan.deeds = self.close_all();
            }
            Fault::OtherSerial { ms }
            | Fault::CountLow { ms }
            | Fault::FinalTry { ms }
            | Fault::Locked { ms } => last(self, *ms),
        }
        plan
    }

    fn close_all(&mut self) -> Vec<Deed> {
        let slots: BTreeSet<_> = self.sessions.values().map(|session| session.slot).collect();
        slots.into_iter().map(Deed::CloseAllSessions).collect()
    }

    fn lasts(&self, wanted: impl Fn(&Fault) -> bool) -> bool {
        let now_ms = self.now_ms();
        self.windows.iter().any(|window| {
            (window.from_ms..window.until_ms).contains(&now_ms) && wanted(&window.fault)
        })
    }

    fn presence(&self) -> Presence {
        let now_ms = self.now_ms();
        let mut presence = Presence::Present;
        for window in &self.windows {
            let (saying, until_reinitialised) = match &window.fault {
                Fault::Gone {
                    saying,
                    until_reinitialised,
                    ..
                } => (saying.as_str(), *until_reinitialised),
                Fault::RenumberSlots { .. } => ("", true),
                _ => continue,
            };
            if (window.from_ms..window.until_ms).contains(&now_ms) {
                return Presence::Away(codes::value(saying).unwrap_or(CKR_GENERAL_ERROR));
            }
            if until_reinitialised
                && now_ms >= window.until_ms
                && self.initialised_at_ms < window.until_ms
            {
                presence = Presence::Stale;
            }
        }
        presence
    }

    /// Why a call is refused without asking the real module.
    pub(crate) fn refuses(&self, function: &str, subject: Subject) -> Option<CK_RV> {
        const LIFE: [&str; 4] = [
            "C_Initialize",
            "C_Finalize",
            "C_CloseSession",
            "C_CloseAllSessions",
        ];
        if self.dead && !LIFE.contains(&function) {
            return Some(CKR_GENERAL_ERROR);
        }
        match (self.presence(), subject) {
            (Presence::Away(_), Subject::Slot) => Some(CKR_TOKEN_NOT_PRESENT),
            (Presence::Away(_), Subject::Session(_)) if LIFE.contains(&function) => {
                Some(CKR_SESSION_HANDLE_INVALID)
            }
            (Presence::Away(rv), Subject::Session(_)) => Some(rv),
            _ => None,
        }
    }

    pub(crate) fn is_away(&self) -> bool {
        matches!(self.presence(), Presence::Away(_))
    }

    pub(crate) fn hides_objects(&self) -> bool {
        self.has_shown_objects && self.presence() == Presence::Stale
    }

    pub(crate) fn has_other_serial(&self) -> bool {
        self.lasts(|fault| matches!(fault, Fault::OtherSerial { .. }))
    }

    pub(crate) fn pin_flags(&self) -> CK_FLAGS {
        let mut flags = self.pin.flags();
        if self.lasts(|fault| matches!(fault, Fault::CountLow { .. })) {
            flags |= CKF_USER_PIN_COUNT_LOW;
        }
        if self.is_at_final_try() {
            flags |= CKF_USER_PIN_COUNT_LOW | CKF_USER_PIN_FINAL_TRY;
        }
        if self.is_locked() {
            flags |= CKF_USER_PIN_LOCKED;
        }
        flags
    }

    pub(crate) fn is_at_final_try(&self) -> bool {
        self.lasts(|fault| matches!(fault, Fault::FinalTry { .. }))
    }

    pub(crate) fn is_locked(&self) -> bool {
        self.pin.is_locked() || self.lasts(|fault| matches!(fault, Fault::Locked { .. }))
    }

    /// Why an object's handle is refused.
    pub(crate) fn refuses_object(&self, object: CK_OBJECT_HANDLE, rv: CK_RV) -> Option<CK_RV> {
        if self.hides_objects() {
            return Some(CKR_OBJECT_HANDLE_INVALID);
        }
        let known = self.known.as_ref()?;
        (!known.contains(&object)).then_some(rv)
    }

    /// A handle that the real module has just given out.
    pub(crate) fn learn_object(&mut self, object: CK_OBJECT_HANDLE) {
        self.has_shown_objects = true;
        if let Some(known) = &mut self.known {
            known.insert(object);
        }
    }

    /// What a raw decryption loses, once.
    pub(crate) fn take_truncation_of_raw(&mut self, session: CK_SESSION_HANDLE) -> Option<u64> {
        match self.sessions.get(&session) {
            Some(session) if session.raw => self.truncate_raw.take(),
            _ => None,
        }
    }

    /// A call goes to the real module.
    pub(crate) fn enter(&mut self, function: &'static str, subject: Subject) {
        if matches!(function, "C_Initialize" | "C_Finalize") {
            let others = self.running + if self.dead { 0 } else { self.hanging };
            if others > 0 {
                self.violated(format!("{function} while {others} other calls run"));
            }
        }
        self.running += 1;
        if let Subject::Session(handle) = subject
            && let Some(session) = self.sessions.get_mut(&handle)
        {
            session.busy += 1;
            if session.busy > 1 {
                self.violated(format!(
                    "{function}: session {handle} is used by two at once"
                ));
            }
        }
    }

    /// It is back.
    pub(crate) fn leave(&mut self, function: &'static str, subject: Subject, rv: CK_RV) {
        self.running = self.running.saturating_sub(1);
        if let Subject::Session(handle) = subject
            && let Some(session) = self.sessions.get_mut(&handle)
        {
            session.busy = session.busy.saturating_sub(1);
        }
        self.record(function, subject, rv, false);
    }

    pub(crate) fn initialised(&mut self) {
        self.sessions.clear();
        self.initialisations += 1;
        self.initialised_at_ms = self.now_ms();
        self.has_shown_objects = false;
        self.dead = false;
        self.other_process = false;
        if let Some(mask) = self.next_slot_mask.take() {
            self.slot_mask = mask;
        }
    }

    fn violated(&mut self, what: String) {
        if let Some(journal) = &mut self.journal {
            journal.write(&format!("violation {what}"));
        }
        self.violations.push(what);
    }

    pub(crate) fn record(
        &mut self,
        function: &'static str,
        subject: Subject,
        rv: CK_RV,
        by_script: bool,
    ) {
        if self.trace.len() >= TRACED {
            self.trace.pop_front();
        }
        self.trace.push_back(Traced {
            at_ms: self.now_ms(),
            function,
            session: match subject {
                Subject::Session(session) => Some(session),
                _ => None,
            },
            rv,
            by_script,
        });
    }

    /// What a test wants to know, a name and a value in each line, and the last calls.
    pub(crate) fn report(&self) -> String {
        let fired = self.fired.iter().filter(|fired| **fired).count();
        let mut text = format!(
            "now_ms {}\nfired {fired}\nwrong_logins {}\nlockouts {}\nhanging {}\ninitialisations {}\nsessions {}\nstale {}\nrotated {}\n",
            self.now_ms(),
            self.pin.wrong_logins(),
            self.pin.lockouts(),
            self.hanging,
            self.initialisations,
            self.sessions.len(),
            u8::from(self.hides_objects()),
            u8::from(self.pin.is_rotated()),
        );
        // Writing to a String does not fail.
        for violation in &self.violations {
            let _ = writeln!(text, "violation {violation}");
        }
        for call in &self.trace {
            let _ = writeln!(
                text,
                "trace {:>6} ms {}{} -> {}{}",
                call.at_ms,
                call.function,
                call.session
                    .map_or(String::new(), |session| format!(" session {session}")),
                codes::name(call.rv),
                if call.by_script { " (script)" } else { "" }
            );
        }
        text
    }
}
