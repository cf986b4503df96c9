//! The forms in which a PFX is written, and how much work its password is.

use super::{Entries, WriteError};
use fips::policy::Service;
use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

/// How a PFX is protected. Its name is stable, on the command line and in JSON: [`Form::name`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Form {
    /// Approved algorithms alone: PBES2 with AES-256-CBC and PBKDF2-HMAC-SHA-256, and PBMAC1 with the same (RFC 8018, RFC 9579). Readers
    /// from before 2024 do not know PBMAC1.
    Approved,
    /// The same encryption with the classic MAC, HMAC-SHA-256 under a key from the PKCS#12 KDF (RFC 7292 appendix B): what every
    /// maintained reader knows.
    Compatible,
    /// PKCS#12 encryption with three-key 3DES and the classic MAC with SHA-1 (RFC 7292 appendix C): for what knows nothing else.
    Legacy3Des,
}

/// A name that is no form's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no such form; the forms are approved, compatible, legacy-3des")]
pub struct UnknownForm;

impl Form {
    /// Every form, the best first.
    pub const ALL: [Self; 3] = [Self::Approved, Self::Compatible, Self::Legacy3Des];

    /// The stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::Compatible => "compatible",
            Self::Legacy3Des => "legacy-3des",
        }
    }

    /// Its algorithms, in words.
    #[must_use]
    pub const fn algorithms(self) -> &'static str {
        match self {
            Self::Approved => "PBES2 (AES-256-CBC, PBKDF2 with HMAC-SHA-256), PBMAC1",
            Self::Compatible => {
                "PBES2 (AES-256-CBC, PBKDF2 with HMAC-SHA-256), classic MAC with SHA-256"
            }
            Self::Legacy3Des => "PKCS#12 encryption with 3DES, classic MAC with SHA-1",
        }
    }

    /// Iterations of each key derivation where nobody asks for another number.
    ///
    /// 100,000 for the modern forms: a file with one key has three derivations, and .NET refuses files with more than 600,000 in all.
    /// 2,048 for the old one, which is what OpenSSL has always written and what old devices do in bearable time: there the strength has
    /// to be in the password.
    #[must_use]
    pub const fn default_iterations(self) -> NonZeroU32 {
        const MODERN: NonZeroU32 = NonZeroU32::MIN.saturating_add(100_000 - 1);
        const OLD: NonZeroU32 = NonZeroU32::MIN.saturating_add(2048 - 1);
        match self {
            Self::Approved | Self::Compatible => MODERN,
            Self::Legacy3Des => OLD,
        }
    }
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Form {
    type Err = UnknownForm;

    fn from_str(name: &str) -> Result<Self, UnknownForm> {
        Self::ALL
            .into_iter()
            .find(|form| form.name() == name)
            .ok_or(UnknownForm)
    }
}

impl serde::Serialize for Form {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// A form with the number of its iterations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteOptions {
    form: Form,
    iterations: NonZeroU32,
}

impl WriteOptions {
    /// The fewest iterations: what approved PBKDF2 asks for at least (SP 800-132).
    pub const MIN_ITERATIONS: u32 = fips::policy::bounds::PBKDF2_ITERATIONS;
    /// The most iterations of one derivation: three quarters of a second each on an ordinary processor.
    pub const MAX_ITERATIONS: u32 = 1_000_000;
    /// The most iterations of one file: what the reader of this crate, and Java's, take by default.
    pub const MAX_TOTAL_ITERATIONS: u64 = 5_000_000;

    /// With [`Form::default_iterations`].
    #[must_use]
    pub const fn new(form: Form) -> Self {
        Self {
            form,
            iterations: form.default_iterations(),
        }
    }

    /// With this many iterations of each key derivation.
    ///
    /// # Errors
    /// [`WriteError::Iterations`] below [`Self::MIN_ITERATIONS`] and above [`Self::MAX_ITERATIONS`].
    pub fn with_iterations(self, iterations: u32) -> Result<Self, WriteError> {
        match NonZeroU32::new(iterations) {
            Some(count) if (Self::MIN_ITERATIONS..=Self::MAX_ITERATIONS).contains(&iterations) => {
                Ok(Self {
                    iterations: count,
                    ..self
                })
            }
            _ => Err(WriteError::Iterations {
                iterations,
                minimum: Self::MIN_ITERATIONS,
                maximum: Self::MAX_ITERATIONS,
            }),
        }
    }

    /// The form.
    #[must_use]
    pub const fn form(&self) -> Form {
        self.form
    }

    /// Iterations of each key derivation.
    #[must_use]
    pub const fn iterations(&self) -> NonZeroU32 {
        self.iterations
    }

    /// The services that writing takes under a password of this many bytes.
    #[must_use]
    pub fn services(&self, password_bytes: usize) -> Vec<Service> {
        let pbkdf2 = Service::pbkdf2(
            password_bytes,
            super::protect::SALT_BYTES,
            self.iterations.get(),
        );
        match self.form {
            Form::Approved => vec![Service::Random, pbkdf2, Service::AesCbc, Service::Hmac],
            Form::Compatible => vec![
                Service::Random,
                Service::Pkcs12KdfWrite,
                pbkdf2,
                Service::AesCbc,
                Service::Hmac,
            ],
            Form::Legacy3Des => vec![
                Service::Random,
                Service::Pkcs12KdfWrite,
                Service::TripleDesEncrypt,
                Service::Hmac,
            ],
        }
    }

    /// Whether a reader with ordinary limits opens what would be written.
    pub(super) fn check_work(&self, entries: &Entries<'_>) -> Result<(), WriteError> {
        // SHA-1 gives 20 bytes at once: 24 of key are two outputs, and the initialisation vector is one.
        let outputs = match self.form {
            Form::Approved | Form::Compatible => 1,
            Form::Legacy3Des => 3,
        };
        let parts = entries
            .keys
            .len()
            .saturating_add(usize::from(!entries.certificates.is_empty()));
        let total = u64::try_from(parts)
            .unwrap_or(u64::MAX)
            .saturating_mul(outputs)
            .saturating_add(1)
            .saturating_mul(u64::from(self.iterations.get()));
        if total > Self::MAX_TOTAL_ITERATIONS {
            return Err(WriteError::TooMuchWork {
                total,
                limit: Self::MAX_TOTAL_ITERATIONS,
            });
        }
        Ok(())
    }
}
