//! Frames over blocking streams, for the engine's own processes.

use super::{Frame, FrameError, HEADER_BYTES, Header, Payload, payload};
use std::io::{ErrorKind, Read, Write};
use zeroize::Zeroizing;

/// A payload is read in pieces of this size, so that memory grows with what has really arrived and not with what was announced.
const CHUNK_BYTES: usize = 64 * 1024;

/// What a read brought.
#[derive(Debug, PartialEq, Eq)]
pub enum Incoming {
    /// A frame.
    Frame(Frame),
    /// The stream's read timeout passed with no frame begun.
    Idle,
    /// The other side closed between two frames.
    Closed,
}

enum Filled {
    Whole,
    ClosedBefore,
    IdleBefore,
}

/// Reads one frame. On a stream with a read timeout, a timeout between two frames is [`Incoming::Idle`] and one inside a frame
/// is an error.
///
/// # Errors
/// [`FrameError`]; the stream is of no use after one.
pub fn read_frame(stream: &mut impl Read) -> Result<Incoming, FrameError> {
    let mut header = [0u8; HEADER_BYTES];
    match fill(stream, &mut header, true)? {
        Filled::Whole => {}
        Filled::ClosedBefore => return Ok(Incoming::Closed),
        Filled::IdleBefore => return Ok(Incoming::Idle),
    }
    let header = Header::parse(&header)?;
    if header.kind.may_be_secret() {
        let mut payload = Payload::secret(header.payload_bytes);
        fill(stream, payload.bytes_mut(), false)?;
        return Ok(Incoming::Frame(header.with(payload)));
    }
    // Memory grows with what has arrived, where a stranger may have named the length.
    let mut payload = Zeroizing::new(Vec::new());
    while payload.len() < header.payload_bytes {
        let start = payload.len();
        let end = header.payload_bytes.min(start.saturating_add(CHUNK_BYTES));
        payload.resize(end, 0);
        fill(stream, payload.get_mut(start..).unwrap_or_default(), false)?;
    }
    Ok(Incoming::Frame(header.with(std::mem::take(&mut *payload))))
}

fn fill(
    stream: &mut impl Read,
    buffer: &mut [u8],
    at_boundary: bool,
) -> Result<Filled, FrameError> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match stream.read(rest) {
            Ok(0) if at_boundary && filled == 0 => return Ok(Filled::ClosedBefore),
            Ok(0) => return Err(FrameError::Truncated),
            Ok(count) => filled = filled.saturating_add(count),
            Err(error) => match error.kind() {
                ErrorKind::Interrupted => {}
                ErrorKind::WouldBlock | ErrorKind::TimedOut if at_boundary && filled == 0 => {
                    return Ok(Filled::IdleBefore);
                }
                ErrorKind::WouldBlock | ErrorKind::TimedOut => return Err(FrameError::Stalled),
                ErrorKind::ConnectionReset if at_boundary && filled == 0 => {
                    return Ok(Filled::ClosedBefore);
                }
                _ => return Err(FrameError::Io(error)),
            },
        }
    }
    Ok(Filled::Whole)
}

/// Writes one frame and flushes it.
///
/// # Errors
/// [`FrameError::TooLong`] before anything is written; [`FrameError::Io`].
pub fn write_frame(stream: &mut impl Write, frame: &Frame) -> Result<(), FrameError> {
    let header = frame.header()?;
    if frame.payload.len() <= CHUNK_BYTES {
        // One write for what is small: half the system calls, and no header alone on the wire.
        stream.write_all(&payload::whole(&header, &frame.payload))?;
    } else {
        stream.write_all(&header)?;
        stream.write_all(&frame.payload)?;
    }
    stream.flush()?;
    Ok(())
}
