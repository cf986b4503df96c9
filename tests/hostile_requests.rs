//! Requests that cannot be fulfilled, through gateway, connector and engine: each ends in one final failure with its reason, and those
//! beside it are delivered as if it were not there.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]
#![forbid(unsafe_code)]

#[path = "support/openssl.rs"]
mod openssl;
#[path = "support/softhsm.rs"]
mod softhsm;
#[path = "support/stack.rs"]
mod stack;

use hsm::Padding;
use openssl::{Authority, Issuance, KeyAlgorithm, Workshop, openssl, text};
use pfx_connector::cli::demo::{Deliveries, Device, DeviceKind, Person};
use pfx_connector::encoding::{Base64Bytes, hex};
use pfx_connector::engine::api::CmsFormat;
use pfx_connector::gateway::api::{FailureReport, State};
use pfx_connector::telemetry::Event;
use stack::{PATIENCE, Site, until};
use std::collections::BTreeMap;

const PFX: &[u8] = b"a PFX as stored; nobody opens it on the way";
const PASSWORD: &[u8] = b"correct horse battery staple";

/// A request that has to fail.
struct Bad {
    name: &'static str,
    request_id: String,
    code: &'static str,
}

struct Asking {
    deliveries: Deliveries,
    bad: Vec<Bad>,
    good: Vec<String>,
}

impl Asking {
    fn ask(&mut self, user: &str, device: &Device, format: CmsFormat) -> String {
        self.deliveries.ask_in(user, device, format).unwrap();
        self.deliveries.asked.last().unwrap().request_id.clone()
    }

    fn bad(
        &mut self,
        name: &'static str,
        code: &'static str,
        user: &str,
        device: &Device,
        format: CmsFormat,
    ) {
        let request_id = self.ask(user, device, format);
        self.bad.push(Bad {
            name,
            request_id,
            code,
        });
    }

    fn good(&mut self, person: &Person, device: &Device) {
        let request_id = self.ask(&person.user, device, CmsFormat::Modern);
        self.good.push(request_id);
    }
}

fn device_of(id: &str, made: &openssl::Device<'_>) -> Device {
    Device {
        id: id.to_owned(),
        certificate: made.certificate.clone(),
        certificate_der: made.der(),
        key: made.key.clone(),
    }
}

/// Devices whose certificates are refused, by what is wrong with them.
fn refused_devices(workshop: &Workshop, authority: &Authority<'_>) -> Vec<(&'static str, Device)> {
    let foreign = workshop.authority("Foreign", KeyAlgorithm::P256);
    let rsa = KeyAlgorithm::Rsa(2048);
    let good = device_of("truncated", &authority.device("truncated", rsa));
    let not_yet = Issuance {
        not_before: "20480101000000Z".to_owned(),
        ..Issuance::default()
    };
    vec![
        (
            "expired",
            device_of("expired", &authority.expired_device("expired")),
        ),
        (
            "not yet valid",
            device_of(
                "not-yet",
                &authority.device_with("not yet", KeyAlgorithm::P256, &not_yet),
            ),
        ),
        (
            "garbage",
            Device {
                id: "garbage".to_owned(),
                certificate_der: vec![0x30; 700],
                ..good.clone()
            },
        ),
        (
            "cut off",
            Device {
                id: "cut-off".to_owned(),
                certificate_der: good.certificate_der[..good.certificate_der.len() - 1].to_vec(),
                ..good.clone()
            },
        ),
        (
            "RSA-1024",
            device_of(
                "rsa-1024",
                &authority.device("weak", KeyAlgorithm::Rsa(1024)),
            ),
        ),
        (
            "for signatures only",
            device_of(
                "signature-only",
                &authority.signature_only_device("signer", rsa),
            ),
        ),
        (
            "of a foreign authority",
            device_of("foreign", &foreign.device("foreign", rsa)),
        ),
    ]
}

