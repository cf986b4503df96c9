//! Messages of CMP as OpenSSL wrote them (tests/data/README.md): read, verified, and changed at every place.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

use fips::policy::{Exception, Policy};
use fips::secret::SecretBytes;
use pki::cmp::{
    Body, CmpError, Failure, Kind, MAX_MESSAGE_BYTES, Message, PkiStatus, Transaction, Trust,
    Verifier,
};
use std::time::{Duration, SystemTime};

fn start() {
    fips::start(Policy::strict_except([Exception::CmpSharedSecret])).unwrap();
}

fn file(name: &str) -> Vec<u8> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/cmp/");
    std::fs::read(format!("{folder}{name}.der")).unwrap()
}

const ANSWERS: [&str; 10] = [
    "cp-implicit",
    "cp-rejected",
    "cp-waiting",
    "error",
    "genp",
    "ip",
    "kup",
    "pkiconf",
    "poll-rep",
    "rp",
];

fn trust() -> Trust {
    Trust::new(&[file("root")], &[], &[]).unwrap()
}

/// When they were valid, and still are.
fn then() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_900_000_000)
}

fn verified(message: &Message) -> Result<(), CmpError> {
    message.verify(&Verifier::Signature {
        trust: &trust(),
        now: then(),
    })
}

#[test]
fn what_openssl_answers_verifies_and_means_what_it_was_told_to_say() {
    start();
    for name in ANSWERS {
        let message = Message::read(&file(name)).unwrap();
        verified(&message).unwrap_or_else(|error| panic!("{name}: {error}"));
        match (name, &message.body) {
            ("cp-implicit", Body::CertRep(Kind::Cp, rep)) => {
                assert!(message.header.confirms_implicitly());
                assert!(rep.responses[0].certificate.is_some());
            }
            ("ip", Body::CertRep(Kind::Ip, rep)) => {
                assert_eq!(rep.ca_pubs, [file("root")]);
                assert_eq!(rep.responses[0].status.status, PkiStatus::Accepted);
            }
            ("kup", Body::CertRep(Kind::Kup, rep)) => assert_eq!(rep.responses.len(), 1),
            ("cp-rejected", Body::CertRep(Kind::Cp, rep)) => {
                let status = &rep.responses[0].status;
                assert_eq!(status.status, PkiStatus::Rejection);
                assert_eq!(status.failures, [Failure::BadCertTemplate]);
                assert_eq!(status.texts, ["no"]);
            }
            ("cp-waiting", Body::CertRep(Kind::Cp, rep)) => {
                assert_eq!(rep.responses[0].status.status, PkiStatus::Waiting);
            }
            ("poll-rep", Body::PollRep(items)) => {
                assert_eq!(items[0].check_after, Duration::from_secs(1));
            }
            ("error", Body::Error { status, details }) => {
                assert_eq!(status.failures, [Failure::BadRequest]);
                assert!(!details.is_empty());
            }
            ("rp", Body::RevRep(rep)) => {
                assert_eq!(rep.statuses[0].status, PkiStatus::Accepted);
                assert_eq!(rep.certificates[0].1, [77]);
            }
            ("genp", Body::General(infos)) => assert_eq!(infos.len(), 1),
            ("pkiconf", Body::PkiConf) => {}
            other => panic!("{other:?}"),
        }
    }
    for (name, kind) in [("ir", Kind::Ir), ("kur", Kind::Kur)] {
        let message = Message::read(&file(name)).unwrap();
        assert_eq!(message.body, Body::Request(kind));
    }
}

#[test]
fn a_code_of_openssl_verifies_under_the_secret_and_a_signature_does_not_stand_for_it() {
    start();
    let message = Message::read(&file("cp-password-based-mac")).unwrap();
    let with = |secret: &[u8]| {
        let secret = SecretBytes::from_slice(secret);
        message.verify(&Verifier::Secret { secret: &secret })
    };
    with(b"secret").unwrap();
    assert!(matches!(with(b"secre"), Err(CmpError::Protection { .. })));
    assert!(verified(&message).is_err());
    let signed = Message::read(&file("ip")).unwrap();
    let secret = SecretBytes::from_slice(b"secret");
    let error = signed.verify(&Verifier::Secret { secret: &secret });
    assert!(matches!(error, Err(CmpError::ProtectionKind { .. })));
}

