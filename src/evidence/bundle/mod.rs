//! An evidence bundle: a folder with everything that an auditor needs to check what is claimed, and to see that nothing was changed
//! since it was written.
//!
//! ```text
//!   documents (JSON, text, HTML) --- SHA-256 of each ---> MANIFEST --- signature ---> MANIFEST.sig
//!   SIGNER.pem (the public key) ------------------------->   (or none: digests only, and MANIFEST says so)
//! ```
//!
//! The layout is fixed: a bundle holds these files and no other, [`MANIFEST`] has one form for one content, and so has
//! [`SIGNATURE`]. So there is nothing in a bundle that could be changed, added or taken away without [`verify`] naming it.
//! What a signature proves depends on the key: the public key in the bundle shows that the bundle is whole; that the right key
//! signed is known only to who compares it with one from elsewhere.

mod documents;
mod error;
mod folder;
mod html;
mod manifest;
mod signature;
mod signer;
#[cfg(test)]
mod tests;
mod verify;
mod write;

pub use documents::{Evidence, EvidenceError, SelfTestRun};
pub use error::BundleError;
pub use manifest::{Manifest, SignedBy};
pub use signer::{ReportKey, Signer};
pub use verify::{Verified, VerifiedSignature, verify};
pub use write::{Documents, Written, check_place, write};

/// Version of the layout. Another one is refused.
pub const FORMAT: u32 = 1;

/// The digests of all other files.
pub const MANIFEST: &str = "MANIFEST";
/// The signature over [`MANIFEST`].
pub const SIGNATURE: &str = "MANIFEST.sig";
/// The public key that the signature is checked with, PEM.
pub const SIGNER: &str = "SIGNER.pem";

/// A file of every bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Document {
    /// Its name.
    pub name: &'static str,
    /// What it holds, in words.
    pub holds: &'static str,
}

/// Every document of a bundle, in the order in which they are read.
pub const DOCUMENTS: [Document; 11] = [
    Document {
        name: "README.txt",
        holds: "what each file is, and how the bundle is verified without this program",
    },
    Document {
        name: "report.html",
        holds: "everything of the other documents on one page, to be read and printed",
    },
    Document {
        name: "status.json",
        holds: "what can be claimed and what not, part by part: module, environment, tokens, processes, TLS, advisories",
    },
    Document {
        name: "policy.json",
        holds: "every cryptographic service: approved or not and where that is written, and how often each process performed it",
    },
    Document {
        name: "build.json",
        holds: "what the program was built from and with, and its own SHA-256; how the build is repeated",
    },
    Document {
        name: "symbols.json",
        holds: "the cryptographic libraries in the program's file: one, and none of the others that were looked for",
    },
    Document {
        name: "sbom.cdx.json",
        holds: "bill of materials (CycloneDX 1.6): every package that is linked into the program",
    },
    Document {
        name: "cbom.cdx.json",
        holds: "cryptographic bill of materials (CycloneDX 1.6): every algorithm, who performs it, the module, the tokens, the keys",
    },
    Document {
        name: "keys.json",
        holds: "the keys on the token, with the attributes that the token reports",
    },
    Document {
        name: "configuration.toml",
        holds: "the configuration, without comments and with what could be a secret removed",
    },
    Document {
        name: "self-test.txt",
        holds: "integrity and known-answer tests of the module: run for this bundle, and the last run of each process",
    },
];