#[test]
fn requests_that_cannot_be_fulfilled_fail_with_their_reason_and_disturb_nobody() {
    let site = Site::with_engine(
        Site::EVERY_FORM,
        "oracle = { importer_failures_per_hour = 50 }",
    );
    let stack = &site.stack;
    let engine = stack.start_engine().unwrap();
    let gateway = stack.start_gateway().unwrap();
    stack.enrol().unwrap();
    let workshop = Workshop::new();
    let authority = workshop.authority_of(stack.pki.device_ca(), stack.path("pki/device-ca.key"));

    let people: Vec<Person> = (0..2)
        .map(|index| Person::make(&stack.pki, &stack.path("import"), index * 4).unwrap())
        .collect();
    for person in &people {
        stack.import(person).unwrap();
    }
    let rsa = stack.pki.device(0, DeviceKind::Rsa(2048)).unwrap();
    let ec = stack.pki.device(1, DeviceKind::Ec("P-256")).unwrap();
    let mut asking = Asking {
        deliveries: Deliveries::new(stack).unwrap(),
        bad: Vec::new(),
        good: Vec::new(),
    };

    asking.good(&people[0], &rsa);
    for (name, device) in refused_devices(&workshop, &authority) {
        asking.bad(
            name,
            "deviceCertificateRefused",
            &people[0].user,
            &device,
            CmsFormat::Modern,
        );
    }
    asking.good(&people[0], &ec);
    let tablet = device_of("tablet", &authority.device("tablet", KeyAlgorithm::P384));
    asking.bad(
        "EC device, format for RSA",
        "formatRefused",
        &people[0].user,
        &tablet,
        CmsFormat::Compatible,
    );
    asking.bad(
        "format that is not allowed",
        "formatRefused",
        &people[1].user,
        &rsa,
        CmsFormat::CompatibleDesEde3,
    );

    let public = openssl(&[
        "pkey",
        "-pubin",
        "-in",
        text(&stack.path("import/custody-public.pem")),
        "-outform",
        "DER",
    ]);
    let custody = fips::rsa::PublicKey::from_spki(&public).unwrap();
    let elsewhere = softhsm::SoftHsm::new();
    let sealed = |padding| softhsm::encrypt(&custody, padding, PASSWORD);
    let undecryptable = [
        ("one byte short", Padding::OaepSha1, vec![0x11; 255]),
        ("one byte long", Padding::OaepSha1, vec![0x11; 257]),
        ("a single byte", Padding::OaepSha1, vec![0x11]),
        ("garbage", Padding::OaepSha1, vec![0x11; 256]),
        (
            "garbage, hash in software",
            Padding::OaepSha512,
            vec![0x11; 256],
        ),
        (
            "larger than the modulus",
            Padding::OaepSha1,
            vec![0xff; 256],
        ),
        (
            "another hash",
            Padding::OaepSha1,
            sealed(Padding::OaepSha512),
        ),
        (
            "another hash, in software",
            Padding::OaepSha512,
            sealed(Padding::OaepSha1),
        ),
        (
            "encrypted to another key",
            Padding::OaepSha1,
            elsewhere.encrypt(Padding::OaepSha1, PASSWORD),
        ),
    ];
    for (number, (name, padding, ciphertext)) in undecryptable.into_iter().enumerate() {
        let user = format!("undecryptable{number}@demo.example");
        let record = site.record(&user, padding, ciphertext);
        site.put(&site.signed(record, PFX), PFX);
        asking.bad(name, "decryptionFailed", &user, &rsa, CmsFormat::Modern);
    }
    asking.good(&people[1], &rsa);

    let mut other_key = site.record(
        "other-key@demo.example",
        Padding::OaepSha1,
        elsewhere.encrypt(Padding::OaepSha1, PASSWORD),
    );
    other_key.custody_key = Some(elsewhere.fingerprint());
    site.put(&site.signed(other_key, PFX), PFX);
    asking.bad(
        "record for another key",
        "keyNotFound",
        "other-key@demo.example",
        &rsa,
        CmsFormat::Modern,
    );
    let unsigned = site.record(
        "unsigned@demo.example",
        Padding::OaepSha1,
        sealed(Padding::OaepSha1),
    );
    site.put(&unsigned, PFX);
    asking.bad(
        "record without a signature",
        "recordRefused",
        "unsigned@demo.example",
        &rsa,
        CmsFormat::Modern,
    );
    let mut exchanged = site.signed(
        site.record(
            "exchanged@demo.example",
            Padding::OaepSha1,
            sealed(Padding::OaepSha1),
        ),
        PFX,
    );
    exchanged.encrypted_password = Base64Bytes(sealed(Padding::OaepSha1));
    site.put(&exchanged, PFX);
    asking.bad(
        "record with another ciphertext",
        "recordRefused",
        "exchanged@demo.example",
        &rsa,
        CmsFormat::Modern,
    );
    asking.good(&people[1], &ec);

    let mut connector = stack.start_connector(0).unwrap();
    asking.deliveries.wait(PATIENCE, |_| Ok(())).unwrap();
    let all = asking.bad.len() + asking.good.len();
    until("an Admin event for each request", || {
        site.admin().iter().filter(|event| is_final(event)).count() >= all
    });
    assert!(connector.is_running());
    let status = site.engine_status();
    connector.stop().unwrap();
    asking.deliveries.refresh().unwrap();

    check_failures(&site, &asking);
    check_deliveries(&site, &mut asking);
    // Nothing died or lost its token over any of it, and no event speaks of anything else than the requests.
    assert!(
        status.parts.iter().all(|part| part.restarts == 0),
        "{status:?}"
    );
    assert_eq!(status.token_problem, None);
    let others: Vec<u16> = site
        .admin()
        .iter()
        .filter(|event| !is_final(event))
        .map(|event| event.id)
        .collect();
    assert_eq!(others, [1, 3]);
    assert_eq!(hex(&custody.fingerprint()), stack.custody_fingerprint);
    gateway.stop().unwrap();
    engine.stop().unwrap();
}

