//! Messages over HTTP (RFC 9811): one POST, one answer.

use super::problem::Problem;
use crate::http::{Effect, Limits, refusal, send};
use crate::{Error, ErrorClass};
use pki::cmp::MAX_MESSAGE_BYTES;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap};
use reqwest::{Client, Url};
use std::time::{Duration, SystemTime};

/// The media type of messages (RFC 9811, section 3.4).
const PKIXCMP: &str = "application/pkixcmp";

/// Sends a message, and gives out the answer's bytes, [`MAX_MESSAGE_BYTES`] at most. Nothing says yet that they are an answer.
pub(super) async fn post(
    http: &Client,
    url: &Url,
    message: Vec<u8>,
    left: Duration,
    now: SystemTime,
) -> Result<Vec<u8>, Problem> {
    let request = http
        .post(url.clone())
        .header(CONTENT_TYPE, PKIXCMP)
        .header(ACCEPT, PKIXCMP)
        .body(message);
    // What is asked is not known here: whoever asked says what it means that something may have been done.
    // A message may come with any status.
    let limits = Limits {
        success: MAX_MESSAGE_BYTES,
        refusal: MAX_MESSAGE_BYTES,
    };
    let answered = send(request, Effect::MayIssue, left, limits).await;
    let answered = answered.map_err(of_call)?;
    // An error message comes with a status of its own (RFC 9811, section 3.5); whether it is one, its protection says.
    if is_pkixcmp(&answered.headers) {
        return Ok(answered.body);
    }
    if answered.status.is_success() {
        return Err(Problem::protocol(format!(
            "{url} answers with no CMP message ({PKIXCMP}): is the path right? `/.well-known/cmp` is the usual one"
        )));
    }
    Err(of_call(refusal(&answered, Effect::MayIssue, now)))
}

fn is_pkixcmp(headers: &HeaderMap) -> bool {
    let media_type = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok());
    media_type
        .and_then(|value| value.split(';').next())
        .is_some_and(|value| value.trim().eq_ignore_ascii_case(PKIXCMP))
}

/// No answer, or one of HTTP alone.
fn of_call(error: Error) -> Problem {
    match error.class() {
        // Lost: whoever only asked may ask again.
        ErrorClass::Unknown => {
            Problem::after(Error::new(ErrorClass::Unavailable, error.to_string()))
        }
        // Somebody answered, and what the request did before that nobody can tell.
        ErrorClass::Protocol => Problem::after(error),
        _ => Problem::before(error),
    }
}
