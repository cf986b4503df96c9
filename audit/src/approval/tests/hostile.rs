//! Files by somebody who wants a step that nobody approved.

use super::*;
use serde_json::{Value, json};

fn changed(offered: &Offered, change: impl FnOnce(&mut Value)) -> Offered {
    let mut value: Value = serde_json::from_slice(&offered.content).unwrap();
    change(&mut value);
    Offered {
        name: "changed".to_owned(),
        content: serde_json::to_vec(&value).unwrap(),
    }
}

#[test]
fn one_approver_twice_is_one_approver() {
    let mut scene = Scene::new();
    let statement = statement();
    // ECDSA signatures of the same bytes differ; it is the key that counts.
    let files = [
        scene.approve(0, &statement),
        scene.approve(0, &statement),
        scene.approve(0, &statement),
    ];
    assert_ne!(files[0].content, files[1].content);
    assert_eq!(scene.verify(&files).unwrap_err().good, 1);
}

#[test]
fn approvals_of_two_requests_do_not_count_together() {
    let mut scene = Scene::new();
    let files = [
        scene.approve(0, &statement()),
        scene.approve(1, &statement()),
    ];
    assert_eq!(scene.verify(&files).unwrap_err().good, 1);
}

#[test]
fn one_key_under_two_names_is_no_quorum() {
    let scene = Scene::new();
    let twice = ["ada", "ada-again"]
        .map(|name| Approver::new(name, scene.keys[0].spki_der()).unwrap())
        .to_vec();
    assert!(matches!(
        Quorum::new(2, twice),
        Err(ApproverError::SameKey(..))
    ));
}

#[test]
fn nobody_and_more_than_there_are_cannot_be_required() {
    let scene = Scene::new();
    for required in [0, 4, u32::MAX] {
        let quorum = Quorum::new(required, scene.quorum.approvers().to_vec());
        assert!(
            matches!(quorum, Err(ApproverError::Required { .. })),
            "{required}"
        );
    }
    let none = json!({"required": 0, "approvers": []});
    assert!(
        serde_json::from_value::<Quorum>(none).is_err(),
        "nor in a log"
    );
}

#[test]
fn another_time_verb_or_subject_is_refused_by_its_name() {
    let mut scene = Scene::new();
    let at =
        |from: i64, lifetime: i64| Statement::new(destroy(), after_ms(from), lifetime, "").unwrap();
    let expired = scene.approve(0, &at(-2 * DAY_MS, DAY_MS));
    assert!(matches!(scene.problem(expired), Problem::Expired(_)));
    let at_its_end = scene.approve(0, &at(-DAY_MS, DAY_MS));
    assert!(matches!(scene.problem(at_its_end), Problem::Expired(_)));
    let future = scene.approve(0, &at(1, DAY_MS));
    assert!(matches!(scene.problem(future), Problem::NotYet(_)));

    let policy = Subject::PolicyChange {
        from: Hash::of(b"a"),
        to: Hash::of(b"b"),
    };
    let other_verb = scene.approve(0, &about(policy));
    assert_eq!(
        scene.problem(other_verb),
        Problem::OtherVerb("policyChange")
    );
    let Subject::KeyDestroy {
        key, token_serial, ..
    } = destroy()
    else {
        panic!("it is one");
    };
    for subject in [
        Subject::KeyDestroy {
            key: Hash::of(b"another key"),
            token_serial: token_serial.clone(),
            last_copy: false,
        },
        Subject::KeyDestroy {
            key,
            token_serial: "another token".to_owned(),
            last_copy: false,
        },
        Subject::KeyDestroy {
            key,
            token_serial,
            last_copy: true,
        },
    ] {
        assert_ne!(subject.digest(), destroy().digest());
        let other = scene.approve(0, &about(subject));
        assert!(matches!(scene.problem(other), Problem::OtherSubject(_)));
    }
}

#[test]
fn nothing_is_good_for_more_than_seven_days_or_never() {
    let mut scene = Scene::new();
    for lifetime in [0, -1, MAX_LIFETIME_MS + 1, i64::MAX] {
        let refused = Statement::new(destroy(), NOW, lifetime, "");
        assert_eq!(
            refused.unwrap_err(),
            ApprovalFileError::Lifetime,
            "{lifetime}"
        );
    }
    // Nor when the file says so.
    let good = scene.approve(0, &statement());
    let long = changed(&good, |value| {
        value["statement"]["expires"] = json!("2027-06-01T00:00:00.000Z");
    });
    assert_eq!(
        scene.problem(long),
        Problem::File(ApprovalFileError::Lifetime)
    );
}

