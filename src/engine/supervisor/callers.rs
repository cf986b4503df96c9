//! The connections of the callers.

use super::event::Event;
use super::listener::read_client;
use crate::engine::api::{EngineReply, Failure, FailureCode};
use crate::engine::ipc::{Duplex, Frame, Kind};
use audit::verb::CallerKind;
use std::collections::HashMap;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

/// Connections at once.
const MAX_CALLERS: usize = 64;
/// Of them for connectors: the engine's own user can always ask and lift what they brought about.
const MAX_CONNECTORS: usize = 60;
/// How long a frame that was begun may take to arrive.
const FRAME_LIMIT: Duration = Duration::from_secs(30);
/// Bytes of answers that may wait for a caller that reads slowly.
const WRITE_LIMIT_BYTES: usize = 32 * 1024 * 1024;

/// Of them, before no more reports are made for it.
const BEHIND_BYTES: usize = 1024 * 1024;

#[derive(Debug)]
struct Caller {
    link: Duplex,
    greeted: bool,
    who: CallerKind,
    /// The kernel's word at the time of the connection (SO_PEERCRED).
    uid: u32,
}

/// Everybody who is connected.
#[derive(Debug)]
pub(super) struct Callers {
    connected: HashMap<u64, Caller>,
    next_id: u64,
    events: SyncSender<Event>,
}

impl Callers {
    pub(super) fn new(events: SyncSender<Event>) -> Self {
        Self {
            connected: HashMap::new(),
            next_id: 1,
            events,
        }
    }

    /// Takes a connection on, or sends it away with a reason.
    pub(super) fn admit(&mut self, stream: UnixStream, uid: u32, who: CallerKind) {
        let room = match who {
            CallerKind::EngineUser => MAX_CALLERS,
            _ => MAX_CONNECTORS,
        };
        let refusal = if who == CallerKind::Stranger {
            Some(format!(
                "user {uid} may not call this engine: see allowed_uids"
            ))
        } else if self.connected.len() >= room {
            Some(format!("{room} callers are connected already"))
        } else {
            None
        };
        if let Some(reason) = refusal {
            tracing::warn!(uid, reason, "a caller is refused");
            refuse(stream, reason);
            return;
        }
        let id = self.next_id;
        self.next_id = self.next_id.saturating_add(1);
        if let Err(error) = self.connect(id, stream, uid, who) {
            tracing::warn!(%error, "a connection cannot be served");
        }
    }

    fn connect(
        &mut self,
        id: u64,
        stream: UnixStream,
        uid: u32,
        who: CallerKind,
    ) -> std::io::Result<()> {
        stream.set_read_timeout(Some(FRAME_LIMIT))?;
        let reading = stream.try_clone()?;
        let link = Duplex::start("caller", stream, WRITE_LIMIT_BYTES)?;
        let events = self.events.clone();
        std::thread::Builder::new()
            .name("caller reader".to_owned())
            .spawn(move || read_client(id, reading, &events))?;
        self.connected.insert(
            id,
            Caller {
                link,
                greeted: false,
                who,
                uid,
            },
        );
        Ok(())
    }

    /// The user who is connected there; `None` when nobody is any more.
    pub(super) fn uid(&self, id: u64) -> Option<u32> {
        self.connected.get(&id).map(|caller| caller.uid)
    }

    /// Whether a caller of this kind is connected there.
    pub(super) fn is(&self, id: u64, who: CallerKind) -> bool {
        self.connected
            .get(&id)
            .is_some_and(|caller| caller.who == who)
    }

    /// Whether so much waits to be read there that nothing more should be made for it that can be asked for again.
    pub(super) fn is_behind(&self, id: u64) -> bool {
        self.connected
            .get(&id)
            .is_some_and(|caller| caller.link.queued_bytes() > BEHIND_BYTES)
    }

    /// Deals with the greeting. Whether the frame is one that a greeted caller may send and is still to be dealt with.
    pub(super) fn take(&mut self, id: u64, frame: &Frame) -> bool {
        let Some(caller) = self.connected.get_mut(&id) else {
            return false;
        };
        if caller.greeted {
            if let Some(verb) = frame.asks() {
                if verb.rule().admits(caller.who) {
                    return true;
                }
                tracing::warn!(caller = id, uid = caller.uid, %verb, "a caller asks for what is not its to ask");
                self.send_failure(id, frame.id, FailureCode::BadRequest, &verb.refusal());
                return false;
            }
            tracing::warn!(caller = id, kind = ?frame.kind, "a caller sent what only parts send");
            self.drop_caller(id);
            return false;
        }
        match frame.expect_hello() {
            Ok(()) => {
                caller.greeted = true;
                caller.link.send(Frame::hello());
            }
            Err(error) => {
                tracing::warn!(caller = id, %error, "a caller is refused");
                caller.link.send(Frame::with_payload(
                    Kind::Refused,
                    0,
                    error.to_string().into_bytes(),
                ));
                // What has been queued is still written; then the writer closes the connection.
                self.connected.remove(&id);
            }
        }
        false
    }

    /// Sends a frame to a caller, if it is still there.
    pub(super) fn send(&mut self, id: u64, frame: Frame) {
        if let Some(caller) = self.connected.get(&id)
            && !caller.link.send(frame)
        {
            tracing::warn!(
                caller = id,
                "a caller does not read its answers: its connection is closed"
            );
        }
    }

    /// Sends a failure to a caller.
    pub(super) fn send_failure(
        &mut self,
        id: u64,
        frame_id: u64,
        code: FailureCode,
        message: &str,
    ) {
        let reply = EngineReply::Failed(Failure {
            code,
            message: message.to_owned(),
        });
        match Frame::json(Kind::Reply, frame_id, &reply) {
            Ok(frame) => self.send(id, frame),
            Err(error) => tracing::error!(%error, "a failure cannot be told"),
        }
    }

    /// Forgets a caller and closes its connection.
    pub(super) fn drop_caller(&mut self, id: u64) {
        if let Some(caller) = self.connected.remove(&id) {
            caller.link.close();
        }
    }

    /// Whether every answer has been written to those who are still there.
    pub(super) fn all_drained(&self) -> bool {
        self.connected
            .values()
            .all(|caller| caller.link.is_drained())
    }
}

/// Tells why, without waiting for anybody: the few bytes fit into an empty socket's buffer.
fn refuse(mut stream: UnixStream, reason: String) {
    let frame = Frame::with_payload(Kind::Refused, 0, reason.into_bytes());
    let told = stream
        .set_nonblocking(true)
        .map_err(Into::into)
        .and_then(|()| crate::engine::ipc::blocking::write_frame(&mut stream, &frame));
    if let Err(error) = told {
        tracing::debug!(%error, "the refusal could not be told");
    }
    let _ = stream.shutdown(std::net::Shutdown::Write);
}
