//! Paths after the cases of C2SP's x509-limbo (its files testcases/pathlen and testcases/rfc5280), made here with OpenSSL: each test begins
//! with the name of its case. Those that others in this folder have already (dates, critical extensions, names) are not repeated.

use super::openssl::{Authority, DEVICE, Device, Issuance, KeyAlgorithm, Workshop};
use super::{NOW_MS, check, target, trust};
use fips::policy::Policy;
use pfx_connector::engine::formats::device::DeviceRefusal;
use pfx_connector::engine::recrypt::chain::{CheckedDevice, Link, verify};
use pfx_connector::engine::recrypt::layout;

const KEY: KeyAlgorithm = KeyAlgorithm::P256;

fn authority<'a>(issuer: &Authority<'a>, name: &str, path_length: u8) -> Authority<'a> {
    with(
        issuer,
        name,
        &format!(
            "basicConstraints = critical, CA:TRUE, pathlen:{path_length}\nkeyUsage = critical, keyCertSign"
        ),
    )
}

fn with<'a>(issuer: &Authority<'a>, name: &str, extensions: &str) -> Authority<'a> {
    let issuance = Issuance {
        extensions: extensions.to_owned(),
        ..Issuance::default()
    };
    issuer.intermediate_with(name, KEY, &issuance)
}

/// Both judges: the formats process, and custody by itself over the path that is there (`intermediates`, the device's issuer first).
fn accepted(device: &Device<'_>, intermediates: &[&Authority<'_>], root: &Authority<'_>) -> bool {
    fips::start(Policy::OFF).unwrap();
    let target = target(device, intermediates);
    let found = check(&target, &[root]);
    let spans = |der: &[u8]| layout::read(der).map(|layout| layout.spans);
    let claimed = spans(target.certificate.as_slice()).and_then(|leaf| {
        let links = target
            .intermediates
            .iter()
            .enumerate()
            .map(|(number, der)| {
                Some(Link {
                    intermediate: u32::try_from(number).ok()?,
                    spans: spans(der.as_slice())?,
                })
            })
            .collect::<Option<Vec<_>>>()?;
        Some(CheckedDevice { leaf, links })
    });
    let custody =
        claimed.is_some_and(|claimed| verify(&target, &claimed, &trust(&[root]), NOW_MS).is_ok());
    assert_eq!(found.is_ok(), custody, "the two disagree: {found:?}");
    custody
}

#[test]
fn pathlen_ee_with_intermediate_pathlen_0_and_1_and_2() {
    let workshop = Workshop::new();
    let root = workshop.authority("R", KEY);
    for length in 0..3 {
        let issuer = authority(&root, "I", length);
        assert!(accepted(&issuer.device("d", KEY), &[&issuer], &root));
    }
}

#[test]
fn pathlen_intermediate_violates_pathlen_0() {
    let workshop = Workshop::new();
    let root = workshop.authority("R", KEY);
    let first = authority(&root, "I1", 0);
    let second = authority(&first, "I2", 0);
    assert!(!accepted(
        &second.device("d", KEY),
        &[&second, &first],
        &root
    ));
}

#[test]
fn pathlen_intermediate_pathlen_may_increase() {
    let workshop = Workshop::new();
    let root = workshop.authority("R", KEY);
    let first = authority(&root, "I1", 1);
    let second = authority(&first, "I2", 2);
    assert!(accepted(
        &second.device("d", KEY),
        &[&second, &first],
        &root
    ));
}

#[test]
fn pathlen_intermediate_pathlen_too_long() {
    let workshop = Workshop::new();
    let root = workshop.authority("R", KEY);
    let first = authority(&root, "I1", 1);
    let second = authority(&first, "I2", 0);
    let third = authority(&second, "I3", 0);
    assert!(!accepted(
        &third.device("d", KEY),
        &[&third, &second, &first],
        &root
    ));
}

#[test]
fn pathlen_self_issued_certs_pathlen() {
    let workshop = Workshop::new();
    let root = workshop.authority("R", KEY);
    let first = authority(&root, "I", 1);
    let second = authority(&first, "I", 1);
    let third = authority(&second, "J", 0);
    assert!(accepted(
        &third.device("d", KEY),
        &[&third, &second, &first],
        &root
    ));
}

/// Deliberately not limbo's verdict: it lets an authority's certificate be the last one of a path. Passwords are encrypted to devices only.
#[test]
fn pathlen_validation_ignores_pathlen_in_leaf_but_an_authority_is_no_device() {
    let workshop = Workshop::new();
    let root = workshop.authority("R", KEY);
    let first = authority(&root, "I1", 0);
    let leaf = Issuance {
        extensions: "basicConstraints = critical, CA:TRUE, pathlen:0\nkeyUsage = critical, keyCertSign, keyAgreement".to_owned(),
        ..Issuance::default()
    };
    let leaf = first.device_with("I2", KEY, &leaf);
    assert!(!accepted(&leaf, &[&first], &root));
    let target = target(&leaf, &[&first]);
    assert!(matches!(
        check(&target, &[&root]),
        Err(DeviceRefusal::IsAnAuthority)
    ));
}

#[test]
fn rfc5280_intermediate_ca_without_ca_bit() {
    let workshop = Workshop::new();
    let root = workshop.authority("R", KEY);
    let issuer = with(
        &root,
        "I",
        "basicConstraints = critical, CA:FALSE\nkeyUsage = critical, keyCertSign",
    );
    assert!(!accepted(&issuer.device("d", KEY), &[&issuer], &root));
}

#[test]
fn rfc5280_intermediate_ca_missing_basic_constraints() {
    let workshop = Workshop::new();
    let root = workshop.authority("R", KEY);
    let issuer = with(&root, "I", "keyUsage = critical, keyCertSign");
    assert!(!accepted(&issuer.device("d", KEY), &[&issuer], &root));
}

#[test]
fn rfc5280_ica_ku_keycertsign() {
    let workshop = Workshop::new();
    let root = workshop.authority("R", KEY);
    let issuer = with(
        &root,
        "I",
        "basicConstraints = critical, CA:TRUE, pathlen:0\nkeyUsage = critical, digitalSignature, keyAgreement",
    );
    assert!(!accepted(&issuer.device("d", KEY), &[&issuer], &root));
}

#[test]
fn rfc5280_nc_permitted_dns_match_is_refused_since_names_are_not_constrained_here() {
    let workshop = Workshop::new();
    let root = workshop.authority("R", KEY);
    for critical in ["critical, ", ""] {
        let issuer = with(
            &root,
            "I",
            &format!(
                "basicConstraints = critical, CA:TRUE\nkeyUsage = critical, keyCertSign\nnameConstraints = {critical}permitted;DNS:example.com"
            ),
        );
        assert!(!accepted(&issuer.device("d", KEY), &[&issuer], &root));
    }
}

#[test]
fn rfc5280_chain_untrusted_root_also_one_of_the_same_name() {
    let workshop = Workshop::new();
    let (root, other) = (workshop.authority("R", KEY), workshop.authority("S", KEY));
    let same_name = workshop.authority("R", KEY);
    let device = root.device_with(
        "d",
        KEY,
        &Issuance {
            extensions: DEVICE.to_owned(),
            ..Issuance::default()
        },
    );
    assert!(accepted(&device, &[], &root));
    assert!(!accepted(&device, &[], &other));
    assert!(!accepted(&device, &[], &same_name));
}
