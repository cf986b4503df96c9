//! Policies as text, and requests to change them.

use super::*;
use crate::event::Opened;
use serde_json::Value;

fn policy(statements: &[(&str, &str)]) -> PolicyText {
    let mut text = PolicyText::default();
    for (name, value) in statements {
        text.say(*name, value);
    }
    text
}

#[test]
fn the_order_is_of_no_consequence_and_everything_else_is() {
    let one = policy(&[("a", "1"), ("b", "2")]);
    assert_eq!(one.digest(), policy(&[("b", "2"), ("a", "1")]).digest());
    let others = [
        policy(&[("a", "1")]),
        policy(&[("a", "1"), ("b", "3")]),
        policy(&[("a", "1b"), ("", "2")]),
        policy(&[("a1", ""), ("b", "2")]),
        policy(&[]),
    ];
    for other in others {
        assert_ne!(one.digest(), other.digest(), "{other:?}");
    }
}

#[test]
fn a_change_says_what_becomes_of_what() {
    let before = policy(&[
        ("budget", "5"),
        ("sandbox", "required"),
        ("gone", "x"),
        ("limit", "9"),
    ]);
    let after = policy(&[
        ("budget", "500"),
        ("sandbox", "off"),
        ("new", "y"),
        ("limit", "3"),
    ]);
    let said: Vec<_> = before
        .changes(&after)
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        said,
        [
            "budget: 5 is RAISED to 500",
            "gone: GONE, was x",
            "limit: 9 is LOWERED to 3",
            "new: NEW, y",
            "sandbox: required becomes off",
        ]
    );
    assert!(before.changes(&before).is_empty());
}

#[test]
fn a_request_that_shows_other_policies_than_it_is_about_is_refused() {
    fips::start(fips::policy::Policy::STRICT).unwrap();
    let (before, after) = (policy(&[("budget", "5")]), policy(&[("budget", "500")]));
    let request = Request::policy_change(before, after, NOW, DAY_MS, "").unwrap();
    let file = request.to_file().unwrap();
    assert_eq!(Request::read(&file).unwrap().changes().len(), 1);
    let doctored = |change: &dyn Fn(&mut Value)| {
        let mut value: Value = serde_json::from_slice(&file).unwrap();
        change(&mut value);
        Request::read(&serde_json::to_vec(&value).unwrap()).unwrap_err()
    };
    let harmless = doctored(&|value| value["after"]["budget"] = "5".into());
    assert_eq!(harmless, ApprovalFileError::OtherPolicies);
    let silent = doctored(&|value| {
        value.as_object_mut().unwrap().remove("after");
    });
    assert_eq!(silent, ApprovalFileError::OtherPolicies);
    let other = doctored(&|value| {
        value["statement"]["subject"]["to"] = Hash::of(b"x").to_string().into();
    });
    assert_eq!(other, ApprovalFileError::OtherPolicies);
}

#[test]
fn a_start_reads_back_with_its_policy_and_its_approvers() {
    let scene = Scene::new();
    let rules = policy(&[("budget", "5")]);
    let opened = Opened {
        program: "1".to_owned(),
        policy: Some(rules.digest()),
        rules,
        approvals: Some(scene.quorum.clone()),
    };
    let written = entry(Event::Opened(Box::new(opened)), NOW);
    let line = written.to_line().unwrap();
    assert_eq!(Entry::from_line(&line).unwrap(), written);
    let nobody = line.replace("\"required\":2", "\"required\":0");
    assert_ne!(nobody, line);
    assert!(
        Entry::from_line(&nobody).is_err(),
        "a quorum of nobody is none"
    );
}
