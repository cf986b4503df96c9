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
//! They are tried in this order.

use fips::secret::SecretBytes;

use super::policy;
use super::raw::{RsaMechanism, Stage};
use super::worker::Worker;
use crate::Error;
use crate::error::Refusal;
use crate::oaep;
use crate::padding::Padding;
use crate::public_key::PublicKey;

/// What became of the attempt to make a known ciphertext.
pub(super) enum Canary {
    Made(Vec<u8>),
    /// Neither module nor token encrypts so.
    Unsupported,
    /// The token may be in trouble: that it made none says nothing.
    Trouble(Refusal),
}

/// Encrypts `message` to `public`. Without `module_may_encrypt` the module is not asked, as if it had refused.
///
/// # Errors
/// If there is no session to be had.
pub(super) fn make(
    worker: &mut Worker,
    public: &PublicKey,
    padding: Padding,
    message: &[u8],
    module_may_encrypt: bool,
) -> Result<Canary, Error> {
    if padding.max_message_len(public.modulus_bits()) < message.len() {
        return Ok(Canary::Unsupported);
    }
    if module_may_encrypt {
        let spki = public.to_spki_der()?;
        let by_module = fips::rsa::PublicKey::from_spki(&spki)
            .and_then(|public| public.encrypt_oaep(padding.hash(), message));
        match by_module {
            Ok(ciphertext) => return Ok(Canary::Made(ciphertext)),
            Err(error) => {
                tracing::debug!(%padding, %error, "the module makes no known ciphertext; the token has to");
            }
        }
    }
    let encoded = oaep::pad(padding, public.modulus().len(), message)?;
    let ways = [
        (
            RsaMechanism::Oaep(padding),
            &SecretBytes::from_slice(message),
        ),
        (RsaMechanism::Raw, &encoded),
    ];
    let mut trouble = None;
    for (mechanism, input) in ways {
        if mechanism == RsaMechanism::Raw && !policy::allows_raw() {
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
