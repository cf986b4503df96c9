//! Checks of every field that comes in. The engine judges certificates, ciphertexts and signatures; the gateway bounds them.

pub(super) mod pkcs;
pub(super) mod profiles;
pub(super) mod revocation;

use super::api::{
    Completion, ConnectorIdentity, DeviceRequest, FailureReport, IntendedPurpose, PROTOCOL_VERSION,
};
use super::error::ApiError;
use super::store::{Completed, NewRecord, RecordPatch, record_id};
use crate::clock::parse_rfc3339;
use crate::encoding::Base64Bytes;
use crate::engine::api::DeviceTarget;
use crate::record::{ImporterSignature, Record};
use hsm::Padding;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// The longest user principal name, in bytes: 64 for the user, 1 for the sign, 255 for the domain.
const MAX_USER_BYTES: usize = 320;
/// The longest name of a provider, key, device, connector or idempotency key, in bytes.
pub(super) const MAX_NAME_BYTES: usize = 256;
/// The largest PFX, in bytes.
pub(super) const MAX_PFX_BYTES: usize = 1024 * 1024;
/// The largest encrypted password, in bytes: RSA-8192.
pub(super) const MAX_PASSWORD_BYTES: usize = 1024;
/// The largest signature, in bytes.
const MAX_SIGNATURE_BYTES: usize = 2048;
/// The largest certificate of a device or above it, in bytes.
const MAX_CERTIFICATE_BYTES: usize = 16 * 1024;
/// Certificates between the device and an anchor.
const MAX_INTERMEDIATES: usize = 8;
/// The largest result, in bytes.
pub(super) const MAX_RESULT_BYTES: usize = 64 * 1024;
/// The largest configuration profile, in bytes.
const MAX_PROFILE_BYTES: usize = 5 * 512 * 1024;
/// The longest failure message that is kept, in bytes.
const MAX_MESSAGE_BYTES: usize = 1024;
/// Features that a connector may name.
const MAX_FEATURES: usize = 32;

/// The properties of a `userPfxCertificate`, with which of them a new one must have.
pub(super) const PROPERTIES: [(&str, bool); 15] = [
    ("id", false),
    ("thumbprint", true),
    ("intendedPurpose", true),
    ("userPrincipalName", true),
    ("startDateTime", true),
    ("expirationDateTime", true),
    ("providerName", true),
    ("keyName", true),
    ("paddingScheme", true),
    ("encryptedPfxBlob", true),
    ("encryptedPfxPassword", true),
    ("createdDateTime", false),
    ("lastModifiedDateTime", false),
    ("custodyKey", false),
    ("importerSignature", false),
];

fn refused(name: &str, why: &str) -> ApiError {
    ApiError::bad_request(format!("{name}: {why}"))
}

/// A name of somebody or something: not empty, bounded, printable.
pub(super) fn name(property: &str, value: &str) -> Result<(), ApiError> {
    if value.is_empty() || value.len() > MAX_NAME_BYTES || value.contains(char::is_control) {
        return Err(refused(
            property,
            &format!("1 to {MAX_NAME_BYTES} bytes without control characters"),
        ));
    }
    Ok(())
}

fn user(value: &str) -> Result<(), ApiError> {
    let is_name = value.len() <= MAX_USER_BYTES
        && !value.contains(|c: char| c.is_control() || c.is_whitespace())
        && value.split_once('@').is_some_and(|(user, domain)| {
            !user.is_empty() && !domain.is_empty() && !domain.contains('@')
        });
    if is_name {
        return Ok(());
    }
    Err(refused(
        "userPrincipalName",
        &format!("user@domain, {MAX_USER_BYTES} bytes at most, no spaces"),
    ))
}

fn lower_hex(property: &str, value: &str, digits: usize) -> Result<(), ApiError> {
    let fits = value.len() == digits
        && value
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if fits {
        return Ok(());
    }
    Err(refused(
        property,
        &format!("{digits} lower-case hexadecimal digits"),
    ))
}

