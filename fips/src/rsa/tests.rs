#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use super::*;

/// A DER element, for keys that nobody would generate.
fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let [high, low] = u16::try_from(content.len()).unwrap().to_be_bytes();
    let head = match content.len() {
        ..128 => vec![tag, low],
        128..256 => vec![tag, 0x81, low],
        _ => vec![tag, 0x82, high, low],
    };
    [&head, content].concat()
}

fn der_number(number: &[u8]) -> Vec<u8> {
    if number[0] < 0x80 {
        return der(0x02, number);
    }
    der(0x02, &[&[0], number].concat())
}

fn odd_number(bits: usize) -> Vec<u8> {
    let mut n = vec![0xff; bits.div_ceil(8)];
    n[0] >>= n.len() * 8 - bits;
    n
}

fn spki(n: &[u8], e: &[u8]) -> Vec<u8> {
    let numbers = [der_number(n), der_number(e)].concat();
    let oid = base16ct::lower::decode_vec("300d06092a864886f70d0101010500").unwrap();
    let bits = der(0x03, &[&[0], &der(0x30, &numbers)[..]].concat());
    der(0x30, &[oid, bits].concat())
}

#[test]
fn what_is_encrypted_comes_back_and_the_limits_are_exact() {
    let _mode = crate::policy::tests::under(crate::policy::Policy::OFF);
    let key = PrivateKey::generate(2048).unwrap();
    let public = key.public().unwrap();
    assert_eq!(public.modulus_bits(), 2048);
    assert_eq!(public.exponent_be(), [1, 0, 1]);
    for hash in Hash::ALL {
        let limit = public.max_oaep_plaintext(hash);
        assert_eq!(limit, 256 - 2 * hash.output_len() - 2);
        for len in [0, 1, limit] {
            let ciphertext = public.encrypt_oaep(hash, &vec![5; len]).unwrap();
            assert_eq!(ciphertext.len(), 256);
            assert!(
                key.decrypt_oaep(hash, &ciphertext)
                    .unwrap()
                    .ct_eq(&vec![5; len])
            );
        }
        assert!(matches!(
            public.encrypt_oaep(hash, &vec![5; limit + 1]),
            Err(Error::MessageTooLong { bytes, limit: l, .. }) if bytes == limit + 1 && l == limit
        ));
    }
    for len in [0, 1, 245] {
        let ciphertext = public.encrypt_pkcs1v15(&vec![5; len]).unwrap();
        assert!(
            key.decrypt_pkcs1v15(&ciphertext)
                .unwrap()
                .ct_eq(&vec![5; len])
        );
    }
    assert!(matches!(
        public.encrypt_pkcs1v15(&[5; 246]),
        Err(Error::MessageTooLong { limit: 245, .. })
    ));
}

#[test]
fn every_wrong_ciphertext_is_the_same_error() {
    let _mode = crate::policy::tests::under(crate::policy::Policy::OFF);
    let key = PrivateKey::generate(2048).unwrap();
    let mut ciphertext = key
        .public()
        .unwrap()
        .encrypt_oaep(Hash::Sha256, b"x")
        .unwrap();
    let wrong_hash = key.decrypt_oaep(Hash::Sha1, &ciphertext).err();
    let short = key.decrypt_oaep(Hash::Sha256, &ciphertext[1..]).err();
    ciphertext[9] ^= 1;
    let changed = key.decrypt_oaep(Hash::Sha256, &ciphertext).err();
    let too_large = key.decrypt_oaep(Hash::Sha256, &[0xff; 256]).err();
    let empty = key.decrypt_pkcs1v15(b"").err();
    for error in [wrong_hash, short, changed, too_large, empty] {
        assert_eq!(error, Some(Error::Decryption));
    }
}

