//! openCryptoki's service, pkcsslotd, dies and comes back: running custody does not notice, and starting without it is no bad input.
#![allow(missing_docs, clippy::unwrap_used)]

mod gone;
mod support;

use hsm::pkcs11::Pkcs11Custody;
use hsm::{Custody, ErrorClass};
use support::opencryptoki::{kill_daemon, start_daemon};

#[test]
fn a_service_that_dies_and_comes_back_is_told_from_bad_input() {
    let module = support::opencryptoki();
    gone::a_token_that_goes_away_is_never_taken_for_bad_input(module, kill_daemon, start_daemon);

    let token = support::TestToken::new(module);
    kill_daemon();
    let error = Pkcs11Custody::open(token.config()).err().unwrap();
    assert_eq!(error.class(), ErrorClass::Token, "{error}");
    start_daemon();
    assert!(token.open().keys().unwrap().is_empty());
}
