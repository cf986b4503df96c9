//! The served OpenAPI document against the handlers and the message types.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

#[path = "gateway_openapi/enrolment.rs"]
mod enrolment;
#[path = "support/gateway.rs"]
mod gateway;
#[path = "gateway_openapi/imports.rs"]
mod imports;
#[path = "gateway_openapi/pkcs.rs"]
mod pkcs;
#[path = "support/pki.rs"]
mod pki;
#[path = "gateway_openapi/revocation.rs"]
mod revocation;
#[path = "gateway_openapi/schema.rs"]
mod schema;

use gateway::Running;
use pfx_connector::calendar::{Calendar, Dated, Effect, Kind};
use pfx_connector::encoding::Base64Bytes;
use pfx_connector::engine::api::{CmsFormat, Delivery as DeliveryKind, DeviceTarget, StoredPfx};
use pfx_connector::evidence::process::{FaultEvidence, ModuleEvidence, ProcessEvidence};
use pfx_connector::gateway::admin_api::*;
use pfx_connector::gateway::api::*;
use pfx_connector::gateway::revocation_api::RevocationResult;
use pfx_connector::gateway::rotation_api::*;
use pfx_connector::gateway::routes::ROUTES;
use pfx_connector::gateway::{message_schemas, openapi_document};
use pfx_connector::record::{ImporterSignature, Record};
use schema::check;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

#[tokio::test]
async fn the_document_and_the_handlers_know_the_same_paths_and_methods() {
    let running = Running::start(|_| {}).await;
    let anybody = running.anybody();
    let document = anybody.get("/openapi.json").await;
    assert_eq!(document.status, 200);
    assert_eq!(document.body, openapi_document());
    let mut described = BTreeSet::new();
    for (path, methods) in document.body["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let method = method.to_uppercase();
            let answer = anybody
                .call(&method, &path.replace("{id}", "x"), None)
                .await;
            assert!(
                !matches!(answer.status, 404 | 405),
                "{method} {path}: {}",
                answer.status
            );
            assert!(
                operation["responses"]
                    .as_object()
                    .unwrap()
                    .contains_key(&answer.status.to_string()),
                "{method} {path} answers {}, which the document does not say",
                answer.status
            );
            described.insert((method, path.clone()));
        }
    }
    let routed: BTreeSet<_> = ROUTES
        .iter()
        .map(|route| (route.verb.name().to_owned(), route.path.to_owned()))
        .collect();
    assert_eq!(described, routed);
    assert_eq!(anybody.get("/nowhere").await.code(), "notFound");
    let wrong = anybody.call("DELETE", "/healthz", None).await;
    assert_eq!((wrong.status, wrong.code()), (405, "methodNotAllowed"));
    running.stop().await;
}

#[test]
fn operations_have_unique_names_and_every_reference_leads_somewhere() {
    let document = openapi_document();
    let names: BTreeSet<_> = ROUTES.iter().map(|route| route.operation).collect();
    assert_eq!(names.len(), ROUTES.len());
    let text = document.to_string();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    for part in text.split("#/components/schemas/").skip(1) {
        let name = part.split('"').next().unwrap();
        assert!(schemas.contains_key(name), "{name}");
    }
    // What nothing refers to would be a message that nobody sends.
    for name in schemas.keys() {
        assert!(
            text.contains(&format!("#/components/schemas/{name}\"")),
            "{name}"
        );
    }
}

#[test]
fn examples_of_every_message_validate_against_its_schema() {
    let schemas = message_schemas();
    let examples = examples();
    let described: BTreeSet<_> = schemas.keys().cloned().collect();
    let shown: BTreeSet<_> = examples.keys().map(|name| (*name).to_owned()).collect();
    assert_eq!(described, shown);
    for (name, examples) in &examples {
        let schema = &schemas[*name];
        let mut seen = BTreeSet::new();
        for example in examples {
            check(&schemas, schema, example, name);
            seen.extend(example.as_object().unwrap().keys().cloned());
        }
        let properties: BTreeSet<_> = schema["properties"]
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect();
        assert_eq!(properties, seen, "{name}: the schema and the type differ");
    }
}

#[test]
fn the_check_itself_finds_what_is_wrong() {
    let schemas = message_schemas();
    let fails = |name: &str, value: Value| {
        std::panic::catch_unwind(|| check(&schemas, &schemas[name], &value, name)).is_err()
    };
    assert!(fails("Fence", json!({})));
    assert!(fails("Fence", json!({"fence": -1})));
    assert!(fails("Fence", json!({"fence": "1"})));
    assert!(fails("Fence", json!({"fence": 1, "more": 1})));
    assert!(fails("Settled", json!({"outcome": "perhaps"})));
    assert!(!fails("Fence", json!({"fence": 1})));
}

fn to_value<T: Serialize>(value: &T) -> Value {
    serde_json::to_value(value).unwrap()
}

