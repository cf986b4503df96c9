//! What `openssl cms -encrypt` writes opens here.

use super::openssl::{DEVICE, Device, Issuance, KeyAlgorithm, Workshop, openssl, text};
use super::{CONTENT, encrypted, encrypted_content, look, open, refusal};
use formats::ber::Elements;
use formats::cms::{CmsError, Encoding, MessageKind, Naming};

/// A device with a subject key identifier.
fn issuance() -> Issuance {
    Issuance {
        extensions: format!("{DEVICE}\nsubjectKeyIdentifier = hash"),
        ..Issuance::default()
    }
}

#[test]
fn key_transport_with_every_padding_hash_and_label() {
    let workshop = Workshop::new();
    let root = workshop.authority("Prüfstelle München", KeyAlgorithm::P256);
    for bits in [2048, 3072] {
        let device = root.device_with("phone", KeyAlgorithm::Rsa(bits), &issuance());
        let recipient = ["-aes-256-cbc", "-recip", text(&device.certificate)];
        let message = encrypted(&workshop, &recipient);
        let opened = open(&message, &device).unwrap();
        assert_eq!(opened.bytes.expose(), CONTENT);
        assert!(!opened.authenticated);
        assert_eq!(opened.facts.recipients[0].algorithm, "RSAES-PKCS1-v1_5");

        const HASHES: [&str; 7] = [
            "sha1",
            "sha224",
            "sha256",
            "sha384",
            "sha512",
            "sha512-224",
            "sha512-256",
        ];
        for hash in HASHES {
            for mask_hash in HASHES {
                // Each with itself, with the one that most writers take and with the default: all pairs would take a minute.
                if hash != mask_hash && hash != "sha256" && mask_hash != "sha1" {
                    continue;
                }
                let (hash, mask_hash) = (
                    format!("rsa_oaep_md:{hash}"),
                    format!("rsa_mgf1_md:{mask_hash}"),
                );
                let mut oaep = vec![
                    "-keyopt",
                    "rsa_padding_mode:oaep",
                    "-keyopt",
                    &hash,
                    "-keyopt",
                    &mask_hash,
                ];
                for label in [None, Some("rsa_oaep_label:00ff6c6162656c")] {
                    oaep.extend(label.into_iter().flat_map(|label| ["-keyopt", label]));
                    let message = encrypted(&workshop, &[&recipient[..], &oaep].concat());
                    let opened = open(&message, &device).unwrap();
                    assert_eq!(opened.bytes.expose(), CONTENT, "{oaep:?}");
                    let algorithm = &opened.facts.recipients[0].algorithm;
                    assert_eq!(
                        algorithm.ends_with("with a label"),
                        label.is_some(),
                        "{algorithm}"
                    );
                }
            }
        }
    }
}

#[test]
fn key_agreement_on_every_curve_with_every_kdf_and_wrap() {
    let workshop = Workshop::new();
    let root = workshop.authority("Test Root", KeyAlgorithm::P256);
    for curve in [KeyAlgorithm::P256, KeyAlgorithm::P384, KeyAlgorithm::P521] {
        let device = root.device_with("phone", curve, &issuance());
        for kdf in ["sha1", "sha224", "sha256", "sha384", "sha512"] {
            for (cipher, wrap) in [
                ("-aes-128-cbc", "-aes128-wrap"),
                ("-aes-128-cbc", "-aes192-wrap"),
                ("-aes-128-cbc", "-aes256-wrap"),
                // It wraps the keys of its own cipher alone.
                ("-des3", "-des3-wrap"),
            ] {
                for cofactor in ["0", "1"] {
                    let kdf = format!("ecdh_kdf_md:{kdf}");
                    let cofactor = format!("ecdh_cofactor_mode:{cofactor}");
                    let arguments = [
                        cipher,
                        wrap,
                        "-recip",
                        text(&device.certificate),
                        "-keyopt",
                        &kdf,
                        "-keyopt",
                        &cofactor,
                    ];
                    let message = encrypted(&workshop, &arguments);
                    let opened = open(&message, &device).unwrap();
                    assert_eq!(opened.bytes.expose(), CONTENT, "{arguments:?}");
                }
            }
        }
    }
}

