//! Examples of the messages of revocation.

use super::to_value;
use pfx_connector::encoding::Base64Bytes;
use pfx_connector::gateway::api::{Collection, ConnectorIdentity, FailureReport};
use pfx_connector::gateway::revocation_api::*;
use serde_json::Value;
use std::collections::BTreeMap;

/// For each message: one example with everything that may be there, and one with nothing that may be left out.
pub(crate) fn examples() -> BTreeMap<&'static str, Vec<Value>> {
    let text = || "text".to_owned();
    let time = || "2026-01-31T23:59:59Z".to_owned();
    let bytes = || Base64Bytes(vec![0x30, 0]);
    let failure = || {
        Some(FailureReport {
            code: text(),
            message: text(),
        })
    };
    let every = CertificateName {
        issuer: bytes(),
        serial_number: Some("0a".to_owned()),
        request_id: Some(text()),
        certificate: bytes(),
    };
    let request = |reason| RevocationRequest {
        certificates: vec![every.clone()],
        reason,
        idempotency_key: Some(text()),
    };
    let mut requests: Vec<Value> = Reason::ALL
        .into_iter()
        .map(|reason| to_value(&request(reason)))
        .collect();
    requests.push(to_value(&RevocationRequest {
        idempotency_key: None,
        ..request(Reason::Unspecified)
    }));
    let accepted = |state| AcceptedRevocation {
        request_id: text(),
        state,
        serial_number: text(),
        duplicate: true,
    };
    let status = RevocationStatus {
        request_id: text(),
        state: RevocationState::Failed,
        issuer: text(),
        serial_number: text(),
        reason: Reason::KeyCompromise,
        device_id: Some(text()),
        result: Some(RevocationResult::Already),
        failure: failure(),
        last_failure: failure(),
        attempts: 1,
        created_date_time: time(),
        settled_date_time: Some(time()),
    };
    let bare = RevocationStatus {
        device_id: None,
        result: None,
        failure: None,
        last_failure: None,
        settled_date_time: None,
        ..status.clone()
    };
    let item = RevocationWorkItem {
        request_id: text(),
        fence: 1,
        attempt: 1,
        lease_ms: 1,
        issuer: bytes(),
        serial_number: text(),
        reason: Reason::Superseded,
        ca: Some(text()),
        certificate: bytes(),
        device_id: Some(text()),
    };
    let least = RevocationWorkItem {
        ca: None,
        certificate: Base64Bytes::default(),
        device_id: None,
        ..item.clone()
    };
    BTreeMap::from([
        (
            "CertificateName",
            vec![to_value(&every), to_value(&CertificateName::default())],
        ),
        ("RevocationRequest", requests),
        (
            "AcceptedRevocation",
            RevocationState::ALL
                .into_iter()
                .map(|state| to_value(&accepted(state)))
                .collect(),
        ),
        (
            "RevocationsAccepted",
            vec![to_value(&RevocationsAccepted {
                revocations: vec![accepted(RevocationState::Held)],
            })],
        ),
        ("RevocationStatus", vec![to_value(&status), to_value(&bare)]),
        (
            "RevocationStatusCollection",
            [None, Some(text())]
                .into_iter()
                .map(|next_link| {
                    to_value(&Collection {
                        value: vec![status.clone()],
                        next_link,
                    })
                })
                .collect(),
        ),
        (
            "RevocationLeaseRequest",
            vec![to_value(&RevocationLeaseRequest {
                connector: ConnectorIdentity {
                    protocol: 1,
                    instance: text(),
                    version: text(),
                    features: vec![FEATURE.to_owned()],
                },
                max: 1,
                wait_ms: 0,
                issuers: vec!["ab".repeat(32)],
            })],
        ),
        (
            "RevocationLeaseResponse",
            vec![to_value(&RevocationLeaseResponse {
                work: vec![item.clone()],
            })],
        ),
        (
            "RevocationWorkItem",
            vec![to_value(&item), to_value(&least)],
        ),
    ])
}
