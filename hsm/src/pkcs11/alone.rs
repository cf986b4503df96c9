//! One token at a time of a library whose tokens share in one process what they should not: with a login to one of them all are
//! open, whatever their PINs are (see [`Quirks::several_tokens`](super::quirks::Quirks::several_tokens)).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::Error;
use crate::token::TokenInfo;

/// Serial number and label: such libraries tend to give all their tokens the same serial number.
type Name = (String, String);

/// By module: its one token, and how many custodies use it.
static IN_USE: Mutex<BTreeMap<PathBuf, (Name, usize)>> = Mutex::new(BTreeMap::new());

fn in_use() -> MutexGuard<'static, BTreeMap<PathBuf, (Name, usize)>> {
    IN_USE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The right to be the only token of its module in this process.
pub(super) struct Alone {
    module: PathBuf,
}

impl Alone {
    /// # Errors
    /// [`Error::SecondToken`] while another token of the module is in use.
    pub(super) fn with(module: &Path, token: &TokenInfo) -> Result<Self, Error> {
        let name = (token.serial.clone(), token.label.clone());
        let mut in_use = in_use();
        let (present, users) = in_use
            .entry(module.to_owned())
            .or_insert_with(|| (name.clone(), 0));
        if *present != name {
            return Err(Error::SecondToken {
                present: present.1.clone(),
            });
        }
        *users += 1;
        Ok(Self {
            module: module.to_owned(),
        })
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        let mut in_use = in_use();
        if let Some((_, users)) = in_use.get_mut(&self.module) {
            *users = users.saturating_sub(1);
            if *users == 0 {
                in_use.remove(&self.module);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;
    use crate::token::{TokenFlags, Version};

    fn token(label: &str) -> TokenInfo {
        let version = Version { major: 1, minor: 0 };
        TokenInfo {
            module_path: "/module.so".into(),
            library_description: String::new(),
            library_manufacturer: String::new(),
            library_version: version,
            cryptoki_version: version,
            slot: 0,
            label: label.into(),
            manufacturer: String::new(),
            model: String::new(),
            serial: "123".into(),
            hardware_version: version,
            firmware_version: version,
            flags: TokenFlags::default(),
        }
    }

    #[test]
    fn another_token_has_to_wait_until_every_user_of_the_first_one_is_gone() {
        let module = Path::new("/alone.so");
        let first = Alone::with(module, &token("first")).unwrap();
        let again = Alone::with(module, &token("first")).unwrap();
        let refused = Alone::with(module, &token("second")).err().unwrap();
        assert!(refused.to_string().contains("first"), "{refused}");
        // Another module is none of its business.
        assert!(Alone::with(Path::new("/other.so"), &token("second")).is_ok());
        drop(first);
        assert!(Alone::with(module, &token("second")).is_err());
        drop(again);
        assert!(Alone::with(module, &token("second")).is_ok());
    }
}
