//! Polling for what takes longer.

use super::asn1::{encoded, sequence};
use super::body::{Kind, Request};
use super::header::texts;
use super::{CmpError, MAX_RESPONSES};
use der::Sequence;
use der::asn1::{AnyRef, Utf8StringRef};
use std::time::Duration;

/// ```text
/// PollRepContent ::= SEQUENCE OF SEQUENCE {
///     certReqId   INTEGER,
///     checkAfter  INTEGER,  -- time in seconds
///     reason      PKIFreeText OPTIONAL
/// }                                                                  (RFC 9810, section 5.3.22)
/// ```
#[derive(Sequence)]
struct PollRepItem<'a> {
    cert_req_id: i32,
    check_after: i64,
    reason: Option<Vec<Utf8StringRef<'a>>>,
}

/// That a request takes longer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PollRep {
    /// Which request.
    pub request: i32,
    /// When to ask again.
    pub check_after: Duration,
    /// Why.
    pub reason: Vec<String>,
}

impl PollRep {
    pub(super) fn read_all(content: AnyRef<'_>) -> Result<Vec<Self>, CmpError> {
        const WHAT: &str = "the polling response";
        let items: Vec<PollRepItem<'_>> = content.decode_as().map_err(CmpError::at(WHAT))?;
        if items.len() > MAX_RESPONSES {
            return Err(CmpError::TooMany {
                what: "polling responses",
                limit: MAX_RESPONSES,
            });
        }
        items
            .into_iter()
            .map(|item| {
                let seconds = u64::try_from(item.check_after).map_err(CmpError::at(WHAT))?;
                Ok(Self {
                    request: item.cert_req_id,
                    check_after: Duration::from_secs(seconds),
                    reason: texts(item.reason)?,
                })
            })
            .collect()
    }
}

/// pollReq: how a request fares.
///
/// ```text
/// PollReqContent ::= SEQUENCE OF SEQUENCE { certReqId INTEGER }
/// ```
///
/// # Errors
/// None that has been seen: numbers encode.
pub fn poll(request: i32) -> Result<Request, CmpError> {
    let item = sequence(&[&encoded(&request)?]);
    Ok(Request::new(Kind::PollReq, &sequence(&[&item])))
}