fn is_final(event: &Event) -> bool {
    matches!(event.id, 2000 | 2001)
}

/// Every failure has its code, and exactly one event that says the same as the gateway.
fn check_failures(site: &Site, asking: &Asking) {
    let mut told: BTreeMap<&str, Vec<(&str, FailureReport)>> = BTreeMap::new();
    let events = site.admin();
    for bad in &asking.bad {
        let asked = asking
            .deliveries
            .asked
            .iter()
            .find(|asked| asked.request_id == bad.request_id)
            .unwrap();
        let state = asked.state.as_ref().unwrap();
        assert_eq!(state.state, State::Failed, "{}: {state:?}", bad.name);
        assert_eq!((state.completions, state.attempts), (0, 1), "{}", bad.name);
        let failure = state.failure.clone().unwrap();
        assert_eq!(failure.code, bad.code, "{}: {}", bad.name, failure.message);
        let mine: Vec<&Event> = events
            .iter()
            .filter(|event| event.request_id.as_deref() == Some(&bad.request_id))
            .collect();
        assert_eq!(mine.len(), 1, "{}: {mine:?}", bad.name);
        assert_eq!(mine[0].id, 2001, "{}", bad.name);
        assert_eq!(mine[0].fields["code"], bad.code, "{}", bad.name);
        assert_eq!(mine[0].fields["reason"], failure.message, "{}", bad.name);
        assert!(failure.message.len() > 20, "{}: {failure:?}", bad.name);
        told.entry(bad.code).or_default().push((bad.name, failure));
    }
    // One public failure for everything that goes wrong in a decryption; the others say what is wrong.
    let decryptions = &told["decryptionFailed"];
    assert!(decryptions.len() >= 9);
    assert!(
        decryptions
            .iter()
            .all(|(_, told)| *told == decryptions[0].1),
        "{decryptions:?}"
    );
    for (name, word) in [
        ("expired", "expired"),
        ("RSA-1024", "1024"),
        ("of a foreign authority", "anchor"),
    ] {
        let (_, failure) = told["deviceCertificateRefused"]
            .iter()
            .find(|(of, _)| *of == name)
            .unwrap();
        assert!(failure.message.contains(word), "{name}: {failure:?}");
    }
}

fn check_deliveries(site: &Site, asking: &mut Asking) {
    asking
        .deliveries
        .verify_all(&site.stack, |_| Ok(()))
        .unwrap();
    let events = site.admin();
    for asked in &asking.deliveries.asked {
        if !asking.good.contains(&asked.request_id) {
            continue;
        }
        assert!(asked.verified, "{asked:?}");
        assert_eq!(asked.state.as_ref().unwrap().completions, 1);
        let ids: Vec<u16> = events
            .iter()
            .filter(|event| event.request_id.as_deref() == Some(&asked.request_id))
            .map(|event| event.id)
            .collect();
        assert_eq!(ids, [2000]);
    }
    assert_eq!(asking.deliveries.verified(), asking.good.len());
}
