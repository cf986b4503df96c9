//! What the custody process believes: nothing that it has not verified.

use super::openssl::{AUTHORITY, Issuance, KeyAlgorithm, Workshop};
use super::{NOW_MS, check, target, trust};
use pfx_connector::encoding::Base64Bytes;
use pfx_connector::engine::api::{DeviceTarget, FailureCode};
use pfx_connector::engine::recrypt::anchors::{self, Anchor};
use pfx_connector::engine::recrypt::chain::{ChainError, CheckedDevice, DeviceTrust, Link, verify};
use pfx_connector::engine::recrypt::layout::{self, Span};

/// What an honest or lying formats process might claim: the true places of any certificates at all.
fn claim(target: &DeviceTarget, path: &[u32]) -> CheckedDevice {
    let spans = |der: &Base64Bytes| layout::read(der.as_slice()).unwrap().spans;
    CheckedDevice {
        leaf: spans(&target.certificate),
        links: path
            .iter()
            .map(|&intermediate| Link {
                intermediate,
                spans: spans(&target.intermediates[intermediate as usize]),
            })
            .collect(),
    }
}

#[test]
fn an_honest_path_gives_the_identity_of_the_certificate() {
    let workshop = Workshop::new();
    let root = workshop.authority("Root", KeyAlgorithm::Rsa(2048));
    let middle = root.intermediate("Middle", KeyAlgorithm::P384);
    let device = middle.device("device", KeyAlgorithm::P256);
    let target = target(&device, &[&middle]);
    let checked = check(&target, &[&root]).unwrap();
    assert_eq!(checked, claim(&target, &[0]));
    let identity = verify(&target, &checked, &trust(&[&root]), NOW_MS).unwrap();
    assert!(identity.anchored());
    let certificate: x509_cert::Certificate = der::Decode::from_der(&device.der()).unwrap();
    let tbs = certificate.tbs_certificate();
    let der = |value: &dyn Fn() -> der::Result<Vec<u8>>| value().unwrap();
    use der::Encode;
    assert_eq!(identity.issuer_der(), der(&|| tbs.issuer().to_der()));
    assert_eq!(identity.serial_der(), der(&|| tbs.serial_number().to_der()));
    assert_eq!(
        identity.spki_der(),
        der(&|| tbs.subject_public_key_info().to_der())
    );
}

#[test]
fn what_crosses_the_process_line_survives_it() {
    let workshop = Workshop::new();
    let root = workshop.authority("Root", KeyAlgorithm::P256);
    let middle = root.intermediate("Middle", KeyAlgorithm::P256);
    let target = target(&middle.device("device", KeyAlgorithm::P256), &[&middle]);
    let checked = check(&target, &[&root]).unwrap();
    let json = serde_json::to_string(&checked).unwrap();
    assert_eq!(
        serde_json::from_str::<CheckedDevice>(&json).unwrap(),
        checked
    );
}

#[test]
fn no_anchor_means_no_device_and_the_exception_says_so() {
    let workshop = Workshop::new();
    let root = workshop.authority("Root", KeyAlgorithm::P256);
    let target = target(&root.device("device", KeyAlgorithm::P256), &[]);
    let checked = claim(&target, &[]);
    let refused = verify(&target, &checked, &DeviceTrust::Anchors(vec![]), NOW_MS);
    assert_eq!(refused.unwrap_err(), ChainError::NoAnchor);
    let identity = verify(&target, &checked, &DeviceTrust::Unanchored, NOW_MS).unwrap();
    assert!(!identity.anchored());
    assert_eq!(
        ChainError::NoAnchor.failure_code(),
        FailureCode::DeviceCertificateRefused
    );
}

