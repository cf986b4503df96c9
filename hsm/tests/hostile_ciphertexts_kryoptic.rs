//! A hundred thousand bad ciphertexts on Kryoptic.
#![allow(missing_docs, dead_code, unused_imports)]

mod suite;
mod support;

#[test]
fn a_hundred_thousand_bad_ciphertexts_cause_no_reconnect_and_no_failure() {
    let token = support::TestToken::new(support::kryoptic());
    suite::strangers_change_nothing(&token, 100_000);
}