/// Nothing that is changed in what is protected, or in the protection, verifies; nothing that is changed anywhere is more than refused.
#[test]
fn a_message_that_is_changed_at_any_place_is_refused_or_says_the_same() {
    start();
    for name in ANSWERS {
        let original = file(name);
        let honest = Message::read(&original).unwrap();
        for at in 0..original.len() {
            let mut changed = original.clone();
            changed[at] ^= 1 << (at % 8);
            let Ok(message) = Message::read(&changed) else {
                continue;
            };
            if verified(&message).is_ok() {
                // Only what came along may differ: a certificate that the signature needs not.
                assert_eq!(message.header, honest.header, "{name}: octet {at}");
                assert_eq!(message.body, honest.body, "{name}: octet {at}");
            }
        }
        for cut in 0..original.len() {
            assert!(
                Message::read(&original[..cut]).is_err(),
                "{name}: {cut} octets"
            );
        }
        let longer = [&original[..], &[0]].concat();
        assert!(
            Message::read(&longer).is_err(),
            "{name}: an octet behind it"
        );
    }
}

#[test]
fn a_certificate_that_is_not_valid_yet_or_any_more_does_not_verify() {
    start();
    let message = Message::read(&file("ip")).unwrap();
    for now in [
        SystemTime::UNIX_EPOCH,
        then() + Duration::from_secs(1 << 32),
    ] {
        let trust = trust();
        let error = message.verify(&Verifier::Signature { trust: &trust, now });
        assert!(
            matches!(error, Err(CmpError::Untrusted { .. })),
            "{error:?}"
        );
    }
}

#[test]
fn an_answer_to_nothing_is_of_no_transaction() {
    start();
    let message = Message::read(&file("ip")).unwrap();
    let mut transaction = Transaction::new().unwrap();
    assert!(matches!(
        transaction.accept(&message),
        Err(CmpError::Elsewhere { .. })
    ));
}

#[test]
fn an_order_is_one_transaction_and_another_order_or_authority_is_another() {
    start();
    let id = |authority: &str, order: &str| *Transaction::of_order(authority, order).id();
    assert_eq!(id("a", "order"), id("a", "order"));
    let others = [
        id("a", "order"),
        id("a", "orders"),
        id("b", "order"),
        id("ao", "rder"),
    ];
    for (at, one) in others.iter().enumerate() {
        assert!(!others[..at].contains(one));
    }
}

#[test]
fn sizes_and_counts_are_bounded() {
    start();
    let element = |tag: u8, content: &[u8]| -> Vec<u8> {
        let length = u32::try_from(content.len()).unwrap().to_be_bytes();
        [&[tag, 0x83], &length[1..], content].concat()
    };
    let huge = element(0x30, &vec![0; MAX_MESSAGE_BYTES]);
    assert_eq!(Message::read(&huge), Err(CmpError::TooLarge));
    // Elements within elements, as deep as the size allows: nothing follows them down.
    let mut deep = vec![0x30, 0x00];
    while deep.len() < MAX_MESSAGE_BYTES - 8 {
        let length = deep.len();
        if length > 0xffff {
            deep = element(0x30, &deep);
        } else if length > 0xff {
            let length = u16::try_from(length).unwrap().to_be_bytes();
            deep = [&[0x30, 0x82], &length[..], &deep].concat();
        } else if length > 0x7f {
            deep = [&[0x30, 0x81, u8::try_from(length).unwrap()], &deep[..]].concat();
        } else {
            deep = [&[0x30, u8::try_from(length).unwrap()], &deep[..]].concat();
        }
    }
    assert!(Message::read(&deep).is_err());
}
