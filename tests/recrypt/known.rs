//! A device certificate that comes again: neither asked about nor verified twice, but never believed for longer than it is valid.

use super::openssl::{AUTHORITY, Issuance, KeyAlgorithm, Workshop};
use super::{NOW_MS, check, target, trust};
use pfx_connector::encoding::Base64Bytes;
use pfx_connector::engine::recrypt::chain::{ChainError, DeviceTrust};
use pfx_connector::engine::recrypt::known::KnownDevices;
use std::cell::Cell;

const HUNDRED_YEARS_MS: i64 = 100 * 365 * 86_400_000;

#[test]
fn a_path_is_described_once_and_held_against_the_time_always() {
    let workshop = Workshop::new();
    let root = workshop.authority("Root", KeyAlgorithm::P256);
    let target = target(&root.device("device", KeyAlgorithm::P256), &[]);
    let trust = trust(&[&root]);
    let known = KnownDevices::default();
    let asked = Cell::new(0);
    let verify = |now_ms| {
        known.verify(&target, &trust, now_ms, || {
            asked.set(asked.get() + 1);
            Ok::<_, ChainError>(check(&target, &[&root]).unwrap())
        })
    };
    let first = verify(NOW_MS).unwrap();
    assert_eq!(verify(NOW_MS).unwrap(), first);
    assert_eq!(asked.get(), 1);
    assert_eq!(
        verify(NOW_MS + HUNDRED_YEARS_MS),
        Err(ChainError::NotValidNow)
    );
    assert_eq!(verify(NOW_MS).unwrap(), first);
    assert_eq!(asked.get(), 1);
}

#[test]
fn an_anchor_of_the_same_name_does_not_vouch_for_what_an_expired_one_signed() {
    let workshop = Workshop::new();
    let old = workshop.authority("Root", KeyAlgorithm::P256);
    let until_2099 = |extensions: Option<&str>| Issuance {
        not_after: "20991231235959Z".to_owned(),
        extensions: extensions.map_or_else(|| Issuance::default().extensions, str::to_owned),
        ..Issuance::default()
    };
    let new = workshop
        .authority("Another", KeyAlgorithm::P256)
        .intermediate_with("Root", KeyAlgorithm::P256, &until_2099(Some(AUTHORITY)));
    let device = old.device_with("device", KeyAlgorithm::P256, &until_2099(None));
    let target = target(&device, &[]);
    let trust = trust(&[&old, &new]);
    let known = KnownDevices::default();
    let verify = |now_ms| {
        known.verify(&target, &trust, now_ms, || {
            Ok::<_, ChainError>(check(&target, &[&old, &new]).unwrap())
        })
    };
    verify(NOW_MS).unwrap();
    // 2060-01-01: the device and the other anchor are valid.
    assert_eq!(verify(2_840_140_800_000), Err(ChainError::NotValidNow));
}

#[test]
fn another_certificate_is_another_path_and_a_refused_one_is_not_remembered() {
    let workshop = Workshop::new();
    let root = workshop.authority("Root", KeyAlgorithm::P256);
    let stranger = workshop.authority("Root", KeyAlgorithm::P256);
    let good = target(&root.device("device", KeyAlgorithm::P256), &[]);
    let trust = trust(&[&root]);
    let known = KnownDevices::default();
    let described = check(&good, &[&root]).unwrap();
    known
        .verify(&good, &trust, NOW_MS, || {
            Ok::<_, ChainError>(described.clone())
        })
        .unwrap();

    // Every bit of the signature, which is at the end: the places in the certificate are the same.
    let bytes = good.certificate.as_slice();
    for bit in (bytes.len() - 8) * 8..bytes.len() * 8 {
        let mut changed = good.clone();
        let mut der = bytes.to_vec();
        der[bit / 8] ^= 1 << (bit % 8);
        changed.certificate = Base64Bytes(der);
        for _ in 0..2 {
            let refused = known.verify(&changed, &trust, NOW_MS, || {
                Ok::<_, ChainError>(described.clone())
            });
            assert_eq!(refused, Err(ChainError::Signature), "bit {bit}");
        }
    }
    let other = target(&stranger.device("device", KeyAlgorithm::P256), &[]);
    let asked = Cell::new(0);
    for times in 1..=2 {
        let refused = known.verify(&other, &trust, NOW_MS, || {
            asked.set(asked.get() + 1);
            Ok::<_, ChainError>(check(&other, &[&stranger]).unwrap())
        });
        assert_eq!(refused, Err(ChainError::Signature));
        assert_eq!(asked.get(), times);
    }
}

#[test]
fn the_oldest_path_is_forgotten_for_a_new_one() {
    let workshop = Workshop::new();
    let root = workshop.authority("Root", KeyAlgorithm::P256);
    let plain = target(&root.device("device", KeyAlgorithm::P256), &[]);
    let described = check(&plain, &[&root]).unwrap();
    let known = KnownDevices::default();
    let asked = Cell::new(0);
    let verify = |number: u32| {
        let mut target = plain.clone();
        // What is sent along and is on no path makes another list of certificates.
        target.intermediates = vec![Base64Bytes(number.to_be_bytes().to_vec())];
        let verified = known.verify(&target, &DeviceTrust::Unanchored, NOW_MS, || {
            asked.set(asked.get() + 1);
            Ok::<_, ChainError>(described.clone())
        });
        assert!(verified.is_ok());
    };
    (0..4097).for_each(verify);
    assert_eq!(asked.get(), 4097);
    verify(1);
    assert_eq!(asked.get(), 4097);
    verify(0);
    assert_eq!(asked.get(), 4098);
}