#[test]
fn content_in_every_cipher_of_every_length_and_what_is_legacy_is_said() {
    let workshop = Workshop::new();
    let root = workshop.authority("Test Root", KeyAlgorithm::P256);
    let device = root.device("phone", KeyAlgorithm::Rsa(2048));
    for (cipher, name, kind, legacy) in [
        ("-aes-128-cbc", "AES-128-CBC", MessageKind::Enveloped, false),
        ("-aes-192-cbc", "AES-192-CBC", MessageKind::Enveloped, false),
        ("-aes-256-cbc", "AES-256-CBC", MessageKind::Enveloped, false),
        (
            "-aes-128-gcm",
            "AES-128-GCM",
            MessageKind::AuthEnveloped,
            false,
        ),
        (
            "-aes-256-gcm",
            "AES-256-GCM",
            MessageKind::AuthEnveloped,
            false,
        ),
        ("-des3", "3DES-CBC", MessageKind::Enveloped, true),
    ] {
        for length in [0, 1, 15, 16, 17, 1000, 70_000] {
            let content: Vec<u8> = (0..=u8::MAX).cycle().take(length).collect();
            let arguments = [cipher, "-recip", text(&device.certificate)];
            let message = encrypted_content(&workshop, &content, &arguments);
            let opened = open(&message, &device).unwrap();
            assert_eq!(opened.bytes.expose(), content, "{cipher} {length}");
            assert_eq!(opened.authenticated, kind == MessageKind::AuthEnveloped);
            let facts = opened.facts;
            assert_eq!(
                (facts.content_encryption.as_str(), facts.kind),
                (name, kind)
            );
            assert_eq!(facts.legacy, legacy, "{cipher}");
        }
    }
}

#[test]
fn rc2_of_every_size_in_use_is_read_as_legacy() {
    let workshop = Workshop::new();
    let root = workshop.authority("Test Root", KeyAlgorithm::P256);
    let device = root.device("phone", KeyAlgorithm::Rsa(2048));
    for (cipher, bits) in [("-rc2-40-cbc", 40), ("-rc2-64-cbc", 64), ("-rc2-cbc", 128)] {
        let providers = ["-provider", "legacy", "-provider", "default"];
        let arguments = [cipher, "-recip", text(&device.certificate)];
        let message = encrypted(&workshop, &[&providers[..], &arguments].concat());
        let opened = open(&message, &device).unwrap();
        assert_eq!(opened.bytes.expose(), CONTENT, "{cipher}");
        let facts = opened.facts;
        assert_eq!(
            facts.content_encryption,
            format!("RC2-CBC with {bits} bits")
        );
        assert!(facts.legacy);
    }
}

#[test]
fn what_is_written_in_pieces_of_indefinite_length() {
    let workshop = Workshop::new();
    let root = workshop.authority("Test Root", KeyAlgorithm::P256);
    let rsa = root.device("phone", KeyAlgorithm::Rsa(2048));
    let ec = root.device("tablet", KeyAlgorithm::P384);
    for device in [&rsa, &ec] {
        for length in [0, 28, 100_000] {
            let content: Vec<u8> = (0..=u8::MAX).cycle().take(length).collect();
            let recipient = ["-recip", text(&device.certificate)];
            let streamed = ["-stream", "-aes-256-cbc"];
            let written = encrypted_content(&workshop, &content, &[streamed, recipient].concat());
            // OpenSSL streams no AuthEnvelopedData: rewritten here, by the same rules.
            let gcm = ["-aes-256-gcm", recipient[0], recipient[1]];
            let gcm = in_pieces(&encrypted_content(&workshop, &content, &gcm));
            for message in [written, gcm] {
                assert_eq!(message[1], 0x80, "not of indefinite length");
                let opened = open(&message, device).unwrap();
                assert_eq!(opened.bytes.expose(), content, "{length}");
                assert_eq!(opened.facts.encoding, Encoding::Ber);
            }
        }
    }
}

