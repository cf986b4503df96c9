//! Names and local key ids: shown without what could deceive, kept and written as they are.

use super::asn1::{bag, certificate, der, pfx, sequence, x509};
use super::open;
use super::openssl::{KeyAlgorithm, Workshop};
use super::structure::{CERTIFICATE, KEY, pkcs8};
use fips::secret::SecretBytes;
use formats::pfx::write::{Entries, Form, WriteOptions, changes, write};
use formats::pfx::{OpenedPfx, PfxLimits, read};

const PASSWORD: &[u8] = b"another password, of 32 letters.";

fn utf16(name: &str) -> Vec<u8> {
    name.encode_utf16().flat_map(u16::to_be_bytes).collect()
}

/// friendlyName (content of a BMPString) and localKeyId.
fn attributes(name: &[u8], id: &[u8]) -> Vec<u8> {
    let attribute = |number: u8, tag: u8, value: &[u8]| {
        let oid = [
            b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x09".as_slice(),
            &[number],
        ]
        .concat();
        sequence(&[&oid, &der(0x31, &der(tag, value))])
    };
    der(
        0x31,
        &[attribute(20, 0x1e, name), attribute(21, 0x04, id)].concat(),
    )
}

struct Files {
    key: Vec<u8>,
    certificate: Vec<u8>,
}

impl Files {
    fn new() -> Self {
        let workshop = Workshop::new();
        let root = workshop.authority("Root", KeyAlgorithm::P256);
        let device = root.device("ada", KeyAlgorithm::P256);
        Self {
            key: pkcs8(&device.key),
            certificate: device.der(),
        }
    }

    /// Both with this name and id.
    fn opened(&self, name: &[u8], id: &[u8]) -> OpenedPfx {
        let attributes = attributes(name, id);
        let bags = [
            bag(KEY, &self.key, &attributes),
            bag(CERTIFICATE, &certificate(&self.certificate), &attributes),
        ];
        open(&pfx(&der(0x30, &bags.concat())), "").unwrap()
    }
}

/// What is told of the changes when all of it is written again.
fn told(opened: &OpenedPfx) -> Vec<String> {
    let password = SecretBytes::from_slice(PASSWORD);
    let options = WriteOptions::new(Form::Approved)
        .with_iterations(1000)
        .unwrap();
    let written = write(&Entries::of(opened), &password, &options).unwrap();
    changes(
        opened,
        &read(&written, &password, &PfxLimits::default()).unwrap(),
    )
}

#[test]
fn ids_that_would_join_the_wrong_ones_are_replaced_and_that_is_told() {
    let files = Files::new();
    let other = x509("other", "other", &[]);
    let id = attributes(&utf16("a"), b"1");
    let bags = [
        bag(KEY, &files.key, &id),
        bag(CERTIFICATE, &certificate(&files.certificate), &id),
        bag(CERTIFICATE, &certificate(&other), &id),
    ];
    let opened = open(&pfx(&der(0x30, &bags.concat())), "").unwrap();
    let told = told(&opened);
    assert_eq!(told.len(), 1);
    assert!(
        told[0].starts_with("3 local key ids were replaced"),
        "{told:?}"
    );
}

#[test]
fn names_and_ids_are_written_as_they_were() {
    let files = Files::new();
    let long = "n".repeat(300);
    for (name, id) in [
        // Persian: without the joiner that does not show, another word.
        (
            "\u{645}\u{6cc}\u{200c}\u{62e}\u{648}\u{627}\u{647}\u{645}",
            vec![1; 20],
        ),
        // A family of three, which is one sign.
        ("\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}", vec![2; 129]),
        (long.as_str(), vec![3; 256]),
        ("a line\nand another", vec![4; 1024]),
    ] {
        let opened = files.opened(&utf16(name), &id);
        assert_eq!(opened.keys()[0].stored_name(), Some(name));
        assert_eq!(opened.certificates()[0].stored_name(), Some(name));
        assert!(opened.keys()[0].name_is_whole());
        let shown = opened.keys()[0].friendly_name().unwrap();
        assert!(shown.chars().all(formats::text::is_printable), "{shown:?}");
        assert!(shown.chars().count() <= 256);
        for form in Form::ALL {
            let password = SecretBytes::from_slice(PASSWORD);
            let options = WriteOptions::new(form).with_iterations(1000).unwrap();
            let written = write(&Entries::of(&opened), &password, &options).unwrap();
            // The attributes of a key are in clear.
            let holds = |bytes: &[u8]| written.windows(bytes.len()).any(|part| part == bytes);
            assert!(holds(&utf16(name)), "{form}, {name:?}");
            assert!(holds(&id), "{form}, an id of {} bytes", id.len());
            let back = read(&written, &password, &PfxLimits::default()).unwrap();
            assert_eq!(changes(&opened, &back), [""; 0]);
            assert_eq!(back.keys()[0].stored_name(), Some(name));
            assert_eq!(back.certificates()[0].stored_name(), Some(name));
            assert_eq!(back.keys()[0].local_key_id(), Some(id.as_slice()));
            assert_eq!(back.certificates()[0].local_key_id(), Some(id.as_slice()));
        }
    }
}

#[test]
fn what_cannot_be_kept_of_a_name_or_an_id_is_known() {
    let files = Files::new();
    let surrogate_at_the_end = "n".repeat(1023) + "\u{1f511}";
    for (name, stored) in [
        (utf16(&"n".repeat(1025)), "n".repeat(1024)),
        (utf16(&surrogate_at_the_end), "n".repeat(1023)),
        (utf16("a\0b"), "a".to_owned()),
        (b"\xd8\x3d\x00a".to_vec(), "\u{fffd}a".to_owned()),
    ] {
        let opened = files.opened(&name, b"1");
        let key = &opened.keys()[0];
        assert_eq!(key.stored_name(), Some(stored.as_str()));
        assert!(!key.name_is_whole() && !opened.certificates()[0].name_is_whole());
        // It can be written all the same, and is told.
        let told = told(&opened);
        assert!(told[0].starts_with("2 names were not kept"), "{told:?}");
        assert_eq!(told.len(), 1);
    }
    assert!(files.opened(&utf16("a\0"), b"1").keys()[0].name_is_whole());
    let opened = files.opened(&utf16("a"), &[5; 1025]);
    assert_eq!(opened.keys()[0].local_key_id(), None);
    let told = told(&opened);
    assert!(told[0].contains("1.2.840.113549.1.9.21"), "{told:?}");
    for bag in opened.survey().bags() {
        assert!(bag.broken_attributes[0].contains("1.2.840.113549.1.9.21"));
    }
}
