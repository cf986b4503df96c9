//! Strict mode with the exception `oaep-unpadding-in-software`, over SoftHSM 2.
#![allow(missing_docs, dead_code)]

mod strict;
mod support;

#[test]
fn under_its_exception_the_padding_is_removed_in_software() {
    strict::under_its_exception_the_padding_is_removed_in_software(support::softhsm());
}
