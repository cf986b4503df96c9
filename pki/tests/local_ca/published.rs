//! What the authority publishes: revocation lists and OCSP answers.

use super::openssl::{KeyAlgorithm, Workshop, text, try_openssl};
use super::pkilint::lint;
use super::{ANNA, Ca, DAY, MAIL, crl_pem, csr, now, pem, profile, published, start, verify};
use fips::sign::{KeyKind, SignatureAlgorithm, SigningKey};
use pki::crl::{Entry, List};
use pki::issue::{self, Certificate, Purpose};
use pki::ocsp::{CertId, IdHash, Query, Responder, Single, Status, Unanswered};
use pki::{KeyAndAlgorithm, Signer};
use std::path::Path;
use std::str::FromStr;
use x509_cert::ext::pkix::CrlReason;
use x509_cert::name::Name;

fn list(number: u64, base: Option<u64>, entries: Vec<Entry>) -> List {
    List {
        number,
        base,
        this_update: now(),
        next_update: now() + DAY,
        entries,
        published_at: published().crl,
        delta_at: published().delta_crl,
    }
}

fn entry(of: &Certificate, reason: CrlReason) -> Entry {
    Entry {
        serial: of.serial.clone(),
        revoked_at: now(),
        reason,
    }
}

#[test]
fn full_and_delta_lists_revoke_hold_and_release() {
    start();
    let shop = Workshop::new();
    let ca = Ca::root(&shop, KeyKind::EcP256, SignatureAlgorithm::EcdsaP256Sha256);
    let key = shop.key(KeyAlgorithm::P256);
    let request = csr(&shop, &key, ANNA, MAIL);
    let mail = profile(Purpose::SmimeSigning);
    let [good, revoked, held] = [0; 3].map(|_| ca.issue(&mail, &request).unwrap());
    let sign = |list: &List| {
        let file = crl_pem(&shop, &list.sign(&ca.authority, &ca.signer()).unwrap());
        lint("lint_crl", &["--type", "CRL", "--profile", "PKIX"], &file);
        file
    };
    let first = vec![
        entry(&revoked, CrlReason::KeyCompromise),
        entry(&held, CrlReason::CertificateHold),
    ];
    let full = sign(&list(1, None, first));
    let check = |lists: &[&Path], of: &Certificate| {
        let mut arguments = vec!["-crl_check", "-use_deltas", "-extended_crl"];
        for list in lists {
            arguments.extend(["-CRLfile", text(list)]);
        }
        verify(&ca.file, &arguments, &pem(&shop, &of.der))
    };
    let revoked_now = |outcome: Result<(), String>| {
        assert!(
            outcome
                .as_ref()
                .is_err_and(|said| said.contains("certificate revoked")),
            "{outcome:?}"
        );
    };
    check(&[&full], &good).unwrap();
    revoked_now(check(&[&full], &revoked));
    revoked_now(check(&[&full], &held));
    // The delta takes the hold back and revokes another one.
    let delta = sign(&list(
        2,
        Some(1),
        vec![
            entry(&held, CrlReason::RemoveFromCRL),
            entry(&good, CrlReason::Unspecified),
        ],
    ));
    check(&[&full, &delta], &held).unwrap();
    revoked_now(check(&[&full, &delta], &good));
    revoked_now(check(&[&full, &delta], &revoked));
    let empty = sign(&list(3, None, Vec::new()));
    check(&[&empty], &good).unwrap();

    for wrong in [
        list(4, None, vec![entry(&held, CrlReason::RemoveFromCRL)]),
        list(4, Some(4), Vec::new()),
        List {
            next_update: now() - DAY,
            ..list(4, None, Vec::new())
        },
    ] {
        assert!(wrong.sign(&ca.authority, &ca.signer()).is_err());
    }
}

#[test]
fn ocsp_answers_of_a_delegated_responder_satisfy_openssl() {
    start();
    let shop = Workshop::new();
    let ca = Ca::root(&shop, KeyKind::EcP256, SignatureAlgorithm::EcdsaP256Sha256);
    let request = csr(&shop, &shop.key(KeyAlgorithm::P256), ANNA, MAIL);
    let made = ca.issue(&profile(Purpose::SmimeSigning), &request).unwrap();
    let certificate = pem(&shop, &made.der);

    let key = SigningKey::generate(KeyKind::EcP256).unwrap();
    let responder = KeyAndAlgorithm::new(&key, SignatureAlgorithm::EcdsaP256Sha256);
    let delegated = issue::responder(
        &ca.authority,
        &Name::from_str("CN=Example OCSP").unwrap(),
        responder.spki_der(),
        &issue::new_serial().unwrap(),
        (DAY * 14, now()),
        &ca.signer(),
    )
    .unwrap();
    lint("lint_pkix_cert", &[], &pem(&shop, &delegated.der));

    for digest in ["-sha1", "-sha256"] {
        let asked = shop.fresh(".ocsp");
        try_openssl(&[
            "ocsp",
            digest,
            "-issuer",
            text(&ca.file),
            "-cert",
            text(&certificate),
            "-reqout",
            text(&asked),
        ])
        .unwrap();
        let asked_der = std::fs::read(&asked).unwrap();
        let query = Query::read(&asked_der).unwrap();
        assert!(query.nonce.is_some() && query.asked.len() == 1);
        let one = &query.asked[0];
        assert_eq!(one.serial, made.serial);
        assert!(one.is_of(ca.authority.subject_der(), ca.authority.spki_der()));
        assert!(!one.is_of(ca.authority.subject_der(), responder.spki_der()));
        let hash = one.hash.unwrap();
        assert_eq!(hash == IdHash::Sha1, digest == "-sha1");
        let revoked = Status::Revoked {
            at: now(),
            reason: CrlReason::KeyCompromise,
        };
        for (status, expected) in [
            (Status::Good, ": good"),
            (revoked, "Reason: keyCompromise"),
            (Status::Unknown, ": unknown"),
        ] {
            let single = Single {
                id: CertId::of(
                    hash,
                    ca.authority.subject_der(),
                    ca.authority.spki_der(),
                    &one.serial,
                )
                .unwrap(),
                status,
            };
            let answer = Responder {
                certificate_der: &delegated.der,
                this_update: now(),
                next_update: now() + DAY,
            }
            .answer(&[single], query.nonce.as_deref(), &responder)
            .unwrap();
            let file = shop.file(&answer);
            lint("lint_ocsp_response", &[], &file);
            let said = try_openssl(&[
                "ocsp",
                "-no_nonce",
                "-respin",
                text(&file),
                "-issuer",
                text(&ca.file),
                digest,
                "-cert",
                text(&certificate),
                "-CAfile",
                text(&ca.file),
                "-resp_text",
            ])
            .unwrap();
            let said = String::from_utf8(said).unwrap();
            assert!(said.contains(expected), "{said}");
            assert!(said.contains("Nonce"), "{said}");
        }
        for cut in 0..asked_der.len() {
            assert!(Query::read(&asked_der[..cut]).is_err());
        }
    }
    for (why, expected) in [
        (Unanswered::MalformedRequest, ":01"),
        (Unanswered::InternalError, ":02"),
        (Unanswered::TryLater, ":03"),
        (Unanswered::Unauthorized, ":06"),
    ] {
        let file = shop.file(&pki::ocsp::refusal(why));
        let said = try_openssl(&["asn1parse", "-inform", "DER", "-in", text(&file)]).unwrap();
        let said = String::from_utf8(said).unwrap();
        assert!(
            said.contains("ENUMERATED") && said.contains(expected),
            "{said}"
        );
    }
}