fn bounded(property: &str, bytes: &[u8], most: usize) -> Result<(), ApiError> {
    if bytes.is_empty() || bytes.len() > most {
        return Err(refused(property, &format!("1 to {most} bytes")));
    }
    Ok(())
}

/// The properties of a body, each taken once.
struct Properties(Map<String, Value>);

impl Properties {
    fn read(body: &[u8]) -> Result<Self, ApiError> {
        let value: Value = serde_json::from_slice(body)
            .map_err(|error| ApiError::bad_request(format!("the body is not JSON: {error}")))?;
        let Value::Object(mut map) = value else {
            return Err(ApiError::bad_request("the body is not a JSON object"));
        };
        // Clients of Graph may name the type.
        if map
            .get("@odata.type")
            .is_some_and(|kind| kind == "#microsoft.graph.userPFXCertificate")
        {
            map.remove("@odata.type");
        }
        if let Some(unknown) = map
            .keys()
            .find(|key| !PROPERTIES.iter().any(|(name, _)| name == key))
        {
            let shown: String = unknown
                .chars()
                .filter(|c| !c.is_control())
                .take(64)
                .collect();
            return Err(refused(&shown, "this property is not known here"));
        }
        map.retain(|_, value| !value.is_null());
        Ok(Self(map))
    }

    fn text(&mut self, name: &str) -> Result<Option<String>, ApiError> {
        match self.0.remove(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(refused(name, "a text is expected")),
        }
    }

    fn base64(&mut self, name: &str, most: usize) -> Result<Option<Vec<u8>>, ApiError> {
        let Some(text) = self.text(name)? else {
            return Ok(None);
        };
        let bytes = Base64Bytes::decode(&text).map_err(|why| refused(name, &why.to_string()))?;
        bounded(name, bytes.as_slice(), most)?;
        Ok(Some(bytes.0))
    }

    fn date(&mut self, name: &str) -> Result<Option<i64>, ApiError> {
        let Some(text) = self.text(name)? else {
            return Ok(None);
        };
        parse_rfc3339(&text).map(Some).ok_or_else(|| {
            refused(
                name,
                "a time such as 2026-01-31T23:59:59Z (RFC 3339) is expected",
            )
        })
    }

    /// An enumeration's member in any case, as Graph takes it.
    fn member<T: DeserializeOwned>(
        &mut self,
        name: &str,
        members: &[&str],
    ) -> Result<Option<T>, ApiError> {
        let Some(text) = self.text(name)? else {
            return Ok(None);
        };
        members
            .iter()
            .find(|member| member.eq_ignore_ascii_case(&text))
            .and_then(|member| serde_json::from_value(Value::from(*member)).ok())
            .map(Some)
            .ok_or_else(|| refused(name, &format!("one of {}", members.join(", "))))
    }

    fn named(&mut self, property: &str) -> Result<Option<String>, ApiError> {
        let text = self.text(property)?;
        if let Some(text) = &text {
            name(property, text)?;
        }
        Ok(text)
    }

    fn purpose(&mut self) -> Result<Option<IntendedPurpose>, ApiError> {
        self.member("intendedPurpose", &PURPOSES)
    }

    fn padding(&mut self) -> Result<Option<Padding>, ApiError> {
        self.member("paddingScheme", &PADDINGS)
    }

    fn pfx(&mut self) -> Result<Option<Vec<u8>>, ApiError> {
        let pfx = self.base64("encryptedPfxBlob", MAX_PFX_BYTES)?;
        if pfx.as_deref() == Some(&[0]) {
            return Err(refused(
                "encryptedPfxBlob",
                "this is the stub that reads return, not a PFX",
            ));
        }
        Ok(pfx)
    }

    fn custody_key(&mut self) -> Result<Option<String>, ApiError> {
        let key = self.text("custodyKey")?;
        if let Some(key) = &key {
            lower_hex("custodyKey", key, 64)?;
        }
        Ok(key)
    }

