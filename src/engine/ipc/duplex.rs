//! A connection whose sender never waits for who reads: what the socket takes at once is written at once, the rest by a thread.
//!
//! Waking that thread for every frame would cost a request about as much time as its cryptography does: it becomes seven such frames.

use super::blocking::write_frame;
use super::{Frame, FrameError, HEADER_BYTES, Payload, payload};
use rustix::io::Errno;
use rustix::net::SendFlags;
use std::io::Write;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

/// Larger frames are left to the thread: they would have to be copied behind their header first.
const AT_ONCE_BYTES: usize = 64 * 1024;

/// What the thread has to write.
enum Outgoing {
    Frame(Frame),
    /// A frame with its header of which the socket took so many bytes.
    Rest(Payload, usize),
}

impl Outgoing {
    fn bytes(&self) -> usize {
        match self {
            Self::Frame(frame) => HEADER_BYTES.saturating_add(frame.payload.len()),
            Self::Rest(whole, taken) => whole.len().saturating_sub(*taken),
        }
    }
}

/// The sending half: frames are written in the order in which they are sent. Those that the socket does not take at once are queued,
/// counted by their bytes, and written by a thread that ends with the connection.
#[derive(Debug)]
pub struct Duplex {
    stream: UnixStream,
    queue: Sender<Outgoing>,
    /// Held from the look at the queue until the frame is in the socket or in the queue, so that none overtakes another.
    turn: Mutex<()>,
    queued_bytes: Arc<AtomicUsize>,
    limit_bytes: usize,
}

impl Duplex {
    /// Starts the writer for `stream`. At most `limit_bytes` may wait to be written.
    ///
    /// # Errors
    /// When the system gives no second descriptor or no thread.
    pub fn start(name: &str, stream: UnixStream, limit_bytes: usize) -> std::io::Result<Self> {
        let (queue, frames) = channel();
        let queued_bytes = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&queued_bytes);
        let writing = stream.try_clone()?;
        std::thread::Builder::new()
            .name(format!("{name} writer"))
            .spawn(move || write_all(writing, &frames, &counter))?;
        Ok(Self {
            stream,
            queue,
            turn: Mutex::new(()),
            queued_bytes,
            limit_bytes,
        })
    }

    /// Sends or queues a frame. `false` when the connection is over, or when the other side reads so slowly that the bound is
    /// reached: then the connection is closed, because an answer would be missing.
    pub fn send(&self, frame: Frame) -> bool {
        let mut outgoing = Outgoing::Frame(frame);
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        // Only with the turn does the count grow: while it is 0, the thread has nothing in hand.
        let waiting = self.queued_bytes.load(Ordering::SeqCst);
        if waiting == 0
            && let Outgoing::Frame(frame) = &outgoing
            && frame.payload.len() <= AT_ONCE_BYTES
        {
            match self.send_at_once(frame) {
                Ok((whole, taken)) if taken == whole.len() => return true,
                Ok((whole, taken)) => outgoing = Outgoing::Rest(whole, taken),
                Err(_) => {
                    self.close();
                    return false;
                }
            }
        }
        let bytes = outgoing.bytes();
        if waiting > 0 && waiting.saturating_add(bytes) > self.limit_bytes {
            self.close();
            return false;
        }
        self.queued_bytes.fetch_add(bytes, Ordering::SeqCst);
        self.queue.send(outgoing).is_ok()
    }

    /// Gives the socket as much as it takes without waiting; returns all of it, and how much was taken.
    fn send_at_once(&self, frame: &Frame) -> Result<(Payload, usize), FrameError> {
        let whole = payload::whole(&frame.header()?, &frame.payload);
        loop {
            match rustix::net::send(
                &self.stream,
                &whole,
                SendFlags::DONTWAIT | SendFlags::NOSIGNAL,
            ) {
                Ok(written) => {
                    let written = written.min(whole.len());
                    return Ok((whole, written));
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok((whole, 0)),
                Err(error) => return Err(FrameError::Io(error.into())),
            }
        }
    }

    /// Ends the connection at once, in both directions; frames not yet written are lost.
    pub fn close(&self) {
        // The other side may have been quicker: then there is nothing to end.
        let _ = self.stream.shutdown(Shutdown::Both);
    }

    /// Whether everything that was queued has been written.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.queued_bytes() == 0
    }

    /// Bytes that were sent and that the socket has not taken.
    #[must_use]
    pub fn queued_bytes(&self) -> usize {
        self.queued_bytes.load(Ordering::SeqCst)
    }
}

fn write_all(mut stream: UnixStream, queue: &Receiver<Outgoing>, queued_bytes: &AtomicUsize) {
    for outgoing in queue {
        let written = match &outgoing {
            Outgoing::Frame(frame) => write_frame(&mut stream, frame).is_ok(),
            Outgoing::Rest(whole, taken) => {
                let rest = whole.get(*taken..).unwrap_or_default();
                stream.write_all(rest).is_ok()
            }
        };
        queued_bytes.fetch_sub(outgoing.bytes(), Ordering::SeqCst);
        if !written {
            break;
        }
    }
    let _ = stream.shutdown(Shutdown::Both);
}
