//! Whether a password is held against its PFX before it is given out as it is (`engine.oracle.check_password`).

use super::queue::Job;
use super::refusal::Refusal;
use super::{Shared, formats};
use crate::config::CheckPassword;
use crate::encoding::Base64Bytes;
use crate::engine::api::FailureCode;
use crate::engine::formats::opening::Unchecked;
use audit::event::PfxCheck;
use fips::secret::Password;
use hsm::Padding;

/// What is done with a password of the delivery `password`: decided before the key is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PasswordCheck {
    /// Nothing is asked of it.
    Off,
    /// It has to fit.
    Has,
    /// It would have to, and cannot be tried.
    Skipped(Unchecked),
}

impl PasswordCheck {
    /// Looks at the PFX from the outside, where that is needed to know.
    ///
    /// # Errors
    /// What speaks against the PFX; that its integrity cannot be checked, where it has to be.
    pub(super) fn of(
        shared: &Shared,
        job: &Job,
        padding: Padding,
        pfx: &Base64Bytes,
    ) -> Result<Self, Refusal> {
        let wanted = match padding {
            // Nobody is told whether its padding was right: a wrong one gives a password of chance, which must go nowhere.
            Padding::Pkcs1 => CheckPassword::Always,
            _ => shared.config.oracle.check_password,
        };
        if wanted == CheckPassword::Off {
            return Ok(Self::Off);
        }
        match (formats::look_at_pfx(shared, job, pfx)?, wanted) {
            (None, _) => Ok(Self::Has),
            (Some(unchecked), CheckPassword::WhereApproved) => Ok(Self::Skipped(unchecked)),
            (Some(unchecked), _) => Err(Refusal::open(
                FailureCode::PfxRefused,
                "pfx_not_checkable",
                match unchecked {
                    Unchecked::NotApproved => "the integrity check of this PFX is not approved and so not done in strict FIPS mode: allow it by the exception `pkcs12-legacy-read`, or do without it by `engine.oracle.check_password = \"where-approved\"`",
                    Unchecked::NoMac => "this PFX has no integrity check under its password, and `engine.oracle.check_password = \"always\"` or the record's padding (pkcs1) asks for one: export it again with one",
                }
                .to_owned(),
            )),
        }
    }

    /// As the receipt says it.
    pub(super) fn receipt(self) -> Option<PfxCheck> {
        match self {
            Self::Off => None,
            Self::Has => Some(PfxCheck::Opened),
            Self::Skipped(Unchecked::NotApproved) => Some(PfxCheck::SkippedNotApproved),
            Self::Skipped(Unchecked::NoMac) => Some(PfxCheck::SkippedNoMac),
        }
    }

    /// Holds the password against the PFX.
    ///
    /// # Errors
    /// The one failure of all decryptions when it does not fit.
    pub(super) fn hold(
        self,
        shared: &Shared,
        job: &Job,
        pfx: &Base64Bytes,
        password: &Password,
    ) -> Result<(), Refusal> {
        match self {
            Self::Has => formats::check_integrity(shared, job, pfx.as_slice(), password),
            Self::Off | Self::Skipped(_) => Ok(()),
        }
    }
}
