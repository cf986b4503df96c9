//! Which start of the machine this is.

use std::fs;
use std::io;

/// Linux' boot id; where there is none, a random one of this process.
pub(crate) fn id() -> io::Result<String> {
    let read = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let read = read.trim();
    if is_id(read) {
        Ok(read.to_owned())
    } else {
        random()
    }
}

/// 32 random hexadecimal digits.
pub(crate) fn random() -> io::Result<String> {
    let mut bytes = [0; 16];
    fips::random::fill(&mut bytes).map_err(|error| io::Error::other(error.to_string()))?;
    Ok(base16ct::lower::encode_string(&bytes))
}

/// Whether it can be one: it is signed within a text of lines.
pub(crate) fn is_id(text: &str) -> bool {
    (32..=36).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte == b'-' || byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}
