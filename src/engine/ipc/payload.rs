//! What a frame carries. Some frames between the engine's processes carry secrets: those are in memory for secrets, locked and out of core dumps
//! as far as it reaches ([`fips::secret`]). All others are overwritten when they are dropped as well.

use fips::secret::SecretBytes;
use zeroize::Zeroizing;

/// Parts of one payload at most: far more than any message has.
const MAX_PARTS: usize = 64;
const LENGTH_BYTES: usize = 4;

/// The bytes of a frame after its header, overwritten with zeros when dropped. They never grow, so no copy stays behind.
pub struct Payload(Held);

enum Held {
    Plain(Zeroizing<Vec<u8>>),
    /// Boxed: frames are moved a lot, and most carry no secret.
    Secret(Box<SecretBytes>),
}

impl Payload {
    /// `len` zeros in memory for secrets, to be filled by [`bytes_mut`](Self::bytes_mut).
    #[must_use]
    pub(super) fn secret(len: usize) -> Self {
        Self(Held::Secret(Box::new(SecretBytes::zeroed(len))))
    }

    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        match &mut self.0 {
            Held::Plain(bytes) => bytes,
            Held::Secret(bytes) => bytes.expose_mut(),
        }
    }

    /// Whether it is kept as a secret.
    fn is_secret(&self) -> bool {
        matches!(self.0, Held::Secret(_))
    }

    /// `parts` one after the other.
    fn joined(is_secret: bool, parts: &[&[u8]]) -> Self {
        let bytes = parts
            .iter()
            .map(|part| part.len())
            .fold(0_usize, usize::saturating_add);
        let mut whole = match is_secret {
            true => Self::secret(bytes),
            false => Self::from(vec![0; bytes]),
        };
        let mut rest = whole.bytes_mut();
        for part in parts {
            // There is room for all of them.
            let Some((place, after)) = rest.split_at_mut_checked(part.len()) else {
                break;
            };
            place.copy_from_slice(part);
            rest = after;
        }
        whole
    }

    /// One payload of several parts that are bytes as they are, secrets among them, each behind its length as a 32-bit big-endian number,
    /// all behind `mark`. Nothing is copied a second time.
    #[must_use]
    pub fn of_parts(mark: u8, parts: &[&[u8]]) -> Self {
        // A payload over the limit of a frame, which is far below this, is refused where it is sent.
        let lengths: Vec<[u8; LENGTH_BYTES]> = parts
            .iter()
            .map(|part| u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes())
            .collect();
        let mark = [mark];
        let mut all: Vec<&[u8]> = vec![&mark];
        for (length, part) in lengths.iter().zip(parts) {
            all.push(length);
            all.push(part);
        }
        Self::joined(true, &all)
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
        Self(Held::Plain(Zeroizing::new(bytes)))
    }
}

impl Default for Payload {
    fn default() -> Self {
        Self::from(Vec::new())
    }
}

impl Clone for Payload {
    fn clone(&self) -> Self {
        Self::joined(self.is_secret(), &[self])
    }
}

impl PartialEq for Payload {
    fn eq(&self, other: &Self) -> bool {
        fips::secret::ct_eq(self, other)
    }
}

impl Eq for Payload {}

impl std::ops::Deref for Payload {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Held::Plain(bytes) => bytes,
            Held::Secret(bytes) => bytes.expose(),
        }
    }
}

impl std::fmt::Debug for Payload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes", self.len())
    }
}

/// Header and payload as one run of bytes to be written, in memory of the payload's kind.
pub(super) fn whole(header: &[u8], payload: &Payload) -> Payload {
    Payload::joined(payload.is_secret(), &[header, payload])
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

    #[test]
    fn what_carries_secrets_is_in_memory_for_secrets_and_so_is_each_copy() {
        let in_pool = |payload: &Payload| match &payload.0 {
            Held::Secret(bytes) => bytes.is_in_pool(),
            Held::Plain(_) => false,
        };
        let secret = Payload::of_parts(1, &[b"secret"]);
        assert!(in_pool(&secret) && in_pool(&secret.clone()));
        let sent = whole(b"header", &secret);
        assert!(in_pool(&sent));
        assert_eq!(sent.get(6..).unwrap(), &secret[..]);
        assert!(!in_pool(&whole(
            b"header",
            &Payload::from(b"plain".to_vec())
        )));
    }
}
