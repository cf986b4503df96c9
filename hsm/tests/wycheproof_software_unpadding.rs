//! Wycheproof's vectors through raw RSA on SoftHSM and the unpadding in software: SoftHSM's own OAEP is switched off.
#![allow(missing_docs)]

mod support;
mod wycheproof;

use hsm::Padding;

#[test]
fn every_vector_is_right_with_the_padding_removed_in_software() {
    let module = support::softhsm_with("CKM_RSA_PKCS_KEY_PAIR_GEN,CKM_RSA_X_509");
    let token = support::TestToken::new(module);
    wycheproof::every_vector_is_right(&token, &Padding::OAEP);
}
