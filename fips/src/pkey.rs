//! The module's `EVP_PKEY`, read only: what kind of key is it, and which public key belongs to it.

use crate::ec::Curve;
use crate::{Error, Result};
use aws_lc_fips_sys as lc;
use std::mem::MaybeUninit;
use std::ptr::{NonNull, null_mut};

/// The kinds of key that this crate tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Rsa { bits: usize },
    Ec(Curve),
    Other,
}

/// An `EVP_PKEY`, freed when dropped. Not sent between threads.
pub(crate) struct Pkey(NonNull<lc::EVP_PKEY>);

impl Drop for Pkey {
    fn drop(&mut self) {
        // SAFETY: evp.h: EVP_PKEY_free gives up one reference, and this one is ours.
        unsafe { lc::EVP_PKEY_free(self.0.as_ptr()) }
    }
}

fn parse(
    der: &[u8],
    what: &'static str,
    parser: unsafe extern "C" fn(*mut lc::CBS) -> *mut lc::EVP_PKEY,
) -> Result<Pkey> {
    let mut cbs = lc::CBS {
        data: der.as_ptr(),
        len: der.len(),
    };
    // SAFETY: evp.h: both parsers read from a CBS over memory that stays valid during the call, advance it, and return a
    // new reference or null.
    let key = unsafe { parser(&raw mut cbs) };
    let key = NonNull::new(key).map(Pkey);
    match key {
        Some(key) if cbs.len == 0 => Ok(key),
        _ => {
            // SAFETY: err.h: takes nothing and works on the calling thread's queue.
            unsafe { lc::ERR_clear_error() };
            Err(Error::MalformedKey { what })
        }
    }
}

impl Pkey {
    /// Reads a DER `SubjectPublicKeyInfo` (RFC 5280 section 4.1), with nothing behind it.
    pub(crate) fn from_spki(der: &[u8]) -> Result<Self> {
        parse(der, "SubjectPublicKeyInfo", lc::EVP_parse_public_key)
    }

    /// Reads a DER `PrivateKeyInfo` (RFC 5208, RFC 5958), with nothing behind it.
    pub(crate) fn from_pkcs8(der: &[u8]) -> Result<Self> {
        parse(der, "PKCS#8 private key", lc::EVP_parse_private_key)
    }

    /// For calls that read the key, or take a reference of their own to it.
    pub(crate) fn as_ptr(&self) -> *mut lc::EVP_PKEY {
        self.0.as_ptr()
    }

    pub(crate) fn kind(&self) -> Kind {
        let key = self.0.as_ptr();
        // SAFETY: evp.h: EVP_PKEY_id and EVP_PKEY_bits only read a valid key.
        let (id, bits) = unsafe { (lc::EVP_PKEY_id(key), lc::EVP_PKEY_bits(key)) };
        match id {
            lc::EVP_PKEY_RSA => Kind::Rsa {
                bits: usize::try_from(bits).unwrap_or(0),
            },
            lc::EVP_PKEY_EC => {
                // SAFETY: evp.h, ec_key.h, ec.h: the key is an EC key (its id says so), so EVP_PKEY_get0_EC_KEY
                // gives a pointer that lives as long as the key, and a parsed EC key always has a group.
                let nid = unsafe {
                    lc::EC_GROUP_get_curve_name(lc::EC_KEY_get0_group(lc::EVP_PKEY_get0_EC_KEY(
                        key,
                    )))
                };
                match nid {
                    lc::NID_X9_62_prime256v1 => Kind::Ec(Curve::P256),
                    lc::NID_secp384r1 => Kind::Ec(Curve::P384),
                    lc::NID_secp521r1 => Kind::Ec(Curve::P521),
                    _ => Kind::Other,
                }
            }
            _ => Kind::Other,
        }
    }

