//! A certification authority in a status, for people.

use crate::ca::{AuthorityState, BreakerState, right};

/// Its lines: how it fares and what there is to do, then what it said of itself.
pub(super) fn rows(state: &AuthorityState) -> impl Iterator<Item = String> {
    let there = match state.asked.as_ref().map(|asked| asked.reachable) {
        None => "not asked yet",
        Some(Some(true)) => "answers",
        Some(Some(false)) => "DOES NOT ANSWER",
        Some(None) => "cannot be asked how it fares",
    };
    let breaker = match state.breaker {
        BreakerState::Open => format!(
            "OPEN for {} s after {} failures",
            state.left_alone_ms.div_ceil(1000),
            state.failures_in_a_row
        ),
        other => other.words().to_owned(),
    };
    let revocations = match state.revocation_breaker {
        BreakerState::Closed => String::new(),
        other => format!(", breaker of revocations {}", other.words()),
    };
    let first = format!(
        "{} ({}): {there}, breaker {breaker}{revocations}, {} of {} in flight, {} pending, {} issued, {} failed",
        state.name,
        state.kind,
        state.in_flight,
        state.concurrency,
        state.pending,
        state.issued,
        state.failed
    );
    let said = state.asked.as_ref().map(|asked| {
        let mut line = format!(
            "  enroll: {}, revoke: {}",
            right(asked.may_enroll),
            if state.revokes {
                right(asked.may_revoke)
            } else {
                "NOT A PART OF IT"
            }
        );
        if let Some(end) = &asked.credential_expires {
            line.push_str(&format!(", credential until {end}"));
        }
        line.push_str(&format!(" (asked at {})", asked.at));
        if let Some(problem) = &asked.problem {
            line.push_str(&format!(": {problem}"));
        }
        line
    });
    std::iter::once(first).chain(said)
}

#[cfg(test)]
mod tests {
    #![allow(missing_docs)]
    use super::*;
    use crate::ca::Asked;
    use crate::config::AuthorityKind;
    use ca::Capabilities;

    #[test]
    fn what_is_wrong_is_in_capitals_and_what_is_not_known_is_said_so() {
        let can = Capabilities {
            revokes: false,
            pends: true,
            polls_by_reference: true,
            recovers: false,
        };
        let mut state = AuthorityState::new("company", AuthorityKind::Est, can);
        assert_eq!(rows(&state).count(), 1, "it was not asked");
        state.breaker = BreakerState::Open;
        state.left_alone_ms = 9_500;
        state.failures_in_a_row = 5;
        state.asked = Some(Asked {
            at: "2027-01-01T00:00:00Z".to_owned(),
            reachable: Some(false),
            problem: Some("no route".to_owned()),
            ..Asked::default()
        });
        let lines: Vec<_> = rows(&state).collect();
        for (line, text) in [
            (0, "DOES NOT ANSWER"),
            (0, "OPEN for 10 s after 5 failures"),
            (1, "enroll: cannot be asked"),
            (1, "NOT A PART OF IT"),
            (1, "no route"),
        ] {
            assert!(
                lines.get(line).is_some_and(|line| line.contains(text)),
                "{text}: {lines:?}"
            );
        }
    }
}
