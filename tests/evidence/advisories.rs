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

/// CVE-2026-4428 is in X.509 code. The library is called in this one folder, which another test sees to; its functions for X.509 have one of these names.
#[test]
fn no_line_of_code_calls_the_librarys_x509_code() {
    let found = lines_with(&["fips/src"], |line| {
        ["X509_", "CRL_", "DIST_POINT"]
            .iter()
            .any(|name| line.contains(name))
    });
    assert_eq!(found, Vec::<String>::new());
}

/// CVE-2026-134056 is in EVP_DecryptUpdate where it keeps the last block back for its own padding. With the padding switched off it
/// returns before that.
#[test]
fn the_modules_padding_is_switched_off_before_anything_is_decrypted() {
    let everywhere = ["src", "fips/src", "hsm/src"];
    let calls = lines_with(&everywhere, |line| line.contains("EVP_DecryptUpdate"));
    assert_eq!(calls.len(), 1, "{calls:?}");
    let code: String = code_of(&root().join("fips/src/cbc.rs"))
        .split_whitespace()
        .collect();
    // What has initialised the context, whichever cipher it is for.
    let initialised = "letready=start_decryption(permit,&context,cipher,key,iv);";
    assert!(code.contains(initialised), "{code}");
    let unpadded = "ready&&lc::EVP_CIPHER_CTX_set_padding(context,0)==1";
    let decrypted = "&&lc::EVP_DecryptUpdate(";
    assert!(
        code.contains(&[unpadded, decrypted].concat()),
        "the order of the calls has changed: {code}"
    );
}

/// The safe interface has padded block ciphers, and rustls would use them for session tickets of its own.
#[test]
fn no_line_of_code_names_the_padded_ciphers_of_the_safe_interface() {
    let everywhere = ["src", "fips/src", "hsm/src"];
    let found = lines_with(&everywhere, |line| {
        ["PaddedBlock", "Ticketer", "ticketer", "aws_lc_rs::cipher"]
            .iter()
            .any(|name| line.contains(name))
    });
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn what_is_said_to_be_unused_is_what_is_looked_for_here() {
    let unused = ADVISORIES.iter().filter(|advisory| !advisory.used);
    let names: Vec<_> = unused.map(|advisory| advisory.id).collect();
    assert_eq!(names, ["CVE-2026-3337", "CVE-2026-4428", "CVE-2026-134056"]);
}
