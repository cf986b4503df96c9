//! The TPM's resource manager, tpm2-abrmd, dies and comes back: custody says that the token is in trouble, and is well again by itself.
#![allow(missing_docs, clippy::unwrap_used)]

mod gone;
mod support;

use hsm::pkcs11::Pkcs11Custody;
use hsm::{Custody, ErrorClass};
use support::tpm2::{kill_manager, start_manager};

#[test]
fn a_service_that_dies_and_comes_back_is_told_from_bad_input() {
    let module = support::tpm2();
    gone::a_token_that_goes_away_is_never_taken_for_bad_input(module, kill_manager, start_manager);

    let token = support::TestToken::new(module);
    kill_manager();
    let error = Pkcs11Custody::open(token.config()).err().unwrap();
    assert_eq!(error.class(), ErrorClass::Token, "{error}");
    start_manager();
    assert!(token.open().keys().unwrap().is_empty());
}
