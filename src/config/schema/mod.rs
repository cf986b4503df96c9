//! What may stand in a configuration file: every key with its type, limits, default and meaning.
//!
//! One source for four things that must agree: the check of a file ([`super::load`]), `config example`, docs/configuration.md, and, by
//! a test, the structures that the file is read into. A key that is added to a structure is added here.

mod client_keys;
mod connector;
mod connector_ca;
mod device_policy;
mod engine;
mod engine_ca;
mod fips;
mod gateway;
mod import;
mod local_ca;
mod pkcs1;

/// One key of a table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Key {
    /// Its name in the file.
    pub(crate) name: &'static str,
    /// What its value must be.
    pub(crate) kind: Kind,
    /// Whether it must be there.
    pub(crate) need: Need,
    /// What it means, in sentences for operators.
    pub(crate) doc: &'static str,
}

/// What a value must be.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    /// Text that is not empty.
    Text,
    /// Texts that are not empty.
    Texts,
    /// An `https://` URL without user name, query or fragment.
    HttpsUrl,
    /// An `http://` or `https://` URL of a proxy, without user name.
    ProxyUrl,
    /// A path; a relative one starts at the configuration file's folder.
    Path,
    /// A path that must be absolute.
    AbsolutePath,
    /// Paths.
    Paths,
    /// A whole number.
    Integer {
        /// The smallest.
        min: i64,
        /// The largest.
        max: i64,
    },
    /// User ids.
    UserIds,
    /// `true` or `false`.
    Boolean,
    /// `address:port`.
    Address,
    /// `address:port` with a loopback address.
    LoopbackAddress,
    /// SHA-256 as 64 hexadecimal digits.
    Sha256Hex,
    /// A day, such as `2027-03-31`.
    Date,
    /// One of these words.
    Word(&'static [Word]),
    /// Some of these words.
    Words(&'static [Word]),
    /// A table of the operator's own keys with texts.
    TextMap,
    /// A table.
    Table(&'static [Key]),
    /// A list of tables.
    Tables(&'static [Key]),
}

/// A word with what it means.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Word {
    /// The word.
    pub(crate) name: &'static str,
    /// Its meaning.
    pub(crate) doc: &'static str,
}

/// Whether a key must be there. Values are TOML.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Need {
    /// It must; this is an example.
    Required(&'static str),
    /// It must, unless the key of this name beside it is there; not both. For tables.
    Unless(&'static str),
    /// It need not; this value is taken instead.
    Default(&'static str),
    /// It need not, and nothing is taken instead; this is an example.
    Optional(&'static str),
    /// It need not be there for the file to be well-formed, but a usual set-up has it: the example shows it.
    Usual(&'static str),
}

impl Need {
    /// The example or default.
    pub(crate) fn value(self) -> &'static str {
        match self {
            Self::Required(value)
            | Self::Default(value)
            | Self::Optional(value)
            | Self::Usual(value) => value,
            Self::Unless(_) => "",
        }
    }
}

/// The file's top level.
pub(crate) const ROOT: &[Key] = &[
    Key {
        name: "fips",
        kind: Kind::Table(fips::FIPS),
        need: Need::Default(""),
        doc: "What may be done in FIPS terms, by every process that is started with this file. `fips status` shows what is in force.",
    },
    Key {
        name: "engine",
        kind: Kind::Table(engine::ENGINE),
        need: Need::Usual(""),
        doc: "The engine (`engine`), and the token for `key` and `recrypt`. It belongs in a file of its own, readable by the engine's user.",
    },
    Key {
        name: "connector",
        kind: Kind::Table(connector::CONNECTOR),
        need: Need::Usual(""),
        doc: "The connector (`run`), and how `status` and `events` reach it.",
    },
    Key {
        name: "gateway",
        kind: Kind::Table(gateway::GATEWAY),
        need: Need::Usual(""),
        doc: "The service side (`gateway`).",
    },
    Key {
        name: "import",
        kind: Kind::Table(import::IMPORT),
        need: Need::Usual(""),
        doc: "For the person who imports PFX files (`import`).",
    },
    Key {
        name: "local_ca",
        kind: Kind::Tables(local_ca::LOCAL_CA),
        need: Need::Optional(""),
        doc: "Authorities whose keys the engine has, one table for each: what they remember and publish (`ca`, docs/local-ca.md).",
    },
];
