//! Ciphers of the past, for files and devices that know nothing better. **Never approved**: DES, 3DES, RC2 and RC4 are not in the
//! module's security policy at all. They are here, and not elsewhere, so that the policy has one place to forbid: in strict mode
//! each is refused ([`Error::NotApproved`]) unless its exception is named.

mod key_wrap;
mod rc4;

pub use key_wrap::des_ede3_key_unwrap;
pub use rc4::rc4_decrypt;

use crate::cbc::{self, Cipher};
use crate::policy::{Service, perform};
use crate::{Error, Result, secret::SecretBytes};

/// Three-key 3DES in CBC mode (`des-EDE3-CBC`, RFC 8018 appendix B.2.2), padded. **Never approved.**
///
/// The parity bits of the key are ignored.
///
/// # Errors
/// [`Error::KeyLength`] for anything but 24 bytes; [`Error::MessageTooLong`] at 2 GiB.
pub fn des_ede3_cbc_encrypt(key: &SecretBytes, iv: &[u8; 8], plaintext: &[u8]) -> Result<Vec<u8>> {
    length("3DES", key, &[24], "24")?;
    perform(Service::TripleDesEncrypt, |permit| {
        cbc::encrypt(permit, Cipher::DesEde3, key.expose(), iv, plaintext)
    })
}

/// Decrypts what [`des_ede3_cbc_encrypt`] made; and with a key of 16 bytes, two-key 3DES (keying option 2 of SP 800-67: the third key is
/// the first again), which PKCS#12 has. **Never approved.**
///
/// # Errors
/// [`Error::KeyLength`] for anything but 16 or 24 bytes; [`Error::Decryption`] for an impossible length and a bad padding alike.
pub fn des_ede3_cbc_decrypt(
    key: &SecretBytes,
    iv: &[u8; 8],
    ciphertext: &[u8],
) -> Result<SecretBytes> {
    length("3DES", key, &[16, 24], "16 or 24")?;
    let mut three = SecretBytes::zeroed(24);
    let keys = key.expose().iter().cycle();
    for (to, from) in three.expose_mut().iter_mut().zip(keys) {
        *to = *from;
    }
    perform(Service::TripleDesDecrypt, |permit| {
        cbc::decrypt(permit, Cipher::DesEde3, three.expose(), iv, ciphertext)
    })
}

/// DES in CBC mode (`desCBC`, RFC 8018 appendix B.2.1), read only: PBES1 has it. **Never approved.**
///
/// The parity bits of the key are ignored.
///
/// # Errors
/// [`Error::KeyLength`] for anything but 8 bytes; [`Error::Decryption`] for an impossible length and a bad padding alike.
pub fn des_cbc_decrypt(key: &SecretBytes, iv: &[u8; 8], ciphertext: &[u8]) -> Result<SecretBytes> {
    length("DES", key, &[8], "8")?;
    perform(Service::DesDecrypt, |permit| {
        cbc::decrypt(permit, Cipher::Des, key.expose(), iv, ciphertext)
    })
}

/// RC2 in CBC mode (RFC 2268), read only. **Never approved.**
///
/// The key's length and its effective bits are two things (section 2: T and T1): PKCS#12 has keys of 5 and of 16 bytes with as many
/// effective bits, PBES1 keys of 8 bytes with 64, PBES2 says both.
///
/// # Errors
/// [`Error::KeyLength`] for anything but 1 to 128 bytes with 1 to 1024 effective bits; [`Error::Decryption`] for an impossible length
/// and a bad padding alike.
pub fn rc2_cbc_decrypt(
    key: &SecretBytes,
    effective_bits: u16,
    iv: &[u8; 8],
    ciphertext: &[u8],
) -> Result<SecretBytes> {
    let refused = Error::KeyLength {
        algorithm: "RC2",
        bytes: key.len(),
        accepted: "1 to 128 (with 1 to 1024 effective bits)",
    };
    let cipher = match u8::try_from(key.len()) {
        Ok(key_bytes @ 1..=128) if (1..=1024).contains(&effective_bits) => Cipher::Rc2 {
            key_bytes,
            effective_bits,
        },
        _ => return Err(refused),
    };
    perform(Service::Rc2Decrypt, |permit| {
        cbc::decrypt(permit, cipher, key.expose(), iv, ciphertext)
    })
}

fn length(
    algorithm: &'static str,
    key: &SecretBytes,
    allowed: &[usize],
    accepted: &'static str,
) -> Result<()> {
    if allowed.contains(&key.len()) {
        return Ok(());
    }
    Err(Error::KeyLength {
        algorithm,
        bytes: key.len(),
        accepted,
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
    fn with_two_keys_the_first_comes_back_as_the_third() {
        let _mode = crate::policy::tests::under(crate::policy::Policy::OFF);
        let two = crate::random::secret(16).unwrap();
        let three = [two.expose(), two.expose().get(..8).unwrap()].concat();
        let three = SecretBytes::from_vec(three);
        let ciphertext = des_ede3_cbc_encrypt(&three, &[7; 8], b"plaintext").unwrap();
        let back = des_ede3_cbc_decrypt(&two, &[7; 8], &ciphertext).unwrap();
        assert!(back.ct_eq(b"plaintext"));
    }

    #[test]
    fn wrong_lengths_are_refused() {
        let _mode = crate::policy::tests::under(crate::policy::Policy::OFF);
        for len in [0, 4, 7, 9, 15, 17, 25] {
            let key = SecretBytes::zeroed(len);
            assert!(des_ede3_cbc_encrypt(&key, &[0; 8], b"").is_err());
            assert!(des_ede3_cbc_decrypt(&key, &[0; 8], &[0; 8]).is_err());
            assert!(des_cbc_decrypt(&key, &[0; 8], &[0; 8]).is_err());
        }
        assert!(des_ede3_cbc_encrypt(&SecretBytes::zeroed(16), &[0; 8], b"").is_err());
        for (len, bits) in [(0, 40), (129, 40), (16, 0), (16, 1025), (300, 40)] {
            let refused = rc2_cbc_decrypt(&SecretBytes::zeroed(len), bits, &[0; 8], &[0; 8]);
            assert!(matches!(refused, Err(Error::KeyLength { .. })), "{len}");
        }
        for len in [0, 1, 7, 9] {
            let ciphertext = vec![0; len];
            let key = SecretBytes::zeroed(8);
            let decrypted = [
                des_ede3_cbc_decrypt(&SecretBytes::zeroed(24), &[0; 8], &ciphertext),
                des_cbc_decrypt(&key, &[0; 8], &ciphertext),
                rc2_cbc_decrypt(&key, 64, &[0; 8], &ciphertext),
            ];
            for result in decrypted {
                assert!(matches!(result, Err(Error::Decryption)));
            }
        }
    }
}