/// A message in BER: indefinite lengths throughout, and every OCTET STRING and the content in pieces of at most 1000 bytes.
fn in_pieces(der: &[u8]) -> Vec<u8> {
    let mut ber = Vec::new();
    let mut elements = Elements::new(der);
    while let Some(element) = elements.next_element().unwrap() {
        let tag = match element.tag {
            0x80 => 0xa0,
            0x04 => 0x24,
            constructed if constructed & 0x20 != 0 => {
                ber.extend([constructed, 0x80]);
                ber.extend(in_pieces(element.content));
                ber.extend([0, 0]);
                continue;
            }
            _ => {
                ber.extend(element.raw);
                continue;
            }
        };
        ber.extend([tag, 0x80]);
        for piece in element.content.chunks(1000) {
            let length = u16::try_from(piece.len()).unwrap().to_be_bytes();
            ber.extend([0x04, 0x82, length[0], length[1]]);
            ber.extend(piece);
        }
        ber.extend([0, 0]);
    }
    ber
}

#[test]
fn several_recipients_of_every_kind_and_name_each_open_it_and_others_are_told() {
    let workshop = Workshop::new();
    let root = workshop.authority("Test Root", KeyAlgorithm::P256);
    let devices = [
        root.device_with("a", KeyAlgorithm::Rsa(2048), &issuance()),
        root.device_with("b", KeyAlgorithm::P256, &issuance()),
        root.device_with("c", KeyAlgorithm::P521, &issuance()),
        root.device_with("d", KeyAlgorithm::Rsa(3072), &issuance()),
    ];
    let stranger = root.device("stranger", KeyAlgorithm::Rsa(2048));
    for keyid in [None, Some("-keyid")] {
        let mut arguments = vec!["-aes-256-cbc"];
        arguments.extend(keyid);
        for device in &devices {
            arguments.extend(["-recip", text(&device.certificate)]);
        }
        let message = encrypted(&workshop, &arguments);
        let facts = look(&message);
        assert_eq!(facts.recipients.len(), 4);
        for recipient in &facts.recipients {
            assert_eq!(recipient.problem, None);
            match &recipient.named_by {
                Naming::IssuerAndSerialNumber { issuer, .. } => {
                    assert!(keyid.is_none());
                    assert_eq!(issuer, "CN=Test Root");
                }
                Naming::SubjectKeyIdentifier { identifier } => {
                    assert!(keyid.is_some());
                    assert_eq!(identifier.len(), 40);
                }
                other => panic!("{other:?}"),
            }
        }
        for device in &devices {
            assert_eq!(open(&message, device).unwrap().bytes.expose(), CONTENT);
        }
        assert_eq!(
            refusal(&message, &stranger),
            CmsError::NoRecipient { count: 4 }
        );
    }
}

