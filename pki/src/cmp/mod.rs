//! Messages of the Certificate Management Protocol (RFC 9810) in its lightweight profile (RFC 9483), as a client needs them.
//!
//! ```text
//!   Request      p10cr | ir cr kur | rr | genm | pollReq | certConf         what is asked
//!      + Header  transaction, nonces, time
//!      = protect(..)            signature of a key with a certificate, or a code of a shared secret
//!      ------------------------------------------------------------------- the network
//!   Message::read(..)           within limits; what it says is not true yet
//!      .verify(..)              the protection, and whether its maker is believed (Trust)
//!      .answers(..)             the transaction and the nonce are ours
//!      .body                    ip cp kup | rp | genp | pollRep | pkiconf | error
//! ```
//!
//! Written with `der`: the structures of the crates `cmpv2` and `crmf` are those of RFC 4210 and do not keep the octets that were
//! protected (docs/dependencies.md).

mod asn1;
mod body;
mod certificate;
mod certrep;
mod crmf;
mod error;
mod general;
mod header;
mod mac;
mod message;
/// Object identifiers of general messages.
pub mod oid;
mod poll;
mod protection;
mod revocation;
mod status;
mod transaction;
mod trust;

pub use body::{Body, Kind, Request};
pub use certificate::{is_for_key, is_valid_at, valid_until};
pub use certrep::{CertRep, Confirmation, Response, confirm};
pub use crmf::{CERT_REQ_ID, CertificateRequest, RequestKind, request};
pub use error::CmpError;
pub use general::{KeySpec, RequestTemplate, RootUpdate, ca_certs, root_question};
pub use header::{Header, Info};
pub use mac::MacScheme;
pub use message::Message;
pub use poll::{PollRep, poll};
pub use protection::{Protector, Verifier, protect};
pub use revocation::{RevRep, revoke};
pub use status::{Failure, PkiStatus, StatusInfo};
pub use transaction::Transaction;
pub use trust::Trust;

/// Largest message that is read, in bytes.
pub const MAX_MESSAGE_BYTES: usize = 256 * 1024;
/// Most certificates of one list.
pub const MAX_CERTIFICATES: usize = 32;
/// Most answers of one message: ours ask one thing.
pub const MAX_RESPONSES: usize = 8;
/// Most texts of one list.
pub const MAX_TEXTS: usize = 16;
