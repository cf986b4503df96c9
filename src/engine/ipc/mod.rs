//! Frames between the engine's processes and between the engine and its callers.
//!
//! ```text
//! u32  length of the payload      all numbers big-endian
//! u8   version of this protocol
//! u8   kind
//! u8   verb                       what a request asks for ([`Verb`]); 0 in other frames
//! u64  id                         who asks chooses it; the answer carries the same
//! u32  time left in milliseconds  for requests; 0 where it does not apply or is left to the receiver
//! u32  user id of who asks        set by the supervisor from what the kernel says; 2^32 - 1 where it does not apply
//! 32   certificate of who asks    SHA-256, as stated by a connector; zeros where none is stated
//! ...  payload                    JSON, parts ([`Payload::of_parts`]) or nothing, depending on the kind
//! ```
//!
//! The supervisor decides and routes by header alone and looks into no payload that came from outside. A length over
//! [`MAX_PAYLOAD_BYTES`], another version or an unknown kind ends the connection: nothing after it can be trusted to be a frame.

pub mod asynchronous;
pub mod blocking;
mod caller;
mod duplex;
mod payload;

pub use caller::Caller;
pub use duplex::Duplex;
pub use payload::Payload;

use super::api::EngineRequest;
use audit::Verb;
use serde::Serialize;

/// Version of the frame layout.
pub const PROTOCOL_VERSION: u8 = 2;
/// Bytes before the payload.
pub const HEADER_BYTES: usize = 19 + Caller::BYTES;
/// In the place of a verb where there is none.
const NO_VERB: u8 = 0;
/// The longest payload: a PFX of 2 MiB in base64 with its certificates and the record fits.
pub const MAX_PAYLOAD_BYTES: usize = 4 * 1024 * 1024;

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// First frame in both directions; its id is the version of the messages ([`crate::engine::api::API_VERSION`]).
    Hello,
    /// A caller is sent away; the payload says why in plain text.
    Refused,
    /// A request for custody ([`crate::engine::api::EngineRequest`]); its verb says which.
    Request,
    /// The answer to a request ([`crate::engine::api::EngineReply`]).
    Reply,
    /// What does the engine report of itself; no payload.
    Status,
    /// Are you there; answered at once by the thread that reads.
    Ping,
    /// The answer to a ping.
    Pong,
    /// A part has finished its start and takes work.
    Ready,
    /// Custody asks the formats part; the id is the one of the request it is done for.
    Call,
    /// The answer of the formats part.
    Return,
    /// The supervisor will not get an answer to that call; nobody waits for an answer to the request any more.
    Abandoned,
    /// Custody is about to end itself and has not begun this request.
    GivenBack,
    /// As [`Kind::Call`], for what may take long because a key is derived from a password. It carries secrets, as its answer does.
    LongCall,
    /// This request occupies none of custody's places any more, and its answer leaves later.
    Held,
    /// Custody has begun with a request that it held: should it die now, that may be why.
    Working,
}

impl Kind {
    const ALL: [Self; 15] = [
        Self::Hello,
        Self::Refused,
        Self::Request,
        Self::Reply,
        Self::Status,
        Self::Ping,
        Self::Pong,
        Self::Ready,
        Self::Call,
        Self::Return,
        Self::Abandoned,
        Self::GivenBack,
        Self::LongCall,
        Self::Held,
        Self::Working,
    ];

    const fn code(self) -> u8 {
        match self {
            Self::Hello => 1,
            Self::Refused => 2,
            Self::Request => 3,
            Self::Reply => 4,
            Self::Status => 5,
            Self::Ping => 6,
            Self::Pong => 7,
            Self::Ready => 8,
            Self::Call => 9,
            Self::Return => 10,
            Self::Abandoned => 11,
            Self::GivenBack => 12,
            Self::LongCall => 13,
            Self::Held => 14,
            Self::Working => 15,
        }
    }

    /// Whether it may carry a secret: then it is read into memory for secrets, which does not have to grow and so leaves no copy behind.
    const fn may_be_secret(self) -> bool {
        matches!(self, Self::LongCall | Self::Return)
    }

    fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }
}

