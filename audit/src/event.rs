//! What an entry can say. Nothing here is secret: no password, no PFX, no key; digests and names of what was asked for.

mod ca_use;
mod client_key;
mod housekeeping;
mod key_made;
mod key_use;
mod oracle;

pub use ca_use::{CaAct, CaUse};
pub use client_key::{ClientAct, ClientKeyUse};
pub use housekeeping::{Begin, Canary, Closed, Opened, Recovered, Seal};
pub use key_made::KeyMade;
pub use key_use::{Caller, KeyUse, Packing, PfxCheck, Purpose, ResultClass};
pub use oracle::{Alarm, Approved, Refused, Released};

use serde::{Deserialize, Serialize};

/// What happened; `event` of a line is the variant's name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "camelCase")]
#[non_exhaustive]
pub enum Event {
    /// The first line of every file.
    Begin(Box<Begin>),
    /// Custody started.
    Opened(Box<Opened>),
    /// The custody key was used for a request.
    KeyUse(Box<KeyUse>),
    /// A request was answered with the result of another one's use of the key.
    Shared(Box<KeyUse>),
    /// A private key was made for a certificate and given out sealed.
    KeyMade(Box<KeyMade>),
    /// The key of a certification authority, or of its OCSP responder, signed.
    CaUse(Box<CaUse>),
    /// A connector's own key signed as a client.
    ClientKeyUse(Box<ClientKeyUse>),
    /// The key was used for known ciphertexts, to tell a bad input from a token in trouble.
    Canary(Canary),
    /// Requests were refused without a use of the key.
    Refused(Box<Refused>),
    /// Something that an operator should look at.
    Alarm(Alarm),
    /// An operator lifted a quarantine or a suspension.
    Released(Released),
    /// An approval was used.
    Approved(Box<Approved>),
    /// The audit key's signature over the chain up to an entry.
    Seal(Seal),
    /// A damaged end was cut off, or the log can be written again.
    Recovered(Recovered),
    /// Custody ended in an orderly way.
    Closed(Closed),
}

impl Event {
    /// The name in `event`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Begin(_) => "begin",
            Self::Opened(_) => "opened",
            Self::KeyUse(_) => "keyUse",
            Self::Shared(_) => "shared",
            Self::KeyMade(_) => "keyMade",
            Self::CaUse(_) => "caUse",
            Self::ClientKeyUse(_) => "clientKeyUse",
            Self::Canary(_) => "canary",
            Self::Refused(_) => "refused",
            Self::Alarm(_) => "alarm",
            Self::Released(_) => "released",
            Self::Approved(_) => "approved",
            Self::Seal(_) => "seal",
            Self::Recovered(_) => "recovered",
            Self::Closed(_) => "closed",
        }
    }
}
