//! What a formats process in a stranger's hand may say of a PFX, and that it gets nothing delivered by it.

use super::openssl::{Authority, DEVICE, Device, Issuance, KeyAlgorithm, Workshop, openssl, text};
use fips::secret::{PrivateKey, SecretBytes};
use hsm::Padding;
use pfx_connector::encoding::{Base64Bytes, hex};
use pfx_connector::engine::formats::opening::ClaimedIdentity;
use pfx_connector::engine::recrypt::identity::{IdentityError, VerifiedIdentity, verify};
use pfx_connector::record::Record;

fn record(user: &str, certificate: &[u8]) -> Record {
    Record {
        user_principal_name: user.to_owned(),
        thumbprint: hex(fips::digest::digest(fips::digest::Hash::Sha1, certificate).as_ref()),
        provider_name: "p".to_owned(),
        key_name: "k".to_owned(),
        custody_key: None,
        padding: Padding::OaepSha256,
        encrypted_password: Base64Bytes(vec![1]),
        importer_signature: None,
    }
}

fn pkcs8(device: &Device<'_>) -> PrivateKey {
    let arguments = ["pkcs8", "-topk8", "-nocrypt", "-outform", "DER", "-in"];
    let der = openssl(&[&arguments[..], &[text(&device.key)]].concat());
    PrivateKey::new(SecretBytes::from_vec(der))
}

fn claim(key: &Device<'_>, certificate: &Device<'_>, others: Vec<Vec<u8>>) -> ClaimedIdentity {
    ClaimedIdentity {
        pkcs8: pkcs8(key),
        certificate: certificate.der(),
        others,
    }
}

fn person<'a>(authority: &Authority<'a>, algorithm: KeyAlgorithm, names: &str) -> Device<'a> {
    let issuance = Issuance {
        extensions: format!("{DEVICE}\n{names}"),
        ..Issuance::default()
    };
    authority.device_with("somebody", algorithm, &issuance)
}

fn refused(result: Result<VerifiedIdentity, IdentityError>) -> IdentityError {
    result.err().unwrap()
}

#[test]
fn only_the_records_certificate_and_its_own_key_are_accepted() {
    let workshop = Workshop::new();
    let authority = workshop.authority("Mail", KeyAlgorithm::P256);
    for algorithm in [
        KeyAlgorithm::Rsa(2048),
        KeyAlgorithm::P256,
        KeyAlgorithm::P384,
        KeyAlgorithm::P521,
    ] {
        let ada = person(&authority, algorithm, "");
        let eve = person(&authority, algorithm, "");
        let record = record("ada@example.org", &ada.der());
        let good = verify(&record, claim(&ada, &ada, Vec::new()), false).unwrap();
        assert_eq!(good.certificate(), ada.der());
        assert_eq!(&good.not_before()[..8], b"20200101");
        let other = verify(&record, claim(&eve, &eve, Vec::new()), false);
        assert_eq!(refused(other), IdentityError::OtherCertificate);
        let key = verify(&record, claim(&eve, &ada, Vec::new()), false);
        assert_eq!(refused(key), IdentityError::OtherKey);
        let no_key = ClaimedIdentity {
            pkcs8: PrivateKey::from_slice(b"no key"),
            ..claim(&ada, &ada, Vec::new())
        };
        assert_eq!(
            refused(verify(&record, no_key, false)),
            IdentityError::OtherKey
        );
    }
}

#[test]
fn other_certificates_go_on_only_along_signatures() {
    let workshop = Workshop::new();
    let root = workshop.authority("Root", KeyAlgorithm::P384);
    let issuing = root.intermediate("Issuing", KeyAlgorithm::Rsa(2048));
    // The same name, another key.
    let namesake = root.intermediate("Issuing", KeyAlgorithm::Rsa(2048));
    let ada = person(&issuing, KeyAlgorithm::Rsa(2048), "");
    let stranger = person(&root, KeyAlgorithm::P256, "");
    let secret = b"a key of somebody else, smuggled".to_vec();
    let others = vec![
        secret,
        stranger.der(),
        namesake.der(),
        root.der(),
        issuing.der(),
        issuing.der(),
    ];
    let record = record("ada@example.org", &ada.der());
    let verified = verify(&record, claim(&ada, &ada, others), false).unwrap();
    assert_eq!(verified.chain(), [issuing.der(), root.der()]);
}

#[test]
fn the_key_goes_on_without_its_attributes() {
    let workshop = Workshop::new();
    let authority = workshop.authority("Mail", KeyAlgorithm::P256);
    let ada = person(&authority, KeyAlgorithm::P256, "");
    let plain = pkcs8(&ada);
    // attributes [0] of PrivateKeyInfo: a set with one attribute, whose value is what somebody wants to get out.
    let attribute = [
        &[
            0xa0, 0x15, 0x30, 0x13, 0x06, 0x03, 0x55, 0x04, 0x03, 0x31, 0x0c, 0x0c, 0x0a,
        ][..],
        b"SMUGGLED!!",
    ]
    .concat();
    let mut with = plain.expose().to_vec();
    with.extend_from_slice(&attribute);
    assert_eq!(&with[..2], &[0x30, 0x81], "a length of one byte after 0x81");
    with[2] += u8::try_from(attribute.len()).unwrap();
    let claimed = ClaimedIdentity {
        pkcs8: PrivateKey::new(SecretBytes::from_vec(with)),
        ..claim(&ada, &ada, Vec::new())
    };
    let record = record("ada@example.org", &ada.der());
    match verify(&record, claimed, false) {
        Ok(verified) => assert_eq!(verified.pkcs8().expose(), plain.expose()),
        // A module that takes no attributes refuses the key.
        Err(error) => assert_eq!(error, IdentityError::OtherKey),
    }
}

#[test]
fn where_it_is_asked_for_the_certificate_names_the_user() {
    let workshop = Workshop::new();
    let authority = workshop.authority("Mail", KeyAlgorithm::P256);
    const PRINCIPAL: &str = "otherName:1.3.6.1.4.1.311.20.2.3;UTF8:ada@corp.example";
    let names =
        format!("subjectAltName = DNS:host.example, email:Ada.Lovelace@Example.org, {PRINCIPAL}");
    let ada = person(&authority, KeyAlgorithm::P256, &names);
    let nobody = person(&authority, KeyAlgorithm::P256, "");
    let ask = |user: &str, whose: &Device<'_>, names_user| {
        let record = record(user, &whose.der());
        verify(&record, claim(whose, whose, Vec::new()), names_user).map(drop)
    };
    for user in ["ada.lovelace@example.org", "ADA@corp.example"] {
        assert_eq!(ask(user, &ada, true), Ok(()), "{user}");
    }
    for user in [
        "ada@example.org",
        "host.example",
        "lovelace@example.org",
        "",
    ] {
        assert_eq!(
            ask(user, &ada, true),
            Err(IdentityError::OtherUser { any: true }),
            "{user}"
        );
        assert_eq!(ask(user, &ada, false), Ok(()), "{user}");
    }
    let unnamed = ask("ada@example.org", &nobody, true);
    assert_eq!(unnamed, Err(IdentityError::OtherUser { any: false }));
}