/// One message.
#[derive(Clone, PartialEq, Eq)]
pub struct Frame {
    /// What it is.
    pub kind: Kind,
    /// What a request asks for.
    pub verb: Option<Verb>,
    /// Chosen by who asks.
    pub id: u64,
    /// Time left for a request in milliseconds; 0 where it does not apply.
    pub time_left_ms: u32,
    /// Who asks; for requests.
    pub caller: Caller,
    /// JSON, parts or nothing.
    pub payload: Payload,
}

impl std::fmt::Debug for Frame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Frame({:?} {} {} bytes)",
            self.kind,
            self.id,
            self.payload.len()
        )
    }
}

impl Frame {
    /// A frame without payload.
    #[must_use]
    pub fn bare(kind: Kind, id: u64) -> Self {
        Self::with_payload(kind, id, Vec::new())
    }

    /// A frame with bytes as they are.
    #[must_use]
    pub fn with_payload(kind: Kind, id: u64, payload: impl Into<Payload>) -> Self {
        Self {
            kind,
            verb: None,
            id,
            time_left_ms: 0,
            caller: Caller::default(),
            payload: payload.into(),
        }
    }

    /// A frame with a message as JSON.
    ///
    /// # Errors
    /// [`FrameError::TooLong`] when the JSON is over the limit; [`FrameError::Json`] when there is no JSON for it.
    pub fn json<T: Serialize>(kind: Kind, id: u64, message: &T) -> Result<Self, FrameError> {
        let payload = serde_json::to_vec(message).map_err(|_| FrameError::Json)?;
        if payload.len() > MAX_PAYLOAD_BYTES {
            return Err(FrameError::TooLong(payload.len()));
        }
        Ok(Self::with_payload(kind, id, payload))
    }

    /// A request as JSON, with its verb.
    ///
    /// # Errors
    /// As [`Frame::json`].
    pub fn request(id: u64, request: &EngineRequest) -> Result<Self, FrameError> {
        Ok(Self {
            verb: Some(request.verb()),
            ..Self::json(Kind::Request, id, request)?
        })
    }

    /// What a caller asks for by this frame; `None` for what only the engine's own processes send.
    #[must_use]
    pub fn asks(&self) -> Option<Verb> {
        match self.kind {
            Kind::Request => self.verb,
            Kind::Status => Some(Verb::Status),
            Kind::Ping => Some(Verb::Ping),
            _ => None,
        }
    }

    /// The greeting.
    #[must_use]
    pub fn hello() -> Self {
        Self::bare(Kind::Hello, u64::from(crate::engine::api::API_VERSION))
    }

    /// Whether this is the greeting of somebody who speaks the same version of the messages.
    ///
    /// # Errors
    /// [`FrameError::NoGreeting`] or [`FrameError::MessagesVersion`].
    pub fn expect_hello(&self) -> Result<(), FrameError> {
        if self.kind != Kind::Hello {
            return Err(FrameError::NoGreeting);
        }
        if self.id != u64::from(crate::engine::api::API_VERSION) {
            return Err(FrameError::MessagesVersion(self.id));
        }
        Ok(())
    }

    /// The header of this frame.
    ///
    /// # Errors
    /// [`FrameError::TooLong`] when the payload is over the limit.
    pub fn header(&self) -> Result<[u8; HEADER_BYTES], FrameError> {
        let length = u32::try_from(self.payload.len())
            .ok()
            .filter(|_| self.payload.len() <= MAX_PAYLOAD_BYTES)
            .ok_or(FrameError::TooLong(self.payload.len()))?;
        let mut header = [0u8; HEADER_BYTES];
        let fields = length
            .to_be_bytes()
            .into_iter()
            .chain([
                PROTOCOL_VERSION,
                self.kind.code(),
                self.verb.map_or(NO_VERB, Verb::code),
            ])
            .chain(self.id.to_be_bytes())
            .chain(self.time_left_ms.to_be_bytes())
            .chain(self.caller.to_bytes());
        for (slot, byte) in header.iter_mut().zip(fields) {
            *slot = byte;
        }
        Ok(header)
    }
}

