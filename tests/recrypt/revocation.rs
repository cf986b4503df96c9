//! Revocation lists made by OpenSSL, and the policy for device certificates. Where C2SP's x509-limbo has the case (its files testcases/crl),
//! the test begins with its name.

use super::openssl::{
    Authority, DEVICE, Device, Issuance, KeyAlgorithm, Workshop, der, openssl, text,
};
use super::{NOW_MS, check, target, trust};
use fips::policy::Policy;
use pfx_connector::config::{DeviceKeyKind, DevicePolicyConfig, RevocationMode};
use pfx_connector::engine::recrypt::chain::{ChainError, verify_under};
use pfx_connector::engine::recrypt::known::KnownDevices;
use pfx_connector::engine::recrypt::revocation::{ListState, of_file};
use pfx_connector::engine::recrypt::rules::DeviceRules;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// From before the tests' time to after it.
const CURRENT: (&str, &str) = ("20260101000000Z", "20270101000000Z");
const STALE: (&str, &str) = ("20250101000000Z", "20260101000000Z");

/// A list of `issuer`, in PEM, that names the certificates of these devices.
fn crl(
    issuer: &Authority<'_>,
    revoked: &[&Device<'_>],
    times: (&str, &str),
    extensions: &str,
) -> PathBuf {
    issuer.revocation_list(revoked, times, extensions)
}

fn config(crls: &[&Path], revocation: RevocationMode) -> DevicePolicyConfig {
    DevicePolicyConfig {
        crls: crls.iter().map(|path| path.to_path_buf()).collect(),
        revocation,
        ..DevicePolicyConfig::default()
    }
}

fn judged_by(
    device: &Device<'_>,
    intermediates: &[&Authority<'_>],
    root: &Authority<'_>,
    config: &DevicePolicyConfig,
) -> Result<(), ChainError> {
    fips::start(Policy::OFF).unwrap();
    let target = target(device, intermediates);
    let checked = check(&target, &[root]).unwrap();
    let rules = DeviceRules::load(config).unwrap();
    verify_under(&target, &checked, &trust(&[root]), &rules, NOW_MS).map(drop)
}

fn judged(device: &Device<'_>, root: &Authority<'_>, crls: &[&Path]) -> Result<(), ChainError> {
    judged_by(device, &[], root, &config(crls, RevocationMode::Require))
}

const REVOKED: Result<(), ChainError> = Err(ChainError::Revoked { authority: false });
const UNKNOWN: Result<(), ChainError> = Err(ChainError::RevocationUnknown { authority: false });

#[test]
fn crl_revoked_certificate_with_crl() {
    let workshop = Workshop::new();
    for algorithm in [KeyAlgorithm::P256, KeyAlgorithm::Rsa(2048)] {
        let root = workshop.authority("R", algorithm);
        let (bad, good) = (
            root.device("bad", KeyAlgorithm::P256),
            root.device("good", KeyAlgorithm::P256),
        );
        let list = crl(&root, &[&bad], CURRENT, "");
        assert_eq!(judged(&bad, &root, &[&list]), REVOKED);
        // In DER too, and whatever the mode.
        let der_list = workshop.file(&openssl(&["crl", "-in", text(&list), "-outform", "DER"]));
        assert_eq!(judged(&bad, &root, &[&der_list]), REVOKED);
        let prefer = config(&[&list], RevocationMode::Prefer);
        assert_eq!(judged_by(&bad, &[], &root, &prefer), REVOKED);
        // crl::certificate-not-on-crl
        assert_eq!(judged(&good, &root, &[&list]), Ok(()));
    }
}

#[test]
fn crl_certificate_serial_on_crl_different_issuer() {
    let workshop = Workshop::new();
    let (root, other) = (
        workshop.authority("R", KeyAlgorithm::P256),
        workshop.authority("Other", KeyAlgorithm::P256),
    );
    let device = root.device("d", KeyAlgorithm::P256);
    let of_other = crl(&other, &[&device], CURRENT, "");
    let own = crl(&root, &[], CURRENT, "");
    assert_eq!(judged(&device, &root, &[&of_other, &own]), Ok(()));
    assert_eq!(judged(&device, &root, &[&of_other]), UNKNOWN);
}

#[test]
fn a_list_that_the_issuer_did_not_sign_or_may_not_sign_says_nothing() {
    let workshop = Workshop::new();
    let root = workshop.authority("R", KeyAlgorithm::P256);
    let device = root.device("d", KeyAlgorithm::P256);
    // Another authority of the same name.
    let impostor = workshop.authority("R", KeyAlgorithm::P256);
    let forged = crl(&impostor, &[&device], CURRENT, "");
    assert_eq!(judged(&device, &root, &[&forged]), UNKNOWN);
    let genuine = crl(&root, &[], CURRENT, "");
    assert_eq!(judged(&device, &root, &[&forged, &genuine]), Ok(()));

    let no_lists = Issuance {
        extensions: "basicConstraints = critical, CA:TRUE\nkeyUsage = critical, keyCertSign"
            .to_owned(),
        ..Issuance::default()
    };
    let issuer = root.intermediate_with("I", KeyAlgorithm::P256, &no_lists);
    let device = issuer.device("d", KeyAlgorithm::P256);
    let list = crl(&issuer, &[], CURRENT, "");
    assert_eq!(judged(&device, &issuer, &[&list]), UNKNOWN);
}

#[test]
fn a_stale_list_is_refused_or_logged_as_the_mode_says_and_still_revokes() {
    let workshop = Workshop::new();
    let root = workshop.authority("R", KeyAlgorithm::P256);
    let (bad, good) = (
        root.device("bad", KeyAlgorithm::P256),
        root.device("good", KeyAlgorithm::P256),
    );
    let stale = crl(&root, &[&bad], STALE, "");
    let future = crl(&root, &[], ("20261201000000Z", "20270101000000Z"), "");
    let error = ChainError::RevocationStale { authority: false };
    assert_eq!(judged(&good, &root, &[&stale]), Err(error));
    assert_eq!(judged(&good, &root, &[&future]), Err(error));
    assert_eq!(judged(&bad, &root, &[&stale]), REVOKED);
    let prefer = config(&[&stale], RevocationMode::Prefer);
    assert_eq!(judged_by(&good, &[], &root, &prefer), Ok(()));
    assert_eq!(judged_by(&bad, &[], &root, &prefer), REVOKED);
    assert!(error.to_string().contains("out of date"));
}

#[test]
fn a_revoked_authority_takes_its_devices_along_and_each_issuer_needs_its_own_list() {
    let workshop = Workshop::new();
    let root = workshop.authority("R", KeyAlgorithm::P256);
    let issuer = root.intermediate("I", KeyAlgorithm::P256);
    let device = issuer.device("d", KeyAlgorithm::P256);
    let of_issuer = crl(&issuer, &[], CURRENT, "");
    let of_root = crl(&root, &[], CURRENT, "");
    let issuer_as_device = root.device_with_key(
        "I",
        issuer.key.clone(),
        &Issuance {
            extensions: DEVICE.to_owned(),
            ..Issuance::default()
        },
    );
    let judge = |lists: &[&Path]| {
        let config = config(lists, RevocationMode::Require);
        judged_by(&device, &[&issuer], &root, &config)
    };
    assert_eq!(judge(&[&of_issuer, &of_root]), Ok(()));
    assert_eq!(
        judge(&[&of_issuer]),
        Err(ChainError::RevocationUnknown { authority: true })
    );
    assert_eq!(judge(&[&of_root]), UNKNOWN);
    // Another certificate of the same name and key, but of another serial number, is not it.
    let of_other = crl(&root, &[&issuer_as_device], CURRENT, "");
    assert_eq!(judge(&[&of_issuer, &of_other]), Ok(()));
    let itself = Device::of(&workshop, issuer.certificate.clone(), issuer.key.clone());
    let revoking = crl(&root, &[&itself], CURRENT, "");
    assert_eq!(
        judge(&[&of_issuer, &revoking]),
        Err(ChainError::Revoked { authority: true })
    );
}

#[test]
fn idp_only_contains_user_certs_ca_target_and_only_contains_ca_certs_ee_target() {
    let workshop = Workshop::new();
    let root = workshop.authority("R", KeyAlgorithm::P256);
    let issuer = root.intermediate("I", KeyAlgorithm::P256);
    let device = issuer.device("d", KeyAlgorithm::P256);
    let scoped = |authority: &Authority<'_>, scope: &str| {
        let point = format!("issuingDistributionPoint = critical, @p\n[p]\n{scope} = TRUE");
        crl(authority, &[], CURRENT, &point)
    };
    let judge = |lists: &[&Path]| {
        let config = config(lists, RevocationMode::Require);
        judged_by(&device, &[&issuer], &root, &config)
    };
    let (users, authorities) = (scoped(&issuer, "onlyuser"), scoped(&root, "onlyCA"));
    assert_eq!(judge(&[&users, &authorities]), Ok(()));
    let wrong = (scoped(&issuer, "onlyCA"), scoped(&root, "onlyuser"));
    assert_eq!(judge(&[&wrong.0, &authorities]), UNKNOWN);
    assert_eq!(
        judge(&[&users, &wrong.1]),
        Err(ChainError::RevocationUnknown { authority: true })
    );
}

#[test]
fn lists_that_are_limited_in_other_ways_are_refused_by_name_at_start() {
    let workshop = Workshop::new();
    let root = workshop.authority("R", KeyAlgorithm::P256);
    let refused = |path: &Path| {
        DeviceRules::load(&config(&[path], RevocationMode::Prefer))
            .unwrap_err()
            .to_string()
    };
    for (extensions, said) in [
        // idp-only-contains-attribute-certs
        ("@p\n[p]\nonlyAA = TRUE", "attribute certificates"),
        // idp-cdp-scope-mismatch, idp-present-certificate-missing-cdp
        (
            "@p\n[p]\nfullname = URI:http://example.com/cdp.crl",
            "one distribution point",
        ),
        ("@p\n[p]\nindirectCRL = TRUE", "indirect"),
        ("@p\n[p]\nonlysomereasons = keyCompromise", "some reasons"),
    ] {
        let extensions = format!("issuingDistributionPoint = critical, {extensions}");
        let error = refused(&crl(&root, &[], CURRENT, &extensions));
        assert!(error.contains(said), "{error}");
    }
    let delta = crl(&root, &[], CURRENT, "2.5.29.27 = critical, ASN1:INTEGER:1");
    assert!(refused(&delta).contains("delta"));

    let list = openssl(&[
        "crl",
        "-outform",
        "DER",
        "-in",
        text(&crl(&root, &[], CURRENT, "")),
    ]);
    for cut in 0..list.len() {
        refused(&workshop_file(&workshop, &list[..cut]));
    }
    let mut longer = list.clone();
    longer.push(0);
    refused(&workshop_file(&workshop, &longer));
    refused(&workshop_file(&workshop, &der(&root.certificate)));
    refused(Path::new("/nonexistent/list.crl"));
}

/// One file, written again and again.
fn workshop_file(workshop: &Workshop, bytes: &[u8]) -> PathBuf {
    let path = workshop.path().join("list.crl");
    std::fs::write(&path, bytes).unwrap();
    path
}

/// A device that was accepted, and whose path is known, is refused from the moment on that its authority's new list is there.
#[test]
fn the_report_says_of_when_each_list_is_and_which_file_is_not_used() {
    fips::start(Policy::OFF).unwrap();
    let workshop = Workshop::new();
    let root = workshop.authority("R", KeyAlgorithm::P256);
    let bad = root.device("bad", KeyAlgorithm::P256);
    let current = crl(&root, &[&bad], CURRENT, "");
    let stale = crl(&root, &[], STALE, "");
    let future = crl(&root, &[], ("20261201000000Z", "20270101000000Z"), "");
    // NOW_MS is in the last tenth of its time.
    let ends = crl(&root, &[], ("20240101000000Z", "20260802000000Z"), "");
    let config = config(&[&current, &stale, &future, &ends], RevocationMode::Require);
    let rules = DeviceRules::load(&config).unwrap();
    let lists = rules.revocation().unwrap();
    let report = lists.report(NOW_MS);
    let states: Vec<ListState> = report.iter().map(|list| list.state).collect();
    assert_eq!(
        states,
        [
            ListState::Current,
            ListState::Stale,
            ListState::NotYet,
            ListState::EndsSoon
        ]
    );
    let first = &report[0];
    assert_eq!((first.issuer.as_str(), first.revoked), ("CN=R", 1));
    assert_eq!(first.this_update, "2026-01-01T00:00:00Z");
    assert_eq!(first.next_update, "2027-01-01T00:00:00Z");
    assert_eq!(first.file, current);
    assert_eq!(first.problem, None);
    assert_eq!(of_file(&current, NOW_MS).unwrap(), report[..1]);

    std::fs::write(&current, "no list at all").unwrap();
    lists.reload();
    let report = lists.report(NOW_MS);
    assert_eq!(report[0].revoked, 1, "the one from before stays in use");
    assert!(report[0].problem.is_some());
    assert!(of_file(&current, NOW_MS).is_err());
}

#[test]
fn a_new_list_counts_for_known_devices_and_a_broken_one_leaves_the_old() {
    fips::start(Policy::OFF).unwrap();
    let workshop = Workshop::new();
    let root = workshop.authority("R", KeyAlgorithm::P256);
    let device = root.device("d", KeyAlgorithm::P256);
    let file = crl(&root, &[], CURRENT, "");
    let rules = Arc::new(DeviceRules::load(&config(&[&file], RevocationMode::Require)).unwrap());
    let known = KnownDevices::under(Arc::clone(&rules));
    let target = target(&device, &[]);
    let trust = trust(&[&root]);
    let judge = || {
        known
            .verify(&target, &trust, NOW_MS, || {
                Ok::<_, ChainError>(check(&target, &[&root]).unwrap())
            })
            .map(drop)
    };
    assert_eq!(judge(), Ok(()));
    let replace = |bytes: &[u8]| {
        let fresh = workshop.file(bytes);
        std::fs::rename(fresh, &file).unwrap();
        rules.revocation().unwrap().reload();
    };
    let old = std::fs::read(&file).unwrap();
    replace(b"half a download");
    assert_eq!(judge(), Ok(()));
    replace(&std::fs::read(crl(&root, &[&device], CURRENT, "")).unwrap());
    assert_eq!(judge(), REVOKED);
    replace(b"half a download");
    assert_eq!(judge(), REVOKED);
    replace(&old);
    assert_eq!(judge(), Ok(()));
}

#[test]
fn the_policy_refuses_kinds_sizes_and_certificates_without_key_usage() {
    let workshop = Workshop::new();
    let root = workshop.authority("R", KeyAlgorithm::P256);
    let plain = Issuance {
        extensions: "basicConstraints = critical, CA:FALSE".to_owned(),
        ..Issuance::default()
    };
    let small = root.device("d", KeyAlgorithm::Rsa(2048));
    let large = root.device("d", KeyAlgorithm::Rsa(3072));
    let ec = root.device("d", KeyAlgorithm::P256);
    let p384 = root.device("d", KeyAlgorithm::P384);
    let without_usage = root.device_with("d", KeyAlgorithm::P256, &plain);
    let strict = DevicePolicyConfig {
        minimum_rsa_bits: 3072,
        keys: vec![DeviceKeyKind::Rsa, DeviceKeyKind::EcP384],
        ..DevicePolicyConfig::default()
    };
    let judge = |device, config: &DevicePolicyConfig| judged_by(device, &[], &root, config);
    assert_eq!(judge(&small, &strict), Err(ChainError::KeyNotAllowed));
    assert_eq!(judge(&large, &strict), Ok(()));
    assert_eq!(judge(&ec, &strict), Err(ChainError::KeyNotAllowed));
    assert_eq!(judge(&p384, &strict), Ok(()));

    let usual = DevicePolicyConfig::default();
    for device in [&small, &large, &ec, &p384, &without_usage] {
        assert_eq!(judge(device, &usual), Ok(()));
    }
    let usage = DevicePolicyConfig {
        require_key_usage: true,
        ..usual
    };
    assert_eq!(judge(&without_usage, &usage), Err(ChainError::NoKeyUsage));
    assert_eq!(judge(&ec, &usage), Ok(()));
}
