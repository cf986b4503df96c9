//! build.json: what the program was built from and with, its own digest, and how to repeat the build.

use super::Evidence;
use crate::evidence::build::BuildFacts;
use crate::evidence::program::ProgramFile;
use serde::Serialize;

/// The document.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct BuildDocument<'a> {
    /// The file of the program that wrote the bundle.
    program: &'a ProgramFile,
    /// That of the running processes is not read: they say their version.
    program_is: &'static str,
    /// Whether all of the module's source is the pinned one.
    matches_pinned: bool,
    #[serde(flatten)]
    facts: &'a BuildFacts,
    reproduce: Reproduce,
}

/// How the build is repeated.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Reproduce {
    command: &'static str,
    documentation: &'static str,
    module_source: &'static str,
}

impl<'a> BuildDocument<'a> {
    pub(super) fn of(evidence: &'a Evidence) -> Self {
        Self {
            program: &evidence.program,
            program_is: "the file that wrote this bundle; a build of the same sources by the recipe has to have the same SHA-256",
            matches_pinned: evidence.build.matches_pinned(),
            facts: &evidence.build,
            reproduce: Reproduce {
                command: "make reproducible",
                documentation: "docs/fips/reproducible.md, in the sources of this version",
                module_source: "in the folder of `sources`, in the package: find . -type f | sed 's,^\\./,,' | LC_ALL=C sort | xargs sha256sum | sha256sum",
            },
        }
    }
}
