//! What a frame carries. Some frames between the engine's processes carry secrets, and no process on their way looks which: so all of
//! them are overwritten when they are dropped.

use zeroize::{Zeroize, Zeroizing};

/// Parts of one payload at most: far more than any message has.
const MAX_PARTS: usize = 64;
const LENGTH_BYTES: usize = 4;

/// The bytes of a frame after its header, overwritten with zeros when dropped. They never grow, so no copy stays behind.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Payload(Vec<u8>);

impl Payload {
    /// One payload of several parts that are bytes as they are, secrets among them, each behind its length as a 32-bit big-endian number,
    /// all behind `mark`. Nothing is copied a second time.
    #[must_use]
    pub fn of_parts(mark: u8, parts: &[&[u8]]) -> Self {
        let bytes = parts
            .iter()
            .map(|part| part.len().saturating_add(LENGTH_BYTES))
            .fold(1_usize, usize::saturating_add);
        let mut payload = Vec::with_capacity(bytes);
        payload.push(mark);
        for part in parts {
            // A payload over the limit of a frame, which is far below this, is refused where it is sent.
            let length = u32::try_from(part.len()).unwrap_or(u32::MAX);
            payload.extend_from_slice(&length.to_be_bytes());
            payload.extend_from_slice(part);
        }
        Self(payload)
    }

    /// The parts of a payload that [`of_parts`](Self::of_parts) made with this mark; `None` when it is anything else.
    #[must_use]
    pub fn parts(mark: u8, payload: &[u8]) -> Option<Vec<&[u8]>> {
        let mut rest = payload.strip_prefix(&[mark])?;
        let mut parts = Vec::new();
        while !rest.is_empty() {
            let (length, after) = rest.split_first_chunk::<LENGTH_BYTES>()?;
            let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
            let (part, after) = after.split_at_checked(length)?;
            if parts.len() >= MAX_PARTS {
                return None;
            }
            parts.push(part);
            rest = after;
        }
        Some(parts)
    }
}

impl From<Vec<u8>> for Payload {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl std::ops::Deref for Payload {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Payload {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl std::fmt::Debug for Payload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

/// Header and payload as one run of bytes to be written, overwritten when dropped. Its capacity is what is needed, so that it does not move.
pub(super) fn whole(header: &[u8], payload: &Payload) -> Zeroizing<Vec<u8>> {
    let mut whole = Zeroizing::new(Vec::with_capacity(
        header.len().saturating_add(payload.len()),
    ));
    whole.extend_from_slice(header);
    whole.extend_from_slice(payload);
    whole
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;

    #[test]
    fn parts_come_back_as_they_were_and_nothing_else_does() {
        let payload = Payload::of_parts(7, &[b"one", b"", b"three"]);
        let parts = Payload::parts(7, &payload).unwrap();
        assert_eq!(parts, [&b"one"[..], b"", b"three"]);
        assert!(Payload::parts(8, &payload).is_none());
        assert!(Payload::parts(7, b"").is_none());
        for end in 2..payload.len() {
            let cut = payload.get(..end).unwrap();
            let whole_parts = [8, 12].contains(&end);
            assert_eq!(Payload::parts(7, cut).is_some(), whole_parts, "{end}");
        }
    }

    #[test]
    fn a_payload_of_very_many_parts_is_none() {
        let many = vec![&b""[..]; MAX_PARTS + 1];
        assert!(Payload::parts(1, &Payload::of_parts(1, &many)).is_none());
    }

    #[test]
    fn what_is_shown_of_a_payload_is_its_length() {
        assert_eq!(
            format!("{:?}", Payload::from(b"secret".to_vec())),
            "6 bytes"
        );
    }
}
