//! What the network clients are told, where it is the same for all of them.

use base64ct::{Base64, Encoding};
use bytes::Bytes;
use fips::secret::{Password, SecretBytes};
use reqwest::Url;
use reqwest::header::HeaderValue;

/// A setting that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{setting}: {problem}")]
pub struct SettingsError {
    /// Its name.
    pub setting: &'static str,
    /// What is wrong, and what to do.
    pub problem: String,
}

impl SettingsError {
    pub(crate) fn new(setting: &'static str, problem: impl Into<String>) -> Self {
        Self {
            setting,
            problem: problem.into(),
        }
    }
}

/// A user name with its password. It is shown over TLS alone, and to the configured address alone.
pub struct Login {
    /// The name.
    pub user: String,
    /// The password, as UTF-8.
    pub password: Password,
}

impl Login {
    /// That it can be sent at all.
    pub(crate) fn check(&self) -> Result<(), SettingsError> {
        if self.user.is_empty()
            || self.user.contains(':')
            || self.user.chars().any(char::is_control)
        {
            return Err(SettingsError::new(
                "user",
                "a user name is not empty and has no colon and no control characters (RFC 7617 section 2)",
            ));
        }
        let password = std::str::from_utf8(self.password.expose())
            .map_err(|_| SettingsError::new("password", "the password is not text in UTF-8"))?;
        if password.is_empty() || password.chars().any(char::is_control) {
            return Err(SettingsError::new(
                "password",
                "the password is empty or has control characters, such as the end of a line",
            ));
        }
        Ok(())
    }

    /// `Authorization: Basic ...` (RFC 7617), marked as sensitive; its copies share the secret's own memory.
    pub(crate) fn basic(&self) -> Result<HeaderValue, SettingsError> {
        const SCHEME: &[u8] = b"Basic ";
        let unusable = || SettingsError::new("password", "name and password are too long");
        self.check()?;
        let length = self.user.len().checked_add(self.password.len());
        let mut pair = SecretBytes::zeroed(
            length
                .and_then(|sum| sum.checked_add(1))
                .ok_or_else(unusable)?,
        );
        let (name, rest) = pair
            .expose_mut()
            .split_at_mut_checked(self.user.len())
            .ok_or_else(unusable)?;
        name.copy_from_slice(self.user.as_bytes());
        let (colon, place) = rest.split_at_mut_checked(1).ok_or_else(unusable)?;
        colon.copy_from_slice(b":");
        place.copy_from_slice(self.password.expose());
        let encoded = Base64::encoded_len(pair.expose());
        let mut whole = SecretBytes::zeroed(SCHEME.len().saturating_add(encoded));
        let (scheme, place) = whole
            .expose_mut()
            .split_at_mut_checked(SCHEME.len())
            .ok_or_else(unusable)?;
        scheme.copy_from_slice(SCHEME);
        Base64::encode(pair.expose(), place).map_err(|_| unusable())?;
        let mut header = HeaderValue::from_maybe_shared(Bytes::from_owner(Shown(whole)))
            .map_err(|_| unusable())?;
        header.set_sensitive(true);
        Ok(header)
    }
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// What a header reads its bytes from, as long as any copy of it lives.
struct Shown(SecretBytes);

impl AsRef<[u8]> for Shown {
    fn as_ref(&self) -> &[u8] {
        self.0.expose()
    }
}

/// The address of a service: `https`, without user, query or fragment. `allow_path`: whether a path may follow the host.
pub(crate) fn address(setting: &'static str, text: &str) -> Result<Url, SettingsError> {
    let url = plain_address(setting, text)?;
    if url.scheme() != "https" {
        return Err(SettingsError::new(
            setting,
            "authorities are spoken to over https only: credentials and requests would be open to everybody",
        ));
    }
    Ok(url)
}

/// The same with `http` too: for a protocol whose messages protect themselves.
pub(crate) fn plain_address(setting: &'static str, text: &str) -> Result<Url, SettingsError> {
    let url = Url::parse(text)
        .map_err(|error| SettingsError::new(setting, format!("not an address: {error}")))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(SettingsError::new(
            setting,
            "an address begins with https:// (or with http:// where the protocol allows it)",
        ));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(SettingsError::new(
            setting,
            "an address has no user and no password in it: they have settings of their own",
        ));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(SettingsError::new(setting, "an address with ? or # in it"));
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;

    fn login(user: &str, password: &str) -> Login {
        Login {
            user: user.to_owned(),
            password: Password::from_slice(password.as_bytes()),
        }
    }

    #[test]
    fn the_example_of_rfc_7617_is_written() {
        let header = login("Aladdin", "open sesame").basic().unwrap();
        assert_eq!(header.as_bytes(), b"Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        assert!(header.is_sensitive() && !format!("{header:?}").contains("QWxh"));
        assert!(!format!("{:?}", login("jo", "hush")).contains("hush"));
    }

    #[test]
    fn logins_that_a_header_cannot_carry_are_refused_by_the_setting() {
        for (user, password, setting) in [
            ("", "x", "user"),
            ("a:b", "x", "user"),
            ("a\r\nb", "x", "user"),
            ("a", "", "password"),
            ("a", "x\n", "password"),
        ] {
            assert_eq!(login(user, password).basic().unwrap_err().setting, setting);
        }
    }

    #[test]
    fn addresses_are_https_and_nothing_else() {
        assert!(address("server", "https://ca.example.org:8443/x").is_ok());
        for bad in [
            "http://ca.example.org",
            "https://jo:pw@ca.example.org",
            "https://ca.example.org/?a=b",
            "https://ca.example.org/#f",
            "ca.example.org",
            "",
        ] {
            assert!(address("server", bad).is_err(), "{bad}");
        }
    }
}
