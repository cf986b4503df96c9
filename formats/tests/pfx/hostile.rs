//! Broken and hostile files: a clean refusal, no panic, no long run.

use super::asn1::{bag, certificate, der, pfx, sequence, x509};
use super::openssl::{KeyAlgorithm, Workshop};
use super::read;
use super::structure::CERTIFICATE;
use super::{open, refusal};
use fips::secret::SecretBytes;
use formats::certificate::SmimeFitness;
use formats::pfx::{CertificateFacts, PfxLimits};

const PASSWORD: &str = "Passw0rd!";

fn small_file() -> Vec<u8> {
    let workshop = Workshop::new();
    let root = workshop.authority("Root", KeyAlgorithm::P256);
    root.device("ada", KeyAlgorithm::P256)
        .pfx(PASSWORD, &["-iter", "1"])
}

#[test]
fn every_truncation_is_malformed() {
    let pfx = small_file();
    for length in 0..pfx.len() {
        let error = refusal(&pfx[..length], PASSWORD);
        assert_eq!(error.code(), "malformed", "cut to {length} bytes: {error}");
    }
}

#[test]
fn octets_after_the_end_are_counted_and_not_read() {
    let pfx = small_file();
    for tail in [&[0; 8][..], b"\r\n", b"\x30\x80", &[0xff; 100]] {
        let opened = open(&[&pfx, tail].concat(), PASSWORD).unwrap();
        assert_eq!(opened.survey().trailing_octets, tail.len());
        assert!(opened.identity().is_ok());
    }
}

#[test]
fn no_changed_byte_opens_and_none_panics() {
    let pfx = small_file();
    let limits = PfxLimits {
        max_iterations: 10_000,
        ..PfxLimits::default()
    };
    let password = SecretBytes::from_slice(PASSWORD.as_bytes());
    for position in 0..pfx.len() {
        for change in [0x01, 0x80, 0xff] {
            let mut changed = pfx.clone();
            changed[position] ^= change;
            // The MAC covers the contents, its own parameters decide whether it fits: nothing can be left unnoticed.
            assert!(
                read(&changed, &password, &limits).is_err(),
                "byte {position} ^ {change:#x}"
            );
        }
    }
}

#[test]
fn garbage_is_malformed() {
    let mut state = 1_u32;
    let mut noise = move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24).to_le_bytes()[0]
    };
    for length in [0, 1, 2, 3, 100, 10_000] {
        let mut bytes: Vec<u8> = (0..length).map(|_| noise()).collect();
        assert_eq!(refusal(&bytes, PASSWORD).code(), "malformed", "{length}");
        if let Some(first) = bytes.first_mut() {
            *first = 0x30;
            assert_eq!(refusal(&bytes, PASSWORD).code(), "malformed", "{length}");
        }
    }
    let text = b"-----BEGIN PKCS12-----\n";
    assert_eq!(refusal(text, PASSWORD).code(), "malformed");
}

#[test]
fn limits_are_kept() {
    let pfx = small_file();
    let password = SecretBytes::from_slice(PASSWORD.as_bytes());
    let code = |limits: PfxLimits| read(&pfx, &password, &limits).err().map(|e| e.code());
    let default = PfxLimits::default;
    assert_eq!(code(default()), None);
    let limited = Some("limit_exceeded");
    assert_eq!(
        code(PfxLimits {
            max_bytes: pfx.len() - 1,
            ..default()
        }),
        limited
    );
    assert_eq!(
        code(PfxLimits {
            max_iterations: 2,
            ..default()
        }),
        limited
    );
    assert_eq!(
        code(PfxLimits {
            max_bags: 3,
            ..default()
        }),
        limited
    );
    assert_eq!(
        code(PfxLimits {
            max_certificates: 0,
            ..default()
        }),
        limited
    );
    let huge = vec![0x30; 1024 * 1024 + 1];
    assert_eq!(refusal(&huge, PASSWORD).code(), "limit_exceeded");
}

#[test]
fn deep_nesting_ends_cleanly() {
    for tag in [0x30, 0x24, 0xa0] {
        for length_byte in [0x80, 0x7f, 0x84] {
            let bytes = [tag, length_byte].repeat(100_000);
            assert!(open(&bytes, PASSWORD).is_err());
        }
    }
}

/// It is kept, joined and written as any other, but nothing inside is looked at.
#[test]
fn a_certificate_of_more_than_64_kib_is_an_entry_and_not_looked_into() {
    let empty_name = b"\x82\x00";
    let small = x509("small", "small", &empty_name.repeat(30_000));
    let large = x509("large", "large", &empty_name.repeat(40_000));
    assert!(small.len() < 64 * 1024 && large.len() > 64 * 1024);
    let bags = [&small, &large].map(|der| bag(CERTIFICATE, &certificate(der), &[]));
    let opened = open(&pfx(&der(0x30, &bags.concat())), "").unwrap();
    assert_eq!(opened.certificates()[1].der(), large);
    let bags: Vec<_> = opened.survey().bags().collect();
    assert!(bags[0].certificate.is_some() && !bags[0].certificate_is_too_large());
    assert!(bags[1].certificate.is_none() && bags[1].certificate_is_too_large());
    assert!(opened.chain_of(1).unwrap().complete);
    let refused = CertificateFacts::of_certificate(&large).unwrap_err();
    assert_eq!(refused.code(), "limit_exceeded");
    assert!(refused.to_string().contains("certificate"), "{refused}");
    assert!(SmimeFitness::of(&small, &[]).is_some() && SmimeFitness::of(&large, &[]).is_none());
}

#[test]
fn a_digest_of_another_length_than_its_hash_makes_is_malformed_under_every_password() {
    const SHA256: &[u8] = b"\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00";
    let file = |length: usize| {
        let digest = sequence(&[SHA256, &der(0x04, &vec![7; length])]);
        let mac = sequence(&[&digest, &der(0x04, &[1; 8]), &[2, 1, 1]]);
        let whole = pfx(b"\x30\x00");
        // The same with MacData behind what is in it.
        let content = whole.get(2..).unwrap();
        sequence(&[content, &mac])
    };
    for length in [0, 1, 20, 31, 33, 64] {
        assert_eq!(refusal(&file(length), "x").code(), "malformed", "{length}");
    }
    assert_eq!(refusal(&file(32), "x").code(), "wrong_password");
}
