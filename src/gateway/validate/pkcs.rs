//! Profiles and requests for certificates within their bounds. Whether a connector may have them issued is its own policy's to say.

use super::profiles::{on_platform, plain};
use super::{MAX_USER_BYTES, bounded, name, refused, target, user};
use crate::engine::api::Delivery;
use crate::engine::api::keys::{
    MAX_ALT_NAME_BYTES, MAX_ALT_NAMES, MAX_EXTENDED_KEY_USAGES, MAX_SUBJECT_BYTES,
};
use crate::gateway::error::ApiError;
use crate::gateway::pkcs_api::{
    DELIVERIES, DeviceUpdate, MAX_AUTHORITIES, PkcsLeaseRequest, PkcsProfile, PkcsRequest,
    Progress, Variable,
};
use std::collections::BTreeSet;

/// Shortest and longest validity of a certificate, in days.
const VALIDITY_DAYS: std::ops::RangeInclusive<u32> = 1..=1_200;
/// The largest part of a life that may be left when a certificate is renewed, in per cent.
const MAX_RENEWAL_PERCENT: u32 = 90;
/// Variables of one request.
const MAX_VARIABLES: usize = 64;
/// The longest value of a variable, in bytes.
const MAX_VALUE_BYTES: usize = 1_024;
/// The largest progress, in bytes.
const MAX_PROGRESS_BYTES: usize = 256 * 1024;
/// The longest time until a pending order is looked at again: a week, in milliseconds.
const MAX_RESUME_MS: u64 = 7 * 24 * 3_600_000;

fn text(property: &str, value: &str, most: usize) -> Result<(), ApiError> {
    if value.len() > most || value.contains(char::is_control) {
        return Err(refused(
            property,
            &format!("{most} bytes at most, without control characters"),
        ));
    }
    Ok(())
}

fn oid(value: &str) -> bool {
    value.len() <= 128
        && const_oid::ObjectIdentifier::new(value).is_ok_and(|oid| oid.to_string() == value)
}

/// A profile.
pub(in crate::gateway) fn profile(profile: &PkcsProfile) -> Result<(), ApiError> {
    if !DELIVERIES.contains(&profile.delivery) {
        return Err(refused(
            "profile.delivery",
            &DELIVERIES.map(Delivery::name).join(" or "),
        ));
    }
    on_platform(&profile.platform, profile.delivery, profile.format)?;
    plain("profile.ca", &profile.ca)?;
    for (property, value) in [
        ("profile.caProfile", &profile.ca_profile),
        ("profile.microsoftTemplate", &profile.microsoft_template),
        ("profile.securityIdentifier", &profile.security_identifier),
    ] {
        if let Some(value) = value {
            name(property, value)?;
        }
    }
    text("profile.subject", &profile.subject, MAX_SUBJECT_BYTES)?;
    if profile.subject.is_empty() && profile.alt_names.is_empty() {
        return Err(refused(
            "profile.subject",
            "a certificate needs a subject or alternative names",
        ));
    }
    if profile.alt_names.len() > MAX_ALT_NAMES {
        return Err(refused(
            "profile.altNames",
            &format!("{MAX_ALT_NAMES} at most"),
        ));
    }
    for alt_name in &profile.alt_names {
        bounded(
            "profile.altNames",
            alt_name.value.as_bytes(),
            MAX_ALT_NAME_BYTES,
        )?;
        text("profile.altNames", &alt_name.value, MAX_ALT_NAME_BYTES)?;
    }
    if profile.key_usage.len() > 5 {
        return Err(refused("profile.keyUsage", "each of the five once"));
    }
    if profile.extended_key_usage.len() > MAX_EXTENDED_KEY_USAGES
        || !profile.extended_key_usage.iter().all(|usage| oid(usage))
    {
        return Err(refused(
            "profile.extendedKeyUsage",
            &format!(
                "{MAX_EXTENDED_KEY_USAGES} dotted object identifiers at most, such as 1.3.6.1.5.5.7.3.4"
            ),
        ));
    }
    if !VALIDITY_DAYS.contains(&profile.validity_days) {
        return Err(refused(
            "profile.validityDays",
            &format!("{} to {}", VALIDITY_DAYS.start(), VALIDITY_DAYS.end()),
        ));
    }
    if profile.renewal_percent > MAX_RENEWAL_PERCENT {
        return Err(refused(
            "profile.renewalPercent",
            &format!("0 (never) to {MAX_RENEWAL_PERCENT}"),
        ));
    }
    Ok(())
}

/// A request.
pub(in crate::gateway) fn request(request: &PkcsRequest) -> Result<(), ApiError> {
    plain("profile", &request.profile)?;
    user(&request.user_principal_name)?;
    name("deviceId", &request.device_id)?;
    if let Some(key) = &request.idempotency_key {
        name("idempotencyKey", key)?;
    }
    target(&request.device)?;
    variables(&request.variables)
}

/// A device's new certificate, and variables of one of its users.
pub(in crate::gateway) fn device_update(update: &DeviceUpdate) -> Result<(), ApiError> {
    target(&update.device)?;
    match (&update.user_principal_name, &update.variables) {
        (None, None) => Ok(()),
        (Some(of), Some(given)) => {
            user(of)?;
            variables(given)
        }
        _ => Err(refused(
            "variables",
            "they are those of one user: together with userPrincipalName, or neither",
        )),
    }
}

