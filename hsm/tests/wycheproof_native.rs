//! Wycheproof's vectors with the padding removed by Kryoptic: both ways have to agree on every one of them.
#![allow(missing_docs)]

mod support;
mod wycheproof;

#[test]
fn every_vector_is_right_with_the_padding_removed_by_the_token() {
    let token = support::TestToken::new(support::kryoptic());
    wycheproof::every_vector_is_right(&token, &[]);
}