#[test]
fn a_certificate_of_another_authority_is_refused_whatever_the_path_says() {
    let workshop = Workshop::new();
    let root = workshop.authority("Root", KeyAlgorithm::P256);
    let stranger = workshop.authority("Stranger", KeyAlgorithm::P256);
    // The same name as the anchor, another key.
    let impostor = workshop.authority("Root", KeyAlgorithm::P256);
    let trust = trust(&[&root]);
    for (authority, expected) in [
        (&stranger, ChainError::NoAnchor),
        (&impostor, ChainError::Signature),
    ] {
        let target = target(
            &authority.device("device", KeyAlgorithm::P256),
            &[authority, &root],
        );
        for path in [vec![], vec![0], vec![1], vec![0, 1], vec![1, 0]] {
            let error = verify(&target, &claim(&target, &path), &trust, NOW_MS).unwrap_err();
            if path.is_empty() {
                assert_eq!(error, expected);
            }
        }
    }
}

#[test]
fn a_changed_certificate_is_refused_at_every_bit() {
    let workshop = Workshop::new();
    let root = workshop.authority("Root", KeyAlgorithm::P256);
    let good = target(&root.device("device", KeyAlgorithm::P256), &[]);
    let trust = trust(&[&root]);
    assert!(verify(&good, &claim(&good, &[]), &trust, NOW_MS).is_ok());
    for position in 0..good.certificate.0.len() {
        for bit in 0..8 {
            let mut changed = good.clone();
            changed.certificate.0[position] ^= 1 << bit;
            // The liar's best: places as they are in the changed certificate.
            let Some(layout) = layout::read(changed.certificate.as_slice()) else {
                continue;
            };
            let checked = CheckedDevice {
                leaf: layout.spans,
                links: vec![],
            };
            assert!(
                verify(&changed, &checked, &trust, NOW_MS).is_err(),
                "bit {bit} of byte {position}"
            );
        }
    }
}