    fn signature(&mut self) -> Result<Option<ImporterSignature>, ApiError> {
        let Some(value) = self.0.remove("importerSignature") else {
            return Ok(None);
        };
        let signature: ImporterSignature = serde_json::from_value(value)
            .map_err(|error| refused("importerSignature", &error.to_string()))?;
        lower_hex("importerSignature.importer", &signature.importer, 64)?;
        bounded(
            "importerSignature.signature",
            signature.signature.as_slice(),
            MAX_SIGNATURE_BYTES,
        )?;
        Ok(Some(signature))
    }
}

/// Graph's `userPfxIntendedPurpose`.
pub(super) const PURPOSES: [&str; 5] = [
    "unassigned",
    "smimeEncryption",
    "smimeSigning",
    "vpn",
    "wifi",
];
/// Graph's `userPfxPaddingScheme`. `oaepSha1` and `pkcs1`, which Graph no longer accepts, are the gateway's extension; `pkcs1` is taken
/// where the configuration says so ([`padding`]).
pub(super) const PADDINGS: [&str; 5] = [
    "oaepSha1",
    "oaepSha256",
    "oaepSha384",
    "oaepSha512",
    "pkcs1",
];

fn needed<T>(property: &str, value: Option<T>) -> Result<T, ApiError> {
    value.ok_or_else(|| refused(property, "this property is missing"))
}

fn in_order(starts_ms: i64, expires_ms: i64) -> Result<(), ApiError> {
    if starts_ms < expires_ms {
        return Ok(());
    }
    Err(refused("expirationDateTime", "lies before startDateTime"))
}

/// A new record out of the body of a create.
pub(super) fn new_record(body: &[u8]) -> Result<NewRecord, ApiError> {
    let mut from = Properties::read(body)?;
    let thumbprint = needed("thumbprint", from.text("thumbprint")?)?;
    lower_hex("thumbprint", &thumbprint, 40)?;
    let user_principal_name = needed("userPrincipalName", from.text("userPrincipalName")?)?;
    user(&user_principal_name)?;
    if let Some(id) = from.text("id")?
        && id != record_id(&user_principal_name, &thumbprint)
    {
        return Err(refused("id", "the service gives it: leave it out"));
    }
    let starts_ms = needed("startDateTime", from.date("startDateTime")?)?;
    let expires_ms = needed("expirationDateTime", from.date("expirationDateTime")?)?;
    in_order(starts_ms, expires_ms)?;
    // The service sets both; a client's own are only checked for their form.
    from.date("createdDateTime")?;
    from.date("lastModifiedDateTime")?;
    Ok(NewRecord {
        intended_purpose: needed("intendedPurpose", from.purpose()?)?,
        starts_ms,
        expires_ms,
        pfx: needed("encryptedPfxBlob", from.pfx()?)?,
        record: Record {
            user_principal_name,
            thumbprint,
            provider_name: needed("providerName", from.named("providerName")?)?,
            key_name: needed("keyName", from.named("keyName")?)?,
            custody_key: from.custody_key()?,
            padding: needed("paddingScheme", from.padding()?)?,
            encrypted_password: Base64Bytes(needed(
                "encryptedPfxPassword",
                from.base64("encryptedPfxPassword", MAX_PASSWORD_BYTES)?,
            )?),
            importer_signature: from.signature()?,
        },
    })
}

/// Whether records of this padding are taken: those of old imports where the configuration says so, and nowhere by default, since nothing
/// decrypts them but an engine that has a key named for it.
pub(super) fn padding(padding: Padding, pkcs1_records: bool) -> Result<(), ApiError> {
    if padding == Padding::Pkcs1 && !pkcs1_records {
        return Err(refused(
            "paddingScheme",
            "pkcs1 is the padding of old imports, which this gateway takes only with `gateway.pkcs1_records`: use one of OAEP",
        ));
    }
    Ok(())
}