#[test]
fn every_signed_member_counts() {
    let mut scene = Scene::new();
    let good = scene.approve(0, &statement());
    let cases: [(&str, Value); 4] = [
        ("notBefore", json!("2026-05-31T00:00:01.000Z")),
        ("expires", json!("2026-06-03T00:00:00.000Z")),
        ("nonce", json!("00112233445566778899aabbccddeeff")),
        ("note", json!("something else")),
    ];
    for (member, value) in cases {
        let file = changed(&good, |whole| whole["statement"][member] = value);
        assert_eq!(
            scene.problem(file),
            Problem::Signature("ada".to_owned()),
            "{member}"
        );
    }
    let ben = scene.quorum.approvers()[1].fingerprint();
    let other_signer = changed(&good, |whole| whole["approver"] = json!(ben));
    assert_eq!(
        scene.problem(other_signer),
        Problem::Signature("ben".to_owned())
    );
    for signature in ["", "AAAA", "not base64", &"A".repeat(4000)] {
        let file = changed(&good, |whole| whole["signature"] = json!(signature));
        assert_eq!(scene.problem(file), Problem::Signature("ada".to_owned()));
    }
}

#[test]
fn a_stranger_approves_nothing() {
    let mut scene = Scene::new();
    scene.keys[0] = SigningKey::generate(KeyKind::EcP256).unwrap();
    let stranger = scene.approve(0, &statement());
    assert!(matches!(
        scene.problem(stranger),
        Problem::UnknownApprover(_)
    ));
    let other_kind = SigningKey::generate(KeyKind::EcP384).unwrap();
    let refused = Approval::sign(statement(), &other_kind);
    assert_eq!(refused.unwrap_err(), ApprovalFileError::Key);
    assert!(Approver::new("ada", other_kind.spki_der()).is_err());
}

#[test]
fn what_is_no_approval_is_refused_within_its_bounds() {
    let mut scene = Scene::new();
    let good = scene.approve(0, &statement());
    let mut huge = good.content.clone();
    huge.resize(MAX_APPROVAL_BYTES + 1, b' ');
    let deep = "[".repeat(MAX_APPROVAL_BYTES);
    let request = Request::new(statement()).to_file().unwrap();
    for content in [
        Vec::new(),
        b"not JSON".to_vec(),
        b"null".to_vec(),
        b"{}".to_vec(),
        huge,
        deep.into_bytes(),
        request,
        good.content[..good.content.len() / 2].to_vec(),
        [good.content.clone(), good.content.clone()].concat(),
    ] {
        let length = content.len();
        let file = Offered {
            name: "hostile".to_owned(),
            content,
        };
        assert!(
            matches!(scene.problem(file), Problem::File(_)),
            "{length} bytes"
        );
    }
    let more = changed(&good, |whole| whole["statement"]["required"] = json!(1));
    assert!(
        matches!(scene.problem(more), Problem::File(_)),
        "an unknown member"
    );
    let more = changed(&good, |whole| {
        whole["statement"]["subject"]["also"] = json!(1)
    });
    assert!(
        matches!(scene.problem(more), Problem::File(_)),
        "an unknown member"
    );
    let version = changed(&good, |whole| whole["pfxConnectorApproval"] = json!(2));
    assert_eq!(
        scene.problem(version),
        Problem::File(ApprovalFileError::Version(2))
    );
    let serial = changed(&good, |whole| {
        whole["statement"]["subject"]["tokenSerial"] = json!("\u{1b}[2J");
    });
    assert_eq!(
        scene.problem(serial),
        Problem::File(ApprovalFileError::Subject)
    );
}

#[test]
fn files_beyond_the_bound_are_not_read() {
    let mut scene = Scene::new();
    let statement = statement();
    let junk = Offered {
        name: "junk".to_owned(),
        content: Vec::new(),
    };
    let mut files = vec![junk; MAX_OFFERED];
    files.extend([scene.approve(0, &statement), scene.approve(1, &statement)]);
    let refused = scene.verify(&files).unwrap_err();
    assert_eq!((refused.good, refused.problems.len()), (0, MAX_OFFERED));
}
