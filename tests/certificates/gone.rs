//! A device that its authority revokes while the certificate that it asked for is not decided yet.

use super::device::open;
use super::openssl::{Authority, Device, KeyAlgorithm, Workshop, text};
use super::partner::{Partner, Plan};
use super::site::{Issuing, Setup};
use super::stack::{block_on, until};
use super::world::World;
use pfx_connector::encoding::Base64Bytes;
use pfx_connector::engine::api::{CmsFormat, DeviceTarget, FailureCode, JudgeDeviceRequest};
use pfx_connector::engine::client::{EngineClient, RecryptError};
use std::path::Path;
use std::time::Duration;

const TIMES: (&str, &str) = ("20260101000000Z", "20491231235959Z");
const DEADLINE: Duration = Duration::from_secs(20);

/// The authority of the stack's devices.
fn devices<'a>(issuing: &Issuing, workshop: &'a Workshop) -> Authority<'a> {
    let certificate = issuing.site.stack.pki.device_ca();
    let key = certificate.with_extension("key");
    workshop.authority_of(certificate, key)
}

/// The list names these devices from now on.
fn publish(authority: &Authority<'_>, revoked: &[&Device<'_>], list: &Path) {
    let new = list.with_extension("new");
    std::fs::copy(authority.revocation_list(revoked, TIMES, ""), &new).unwrap();
    std::fs::rename(new, list).unwrap();
}

/// What the engine says of the device.
fn judged(issuing: &Issuing, certificate: &[u8]) -> Result<(), FailureCode> {
    let request = JudgeDeviceRequest {
        request_id: "test".to_owned(),
        device: DeviceTarget {
            certificate: Base64Bytes(certificate.to_vec()),
            intermediates: Vec::new(),
        },
        format: CmsFormat::Modern,
    };
    let socket = issuing.site.stack.path("run/engine.sock");
    let answer = block_on(async {
        let client = EngineClient::connect(&socket).await.unwrap();
        client.judge_device(request, DEADLINE).await
    });
    answer.map_err(|error| match error {
        RecryptError::Failed(failure) => failure.code,
        other => panic!("{other}"),
    })
}

#[test]
fn an_order_of_a_device_that_is_revoked_meanwhile_is_given_up_and_what_was_issued_for_it_revoked() {
    let workshop = Workshop::new();
    let world = World::new(&workshop, KeyAlgorithm::P256);
    let partner = Partner::start(&world, move |_, _| Plan {
        polls: usize::MAX,
        ..Plan::default()
    });
    let list = workshop.fresh(".crl.pem");
    let issuing = Issuing::with(Setup {
        engine: format!("device_policy = {{ crls = [{:?}] }}", text(&list)),
        ..Setup::strict(format!(
            "[[connector.ca]]\nname = \"company\"\n{}",
            partner.settings()
        ))
    });
    let authority = devices(&issuing, &workshop);
    publish(&authority, &[], &list);
    let mut running = issuing.start();
    issuing.enrol();
    let [lost, stolen, kept] = [0, 1, 2].map(|index| issuing.device(index));
    let on_the_list = |device: &pfx_connector::cli::demo::Device| {
        Device::of(&workshop, device.certificate.clone(), device.key.clone())
    };
    let [anna, bert, carl] = [("anna", &lost), ("bert", &stolen), ("carl", &kept)]
        .map(|(user, device)| issuing.ask(&format!("{user}@example.com"), device, "windows"));
    for request in [&anna, &bert, &carl] {
        issuing.event_of("operational", 1061, request);
    }
    assert_eq!(judged(&issuing, &lost.certificate_der), Ok(()));

    publish(&authority, &[&on_the_list(&lost)], &list);
    let (code, message) = issuing.failure(&anna);
    assert_eq!(code, "deviceCertificateRefused", "{message}");
    for word in ["revoked", &anna, "company", "reject"] {
        assert!(message.contains(word), "{message}");
    }
    issuing.event_of("operational", 1052, &anna);
    issuing.event_of("admin", 1001, &anna);
    assert!(issuing.events("admin", 1060).is_empty(), "nothing came");

    // The authority decides while nobody asks, and then the other device is revoked.
    running.without_connector(|| {
        let both = [&on_the_list(&lost), &on_the_list(&stolen)];
        publish(&authority, &both, &list);
        until("the engine does not read the list", || {
            judged(&issuing, &stolen.certificate_der) == Err(FailureCode::DeviceCertificateRefused)
        });
        partner.decide();
    });
    let (code, message) = issuing.failure(&bert);
    assert_eq!(code, "deviceCertificateRefused", "{message}");
    assert!(message.contains("it was revoked"), "{message}");
    assert_eq!(partner.revoked(), 1);
    issuing.event_of("admin", 1060, &bert);
    issuing.event_of("admin", 1001, &bert);
    open(&kept, &issuing.delivered(&carl), &world.root.certificate);

    let ordered = partner.issued();
    let (code, message) = issuing.failure(&issuing.ask("dora@example.com", &lost, "windows"));
    assert_eq!(code, "deviceCertificateRefused", "{message}");
    assert_eq!(partner.issued(), ordered, "nothing was ordered");
    issuing.assert_strict();
    running.stop();
}