/// What a formats process changes in its answer.
type Lie = (&'static str, Box<dyn Fn(&mut CheckedDevice)>);

#[test]
fn every_false_place_is_refused() {
    let workshop = Workshop::new();
    let root = workshop.authority("Root", KeyAlgorithm::P256);
    // A certificate whose holder chose the bytes of an extension: another key's SubjectPublicKeyInfo.
    let evil_key = workshop.key(KeyAlgorithm::P256);
    let evil_spki = super::openssl::openssl(&[
        "pkey",
        "-in",
        super::openssl::text(&evil_key),
        "-pubout",
        "-outform",
        "DER",
    ]);
    let device = root.device_with(
        "device",
        KeyAlgorithm::P256,
        &Issuance {
            extensions: format!("1.2.3.4 = DER:{}", pfx_connector::encoding::hex(&evil_spki)),
            ..Issuance::default()
        },
    );
    let target = target(&device, &[&root]);
    let trust = trust(&[&root]);
    let honest = claim(&target, &[]);
    assert!(verify(&target, &honest, &trust, NOW_MS).is_ok());

    let at = target
        .certificate
        .0
        .windows(evil_spki.len())
        .position(|window| window == evil_spki)
        .expect("the smuggled key is in the certificate");
    let smuggled = Span {
        start: u32::try_from(at).unwrap(),
        end: u32::try_from(at + evil_spki.len()).unwrap(),
    };
    let leaf = honest.leaf;
    let other = claim(&target, &[0]).links[0].spans;
    let beyond = u32::try_from(target.certificate.0.len()).unwrap();
    let lies: Vec<Lie> = vec![
        (
            "a key inside an extension",
            Box::new(move |c| c.leaf.spki = smuggled),
        ),
        (
            "a key outside of what is signed",
            Box::new(move |c| c.leaf.spki = leaf.signature),
        ),
        (
            "issuer and subject swapped",
            Box::new(move |c| {
                c.leaf.issuer = leaf.subject;
                c.leaf.subject = leaf.issuer;
            }),
        ),
        (
            "another certificate's places",
            Box::new(move |c| c.leaf = other),
        ),
        (
            "only part of the certificate signed",
            Box::new(move |c| c.leaf.tbs.end -= 1),
        ),
        (
            "overlapping parts",
            Box::new(move |c| c.leaf.serial = leaf.issuer),
        ),
        (
            "out of bounds",
            Box::new(move |c| {
                c.leaf.spki = Span {
                    start: beyond,
                    end: beyond + 91,
                }
            }),
        ),
        (
            "far out of bounds",
            Box::new(move |c| {
                c.leaf.tbs = Span {
                    start: 0,
                    end: u32::MAX,
                }
            }),
        ),
        (
            "end before start",
            Box::new(move |c| {
                c.leaf.spki = Span {
                    start: leaf.spki.end,
                    end: leaf.spki.start,
                };
            }),
        ),
        (
            "empty key",
            Box::new(move |c| c.leaf.spki.end = c.leaf.spki.start),
        ),
        (
            "an intermediate that is not there",
            Box::new(move |c| {
                c.links.push(Link {
                    intermediate: 7,
                    spans: other,
                });
            }),
        ),
        (
            "an intermediate with the device's places",
            Box::new(move |c| {
                c.links.push(Link {
                    intermediate: 0,
                    spans: leaf,
                });
            }),
        ),
    ];
    for (what, lie) in lies {
        let mut checked = honest.clone();
        lie(&mut checked);
        let error = verify(&target, &checked, &trust, NOW_MS);
        assert_eq!(error.unwrap_err(), ChainError::Mismatch, "{what}");
    }
}

#[test]
fn a_liar_cannot_promote_a_device_to_an_authority() {
    let workshop = Workshop::new();
    let root = workshop.authority("Root", KeyAlgorithm::P256);
    for extensions in [
        "",
        super::openssl::DEVICE,
        "basicConstraints = critical, CA:TRUE\nkeyUsage = critical, digitalSignature",
    ] {
        let captured = root.intermediate_with(
            "captured",
            KeyAlgorithm::P256,
            &Issuance {
                extensions: extensions.to_owned(),
                ..Issuance::default()
            },
        );
        let target = target(&captured.device("forged", KeyAlgorithm::P256), &[&captured]);
        let error = verify(&target, &claim(&target, &[0]), &trust(&[&root]), NOW_MS).unwrap_err();
        assert_eq!(error, ChainError::NotAnAuthority);
    }
}

#[test]
fn a_liar_cannot_hide_a_date_a_length_a_use_or_a_restriction() {
    let workshop = Workshop::new();
    let root = workshop.authority("Root", KeyAlgorithm::P256);
    let trust = trust(&[&root]);
    let refused = |target: &DeviceTarget, path: &[u32]| {
        verify(target, &claim(target, path), &trust, NOW_MS).unwrap_err()
    };
    let issuance = |extensions: &str| Issuance {
        extensions: extensions.to_owned(),
        ..Issuance::default()
    };

    let expired = target(&root.expired_device("device"), &[]);
    assert_eq!(refused(&expired, &[]), ChainError::NotValidNow);

    let stale = root.intermediate_with(
        "Stale",
        KeyAlgorithm::P256,
        &Issuance {
            extensions: AUTHORITY.to_owned(),
            not_after: "20250101000000Z".to_owned(),
            ..Issuance::default()
        },
    );
    let below_stale = target(&stale.device("device", KeyAlgorithm::P256), &[&stale]);
    assert_eq!(refused(&below_stale, &[0]), ChainError::NotValidNow);

    let small = target(&root.device("device", KeyAlgorithm::Rsa(1024)), &[]);
    assert_eq!(refused(&small, &[]), ChainError::NotForEncryption);

    let signs = target(
        &root.signature_only_device("device", KeyAlgorithm::Rsa(2048)),
        &[],
    );
    assert_eq!(refused(&signs, &[]), ChainError::NotForEncryption);

    let authority = target(
        &root.device_with("device", KeyAlgorithm::P256, &issuance(AUTHORITY)),
        &[],
    );
    assert_eq!(refused(&authority, &[]), ChainError::NotForEncryption);

    let critical = target(
        &root.device_with(
            "device",
            KeyAlgorithm::P256,
            &issuance("1.2.3.4 = critical, ASN1:NULL"),
        ),
        &[],
    );
    assert_eq!(refused(&critical, &[]), ChainError::UnhandledExtension);
    // id 1.2.3.4, critical: a TRUE that is none of DER's must not pass for FALSE.
    let head = [0x06, 0x03, 0x2a, 0x03, 0x04, 0x01, 0x01, 0xff];
    let mut odd = critical.certificate.as_slice().to_vec();
    let at = odd.windows(head.len()).position(|at| at == head).unwrap();
    odd[at + head.len() - 1] = 0x01;
    assert!(layout::read(&odd).is_none());

    let short = root.intermediate_with(
        "Short",
        KeyAlgorithm::P256,
        &issuance(
            "basicConstraints = critical, CA:TRUE, pathlen:0\nkeyUsage = critical, keyCertSign",
        ),
    );
    let below = short.intermediate("Below", KeyAlgorithm::P256);
    let deep = target(
        &below.device("device", KeyAlgorithm::P256),
        &[&below, &short],
    );
    assert_eq!(refused(&deep, &[0, 1]), ChainError::NotAnAuthority);
    let crowd = CheckedDevice {
        links: vec![claim(&deep, &[0]).links[0].clone(); 4],
        ..claim(&deep, &[])
    };
    assert_eq!(
        verify(&deep, &crowd, &trust, NOW_MS).unwrap_err(),
        ChainError::TooLong
    );
}

#[test]
fn anchors_with_one_name_are_told_apart_by_their_keys() {
    let workshop = Workshop::new();
    let old = workshop.authority("Root", KeyAlgorithm::P256);
    let new = workshop.authority("Root", KeyAlgorithm::Rsa(2048));
    let target = target(&new.device("device", KeyAlgorithm::P256), &[]);
    let checked = claim(&target, &[]);
    assert!(verify(&target, &checked, &trust(&[&old, &new]), NOW_MS).is_ok());
}

#[test]
fn an_expired_anchor_vouches_for_nobody() {
    let workshop = Workshop::new();
    let root = workshop.authority("Root", KeyAlgorithm::P256);
    let target = target(
        &root.device_with(
            "device",
            KeyAlgorithm::P256,
            &Issuance {
                not_after: "20991231235959Z".to_owned(),
                ..Issuance::default()
            },
        ),
        &[],
    );
    let checked = claim(&target, &[]);
    // 2060-01-01: the device is valid, the anchor is not.
    let later = 2_840_140_800_000;
    let error = verify(&target, &checked, &trust(&[&root]), later).unwrap_err();
    assert_eq!(error, ChainError::NotValidNow);
}

#[test]
fn anchors_come_from_pem_files_and_must_be_authorities() {
    let workshop = Workshop::new();
    let one = workshop.authority("One", KeyAlgorithm::P256);
    let two = workshop.authority("Two", KeyAlgorithm::Rsa(2048));
    let device = one.device("device", KeyAlgorithm::P256);
    let pem = |path: &std::path::Path| std::fs::read_to_string(path).unwrap();
    let both = workshop.file(
        format!(
            "# our authorities\n{}\nand\n{}",
            pem(&one.certificate),
            pem(&two.certificate)
        )
        .as_bytes(),
    );
    let loaded = anchors::load(&[both]).unwrap();
    let ders: Vec<&[u8]> = loaded.iter().map(Anchor::der).collect();
    assert_eq!(ders, [one.der(), two.der()]);
    assert_eq!(loaded[0].fingerprint().len(), 64);

    let cut = &pem(&one.certificate)[..200];
    for (what, file) in [
        ("no certificate", workshop.file(b"nothing\n")),
        ("half a certificate", workshop.file(cut.as_bytes())),
        ("a device", device.certificate.clone()),
        ("missing", workshop.path().join("missing")),
    ] {
        let error = anchors::load(std::slice::from_ref(&file)).unwrap_err();
        let file = file.display().to_string();
        assert!(error.to_string().contains(&file), "{what}: {error}");
    }
}
