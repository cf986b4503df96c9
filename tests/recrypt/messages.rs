//! CMS messages, read by OpenSSL.

use super::openssl::{Device, KeyAlgorithm, Workshop};
use super::{NOW_MS, check, target, trust};
use fips::secret::SecretBytes;
use pfx_connector::engine::api::{CmsFormat, FailureCode};
use pfx_connector::engine::recrypt::chain::{DeviceIdentity, verify};
use pfx_connector::engine::recrypt::cms::{KeyTransport, check_format, envelop, envelop_to_many};

const PASSWORD: &[u8] = b"correct horse battery staple";

fn identity(device: &Device<'_>, root: &super::Authority<'_>) -> DeviceIdentity {
    fips::start(fips::policy::Policy::OFF).unwrap();
    let target = target(device, &[]);
    let checked = check(&target, &[root]).unwrap();
    verify(&target, &checked, &trust(&[root]), NOW_MS).unwrap()
}

#[test]
fn rsa_devices_of_every_size_read_every_format() {
    let workshop = Workshop::new();
    let root = workshop.authority("Prüfstelle München", KeyAlgorithm::P256);
    for bits in [2048, 3072, 4096] {
        let device = root.device("device", KeyAlgorithm::Rsa(bits));
        let identity = identity(&device, &root);
        for (format, key_transport, cipher) in [
            (CmsFormat::Modern, "rsaesOaep", "aes-256-cbc"),
            (CmsFormat::Compatible, "rsaEncryption", "aes-256-cbc"),
            (
                CmsFormat::CompatibleDesEde3,
                "rsaEncryption",
                "des-ede3-cbc",
            ),
        ] {
            let cms = envelop(
                format,
                &identity,
                &SecretBytes::from_slice(PASSWORD),
                KeyTransport::Module,
            )
            .unwrap();
            assert_eq!(device.decrypt_cms(&cms), PASSWORD, "{bits} {format:?}");
            let printed = workshop.print_cms(&cms);
            assert!(printed.contains(key_transport), "{printed}");
            assert!(printed.contains(cipher), "{printed}");
            assert!(printed.contains("issuerAndSerialNumber"), "{printed}");
            assert!(printed.contains("version: 0"), "{printed}");
            if format == CmsFormat::Modern {
                assert_eq!(printed.matches("sha256").count(), 2, "{printed}");
            }
        }
    }
}

#[test]
fn ec_devices_on_every_curve_read_the_modern_format() {
    let workshop = Workshop::new();
    let root = workshop.authority("Prüfstelle München", KeyAlgorithm::P256);
    for (algorithm, scheme) in [
        (KeyAlgorithm::P256, "dhSinglePass-stdDH-sha256kdf-scheme"),
        (KeyAlgorithm::P384, "dhSinglePass-stdDH-sha384kdf-scheme"),
        (KeyAlgorithm::P521, "dhSinglePass-stdDH-sha512kdf-scheme"),
    ] {
        let device = root.device("device", algorithm);
        let identity = identity(&device, &root);
        let cms = envelop(
            CmsFormat::Modern,
            &identity,
            &SecretBytes::from_slice(PASSWORD),
            KeyTransport::Module,
        )
        .unwrap();
        assert_eq!(device.decrypt_cms(&cms), PASSWORD, "{algorithm:?}");
        let printed = workshop.print_cms(&cms);
        assert!(printed.contains(scheme), "{printed}");
        assert!(printed.contains("version: 2"), "{printed}");
        for format in [CmsFormat::Compatible, CmsFormat::CompatibleDesEde3] {
            let error = check_format(format, &identity).unwrap_err();
            assert_eq!(error.failure_code(), FailureCode::FormatRefused);
            assert!(error.to_string().contains("EC key"), "{error}");
            let secret = SecretBytes::from_slice(PASSWORD);
            assert!(envelop(format, &identity, &secret, KeyTransport::Module).is_err());
        }
    }
}

