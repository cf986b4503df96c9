//! The bearer token of a call (RFC 6750 section 2.1), as a header that keeps it where secrets are.

use axum::body::Bytes;
use fips::secret::{BearerToken, SecretBytes};
use reqwest::header::HeaderValue;

/// What a header reads its bytes from, as long as any copy of it lives.
struct Shown(SecretBytes);

impl AsRef<[u8]> for Shown {
    fn as_ref(&self) -> &[u8] {
        self.0.expose()
    }
}

/// `Authorization: Bearer ...`, marked as sensitive. Its copies share the secret's own memory, which is overwritten with the last of them;
/// what the HTTP client writes it into on the way to TLS is the client's. `None` when the token holds what a header cannot.
pub(crate) fn header(token: &BearerToken) -> Option<HeaderValue> {
    const SCHEME: &[u8] = b"Bearer ";
    let mut whole = SecretBytes::zeroed(SCHEME.len().checked_add(token.len())?);
    let (scheme, place) = whole.expose_mut().split_at_mut_checked(SCHEME.len())?;
    scheme.copy_from_slice(SCHEME);
    place.copy_from_slice(token.expose());
    let mut header = HeaderValue::from_maybe_shared(Bytes::from_owner(Shown(whole))).ok()?;
    header.set_sensitive(true);
    Some(header)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;

    #[test]
    fn a_header_reads_the_secret_where_it_is_and_does_not_show_it() {
        let before = fips::secret::memory_report().in_pool;
        let made = header(&BearerToken::from_slice(b"abc.def")).unwrap();
        assert_eq!(made.as_bytes(), b"Bearer abc.def");
        assert_eq!(made.clone().as_bytes().as_ptr(), made.as_bytes().as_ptr());
        assert!(!format!("{made:?}").contains("abc"));
        assert!(fips::secret::memory_report().in_pool > before);
        assert!(header(&BearerToken::from_slice(b"a\nb")).is_none());
    }
}
