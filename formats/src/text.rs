//! Bytes, times and strangers' texts as people read them.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Lower-case hexadecimal.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    base16ct::lower::encode_string(bytes)
}

/// Text of others as it may be shown, on a page or a terminal: what could move the cursor, begin another line, hide or turn the direction
/// of writing is replaced.
#[must_use]
pub fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if is_printable(c) { c } else { '\u{fffd}' })
        .collect()
}

/// Whether a character shows itself, where it stands: no control character, and no invisible one such as those that turn the direction of
/// writing (Unicode Standard Annex 9).
#[must_use]
pub fn is_printable(c: char) -> bool {
    !c.is_control()
        && !matches!(
            c,
            '\u{61c}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

/// `2026-01-31T23:59:59.123Z` (RFC 3339, UTC) for milliseconds since 1970; the epoch for times that have no such form.
#[must_use]
pub fn rfc3339(ms: i64) -> String {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(ms) * 1_000_000)
        .ok()
        .and_then(|at| at.format(&Rfc3339).ok())
        .unwrap_or_else(|| "1970-01-01T00:00:00Z".to_owned())
}
