//! What a library and its tokens say of themselves before anybody logs in: for reports that look for what is wrong.

use std::path::Path;

use cryptoki::mechanism::MechanismType;
use cryptoki_sys::CK_MECHANISM_TYPE;
use serde::Serialize;

use super::discovery;
use super::module::Module;
use crate::Error;
use crate::token::{TokenInfo, Version};

/// Most slots that are looked at: a library that shows more is asked about the first ones.
const MAX_SLOTS: usize = 256;

/// The mechanisms that custody, signing and encryption use, by the standard's names.
const USED: [(MechanismType, &str); 8] = [
    (
        MechanismType::RSA_PKCS_KEY_PAIR_GEN,
        "CKM_RSA_PKCS_KEY_PAIR_GEN",
    ),
    (MechanismType::RSA_PKCS_OAEP, "CKM_RSA_PKCS_OAEP"),
    (MechanismType::RSA_X_509, "CKM_RSA_X_509"),
    (MechanismType::RSA_PKCS_PSS, "CKM_RSA_PKCS_PSS"),
    (MechanismType::RSA_PKCS, "CKM_RSA_PKCS"),
    (MechanismType::ECC_KEY_PAIR_GEN, "CKM_EC_KEY_PAIR_GEN"),
    (MechanismType::ECDSA, "CKM_ECDSA"),
    (MechanismType::ECDH1_DERIVE, "CKM_ECDH1_DERIVE"),
];

/// A library and its slots.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Inspection {
    /// `libraryDescription`: not to be trusted, as all texts of libraries and tokens.
    pub library_description: String,
    /// `manufacturerID` of the library.
    pub library_manufacturer: String,
    /// `libraryVersion`.
    pub library_version: Version,
    /// `cryptokiVersion`.
    pub cryptoki_version: Version,
    /// How many slots there are, with and without a token.
    pub slots: usize,
    /// Those with a token, at most 256.
    pub with_token: Vec<Slot>,
}

/// A slot with a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Slot {
    /// Its number.
    pub slot: u64,
    /// The token; `None` if it does not answer.
    pub token: Option<TokenInfo>,
    /// Why it does not answer.
    pub problem: Option<String>,
    /// How many mechanisms the token lists; `None` if it does not tell.
    pub mechanisms: Option<usize>,
    /// Those of them that this crate uses.
    pub used: Vec<MechanismInfo>,
}

/// A mechanism as the token describes it (CK_MECHANISM_INFO). What it says is no promise: trying decides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MechanismInfo {
    /// The standard's name.
    pub name: &'static str,
    /// `ulMinKeySize`, in the unit of the mechanism: bits for RSA and EC.
    pub min_key_size: Option<usize>,
    /// `ulMaxKeySize`, in the same unit.
    pub max_key_size: Option<usize>,
}

/// Loads and initialises the module and asks it what there is. Nobody logs in. `init_parameters`: see
/// [`TokenConfig::init_parameters`](super::TokenConfig::init_parameters).
///
/// # Errors
/// [`Error::File`], [`Error::Module`] or [`Error::InitParameters`] for the module, [`Error::Token`] if it does not answer.
pub fn inspect(module: &Path, init_parameters: Option<&str>) -> Result<Inspection, Error> {
    let module = Module::acquire(module, init_parameters)?;
    let _pass = module.enter();
    let context = module.context();
    let library = context
        .get_library_info()
        .map_err(|error| module.error(error))?;
    let slots = context
        .get_all_slots()
        .map_err(|error| module.error(error))?
        .len();
    let with_token = context
        .get_slots_with_token()
        .map_err(|error| module.error(error))?
        .into_iter()
        .take(MAX_SLOTS)
        .map(|slot| look_at(&module, slot))
        .collect();
    let version = |version: cryptoki::types::Version| Version {
        major: version.major(),
        minor: version.minor(),
    };
    Ok(Inspection {
        library_description: library.library_description().to_owned(),
        library_manufacturer: library.manufacturer_id().to_owned(),
        library_version: version(library.library_version()),
        cryptoki_version: version(library.cryptoki_version()),
        slots,
        with_token,
    })
}

fn look_at(module: &Module, slot: cryptoki::slot::Slot) -> Slot {
    let (token, problem) = match discovery::token_info(module, slot) {
        Ok(token) => (Some(token), None),
        Err(error) => (None, Some(error.to_string())),
    };
    let listed = module.functions().mechanisms(slot.id()).ok();
    let used = USED
        .iter()
        .filter(|(mechanism, _)| {
            let number: CK_MECHANISM_TYPE = (*mechanism).into();
            listed.as_ref().is_some_and(|list| list.contains(&number))
        })
        .map(|(mechanism, name)| {
            let info = module.context().get_mechanism_info(slot, *mechanism).ok();
            MechanismInfo {
                name,
                min_key_size: info.as_ref().map(|info| info.min_key_size()),
                max_key_size: info.as_ref().map(|info| info.max_key_size()),
            }
        })
        .collect();
    Slot {
        slot: slot.id(),
        token,
        problem,
        mechanisms: listed.map(|list| list.len()),
        used,
    }
}
