//! A token that does not destroy what it is told to. One test, for there is one control file.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod support;

use hsm::pkcs11::{GenerateKey, Pkcs11Custody};
use hsm::public_key::PublicKey;
use hsm::{Error, KeyInfo, KeyLifeProblem};
use support::{TestToken, command, faulty_softhsm};

fn replicable(custody: &Pkcs11Custody, label: &str) -> KeyInfo {
    custody
        .generate_replicable(&GenerateKey {
            label: label.into(),
            id: None,
            modulus_bits: 2048,
            always_authenticate: false,
        })
        .unwrap()
}

fn problem<T>(result: Result<T, Error>) -> KeyLifeProblem {
    match result {
        Err(Error::Life(problem)) => problem,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it worked"),
    }
}

#[test]
fn what_a_token_does_not_destroy_is_told_and_never_said_to_be_gone() {
    let (module, control) = faulty_softhsm();
    let (source, target) = (TestToken::new(module), TestToken::new(module));
    let (from, to) = (source.open(), target.open());
    let (wanted, other) = (replicable(&from, "wanted"), replicable(&from, "other"));
    let public = PublicKey::from_spki_der(&wanted.spki_der).unwrap();

    let transport = to.make_transport_key(2048).unwrap();
    let wrong = from.wrap_for(&other.fingerprint, &transport).unwrap();
    command(&control, "no-destroy");
    let left = problem(to.unwrap(&transport.fingerprint, &wrong, &public, "wrong"));
    assert!(matches!(left, KeyLifeProblem::LeftBehind(_)), "{left}");
    command(&control, "");
    let audit = to.audit().unwrap();
    assert!(
        audit
            .iter()
            .any(|key| key.fingerprint == Some(other.fingerprint)),
        "and it is there indeed"
    );
    to.destroy(&other.fingerprint).unwrap();

    // Refused, or said and not done: the copy works, and the transport key is named.
    for fault in ["no-destroy", "keep-objects"] {
        let transport = to.make_transport_key(2048).unwrap();
        let right = from.wrap_for(&wanted.fingerprint, &transport).unwrap();
        command(&control, fault);
        assert_eq!(
            problem(to.unwrap(&transport.fingerprint, &right, &public, "copy")),
            KeyLifeProblem::TransportLeft(transport.fingerprint),
            "{fault}"
        );
        assert!(
            problem(to.unwrap(&transport.fingerprint, &right, &public, "copy"))
                == KeyLifeProblem::AlreadyThere(wanted.fingerprint)
        );
        command(&control, "");
        to.destroy(&transport.fingerprint).unwrap();
        to.destroy(&wanted.fingerprint).unwrap();
    }

    command(&control, "keep-objects");
    assert_eq!(
        problem(from.destroy(&wanted.fingerprint)),
        KeyLifeProblem::StillThere(wanted.fingerprint)
    );
    command(&control, "no-destroy");
    let refused = problem(from.destroy(&wanted.fingerprint));
    assert!(
        matches!(refused, KeyLifeProblem::Refused { .. }),
        "{refused}"
    );
    command(&control, "");
    let done = from.destroy(&wanted.fingerprint).unwrap();
    assert_eq!((done.private_halves, done.public_halves), (1, 1));
}
