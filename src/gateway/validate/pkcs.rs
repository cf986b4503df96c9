//! Profiles and requests for certificates within their bounds. Whether a connector may have them issued is its own policy's to say.

use super::{MAX_USER_BYTES, bounded, name, refused, target, user};
use crate::engine::api::Delivery;
use crate::engine::api::keys::{
    MAX_ALT_NAME_BYTES, MAX_ALT_NAMES, MAX_EXTENDED_KEY_USAGES, MAX_SUBJECT_BYTES, Platform,
};
use crate::gateway::error::ApiError;
use crate::gateway::pkcs_api::{
    DELIVERIES, DeviceUpdate, MAX_AUTHORITIES, PkcsLeaseRequest, PkcsProfile, PkcsProfileEntry,
    PkcsRequest, Progress, Variable, is_plain_name,
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

/// A name that may stand in a path and in a policy.
fn plain(property: &str, value: &str) -> Result<(), ApiError> {
    if is_plain_name(value) {
        return Ok(());
    }
    Err(refused(
        property,
        "1 to 64 letters, digits, - _ . and no . at the beginning",
    ))
}

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

/// What the devices get.
fn delivery(profile: &PkcsProfile, platform: Platform) -> Result<(), ApiError> {
    if !DELIVERIES.contains(&profile.delivery) {
        return Err(refused(
            "profile.delivery",
            &DELIVERIES.map(Delivery::name).join(" or "),
        ));
    }
    if profile.delivery == Delivery::AppleProfile && !platform.is_apple() {
        return Err(refused(
            "profile.delivery",
            "appleProfile is for the platforms ios and macOs",
        ));
    }
    match profile.delivery.refuses(profile.format) {
        Some(why) => Err(refused("profile.format", why)),
        None => Ok(()),
    }
}

/// A profile with its name.
pub(in crate::gateway) fn entry(entry: &PkcsProfileEntry) -> Result<(), ApiError> {
    plain("name", &entry.name)?;
    profile(&entry.profile)
}

/// A profile.
pub(in crate::gateway) fn profile(profile: &PkcsProfile) -> Result<(), ApiError> {
    let Some(platform) = Platform::of_name(&profile.platform) else {
        let known: Vec<_> = Platform::ALL.into_iter().map(Platform::name).collect();
        return Err(refused(
            "profile.platform",
            &format!(
                "no certificates are made for this platform; those that are: {}",
                known.join(", ")
            ),
        ));
    };
    delivery(profile, platform)?;
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
