#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]
use super::names::Kind;
use super::*;
use fips::sign::{KeyKind, SigningKey};
use pki::KeyAndAlgorithm;
use pki::csr::{Request, create};
use pki::extension::Extensions;
use pki::name::{Lengths, SubjectTemplate};
use pki::san::{SanKind, SubjectAltName};
use pki::template::Values;

/// A CSR as the engine makes it, with its key.
fn csr() -> (Vec<u8>, SigningKey) {
    let subject =
        SubjectTemplate::parse("CN=Ada Lovelace,OU=Analysis,O=\"Engines, Inc.\"").unwrap();
    let name = |kind, text| SubjectAltName::new(kind, text).unwrap();
    let request = Request {
        subject: subject.fill(&Values::new(), Lengths::Rfc5280).unwrap(),
        extensions: Extensions {
            alt_names: vec![
                name(SanKind::Email, "Ada@example.org"),
                name(SanKind::Upn, "ada@corp.example.org"),
                name(SanKind::Dns, "host.example.org"),
                name(
                    SanKind::Uri,
                    "tag:microsoft.com,2022-09-14:sid:S-1-5-21-1-2-3-1001",
                ),
            ],
            ..Extensions::default()
        },
        challenge_password: None,
    };
    let key = SigningKey::generate(KeyKind::EcP256).unwrap();
    let csr = create(&request, &KeyAndAlgorithm::new(&key, key.algorithm())).unwrap();
    (csr, key)
}

fn found(csr: &[u8]) -> Option<Vec<(Kind, String)>> {
    let layout = request::read(csr)?;
    let names = names_in(csr, layout.subject, layout.subject_alt_name)?;
    Some(
        names
            .into_iter()
            .map(|name| (name.kind, name.text))
            .collect(),
    )
}

#[test]
fn what_a_request_of_ours_asks_for_is_found_and_where_somebody_belongs_is_left_out() {
    let (csr, key) = csr();
    let text = |text: &str| text.to_owned();
    assert_eq!(
        found(&csr).unwrap(),
        [
            (Kind::Email, text("Ada@example.org")),
            (Kind::Principal, text("ada@corp.example.org")),
            (Kind::Dns, text("host.example.org")),
            (
                Kind::Uri,
                text("tag:microsoft.com,2022-09-14:sid:S-1-5-21-1-2-3-1001")
            ),
            (Kind::Attribute, text("Ada Lovelace")),
        ]
    );
    let layout = request::read(&csr).unwrap();
    assert!(same_key(layout.spki.of(&csr).unwrap(), key.spki_der()));
}

#[test]
fn a_cut_or_changed_request_is_refused_or_is_another_one() {
    let (csr, _) = csr();
    for at in 0..csr.len() {
        assert_eq!(found(&csr[..at]), None, "{at}");
        for change in [0x01, 0x80, 0xff] {
            let mut changed = csr.clone();
            changed[at] ^= change;
            // Whatever it is: no certificate fits it that is none.
            let told = verify(&changed, b"no certificate", &[], 0).unwrap_err();
            assert!(
                matches!(told, IssuedError::Csr | IssuedError::Malformed),
                "{at}: {told}"
            );
        }
    }
    let longer = [csr.as_slice(), &[0]].concat();
    assert_eq!(found(&longer), None);
}
