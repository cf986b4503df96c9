//! Devices judged for orders that wait: as they are when something is packed for them, without the use of a key.

use super::engine::{Engine, FIPS_EXCEPTIONS};
use super::issuance::{made, options, refused};
use super::issuance_support::{Grant, issue, key_request, pack_request};
use super::openssl::{KeyAlgorithm, Workshop};
use super::requests::DEADLINE;
use super::softhsm::SoftHsm;
use pfx_connector::encoding::Base64Bytes;
use pfx_connector::engine::api::keys::{KeyRecipient, KeyType, MakeKeyRequest};
use pfx_connector::engine::api::{CmsFormat, DeviceTarget, FailureCode, JudgeDeviceRequest};
use pfx_connector::engine::client::{EngineClient, RecryptError};
use std::time::Instant;

const CURRENT: (&str, &str) = ("20260101000000Z", "20491231235959Z");
const STALE: (&str, &str) = ("20250101000000Z", "20250201000000Z");

fn of(certificate: Vec<u8>, format: CmsFormat) -> JudgeDeviceRequest {
    JudgeDeviceRequest {
        request_id: "judged".to_owned(),
        device: DeviceTarget {
            certificate: Base64Bytes(certificate),
            intermediates: Vec::new(),
        },
        format,
    }
}

async fn judge(
    client: &EngineClient,
    certificate: Vec<u8>,
    format: CmsFormat,
) -> Result<(), FailureCode> {
    let answer = client.judge_device(of(certificate, format), DEADLINE).await;
    answer.map_err(|error| match error {
        RecryptError::Failed(failure) => failure.code,
        other => panic!("{other}"),
    })
}

#[tokio::test]
async fn a_device_is_judged_as_for_packing_and_a_late_list_is_not_a_device_that_is_refused() {
    use FailureCode::{BadRequest, DeviceCertificateRefused, FormatRefused, RevocationUnknown};
    let workshop = Workshop::new();
    let devices = workshop.authority("Devices", KeyAlgorithm::P256);
    let strangers = workshop.authority("Strangers", KeyAlgorithm::P256);
    let people = workshop.authority("People", KeyAlgorithm::P256);
    let token = SoftHsm::new();
    let list = devices.revocation_list(&[], STALE, "");
    let mut named = FIPS_EXCEPTIONS.to_vec();
    named.push("pkcs12-kdf-mac-write");
    let policy = format!("device_policy = {{ crls = [{list:?}] }}");
    let engine = Engine::start(&token, &devices, &options(&named, &policy));
    let client = engine.ready_client().await;
    let rsa = KeyAlgorithm::Rsa(2048);
    let phone = devices.device("phone", rsa);
    let one = made(&client, key_request("one", KeyType::EcP256)).await;
    let certificate = issue(&workshop, &people, one.csr.as_slice(), &Grant::default());
    let to_pack = pack_request("one", &one, certificate, &[people.der()], &phone);

    // A list that is late keeps an order waiting; a key for a new order is not made meanwhile.
    let modern = CmsFormat::Modern;
    assert_eq!(
        judge(&client, phone.der(), modern).await,
        Err(RevocationUnknown)
    );
    let (code, message) = refused(&client, to_pack.clone()).await;
    assert_eq!(code, RevocationUnknown);
    assert!(
        code.is_transient() && message.contains("out of date"),
        "{message}"
    );
    let for_phone = MakeKeyRequest {
        recipient: Some(KeyRecipient {
            device: to_pack.device.clone(),
            format: modern,
        }),
        ..key_request("two", KeyType::EcP256)
    };
    let Err(RecryptError::Failed(failure)) = client.make_key(for_phone, DEADLINE).await else {
        panic!("a key was made")
    };
    assert_eq!(failure.code, DeviceCertificateRefused);

    std::fs::rename(devices.revocation_list(&[], CURRENT, ""), &list).unwrap();
    let begun = Instant::now();
    while judge(&client, phone.der(), modern).await != Ok(()) {
        assert!(begun.elapsed() < DEADLINE, "the new list is not read");
    }
    let tablet = devices.device("tablet", KeyAlgorithm::P256);
    for (certificate, format, expected) in [
        (
            strangers.device("phone", rsa).der(),
            modern,
            DeviceCertificateRefused,
        ),
        (devices.der(), modern, DeviceCertificateRefused),
        (b"none".to_vec(), modern, DeviceCertificateRefused),
        (Vec::new(), modern, BadRequest),
        (tablet.der(), CmsFormat::Compatible, FormatRefused),
        (phone.der(), CmsFormat::CompatibleDesEde3, FormatRefused),
    ] {
        assert_eq!(judge(&client, certificate, format).await, Err(expected));
    }
    assert_eq!(client.status().await.unwrap().key_uses, 0);
    client.pack(to_pack, DEADLINE).await.unwrap();

    std::fs::rename(devices.revocation_list(&[&phone], CURRENT, ""), &list).unwrap();
    let begun = Instant::now();
    while judge(&client, phone.der(), modern).await == Ok(()) {
        assert!(begun.elapsed() < DEADLINE, "the new list is not read");
    }
    let judged = judge(&client, phone.der(), modern).await;
    assert_eq!(judged, Err(DeviceCertificateRefused));
}
