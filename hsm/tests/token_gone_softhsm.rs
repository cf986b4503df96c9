//! SoftHSM without its token folder. A program of its own: recovery finalises the module, which other tests would not survive.
#![allow(missing_docs)]

mod gone;
mod support;

#[test]
fn a_token_that_goes_away_and_comes_back_is_told_from_bad_input() {
    gone::a_token_whose_files_go_away_is_never_taken_for_bad_input(support::softhsm());
}
