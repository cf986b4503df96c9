//! Passwords as PKCS#12 encodes them, and as some writers do.

use super::limits::{PfxLimits, limit};
use super::{PasswordForm, PfxError};
use fips::secret::SecretBytes;

/// Whether every byte of a password is a printable ASCII character (space to tilde), as a device can be given it.
#[must_use]
pub fn printable_ascii(password: &[u8]) -> bool {
    password.iter().all(|byte| (b' '..=b'~').contains(byte))
}

/// A password in one way of encoding it, for the two kinds of place that a PFX has for it.
pub struct Password {
    octets: SecretBytes,
    bmp: SecretBytes,
    form: PasswordForm,
}

impl Password {
    /// As the standards say. Octets that are no UTF-8 are taken as ISO-8859-1.
    ///
    /// # Errors
    /// [`PfxError::LimitExceeded`] for a password that is too long.
    pub fn new(given: &SecretBytes, limits: &PfxLimits) -> Result<Self, PfxError> {
        if given.len() > limits.max_password_bytes {
            return Err(limit(
                "length of the password in bytes",
                limits.max_password_bytes,
            ));
        }
        if let Ok(text) = std::str::from_utf8(given.expose()) {
            return Ok(Self {
                octets: SecretBytes::from_slice(given.expose()),
                bmp: bmp(given.len(), text.encode_utf16()),
                form: PasswordForm::Standard,
            });
        }
        // Each of these characters has at most two octets in UTF-8.
        let mut octets = SecretBytes::zeroed(given.len().saturating_mul(2));
        let mut used = 0_usize;
        for character in given.expose().iter().map(|byte| char::from(*byte)) {
            let end = used.saturating_add(character.len_utf8());
            if let Some(place) = octets.expose_mut().get_mut(used..end) {
                character.encode_utf8(place);
            }
            used = end;
        }
        octets.truncate(used);
        Ok(Self {
            octets,
            bmp: octets_as_characters(given.expose()),
            form: PasswordForm::Standard,
        })
    }

    /// No password at all, which some writers mean by an empty one: not even the two zeros.
    #[must_use]
    pub fn null() -> Self {
        Self {
            octets: SecretBytes::zeroed(0),
            bmp: SecretBytes::zeroed(0),
            form: PasswordForm::Null,
        }
    }

    /// For PBKDF2 and PBKDF1 (PBES2, PBES1, PBMAC1): UTF-8, unless [`Password::form`] says otherwise.
    #[must_use]
    pub fn octets(&self) -> &[u8] {
        self.octets.expose()
    }

    /// For the PKCS#12 KDF: BMPString, big-endian, with its two bytes of zero (RFC 7292 appendix B.1); characters beyond it as two
    /// surrogates.
    #[must_use]
    pub fn bmp(&self) -> &[u8] {
        self.bmp.expose()
    }

    /// How it is encoded.
    #[must_use]
    pub fn form(&self) -> PasswordForm {
        self.form
    }

    /// Whether it has no characters.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.octets.is_empty()
    }

    /// The same.
    #[must_use]
    pub fn copy(&self) -> Self {
        Self {
            octets: SecretBytes::from_slice(self.octets.expose()),
            bmp: SecretBytes::from_slice(self.bmp.expose()),
            form: self.form,
        }
    }

    /// Other encodings with which a writer may have made the MAC, most likely first. None for an ASCII password that is not empty.
    pub(super) fn other_forms_for_mac(&self) -> Vec<Self> {
        if self.is_empty() {
            return vec![Self::null()];
        }
        if self.octets.expose().is_ascii() {
            return Vec::new();
        }
        vec![Self {
            octets: SecretBytes::from_slice(self.octets.expose()),
            bmp: octets_as_characters(self.octets.expose()),
            form: PasswordForm::OctetsAsCharacters,
        }]
    }

    /// Other encodings with which a writer may have encrypted under a password that has opened the MAC. Sound only after that, and if
    /// what is decrypted is looked at: a wrong password passes the padding once in 256 times.
    pub(super) fn other_forms_for_encryption(&self) -> Vec<Self> {
        let mut forms = Vec::new();
        if self.is_empty() {
            // A MAC of the one kind of empty password beside bags of the other.
            forms.push(match self.form {
                PasswordForm::Null => Self {
                    octets: SecretBytes::zeroed(0),
                    bmp: SecretBytes::zeroed(2),
                    form: PasswordForm::Standard,
                },
                _ => Self::null(),
            });
        }
        if let Some(latin1) = self.latin1() {
            forms.push(Self {
                octets: latin1,
                bmp: SecretBytes::from_slice(self.bmp.expose()),
                form: PasswordForm::Latin1,
            });
        }
        forms.push(Self {
            octets: SecretBytes::from_slice(self.bmp.expose()),
            bmp: SecretBytes::from_slice(self.bmp.expose()),
            form: PasswordForm::BmpForPbes2,
        });
        forms
    }

    /// ISO-8859-1, where that is another encoding than UTF-8 and has all of its characters.
    fn latin1(&self) -> Option<SecretBytes> {
        let text = std::str::from_utf8(self.octets.expose()).ok()?;
        if text.is_ascii() {
            return None;
        }
        let mut latin1 = SecretBytes::zeroed(text.len());
        let mut used = 0_usize;
        for (place, character) in latin1.expose_mut().iter_mut().zip(text.chars()) {
            *place = u8::try_from(character).ok()?;
            used = used.saturating_add(1);
        }
        latin1.truncate(used);
        Some(latin1)
    }
}

/// Big-endian UTF-16 with two zeros at the end. Each unit comes from at least one of `octets` octets, so nothing grows and no copy stays
/// behind.
fn bmp(octets: usize, units: impl Iterator<Item = u16>) -> SecretBytes {
    let mut bmp = SecretBytes::zeroed(octets.saturating_add(1).saturating_mul(2));
    let mut used = 0_usize;
    for (place, unit) in bmp.expose_mut().chunks_exact_mut(2).zip(units) {
        place.copy_from_slice(&unit.to_be_bytes());
        used = used.saturating_add(2);
    }
    bmp.truncate(used.saturating_add(2));
    bmp
}

fn octets_as_characters(octets: &[u8]) -> SecretBytes {
    bmp(octets.len(), octets.iter().map(|octet| u16::from(*octet)))
}
