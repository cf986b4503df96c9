//! A secret on its way to a custody key: which key, with which padding, and who encrypts.

use super::refusal::Refusal;
use fips::policy::{Mode, in_force};
use hsm::{Custody, KeyFingerprint, KeyInfo, Padding, SecretBytes, Terms};

/// The key of this fingerprint, if a token has it and it may be used.
pub(super) fn usable(
    custody: &dyn Custody,
    wanted: KeyFingerprint,
) -> Result<Option<KeyInfo>, Refusal> {
    let keys = custody.keys()?;
    Ok(keys
        .into_iter()
        .find(|key| key.fingerprint == wanted && key.is_usable()))
}

/// The padding that is asked for, or the strongest that the tokens remove themselves and, where they have to, apply themselves.
pub(super) fn choose_padding(
    custody: &dyn Custody,
    asked: Option<Padding>,
) -> Result<Padding, Refusal> {
    if asked == Some(Padding::Pkcs1) {
        return Err(Refusal::bad_request(
            "nothing is encrypted with the padding pkcs1: name one of OAEP, or none",
        ));
    }
    if let Some(padding) = asked {
        return Ok(padding);
    }
    let capabilities = custody.capabilities();
    let strict = in_force().mode() == Mode::Strict;
    capabilities
        .native
        .iter()
        .copied()
        .filter(|padding| !strict || capabilities.encrypt_native.contains(padding))
        .max_by_key(|padding| padding.hash_len())
        .ok_or_else(|| {
            Refusal::bad_request(
                "the tokens do no padding by themselves in both directions: name the one to use",
            )
        })
}

/// As [`choose_padding`], and where no token does a padding by itself, the strongest that is removed in software: the policy has the last word
/// on that.
pub(super) fn choose_any_padding(custody: &dyn Custody) -> Result<Padding, Refusal> {
    choose_padding(custody, None).or_else(|refusal| {
        let capabilities = custody.capabilities();
        let decrypted = capabilities
            .native
            .iter()
            .chain(&capabilities.software_unpadding);
        decrypted
            .copied()
            .max_by_key(|padding| padding.hash_len())
            .ok_or(refusal)
    })
}

/// By the token in strict mode: there, encryption to RSA keys is not the module's.
pub(super) fn encrypt(
    custody: &dyn Custody,
    spki: &[u8],
    padding: Padding,
    secret: &SecretBytes,
    terms: Terms,
) -> Result<Vec<u8>, hsm::Error> {
    let by_token = in_force().mode() == Mode::Strict
        && custody.capabilities().encrypt_native.contains(&padding);
    if by_token {
        custody.encrypt_on(spki, padding, secret, terms)
    } else {
        let hash = padding
            .hash()
            .ok_or(hsm::Error::PaddingNotSupported(padding))?;
        fips::rsa::PublicKey::from_spki(spki)
            .and_then(|key| key.encrypt_oaep(hash, secret.expose()))
            .map_err(hsm::Error::from)
    }
}
