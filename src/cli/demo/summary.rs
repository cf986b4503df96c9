//! What the demo says at its end.

use super::deliveries::{Deliveries, Plan};
use super::figures::FipsFigures;
use super::stack::Stack;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

/// The figures of a run.
#[derive(Debug, Clone)]
pub struct Summary {
    /// Requests that were completed.
    pub delivered: usize,
    /// Deliveries that OpenSSL decrypted and whose PFX it opened.
    pub verified: usize,
    /// Requests without a result.
    pub lost: usize,
    /// Requests with more than one accepted result, or more than one final event.
    pub duplicated: usize,
    asked: usize,
    status: Value,
    fips: FipsFigures,
    padding: String,
    token_name: &'static str,
    makers: BTreeSet<&'static str>,
    problems: Vec<String>,
    delivering: Duration,
    elapsed: Duration,
}

impl Summary {
    #[expect(
        clippy::too_many_arguments,
        reason = "one call, from the run that gathers all of it"
    )]
    pub(super) fn new(
        stack: &Stack,
        plan: &Plan,
        deliveries: &Deliveries,
        events: &BTreeMap<String, usize>,
        status: Value,
        fips: FipsFigures,
        problems: Vec<String>,
        delivering: Duration,
        elapsed: Duration,
    ) -> Self {
        let reported_twice = events.values().filter(|count| **count > 1).count();
        Self {
            delivered: deliveries.delivered(),
            verified: deliveries.verified(),
            lost: deliveries.lost(),
            duplicated: deliveries.completed_twice().max(reported_twice),
            asked: deliveries.asked.len(),
            status,
            fips,
            padding: stack.padding.clone(),
            token_name: stack.token.name(),
            makers: plan.people.iter().map(|person| person.made_by).collect(),
            problems,
            delivering,
            elapsed,
        }
    }

    /// Whether everything that was asked was delivered once, and opened.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.delivered == self.asked
            && self.verified == self.asked
            && self.lost == 0
            && self.duplicated == 0
            && self.fips.faults().is_empty()
    }

    fn status_text(&self, pointer: &str) -> &str {
        self.status
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or("unknown")
    }

    /// One line for programs.
    #[must_use]
    pub fn json(&self) -> Value {
        json!({
            "delivered": self.delivered,
            "verified": self.verified,
            "lost": self.lost,
            "duplicated": self.duplicated,
            "token": self.status.pointer("/engine/token").cloned().unwrap_or(Value::Null),
            "padding": self.padding,
            "fips": self.fips.json(self.status_text("/engine/moduleVersion")),
            "problems": self.problems,
            "elapsed_s": (self.elapsed.as_secs_f64() * 1000.0).round() / 1000.0,
        })
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.delivering.as_secs_f64();
        writeln!(f)?;
        if self.is_good() {
            writeln!(
                f,
                "  {} of {} certificates are on their devices, and OpenSSL opened every one.",
                self.verified, self.asked
            )?;
        } else {
            writeln!(
                f,
                "  It went wrong: {} of {} delivered, {} opened by OpenSSL, {} lost, {} twice.",
                self.delivered, self.asked, self.verified, self.lost, self.duplicated
            )?;
        }
        writeln!(f)?;
        let model = self.status_text("/engine/token/model");
        let firmware = self.status_text("/engine/token/firmwareVersion");
        writeln!(
            f,
            "  token       {} ({model}, firmware {firmware})\n  custody key made on the token, and cannot leave it",
            self.token_name
        )?;
        writeln!(
            f,
            "  passwords   {}, the best this token does by itself",
            self.padding
        )?;
        writeln!(
            f,
            "  module      {}",
            self.status_text("/engine/moduleVersion")
        )?;
        writeln!(f, "  FIPS mode   {}", self.fips.line())?;
        for fault in self.fips.faults() {
            writeln!(f, "  FAULT       {fault}")?;
        }
        for (index, maker) in self.makers.iter().enumerate() {
            writeln!(
                f,
                "  {:11} {maker}",
                if index == 0 { "PFX files" } else { "" }
            )?;
        }
        writeln!(
            f,
            "  processes   engine (supervisor, custody, formats), gateway, connector; ended"
        )?;
        writeln!(
            f,
            "  time        {:.1} s in all, {seconds:.1} s from first request to last delivery",
            self.elapsed.as_secs_f64()
        )?;
        for problem in self.problems.iter().take(5) {
            writeln!(f, "  problem     {problem}")?;
        }
        if self.problems.len() > 5 {
            writeln!(f, "  ...         and {} more", self.problems.len() - 5)?;
        }
        Ok(())
    }
}
