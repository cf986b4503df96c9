//! The examples of RFC 4134, read in place (see tests/data/README.md): those that are encrypted to Bob open, the others are refused by the name
//! of what they are.
//!
//! All of its encryption is of the year 2000: RSA keys of 1024 bits, PKCS#1 v1.5, 3DES and RC2 with 40 bits. So all of it is read as legacy.

use super::openssl::{Workshop, openssl, text};
use super::{SecretBytes, begin, open_with};
use formats::cms::{self, CmsError, CmsLimits, MessageKind};
use std::path::PathBuf;

/// The folder of the examples, `None` (after saying so) where there is none and that is allowed.
fn examples() -> Option<PathBuf> {
    let corpora = std::env::var_os("CORPORA_DIR").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpora"),
        PathBuf::from,
    );
    let folder = corpora.join("cms/rfc4134");
    if folder.is_dir() {
        return Some(folder);
    }
    let missing = format!("no examples in {} (set CORPORA_DIR)", folder.display());
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{missing}");
    eprintln!("NOT RUN: {missing}");
    None
}

/// The CMS message of an S/MIME file.
fn of_mail(mail: &str) -> Vec<u8> {
    let (_, body) = mail
        .split_once("\r\n\r\n")
        .or_else(|| mail.split_once("\n\n"))
        .unwrap();
    let workshop = Workshop::new();
    let base64 = workshop.file(body.trim().as_bytes());
    openssl(&["base64", "-d", "-in", text(&base64)])
}

#[test]
fn what_is_encrypted_to_bob_opens_with_bobs_key_to_the_sample_content() {
    let Some(folder) = examples() else { return };
    begin();
    let read = |name: &str| std::fs::read(folder.join(name)).unwrap();
    let certificate = read("BobRSASignByCarl.cer");
    let key = SecretBytes::from_vec(read("BobPrivRSAEncrypt.pri"));
    let content = read("ExContent.bin");
    let mail = of_mail(&String::from_utf8(read("5.3.eml")).unwrap());
    for (name, message, cipher, recipients) in [
        ("5.1", read("5.1.bin"), "3DES-CBC", 1),
        ("5.2", read("5.2.bin"), "RC2-CBC with 40 bits", 2),
        ("5.3", mail, "3DES-CBC", 1),
    ] {
        let opened = open_with(&message, &certificate, &key).unwrap();
        assert_eq!(opened.bytes.expose(), content, "{name}");
        let facts = opened.facts;
        assert_eq!(facts.content_encryption, cipher, "{name}");
        assert!(facts.legacy, "{name}");
        assert_eq!(facts.kind, MessageKind::Enveloped);
        assert_eq!(facts.recipients.len(), recipients, "{name}");
        assert_eq!(facts.recipients[0].algorithm, "RSAES-PKCS1-v1_5");
    }
    // Another recipient's key, of the right kind: Diane is in none of them.
    let certificate = read("DianeRSASignByCarl.cer");
    let key = SecretBytes::from_vec(read("DianePrivRSASignEncrypt.pri"));
    assert_eq!(
        open_with(&read("5.2.bin"), &certificate, &key)
            .err()
            .unwrap(),
        CmsError::NoRecipient { count: 2 }
    );
}

#[test]
fn every_other_example_is_refused_by_the_name_of_what_it_is() {
    let Some(folder) = examples() else { return };
    begin();
    let mut refused = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let expected = match name.as_str() {
            "3.1.bin" | "3.2.bin" => Some("data"),
            "4.8.eml" | "4.9.eml" | "5.3.eml" | "5.1.bin" | "5.2.bin" => continue,
            _ if name.starts_with("4.") => Some("SignedData"),
            "6.0.bin" => Some("DigestedData"),
            "7.1.bin" | "7.2.bin" => Some("EncryptedData"),
            // Certificates, revocation lists, keys and the content: no messages at all.
            _ => None,
        };
        let error = cms::look_at(&std::fs::read(&path).unwrap(), &CmsLimits::default())
            .err()
            .unwrap_or_else(|| panic!("{name} was taken for an envelope"));
        match expected {
            Some(what) => {
                assert_eq!(error.code(), "not_enveloped", "{name}: {error}");
                assert!(error.to_string().contains(what), "{name}: {error}");
            }
            None => assert_eq!(error.code(), "malformed", "{name}: {error}"),
        }
        refused += 1;
    }
    assert_eq!(refused, 35);
}
