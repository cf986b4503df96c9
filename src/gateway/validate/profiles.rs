//! What profiles of every kind have: a name, and a platform that takes what its devices get.

use super::{name, refused, target, user};
use crate::engine::api::keys::Platform;
use crate::engine::api::{CmsFormat, Delivery};
use crate::gateway::error::ApiError;
use crate::gateway::pkcs_api::is_plain_name;
use crate::gateway::profiles_api::{ImportProfile, ImportRequest, ProfileEntry};

/// A name that may stand in a path and in a policy.
pub(super) fn plain(property: &str, value: &str) -> Result<(), ApiError> {
    if is_plain_name(value) {
        return Ok(());
    }
    Err(refused(
        property,
        "1 to 64 letters, digits, - _ . and no . at the beginning",
    ))
}

/// Whether devices of a platform take this delivery in this form.
pub(super) fn on_platform(
    platform: &str,
    delivery: Delivery,
    format: CmsFormat,
) -> Result<(), ApiError> {
    let Some(platform) = Platform::of_name(platform) else {
        let known: Vec<_> = Platform::ALL.into_iter().map(Platform::name).collect();
        return Err(refused(
            "profile.platform",
            &format!(
                "nothing is made for this platform; those that are known: {}",
                known.join(", ")
            ),
        ));
    };
    if delivery == Delivery::AppleProfile && !platform.is_apple() {
        return Err(refused(
            "profile.delivery",
            "appleProfile is for the platforms ios and macOs",
        ));
    }
    match delivery.refuses(format) {
        Some(why) => Err(refused("profile.format", why)),
        None => Ok(()),
    }
}

/// A profile with its name; `check` is for its kind.
pub(in crate::gateway) fn entry<P>(
    entry: &ProfileEntry<P>,
    check: impl FnOnce(&P) -> Result<(), ApiError>,
) -> Result<(), ApiError> {
    plain("name", &entry.name)?;
    check(&entry.profile)
}

/// A profile of stored PFX files.
pub(in crate::gateway) fn import_profile(profile: &ImportProfile) -> Result<(), ApiError> {
    on_platform(&profile.platform, profile.delivery, profile.format)
}

/// A device's request by such a profile.
pub(in crate::gateway) fn import_request(request: &ImportRequest) -> Result<(), ApiError> {
    plain("profile", &request.profile)?;
    user(&request.user_principal_name)?;
    name("deviceId", &request.device_id)?;
    if let Some(key) = &request.idempotency_key {
        name("idempotencyKey", key)?;
    }
    target(&request.device)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;

    fn told(platform: &str, delivery: Delivery, format: CmsFormat) -> Result<(), String> {
        let profile = ImportProfile {
            platform: platform.to_owned(),
            format,
            delivery,
        };
        import_profile(&profile).map_err(|error| error.message)
    }

    #[test]
    fn every_platform_takes_passwords_and_new_files_and_those_of_apple_profiles() {
        for platform in Platform::ALL {
            for delivery in [Delivery::Password, Delivery::Rewrap] {
                assert_eq!(told(platform.name(), delivery, CmsFormat::Modern), Ok(()));
            }
            let profile = told(
                platform.name(),
                Delivery::AppleProfile,
                CmsFormat::Compatible,
            );
            assert_eq!(profile.is_ok(), platform.is_apple(), "{profile:?}");
        }
    }

    #[test]
    fn a_platform_that_is_not_known_is_refused_by_name_and_a_form_that_the_delivery_has_not_as_well()
     {
        for unknown in ["", "symbian", "Windows", "chromeOs"] {
            let refused = told(unknown, Delivery::Password, CmsFormat::Modern).unwrap_err();
            assert!(refused.contains("profile.platform"), "{refused}");
            assert!(refused.contains("androidDedicated"), "{refused}");
        }
        let gcm = told("ios", Delivery::AppleProfile, CmsFormat::ModernGcm).unwrap_err();
        assert!(gcm.contains("profile.format"), "{gcm}");
    }
}
