//! What the custody process does around the one use of its key: who signed the record, whose device certificate it is, and the
//! CMS message that carries the password on. Pure functions: no file, socket or token is touched after start.
//!
//! ```text
//! at start     anchors::load, importers::load          the operator's files, trusted
//! a request    importers::verify(record, pfx)          is it what an importer signed?
//!              formats process: check_device           full parsing, says what is wrong and where the parts lie
//!              chain::verify(target, checked, trust)   believes none of that: checks each place, each signature, up to an anchor
//!                known::KnownDevices::verify             the same, without formats and signatures for a path that was verified before
//!              (token decrypts)
//!              cms::envelop(format, device, password)  only to the identity that chain::verify gave out
//! pack         sealed::SealedKey                       a key that an engine made, for one request and one custody key
//!              issued::verify(csr, certificate, ...)   is it what the request asked for?
//! rewrap       formats process: opening::answer        opens the PFX, says which key and certificate are in it
//!              identity::verify(record, claimed)       believes none of that: digest, key, chain
//! ```
//!
//! The formats process reads what strangers made and may be in a stranger's hand. Therefore a [`chain::DeviceIdentity`] cannot be
//! made from what it says: [`chain::verify`] finds every part of every certificate again by DER headers alone
//! ([`layout`]), compares, and verifies the signatures itself.

pub mod anchors;
pub mod approvers;
pub mod chain;
pub mod cms;
pub mod identity;
pub mod importers;
pub mod issued;
pub mod known;
pub mod layout;
mod names;
pub(in crate::engine) mod pem;
mod request;
pub mod revocation;
pub mod rules;
pub mod sealed;

pub use pki::algorithm as signatures;