/// A record that is to replace another one: bounds of what may differ.
pub(super) fn rotated_record(record: &Record) -> Result<(), ApiError> {
    if record.padding == Padding::Pkcs1 {
        return Err(refused(
            "record.padding",
            "no record is re-encrypted with the padding pkcs1",
        ));
    }
    name("record.keyName", &record.key_name)?;
    let key = record.custody_key.as_deref().unwrap_or_default();
    lower_hex("record.custodyKey", key, 64)?;
    let password = record.encrypted_password.as_slice();
    bounded("record.encryptedPassword", password, MAX_PASSWORD_BYTES)?;
    let Some(signature) = &record.importer_signature else {
        return Err(refused(
            "record.importerSignature",
            "this property is missing",
        ));
    };
    lower_hex("record.importerSignature.importer", &signature.importer, 64)?;
    bounded(
        "record.importerSignature.signature",
        signature.signature.as_slice(),
        MAX_SIGNATURE_BYTES,
    )
}

/// The query of the list of a custody key's records: the key, and the id after which it begins.
pub(super) fn rotation_query(query: &str) -> Result<(String, Option<String>), ApiError> {
    const SUPPORTED: &str = "supported: custodyKey=<64 hexadecimal digits> and after=<id>";
    let (mut key, mut after) = (None, None);
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some(("custodyKey", value)) if key.is_none() => key = Some(value.to_owned()),
            // An id is hexadecimal digits and a dash: nothing in it is ever percent-encoded.
            Some(("after", value)) if after.is_none() && value.len() <= MAX_NAME_BYTES => {
                after = Some(value.to_owned());
            }
            _ => return Err(refused("the query", SUPPORTED)),
        }
    }
    let key = key.ok_or_else(|| refused("the query", SUPPORTED))?;
    lower_hex("custodyKey", &key, 64)?;
    Ok((key, after))
}

/// The changes out of the body of an update of the record `id`.
pub(super) fn record_patch(body: &[u8], id: &str) -> Result<RecordPatch, ApiError> {
    let mut from = Properties::read(body)?;
    if from.text("id")?.is_some_and(|given| given != id) {
        return Err(refused("id", "it is another record's"));
    }
    let thumbprint = from.text("thumbprint")?;
    let user_principal_name = from.text("userPrincipalName")?;
    let own = id.split_once('-');
    if thumbprint.is_some_and(|given| own.is_none_or(|(_, own)| own != given)) {
        return Err(refused(
            "thumbprint",
            "it does not change: create another record",
        ));
    }
    if user_principal_name
        .is_some_and(|given| own.is_none_or(|(_, thumbprint)| record_id(&given, thumbprint) != id))
    {
        return Err(refused(
            "userPrincipalName",
            "it does not change: create another record",
        ));
    }
    let starts_ms = from.date("startDateTime")?;
    let expires_ms = from.date("expirationDateTime")?;
    match (starts_ms, expires_ms) {
        (None, None) => {}
        (Some(starts_ms), Some(expires_ms)) => in_order(starts_ms, expires_ms)?,
        _ => {
            return Err(refused(
                "startDateTime",
                "it changes only together with expirationDateTime",
            ));
        }
    }
    from.date("createdDateTime")?;
    from.date("lastModifiedDateTime")?;
    Ok(RecordPatch {
        intended_purpose: from.purpose()?,
        starts_ms,
        expires_ms,
        provider_name: from.named("providerName")?,
        key_name: from.named("keyName")?,
        padding: from.padding()?,
        custody_key: from.custody_key()?,
        pfx: from.pfx()?,
        encrypted_password: from.base64("encryptedPfxPassword", MAX_PASSWORD_BYTES)?,
        importer_signature: from.signature()?,
    })
}

/// A device request within its bounds.
pub(super) fn device_request(request: &DeviceRequest) -> Result<(), ApiError> {
    user(&request.user_principal_name)?;
    name("deviceId", &request.device_id)?;
    if let Some(key) = &request.idempotency_key {
        name("idempotencyKey", key)?;
    }
    if let Some(why) = request.delivery.refuses(request.format) {
        return Err(refused("format", why));
    }
    target(&request.device)
}

