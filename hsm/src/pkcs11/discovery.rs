//! Which tokens there are, and which one is meant.

use cryptoki::slot::Slot;
use cryptoki_sys::{
    CK_FLAGS, CK_TOKEN_INFO, CK_VERSION, CKF_ERROR_STATE, CKF_LOGIN_REQUIRED,
    CKF_PROTECTED_AUTHENTICATION_PATH, CKF_TOKEN_INITIALIZED, CKF_USER_PIN_COUNT_LOW,
    CKF_USER_PIN_FINAL_TRY, CKF_USER_PIN_INITIALIZED, CKF_USER_PIN_LOCKED, CKF_WRITE_PROTECTED,
};

use super::module::Module;
use crate::Error;
use crate::error::Refusal;
use crate::token::{TokenFlags, TokenInfo, Version};

fn version(version: CK_VERSION) -> Version {
    Version {
        major: version.major,
        minor: version.minor,
    }
}

/// A blank-padded text field (PKCS#11, section 3.1); some libraries pad with zeros.
fn text(field: &[u8]) -> String {
    String::from_utf8_lossy(field)
        .trim_end_matches([' ', '\0'])
        .to_owned()
}

/// What the flags of CK_TOKEN_INFO say.
pub(super) fn flags(info: &CK_TOKEN_INFO) -> TokenFlags {
    let has = |flag: CK_FLAGS| info.flags & flag != 0;
    TokenFlags {
        initialized: has(CKF_TOKEN_INITIALIZED),
        login_required: has(CKF_LOGIN_REQUIRED),
        user_pin_initialized: has(CKF_USER_PIN_INITIALIZED),
        write_protected: has(CKF_WRITE_PROTECTED),
        protected_authentication_path: has(CKF_PROTECTED_AUTHENTICATION_PATH),
        user_pin_count_low: has(CKF_USER_PIN_COUNT_LOW),
        user_pin_final_try: has(CKF_USER_PIN_FINAL_TRY),
        user_pin_locked: has(CKF_USER_PIN_LOCKED),
        error_state: has(CKF_ERROR_STATE),
    }
}

/// The token in a slot, as it is now.
pub(super) fn token_info(module: &Module, slot: Slot) -> Result<TokenInfo, Error> {
    let library = module
        .context()
        .get_library_info()
        .map_err(|error| module.error(error))?;
    let token = module
        .functions()
        .token_info(slot.id())
        .map_err(Error::Token)?;
    let library_version = |version: cryptoki::types::Version| Version {
        major: version.major(),
        minor: version.minor(),
    };
    Ok(TokenInfo {
        module_path: module.path().to_owned(),
        library_description: library.library_description().to_owned(),
        library_manufacturer: library.manufacturer_id().to_owned(),
        library_version: library_version(library.library_version()),
        cryptoki_version: library_version(library.cryptoki_version()),
        slot: slot.id(),
        label: text(&token.label),
        manufacturer: text(&token.manufacturerID),
        model: text(&token.model),
        serial: text(&token.serialNumber),
        hardware_version: version(token.hardwareVersion),
        firmware_version: version(token.firmwareVersion),
        flags: flags(&token),
    })
}

/// Every slot with a token, initialised or not. A slot whose token does not answer is left out: it must not hide the others.
pub(super) fn tokens(module: &Module) -> Result<Vec<(Slot, TokenInfo)>, Error> {
    let slots = module
        .context()
        .get_slots_with_token()
        .map_err(|error| module.error(error))?;
    Ok(slots
        .into_iter()
        .filter_map(|slot| match token_info(module, slot) {
            Ok(info) => Some((slot, info)),
            Err(error) => {
                tracing::warn!(slot = slot.id(), %error, "a token does not answer; left out");
                None
            }
        })
        .collect())
}

/// The one initialised token with this label and serial number, as far as they are given.
pub(super) fn find(
    module: &Module,
    label: Option<&str>,
    serial: Option<&str>,
) -> Result<(Slot, TokenInfo), Error> {
    let mut found: Vec<_> = tokens(module)?
        .into_iter()
        .filter(|(_, token)| token.flags.initialized)
        .filter(|(_, token)| label.is_none_or(|label| token.label == label))
        .filter(|(_, token)| serial.is_none_or(|serial| token.serial == serial))
        .collect();
    let wanted = || match (label, serial) {
        (Some(label), Some(serial)) => format!("with label {label:?} and serial {serial:?}"),
        (Some(label), None) => format!("with label {label:?}"),
        (None, Some(serial)) => format!("with serial {serial:?}"),
        (None, None) => "that is initialised".to_owned(),
    };
    let count = found.len();
    match found.pop() {
        None => Err(Error::TokenNotFound { wanted: wanted() }),
        Some(_) if count > 1 => Err(Error::TokenAmbiguous {
            wanted: wanted(),
            count,
        }),
        Some((_, token)) if token.flags.error_state => Err(Error::TokenErrorState),
        Some(token) => Ok(token),
    }
}

/// The flags of the token in a slot, read now.
pub(super) fn current_flags(module: &Module, slot: Slot) -> Result<TokenFlags, Refusal> {
    module
        .functions()
        .token_info(slot.id())
        .map(|info| flags(&info))
}
