//! Known ciphertexts for a probe: a message that is known, encrypted to the key that is probed.
//!
//! They protect nothing: the message is random and of no use to anybody. So none of the ways below has to be an approved service,
//! and the last of them is none. What a token that decrypts the ciphertext has shown depends on who made it:
//!
//! | made by | in FIPS mode | shows |
//! |---|---|---|
//! | the module: RSAES-OAEP | refused: RSA encryption is no approved service of it | two implementations agree |
//! | the token: CKM_RSA_PKCS_OAEP | yes | the token agrees with itself: one that took another hash than it was told, both ways, would not be found out |
//! | [`oaep::pad`] and the token's CKM_RSA_X_509 | under `oaep-unpadding-in-software` | our encoding fits the token's OAEP, or our own unpadding; the RSA of the token fits itself |
//!
//! They are tried in this order. Those of PKCS#1 v1.5 are made in the same ways, for keys that are named for it.

use fips::secret::SecretBytes;

use super::policy;
use super::raw::{RsaMechanism, Stage};
use super::worker::Worker;
use crate::Error;
use crate::error::Refusal;
use crate::oaep;
use crate::padding::Padding;
use crate::pkcs1;
use crate::public_key::PublicKey;

/// What became of the attempt to make a known ciphertext.
pub(super) enum Canary {
    Made(Vec<u8>),
    /// Neither module nor token encrypts so.
    Unsupported,
    /// The token may be in trouble: that it made none says nothing.
    Trouble(Refusal),
}

/// Who makes a known ciphertext.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Maker {
    /// The module.
    Module,
    /// The token, padding and all.
    Token,
    /// The token, with the padding of this crate.
    Raw,
}

impl Maker {
    /// All of them, in the order in which they are tried; without the module, as if it had refused.
    pub(super) const fn all(module_may_encrypt: bool) -> &'static [Self] {
        if module_may_encrypt {
            &[Self::Module, Self::Token, Self::Raw]
        } else {
            &[Self::Token, Self::Raw]
        }
    }
}

/// Has the first of `makers` that can encrypt `message` with this label to `public`.
///
/// # Errors
/// If there is no session to be had.
pub(super) fn make(
    worker: &mut Worker,
    public: &PublicKey,
    padding: Padding,
    label: &[u8],
    message: &[u8],
    makers: &[Maker],
) -> Result<Canary, Error> {
    if padding.max_message_len(public.modulus_bits()) < message.len() {
        return Ok(Canary::Unsupported);
    }
    if makers.contains(&Maker::Module) {
        let spki = public.to_spki_der()?;
        let by_module =
            fips::rsa::PublicKey::from_spki(&spki).and_then(|public| match padding.hash() {
                Some(hash) => public.encrypt_oaep_with_label(hash, label, message),
                None => public.encrypt_pkcs1v15(message),
            });
        match by_module {
            Ok(ciphertext) => return Ok(Canary::Made(ciphertext)),
            Err(error) => {
                tracing::debug!(%padding, %error, "the module makes no known ciphertext; the token has to");
            }
        }
    }
    let modulus_len = public.modulus().len();
    let encoded = match padding {
        Padding::Pkcs1 => pkcs1::pad(modulus_len, message)?,
        _ => oaep::pad(padding, label, modulus_len, message)?,
    };
    let ways = [
        (
            Maker::Token,
            RsaMechanism::native(padding, label),
            &SecretBytes::from_slice(message),
        ),
        (Maker::Raw, RsaMechanism::raw(padding), &encoded),
    ];
    let mut trouble = None;
    for (maker, mechanism, input) in ways {
        if !makers.contains(&maker) || !policy::may_encrypt(mechanism) {
            continue;
        }
        match worker.encrypt_with(public, mechanism, input.expose())? {
            Ok(ciphertext) => return Ok(Canary::Made(ciphertext)),
            Err(stage) => {
                if !stage.refusal().refuses() {
                    trouble = Some(stage.refusal());
                }
                if matches!(stage, Stage::Operation(_)) {
                    // Some modules leave the session in an operation that nothing ends.
                    worker.replace_session();
                }
            }
        }
    }
    Ok(trouble.map_or(Canary::Unsupported, Canary::Trouble))
}
