//! Delivers people's S/MIME certificates to their devices without the decryption key ever leaving a hardware security module.
//!
//! ```text
//! PKI administrator          gateway (service side)         connector host                        device
//! import add  --HTTPS-->     records, queue, results  <--lease--  connector --unix socket--> engine supervisor
//!   password encrypted       cannot decrypt           --work-->   (network, journal)           |- custody  -- PKCS#11 --> HSM
//!   to the custody key       what it stores           <-result--                               `- formats (parsers)
//! ```
//!
//! One binary, several processes, each with one trust level; `docs/architecture.md` draws the lines between them.
//! Modules follow those lines and depend one way: [`cli`] -> [`connector`], [`gateway`] -> [`engine`] -> `hsm` -> `fips`.
//! [`record`], [`encoding`], [`clock`], [`calendar`], [`config`], [`service_manager`] and [`telemetry`] hold what several of them share.
#![forbid(unsafe_code)]

mod bearer;
pub mod ca;
pub mod calendar;
pub mod cli;
pub mod clock;
pub mod config;
pub mod connector;
pub mod doctor;
pub mod encoding;
pub mod engine;
pub mod evidence;
pub mod gateway;
pub mod identity;
pub mod intune;
pub mod issuance;
pub mod record;
pub mod service_manager;
mod sync;
pub mod telemetry;
pub mod tls;

/// Version of the program, as every status, log and protocol greeting reports it.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
