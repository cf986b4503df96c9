//! The only place that calls the FIPS-validated module.
//!
//! Everything else in this workspace gets its cryptography from here, so that there is one place to read when somebody asks
//! "which algorithm, by which code, and may it be used in FIPS mode?". The module is AWS-LC FIPS 3.1.0, the source of CMVP
//! certificates 5314 (static) and 5298 (dynamic), built by us.
//!
//! ```text
//!   engine, connector, gateway, command line          no unsafe, no other cryptography
//!   ------------------------------------------------------------------------------------
//!   fips     safe functions over slices; secrets are SecretBytes; errors say sizes, never bytes
//!     |        policy     every service in one table, one mode per process, exceptions by name; a Permit for each use
//!     |        indicator  what the module itself says around each use: a cross-check of that table
//!     |
//!     |-- approved       random  digest  hmac  aes  sign  tls  kdf::{hkdf, pbkdf2}
//!     |-- not approved   rsa (encryption)  ec (agreement)  kdf::{x963, pkcs12, pbkdf1, scrypt}  legacy
//!     |
//!     |---- aws-lc-rs           where its safe interface has what is needed
//!     `---- aws-lc-fips-sys     raw: CBC, key wrap, HMAC, PBKDF2, what old files need, reading keys, self-test, version, indicator
//!   ====================================== the boundary of the validated module =========
//!   AWS-LC FIPS 3.1.0 (bcm.o)    integrity test before main, known-answer tests in start()
//! ```
//!
//! Two rules follow from the module. A failed integrity test aborts the process before `main`, so a supervisor has to
//! notice ([`start`] has the details). And worker threads must be joined before `main` returns: at exit the module locks
//! its random bit generators away, and a thread that wants random bytes then never comes back.
//!
//! "Not approved" does not mean "weak": RSA-OAEP is sound, but this module's certificate does not cover it. In strict mode, which is
//! the default, each function refuses what the [`policy`] does not approve for its very arguments, with an error that names the
//! algorithm and the remedy. In every mode this crate refuses what nobody should want: RSA keys below 2048 bits, SHA-1
//! signatures, points that are not on the curve.
//!
//! ```
//! use fips::policy::{Policy, Service};
//! use fips::{aes, digest::Hash, kdf, random, rsa, secret::SecretBytes};
//!
//! # fn main() -> Result<(), fips::Error> {
//! let module = fips::start(Policy::STRICT)?;
//! assert_eq!(module.version(), "AWS-LC FIPS 3.1.0");
//!
//! let kek = random::secret(32)?;
//! let key = kdf::hkdf(Hash::Sha256, b"salt", kek.expose(), b"content key", 32)?;
//! let sealed = aes::gcm_seal(&key, b"header", b"a password")?;
//! let opened: SecretBytes = aes::gcm_open(&key, b"header", &sealed)?;
//! assert!(opened.ct_eq(b"a password"));
//!
//! assert!(Service::AesGcm.entry().standing.is_approved());
//! let device = rsa::PrivateKey::generate(2048)?.public()?;
//! let refused = device.encrypt_oaep(Hash::Sha256, b"a key").unwrap_err();
//! assert!(refused.to_string().contains("rsa-key-transport-in-module"));
//! # Ok(())
//! # }
//! ```

pub mod advisories;
pub mod aes;
mod cbc;
pub mod claim;
pub mod digest;
pub mod ec;
pub mod environment;
mod error;
pub mod hmac;
pub mod indicator;
pub mod kdf;
pub mod legacy;
mod module;
mod pkey;
pub mod policy;
pub mod provenance;
pub mod random;
pub mod rsa;
pub mod secret;
pub mod sign;
pub mod tls;

pub use error::{Error, Result};
pub use module::{EXPECTED_VERSION, Module, SelfTest, last_self_test, self_test, start};
pub use pkey::{pkcs8_public, pkcs8_public_of_any_kind};