#[test]
fn every_length_of_password_arrives_whole() {
    let workshop = Workshop::new();
    let root = workshop.authority("Prüfstelle München", KeyAlgorithm::P256);
    let device = root.device("device", KeyAlgorithm::P256);
    let identity = identity(&device, &root);
    for length in [0, 1, 7, 8, 15, 16, 17, 255, 4096] {
        let password: Vec<u8> = (0..=u8::MAX).cycle().take(length).collect();
        let cms = envelop(
            CmsFormat::Modern,
            &identity,
            &SecretBytes::from_slice(&password),
            KeyTransport::Module,
        )
        .unwrap();
        assert_eq!(device.decrypt_cms(&cms), password, "{length} bytes");
    }
}

#[test]
fn no_two_messages_share_a_key_or_a_vector() {
    let workshop = Workshop::new();
    let root = workshop.authority("Prüfstelle München", KeyAlgorithm::P256);
    for algorithm in [KeyAlgorithm::P256, KeyAlgorithm::Rsa(2048)] {
        let device = root.device("device", algorithm);
        let identity = identity(&device, &root);
        let tails: std::collections::HashSet<Vec<u8>> = (0..20)
            .map(|_| {
                let secret = SecretBytes::from_slice(PASSWORD);
                let cms =
                    envelop(CmsFormat::Modern, &identity, &secret, KeyTransport::Module).unwrap();
                // The ciphertext is the last part: 28 bytes of password make two blocks.
                cms[cms.len() - 32..].to_vec()
            })
            .collect();
        assert_eq!(tails.len(), 20);
    }
}

#[test]
fn modern_gcm_is_read_by_openssl_on_every_kind_of_device_and_by_ours_as_authenticated() {
    let workshop = Workshop::new();
    let root = workshop.authority("Prüfstelle München", KeyAlgorithm::P256);
    for algorithm in [
        KeyAlgorithm::Rsa(2048),
        KeyAlgorithm::P256,
        KeyAlgorithm::P384,
        KeyAlgorithm::P521,
    ] {
        let device = root.device("device", algorithm);
        let identity = identity(&device, &root);
        let secret = SecretBytes::from_slice(PASSWORD);
        let cms = envelop(
            CmsFormat::ModernGcm,
            &identity,
            &secret,
            KeyTransport::Module,
        )
        .unwrap();
        assert_eq!(device.decrypt_cms(&cms), PASSWORD, "{algorithm:?}");
        let facts = formats::cms::look_at(&cms, &formats::cms::CmsLimits::default()).unwrap();
        assert_eq!(facts.kind, formats::cms::MessageKind::AuthEnveloped);
        assert_eq!(facts.content_encryption, "AES-256-GCM");
    }
}

#[test]
fn one_message_to_several_devices_is_read_by_each_and_bounded_in_their_number() {
    let workshop = Workshop::new();
    let root = workshop.authority("Prüfstelle München", KeyAlgorithm::P256);
    let devices = [
        root.device("phone", KeyAlgorithm::Rsa(2048)),
        root.device("tablet", KeyAlgorithm::P256),
        root.device("laptop", KeyAlgorithm::Rsa(3072)),
    ];
    let identities: Vec<_> = devices
        .iter()
        .map(|device| identity(device, &root))
        .collect();
    let secret = SecretBytes::from_slice(PASSWORD);
    let many = |format, identities: &[DeviceIdentity]| {
        envelop_to_many(format, identities, &secret, KeyTransport::Module)
    };
    for format in [CmsFormat::Modern, CmsFormat::ModernGcm] {
        let cms = many(format, &identities).unwrap();
        for device in &devices {
            assert_eq!(device.decrypt_cms(&cms), PASSWORD, "{format:?}");
        }
    }
    // One that cannot have it, and nobody gets it.
    let refused = many(CmsFormat::Compatible, &identities).unwrap_err();
    assert_eq!(refused.failure_code(), FailureCode::FormatRefused);
    for count in [0, 65] {
        let identities = vec![identities[1].clone(); count];
        let refused = many(CmsFormat::Modern, &identities).unwrap_err();
        assert_eq!(refused.failure_code(), FailureCode::BadRequest);
    }
}
