//! Everything that can be asked of the engine or done to its keys and its policy, and who may.
//!
//! [`Verb::rule`] is one match without a wildcard: a new verb does not compile before somebody has written down who may ask for it and
//! whether it needs approvals. The supervisor decides by the verb in a frame's header before anything of the request is read; custody decides
//! again, and holds the request itself against the verb.

use std::fmt;
use std::str::FromStr;

/// Who asks over the engine's socket, by what the kernel says of the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CallerKind {
    /// A user that the configuration does not name.
    Stranger,
    /// A user in `engine.allowed_uids`: connectors.
    Connector,
    /// The user who runs the engine.
    EngineUser,
}

impl CallerKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Stranger, Self::Connector, Self::EngineUser];

    /// The kind of a user id; one that nobody vouches for is a stranger's.
    #[must_use]
    pub fn of(uid: Option<u32>, engine: u32, allowed: &[u32]) -> Self {
        match uid {
            Some(uid) if uid == engine => Self::EngineUser,
            Some(uid) if allowed.contains(&uid) => Self::Connector,
            _ => Self::Stranger,
        }
    }
}

/// Who may do something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Who {
    /// Over the engine's socket: connectors, and the engine's own user.
    Connector,
    /// Over the engine's socket: the engine's own user alone.
    EngineUser,
    /// A command on the token: whoever has its PIN and reads the configuration. The engine is not asked.
    PinHolder,
    /// Whoever may change the configuration and start the engine. It shows when custody starts.
    Configuration,
    /// Nobody: there is no way to do it.
    Nobody,
}

/// Whether it needs approvals where `[engine.approvals]` is in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Approvals {
    /// No.
    Open,
    /// Yes: custody asks for them, and no such step is done without.
    Dangerous,
}

/// The rule of a verb.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rule {
    /// Who may.
    pub who: Who,
    /// Whether it needs approvals.
    pub approvals: Approvals,
}

impl Rule {
    const fn open(who: Who) -> Self {
        Self {
            who,
            approvals: Approvals::Open,
        }
    }

    const fn approved(who: Who) -> Self {
        Self {
            who,
            approvals: Approvals::Dangerous,
        }
    }

    /// Whether this caller may ask for it over the engine's socket.
    #[must_use]
    pub const fn admits(self, caller: CallerKind) -> bool {
        match (self.who, caller) {
            (Who::Connector, CallerKind::Connector | CallerKind::EngineUser)
            | (Who::EngineUser, CallerKind::EngineUser) => true,
            (Who::Connector, CallerKind::Stranger)
            | (Who::EngineUser, CallerKind::Stranger | CallerKind::Connector)
            | (Who::PinHolder | Who::Configuration | Who::Nobody, _) => false,
        }
    }
}

