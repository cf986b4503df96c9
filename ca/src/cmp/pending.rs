//! What is kept of an order that is not decided yet.

use crate::Pending;
use std::time::Duration;

/// The shortest and the longest time until an order is asked about again.
const ASK_AGAIN: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(24 * 60 * 60);
/// When the authority does not say.
const USUAL: Duration = Duration::from_secs(60);
const VERSION: u8 = 1;

/// certReqId of an order, and the nonce of the authority's last message. The transaction itself is named after the order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reference {
    pub(super) request: i32,
    pub(super) nonce: Option<Vec<u8>>,
}

/// When to ask again, of what the authority says (checkAfter).
pub(super) fn ask_again_in(check_after: Option<Duration>) -> Duration {
    let wait = check_after.unwrap_or(USUAL);
    wait.clamp(*ASK_AGAIN.start(), *ASK_AGAIN.end())
}

impl Reference {
    /// Version, certReqId (4 octets, big endian), nonce.
    pub(super) fn pending(&self, check_after: Option<Duration>) -> Pending {
        let mut reference = vec![VERSION];
        reference.extend(self.request.to_be_bytes());
        reference.extend(self.nonce.as_deref().unwrap_or_default());
        Pending {
            reference,
            ask_again_in: ask_again_in(check_after),
        }
    }

    /// `None` for what [`Self::pending`] did not write.
    pub(super) fn read(pending: &Pending) -> Option<Self> {
        const LONGEST_NONCE: usize = 64;
        let (version, rest) = pending.reference.split_first()?;
        let (request, nonce) = rest.split_first_chunk::<4>()?;
        (*version == VERSION && nonce.len() <= LONGEST_NONCE).then(|| Self {
            request: i32::from_be_bytes(*request),
            nonce: (!nonce.is_empty()).then(|| nonce.to_vec()),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_reference_is_read_as_it_was_written_and_nothing_else_is() {
        for nonce in [None, Some(vec![7; 16])] {
            let reference = Reference { request: -1, nonce };
            let pending = reference.pending(None);
            assert_eq!(Reference::read(&pending), Some(reference));
            assert_eq!(pending.ask_again_in, USUAL);
        }
        for bytes in [&[][..], &[1, 0, 0, 0], &[2, 0, 0, 0, 0], &[1; 70]] {
            let pending = Pending {
                reference: bytes.to_vec(),
                ask_again_in: USUAL,
            };
            assert_eq!(Reference::read(&pending), None);
        }
    }

    #[test]
    fn waiting_times_stay_within_sense() {
        let reference = Reference {
            request: 0,
            nonce: None,
        };
        let wait = |seconds| {
            let pending = reference.pending(Some(Duration::from_secs(seconds)));
            pending.ask_again_in.as_secs()
        };
        assert_eq!([wait(0), wait(5), wait(u64::MAX)], [1, 5, 86_400]);
    }
}
