//! What the token can do is found out alike with the module's known ciphertexts and, as in FIPS mode, without.

use hsm::pkcs11::Pkcs11Custody;
use hsm::{Custody, Error, Padding};

use crate::support::{TestToken, encrypt};

pub fn the_token_shows_the_same_when_it_makes_the_known_ciphertexts_itself(token: &TestToken) {
    let (custody, key) = token.open_with_key();
    let by_module = custody.capabilities();
    drop(custody);
    let custody = Pkcs11Custody::open_probed_by_token(token.config()).unwrap();
    let by_token = custody.capabilities();
    assert_eq!(by_token, by_module);
    assert_eq!(by_token.native, token.native());
    assert_eq!(by_token.encrypt_native, token.native());
    assert_eq!(
        by_token.native.len() + by_token.software_unpadding.len(),
        Padding::OAEP.len()
    );
    assert!(custody.health().public_keys_reused > 0);

    for padding in Padding::OAEP {
        // What others encrypt is decrypted: the padding is the one that it is taken for.
        let mut ciphertext = encrypt(&key.spki_der, padding, b"message");
        let plain = custody
            .decrypt(&key.fingerprint, padding, &ciphertext)
            .unwrap();
        assert_eq!(plain.expose(), b"message");
        // And the canaries tell a bad ciphertext from a bad token.
        ciphertext[100] ^= 1;
        let refused = custody.decrypt(&key.fingerprint, padding, &ciphertext);
        assert!(matches!(refused, Err(Error::Decryption)), "{padding}");
    }
    let health = custody.health();
    assert_eq!((health.token_failures, health.reconnects), (0, 0));
}
