//! One call: bounded in time and size, without redirects, and with an answer to the question whether the request may have been seen.

mod failure;

pub use failure::CallFailure;

use crate::text::it_says;
use crate::{Error, ErrorClass};
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use std::time::{Duration, SystemTime};

/// The most octets of a refusal that are read.
const MAX_REFUSAL_BYTES: usize = 16 * 1024;
/// Bounds of a Retry-After as it is believed.
const WAIT: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(7 * 24 * 3600));

/// What a request does at the authority if it gets there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Nothing: it may be repeated.
    None,
    /// A certificate may be issued.
    MayIssue,
}

impl Effect {
    /// What it means that it is not known whether the request was carried out.
    pub(crate) fn lost(self) -> ErrorClass {
        match self {
            Self::None => ErrorClass::Unavailable,
            Self::MayIssue => ErrorClass::Unknown,
        }
    }
}

/// An answer, whatever its status.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

/// How many octets of an answer are read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Of a success: what is longer is refused.
    pub(crate) success: usize,
    /// Of anything else: what is longer is cut off.
    pub(crate) refusal: usize,
}

impl Limits {
    /// For protocols whose refusals are words for people.
    pub(crate) const fn of(success: usize) -> Self {
        Self {
            success,
            refusal: MAX_REFUSAL_BYTES,
        }
    }
}

/// Sends a request and reads the answer, all of it within `deadline`.
pub(crate) async fn send(
    request: reqwest::RequestBuilder,
    effect: Effect,
    deadline: Duration,
    limits: Limits,
) -> Result<Answered, Error> {
    let (client, request) = request.timeout(deadline).build_split();
    let request = request.map_err(|error| {
        let words = CallFailure::of(error).text;
        Error::new(
            ErrorClass::Protocol,
            format!("the request cannot be made: {words}"),
        )
    })?;
    let asked = request.url().clone();
    let mut response = client
        .execute(request)
        .await
        .map_err(|error| no_answer(error, effect))?;
    if *response.url() != asked {
        return Err(Error::new(
            ErrorClass::Protocol,
            "the HTTP client followed a redirect: it has to be made without, so that credentials stay where they belong",
        ));
    }
    let status = response.status();
    let limit = match status.is_success() {
        true => limits.success,
        false => limits.refusal,
    };
    let mut body = Vec::new();
    loop {
        let chunk = match response.chunk().await {
            Ok(Some(chunk)) => chunk,
            Ok(None) => break,
            // The status is known, and that is what counts.
            Err(_) if !status.is_success() => break,
            Err(error) => return Err(no_answer(error, effect)),
        };
        if body.len().saturating_add(chunk.len()) > limit {
            if !status.is_success() {
                break;
            }
            return Err(Error::new(
                ErrorClass::Protocol,
                format!("the authority's answer is longer than {limit} octets"),
            ));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answered {
        status,
        headers: response.headers().clone(),
        body,
    })
}

fn no_answer(error: reqwest::Error, effect: Effect) -> Error {
    let (connecting, timeout) = (error.is_connect(), error.is_timeout());
    let failure = CallFailure::of(error);
    if failure.is_refusal() {
        return Error::new(
            ErrorClass::Credential,
            format!("no TLS connection with the authority: {}", failure.text),
        );
    }
    if connecting {
        return Error::new(
            ErrorClass::Unavailable,
            format!("the authority was not reached: {}", failure.text),
        );
    }
    let what = match timeout {
        true => "the authority did not answer in time",
        false => "the connection to the authority broke",
    };
    Error::new(effect.lost(), format!("{what}: {}", failure.text))
}

/// What a status that is no success means. Exhaustive: what nobody expects is no answer of the protocol.
pub(crate) fn refusal(answered: &Answered, effect: Effect, now: SystemTime) -> Error {
    let status = answered.status;
    let (class, meaning) = class_of(status.as_u16(), effect);
    let error = Error::new(
        class,
        format!(
            "the authority answered with HTTP status {}: {meaning}{}",
            status.as_u16(),
            it_says(&answered.body)
        ),
    );
    match retry_after(&answered.headers, now) {
        Some(wait) if class == ErrorClass::Unavailable => error.after(wait),
        _ => error,
    }
}

fn class_of(status: u16, effect: Effect) -> (ErrorClass, &'static str) {
    match status {
        300..=399 => (
            ErrorClass::Protocol,
            "it sends us elsewhere, where nothing is sent; configure the address that it means",
        ),
        401 => (
            ErrorClass::Credential,
            "it does not accept the user name and password, or the certificate, of this connection, or wants some",
        ),
        403 => (
            ErrorClass::Credential,
            "it knows who asks, and does not allow it to them; they need the right at the authority",
        ),
        407 => (
            ErrorClass::Credential,
            "the proxy wants a user name and password",
        ),
        404 | 410 => (
            ErrorClass::Unsupported,
            "there is no such operation at this address; check address and label or profile",
        ),
        405 | 501 => (ErrorClass::Unsupported, "it has no such operation"),
        408 | 425 | 429 => (
            ErrorClass::Unavailable,
            "it wants to be left alone for a while",
        ),
        400..=499 => (ErrorClass::Rejected, "it refuses this request"),
        503 => (ErrorClass::Unavailable, "it is busy, or down for a while"),
        500..=599 => (
            effect.lost(),
            match effect {
                Effect::None => "it failed",
                Effect::MayIssue => "it failed, and may have done what was asked before it did",
            },
        ),
        _ => (ErrorClass::Protocol, "no answer that this protocol has"),
    }
}

/// How long a Retry-After (RFC 9110 section 10.2.3) asks to wait, in seconds or as a date, within 1 second and 7 days; `None` without one.
pub(crate) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = if !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit()) {
        text.parse().map_or(WAIT.1, Duration::from_secs)
    } else {
        let at = httpdate::parse_http_date(text).ok()?;
        at.duration_since(now).unwrap_or_default()
    };
    Some(wait.clamp(WAIT.0, WAIT.1))
}

#[cfg(test)]
mod tests;
