//! The engine in strict FIPS mode, and when its cryptographic module fails: the real program with a real token.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

#[path = "support/engine.rs"]
mod engine;
#[path = "support/openssl.rs"]
mod openssl;
#[path = "support/softhsm.rs"]
mod softhsm;

#[path = "fips_engine/faults.rs"]
mod faults;
#[path = "fips_engine/formats.rs"]
mod formats;
#[path = "fips_engine/hostile.rs"]
mod hostile;
#[path = "fips_engine/integrity.rs"]
mod integrity;
#[path = "fips_engine/strict.rs"]
mod strict;

use engine::Engine;
use fips::policy::Service;
use hsm::Padding;
use pfx_connector::encoding::Base64Bytes;
use pfx_connector::engine::api::{EngineStatus, Failure, RecryptRequest};
use pfx_connector::engine::client::{EngineClient, RecryptError};
use pfx_connector::evidence::process::ProcessEvidence;
use softhsm::SoftHsm;
use std::time::Duration;

const DEADLINE: Duration = Duration::from_secs(30);

/// A request whose password is encrypted with the one padding that SoftHSM removes itself.
fn request(engine: &Engine, id: &str, token: &SoftHsm, device_der: Vec<u8>) -> RecryptRequest {
    padded(engine, id, token, device_der, Padding::OaepSha1)
}

fn padded(
    engine: &Engine,
    id: &str,
    token: &SoftHsm,
    device_der: Vec<u8>,
    padding: Padding,
) -> RecryptRequest {
    let mut request = engine.request(id, token, device_der);
    request.record.padding = padding;
    request.record.encrypted_password = Base64Bytes(token.encrypt(padding, engine::PASSWORD));
    engine.sign(&mut request);
    request
}

async fn refused(client: &EngineClient, request: RecryptRequest) -> Failure {
    match client.recrypt(request, DEADLINE).await {
        Err(RecryptError::Failed(failure)) => failure,
        other => panic!("not refused: {other:?}"),
    }
}

/// What a process of the engine says of its cryptography.
fn evidence<'a>(status: &'a EngineStatus, process: &str) -> &'a ProcessEvidence {
    status
        .fips
        .iter()
        .find(|evidence| evidence.process == process)
        .unwrap_or_else(|| panic!("{process} says nothing: {:?}", status.fips))
}

fn refusals(evidence: &ProcessEvidence, service: Service) -> u64 {
    evidence
        .services
        .iter()
        .find(|found| found.name == service.name())
        .unwrap()
        .refused
}
