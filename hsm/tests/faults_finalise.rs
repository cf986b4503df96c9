//! A library whose C_Finalize fails is initialised still, so it and what it was told stay; and it is used again as if nothing were.
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use hsm::Custody;
use support::{TestToken, chaos_softhsm_with};

fn is_loaded(file: &std::path::Path) -> bool {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    maps.contains(file.file_name().unwrap().to_str().unwrap())
}

#[test]
fn a_library_that_cannot_be_finalised_stays_loaded() {
    // The first is the one after the token was made.
    let module =
        chaos_softhsm_with("on call 1 of C_Finalize: return CKR_GENERAL_ERROR for 1 calls\n");
    let token = TestToken::new(module);
    assert!(is_loaded(&module.path));
    // The next use ends what was left, begins anew, and ends that as well.
    let custody = token.open();
    assert!(custody.keys().unwrap().is_empty());
    drop(custody);
    assert!(!is_loaded(&module.path));
}
