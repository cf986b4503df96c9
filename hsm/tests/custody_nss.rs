//! The custody suite over NSS softoken, and its parameters.
#![allow(missing_docs, clippy::unwrap_used)]

mod suite;
mod support;

use hsm::pkcs11::{Pkcs11Custody, list_tokens};
use hsm::{Custody, ErrorClass};

custody_suite!(support::nss());

#[test]
fn a_module_in_use_is_not_joined_with_other_parameters() {
    let token = support::TestToken::new(support::nss());
    let _custody = token.open();
    for other in [None, Some("configdir='sql:/nowhere'".to_owned())] {
        let listed = list_tokens(&token.module.path, other.as_deref())
            .err()
            .unwrap();
        let mut config = token.config();
        config.init_parameters = other;
        let opened = Pkcs11Custody::open(config).err().unwrap();
        for error in [listed, opened] {
            assert_eq!(error.code(), "init_parameters");
            assert_eq!(error.class(), ErrorClass::Configuration);
            assert!(error.to_string().contains("already"), "{error}");
            assert!(error.hint().is_some());
        }
    }
    assert!(token.open().keys().unwrap().is_empty());
}
