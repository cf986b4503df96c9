//! A connection with a writer thread of its own, so that who sends never waits for who reads.

use super::blocking::write_frame;
use super::{Frame, HEADER_BYTES};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

/// The sending half: frames are queued, counted by their bytes, and written in order by a thread that ends with the connection.
#[derive(Debug)]
pub struct Duplex {
    stream: UnixStream,
    queue: Sender<Frame>,
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
            queued_bytes,
            limit_bytes,
        })
    }

    /// Queues a frame. `false` when the connection is over, or when the other side reads so slowly that the bound is reached:
    /// then the connection is closed, because an answer would be missing.
    pub fn send(&self, frame: Frame) -> bool {
        let bytes = HEADER_BYTES.saturating_add(frame.payload.len());
        let waiting = self.queued_bytes.fetch_add(bytes, Ordering::SeqCst);
        if waiting > 0 && waiting.saturating_add(bytes) > self.limit_bytes {
            self.close();
            return false;
        }
        self.queue.send(frame).is_ok()
    }

    /// Ends the connection at once, in both directions; frames not yet written are lost.
    pub fn close(&self) {
        // The other side may have been quicker: then there is nothing to end.
        let _ = self.stream.shutdown(Shutdown::Both);
    }

    /// Whether everything that was queued has been written.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.queued_bytes.load(Ordering::SeqCst) == 0
    }
}

fn write_all(mut stream: UnixStream, frames: &Receiver<Frame>, queued_bytes: &AtomicUsize) {
    for frame in frames {
        let written = write_frame(&mut stream, &frame);
        queued_bytes.fetch_sub(
            HEADER_BYTES.saturating_add(frame.payload.len()),
            Ordering::SeqCst,
        );
        if written.is_err() {
            break;
        }
    }
    let _ = stream.shutdown(Shutdown::Both);
}
