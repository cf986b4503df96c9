//! What happens around the supervisor, in the order in which it deals with it.

use super::module_fault::Ending;
use super::part::PartKind;
use crate::engine::ipc::Frame;
use std::os::unix::net::UnixStream;

/// Everything that the routing thread reacts to.
#[derive(Debug)]
pub(super) enum Event {
    /// Somebody connected; the user id is the kernel's word.
    ClientNew(UnixStream, u32),
    /// A caller sent a frame.
    ClientFrame(u64, Frame),
    /// A caller's connection is over.
    ClientGone(u64),
    /// A part sent a frame.
    PartFrame(PartKind, u64, Frame),
    /// A part's connection is over, so it has died or is dying.
    PartGone(PartKind, u64),
    /// A part has been reaped; how it ended.
    PartReaped(PartKind, u64, Ending),
    /// Somebody asks the engine to stop.
    Stop,
}
