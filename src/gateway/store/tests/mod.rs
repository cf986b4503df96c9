//! The store against a clock that the tests move.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

mod authorities;
mod deliveries;
mod enrolments;
mod files;
mod pkcs;
mod profiles;
mod queue;
mod records;
mod renewal;
mod revocations;
mod tokens;

use super::*;
use crate::clock::ManualClock;
use crate::encoding::Base64Bytes;
use crate::engine::api::{CmsFormat, Delivery, DeviceTarget};
use crate::gateway::api::{ConnectorIdentity, DeviceRequest, IntendedPurpose, WorkItem};
use crate::record::{ImporterSignature, Record};
use hsm::Padding;
use std::os::unix::fs::PermissionsExt;

const START_MS: i64 = 1_800_000_000_000;
const DAY_MS: i64 = 86_400_000;
const TERMS: LeaseTerms = LeaseTerms {
    max: 10,
    lease_ms: 60_000,
    max_leases: 3,
    offered: Offered {
        rewrap: false,
        apple_profile: false,
    },
};

struct Bench {
    folder: tempfile::TempDir,
    clock: Arc<ManualClock>,
    store: Store,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at(START_MS));
        let store = Store::open(&folder.path().join("gateway.db"), clock.clone()).unwrap();
        Self {
            folder,
            clock,
            store,
        }
    }

    /// A database as this version left it, not yet opened by this one, and its path.
    fn old_database(&self, version: usize) -> (Connection, PathBuf) {
        let path = self.folder.path().join("old.db");
        let raw = Connection::open(&path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        raw.execute_batch(&schema::STEPS[..version].join("\n"))
            .unwrap();
        raw.pragma_update(None, "application_id", schema::APPLICATION_ID)
            .unwrap();
        raw.pragma_update(None, "user_version", i64::try_from(version).unwrap())
            .unwrap();
        (raw, path)
    }

    fn database(&self) -> PathBuf {
        self.folder.path().join("gateway.db")
    }

    /// One user with one record, and one device request for it; returns the request's name.
    fn queued(&self, user: &str) -> String {
        let _ = self.store.create_record(&actor(), &record(user, b"PFX"));
        self.ask(user, None).unwrap().requests[0].request_id.clone()
    }

    fn ask(&self, user: &str, key: Option<&str>) -> Result<Accepted, StoreError> {
        self.store.create_device_request(&NewDeviceRequest {
            message: &device_request(user, key),
            requested_by: "token",
            max_open: 1000,
        })
    }

    fn lease(&self, who: &Contact) -> Vec<WorkItem> {
        self.store.lease(who, "instance", &TERMS).unwrap().work
    }

    fn complete(&self, who: &Contact, item: &WorkItem, cms: &[u8]) -> Result<Outcome, StoreError> {
        self.store.settle(
            who,
            &item.request_id,
            item.fence,
            &Answer::Completed(Completed::Password(cms)),
            &TERMS,
        )
    }

    fn state(&self, id: &str) -> RequestState {
        self.store.request_state(id).unwrap()
    }

    /// Whether the bytes are anywhere in the database's files.
    fn on_disk(&self, marker: &[u8]) -> bool {
        ["", "-wal"].iter().any(|suffix| {
            std::fs::read(beside(&self.database(), suffix))
                .unwrap_or_default()
                .windows(marker.len())
                .any(|window| window == marker)
        })
    }
}

use crate::gateway::api::{Outcome, RequestState, State};

fn actor() -> Actor {
    Actor {
        who: "somebody".to_owned(),
        role: "importer",
        action: "test",
    }
}

fn contact(name: &str) -> Contact {
    Contact {
        certificate: name.to_owned(),
        subject: format!("CN={name}"),
    }
}

fn identity(instance: &str) -> ConnectorIdentity {
    ConnectorIdentity {
        protocol: 1,
        instance: instance.to_owned(),
        version: "0.1.0".to_owned(),
        features: vec!["pfxImport".to_owned()],
    }
}

fn record(user: &str, pfx: &[u8]) -> NewRecord {
    let thumbprint = crate::encoding::hex(&sha256(&[user.as_bytes(), pfx])[..20]);
    NewRecord {
        record: Record {
            user_principal_name: user.to_owned(),
            thumbprint,
            provider_name: "pkcs11".to_owned(),
            key_name: "custody".to_owned(),
            custody_key: Some("ab".repeat(32)),
            padding: Padding::OaepSha512,
            encrypted_password: Base64Bytes(b"CIPHERTEXT-MARKER".to_vec()),
            importer_signature: Some(ImporterSignature {
                importer: "cd".repeat(32),
                signature: Base64Bytes(vec![1, 2, 3]),
            }),
        },
        pfx: pfx.to_vec(),
        intended_purpose: IntendedPurpose::SmimeEncryption,
        starts_ms: START_MS - DAY_MS,
        expires_ms: START_MS + 365 * DAY_MS,
    }
}

fn device_request(user: &str, key: Option<&str>) -> DeviceRequest {
    DeviceRequest {
        user_principal_name: user.to_owned(),
        device_id: "device".to_owned(),
        device: DeviceTarget {
            certificate: Base64Bytes(b"DEVICE".to_vec()),
            intermediates: vec![Base64Bytes(b"CA".to_vec())],
        },
        format: CmsFormat::Modern,
        delivery: Delivery::Password,
        idempotency_key: key.map(str::to_owned),
    }
}
