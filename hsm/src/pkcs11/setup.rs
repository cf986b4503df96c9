//! Listing tokens, and making a new one for a demonstration or a test.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use cryptoki::error::RvError;
use cryptoki::session::UserType;
use cryptoki::types::AuthPin;

use super::discovery;
use super::module::Module;
use super::session::OwnSession;
use crate::Error;
use crate::error::Refusal;
use crate::pin::Pin;
use crate::token::TokenInfo;

/// Every token that the module shows, initialised or not. `init_parameters`: see
/// [`TokenConfig::init_parameters`](super::TokenConfig::init_parameters).
///
/// # Errors
/// [`Error::File`], [`Error::Module`] or [`Error::InitParameters`] for the module, [`Error::Token`] if it does not answer.
pub fn list_tokens(module: &Path, init_parameters: Option<&str>) -> Result<Vec<TokenInfo>, Error> {
    let module = Module::acquire(module, init_parameters)?;
    let _pass = module.enter();
    Ok(discovery::tokens(&module)?
        .into_iter()
        .map(|(_, token)| token)
        .collect())
}

/// Initialises an empty token and sets its user PIN: for the demonstration and for tests, on software tokens.
///
/// `init_parameters`: see [`TokenConfig::init_parameters`](super::TokenConfig::init_parameters). `slot`: the slot to use; `None` takes the first whose token is not initialised. A token that is initialised is never
/// touched.
///
/// # Errors
/// [`Error::LabelInUse`], [`Error::TokenNotFound`] if there is no empty token, [`Error::Initialization`] if the token refuses.
pub fn init_token(
    module: &Path,
    init_parameters: Option<&str>,
    slot: Option<u64>,
    label: &str,
    so_pin: &Pin,
    user_pin: &Pin,
) -> Result<TokenInfo, Error> {
    // One at a time in this process: two callers must not take the same empty slot.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);

    let module = Module::acquire(module, init_parameters)?;
    let pass = module.enter();
    let tokens = discovery::tokens(&module)?;
    if tokens.iter().any(|(_, token)| token.label == label) {
        return Err(Error::LabelInUse(label.to_owned()));
    }
    let (slot, _) = tokens
        .into_iter()
        .filter(|(_, token)| !token.flags.initialized)
        .find(|(empty, _)| slot.is_none_or(|slot| slot == empty.id()))
        .ok_or_else(|| Error::TokenNotFound {
            wanted: "that is not initialised".to_owned(),
        })?;

    let refused = |error: cryptoki::error::Error| match error {
        cryptoki::error::Error::Pkcs11(rv, function) => {
            Error::Initialization(Refusal::new(function, rv))
        }
        other => module.error(other),
    };
    let so_pin = auth_pin(so_pin)?;
    let user_pin = auth_pin(user_pin)?;
    module
        .context()
        .init_token(slot, &so_pin, label)
        .map_err(refused)?;
    // The token may be in another slot now (SoftHSM numbers them by the serial number).
    let (slot, _) = discovery::find(&module, Some(label), None)?;
    let session = OwnSession::open(&module, &pass, slot, true).map_err(|error| match error {
        Error::Token(refusal) => Error::Initialization(refusal),
        other => other,
    })?;
    session
        .login(UserType::So, Some(&so_pin))
        .map_err(refused)?;
    session.init_pin(&user_pin).map_err(refused)?;
    session.logout().map_err(refused)?;
    drop(session);
    discovery::token_info(&module, slot)
}

/// PINs are UTF-8 in PKCS#11 (section 3.1); cryptoki takes them as text where they are set.
fn auth_pin(pin: &Pin) -> Result<AuthPin, Error> {
    let text = std::str::from_utf8(pin.expose()).map_err(|_| {
        Error::Initialization(Refusal::new(
            cryptoki::context::Function::InitPIN,
            RvError::PinInvalid,
        ))
    })?;
    Ok(AuthPin::new(text.into()))
}