    /// The public key as DER `SubjectPublicKeyInfo`, always in the same encoding, however it was read.
    pub(crate) fn spki_der(&self) -> Result<Vec<u8>> {
        let refused = Error::Module {
            operation: "encoding of a public key",
        };
        let mut cbb = MaybeUninit::<lc::CBB>::zeroed();
        let mut data: *mut u8 = null_mut();
        let mut len = 0_usize;
        // SAFETY: bytestring.h: CBB_init makes a zeroed CBB usable, even if it fails CBB_cleanup may be called; after
        // CBB_finish `data` owns `len` bytes. evp.h: EVP_marshal_public_key only reads the key.
        let done = unsafe {
            let cbb = cbb.as_mut_ptr();
            let done = lc::CBB_init(cbb, 512) == 1
                && lc::EVP_marshal_public_key(cbb, self.0.as_ptr()) == 1
                && lc::CBB_finish(cbb, &raw mut data, &raw mut len) == 1;
            if !done {
                lc::CBB_cleanup(cbb);
                lc::ERR_clear_error();
            }
            done
        };
        if !done || data.is_null() {
            return Err(refused);
        }
        // SAFETY: CBB_finish succeeded: `data` points to `len` initialised bytes that are ours until freed, below.
        let der = unsafe { std::slice::from_raw_parts(data, len) }.to_vec();
        // SAFETY: mem.h: CBB_finish gives memory that is freed with OPENSSL_free; not used afterwards.
        unsafe { lc::OPENSSL_free(data.cast()) };
        Ok(der)
    }

    /// Modulus and public exponent of an RSA key, big-endian without leading zeros; `None` for other keys.
    pub(crate) fn rsa_components(&self) -> Option<(Vec<u8>, Vec<u8>)> {
        // SAFETY: evp.h, rsa.h: EVP_PKEY_get0_RSA gives null for other keys, else a pointer that lives as long as the
        // key; RSA_get0_n and RSA_get0_e then give pointers into it.
        let (n, e) = unsafe {
            let rsa = lc::EVP_PKEY_get0_RSA(self.0.as_ptr());
            if rsa.is_null() {
                lc::ERR_clear_error();
                return None;
            }
            (lc::RSA_get0_n(rsa), lc::RSA_get0_e(rsa))
        };
        Some((number(n)?, number(e)?))
    }
}

fn number(value: *const lc::BIGNUM) -> Option<Vec<u8>> {
    if value.is_null() {
        return None;
    }
    // SAFETY: bn.h: BN_num_bytes only reads a valid BIGNUM, which the caller has taken from a living key.
    let len = usize::try_from(unsafe { lc::BN_num_bytes(value) }).ok()?;
    let mut out = vec![0; len];
    // SAFETY: bn.h: BN_bn2bin writes exactly BN_num_bytes bytes.
    unsafe { lc::BN_bn2bin(value, out.as_mut_ptr()) };
    Some(out)
}

/// The public key of a DER PKCS#8 private key (RSA, or EC on P-256, P-384 or P-521) as DER `SubjectPublicKeyInfo`.
///
/// It says whether a certificate and a private key belong together. No cryptographic service.
///
/// # Errors
/// [`Error::MalformedKey`] if it is none; [`Error::UnsupportedKey`] for other algorithms and curves.
pub fn pkcs8_public(pkcs8: &[u8]) -> Result<Vec<u8>> {
    let key = Pkey::from_pkcs8(pkcs8)?;
    match key.kind() {
        Kind::Rsa { .. } | Kind::Ec(_) => key.spki_der(),
        Kind::Other => Err(Error::UnsupportedKey {
            expected: "RSA, or EC on P-256, P-384 or P-521",
        }),
    }
}

/// As [`pkcs8_public`], for every kind of key that the module can read, such as DSA and Ed25519: to find the certificate of a key that is
/// not used for anything.
///
/// # Errors
/// [`Error::MalformedKey`] if it is none that the module knows.
pub fn pkcs8_public_of_any_kind(pkcs8: &[u8]) -> Result<Vec<u8>> {
    Pkey::from_pkcs8(pkcs8)?.spki_der()
}