/// A device's certificate and what may lie above it.
fn target(device: &DeviceTarget) -> Result<(), ApiError> {
    bounded(
        "device.certificate",
        device.certificate.as_slice(),
        MAX_CERTIFICATE_BYTES,
    )?;
    if device.intermediates.len() > MAX_INTERMEDIATES {
        return Err(refused(
            "device.intermediates",
            &format!("{MAX_INTERMEDIATES} at most"),
        ));
    }
    device.intermediates.iter().try_for_each(|certificate| {
        bounded(
            "device.intermediates",
            certificate.as_slice(),
            MAX_CERTIFICATE_BYTES,
        )
    })
}

/// A connector that speaks this protocol and says who it is.
pub(super) fn connector(identity: &ConnectorIdentity) -> Result<(), ApiError> {
    if identity.protocol != PROTOCOL_VERSION {
        return Err(ApiError {
            code: "protocolVersion",
            ..ApiError::bad_request(format!(
                "the connector speaks version {} of the protocol, this gateway version {PROTOCOL_VERSION}",
                identity.protocol
            ))
        });
    }
    name("connector.instance", &identity.instance)?;
    name("connector.version", &identity.version)?;
    if identity.features.len() > MAX_FEATURES {
        return Err(refused(
            "connector.features",
            &format!("{MAX_FEATURES} at most"),
        ));
    }
    identity
        .features
        .iter()
        .try_for_each(|feature| name("connector.features", feature))
}

/// A connector's failure, fit to be stored: the message shortened and without control characters, so that reporting cannot fail for
/// the length of a report.
pub(super) fn failure(failure: FailureReport) -> Result<FailureReport, ApiError> {
    let is_code = (1..=64).contains(&failure.code.len())
        && failure
            .code
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte));
    if !is_code {
        return Err(refused("failure.code", "1 to 64 letters, digits, _ - ."));
    }
    let mut message: String = failure
        .message
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    message.truncate(message.floor_char_boundary(MAX_MESSAGE_BYTES));
    Ok(FailureReport {
        code: failure.code,
        message,
    })
}

/// A result within its bounds, by what there is in it.
pub(super) fn result(message: &Completion) -> Result<Completed<'_>, ApiError> {
    let (password, pfx, profile, certificate) = (
        message.encrypted_password.as_slice(),
        message.encrypted_pfx.as_slice(),
        message.profile.as_slice(),
        message.certificate.as_slice(),
    );
    if let Some(result) = message.revocation {
        if [password, pfx, profile, certificate]
            .iter()
            .any(|part| !part.is_empty())
        {
            return Err(refused("revocation", "not together with anything else"));
        }
        return Ok(Completed::Revoked(result));
    }
    if !certificate.is_empty() {
        bounded("certificate", certificate, MAX_CERTIFICATE_BYTES)?;
        if !profile.is_empty() {
            bounded("profile", profile, MAX_PROFILE_BYTES)?;
            if !password.is_empty() || !pfx.is_empty() {
                return Err(refused("profile", "not together with a PFX or password"));
            }
            return Ok(Completed::PkcsProfile {
                profile,
                certificate,
            });
        }
        bounded("encryptedPassword", password, MAX_RESULT_BYTES)?;
        bounded("encryptedPfx", pfx, MAX_PFX_BYTES)?;
        return Ok(Completed::Pkcs {
            password,
            pfx,
            certificate,
        });
    }
    match (password.is_empty(), pfx.is_empty(), profile.is_empty()) {
        (false, true, true) => {
            bounded("encryptedPassword", password, MAX_RESULT_BYTES)?;
            Ok(Completed::Password(password))
        }
        (false, false, true) => {
            bounded("encryptedPassword", password, MAX_RESULT_BYTES)?;
            bounded("encryptedPfx", pfx, MAX_PFX_BYTES)?;
            Ok(Completed::Rewrap { password, pfx })
        }
        (true, true, false) => {
            bounded("profile", profile, MAX_PROFILE_BYTES)?;
            Ok(Completed::AppleProfile(profile))
        }
        _ => Err(refused(
            "the result",
            "encryptedPassword, or both of encryptedPassword and encryptedPfx, or profile",
        )),
    }
}
