//! Custody of RSA keys that never leave a token.
//!
//! The engine holds ciphertexts and asks for plaintexts. Everything it may know about the key's keeper is the trait
//! [`Custody`]; behind it is, so far, [`pkcs11::Pkcs11Custody`].
//!
//! ```text
//!   engine threads            this crate                                      the token's library
//!  ----------------   ------------------------------------------------   -----------------------------
//!   decrypt(..) --.                    .- worker 0: session 0, handles --- C_DecryptInit + C_Decrypt
//!   decrypt(..) --+--> bounded queue --+- worker 1: session 1, handles ---  one of each, into a buffer
//!   decrypt(..) --'                    '- ...                               that is wiped afterwards
//!   health()  ------> counters (never asks the token)
//! ```
//!
//! What it guarantees:
//! * A key that is readable, extractable or not for decryption is refused, unless a development switch says otherwise.
//! * A bad input is never taken for a broken token, nor the reverse: modules answer both with the same codes, so after a
//!   failure a ciphertext with a known answer decides ([`Error::class`]). How many of those are decrypted is limited, and beyond
//!   that what worked just before counts for a few failures.
//! * Trouble of the token is healed here, as far as one process can: handles looked up again, a new session, a new login, the module
//!   initialised again, until the request's deadline. No return value is without a meaning ([`pkcs11::classification`]).
//! * A wrong PIN is tried once, also by the process that comes after this one ([`pkcs11::TokenConfig::pin_memory`]); and again only where
//!   what the token said is lost and it shows nothing of its tries, a few times in all.
//! * Plaintexts exist in [`SecretBytes`] only.
//! * Encryption to other people's keys is the token's: their public keys are session objects, bounded, gone with the session.
//! * A key that signs ([`pkcs11::Pkcs11Custody::sign`]) does nothing else, and a custody key never signs. No signature is
//!   given out that does not verify.
//! * A key for agreements ([`pkcs11::Pkcs11Custody::derive_ecdh`]) does nothing else either. The token sees no point that is not on
//!   its curve, and keeps no secret that came of it.
//! * Where the token removes the padding itself, nothing about a bad padding reaches the caller. Where it cannot, the padding
//!   is removed here in constant time, and [`Capabilities::software_unpadding`] says so: that is no approved service.
//!
//! PKCS#11 has traps that shape this crate; each is told where it is avoided: one initialisation per process and module,
//! no length query before a decryption, sessions that belong to one thread, handles that grow old, calls that hang.
//!
//! ```no_run
//! use hsm::pin::PinSource;
//! use hsm::pkcs11::{Pkcs11Custody, TokenConfig};
//! use hsm::{Custody, Padding};
//!
//! # fn main() -> Result<(), hsm::Error> {
//! let pin = PinSource::File("/etc/pfx-connector/pin".into());
//! let custody = Pkcs11Custody::open(TokenConfig {
//!     token_label: Some("custody".into()),
//!     threads: 4,
//!     ..TokenConfig::new("/usr/lib/softhsm/libsofthsm2.so".into(), pin)
//! })?;
//! let key = custody.keys()?.remove(0);
//! let ciphertext = std::fs::read("password.bin").unwrap_or_default();
//! let password = custody.decrypt(&key.fingerprint, Padding::OaepSha512, &ciphertext)?;
//! println!("{} bytes", password.len());
//! # Ok(())
//! # }
//! ```

mod agreement;
pub mod clock;
mod custody;
pub mod descriptors;
mod error;
pub mod files;
pub mod group;
mod key;
mod label;
mod life;
mod load;
mod masks;
pub mod measurement;
mod oaep;
mod padding;
pub mod pin;
mod pkcs1;
pub mod pkcs11;
pub mod public_key;
mod signing;
mod sync;
mod terms;
mod token;

pub use agreement::AgreementKeyInfo;
pub use custody::{Answer, Capabilities, Custody, Health, Operation};
pub use error::{Error, ErrorClass, FileProblem, PinProblem, Refusal};
pub use fips::secret::SecretBytes;
pub use key::{InvalidFingerprint, KeyAttributes, KeyFingerprint, KeyInfo, KeyProblem};
pub use label::Label;
pub use life::{
    AuditValue, AuditedAttribute, Destroyed, KeyAudit, KeyLifeProblem, KeyOrigin, Sealed,
    TokenCertificate, TransportKey, WrappedKey,
};
pub use load::{Load, Times};
pub use padding::{Padding, UnknownPadding};
pub use signing::{SigningKeyInfo, SigningKeyName, TokenSignature};
pub use terms::{Lane, Terms};
pub use token::{TokenFlags, TokenInfo, Version};