#[test]
fn a_key_is_the_same_however_it_is_read() {
    let _mode = crate::policy::tests::under(crate::policy::Policy::OFF);
    let key = PrivateKey::generate(3072).unwrap();
    let public = key.public().unwrap();
    let again = PrivateKey::from_pkcs8(key.pkcs8_der().unwrap().expose()).unwrap();
    let padded = [&[0, 0], public.modulus_be()].concat();
    for other in [
        again.public().unwrap(),
        PublicKey::from_spki(public.spki_der()).unwrap(),
        PublicKey::from_components(&padded, &[0, 1, 0, 1]).unwrap(),
    ] {
        assert_eq!(other, public);
        assert_eq!(other.fingerprint(), public.fingerprint());
        assert_eq!(other.modulus_bits(), 3072);
    }
    assert!(format!("{public:?}").starts_with("rsa::PublicKey(3072 bits, "));
}

#[test]
fn sizes_outside_of_2048_to_8192_are_named() {
    let _mode = crate::policy::tests::under(crate::policy::Policy::OFF);
    for bits in [1024, 2047, 8193, 9216] {
        let n = odd_number(bits);
        let named = |error: Error| {
            assert!(
                matches!(error, Error::KeySize { bits: b, .. } if b == bits),
                "{bits}: {error}"
            );
            assert!(error.to_string().contains(&bits.to_string()));
        };
        named(PublicKey::from_components(&n, &[1, 0, 1]).unwrap_err());
        named(PublicKey::from_spki(&spki(&n, &[1, 0, 1])).unwrap_err());
    }
    for bits in [2048, 2049, 8192] {
        let n = odd_number(bits);
        let key = PublicKey::from_components(&n, &[1, 0, 1]).unwrap();
        assert_eq!(key.modulus_bits(), bits);
        assert_eq!(PublicKey::from_spki(&spki(&n, &[1, 0, 1])).unwrap(), key);
        assert_eq!(key.encrypt_oaep(Hash::Sha512, b"x").unwrap().len(), n.len());
    }
    for bits in [0, 512, 1024, 2056, 8192, usize::MAX] {
        assert!(matches!(
            PrivateKey::generate(bits),
            Err(Error::KeySize { bits: b, .. }) if b == bits
        ));
    }
}

#[test]
fn numbers_that_are_no_key_are_refused() {
    let _mode = crate::policy::tests::under(crate::policy::Policy::OFF);
    let n = odd_number(2048);
    let mut even = n.clone();
    even[255] = 0xfe;
    for (n, e) in [
        (&n[..], &[][..]),
        (&n, &[1]),
        (&n, &[2]),
        (&n, &[0]),
        (&n, &[0xff; 300]),
        (&even, &[1, 0, 1]),
    ] {
        assert!(PublicKey::from_components(n, e).is_err(), "{e:?}");
    }
    assert!(PublicKey::from_components(&[], &[]).is_err());
    assert!(PublicKey::from_components(&[0; 256], &[3]).is_err());
}

#[test]
fn cut_and_changed_keys_never_panic() {
    let _mode = crate::policy::tests::under(crate::policy::Policy::OFF);
    let key = PrivateKey::generate(2048).unwrap();
    let public = key.public().unwrap();
    let good = public.spki_der();
    for at in 0..good.len() {
        assert!(PublicKey::from_spki(&good[..at]).is_err());
        let mut changed = good.to_vec();
        changed[at] ^= 0x55;
        if let Ok(key) = PublicKey::from_spki(&changed) {
            key.encrypt_oaep(Hash::Sha1, b"x").unwrap();
        }
    }
    let trailing = [good, &[0]].concat();
    assert!(PublicKey::from_spki(&trailing).is_err());

    let good = key.pkcs8_der().unwrap();
    for at in (0..good.len()).step_by(13) {
        assert!(PrivateKey::from_pkcs8(&good.expose()[..at]).is_err());
        let mut changed = good.expose().to_vec();
        changed[at] ^= 0x55;
        let _ = PrivateKey::from_pkcs8(&changed);
    }
}
