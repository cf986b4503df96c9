//! One call over a connection of its own that blocks: for a TLS handshake, which waits for its signature where nothing can be awaited.

use super::{RecryptError, unavailable};
use crate::engine::api::{EngineReply, EngineRequest, SignTlsRequest, SignedTls};
use crate::engine::ipc::blocking::{Incoming, read_frame, write_frame};
use crate::engine::ipc::{Caller, Frame, Kind};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// Has a client key sign a TLS 1.3 handshake; returns within `deadline`, whatever the engine does. `certificate`: what is stated in receipts,
/// see [`EngineClient::state_certificate`](super::EngineClient::state_certificate).
///
/// # Errors
/// As [`EngineClient::recrypt`](super::EngineClient::recrypt).
pub fn sign_tls(
    socket: &Path,
    request: SignTlsRequest,
    certificate: Option<[u8; 32]>,
    deadline: Duration,
) -> Result<SignedTls, RecryptError> {
    let until = Instant::now() + deadline;
    let broken = |error: &dyn std::fmt::Display| unavailable(&error.to_string());
    let mut stream = UnixStream::connect(socket)
        .map_err(|error| broken(&format!("{}: {error}", socket.display())))?;
    let mut exchange = |frame: &Frame| {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(unavailable("it does not answer"));
        }
        stream
            .set_read_timeout(Some(left))
            .and_then(|()| stream.set_write_timeout(Some(left)))
            .map_err(|error| broken(&error))?;
        write_frame(&mut stream, frame).map_err(|error| broken(&error))?;
        match read_frame(&mut stream).map_err(|error| broken(&error))? {
            Incoming::Frame(frame) => Ok(frame),
            Incoming::Idle => Err(unavailable("it does not answer")),
            Incoming::Closed => Err(unavailable("it closed the connection")),
        }
    };
    let greeting = exchange(&Frame::hello())?;
    greeting.expect_hello().map_err(|error| broken(&error))?;
    let request = EngineRequest::SignTls(Box::new(request));
    let mut frame = Frame::request(1, &request).map_err(super::too_large)?;
    let left = until.saturating_duration_since(Instant::now());
    frame.time_left_ms = u32::try_from(left.as_millis()).unwrap_or(u32::MAX).max(1);
    frame.caller = Caller {
        uid: None,
        certificate,
    };
    let answer = exchange(&frame)?;
    if answer.kind != Kind::Reply {
        return Err(unavailable("an answer that is none of this release"));
    }
    match serde_json::from_slice(&answer.payload) {
        Ok(EngineReply::TlsSigned(signed)) => Ok(*signed),
        Ok(EngineReply::Failed(failure)) => Err(RecryptError::Failed(failure)),
        Ok(_) => Err(unavailable("an answer to another question")),
        Err(_) => Err(unavailable("an answer that is none of this release")),
    }
}
