//! The budget of one caller: what it may bring about, whosever records it asks for, and that it stops nobody else.

use super::engine::{Engine, Options};
use super::openssl::{KeyAlgorithm, Workshop};
use super::oracle::ask;
use super::softhsm::SoftHsm;
use super::told::{CONNECTOR, answer, connected_as};
use pfx_connector::engine::api::{EngineReply, EngineRequest, FailureCode, RecryptRequest};
use pfx_connector::engine::ipc::Frame;
use rustix::process::Signal;
use std::os::unix::net::UnixStream;

const FAILED: Option<FailureCode> = Some(FailureCode::DecryptionFailed);
const EXCEEDED: Option<FailureCode> = Some(FailureCode::BudgetExceeded);

/// What came of it, asked over this connection.
fn ask_over(stream: &mut UnixStream, request: RecryptRequest) -> Option<FailureCode> {
    let request = EngineRequest::Recrypt(Box::new(request));
    match answer(stream, &Frame::request(5, &request).unwrap()) {
        EngineReply::Recrypted(_) => None,
        EngineReply::Failed(failure) => Some(failure.code),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_connector_with_too_many_failing_ciphertexts_is_stopped_and_nobody_else_is() {
    let workshop = Workshop::new();
    let authority = workshop.authority("Devices", KeyAlgorithm::P256);
    let token = SoftHsm::new();
    let options = Options {
        engine: format!(
            "allowed_uids = [{CONNECTOR}, {}]\n[engine.oracle]\ncaller_failures_per_hour = 4\nimporter_failures_per_hour = 50\n",
            CONNECTOR + 1
        ),
        ..Options::default()
    };
    let mut engine = Engine::start(&token, &authority, &options);
    let client = engine.ready_client().await;
    let device = authority.device("phone", KeyAlgorithm::P256).der();
    let good = |engine: &Engine| engine.request("good", &token, device.clone());
    let bad = |engine: &Engine| {
        let mut request = good(engine);
        *request.record.encrypted_password.0.last_mut().unwrap() ^= 1;
        engine.sign(&mut request);
        request
    };
    let mut connector = connected_as(&engine, CONNECTOR);
    assert_eq!(ask_over(&mut connector, good(&engine)), None);
    for _ in 0..4 {
        let request = bad(&engine);
        assert_eq!(ask_over(&mut connector, request.clone()), FAILED);
        // One ciphertext counts once.
        assert_eq!(ask_over(&mut connector, request), FAILED);
    }
    let before = client.status().await.unwrap();
    assert_eq!(ask_over(&mut connector, bad(&engine)), EXCEEDED);
    assert_eq!(ask_over(&mut connector, good(&engine)), EXCEEDED);
    // Another connection of the same user is the same caller.
    let mut again = connected_as(&engine, CONNECTOR);
    assert_eq!(ask_over(&mut again, good(&engine)), EXCEEDED);
    let after = client.status().await.unwrap();
    assert_eq!(before.key_uses, after.key_uses, "the token was asked");
    let oracle = after.oracle.unwrap();
    let standing = &oracle.callers[0];
    assert_eq!(standing.id, Some(CONNECTOR.to_string()));
    assert_eq!(standing.failures_hour, 4);
    assert!(standing.suspended_until.is_some());
    assert_eq!((oracle.alarms, oracle.quarantined), (1, 4));
    assert!(oracle.importers[0].suspended_until.is_none());

    // Neither another connector nor the engine's own user is stopped, with the same importer's records.
    let mut other = connected_as(&engine, CONNECTOR + 1);
    assert_eq!(ask_over(&mut other, good(&engine)), None);
    assert_eq!(ask(&client, good(&engine)).await, None);

    // A restart changes nothing.
    engine.signal(Signal::KILL);
    engine.wait();
    engine.launch();
    let client = engine.ready_client().await;
    let mut connector = connected_as(&engine, CONNECTOR);
    assert_eq!(ask_over(&mut connector, good(&engine)), EXCEEDED);
    assert_eq!(ask(&client, good(&engine)).await, None);
    assert_eq!(client.status().await.unwrap().oracle.unwrap().alarms, 0);
}