/// The verbs with what they are called and their number in frames, once, so that no list of them is ever incomplete.
macro_rules! verbs {
    ($($(#[$doc:meta])* $verb:ident = $code:literal, $name:literal;)+) => {
        /// What can be asked for or done. Its number is that in the frames of the engine's socket; 0 is none.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Verb {
            $($(#[$doc])* $verb,)+
        }

        impl Verb {
            /// Every verb.
            pub const ALL: &[Self] = &[$(Self::$verb),+];

            /// Its number in frames.
            #[must_use]
            pub const fn code(self) -> u8 {
                match self { $(Self::$verb => $code,)+ }
            }

            /// The verb of a number in frames.
            #[must_use]
            pub const fn from_code(code: u8) -> Option<Self> {
                match code { $($code => Some(Self::$verb),)+ _ => None }
            }

            /// Its stable name, in receipts, approvals and messages.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$verb => $name,)+ }
            }
        }
    };
}

verbs! {
    /// A password is encrypted to a device.
    Recrypt = 1, "recrypt";
    /// PFX files are opened and made into what a device takes.
    Deliver = 2, "deliver";
    /// A record is re-encrypted to another custody key.
    Reencrypt = 3, "reencrypt";
    /// The engine reports of itself.
    Status = 4, "status";
    /// Is anybody there.
    Ping = 5, "ping";
    /// What is quarantined and suspended is shown.
    OracleShow = 6, "oracleShow";
    /// A quarantine or a suspension is lifted.
    OracleRelease = 7, "oracleRelease";
    /// A custody key is destroyed on a token: the engine gives leave, the command does it.
    KeyDestroy = 8, "keyDestroy";
    /// A custody key is made on a token.
    KeyGenerate = 9, "keyGenerate";
    /// A custody key is copied to another token, or made one that cannot be copied any more.
    KeyReplicate = 10, "keyReplicate";
    /// A token gets no new requests: `drain` in the configuration, which a running engine reads again.
    Drain = 11, "drain";
    /// The engine's policy is another one than when it was last started.
    PolicyChange = 12, "policyChange";
    /// A limit is lowered or a budget raised: one way in which the policy changes.
    LimitLowered = 13, "limitLowered";
    /// The log is sealed by another key: one way in which the policy changes.
    AuditKeyChange = 14, "auditKeyChange";
    /// The private half of the audit key leaves where it is. There is no such command; `audit key export-public` gives its public half.
    AuditKeyExport = 15, "auditKeyExport";
    /// A private key for a certificate is made, with its certification request; the key is given out sealed.
    MakeKey = 16, "makeKey";
    /// Such a key is put into a PFX with its certificate, encrypted to a device.
    Pack = 17, "pack";
    /// A certification authority whose key is on the token issues a certificate by one of its profiles.
    Issue = 18, "issue";
    /// It signs a revocation list.
    SignCrl = 19, "signCrl";
    /// Its OCSP responder signs an answer.
    SignOcsp = 20, "signOcsp";
    /// A connector's key on the token signs a TLS 1.3 handshake as the client.
    SignTls = 21, "signTls";
    /// It signs a certification request for its own certificate.
    SignClientCsr = 22, "signClientCsr";
    /// A device's certificate is judged, and nothing encrypted to it.
    JudgeDevice = 23, "judgeDevice";
}

impl Verb {
    /// Who may, and whether it needs approvals.
    #[must_use]
    pub const fn rule(self) -> Rule {
        match self {
            Self::Recrypt
            | Self::Deliver
            | Self::MakeKey
            | Self::Pack
            | Self::JudgeDevice
            | Self::Status
            | Self::Ping => Rule::open(Who::Connector),
            Self::Issue | Self::SignCrl | Self::SignOcsp => Rule::open(Who::Connector),
            // Which of these callers may use which key is said by `[[engine.client_keys]]`, and decided in custody.
            Self::SignTls | Self::SignClientCsr => Rule::open(Who::Connector),
            Self::Reencrypt | Self::OracleShow => Rule::open(Who::EngineUser),
            Self::OracleRelease | Self::KeyDestroy => Rule::approved(Who::EngineUser),
            Self::KeyGenerate | Self::KeyReplicate => Rule::open(Who::PinHolder),
            Self::Drain => Rule::open(Who::Configuration),
            Self::PolicyChange | Self::LimitLowered | Self::AuditKeyChange => {
                Rule::approved(Who::Configuration)
            }
            Self::AuditKeyExport => Rule::approved(Who::Nobody),
        }
    }

    /// What a caller is told whom the rule does not admit.
    #[must_use]
    pub fn refusal(self) -> String {
        let who = match self.rule().who {
            Who::Connector => "connectors (engine.allowed_uids) and the engine's own user",
            Who::EngineUser => "the engine's own user: run the command as that user",
            Who::PinHolder => "a command on the token itself, not for the engine",
            Who::Configuration => "the configuration, not for a request",
            Who::Nobody => "nobody",
        };
        format!("`{self}` is for {who}")
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The text is no verb's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no such verb")]
pub struct NotAVerb;

impl FromStr for Verb {
    type Err = NotAVerb;

    fn from_str(text: &str) -> Result<Self, NotAVerb> {
        let named = Self::ALL.iter().copied().find(|verb| verb.name() == text);
        named.ok_or(NotAVerb)
    }
}

#[cfg(test)]
mod tests;