/// A checked header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// What the frame is.
    pub kind: Kind,
    /// What a request asks for.
    pub verb: Option<Verb>,
    /// Chosen by who asks.
    pub id: u64,
    /// Time left in milliseconds.
    pub time_left_ms: u32,
    /// Who asks.
    pub caller: Caller,
    /// Bytes that follow; never over [`MAX_PAYLOAD_BYTES`].
    pub payload_bytes: usize,
}

impl Header {
    /// Reads and checks a header.
    ///
    /// # Errors
    /// [`FrameError`] for another version, an unknown kind or too long a payload.
    pub fn parse(bytes: &[u8; HEADER_BYTES]) -> Result<Self, FrameError> {
        let mut rest = bytes.as_slice();
        let length = u32::from_be_bytes(field(&mut rest)?);
        let [version, kind, verb] = field(&mut rest)?;
        if version != PROTOCOL_VERSION {
            return Err(FrameError::ProtocolVersion(version));
        }
        let kind = Kind::from_code(kind).ok_or(FrameError::UnknownKind(kind))?;
        let verb = match verb {
            NO_VERB => None,
            code => Some(Verb::from_code(code).ok_or(FrameError::UnknownVerb(code))?),
        };
        let payload_bytes = usize::try_from(length).unwrap_or(usize::MAX);
        if payload_bytes > MAX_PAYLOAD_BYTES {
            return Err(FrameError::TooLong(payload_bytes));
        }
        Ok(Self {
            kind,
            verb,
            id: u64::from_be_bytes(field(&mut rest)?),
            time_left_ms: u32::from_be_bytes(field(&mut rest)?),
            caller: Caller::from_bytes(field(&mut rest)?, field(&mut rest)?),
            payload_bytes,
        })
    }

    fn with(self, payload: impl Into<Payload>) -> Frame {
        Frame {
            kind: self.kind,
            verb: self.verb,
            id: self.id,
            time_left_ms: self.time_left_ms,
            caller: self.caller,
            payload: payload.into(),
        }
    }
}

/// The next bytes of a header, taken off its front.
fn field<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], FrameError> {
    let (field, after) = rest.split_first_chunk().ok_or(FrameError::Truncated)?;
    *rest = after;
    Ok(*field)
}

/// Decodes the first frame in `bytes`; `None` while it is not complete. Returns the frame and how many bytes it took.
///
/// # Errors
/// [`FrameError`] as soon as the header shows that this can never become a frame.
pub fn decode(bytes: &[u8]) -> Result<Option<(Frame, usize)>, FrameError> {
    let Some((header, rest)) = bytes.split_first_chunk::<HEADER_BYTES>() else {
        return Ok(None);
    };
    let header = Header::parse(header)?;
    let Some(payload) = rest.get(..header.payload_bytes) else {
        return Ok(None);
    };
    let taken = HEADER_BYTES.saturating_add(header.payload_bytes);
    Ok(Some((header.with(payload.to_vec()), taken)))
}

/// Why a connection cannot go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The other side speaks another version of the frames.
    #[error(
        "the other side speaks frame version {0}, this one {PROTOCOL_VERSION}: both must be the same release"
    )]
    ProtocolVersion(u8),
    /// The other side speaks another version of the messages.
    #[error("the other side speaks message version {0}: both must be the same release")]
    MessagesVersion(u64),
    /// The first frame was no greeting.
    #[error("the first frame is not a greeting")]
    NoGreeting,
    /// Sent away, with the reason as the engine gave it.
    #[error("refused by the engine: {0}")]
    Refused(String),
    /// No such kind of frame.
    #[error("unknown kind of frame {0}")]
    UnknownKind(u8),
    /// The payload is over the limit.
    #[error("a payload of {0} bytes is over the limit of {MAX_PAYLOAD_BYTES}")]
    TooLong(usize),
    /// No such verb.
    #[error("unknown verb {0}")]
    UnknownVerb(u8),
    /// The message has no JSON form.
    #[error("a message that has no JSON form")]
    Json,
    /// The connection ended inside a frame.
    #[error("the connection ended inside a frame")]
    Truncated,
    /// The other side began a frame and did not go on.
    #[error("the other side began a frame and did not finish it in time")]
    Stalled,
    /// The system's word.
    #[error("{0}")]
    Io(#[from] std::io::Error),
}

#[cfg(test)]
mod tests;
