//! What the formats process says about a device's certificate.

use super::openssl::{AUTHORITY, DEVICE, Issuance, KeyAlgorithm, Workshop};
use super::{NOW_MS, check, policy, target, trust};
use pfx_connector::encoding::Base64Bytes;
use pfx_connector::engine::api::DeviceTarget;
use pfx_connector::engine::formats::device::{DevicePolicy, DeviceRefusal, Place, check_device};
use pfx_connector::engine::recrypt::chain::verify;

fn with_extensions(extensions: &str) -> Issuance {
    Issuance {
        extensions: extensions.to_owned(),
        ..Issuance::default()
    }
}

#[test]
fn every_kind_of_device_key_is_accepted() {
    let workshop = Workshop::new();
    let root = workshop.authority("Root", KeyAlgorithm::P256);
    for algorithm in [
        KeyAlgorithm::Rsa(2048),
        KeyAlgorithm::P256,
        KeyAlgorithm::P384,
        KeyAlgorithm::P521,
    ] {
        let device = root.device("device", algorithm);
        let checked = check(&target(&device, &[]), &[&root]);
        assert!(checked.unwrap().links.is_empty(), "{algorithm:?}");
    }
}

#[test]
fn every_accepted_signature_algorithm_verifies() {
    let workshop = Workshop::new();
    let cases = [
        (KeyAlgorithm::P256, "sha256", false),
        (KeyAlgorithm::P256, "sha384", false),
        (KeyAlgorithm::P384, "sha256", false),
        (KeyAlgorithm::P384, "sha384", false),
        (KeyAlgorithm::P521, "sha512", false),
        (KeyAlgorithm::Rsa(2048), "sha256", false),
        (KeyAlgorithm::Rsa(2048), "sha384", false),
        (KeyAlgorithm::Rsa(3072), "sha512", false),
        (KeyAlgorithm::Rsa(2048), "sha256", true),
        (KeyAlgorithm::Rsa(2048), "sha384", true),
        (KeyAlgorithm::Rsa(2048), "sha512", true),
    ];
    for (algorithm, digest, pss) in cases {
        let root = workshop.authority("Root", algorithm);
        let issuance = Issuance {
            digest: digest.to_owned(),
            pss_salt: pss.then_some("digest"),
            ..Issuance::default()
        };
        let device = root.device_with("device", KeyAlgorithm::P256, &issuance);
        let target = target(&device, &[]);
        let checked = check(&target, &[&root])
            .unwrap_or_else(|refusal| panic!("{algorithm:?} {digest} pss={pss}: {refusal}"));
        assert!(verify(&target, &checked, &trust(&[&root]), NOW_MS).is_ok());
    }
}

#[test]
fn intermediates_are_found_in_any_order() {
    let workshop = Workshop::new();
    let root = workshop.authority("Root", KeyAlgorithm::P384);
    let upper = root.intermediate("Upper", KeyAlgorithm::P256);
    let lower = upper.intermediate("Lower", KeyAlgorithm::P256);
    let stranger = workshop.authority("Stranger", KeyAlgorithm::P256);
    let device = lower.device("device", KeyAlgorithm::P256);
    let checked = check(
        &target(&device, &[&root, &upper, &stranger, &lower]),
        &[&stranger, &root],
    )
    .unwrap();
    let path: Vec<u32> = checked.links.iter().map(|link| link.intermediate).collect();
    assert_eq!(path, [3, 1]);
}

#[test]
fn a_path_may_have_five_certificates_and_not_six() {
    let workshop = Workshop::new();
    let root = workshop.authority("Root", KeyAlgorithm::P256);
    let one = root.intermediate("One", KeyAlgorithm::P256);
    let two = one.intermediate("Two", KeyAlgorithm::P256);
    let three = two.intermediate("Three", KeyAlgorithm::P256);
    let four = three.intermediate("Four", KeyAlgorithm::P256);
    let near = three.device("near", KeyAlgorithm::P256);
    let far = four.device("far", KeyAlgorithm::P256);
    let all = [&one, &two, &three, &four];
    assert_eq!(
        check(&target(&near, &all), &[&root]).unwrap().links.len(),
        3
    );
    let refusal = check(&target(&far, &all), &[&root]).unwrap_err();
    assert_eq!(refusal.code(), "path_too_long", "{refusal}");
}