fn variables(variables: &[Variable]) -> Result<(), ApiError> {
    if variables.len() > MAX_VARIABLES {
        return Err(refused("variables", &format!("{MAX_VARIABLES} at most")));
    }
    let mut seen = BTreeSet::new();
    for variable in variables {
        let is_name = (1..=64).contains(&variable.name.len())
            && variable
                .name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if !is_name || !seen.insert(variable.name.as_str()) {
            return Err(refused(
                "variables",
                "names of 1 to 64 letters, digits and _, each once",
            ));
        }
        text("variables", &variable.value, MAX_VALUE_BYTES)?;
    }
    Ok(())
}

/// Who asks for work, and which authorities it has.
pub(in crate::gateway) fn lease(request: &PkcsLeaseRequest) -> Result<(), ApiError> {
    super::connector(&request.connector)?;
    let authorities = request.authorities.as_deref().unwrap_or_default();
    if authorities.len() > MAX_AUTHORITIES {
        return Err(refused(
            "authorities",
            &format!("{MAX_AUTHORITIES} at most"),
        ));
    }
    authorities
        .iter()
        .try_for_each(|authority| plain("authorities", authority))
}

/// What a connector has of a request.
pub(in crate::gateway) fn progress(progress: &Progress) -> Result<(), ApiError> {
    bounded("progress", progress.progress.as_slice(), MAX_PROGRESS_BYTES)?;
    if progress.resume_ms.is_some_and(|ms| ms > MAX_RESUME_MS) {
        return Err(refused("resumeMs", &format!("{MAX_RESUME_MS} at most")));
    }
    Ok(())
}

/// The query of the list of certificates: one device, or one user.
pub(in crate::gateway) fn certificates_query(
    query: &str,
) -> Result<(Option<String>, Option<String>), ApiError> {
    const SUPPORTED: &str = "supported: deviceId=<id> or userPrincipalName=<user>, percent-encoded";
    let (mut device, mut owner) = (None, None);
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let Some((key, value)) = pair.split_once('=') else {
            return Err(refused("the query", SUPPORTED));
        };
        let value = crate::gateway::odata::percent_decode(value)
            .filter(|value| (1..=MAX_USER_BYTES).contains(&value.len()))
            .ok_or_else(|| refused("the query", SUPPORTED))?;
        match key {
            "deviceId" if device.is_none() => device = Some(value),
            "userPrincipalName" if owner.is_none() => owner = Some(value),
            _ => return Err(refused("the query", SUPPORTED)),
        }
    }
    if device.is_none() && owner.is_none() {
        return Err(refused("the query", SUPPORTED));
    }
    Ok((device, owner))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;
    use crate::encoding::Base64Bytes;
    use crate::engine::api::DeviceTarget;
    use crate::gateway::api::{ConnectorIdentity, PROTOCOL_VERSION};

    #[test]
    fn variables_of_a_device_are_those_of_one_user() {
        let update = |user: Option<&str>, variables: Option<Vec<Variable>>| {
            let update = DeviceUpdate {
                device: DeviceTarget {
                    certificate: Base64Bytes(vec![1]),
                    intermediates: Vec::new(),
                },
                user_principal_name: user.map(str::to_owned),
                variables,
            };
            device_update(&update).map_err(|error| error.message)
        };
        let variable = |name: &str| Variable {
            name: name.to_owned(),
            value: "v".to_owned(),
        };
        assert_eq!(update(None, None), Ok(()));
        let of_anna = Some("anna@example.com");
        assert_eq!(update(of_anna, Some(vec![variable("UserName")])), Ok(()));
        assert_eq!(update(of_anna, Some(Vec::new())), Ok(()));
        for (user, variables) in [
            (of_anna, None),
            (None, Some(vec![variable("UserName")])),
            (of_anna, Some(vec![variable("a"), variable("a")])),
            (of_anna, Some(vec![variable("{{a}}")])),
        ] {
            let refused = update(user, variables).unwrap_err();
            assert!(refused.contains("variables"), "{refused}");
        }
        assert!(update(Some("anna"), Some(Vec::new())).is_err());
    }

    #[test]
    fn authorities_are_bounded_and_named_as_profiles_name_them() {
        let asked = |authorities: Option<Vec<String>>| {
            lease(&PkcsLeaseRequest {
                connector: ConnectorIdentity {
                    protocol: PROTOCOL_VERSION,
                    instance: "i".to_owned(),
                    version: "v".to_owned(),
                    features: Vec::new(),
                },
                max: 1,
                wait_ms: 0,
                authorities,
            })
        };
        assert!(asked(None).is_ok() && asked(Some(Vec::new())).is_ok());
        assert!(asked(Some(vec!["company-1".to_owned(); MAX_AUTHORITIES])).is_ok());
        assert!(asked(Some(vec!["company".to_owned(); MAX_AUTHORITIES + 1])).is_err());
        for wrong in ["", "a b", "\"", ".", &"a".repeat(65)] {
            assert!(asked(Some(vec![wrong.to_owned()])).is_err(), "{wrong:?}");
        }
    }
}
