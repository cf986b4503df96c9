//! Messages over HTTP (RFC 9811): one POST, one answer.

use super::problem::Problem;
use crate::{Error, ErrorClass};
use pki::cmp::MAX_MESSAGE_BYTES;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode, Url};
use std::time::Duration;

/// The media type of messages (RFC 9811, section 3.4).
const PKIXCMP: &str = "application/pkixcmp";
/// Longest wait that an authority is believed to want.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// Sends a message, and gives out the answer's bytes, [`MAX_MESSAGE_BYTES`] at most. Nothing says yet that they are an answer.
pub(super) async fn post(
    http: &Client,
    url: &Url,
    message: Vec<u8>,
    left: Duration,
) -> Result<Vec<u8>, Problem> {
    let response = http
        .post(url.clone())
        .header(CONTENT_TYPE, PKIXCMP)
        .header(ACCEPT, PKIXCMP)
        .timeout(left)
        .body(message)
        .send()
        .await
        .map_err(|error| lost(&error))?;
    let status = response.status();
    if response.url() != url || status.is_redirection() {
        return Err(Problem::after(Error::new(
            ErrorClass::Protocol,
            format!(
                "{url} redirects, which is not followed: configure the address that it redirects to"
            ),
        )));
    }
    if !is_pkixcmp(response.headers()) {
        return Err(no_message(url, status, response.headers()));
    }
    // An error message comes with a status of its own (RFC 9811, section 3.5); whether it is one, its protection says.
    body(response).await
}

fn is_pkixcmp(headers: &HeaderMap) -> bool {
    let media_type = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok());
    media_type
        .and_then(|value| value.split(';').next())
        .is_some_and(|value| value.trim().eq_ignore_ascii_case(PKIXCMP))
}

/// An answer that is no message. Anybody on the way may have sent it, so it says "nothing was done" only where the request cannot have got
/// through to somebody who does something.
fn no_message(url: &Url, status: StatusCode, headers: &HeaderMap) -> Problem {
    let error = |class, hint: &str| {
        Error::new(
            class,
            format!("{url} answers {status} and no CMP message{hint}"),
        )
    };
    match status {
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => {
            let wait = headers
                .get(RETRY_AFTER)
                .and_then(|value| value.to_str().ok()?.parse().ok())
                .map(|seconds| Duration::from_secs(seconds).min(MAX_RETRY_AFTER));
            let busy = error(ErrorClass::Unavailable, ": it is busy");
            Problem::before(match wait {
                Some(wait) => busy.after(wait),
                None => busy,
            })
        }
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Problem::before(error(
            ErrorClass::Credential,
            ": the server in front of it wants another TLS client certificate, or none from here",
        )),
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED | StatusCode::GONE => {
            Problem::before(error(
                ErrorClass::Protocol,
                ": is the path right? `/.well-known/cmp` is the usual one",
            ))
        }
        _ => Problem::after(error(ErrorClass::Protocol, "")),
    }
}

async fn body(mut response: Response) -> Result<Vec<u8>, Problem> {
    let too_large = || {
        Problem::after(Error::new(
            ErrorClass::Protocol,
            format!("the authority's answer is larger than {MAX_MESSAGE_BYTES} bytes"),
        ))
    };
    let announced = response.content_length().unwrap_or_default();
    if usize::try_from(announced).map_or(true, |length| length > MAX_MESSAGE_BYTES) {
        return Err(too_large());
    }
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| lost(&error))? {
        if bytes.len().saturating_add(chunk.len()) > MAX_MESSAGE_BYTES {
            return Err(too_large());
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// No answer. Only a connection that was never there means that nothing was sent.
fn lost(error: &reqwest::Error) -> Problem {
    let mut text = if error.is_timeout() {
        "the authority did not answer in time".to_owned()
    } else if error.is_connect() {
        "the authority is not reached".to_owned()
    } else {
        "the authority's answer did not come".to_owned()
    };
    // The causes, without the address that the first one would repeat.
    let mut cause = std::error::Error::source(error);
    for _ in 0..6 {
        let Some(found) = cause else { break };
        let words = found.to_string();
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        cause = found.source();
    }
    let unavailable = Error::new(ErrorClass::Unavailable, text);
    if error.is_connect() || error.is_builder() {
        Problem::before(unavailable)
    } else {
        Problem::after(unavailable)
    }
}
