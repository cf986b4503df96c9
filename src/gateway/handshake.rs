//! Handshakes: who gets through is counted as evidence, who does not is told apart in the log, with what an operator can do.

use fips::tls::{PeerProblem, record_refused, record_served};
use rustls::ServerConfig;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// Lines about the same problem in one [`WINDOW`]: strangers must not fill the log.
const LINES: u32 = 20;
const WINDOW: Duration = Duration::from_secs(60);

/// Makes TLS connections of TCP connections.
pub(super) struct Handshakes {
    acceptor: TlsAcceptor,
    limit: Duration,
    lines: Mutex<HashMap<PeerProblem, Lines>>,
}

impl Handshakes {
    pub(super) fn new(config: Arc<ServerConfig>, limit: Duration) -> Self {
        Self {
            acceptor: TlsAcceptor::from(config),
            limit,
            lines: Mutex::default(),
        }
    }

    /// A connection whose handshake is over; `None` when it failed, which is counted and in the log then.
    pub(super) async fn accept(&self, stream: TcpStream) -> Option<TlsStream<TcpStream>> {
        let peer = stream.peer_addr().ok();
        let stream = match timeout(self.limit, self.acceptor.accept(stream)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                self.refuse(PeerProblem::of_handshake(&error), peer, &error);
                return None;
            }
            Err(error) => {
                self.refuse(PeerProblem::Timeout, peer, &error);
                return None;
            }
        };
        if let Err(error) = record_served(stream.get_ref().1) {
            tracing::error!(%error, "a connection that is none of FIPS was closed");
            return None;
        }
        Some(stream)
    }

    fn refuse(
        &self,
        problem: PeerProblem,
        peer: Option<SocketAddr>,
        error: &dyn std::error::Error,
    ) {
        record_refused(problem);
        let peer = peer.map(|peer| peer.to_string()).unwrap_or_default();
        let code = problem.code();
        // Probes of the port alone look like this, every few seconds.
        if matches!(problem, PeerProblem::Closed | PeerProblem::Timeout) {
            tracing::debug!(tls = code, peer, %error, "TLS: {problem}");
            return;
        }
        let unsaid = self
            .lines
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(problem)
            .or_insert_with(Lines::new)
            .next(Instant::now());
        if let Some(unsaid) = unsaid {
            let hint = problem.hint();
            let unsaid = (unsaid > 0).then_some(unsaid);
            tracing::warn!(tls = code, peer, %error, hint, unsaid, "TLS refused: {problem}");
        }
    }
}

/// How much has been said of one problem.
struct Lines {
    since: Instant,
    said: u32,
    unsaid: u64,
}

impl Lines {
    fn new() -> Self {
        Self {
            since: Instant::now(),
            said: 0,
            unsaid: 0,
        }
    }

    /// Whether to say it once more; then with how many lines were left out before.
    fn next(&mut self, now: Instant) -> Option<u64> {
        if now.duration_since(self.since) >= WINDOW {
            self.since = now;
            self.said = 0;
        }
        if self.said >= LINES {
            self.unsaid = self.unsaid.saturating_add(1);
            return None;
        }
        self.said += 1;
        Some(std::mem::take(&mut self.unsaid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stranger_does_not_fill_the_log_and_what_was_left_out_is_said_later() {
        let mut lines = Lines::new();
        let begin = lines.since;
        let said = (0..100).filter(|_| lines.next(begin).is_some()).count();
        assert_eq!(said, 20);
        assert_eq!(lines.next(begin + WINDOW), Some(80));
        assert_eq!(lines.next(begin + WINDOW), Some(0));
    }
}
