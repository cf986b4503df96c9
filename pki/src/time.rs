//! Times as certificates and lists have them: `YYYYMMDDHHMMSS` in UTC, which compare as octets.

use formats::text::rfc3339;

/// Tag of UTCTime.
pub(crate) const UTC_TIME: u8 = 0x17;
/// Tag of GeneralizedTime.
pub(crate) const GENERALIZED_TIME: u8 = 0x18;

/// `YYYYMMDDHHMMSS` of a UTCTime or GeneralizedTime in the one form that RFC 5280 section 4.1.2.5 allows.
#[must_use]
pub fn time_digits(tag: u8, content: &[u8]) -> Option<[u8; 14]> {
    let digits = content.strip_suffix(b"Z")?;
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    match (tag, digits.len()) {
        (UTC_TIME, 12) => {
            let mut full = [0; 14];
            let (century, rest) = full.split_at_mut(2);
            century.copy_from_slice(if digits.first()? >= &b'5' {
                b"19"
            } else {
                b"20"
            });
            rest.copy_from_slice(digits);
            Some(full)
        }
        (GENERALIZED_TIME, 14) => digits.try_into().ok(),
        _ => None,
    }
}

/// A time as certificates have it, for milliseconds since 1970.
#[must_use]
pub fn digits(now_ms: i64) -> [u8; 14] {
    let mut at = [b'0'; 14];
    let text = rfc3339(now_ms);
    for (place, digit) in at.iter_mut().zip(text.bytes().filter(u8::is_ascii_digit)) {
        *place = digit;
    }
    at
}

/// `2026-01-31T23:59:59Z` for such a time.
#[must_use]
pub fn text(digits: &[u8; 14]) -> String {
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n] = digits.map(char::from);
    format!("{a}{b}{c}{d}-{e}{f}-{g}{h}T{i}{j}:{k}{l}:{m}{n}Z")
}