/// For each message: one example with everything that may be there, and one with nothing that may be left out.
#[allow(clippy::too_many_lines)]
fn examples() -> BTreeMap<&'static str, Vec<Value>> {
    let bytes = || Base64Bytes(vec![1, 2, 3]);
    let time = || "2026-01-31T23:59:59Z".to_owned();
    let signature = ImporterSignature {
        importer: "ab".repeat(32),
        signature: bytes(),
    };
    let pfx_certificate = UserPfxCertificate {
        id: Some("id".to_owned()),
        thumbprint: "ab".repeat(20),
        intended_purpose: IntendedPurpose::SmimeEncryption,
        user_principal_name: "a@b".to_owned(),
        start_date_time: time(),
        expiration_date_time: time(),
        provider_name: "p".to_owned(),
        key_name: "k".to_owned(),
        padding_scheme: hsm::Padding::OaepSha256,
        encrypted_pfx_blob: bytes(),
        encrypted_pfx_password: "AQID".to_owned(),
        created_date_time: Some(time()),
        last_modified_date_time: Some(time()),
        custody_key: Some("cd".repeat(32)),
        importer_signature: Some(signature.clone()),
    };
    let bare_certificate = UserPfxCertificate {
        id: None,
        created_date_time: None,
        last_modified_date_time: None,
        custody_key: None,
        importer_signature: None,
        ..pfx_certificate.clone()
    };
    let target = DeviceTarget {
        certificate: bytes(),
        intermediates: vec![bytes()],
    };
    let record = Record {
        user_principal_name: "a@b".to_owned(),
        thumbprint: "ab".repeat(20),
        provider_name: "p".to_owned(),
        key_name: "k".to_owned(),
        custody_key: Some("cd".repeat(32)),
        padding: hsm::Padding::OaepSha1,
        encrypted_password: bytes(),
        importer_signature: Some(signature.clone()),
    };
    let unsigned = Record {
        custody_key: None,
        importer_signature: None,
        ..record.clone()
    };
    let failure = FailureReport {
        code: "c".to_owned(),
        message: "m".to_owned(),
    };
    let identity = ConnectorIdentity {
        protocol: PROTOCOL_VERSION,
        instance: "i".to_owned(),
        version: "v".to_owned(),
        features: vec!["pfxImport".to_owned()],
    };
    let stored = StoredPfx {
        record: record.clone(),
        pfx: bytes(),
    };
    let item = WorkItem {
        request_id: "r".to_owned(),
        fence: 1,
        attempt: 1,
        lease_ms: 1,
        device_id: "d".to_owned(),
        record: record.clone(),
        pfx: bytes(),
        device: target.clone(),
        format: CmsFormat::Modern,
        delivery: DeliveryKind::AppleProfile,
        others: vec![stored.clone()],
    };
    let request = DeviceRequest {
        user_principal_name: "a@b".to_owned(),
        device_id: "d".to_owned(),
        device: target.clone(),
        format: CmsFormat::CompatibleDesEde3,
        delivery: DeliveryKind::Rewrap,
        idempotency_key: Some("k".to_owned()),
    };
    let accepted = AcceptedRequest {
        request_id: "r".to_owned(),
        thumbprint: "ab".repeat(20),
    };
    let state = RequestState {
        request_id: "r".to_owned(),
        state: State::Failed,
        failure: Some(failure.clone()),
        attempts: 1,
        completions: 0,
    };
    let connector = ConnectorStatus {
        instance: "i".to_owned(),
        certificate: "ab".repeat(32),
        subject: "CN=x".to_owned(),
        version: "v".to_owned(),
        features: vec![],
        in_flight: 0,
        engine_healthy: Some(true),
        first_contact: time(),
        last_contact: time(),
        revoked: Some(time()),
    };
    let evidence = ProcessEvidence::of_this("gateway");
    let end = |begins_ms| Dated {
        kind: Kind::GatewayToken,
        name: "gateway.token.t".to_owned(),
        subject: "mdm: t".to_owned(),
        begins_ms,
        ends_ms: 1,
        effect: Effect::Weakens,
    };
    let calendar = Calendar::of(&[end(None), end(Some(0))], 2);
    let bare_evidence = ProcessEvidence {
        tls: None,
        memory: None,
        environment: None,
        fault: Some(FaultEvidence {
            code: "c".to_owned(),
            message: "m".to_owned(),
            at: time(),
        }),
        module: ModuleEvidence {
            source_sha256: None,
            self_test: None,
            ..evidence.module.clone()
        },
        ..evidence.clone()
    };
    let token = TokenStatus {
        id: "i".to_owned(),
        role: "mdm".to_owned(),
        name: "n".to_owned(),
        created: time(),
        expires: time(),
        revoked: Some(time()),
    };
    let entry = AuditRecord {
        number: 1,
        time: time(),
        who: "w".to_owned(),
        role: "r".to_owned(),
        action: "a".to_owned(),
        object: "o".to_owned(),
        outcome: "done".to_owned(),
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
    let outcome = |outcome| to_value(&Settled { outcome });
    let rotation = RotationRecord {
        revision: "ab".repeat(32),
        record: record.clone(),
        pfx: bytes(),
    };
    let replacement = RotationReplacement {
        revision: "ab".repeat(32),
        record: record.clone(),
    };
    let ids = RotationPage {
        ids: vec!["i".to_owned()],
        records: 1,
        more: false,
    };
    let mut all = BTreeMap::from([
        ("RotationPage", vec![to_value(&ids)]),
        ("RotationRecord", vec![to_value(&rotation)]),
        ("RotationReplacement", vec![to_value(&replacement)]),
        ("Health", vec![json!({"status": "ok"})]),
        (
            "ErrorBody",
            vec![to_value(&ErrorBody {
                error: failure.clone(),
            })],
        ),
        ("FailureReport", vec![to_value(&failure)]),
        (
            "UserPfxCertificate",
            vec![to_value(&pfx_certificate), to_value(&bare_certificate)],
        ),
        (
            "UserPfxCertificatePatch",
            vec![to_value(&pfx_certificate), json!({})],
        ),
        ("UserPfxCertificateCollection", page(&pfx_certificate)),
        ("ImporterSignature", vec![to_value(&signature)]),
        ("DeviceTarget", vec![to_value(&target)]),
        (
            "DeviceRequest",
            vec![
                to_value(&request),
                to_value(&DeviceRequest {
                    idempotency_key: None,
                    delivery: DeliveryKind::Password,
                    ..request.clone()
                }),
            ],
        ),
        ("AcceptedRequest", vec![to_value(&accepted)]),
        (
            "DeviceRequestAccepted",
            vec![to_value(&DeviceRequestAccepted {
                requests: vec![accepted],
            })],
        ),
        (
            "RequestState",
            vec![
                to_value(&state),
                to_value(&RequestState {
                    failure: None,
                    state: State::Queued,
                    ..state.clone()
                }),
            ],
        ),
        (
            "Delivery",
            vec![to_value(&Delivery {
                request_id: "r".to_owned(),
                thumbprint: "ab".repeat(20),
                delivery: DeliveryKind::Rewrap,
                newest: true,
                pfx: bytes(),
                encrypted_pfx: bytes(),
                encrypted_password: bytes(),
                profile: bytes(),
            })],
        ),
        ("ConnectorIdentity", vec![to_value(&identity)]),
        (
            "LeaseRequest",
            vec![to_value(&LeaseRequest {
                connector: identity.clone(),
                max: 1,
                wait_ms: 0,
            })],
        ),
        (
            "LeaseResponse",
            vec![to_value(&LeaseResponse {
                work: vec![item.clone()],
            })],
        ),
        (
            "WorkItem",
            vec![
                to_value(&item),
                to_value(&WorkItem {
                    delivery: DeliveryKind::Password,
                    others: Vec::new(),
                    ..item.clone()
                }),
            ],
        ),
        ("StoredPfx", vec![to_value(&stored)]),
        ("Record", vec![to_value(&record), to_value(&unsigned)]),
        ("Fence", vec![to_value(&Fence { fence: 1 })]),
        ("Extended", vec![to_value(&Extended { lease_ms: 1 })]),
        (
            "Completion",
            vec![to_value(&Completion {
                fence: 1,
                encrypted_password: bytes(),
                encrypted_pfx: bytes(),
                profile: bytes(),
                certificate: bytes(),
                revocation: Some(RevocationResult::Already),
            })],
        ),
        (
            "RequestFailure",
            vec![to_value(&RequestFailure {
                fence: 1,
                failure,
                retry: true,
                resume_ms: Some(1),
            })],
        ),
        (
            "Settled",
            vec![
                outcome(Outcome::Accepted),
                outcome(Outcome::AlreadyAccepted),
                outcome(Outcome::Requeued),
            ],
        ),
        (
            "Heartbeat",
            vec![to_value(&Heartbeat {
                connector: identity.clone(),
                in_flight: 1,
                engine_healthy: true,
            })],
        ),
        (
            "ServiceStatus",
            vec![to_value(&ServiceStatus {
                version: "v".to_owned(),
                protocol: 1,
                queued: 0,
                leased: 0,
                completed: 0,
                failed: 0,
                records: 0,
                fips: evidence.clone(),
                health: pfx_connector::telemetry::health::HealthState::Degraded,
                calendar: calendar.clone(),
            })],
        ),
        ("Calendar", vec![to_value(&calendar)]),
        (
            "CalendarEntry",
            calendar.entries.iter().map(to_value).collect(),
        ),
        (
            "ProcessEvidence",
            vec![to_value(&bare_evidence), to_value(&evidence)],
        ),
        (
            "ConnectorStatus",
            vec![
                to_value(&connector),
                to_value(&ConnectorStatus {
                    engine_healthy: None,
                    revoked: None,
                    ..connector.clone()
                }),
            ],
        ),
        ("ConnectorStatusCollection", page(&connector)),
        (
            "TokenStatus",
            vec![
                to_value(&token),
                to_value(&TokenStatus {
                    revoked: None,
                    ..token.clone()
                }),
            ],
        ),
        ("TokenStatusCollection", page(&token)),
        ("AuditRecord", vec![to_value(&entry)]),
        ("AuditRecordCollection", page(&entry)),
    ]);
    all.extend(enrolment::samples(&identity));
    all.extend(imports::examples(&target));
    all.extend(pkcs::examples(&target, &identity));
    all.extend(revocation::examples());
    all
}
