#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use super::*;
use crate::ec;

#[test]
fn every_algorithm_verifies_what_it_signed_and_nothing_else() {
    let keys = [
        SigningKey::generate(KeyKind::EcP256).unwrap(),
        SigningKey::generate(KeyKind::EcP384).unwrap(),
        SigningKey::generate(KeyKind::EcP521).unwrap(),
        SigningKey::generate(KeyKind::Rsa(2048)).unwrap(),
    ];
    let mut signed = 0;
    for key in &keys {
        for algorithm in SignatureAlgorithm::ALL {
            let Ok(mut signature) = key.sign_with(algorithm, b"message") else {
                continue;
            };
            signed += 1;
            let spki = key.spki_der();
            verify(algorithm, spki, b"message", &signature).unwrap();
            let wrong = Err(Error::Verification);
            assert_eq!(verify(algorithm, spki, b"massage", &signature), wrong);
            assert_eq!(verify(algorithm, spki, b"message", b""), wrong);
            assert_eq!(verify(algorithm, spki, b"message", &signature[1..]), wrong);
            let last = signature.len() - 1;
            signature[last] ^= 1;
            assert_eq!(verify(algorithm, spki, b"message", &signature), wrong);
        }
    }
    // One for each curve, six for RSA.
    assert_eq!(signed, 9);
}

#[test]
fn the_default_algorithm_fits_the_key_and_survives_pkcs8() {
    for (kind, algorithm) in [
        (KeyKind::EcP256, SignatureAlgorithm::EcdsaP256Sha256),
        (KeyKind::EcP384, SignatureAlgorithm::EcdsaP384Sha384),
        (KeyKind::EcP521, SignatureAlgorithm::EcdsaP521Sha512),
        (KeyKind::Rsa(2048), SignatureAlgorithm::RsaPkcs1Sha256),
    ] {
        let key = SigningKey::generate(kind).unwrap();
        let key = SigningKey::from_pkcs8(key.pkcs8_der().unwrap().expose()).unwrap();
        assert_eq!(key.algorithm(), algorithm);
        let signature = key.sign(b"message").unwrap();
        verify(algorithm, key.spki_der(), b"message", &signature).unwrap();
    }
}

#[test]
fn a_key_of_another_kind_is_a_mismatch() {
    let key = SigningKey::generate(KeyKind::EcP256).unwrap();
    for algorithm in SignatureAlgorithm::ALL {
        if algorithm.curve() != Some(ec::Curve::P256) {
            let mismatch = Err(Error::KeyMismatch {
                algorithm: algorithm.name(),
            });
            assert_eq!(verify(algorithm, key.spki_der(), b"", b""), mismatch);
        }
    }
    // Verified, but never made.
    assert!(
        key.sign_with(SignatureAlgorithm::EcdsaP256Sha384, b"")
            .is_err()
    );
}

#[test]
fn a_bare_point_is_no_public_key() {
    let key = ec::PrivateKey::generate(ec::Curve::P256).unwrap();
    let point = key.public_point().unwrap();
    assert!(matches!(
        verify(SignatureAlgorithm::EcdsaP256Sha256, &point, b"", b""),
        Err(Error::MalformedKey { .. })
    ));
}

#[test]
fn cut_and_changed_keys_never_panic() {
    let key = SigningKey::generate(KeyKind::EcP256).unwrap();
    let (pkcs8, spki) = (key.pkcs8_der().unwrap(), key.spki_der());
    let algorithm = key.algorithm();
    let signature = key.sign(b"message").unwrap();
    for at in 0..pkcs8.len() {
        assert!(SigningKey::from_pkcs8(&pkcs8.expose()[..at]).is_err());
        let mut changed = pkcs8.expose().to_vec();
        changed[at] ^= 0x55;
        let _ = SigningKey::from_pkcs8(&changed);
        let _ = crate::pkcs8_public(&changed);
    }
    for at in 0..spki.len() {
        assert!(verify(algorithm, &spki[..at], b"message", &signature).is_err());
        let mut changed = spki.to_vec();
        changed[at] ^= 0x55;
        assert!(verify(algorithm, &changed, b"message", &signature).is_err());
    }
}

/// FIPS 186-5 knows moduli of an even number of bits only, and the module's indicator stands still for others. Whoever can have a
/// signature verified must not be able to make that look like a failure of the module.
#[test]
fn rsa_keys_of_an_odd_number_of_bits_neither_sign_nor_verify_and_are_no_fault() {
    let pkcs8 = include_bytes!("../../../tests/data/rsa-2049-bits.pkcs8.der");
    let size = |error: Error| matches!(error, Error::KeySize { bits: 2049, .. });
    assert!(SigningKey::from_pkcs8(pkcs8).is_err_and(size));
    let spki = crate::pkcs8_public(pkcs8).unwrap();
    let signature = base16ct::lower::decode_vec(SIGNED_WITH_2049_BITS).unwrap();
    let verified = verify(
        SignatureAlgorithm::RsaPkcs1Sha256,
        &spki,
        b"message",
        &signature,
    );
    assert_eq!(crate::policy::fault(), None);
    assert!(verified.is_err_and(size));
}

/// `printf message | openssl dgst -sha256 -keyform DER -sign tests/data/rsa-2049-bits.pkcs8.der`
const SIGNED_WITH_2049_BITS: &str = "001b561bfa103d4970fcea98ccddbf6afeba76f06da250c5ad596f2edf548c5049745bddbaa366ecc0051390239705ea57ff728acdfeebe16a1fb9f2a7cb9650f7bebf3bba23320a16b53b0c72a9e94c0c74421fab080daf75abd9990b37c6dcd49370b8d86cee2f7dcf315b37fe069facd7e00fc3105112d3792d0718759c433ac50d4b65d381c7e10dfd227f84202205dd576e33df110f6f29bf7e144c5d3d9606233d8a6fe2e619d51c52c760bd962daa2a549f13ac5bf49d78bc064b063323ef40264f138acc525d3226525fb231cd80213740c8d7d9c886e2d846a2cf50aec95e3a71178be44d41dd2cf5e066ae2039e5b351fda1b771fbe26cf30d5779cc";
