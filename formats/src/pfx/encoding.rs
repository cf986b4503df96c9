//! Passwords and bytes as PKCS#12 encodes them.

use super::PfxError;
use fips::secret::SecretBytes;

/// Whether every byte of a password is a printable ASCII character (space to tilde), as a device can be given it.
#[must_use]
pub fn printable_ascii(password: &[u8]) -> bool {
    password.iter().all(|byte| (b' '..=b'~').contains(byte))
}

/// A password in the two forms of PKCS#12.
pub(super) struct Password {
    /// For PBKDF2: UTF-8.
    pub(super) utf8: SecretBytes,
    /// For the PKCS#12 KDF: BMPString with its two bytes of zero (RFC 7292 appendix B.1).
    pub(super) bmp: SecretBytes,
}

impl Password {
    /// # Errors
    /// [`PfxError::WrongPassword`] when it is not UTF-8: no PFX can have it.
    pub(super) fn new(utf8: &SecretBytes) -> Result<Self, PfxError> {
        let text = std::str::from_utf8(utf8.expose()).map_err(|_| PfxError::WrongPassword)?;
        // Each unit of UTF-16 comes from at least one byte, so nothing grows and no copy stays behind.
        let mut bmp = SecretBytes::zeroed(utf8.len().saturating_add(1).saturating_mul(2));
        let mut used = 0_usize;
        for (place, unit) in bmp
            .expose_mut()
            .chunks_exact_mut(2)
            .zip(text.encode_utf16())
        {
            place.copy_from_slice(&unit.to_be_bytes());
            used = used.saturating_add(2);
        }
        bmp.truncate(used.saturating_add(2));
        Ok(Self {
            utf8: SecretBytes::from_slice(utf8.expose()),
            bmp,
        })
    }

    /// No password at all, which some writers mean by an empty one.
    pub(super) fn none() -> Self {
        Self {
            utf8: SecretBytes::zeroed(0),
            bmp: SecretBytes::zeroed(0),
        }
    }
}

/// The refusal for bytes that did not parse as DER: by name when they are BER, as malformed otherwise.
pub(super) fn refuse(bytes: &[u8], what: &'static str) -> PfxError {
    if is_ber(bytes) {
        PfxError::unsupported("BER encoding (indefinite lengths or strings in pieces, X.690)")
    } else {
        PfxError::Malformed { what }
    }
}

/// Whether this is one whole element in BER that DER does not allow: an indefinite length, a length in a longer form than needed,
/// or a string in pieces.
fn is_ber(bytes: &[u8]) -> bool {
    /// Deeper than any PFX.
    const MAX_DEPTH: usize = 32;
    // What ends each open element: an offset, or the two zeros of an indefinite length.
    let mut open: Vec<Option<usize>> = Vec::new();
    let mut at = 0_usize;
    let mut ber_seen = false;
    loop {
        while open.last() == Some(&Some(at)) {
            open.pop();
        }
        if open.last() == Some(&None) && bytes.get(at..at.saturating_add(2)) == Some(&[0, 0]) {
            at = at.saturating_add(2);
            open.pop();
            if open.is_empty() {
                return ber_seen && at == bytes.len();
            }
            continue;
        }
        if open.is_empty() && at > 0 {
            return ber_seen && at == bytes.len();
        }
        let Some((tag, content, length, minimal)) = header(bytes, at) else {
            return false;
        };
        let constructed = tag & 0x20 != 0;
        // Universal OCTET STRING or BIT STRING in pieces.
        ber_seen |= matches!(tag, 0x24 | 0x23) || !minimal || length.is_none();
        let end = match length {
            None if !constructed => return false,
            None => None,
            Some(length) => match content.checked_add(length) {
                Some(end) if end <= bytes.len() => Some(end),
                _ => return false,
            },
        };
        // Inside of something with an end, nothing may go beyond it.
        let parent = open.iter().rev().find_map(|end| *end);
        if end.zip(parent).is_some_and(|(end, parent)| end > parent) {
            return false;
        }
        at = content;
        match end {
            Some(end) if !constructed => {
                at = end;
                if open.is_empty() {
                    return ber_seen && at == bytes.len();
                }
            }
            _ => {
                open.push(end);
                if open.len() > MAX_DEPTH {
                    return false;
                }
            }
        }
    }
}

/// Tag, offset of the content, length unless indefinite, and whether the length is in its shortest form.
fn header(bytes: &[u8], at: usize) -> Option<(u8, usize, Option<usize>, bool)> {
    let tag = *bytes.get(at)?;
    if tag & 0x1f == 0x1f {
        return None;
    }
    let first = *bytes.get(at.checked_add(1)?)?;
    let after = at.checked_add(2)?;
    match first {
        0..=0x7f => Some((tag, after, Some(usize::from(first)), true)),
        0x80 => Some((tag, after, None, true)),
        0x81..=0x84 => {
            let content = after.checked_add(usize::from(first & 0x7f))?;
            let digits = bytes.get(after..content)?;
            let length = digits
                .iter()
                .fold(0_usize, |sum, digit| sum << 8 | usize::from(*digit));
            let minimal = digits.first() != Some(&0) && (length > 0x7f);
            Some((tag, content, Some(length), minimal))
        }
        _ => None,
    }
}