#[test]
fn authorities_with_one_name_are_told_apart_by_their_keys() {
    let workshop = Workshop::new();
    let old = workshop.authority("Root", KeyAlgorithm::P256);
    let new = workshop.authority("Root", KeyAlgorithm::P256);
    let device = new.device("device", KeyAlgorithm::P256);
    assert!(check(&target(&device, &[]), &[&old, &new]).is_ok());
    let refusal = check(&target(&device, &[]), &[&old]).unwrap_err();
    assert_eq!(refusal.code(), "wrong_signature", "{refusal}");
}

#[test]
fn many_intermediates_with_one_name_do_not_make_the_search_long() {
    let workshop = Workshop::new();
    let root = workshop.authority("Same", KeyAlgorithm::P256);
    // Each is signed by the first, so all but one candidate fail at every level.
    let others: Vec<_> = (0..8)
        .map(|_| root.intermediate("Same", KeyAlgorithm::P256))
        .collect();
    let device = root.device("device", KeyAlgorithm::P256);
    let stranger = workshop.authority("Stranger", KeyAlgorithm::P256);
    let others: Vec<_> = others.iter().collect();
    assert!(check(&target(&device, &others), &[&stranger]).is_err());
}

#[test]
fn a_device_of_another_authority_is_refused() {
    let workshop = Workshop::new();
    let root = workshop.authority("Root", KeyAlgorithm::P256);
    let stranger = workshop.authority("Stranger", KeyAlgorithm::P256);
    let device = stranger.device("device", KeyAlgorithm::P256);
    for intermediates in [vec![], vec![&stranger]] {
        let refusal = check(&target(&device, &intermediates), &[&root]).unwrap_err();
        assert_eq!(refusal.code(), "no_path", "{refusal}");
        assert!(refusal.to_string().contains("CN=Stranger"), "{refusal}");
    }
}

#[test]
fn without_anchors_nothing_is_accepted_unless_none_is_required() {
    let workshop = Workshop::new();
    let root = workshop.authority("Root", KeyAlgorithm::P256);
    let target = target(&root.device("device", KeyAlgorithm::P256), &[]);
    assert_eq!(check(&target, &[]).unwrap_err().code(), "no_path");
    let open = DevicePolicy {
        require_anchor: false,
        ..policy(&[])
    };
    assert!(check_device(&target, &open).is_ok());
}

#[test]
fn dates_are_checked_for_every_certificate() {
    let workshop = Workshop::new();
    let root = workshop.authority("Root", KeyAlgorithm::P256);
    let expired = root.expired_device("device");
    let refusal = check(&target(&expired, &[]), &[&root]).unwrap_err();
    assert_eq!(
        refusal,
        DeviceRefusal::Expired {
            place: Place::Device,
            since: "2021-01-01T00:00:00Z".to_owned()
        }
    );
    let future = root.device_with(
        "device",
        KeyAlgorithm::P256,
        &Issuance {
            not_before: "20400101000000Z".to_owned(),
            ..Issuance::default()
        },
    );
    let refusal = check(&target(&future, &[]), &[&root]).unwrap_err();
    assert_eq!(refusal.code(), "not_yet_valid", "{refusal}");

    let stale = root.intermediate_with(
        "Stale",
        KeyAlgorithm::P256,
        &Issuance {
            extensions: AUTHORITY.to_owned(),
            not_after: "20250101000000Z".to_owned(),
            ..Issuance::default()
        },
    );
    let device = stale.device("device", KeyAlgorithm::P256);
    let refusal = check(&target(&device, &[&stale]), &[&root]).unwrap_err();
    assert!(
        matches!(
            refusal,
            DeviceRefusal::Expired {
                place: Place::Intermediate(1),
                ..
            }
        ),
        "{refusal}"
    );

    let good = root.device("device", KeyAlgorithm::P256);
    let late = DevicePolicy {
        now_ms: NOW_MS + 1000 * 365 * 24 * 3600 * 1000,
        ..policy(&[&root])
    };
    assert_eq!(
        check_device(&target(&good, &[]), &late).unwrap_err().code(),
        "expired"
    );
}

#[test]
fn a_key_that_is_too_small_is_refused_with_its_size() {
    let workshop = Workshop::new();
    let root = workshop.authority("Root", KeyAlgorithm::P256);
    let device = root.device("device", KeyAlgorithm::Rsa(1024));
    let refusal = check(&target(&device, &[]), &[&root]).unwrap_err();
    assert_eq!(refusal, DeviceRefusal::KeySize { bits: 1024 });
    assert!(refusal.to_string().contains("1024 bits"), "{refusal}");
}

