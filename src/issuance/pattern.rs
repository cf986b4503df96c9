//! Patterns: text in which `*` stands for any run of characters.

use serde::{Deserialize, Deserializer, Serialize};

/// The longest pattern, in bytes.
const MAX_BYTES: usize = 512;
/// Stars in one pattern.
const MAX_STARS: usize = 4;

/// A pattern. What a star may stand for depends on what is matched: in an e-mail address or a user principal name never an `@`, in a DNS
/// name never a dot.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Pattern(String);

impl Pattern {
    /// A pattern of a text.
    ///
    /// # Errors
    /// In words, when it is empty, too long or has too many stars.
    pub fn new(text: &str) -> Result<Self, String> {
        let stars = text.matches('*').count();
        if text.is_empty() || text.len() > MAX_BYTES || stars > MAX_STARS || text.contains("**") {
            return Err(format!(
                "a pattern has 1 to {MAX_BYTES} bytes and {MAX_STARS} stars at most, none beside another"
            ));
        }
        Ok(Self(text.to_owned()))
    }

    /// Its text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }

    /// Whether it is nothing but a star.
    #[must_use]
    pub fn is_any(&self) -> bool {
        self.0 == "*"
    }

    /// Whether the whole of `text` fits, letter by letter.
    #[must_use]
    pub fn fits(&self, text: &str) -> bool {
        fits(&self.0, text, &[])
    }

    /// Whether an address `user@domain` fits: without regard to case, one `@` in it, which no star stands for.
    #[must_use]
    pub fn fits_address(&self, address: &str) -> bool {
        let is_address = address.is_ascii()
            && !address.contains(|c: char| c.is_ascii_control() || c == ' ')
            && address.split_once('@').is_some_and(|(user, domain)| {
                !user.is_empty() && !domain.is_empty() && !domain.contains('@')
            });
        is_address
            && (self.is_any()
                || fits(
                    &self.0.to_ascii_lowercase(),
                    &address.to_ascii_lowercase(),
                    b"@",
                ))
    }

    /// Whether a DNS name fits: without regard to case; a star stands for one label or a part of one. A name with a star of its own
    /// (a wildcard certificate) fits only a pattern that begins with `*.` at the same place, so that it is seen.
    #[must_use]
    pub fn fits_dns(&self, name: &str) -> bool {
        let is_name = name.is_ascii()
            && !name.starts_with('.')
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-._*".contains(&byte));
        is_name
            && (self.is_any() && !name.contains('*')
                || fits(
                    &self.0.to_ascii_lowercase(),
                    &name.to_ascii_lowercase(),
                    b".",
                ))
    }

    /// The part of an address pattern behind its `@`, when no star is in it.
    #[must_use]
    pub fn fixed_domain(&self) -> Option<&str> {
        let (_, domain) = self.0.rsplit_once('@')?;
        (!domain.is_empty() && !domain.contains('*')).then_some(domain)
    }

    /// Labels at the end of a DNS pattern without a star.
    #[must_use]
    pub fn fixed_labels(&self) -> usize {
        self.0
            .rsplit('.')
            .take_while(|label| !label.is_empty() && !label.contains('*'))
            .count()
    }
}

/// The parts between the stars, the first at the beginning, the last at the end, the others where they are found first. `barred`: bytes
/// that no star stands for.
fn fits(pattern: &str, text: &str, barred: &[u8]) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|head| text.strip_prefix(head)) else {
        return false;
    };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else {
        return rest.is_empty();
    };
    let free = |skipped: &str| !skipped.bytes().any(|byte| barred.contains(&byte));
    for part in parts {
        let Some((skipped, behind)) = rest.split_once(part) else {
            return false;
        };
        if !free(skipped) {
            return false;
        }
        rest = behind;
    }
    rest.strip_suffix(last).is_some_and(free)
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::new(&text).map_err(serde::de::Error::custom)
    }
}
