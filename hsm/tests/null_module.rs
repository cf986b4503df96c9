//! Custody on the module that answers at once, as benches use it.
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use fips::policy::Policy;
use hsm::pin::PinSource;
use hsm::pkcs11::{Pkcs11Custody, TokenConfig};
use hsm::{Custody, Padding, SecretBytes};
use support::{example, write_pin};

#[test]
fn custody_in_strict_mode_works_on_the_module_that_answers_at_once() {
    fips::start(Policy::STRICT).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let pin = folder.path().join("pin");
    write_pin(&pin, "any");
    let custody = Pkcs11Custody::open(TokenConfig {
        token_label: Some("null".into()),
        threads: 4,
        ..TokenConfig::new(example("null_pkcs11"), PinSource::File(pin))
    })
    .unwrap();
    let key = custody.keys().unwrap().remove(0);
    assert!(key.is_usable());
    let message = SecretBytes::from_slice(b"a message");
    for padding in Padding::OAEP {
        let ciphertext = custody.encrypt(&key.spki_der, padding, &message).unwrap();
        let plain = custody
            .decrypt(&key.fingerprint, padding, &ciphertext)
            .unwrap();
        assert_eq!(plain.expose(), b"a message");
        // Whatever it did not make itself.
        let plain = custody
            .decrypt(&key.fingerprint, padding, &[1; 256])
            .unwrap();
        assert_eq!(plain.expose(), b"null");
    }
}