#[test]
fn a_key_that_only_signs_is_refused_by_name() {
    let workshop = Workshop::new();
    let root = workshop.authority("Root", KeyAlgorithm::P256);
    let device = root.device_with(
        "device",
        KeyAlgorithm::Ed25519,
        &with_extensions("basicConstraints = CA:FALSE"),
    );
    let refusal = check(&target(&device, &[]), &[&root]).unwrap_err();
    assert_eq!(refusal.code(), "unsupported_key");
    assert!(refusal.to_string().contains("Ed25519"), "{refusal}");
}

#[test]
fn a_certificate_that_is_not_for_encryption_is_refused() {
    let workshop = Workshop::new();
    let root = workshop.authority("Root", KeyAlgorithm::P256);
    for (algorithm, usage, needed) in [
        (
            KeyAlgorithm::Rsa(2048),
            "digitalSignature",
            "keyEncipherment",
        ),
        (KeyAlgorithm::Rsa(2048), "keyAgreement", "keyEncipherment"),
        (KeyAlgorithm::P256, "digitalSignature", "keyAgreement"),
        (KeyAlgorithm::P256, "keyEncipherment", "keyAgreement"),
    ] {
        let device = root.device_with(
            "device",
            algorithm,
            &with_extensions(&format!("keyUsage = critical, {usage}")),
        );
        let refusal = check(&target(&device, &[]), &[&root]).unwrap_err();
        assert_eq!(
            refusal,
            DeviceRefusal::NotForEncryption {
                needed: needed.to_owned()
            }
        );
    }
    let free = root.device_with("device", KeyAlgorithm::Rsa(2048), &with_extensions(""));
    assert!(check(&target(&free, &[]), &[&root]).is_ok());
}

#[test]
fn an_authority_is_no_device() {
    let workshop = Workshop::new();
    let root = workshop.authority("Root", KeyAlgorithm::P256);
    let device = root.device_with("device", KeyAlgorithm::P256, &with_extensions(AUTHORITY));
    let refusal = check(&target(&device, &[]), &[&root]).unwrap_err();
    assert_eq!(refusal, DeviceRefusal::IsAnAuthority);
}

#[test]
fn a_device_cannot_vouch_for_another() {
    let workshop = Workshop::new();
    let root = workshop.authority("Root", KeyAlgorithm::P256);
    for extensions in [
        DEVICE,
        "",
        // An authority by name that may not sign certificates.
        "basicConstraints = critical, CA:TRUE\nkeyUsage = critical, digitalSignature",
    ] {
        let captured =
            root.intermediate_with("captured", KeyAlgorithm::P256, &with_extensions(extensions));
        let forged = captured.device("forged", KeyAlgorithm::P256);
        let refusal = check(&target(&forged, &[&captured]), &[&root]).unwrap_err();
        assert_eq!(refusal.code(), "not_an_authority", "{refusal}");
    }
}

#[test]
fn a_path_longer_than_an_authority_allows_is_refused() {
    let workshop = Workshop::new();
    let root = workshop.authority("Root", KeyAlgorithm::P256);
    let short = root.intermediate_with(
        "Short",
        KeyAlgorithm::P256,
        &with_extensions(
            "basicConstraints = critical, CA:TRUE, pathlen:0\nkeyUsage = critical, keyCertSign",
        ),
    );
    let direct = short.device("direct", KeyAlgorithm::P256);
    assert!(check(&target(&direct, &[&short]), &[&root]).is_ok());
    let below = short.intermediate("Below", KeyAlgorithm::P256);
    let device = below.device("device", KeyAlgorithm::P256);
    let refusal = check(&target(&device, &[&short, &below]), &[&root]).unwrap_err();
    assert!(
        matches!(
            refusal,
            DeviceRefusal::NotAnAuthority {
                place: Place::Intermediate(1)
            }
        ),
        "{refusal}"
    );
}

#[test]
fn what_is_critical_and_unknown_is_refused_by_name() {
    let workshop = Workshop::new();
    let root = workshop.authority("Root", KeyAlgorithm::P256);
    let device = root.device_with(
        "device",
        KeyAlgorithm::P256,
        &with_extensions("1.2.3.4 = critical, ASN1:NULL"),
    );
    let refusal = check(&target(&device, &[]), &[&root]).unwrap_err();
    assert_eq!(refusal.code(), "unhandled_extension");
    assert!(refusal.to_string().contains("1.2.3.4"), "{refusal}");

    let tolerated = root.device_with(
        "device",
        KeyAlgorithm::P256,
        &with_extensions("1.2.3.4 = ASN1:NULL"),
    );
    assert!(check(&target(&tolerated, &[]), &[&root]).is_ok());

    let narrow = root.intermediate_with(
        "Narrow",
        KeyAlgorithm::P256,
        &with_extensions(&format!(
            "{AUTHORITY}\nnameConstraints = critical, permitted;DNS:example.org"
        )),
    );
    let device = narrow.device("device", KeyAlgorithm::P256);
    let refusal = check(&target(&device, &[&narrow]), &[&root]).unwrap_err();
    assert_eq!(refusal.code(), "unhandled_extension", "{refusal}");
}

