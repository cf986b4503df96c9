//! The documents of a bundle, made from what the processes, the token and the program say.
//!
//! They are deterministic but for times and counts: keys of JSON are in the order of their types, lists in that of the table.

mod build;
mod keys;
mod policy;
mod readme;
mod self_test;

pub(super) use policy::{BoundRow, CountRow, ExceptionRow, PolicyDocument, ServiceRow};
pub use self_test::SelfTestRun;

use super::{Documents, FORMAT, ReportKey, html};
use crate::evidence::build::BuildFacts;
use crate::evidence::cbom::cbom;
use crate::evidence::program::ProgramFile;
use crate::evidence::sbom::{Sbom, SbomError};
use crate::evidence::status::FipsStatus;
use crate::evidence::symbols::{SymbolReport, SymbolsError};
use serde::Serialize;
use serde_json::Value;

/// What configuration.toml says where none was given.
const NO_CONFIGURATION: &str =
    "# No configuration was given: the bundle speaks of the program alone.\n";

/// Everything that goes into a bundle.
#[derive(Debug, Clone)]
pub struct Evidence {
    /// What is known and what can be claimed.
    pub status: FipsStatus,
    /// The configuration without secrets; `None` where none was given.
    pub configuration: Option<String>,
    /// The self-tests that were run for the bundle.
    pub self_test: SelfTestRun,
    /// The key that will sign; `None`: the bundle will hold digests only.
    pub report_key: Option<ReportKey>,
    pub(super) program: ProgramFile,
    pub(super) build: BuildFacts,
    pub(super) symbols: SymbolReport,
    pub(super) sbom: Sbom,
    pub(super) cbom: Value,
}

/// Why there is no evidence of the program itself.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EvidenceError {
    /// The program's own file cannot be read.
    #[error("the file of this program cannot be read: {0}")]
    Program(#[from] std::io::Error),
    /// Its symbols cannot be read.
    #[error("the symbols of this program: {0}")]
    Symbols(#[from] SymbolsError),
    /// Its bill of materials is broken.
    #[error(transparent)]
    Sbom(#[from] SbomError),
    /// A document cannot be written as JSON.
    #[error("a document cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
}

impl Evidence {
    /// Adds to a status what the program says of itself.
    ///
    /// # Errors
    /// [`EvidenceError`].
    pub fn gather(
        status: FipsStatus,
        configuration: Option<String>,
        self_test: SelfTestRun,
        report_key: Option<ReportKey>,
    ) -> Result<Self, EvidenceError> {
        Ok(Self {
            program: ProgramFile::of_this_program()?,
            build: BuildFacts::of_this_program(),
            symbols: SymbolReport::of_this_program()?,
            sbom: Sbom::of_this_program()?,
            cbom: cbom(&status, report_key.as_ref()),
            status,
            configuration,
            self_test,
            report_key,
        })
    }

    /// The documents by name.
    ///
    /// # Errors
    /// [`EvidenceError::Json`].
    pub fn documents(&self) -> Result<Documents, EvidenceError> {
        let policy = PolicyDocument::of(&self.status);
        let texts = [
            ("README.txt", readme::text(self).into_bytes()),
            ("report.html", html::page(self, &policy).into_bytes()),
            ("status.json", json(&StatusDocument::of(self))?),
            ("policy.json", json(&policy)?),
            ("build.json", json(&build::BuildDocument::of(self))?),
            ("symbols.json", json(&self.symbols)?),
            ("sbom.cdx.json", json(&self.sbom)?),
            ("cbom.cdx.json", json(&self.cbom)?),
            ("keys.json", json(&keys::KeysDocument::of(self))?),
            (
                "configuration.toml",
                self.configuration
                    .as_deref()
                    .unwrap_or(NO_CONFIGURATION)
                    .as_bytes()
                    .to_vec(),
            ),
            ("self-test.txt", self_test::text(self).into_bytes()),
        ];
        Ok(texts
            .into_iter()
            .map(|(name, content)| (name.to_owned(), content))
            .collect())
    }

    /// Who signs the bundle, in one sentence.
    pub(super) fn signed_by(&self) -> String {
        match &self.report_key {
            Some(key) => format!(
                "signed by key {} with {}, private key {}",
                key.fingerprint,
                key.algorithm,
                match &key.label {
                    Some(label) => format!("\"{label}\" on the token"),
                    None => "in a file".to_owned(),
                }
            ),
            None => {
                "not signed: it holds digests only, and whoever changes a file can write them anew"
                    .to_owned()
            }
        }
    }
}

/// What `fips status --json` says, and what the bundle is.
#[derive(Serialize)]
struct StatusDocument<'a> {
    bundle: BundleNote<'a>,
    #[serde(flatten)]
    status: &'a FipsStatus,
}

/// What the bundle is, in the status.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BundleNote<'a> {
    format: u32,
    signed: bool,
    report_key: Option<&'a ReportKey>,
    says: String,
}

impl<'a> StatusDocument<'a> {
    fn of(evidence: &'a Evidence) -> Self {
        Self {
            bundle: BundleNote {
                format: FORMAT,
                signed: evidence.report_key.is_some(),
                report_key: evidence.report_key.as_ref(),
                says: evidence.signed_by(),
            },
            status: &evidence.status,
        }
    }
}

fn json(document: &impl Serialize) -> Result<Vec<u8>, EvidenceError> {
    let mut bytes = serde_json::to_vec_pretty(document)?;
    bytes.push(b'\n');
    Ok(bytes)
}
