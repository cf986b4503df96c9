//! What can go wrong with a service that speaks Graph.

use fips::tls::PeerProblem;
use serde_json::Value;
use std::time::Duration;

/// A call to the service did not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GraphError {
    /// The base address or the token is not usable.
    #[error("{0}")]
    Settings(&'static str),
    /// No answer: no connection, no TLS, too late.
    #[error("no answer from the service: {reason}")]
    Unreachable {
        /// Why, with everything that lies behind it.
        reason: String,
        /// What is wrong between both sides' TLS, where it is that.
        tls: Option<PeerProblem>,
    },
    /// The service refused.
    #[error("the service refused: {message} (HTTP {status}, {code})")]
    Refused {
        /// HTTP status.
        status: u16,
        /// The service's code.
        code: String,
        /// The service's message, unwrapped.
        message: String,
        /// The service's name of the request, for its support.
        request_id: Option<String>,
    },
    /// The service asked to wait longer than the budget allows.
    #[error("the service is busy (HTTP {status}); it asks to wait {}s", wait.as_secs())]
    Busy {
        /// HTTP status.
        status: u16,
        /// How long it asks to wait.
        wait: Duration,
    },
    /// The answer is not what the API says.
    #[error("the service's answer is not understood: {0}")]
    Answer(&'static str),
}

impl GraphError {
    /// Stable code for machines.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Settings(_) => "service_settings",
            Self::Unreachable {
                tls: Some(problem), ..
            } => problem.code(),
            Self::Unreachable { tls: None, .. } => "service_unreachable",
            Self::Refused { status: 401, .. } => "service_unauthorized",
            Self::Refused { status: 403, .. } => "service_forbidden",
            Self::Refused { status: 404, .. } => "service_not_found",
            Self::Refused { status: 409, .. } => "service_conflict",
            Self::Refused { .. } => "service_refused",
            Self::Busy { .. } => "service_busy",
            Self::Answer(_) => "service_answer",
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Settings(_) | Self::Answer(_) => None,
            Self::Unreachable {
                tls: Some(problem), ..
            } => Some(problem.hint()),
            Self::Unreachable { tls: None, .. } => Some(
                "check address and port, and that the service's certificate chains to the configured `gateway_ca` and names its host",
            ),
            Self::Refused { status: 401, .. } => {
                Some("the bearer token is unknown, expired or revoked: have a new one made")
            }
            Self::Refused { status: 403, .. } => {
                Some("the bearer token has not the right for this: it needs the importer's role")
            }
            Self::Refused { status: 409, .. } => {
                Some("there is such a record already: `--replace` puts the new one in its place")
            }
            Self::Refused { .. } => None,
            Self::Busy { .. } => Some("try again later"),
        }
    }
}

/// Code and message of a service's error body. Messages that are themselves JSON with the real message inside are unwrapped.
#[must_use]
pub fn unwrap_message(body: &[u8]) -> (String, String) {
    let error = serde_json::from_slice::<Value>(body)
        .ok()
        .and_then(|body| body.get("error").cloned());
    let text = |name: &str| {
        error
            .as_ref()
            .and_then(|error| error.get(name))
            .and_then(Value::as_str)
    };
    let code = printable(text("code").unwrap_or("unknown"), 100);
    let message = text("message").unwrap_or("no reason was given");
    (code, printable(&innermost(message), 1000))
}

/// Intune puts `{"_version":3,"Message":"..."}` as text into `message`, sometimes more than once.
fn innermost(message: &str) -> String {
    let mut message = message.to_owned();
    for _ in 0..4 {
        let inner = serde_json::from_str::<Value>(&message)
            .ok()
            .and_then(|inner| {
                ["Message", "message", "CustomApiErrorPhrase"]
                    .iter()
                    .filter_map(|name| inner.get(name).and_then(Value::as_str))
                    .find(|text| !text.is_empty())
                    .map(str::to_owned)
            });
        match inner {
            Some(inner) => message = inner,
            None => break,
        }
    }
    message
}

/// A stranger's text for our terminal and logs: no control characters, of bounded length.
fn printable(text: &str, limit: usize) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(limit)
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;

    #[test]
    fn a_plain_message_is_taken_as_it_is() {
        let body = br#"{"error":{"code":"conflict","message":"there is one already"}}"#;
        let (code, message) = unwrap_message(body);
        assert_eq!((&*code, &*message), ("conflict", "there is one already"));
    }

    #[test]
    fn a_message_wrapped_in_json_twice_is_unwrapped() {
        let inner = serde_json::json!({"_version": 3, "Message": "User not found"}).to_string();
        let middle = serde_json::json!({"Message": inner}).to_string();
        let body = serde_json::json!({"error": {"code": "BadRequest", "message": middle}});
        let (_, message) = unwrap_message(body.to_string().as_bytes());
        assert_eq!(message, "User not found");
    }

    #[test]
    fn a_body_that_is_no_error_gives_no_panic_and_no_control_characters() {
        for body in [&b""[..], b"<html>", b"{}", b"{\"error\":3}", b"\xff\xff"] {
            assert_eq!(unwrap_message(body).0, "unknown");
        }
        let body = b"{\"error\":{\"code\":\"a\\u001bb\",\"message\":\"x\\ny\"}}";
        assert_eq!(unwrap_message(body), ("a b".to_owned(), "x y".to_owned()));
    }
}