#[test]
fn sha_1_is_refused_by_name() {
    let workshop = Workshop::new();
    let root = workshop.authority("Root", KeyAlgorithm::Rsa(2048));
    let device = root.device_with(
        "device",
        KeyAlgorithm::P256,
        &Issuance {
            digest: "sha1".to_owned(),
            ..Issuance::default()
        },
    );
    let refusal = check(&target(&device, &[]), &[&root]).unwrap_err();
    assert_eq!(refusal.code(), "unsupported_signature");
    assert!(refusal.to_string().contains("SHA-1"), "{refusal}");
}

#[test]
fn a_signature_with_unusual_parameters_is_refused() {
    let workshop = Workshop::new();
    let root = workshop.authority("Root", KeyAlgorithm::Rsa(2048));
    let device = root.device_with(
        "device",
        KeyAlgorithm::P256,
        &Issuance {
            pss_salt: Some("20"),
            ..Issuance::default()
        },
    );
    let refusal = check(&target(&device, &[]), &[&root]).unwrap_err();
    assert_eq!(refusal.code(), "unsupported_signature");
    assert!(refusal.to_string().contains("RSASSA-PSS"), "{refusal}");
}

#[test]
fn too_much_is_refused_before_it_is_parsed() {
    let workshop = Workshop::new();
    let root = workshop.authority("Root", KeyAlgorithm::P256);
    let device = root.device("device", KeyAlgorithm::P256);
    let crowd = vec![&root; 9];
    let refusal = check(&target(&device, &crowd), &[&root]).unwrap_err();
    assert_eq!(refusal.code(), "too_many_intermediates");
    let huge = DeviceTarget {
        certificate: Base64Bytes(vec![0x30; 16 * 1024 + 1]),
        intermediates: vec![],
    };
    assert_eq!(check(&huge, &[&root]).unwrap_err().code(), "too_large");
}

#[test]
fn broken_certificates_are_refused_and_nothing_panics() {
    let workshop = Workshop::new();
    let root = workshop.authority("Root", KeyAlgorithm::P256);
    let good = root.device("device", KeyAlgorithm::P256).der();
    let policy = policy(&[&root]);
    let check_bytes = |bytes: Vec<u8>| {
        let target = DeviceTarget {
            certificate: Base64Bytes(bytes),
            intermediates: vec![],
        };
        check_device(&target, &policy)
    };
    assert!(check_bytes(good.clone()).is_ok());
    assert_eq!(check_bytes(vec![]).unwrap_err().code(), "malformed");
    for length in 0..good.len() {
        assert_eq!(
            check_bytes(good[..length].to_vec()).unwrap_err().code(),
            "malformed",
            "cut to {length} bytes"
        );
    }
    let mut longer = good.clone();
    longer.push(0);
    assert_eq!(check_bytes(longer).unwrap_err().code(), "malformed");
    // Everything but the outer algorithm's parameters is signed, so no flipped bit may pass.
    for position in 0..good.len() {
        for bit in [0x01, 0x80] {
            let mut changed = good.clone();
            changed[position] ^= bit;
            assert!(
                check_bytes(changed).is_err(),
                "bit {bit:#x} of byte {position}"
            );
        }
    }
}

#[test]
fn a_refusal_survives_the_way_between_processes() {
    let refusal = DeviceRefusal::Malformed {
        place: Place::Intermediate(2),
        reason: "x".to_owned(),
    };
    let json = serde_json::to_string(&refusal).unwrap();
    assert!(json.contains("\"code\":\"malformed\""), "{json}");
    let back: DeviceRefusal = serde_json::from_str(&json).unwrap();
    assert_eq!(back, refusal);
    let key = serde_json::to_string(&DeviceRefusal::IsAnAuthority).unwrap();
    assert_eq!(
        serde_json::from_str::<DeviceRefusal>(&key).unwrap(),
        DeviceRefusal::IsAnAuthority
    );
}
