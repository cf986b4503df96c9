#![allow(clippy::unwrap_used, missing_docs)]
use super::*;
use CallerKind::{Connector, EngineUser, Stranger};
use std::collections::BTreeSet;

/// Written by hand, from what the documentation promises: who may ask for it over the socket, and whether it needs approvals. The rules
/// are held against it, and not it against the rules.
const TABLE: &[(&str, &[CallerKind], bool)] = &[
    ("recrypt", &[Connector, EngineUser], false),
    ("deliver", &[Connector, EngineUser], false),
    ("reencrypt", &[EngineUser], false),
    ("status", &[Connector, EngineUser], false),
    ("ping", &[Connector, EngineUser], false),
    ("oracleShow", &[EngineUser], false),
    ("oracleRelease", &[EngineUser], true),
    ("keyDestroy", &[EngineUser], true),
    ("keyGenerate", &[], false),
    ("keyReplicate", &[], false),
    ("drain", &[], false),
    ("policyChange", &[], true),
    ("limitLowered", &[], true),
    ("auditKeyChange", &[], true),
    ("auditKeyExport", &[], true),
    ("makeKey", &[Connector, EngineUser], false),
    ("pack", &[Connector, EngineUser], false),
    ("issue", &[Connector, EngineUser], false),
    ("signCrl", &[Connector, EngineUser], false),
    ("signOcsp", &[Connector, EngineUser], false),
    ("signTls", &[Connector, EngineUser], false),
    ("signClientCsr", &[Connector, EngineUser], false),
    ("judgeDevice", &[Connector, EngineUser], false),
];

#[test]
fn every_verb_is_for_the_callers_of_the_table_and_no_others() {
    let verbs: Vec<_> = Verb::ALL.iter().map(|verb| verb.name()).collect();
    let table: Vec<_> = TABLE.iter().map(|(name, ..)| *name).collect();
    assert_eq!(verbs, table, "each verb has its line");
    for (name, callers, approved) in TABLE {
        let verb: Verb = name.parse().unwrap();
        for caller in CallerKind::ALL {
            let expected = callers.contains(&caller);
            assert_eq!(verb.rule().admits(caller), expected, "{verb} {caller:?}");
        }
        let approvals = verb.rule().approvals == Approvals::Dangerous;
        assert_eq!(approvals, *approved, "{verb}");
    }
}

#[test]
fn strangers_may_do_nothing() {
    for verb in Verb::ALL {
        assert!(!verb.rule().admits(Stranger), "{verb}");
    }
}

#[test]
fn numbers_and_names_are_each_one_verbs() {
    let codes: BTreeSet<_> = Verb::ALL.iter().map(|verb| verb.code()).collect();
    assert_eq!(codes.len(), Verb::ALL.len());
    assert!(!codes.contains(&0), "0 is no verb");
    for code in 0..=u8::MAX {
        assert_eq!(
            Verb::from_code(code).map(Verb::code),
            codes.get(&code).copied()
        );
    }
    for verb in Verb::ALL {
        assert_eq!(verb.name().parse(), Ok(*verb));
    }
    assert_eq!("Recrypt".parse::<Verb>(), Err(NotAVerb));
}

#[test]
fn a_user_is_what_the_configuration_says_and_nobody_is_a_stranger() {
    let allowed = [1000, 1001];
    assert_eq!(CallerKind::of(Some(7), 7, &allowed), EngineUser);
    assert_eq!(CallerKind::of(Some(1001), 7, &allowed), Connector);
    assert_eq!(
        CallerKind::of(Some(0), 7, &allowed),
        Stranger,
        "root is named or refused"
    );
    assert_eq!(CallerKind::of(None, 7, &allowed), Stranger);
    assert_eq!(CallerKind::of(Some(7), 7, &[7]), EngineUser);
}

#[test]
fn a_refusal_says_whom_it_is_for() {
    assert!(Verb::Reencrypt.refusal().contains("the engine's own user"));
    assert!(Verb::AuditKeyExport.refusal().contains("nobody"));
}
