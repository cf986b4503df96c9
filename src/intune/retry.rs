//! How long a busy service asks to wait, and how long we do.

use reqwest::header::{HeaderMap, RETRY_AFTER};
use std::time::Duration;
use time::PrimitiveDateTime;
use time::format_description::FormatItem;
use time::macros::format_description;

/// IMF-fixdate (RFC 9110 section 5.6.7).
const HTTP_DATE: &[FormatItem<'_>] = format_description!(
    "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
);

/// How much waiting a caller puts up with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryBudget {
    /// Attempts at one call.
    pub attempts: u32,
    /// The wait when the service names none.
    pub usual_wait: Duration,
    /// The longest single wait; a service that asks for more is given up.
    pub longest_wait: Duration,
}

impl Default for RetryBudget {
    fn default() -> Self {
        Self {
            attempts: 5,
            usual_wait: Duration::from_secs(2),
            longest_wait: Duration::from_secs(60),
        }
    }
}

/// How long the service asks to wait: `x-ms-retry-after-ms` in milliseconds, or `Retry-After` in seconds or as a date (RFC 9110 section 10.2.3).
#[must_use]
pub fn retry_after(headers: &HeaderMap, now_ms: i64) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(ms) = text("x-ms-retry-after-ms").and_then(|ms| ms.trim().parse().ok()) {
        return Some(Duration::from_millis(ms));
    }
    let value = text(RETRY_AFTER.as_str())?.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = PrimitiveDateTime::parse(value, HTTP_DATE)
        .ok()?
        .assume_utc();
    let ms = i64::try_from(at.unix_timestamp_nanos() / 1_000_000).ok()? - now_ms;
    Some(Duration::from_millis(u64::try_from(ms).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;

    fn asked(name: &'static str, value: &str) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        headers.insert(name, value.parse().unwrap());
        // 1994-11-06T08:49:37Z
        retry_after(&headers, 784_111_777_000)
    }

    #[test]
    fn seconds_milliseconds_and_dates_are_understood() {
        assert_eq!(asked("retry-after", "7"), Some(Duration::from_secs(7)));
        assert_eq!(
            asked("x-ms-retry-after-ms", "1500"),
            Some(Duration::from_millis(1500))
        );
        let date = asked("retry-after", "Sun, 06 Nov 1994 08:49:47 GMT");
        assert_eq!(date, Some(Duration::from_secs(10)));
        let past = asked("retry-after", "Sun, 06 Nov 1994 08:49:27 GMT");
        assert_eq!(past, Some(Duration::ZERO));
    }

    #[test]
    fn nonsense_is_no_wait() {
        assert_eq!(asked("retry-after", "soon"), None);
        assert_eq!(asked("retry-after", "-1"), None);
        assert_eq!(asked("x-other", "1"), None);
    }
}
