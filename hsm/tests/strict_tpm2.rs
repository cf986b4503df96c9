//! Strict mode over tpm2-pkcs11.
#![allow(missing_docs, dead_code)]

mod strict;
mod support;

#[test]
fn the_token_does_everything_or_it_is_refused() {
    strict::the_token_does_everything_or_it_is_refused(support::tpm2());
}
