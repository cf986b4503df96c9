#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]
use super::*;

fn binding() -> Binding {
    Binding {
        request_id: "request-1".to_owned(),
        csr: csr_digest(b"a CSR"),
        custody_key: KeyFingerprint::from_bytes([7; 32]),
        padding: Padding::OaepSha512,
    }
}

const KEY: &[u8] = b"a private key, as far as a seal is concerned";

fn sealed() -> (SealedKey, SecretBytes) {
    let wrapping = wrapping_key().unwrap();
    // The token's part is not looked into here.
    let encrypted = vec![0xee; 256];
    let key = PrivateKey::from_slice(KEY);
    let sealed = SealedKey::wrap(binding(), &wrapping, encrypted, &key).unwrap();
    (sealed, wrapping)
}

#[test]
fn a_sealed_key_opens_with_its_own_wrapping_key_and_no_other() {
    let (sealed, wrapping) = sealed();
    let read = SealedKey::read(&sealed.to_der().unwrap()).unwrap();
    assert_eq!(read, sealed);
    assert_eq!(read.binding(), &binding());
    assert_eq!(read.open(&wrapping).unwrap().expose(), KEY);
    assert!(read.open(&wrapping_key().unwrap()).is_err());
    // The same key without its mark, as a password would be, or with more behind it.
    let bare = SecretBytes::from_slice(&wrapping.expose()[MARK.len()..]);
    assert!(read.open(&bare).is_err());
    let longer = SecretBytes::from_vec([wrapping.expose(), b"x"].concat());
    assert!(read.open(&longer).is_err());
}

#[test]
fn what_it_is_bound_to_cannot_be_changed() {
    let (sealed, wrapping) = sealed();
    let other_request = Binding {
        request_id: "request-2".to_owned(),
        ..binding()
    };
    let other_csr = Binding {
        csr: csr_digest(b"another CSR"),
        ..binding()
    };
    let other_key = Binding {
        custody_key: KeyFingerprint::from_bytes([8; 32]),
        ..binding()
    };
    let other_padding = Binding {
        padding: Padding::OaepSha1,
        ..binding()
    };
    for other in [other_request, other_csr, other_key, other_padding] {
        let moved = SealedKey {
            binding: other,
            ..sealed.clone()
        };
        let moved = SealedKey::read(&moved.to_der().unwrap()).unwrap();
        assert!(moved.open(&wrapping).is_err(), "{:?}", moved.binding());
    }
}

#[test]
fn a_changed_or_cut_one_is_not_read_or_does_not_open() {
    let (sealed, wrapping) = sealed();
    let der = sealed.to_der().unwrap();
    for at in 0..der.len() {
        assert!(SealedKey::read(&der[..at]).is_err(), "{at}");
        let mut changed = der.clone();
        changed[at] ^= 1;
        if let Ok(read) = SealedKey::read(&changed) {
            // The token sees to the ciphertext for it.
            let only_that = read.encrypted_key() != sealed.encrypted_key();
            assert_eq!(read.open(&wrapping).is_ok(), only_that, "{at}");
        }
    }
    let longer = [der.as_slice(), &[0]].concat();
    assert_eq!(SealedKey::read(&longer), Err(SealError::Malformed));
}

#[test]
fn a_newer_version_is_told_and_not_guessed_at() {
    let mut der = sealed().0.to_der().unwrap();
    let version = der.windows(3).position(|at| at == [2, 1, VERSION]).unwrap();
    der[version + 2] = VERSION + 1;
    assert_eq!(SealedKey::read(&der), Err(SealError::Version(2)));
}

#[test]
fn wrapping_keys_are_no_passwords_and_are_never_twice_the_same() {
    let (one, other) = (wrapping_key().unwrap(), wrapping_key().unwrap());
    assert!(!one.ct_eq(other.expose()));
    assert!(is_wrapping_key(one.expose()));
    for password in [&b""[..], b"correct horse", b"\0", b"pfx sealed key\x01"] {
        assert!(!is_wrapping_key(password));
    }
}

#[test]
fn nothing_is_sealed_with_the_padding_of_old_imports() {
    let wrapping = wrapping_key().unwrap();
    let binding = Binding {
        padding: Padding::Pkcs1,
        ..binding()
    };
    let key = PrivateKey::from_slice(KEY);
    let sealed = SealedKey::wrap(binding, &wrapping, vec![0xee; 256], &key).unwrap();
    let read = SealedKey::read(&sealed.to_der().unwrap());
    assert!(matches!(read, Err(SealError::Malformed)), "{read:?}");
}
