//! Who may call what.

use super::store::Contact;

/// What a bearer token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Imports records.
    Importer,
    /// The device management that asks for users' certificates and delivers them.
    Mdm,
    /// Sees and ends things: tokens, connectors, records, the audit trail.
    Administrator,
    /// Reads records as they are stored and puts re-encrypted ones in their places: `key rotate`.
    Rotation,
    /// Gets one connector its first certificate: once.
    Enrolment,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 5] = [
        Self::Importer,
        Self::Mdm,
        Self::Administrator,
        Self::Rotation,
        Self::Enrolment,
    ];

    /// Its name on the command line and in the database.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Importer => "importer",
            Self::Mdm => "mdm",
            Self::Administrator => "administrator",
            Self::Rotation => "rotation",
            Self::Enrolment => "enrolment",
        }
    }

    /// The role of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }
}

/// What a route demands before anything of the call is looked at. Every route of the table has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guard {
    /// Nothing: what it answers is public.
    Anybody,
    /// A bearer token of one of these roles.
    Bearer(&'static [Role]),
    /// A client certificate that chains to the configured CA and is not revoked here. No token opens these routes.
    Connector,
}

/// Who calls, once the guard let it in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Caller {
    /// Anybody.
    Anybody,
    /// The holder of a token.
    Token {
        /// The token's id.
        id: String,
        /// The token's name.
        name: String,
        /// Its role.
        role: Role,
    },
    /// A connector, by its certificate.
    Connector(Contact),
}

impl Caller {
    /// The name in the audit trail.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Anybody => "anybody".to_owned(),
            Self::Token { id, name, .. } => format!("{name} ({id})"),
            Self::Connector(contact) => contact.subject.clone(),
        }
    }
}
