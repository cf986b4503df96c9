//! pkilint's linters: what certificates, lists and OCSP answers have to be by the standards, judged by software that we did not write.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs
)]

use std::path::Path;
use std::process::Command;

/// Lints a file (PEM or DER): nothing that is an error or worse may be found.
///
/// `linter` is one of `lint_pkix_cert`, `lint_cabf_smime_cert`, `lint_crl` and `lint_ocsp_response`; `arguments` stand before the file.
pub fn lint(linter: &str, arguments: &[&str], file: &Path) {
    let tools = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("tools");
    let program = tools.join("python/bin").join(linter);
    let output = Command::new(&program)
        .arg("lint")
        .args(arguments)
        .args(["--severity", "ERROR", "--format", "TEXT"])
        .arg(file)
        .output()
        .unwrap_or_else(|error| {
            panic!(
                "this test needs pkilint ({}: {error}): `make bootstrap` installs it",
                program.display()
            )
        });
    let found = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{linter} {arguments:?}: {found}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
