//! The clock: certificates, leases and logs depend on it.

use super::catalogue::{CLOCK_PLAUSIBLE, CLOCK_SYNCHRONISED};
use super::command;
use super::finding::Finding;
use crate::clock::rfc3339;
use serde_json::json;
use std::path::Path;
use std::time::Duration;

/// No build of these sources is older: 2026-11-01T00:00:00Z in milliseconds since 1970. The builds themselves hold no time, so that
/// they can be repeated.
const SOURCES_MS: i64 = 1_793_491_200_000;

/// A clock that is more than this ahead of the sources is not believed: thirty years, in milliseconds.
const BELIEVED_MS: i64 = 30 * 365 * 86_400_000;

/// Made by systemd-timesyncd once it has set the clock.
const TIMESYNC: &str = "/run/systemd/timesync/synchronized";

/// How long `timedatectl` may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// Looks at the clock that shows `now_ms`.
#[must_use]
pub fn examine(now_ms: i64) -> Vec<Finding> {
    vec![judge(now_ms), synchronised()]
}

/// What is said of a clock that shows so many milliseconds since 1970.
#[must_use]
pub fn judge(now_ms: i64) -> Finding {
    let shown = rfc3339(now_ms);
    if now_ms < SOURCES_MS {
        CLOCK_PLAUSIBLE.error(
            "",
            format!("it shows {shown}, which is before this program was written: every certificate is judged wrongly"),
        )
    } else if now_ms - SOURCES_MS > BELIEVED_MS {
        CLOCK_PLAUSIBLE.warning("", format!("it shows {shown}, which is hard to believe"))
    } else {
        CLOCK_PLAUSIBLE.ok("", format!("it shows {shown}"))
    }
}

/// What the system tells: the kernel's own state through systemd's time service, which asks for it (adjtimex, STA_UNSYNC).
fn synchronised() -> Finding {
    if Path::new(TIMESYNC).exists() {
        return CLOCK_SYNCHRONISED
            .ok("", "kept right by systemd-timesyncd")
            .facts(json!({"synchronised": true}));
    }
    let told = command::output(
        "timedatectl",
        &["show", "--property=NTPSynchronized", "--value"],
        PATIENCE,
    );
    match told.as_deref().map(str::trim) {
        Some("yes") => CLOCK_SYNCHRONISED
            .ok("", "the kernel says that it is kept right")
            .facts(json!({"synchronised": true})),
        Some("no") => CLOCK_SYNCHRONISED
            .warning("", "the kernel says that nobody keeps it right")
            .facts(json!({"synchronised": false})),
        _ => CLOCK_SYNCHRONISED
            .note(
                "",
                "not known: neither systemd-timesyncd nor `timedatectl` tells (in a container the host keeps the clock)",
            )
            .facts(json!({"synchronised": null})),
    }
}

#[cfg(test)]
mod tests {
    #![allow(missing_docs)]
    use super::*;
    use crate::clock::parse_rfc3339;
    use crate::doctor::finding::Severity;

    #[test]
    fn a_clock_before_the_sources_is_an_error() {
        let at = |text| judge(parse_rfc3339(text).unwrap_or_default()).severity;
        assert_eq!(parse_rfc3339("2026-11-01T00:00:00Z"), Some(SOURCES_MS));
        assert_eq!(at("1970-01-01T00:00:01Z"), Severity::Error);
        assert_eq!(at("2026-10-31T23:59:59Z"), Severity::Error);
        assert_eq!(at("2027-01-01T00:00:00Z"), Severity::Ok);
        assert_eq!(at("2099-01-01T00:00:00Z"), Severity::Warning);
    }
}
