//! What one request costs the engine's host apart from the token: the importer's signature, the device's certificate twice
//! (described by the formats process, verified by custody), and the message to the device.
//!
//! With a real HSM this, and what carries the bytes between the processes, is the engine's own limit.
#![forbid(unsafe_code)]

use criterion::Criterion;
use fips::secret::SecretBytes;
use fips::sign::{KeyKind, SigningKey};
use pfx_connector::cli::demo::{DeviceKind, Pki, temporary_folder};
use pfx_connector::clock::{Clock, SystemClock};
use pfx_connector::encoding::Base64Bytes;
use pfx_connector::engine::api::{CmsFormat, DeviceTarget};
use pfx_connector::engine::formats::device::{DevicePolicy, check_device};
use pfx_connector::engine::recrypt::chain::{self, DeviceTrust};
use pfx_connector::engine::recrypt::importers::{self, Importer};
use pfx_connector::engine::recrypt::{anchors, cms};
use pfx_connector::record::Record;
use std::hint::black_box;

type Fallible<T> = Result<T, Box<dyn std::error::Error>>;

/// As large as a usual PFX with one key and a chain.
const PFX_BYTES: usize = 4096;

fn main() -> Fallible<()> {
    if !std::env::args().any(|argument| argument == "--bench") {
        return Ok(());
    }
    fips::start(fips::policy::Policy::OFF)?;
    let folder = temporary_folder()?;
    let measured = measure(&folder);
    std::fs::remove_dir_all(&folder)?;
    measured
}

fn measure(folder: &std::path::Path) -> Fallible<()> {
    let pki = Pki::create(&folder.join("pki"), 0)?;
    let mut criterion = Criterion::default().configure_from_args();
    importer(&mut criterion)?;
    for (name, kind) in [
        ("rsa-2048", DeviceKind::Rsa(2048)),
        ("p-256", DeviceKind::Ec("P-256")),
    ] {
        device(&mut criterion, &pki, name, kind)?;
    }
    criterion.final_summary();
    Ok(())
}

fn importer(criterion: &mut Criterion) -> Fallible<()> {
    let key = SigningKey::generate(KeyKind::EcP256)?;
    let pem = der::pem::encode_string("PUBLIC KEY", der::pem::LineEnding::LF, key.spki_der())
        .map_err(|error| error.to_string())?;
    let known = [Importer::from_pem("bench", pem.as_bytes())?];
    let pfx = vec![0x30; PFX_BYTES];
    let mut record = Record {
        user_principal_name: "person@example.com".to_owned(),
        thumbprint: "0123456789abcdef0123456789abcdef01234567".to_owned(),
        provider_name: "pfx-connector".to_owned(),
        key_name: "pfx-custody".to_owned(),
        custody_key: Some("00".repeat(32)),
        padding: hsm::Padding::OaepSha512,
        encrypted_password: Base64Bytes(vec![0x55; 256]),
        importer_signature: None,
    };
    record.importer_signature = Some(importers::sign(&key, &record, &pfx)?);
    importers::verify(&record, &pfx, &known, false)?;
    criterion.bench_function("importer's signature", |bencher| {
        bencher.iter(|| importers::verify(black_box(&record), &pfx, &known, false).is_ok());
    });
    Ok(())
}

fn device(criterion: &mut Criterion, pki: &Pki, name: &str, kind: DeviceKind) -> Fallible<()> {
    let index = usize::from(matches!(kind, DeviceKind::Ec(_)));
    let target = DeviceTarget {
        certificate: Base64Bytes(pki.device(index, kind)?.certificate_der),
        intermediates: Vec::new(),
    };
    let anchors = anchors::load(&[pki.device_ca()])?;
    let now_ms = SystemClock.now_ms();
    let policy = DevicePolicy {
        anchors: anchors
            .iter()
            .map(|anchor| Base64Bytes(anchor.der().to_vec()))
            .collect(),
        require_anchor: true,
        now_ms,
    };
    let trust = DeviceTrust::Anchors(anchors);
    let checked = check_device(&target, &policy)?;
    let identity = chain::verify(&target, &checked, &trust, now_ms)?;
    let password = SecretBytes::from_slice(b"twenty-four characters..");
    cms::envelop(
        CmsFormat::Modern,
        &identity,
        &password,
        cms::KeyTransport::Module,
    )?;

    criterion.bench_function(&format!("{name}: certificate described"), |bencher| {
        bencher.iter(|| check_device(black_box(&target), &policy).is_ok());
    });
    criterion.bench_function(&format!("{name}: certificate verified"), |bencher| {
        bencher.iter(|| chain::verify(black_box(&target), &checked, &trust, now_ms).is_ok());
    });
    criterion.bench_function(&format!("{name}: message made"), |bencher| {
        bencher.iter(|| {
            cms::envelop(
                CmsFormat::Modern,
                black_box(&identity),
                &password,
                cms::KeyTransport::Module,
            )
            .is_ok()
        });
    });
    Ok(())
}
