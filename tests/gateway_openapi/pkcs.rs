//! Examples of the messages of PKCS requests.

use super::to_value;
use pfx_connector::encoding::Base64Bytes;
use pfx_connector::engine::api::{CmsFormat, Delivery, DeviceTarget};
use pfx_connector::gateway::api::{Collection, ConnectorIdentity};
use pfx_connector::gateway::pkcs_api::*;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// For each message: one example with everything that may be there, and one with nothing that may be left out.
pub(crate) fn examples(
    target: &DeviceTarget,
    connector: &ConnectorIdentity,
) -> BTreeMap<&'static str, Vec<Value>> {
    use pfx_connector::engine::api::keys::{KeyType, KeyUsage};
    let bytes = || Base64Bytes(vec![1, 2, 3]);
    let text = || "t".to_owned();
    let time = || "2026-01-31T23:59:59Z".to_owned();
    let alt_name = AltNameTemplate {
        kind: AltNameKind::Email,
        value: "{{EmailAddress}}".to_owned(),
    };
    let profile = PkcsProfile {
        platform: "ios".to_owned(),
        certificate_type: CertificateType::User,
        ca: text(),
        ca_profile: Some(text()),
        key: KeyType::EcP256,
        subject: "CN={{UserName}}".to_owned(),
        alt_names: vec![alt_name.clone()],
        key_usage: vec![KeyUsage::DigitalSignature],
        extended_key_usage: vec!["1.3.6.1.5.5.7.3.4".to_owned()],
        microsoft_template: Some(text()),
        security_identifier: Some(text()),
        validity_days: 365,
        renewal_percent: 20,
        format: CmsFormat::Modern,
        delivery: Delivery::AppleProfile,
    };
    let bare = PkcsProfile {
        ca_profile: None,
        alt_names: Vec::new(),
        key_usage: Vec::new(),
        extended_key_usage: Vec::new(),
        microsoft_template: None,
        security_identifier: None,
        delivery: pfx_and_password(),
        ..profile.clone()
    };
    let entry = PkcsProfileEntry {
        name: text(),
        profile: profile.clone(),
    };
    let variable = Variable {
        name: text(),
        value: text(),
    };
    let request = PkcsRequest {
        profile: text(),
        user_principal_name: "a@b".to_owned(),
        device_id: text(),
        device: target.clone(),
        variables: vec![variable.clone()],
        idempotency_key: Some(text()),
    };
    let certificate = PkcsCertificate {
        request_id: text(),
        profile: text(),
        user_principal_name: "a@b".to_owned(),
        device_id: text(),
        ca: text(),
        thumbprint: "ab".repeat(20),
        serial_number: "0a".to_owned(),
        start_date_time: time(),
        expiration_date_time: time(),
        renewal_date_time: Some(time()),
        renewed_by: Some(text()),
        collected_date_time: Some(time()),
        replaced_by: Some(text()),
        on_hold_date_time: Some(time()),
        revoked_date_time: Some(time()),
    };
    let item = PkcsWorkItem {
        request_id: text(),
        fence: 1,
        attempt: 1,
        lease_ms: 1,
        device_id: text(),
        user_principal_name: "a@b".to_owned(),
        profile_name: text(),
        profile: profile.clone(),
        variables: vec![variable.clone()],
        device: target.clone(),
        renews: Some(text()),
        progress: bytes(),
    };
    fn page<T: Serialize + Clone>(value: &T) -> Vec<Value> {
        [Some("https://x/?$skiptoken=00".to_owned()), None]
            .into_iter()
            .map(|next_link| {
                to_value(&Collection {
                    value: vec![value.clone()],
                    next_link,
                })
            })
            .collect()
    }
    BTreeMap::from([
        ("AltNameTemplate", vec![to_value(&alt_name)]),
        ("PkcsProfile", vec![to_value(&profile), to_value(&bare)]),
        ("PkcsProfileEntry", vec![to_value(&entry)]),
        ("PkcsProfileEntryCollection", page(&entry)),
        ("Variable", vec![to_value(&variable)]),
        (
            "PkcsRequest",
            vec![
                to_value(&request),
                to_value(&PkcsRequest {
                    idempotency_key: None,
                    ..request.clone()
                }),
            ],
        ),
        (
            "PkcsRequestAccepted",
            vec![to_value(&PkcsRequestAccepted { request_id: text() })],
        ),
        (
            "DeviceUpdate",
            [
                (Some("a@b".to_owned()), Some(vec![variable.clone()])),
                (None, None),
            ]
            .into_iter()
            .map(|(user_principal_name, variables)| {
                to_value(&DeviceUpdate {
                    device: target.clone(),
                    user_principal_name,
                    variables,
                })
            })
            .collect(),
        ),
        ("DeviceUpdated", vec![to_value(&DeviceUpdated::default())]),
        (
            "PkcsCertificate",
            vec![
                to_value(&certificate),
                to_value(&PkcsCertificate {
                    renewal_date_time: None,
                    renewed_by: None,
                    collected_date_time: None,
                    replaced_by: None,
                    on_hold_date_time: None,
                    revoked_date_time: None,
                    ..certificate.clone()
                }),
            ],
        ),
        ("PkcsCertificateCollection", page(&certificate)),
        (
            "PkcsLeaseRequest",
            [Some(vec![text()]), None]
                .into_iter()
                .map(|authorities| {
                    to_value(&PkcsLeaseRequest {
                        connector: connector.clone(),
                        max: 1,
                        wait_ms: 1,
                        authorities,
                    })
                })
                .collect(),
        ),
        (
            "PkcsLeaseResponse",
            vec![to_value(&PkcsLeaseResponse {
                work: vec![item.clone()],
            })],
        ),
        (
            "PkcsWorkItem",
            vec![
                to_value(&item),
                to_value(&PkcsWorkItem {
                    renews: None,
                    progress: Base64Bytes::default(),
                    ..item.clone()
                }),
            ],
        ),
        (
            "Progress",
            vec![
                to_value(&Progress {
                    fence: 1,
                    progress: bytes(),
                    resume_ms: Some(1),
                }),
                to_value(&Progress {
                    fence: 1,
                    progress: bytes(),
                    resume_ms: None,
                }),
            ],
        ),
    ])
}
