#![allow(clippy::unwrap_used, missing_docs)]

use super::*;
use reqwest::header::HeaderValue;

fn waits(text: &'static str, now: SystemTime) -> Option<Duration> {
    let mut headers = HeaderMap::new();
    headers.insert(RETRY_AFTER, HeaderValue::from_static(text));
    retry_after(&headers, now)
}

#[test]
fn retry_after_is_seconds_or_any_date_of_http_within_bounds() {
    // Sun, 06 Nov 1994 08:49:37 GMT, the date of RFC 9110 section 5.6.7.
    let at = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
    let before = at - Duration::from_secs(90);
    for (text, wait) in [
        ("120", Some(120)),
        ("0", Some(1)),
        (" 7 ", Some(7)),
        ("99999999", Some(604_800)),
        ("999999999999999999999999999999", Some(604_800)),
        ("Sun, 06 Nov 1994 08:49:37 GMT", Some(90)),
        ("Sunday, 06-Nov-94 08:49:37 GMT", Some(90)),
        ("Sun Nov  6 08:49:37 1994", Some(90)),
        ("Sun, 06 Nov 2044 08:49:37 GMT", Some(604_800)),
        ("Tue, 06 Nov 1984 08:49:37 GMT", Some(1)),
        ("-1", None),
        ("1.5", None),
        ("soon", None),
        ("", None),
    ] {
        assert_eq!(waits(text, before), wait.map(Duration::from_secs), "{text}");
    }
    assert_eq!(retry_after(&HeaderMap::new(), at), None);
}

#[test]
fn every_status_that_is_no_success_has_a_class() {
    use ErrorClass as C;
    for status in (100..200).chain(300..1000) {
        let (read, _) = class_of(status, Effect::None);
        let (issue, words) = class_of(status, Effect::MayIssue);
        assert!(!words.is_empty());
        assert_ne!(read, C::Unknown, "{status}: nothing can have been issued");
        assert!(read == issue || (read, issue) == (C::Unavailable, C::Unknown));
        let expected = match status {
            300..=399 => C::Protocol,
            401 | 403 | 407 => C::Credential,
            404 | 405 | 410 | 501 => C::Unsupported,
            408 | 425 | 429 | 503 => C::Unavailable,
            400..=499 => C::Rejected,
            500..=599 => C::Unknown,
            _ => C::Protocol,
        };
        assert_eq!(issue, expected, "{status}");
    }
}
