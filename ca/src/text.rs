//! Base64 as authorities send it, and their words as they may be shown.

use base64ct::{Base64, Encoding};

/// The most characters of an authority's words that an error carries.
const MAX_WORDS: usize = 200;

/// Base64 (RFC 4648 section 4) with white space anywhere, between the lines of PEM or not, or DER as it is. RFC 8951 section 3.1: receivers
/// tolerate white space; and some servers send what they should have encoded. `None` when it is none of these.
pub(crate) fn decode(text: &[u8]) -> Option<Vec<u8>> {
    // A SEQUENCE. No base64 of one begins with this character.
    if text.first() == Some(&0x30) {
        return Some(text.to_vec());
    }
    let mut plain = String::with_capacity(text.len());
    for line in text.split(|octet| matches!(octet, b'\n' | b'\r')) {
        if line.starts_with(b"-----") {
            continue;
        }
        for octet in line {
            match octet {
                b' ' | b'\t' => {}
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'+' | b'/' | b'=' => {
                    plain.push(char::from(*octet));
                }
                _ => return None,
            }
        }
    }
    if plain.is_empty() {
        return None;
    }
    Base64::decode_vec(&plain).ok()
}

/// Base64 in lines of 64 characters. RFC 8951 section 3.1 leaves white space to the sender; servers that read with OpenSSL's older filter,
/// libest among them, take long text in lines alone.
pub(crate) fn encode_lines(bytes: &[u8]) -> String {
    let text = Base64::encode_string(bytes);
    let mut lines =
        String::with_capacity(text.len().saturating_add(text.len() / 64).saturating_add(1));
    for (place, character) in text.chars().enumerate() {
        if place > 0 && place.is_multiple_of(64) {
            lines.push('\n');
        }
        lines.push(character);
    }
    lines.push('\n');
    lines
}

/// The beginning of what an authority says, in one line that does no harm; empty where it says nothing.
pub(crate) fn words(bytes: &[u8]) -> String {
    let start = bytes.get(..MAX_WORDS.saturating_mul(8)).unwrap_or(bytes);
    let text = String::from_utf8_lossy(start);
    let mut line = String::new();
    for word in text.split_whitespace() {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    formats::text::printable(&line)
        .chars()
        .take(MAX_WORDS)
        .collect()
}

/// What an authority says, as the end of a sentence.
pub(crate) fn it_says(bytes: &[u8]) -> String {
    match words(bytes) {
        words if words.is_empty() => String::new(),
        words => format!("; it says: {words}"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;

    #[test]
    fn base64_is_read_with_line_breaks_of_every_kind() {
        let der: Vec<u8> = std::iter::once(0x30).chain(0..=255).collect();
        let one = Base64::encode_string(&der);
        assert_eq!(decode(encode_lines(&der).as_bytes()).as_ref(), Some(&der));
        assert!(encode_lines(&der).lines().all(|line| line.len() <= 64));
        let (head, tail) = one.split_at(76);
        for text in [
            one.clone(),
            format!("{one}\n"),
            format!("{head}\r\n{tail}\r\n"),
            format!("{head}\r{tail}"),
            format!("\r\n \t{head}\n\n\n{tail}  "),
            one.chars().flat_map(|c| [c, ' ']).collect(),
            format!("-----BEGIN PKCS7-----\n{head}\n{tail}\n-----END PKCS7-----\n"),
        ] {
            assert_eq!(decode(text.as_bytes()).as_ref(), Some(&der), "{text}");
        }
        assert_eq!(decode(&der).as_ref(), Some(&der), "what was not encoded");
    }

    #[test]
    fn what_is_no_base64_is_nothing() {
        for text in [
            "",
            " \r\n",
            "MA",
            "MA=",
            "M A = = =",
            "<html>",
            "MA==MA==",
            "TUE\u{a0}",
        ] {
            assert_eq!(decode(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn words_are_one_short_line() {
        assert_eq!(
            words(b" not \r\n allowed\x1b[2J "),
            "not allowed\u{fffd}[2J"
        );
        assert_eq!(words(&[b'a'; 5000]).len(), MAX_WORDS);
        assert_eq!(it_says(b""), "");
        assert!(!words(&[0xff; 100]).is_empty());
    }
}