#[test]
fn what_is_not_supported_is_refused_by_name_and_never_as_a_wrong_key() {
    let workshop = Workshop::new();
    let root = workshop.authority("Test Root", KeyAlgorithm::P256);
    let rsa = root.device("phone", KeyAlgorithm::Rsa(2048));
    let ec = root.device("tablet", KeyAlgorithm::P256);
    let secret = "00112233445566778899aabbccddeeff";
    for (arguments, device, name) in [
        (vec!["-aes-192-gcm"], &rsa, "AES-192-GCM"),
        (vec!["-camellia128"], &rsa, "camellia"),
        (
            vec![
                "-aes-128-cbc",
                "-recip",
                text(&rsa.certificate),
                "-keyopt",
                "rsa_padding_mode:oaep",
                "-keyopt",
                "rsa_oaep_md:sha3-256",
            ],
            &rsa,
            "SHA3-256",
        ),
    ] {
        let mut arguments = arguments;
        if !arguments.contains(&"-recip") {
            arguments.extend(["-recip", text(&device.certificate)]);
        }
        let message = encrypted(&workshop, &arguments);
        let error = refusal(&message, device);
        assert_eq!(error.code(), "unsupported_algorithm", "{arguments:?}");
        let said = error.to_string();
        assert!(
            said.to_lowercase().contains(&name.to_lowercase()),
            "{said} does not name {name}"
        );
        let facts = look(&message);
        assert!(facts.problem.is_some() || facts.recipients[0].problem.is_some());
    }
    // OpenSSL writes no AES-CCM; what names it is the same message under another object identifier.
    let mut message = encrypted(
        &workshop,
        &["-aes-128-gcm", "-recip", text(&rsa.certificate)],
    );
    let aes = [0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01];
    let at = message.windows(8).position(|window| window == aes).unwrap() + 8;
    assert_eq!(std::mem::replace(&mut message[at], 7), 6);
    let said = refusal(&message, &rsa).to_string();
    assert!(said.contains("AES-128-CCM"), "{said}");
    // Passwords and shared keys are no recipients of ours, and do not stand in the way of one who is.
    let arguments = [
        "-aes-128-cbc",
        "-secretkey",
        secret,
        "-secretkeyid",
        "01",
        "-pwri_password",
        "password",
        "-recip",
        text(&rsa.certificate),
    ];
    let message = encrypted(&workshop, &arguments);
    assert_eq!(open(&message, &rsa).unwrap().bytes.expose(), CONTENT);
    assert_eq!(refusal(&message, &ec), CmsError::NoRecipient { count: 3 });
    let problems = look(&message)
        .recipients
        .into_iter()
        .filter_map(|recipient| recipient.problem)
        .collect::<Vec<_>>()
        .join("\n");
    assert!(problems.contains("PasswordRecipientInfo"), "{problems}");
    assert!(problems.contains("KEKRecipientInfo"), "{problems}");
}

/// RFC 5280 section 4.1 wants DER, which sorts the attributes of one step of a name; not every authority does.
#[test]
fn an_issuer_whose_name_is_not_sorted_is_found_as_its_certificate_writes_it() {
    let workshop = Workshop::new();
    let attribute = |oid: u8, value: &[u8; 3]| {
        [&[0x30, 10, 6, 3, 0x55, 4, oid, 12, 3], value.as_slice()].concat()
    };
    let (name, organisation) = (attribute(3, b"aaa"), attribute(10, b"bbb"));
    let (sorted, turned) = (
        [name.clone(), organisation.clone()].concat(),
        [organisation, name].concat(),
    );
    for algorithm in [KeyAlgorithm::Rsa(2048), KeyAlgorithm::P256] {
        let key = workshop.key(algorithm);
        let made = workshop.fresh(".der");
        openssl(&[
            "req",
            "-x509",
            "-key",
            text(&key),
            "-subj",
            "/CN=aaa+O=bbb",
            "-outform",
            "DER",
            "-out",
            text(&made),
        ]);
        let mut der = std::fs::read(&made).unwrap();
        let places: Vec<usize> = (0..der.len())
            .filter(|place| der[*place..].starts_with(&sorted))
            .collect();
        assert_eq!(places.len(), 2, "issuer and subject");
        for place in places {
            der[place..place + turned.len()].copy_from_slice(&turned);
        }
        let certificate = workshop.fresh(".pem");
        let from = workshop.file(&der);
        let to = text(&certificate);
        openssl(&["x509", "-inform", "DER", "-in", text(&from), "-out", to]);
        let device = Device::of(&workshop, certificate, key);
        assert_eq!(device.der(), der, "OpenSSL left it as it was");
        let recipient = ["-aes-256-cbc", "-recip", text(&device.certificate)];
        let message = encrypted(&workshop, &recipient);
        assert!(message.windows(turned.len()).any(|part| part == turned));
        assert_eq!(open(&message, &device).unwrap().bytes.expose(), CONTENT);
    }
}
