//! `local`: an authority whose key is on the engine's token. Here is what it has to remember (orders, serial numbers, revocations, the
//! numbers of lists), and what it publishes; what it signs is built by the engine, which has the profiles.
//!
//! ```text
//! enroll   the order is durable -> the engine issues (its log remembers the order) -> the certificate is durable -> the answer
//! revoke   the revocation is durable -> a new list is signed -> it is durable and published
//! ```
//!
//! A crash between any two of these steps is caught up with by the same call: the same order gets the same certificate.

mod authority;
mod http;
mod lists;
mod responder;
mod schema;
mod store;
#[cfg(test)]
mod tests;

pub use authority::LocalCa;
pub use http::serve;
pub use store::{ListKind, ListRoom, OrderFacts, StoreFigures};

use std::path::PathBuf;

/// What an authority of this kind is set up with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Its name in the engine's configuration.
    pub name: String,
    /// The folder of its store, which nobody else may read.
    pub folder: PathBuf,
    /// The folder that lists are published to.
    pub publish: Option<PathBuf>,
    /// Its certificates (DER), the issuing one first.
    pub chain: Vec<Vec<u8>>,
    /// The profile of orders that name none.
    pub profile: Option<String>,
}

/// Why the store cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The file system or SQLite failed.
    #[error("the authority's store cannot be used: {0}")]
    Failed(String),
    /// Written by a newer release.
    #[error(
        "the authority's store has version {found}; this release knows up to {known}: use the newer release"
    )]
    Newer {
        /// Version of the file.
        found: i64,
        /// Newest version known here.
        known: i64,
    },
    /// The file is some other database.
    #[error("{0} is not an authority's store")]
    Foreign(PathBuf),
    /// The store is another authority's.
    #[error("the store is the one of the authority `{0}`: each has a folder of its own")]
    OtherAuthority(String),
    /// The order's id was used for something else.
    #[error("the order {0} was for another request or profile: an order's id is never used again")]
    OtherOrder(String),
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<fips::secret::file::FileError> for StoreError {
    fn from(error: fips::secret::file::FileError) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<std::io::Error> for StoreError {
    fn from(error: std::io::Error) -> Self {
        Self::Failed(error.to_string())
    }
}
