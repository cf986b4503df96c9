//! What was done with the custody key, and what may be done with it.
//!
//! Every use of the key becomes one entry of a log before its result leaves the engine. The log is a folder of JSON Lines; each line
//! names the SHA-256 of the line before it, and a signature by the audit key seals the chain every few seconds. So nobody can change,
//! take out, add or move a line without being found by whoever has the public half of that key and the anchors that were kept elsewhere.
//!
//! ```text
//!   custody                                    this crate                                        the disk
//!   -------                                    ----------                                        --------
//!   the token has decrypted
//!     record(event) ---> queue ---> writer thread: line, hash, line, hash ... ---> append, fdatasync
//!     ticket.wait() <--------------------------- all that were in it are durable <------'
//!     the answer leaves                              |
//!                                                    '--> sealer thread: signature over the head ---> `seal`, anchors
//!
//!   an auditor:  verify(folder, public key, anchors)   offline, in bounded memory, says file, line and what is wrong
//! ```
//!
//! There is no secret in it, no network and no token: a seal on a token is made by whoever implements [`Signer`].

#![forbid(unsafe_code)]

mod anchors;
pub mod approval;
mod boot;
mod chain;
pub mod entry;
pub mod event;
pub mod files;
pub mod fold;
pub mod issued;
pub mod ledger;
mod lines;
mod opening;
mod queue;
pub mod read;
pub mod receipts;
pub mod seal;
mod sealer;
mod status;
pub mod storage;
mod text;
pub mod verb;
pub mod verify;
mod waits;
mod walk;
mod writer;

pub use chain::ChainFault;
pub use entry::{Entry, FORMAT_VERSION, MAX_LINE_BYTES};
pub use event::{Caller, Event, KeyUse, PfxCheck, Purpose, ResultClass};
pub use fold::Fold;
pub use ledger::Ledger;
pub use opening::OpenError;
pub use receipts::{Expected, Log, Options, ReceiptError, Receipts, Ticket, Written};
pub use seal::{Anchor, AuditKey, KeyError, Signed, Signer, SignerError};
pub use status::{Status, Trouble};
pub use text::{Hash, Timestamp};
pub use verb::Verb;
pub use walk::Place;
