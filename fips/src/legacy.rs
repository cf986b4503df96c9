//! Ciphers of the past, for files and devices that know nothing better. **Never approved**: 3DES and RC2 are not in the
//! module's security policy at all. They are here, and not elsewhere, so that the policy has one place to forbid: in strict mode
//! each is refused ([`Error::NotApproved`]) unless its exception is named.

use crate::cbc::{self, Cipher};
use crate::policy::{Service, perform};
use crate::{Error, Result, secret::SecretBytes};

fn des_ede3(key: &SecretBytes) -> Result<Cipher> {
    match key.len() {
        24 => Ok(Cipher::DesEde3),
        bytes => Err(Error::KeyLength {
            algorithm: "3DES",
            bytes,
            accepted: "24",
        }),
    }
}

/// Three-key 3DES in CBC mode (`des-EDE3-CBC`, RFC 8018 appendix B.2.2), padded. **Never approved.**
///
/// The parity bits of the key are ignored.
///
/// # Errors
/// [`Error::KeyLength`] for anything but 24 bytes; [`Error::MessageTooLong`] at 2 GiB.
pub fn des_ede3_cbc_encrypt(key: &SecretBytes, iv: &[u8; 8], plaintext: &[u8]) -> Result<Vec<u8>> {
    let cipher = des_ede3(key)?;
    perform(Service::TripleDesEncrypt, |permit| {
        cbc::encrypt(permit, cipher, key.expose(), iv, plaintext)
    })
}

/// Decrypts what [`des_ede3_cbc_encrypt`] made. **Never approved.**
///
/// # Errors
/// [`Error::KeyLength`] for anything but 24 bytes; [`Error::Decryption`] for an impossible length and a bad padding alike.
pub fn des_ede3_cbc_decrypt(
    key: &SecretBytes,
    iv: &[u8; 8],
    ciphertext: &[u8],
) -> Result<SecretBytes> {
    let cipher = des_ede3(key)?;
    perform(Service::TripleDesDecrypt, |permit| {
        cbc::decrypt(permit, cipher, key.expose(), iv, ciphertext)
    })
}

/// RC2 in CBC mode (RFC 2268), read only, as PKCS#12 uses it (RFC 7292 appendix C): a key of 16 bytes has 128
/// effective bits, a key of 5 bytes has 40. **Never approved.**
///
/// # Errors
/// [`Error::KeyLength`] for other lengths; [`Error::Decryption`] for an impossible length and a bad padding alike.
pub fn rc2_cbc_decrypt(key: &SecretBytes, iv: &[u8; 8], ciphertext: &[u8]) -> Result<SecretBytes> {
    let cipher = match key.len() {
        16 => Cipher::Rc2With128Bits,
        5 => Cipher::Rc2With40Bits,
        bytes => {
            return Err(Error::KeyLength {
                algorithm: "RC2",
                bytes,
                accepted: "5 or 16",
            });
        }
    };
    perform(Service::Rc2Decrypt, |permit| {
        cbc::decrypt(permit, cipher, key.expose(), iv, ciphertext)
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn every_length_comes_back() {
        let _mode = crate::policy::tests::under(crate::policy::Policy::OFF);
        let key = crate::random::secret(24).unwrap();
        let iv = crate::random::array().unwrap();
        for len in 0..=24 {
            let plaintext = vec![9; len];
            let ciphertext = des_ede3_cbc_encrypt(&key, &iv, &plaintext).unwrap();
            assert_eq!(ciphertext.len(), (len / 8 + 1) * 8);
            let back = des_ede3_cbc_decrypt(&key, &iv, &ciphertext).unwrap();
            assert!(back.ct_eq(&plaintext));
        }
    }

    /// SP 800-67 / SP 800-20: with three equal keys 3DES is DES; the DES block is the one of FIPS 81's example.
    #[test]
    fn with_equal_keys_it_is_des() {
        let _mode = crate::policy::tests::under(crate::policy::Policy::OFF);
        let key = base16ct::lower::decode_vec("0123456789abcdef")
            .unwrap()
            .repeat(3);
        let ciphertext =
            des_ede3_cbc_encrypt(&SecretBytes::from_vec(key), &[0; 8], b"Now is t").unwrap();
        assert_eq!(
            base16ct::lower::encode_string(ciphertext.get(..8).unwrap()),
            "3fa40e8a984d4815"
        );
    }

    #[test]
    fn wrong_lengths_are_refused() {
        let _mode = crate::policy::tests::under(crate::policy::Policy::OFF);
        for len in [0, 4, 8, 15, 17, 25] {
            let key = SecretBytes::zeroed(len);
            assert!(des_ede3_cbc_encrypt(&key, &[0; 8], b"").is_err());
            assert!(des_ede3_cbc_decrypt(&key, &[0; 8], &[0; 8]).is_err());
            assert!(rc2_cbc_decrypt(&key, &[0; 8], &[0; 8]).is_err());
        }
        for len in [0, 1, 7, 9] {
            let ciphertext = vec![0; len];
            let key = SecretBytes::zeroed(24);
            assert!(matches!(
                des_ede3_cbc_decrypt(&key, &[0; 8], &ciphertext),
                Err(Error::Decryption)
            ));
            let key = SecretBytes::zeroed(5);
            assert!(matches!(
                rc2_cbc_decrypt(&key, &[0; 8], &ciphertext),
                Err(Error::Decryption)
            ));
        }
    }
}
