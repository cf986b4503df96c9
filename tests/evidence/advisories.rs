//! That the program does not use what the known problems of the module's version are in.

use crate::source::{code_of, root, rust_files};
use fips::advisories::ADVISORIES;

/// Lines of the code in these folders that hold this; comments and texts are no code.
fn lines_with(folders: &[&str], wanted: impl Fn(&str) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for folder in folders {
        for file in rust_files(&root().join(folder)) {
            let code = code_of(&file);
            let lines = code.lines().filter(|line| wanted(line));
            found.extend(lines.map(|line| format!("{}: {}", file.display(), line.trim())));
        }
    }
    found
}

/// CVE-2026-3337 is in AES-CCM.
#[test]
fn no_line_of_code_names_ccm() {
    let everywhere = ["src", "fips/src", "hsm/src"];
    let found = lines_with(&everywhere, |line| line.to_lowercase().contains("ccm"));
    assert_eq!(found, Vec::<String>::new());
}

/// The library is called in this one folder, which another test sees to; its functions for X.509 have one of these names.
#[test]
fn no_line_of_code_calls_the_librarys_x509_code() {
    let found = lines_with(&["fips/src"], |line| {
        ["X509_", "CRL_", "DIST_POINT"]
            .iter()
            .any(|name| line.contains(name))
    });
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn what_is_said_to_be_unused_is_what_is_looked_for_here() {
    let unused = ADVISORIES.iter().filter(|advisory| !advisory.used);
    let names: Vec<_> = unused.map(|advisory| advisory.id).collect();
    assert_eq!(names, ["CVE-2026-3337", "CRL distribution points"]);
}
