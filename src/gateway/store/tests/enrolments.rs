//! Connectors' certificates: orders, and which certificate is accepted when.

use super::*;
use crate::gateway::auth::Role;

const MINUTE_MS: i64 = 60_000;
const NEW: Begun = Begun::New { round: 0 };

fn unsettled(pending: Option<&[u8]>, polled: bool) -> Begun {
    let pending = pending.map(<[u8]>::to_vec);
    Begun::Unsettled {
        round: 0,
        known: Unsettled { pending, polled },
    }
}

fn order<'a>(id: &'a str, csr: &'a [u8], by: Orderer<'a>) -> EnrolmentOrder<'a> {
    EnrolmentOrder {
        id,
        instance: "one",
        csr,
        by,
    }
}

fn issued(name: &str) -> IssuedIdentity {
    IssuedIdentity {
        certificate: name.as_bytes().to_vec(),
        chain: vec![b"CA".to_vec()],
    }
}

impl Bench {
    /// The certificate of this name is issued to the instance `one`.
    fn issue(&self, id: &str, name: &str, by: Orderer<'_>) {
        let asked = order(id, id.as_bytes(), by);
        assert_eq!(self.store.begin_enrolment(&asked).unwrap(), NEW);
        self.store
            .finish_enrolment(&actor(), id, &issued(name), START_MS + 90 * DAY_MS, name)
            .unwrap();
    }

    fn speaks(&self, certificate: &str) -> Result<(), StoreError> {
        self.store
            .admit(&contact(certificate), &identity("one"), None)
    }
}

#[test]
fn an_order_is_for_one_request_and_gives_the_same_certificate_whenever_it_is_asked_for() {
    let bench = Bench::new();
    let asked = order("enrol-1", b"CSR", Orderer::Token("1"));
    assert_eq!(bench.store.begin_enrolment(&asked).unwrap(), NEW);
    assert_eq!(
        bench.store.begin_enrolment(&asked).unwrap(),
        unsettled(None, false)
    );
    let store = &bench.store;
    store
        .keep_pending_enrolment("enrol-1", b"reference")
        .unwrap();
    for (polled, now) in [(true, true), (false, false), (true, true)] {
        store.note_enrolment_polled("enrol-1", polled).unwrap();
        assert_eq!(
            store.begin_enrolment(&asked).unwrap(),
            unsettled(Some(b"reference"), now)
        );
    }
    store.keep_pending_enrolment("enrol-1", b"another").unwrap();
    let begun = store.begin_enrolment(&asked).unwrap();
    assert_eq!(begun, unsettled(Some(b"another"), false));
    store.ask_enrolment_again("enrol-1").unwrap();
    let begun = store.begin_enrolment(&asked).unwrap();
    assert_eq!(begun, unsettled(None, false));
    let finish = |name| {
        bench
            .store
            .finish_enrolment(&actor(), "enrol-1", &issued(name), START_MS + DAY_MS, name)
            .unwrap()
    };
    let first = Finished::Accepted(issued("a"));
    assert_eq!(finish("a"), first);
    assert_eq!(finish("b"), first, "the first one counts");
    assert_eq!(
        bench.store.begin_enrolment(&asked).unwrap(),
        Begun::Issued(issued("a"))
    );
    let another = order("enrol-1", b"ANOTHER", Orderer::Token("1"));
    assert!(matches!(
        bench.store.begin_enrolment(&another),
        Err(StoreError::EnrolmentRefused(_))
    ));
}

#[test]
fn an_order_that_the_authority_never_had_is_forgotten_and_one_that_it_did_is_not() {
    let bench = Bench::new();
    let asked = order("enrol-1", b"CSR", Orderer::Token("1"));
    bench.store.begin_enrolment(&asked).unwrap();
    bench.store.forget_enrolment("enrol-1").unwrap();
    bench.issue("enrol-1", "a", Orderer::Token("1"));
    bench.store.forget_enrolment("enrol-1").unwrap();
    let asked = order("enrol-1", b"enrol-1", Orderer::Token("1"));
    assert_eq!(
        bench.store.begin_enrolment(&asked).unwrap(),
        Begun::Issued(issued("a"))
    );
}

#[test]
fn an_enrolled_name_is_its_certificates_and_nobody_elses_before_the_first_contact_too() {
    let bench = Bench::new();
    bench.issue("enrol-1", "a", Orderer::Token("1"));
    assert!(matches!(
        bench.speaks("stranger"),
        Err(StoreError::ConnectorRefused(_))
    ));
    let other = bench.store.admit(&contact("a"), &identity("two"), None);
    assert!(
        matches!(other, Err(StoreError::ConnectorRefused(ANOTHERS))),
        "{other:?}"
    );
    bench.speaks("a").unwrap();
    assert!(bench.speaks("stranger").is_err());
}

const ANOTHERS: &str = "its certificate was issued for another instance";

#[test]
fn the_old_certificate_is_accepted_until_the_new_one_is_used_and_for_some_minutes_more() {
    let bench = Bench::new();
    bench.issue("enrol-1", "old", Orderer::Token("1"));
    bench.speaks("old").unwrap();
    bench.issue("renew-1", "new", Orderer::Connector(&contact("old")));
    bench.clock.advance_ms(30 * DAY_MS);
    bench.speaks("old").unwrap();
    assert_eq!(bench.store.connectors().unwrap()[0].certificate, "old");
    bench.speaks("new").unwrap();
    let row = &bench.store.connectors().unwrap()[0];
    assert_eq!(
        (row.certificate.as_str(), row.subject.as_str()),
        ("new", "CN=new")
    );
    bench.clock.advance_ms(5 * MINUTE_MS - 1);
    bench.speaks("old").unwrap();
    bench.store.admit_known(&contact("old")).unwrap();
    assert_eq!(
        bench.store.connectors().unwrap()[0].certificate,
        "new",
        "it does not come back"
    );
    bench.clock.advance_ms(1);
    assert!(matches!(
        bench.speaks("old"),
        Err(StoreError::ConnectorRefused(_))
    ));
    assert!(bench.store.admit_known(&contact("old")).is_err());
    let who = contact("old");
    let late = order("renew-2", b"CSR", Orderer::Connector(&who));
    assert!(bench.store.begin_enrolment(&late).is_err());
    bench.speaks("new").unwrap();
    assert_eq!(bench.store.connectors().unwrap().len(), 1);
}

#[test]
fn what_was_leased_with_the_one_certificate_is_answered_with_the_other() {
    let bench = Bench::new();
    bench.issue("enrol-1", "old", Orderer::Token("1"));
    bench.speaks("old").unwrap();
    bench.queued("ada@example.org");
    let with_old = bench.lease(&contact("old"));
    bench.queued("bob@example.org");
    bench.issue("renew-1", "new", Orderer::Connector(&contact("old")));
    // The first use of the new one is an answer.
    bench.store.admit_known(&contact("new")).unwrap();
    bench
        .complete(&contact("new"), &with_old[0], b"CMS")
        .unwrap();
    let with_new = bench.lease(&contact("new"));
    bench
        .complete(&contact("old"), &with_new[0], b"CMS")
        .unwrap();
    bench.queued("eve@example.org");
    let mine = bench.lease(&contact("new"));
    assert!(matches!(
        bench.complete(&contact("stranger"), &mine[0], b"CMS"),
        Err(StoreError::StaleLease)
    ));
}

#[test]
fn a_certificate_that_was_made_elsewhere_is_replaced_by_an_enrolled_one() {
    let bench = Bench::new();
    bench.speaks("by hand").unwrap();
    bench.issue("renew-1", "new", Orderer::Connector(&contact("by hand")));
    bench.speaks("by hand").unwrap();
    bench.speaks("new").unwrap();
    bench.clock.advance_ms(5 * MINUTE_MS);
    assert!(bench.speaks("by hand").is_err());
}

#[test]
fn a_revoked_instance_gets_no_certificate_and_all_that_it_had_are_refused() {
    let bench = Bench::new();
    bench.issue("enrol-1", "old", Orderer::Token("1"));
    bench.speaks("old").unwrap();
    bench.issue("renew-1", "new", Orderer::Connector(&contact("old")));
    let request = bench.queued("ada@example.org");
    bench.lease(&contact("old"));
    bench.store.revoke_connector(&actor(), "one").unwrap();
    for certificate in ["old", "new"] {
        assert!(bench.speaks(certificate).is_err());
        assert!(bench.store.admit_known(&contact(certificate)).is_err());
        let who = contact(certificate);
        let asked = order("renew-2", b"CSR", Orderer::Connector(&who));
        assert!(bench.store.begin_enrolment(&asked).is_err());
    }
    let by_token = order("enrol-2", b"CSR", Orderer::Token("2"));
    assert!(bench.store.begin_enrolment(&by_token).is_err());
    assert_eq!(bench.state(&request).state, State::Queued);
    bench.store.forget_connector(&actor(), "one").unwrap();
    assert_eq!(bench.store.begin_enrolment(&by_token).unwrap(), NEW);
    assert!(bench.speaks("old").is_err(), "revoked is revoked");
}

#[test]
fn an_instance_orders_so_often_in_an_hour() {
    let bench = Bench::new();
    bench.speaks("own").unwrap();
    let own = contact("own");
    for number in 0..8 {
        let csr = [number];
        let id = format!("renew-{number}");
        bench
            .store
            .begin_enrolment(&order(&id, &csr, Orderer::Connector(&own)))
            .unwrap();
    }
    let more = order("renew-8", b"8", Orderer::Connector(&own));
    assert!(matches!(
        bench.store.begin_enrolment(&more),
        Err(StoreError::EnrolmentRefused(_))
    ));
    bench.clock.advance_ms(60 * MINUTE_MS);
    bench.store.begin_enrolment(&more).unwrap();
}

#[test]
fn an_enrolment_token_is_for_one_instance_and_others_for_none() {
    let bench = Bench::new();
    let make = |role, name| {
        bench
            .store
            .create_token(&actor(), role, name, DAY_MS)
            .unwrap()
    };
    let token = make(Role::Enrolment, "one");
    assert_eq!(bench.store.enrolment_instance(&token.id).unwrap(), "one");
    let other = make(Role::Mdm, "one");
    assert!(matches!(
        bench.store.enrolment_instance(&other.id),
        Err(StoreError::NotFound)
    ));
}

#[test]
fn an_order_whose_certificate_was_refused_is_over_for_its_token_and_rests_for_an_hour_for_a_connector()
 {
    let bench = Bench::new();
    bench.speaks("own").unwrap();
    let own = contact("own");
    let by_token = order("enrol-1", b"CSR", Orderer::Token("1"));
    let renewal = order("renew-1", b"CSR", Orderer::Connector(&own));
    for asked in [&by_token, &renewal] {
        assert_eq!(bench.store.begin_enrolment(asked).unwrap(), NEW);
        bench
            .store
            .refuse_enrolment(&actor(), asked.id, "another key")
            .unwrap();
        // Nothing of an order that is over is forgotten.
        bench.store.forget_enrolment(asked.id).unwrap();
    }
    let over = Begun::Refused("another key".to_owned());
    bench.clock.advance_ms(60 * MINUTE_MS - 1);
    assert_eq!(bench.store.begin_enrolment(&renewal).unwrap(), over);
    bench.clock.advance_ms(1);
    assert_eq!(bench.store.begin_enrolment(&by_token).unwrap(), over);
    // Another order at the authority, also after it was not reached: the name of the first one has a certificate there.
    let again = Begun::New { round: 1 };
    assert_eq!(bench.store.begin_enrolment(&renewal).unwrap(), again);
    bench.store.forget_enrolment(renewal.id).unwrap();
    assert_eq!(bench.store.begin_enrolment(&renewal).unwrap(), again);
    assert!(matches!(
        bench.store.begin_enrolment(&renewal).unwrap(),
        Begun::Unsettled { round: 1, known } if known == Unsettled::default()
    ));
    let entries = bench.store.audit_entries(0, 100).unwrap();
    let told = entries
        .iter()
        .filter(|entry| entry.outcome == "certificateRefused");
    assert_eq!(told.count(), 2);
}

#[test]
fn what_is_issued_while_the_instance_is_revoked_is_refused_for_ever() {
    let bench = Bench::new();
    bench.issue("enrol-1", "old", Orderer::Token("1"));
    bench.speaks("old").unwrap();
    let own = contact("old");
    let renewal = order("renew-1", b"CSR", Orderer::Connector(&own));
    assert_eq!(bench.store.begin_enrolment(&renewal).unwrap(), NEW);
    bench.store.revoke_connector(&actor(), "one").unwrap();
    let finished = bench
        .store
        .finish_enrolment(
            &actor(),
            "renew-1",
            &issued("late"),
            START_MS + DAY_MS,
            "late",
        )
        .unwrap();
    assert_eq!(finished, Finished::Over);
    bench.store.forget_connector(&actor(), "one").unwrap();
    assert!(bench.speaks("late").is_err());
}

#[test]
fn a_certificate_that_an_instance_has_is_known() {
    let bench = Bench::new();
    bench.speaks("by hand").unwrap();
    bench.issue("renew-1", "new", Orderer::Connector(&contact("by hand")));
    for (certificate, known) in [("by hand", true), ("new", true), ("strange", false)] {
        let is_known = bench.store.is_connectors_certificate(certificate);
        assert_eq!(is_known.unwrap(), known, "{certificate}");
    }
}

#[test]
fn an_enrolment_token_that_was_used_in_time_stays_good_for_its_order_and_no_other_token_does() {
    let bench = Bench::new();
    let make = |role| {
        bench
            .store
            .create_token(&actor(), role, "one", DAY_MS)
            .unwrap()
    };
    let (used, unused, mdm) = (
        make(Role::Enrolment),
        make(Role::Enrolment),
        make(Role::Mdm),
    );
    let id = order_of_token(&used.id);
    let asked = order(&id, b"CSR", Orderer::Token(&used.id));
    assert_eq!(bench.store.begin_enrolment(&asked).unwrap(), NEW);
    bench.clock.advance_ms(2 * DAY_MS);
    let is_good = |token: &NewToken| bench.store.find_token(&token.secret).unwrap().is_some();
    assert_eq!(
        (is_good(&used), is_good(&unused), is_good(&mdm)),
        (true, false, false)
    );
    // Nothing was issued: then it is a token that was not used.
    bench.store.void_enrolment(&id).unwrap();
    assert!(!is_good(&used));
    bench.store.begin_enrolment(&asked).unwrap();
    bench.store.revoke_token(&actor(), &used.id).unwrap();
    assert!(!is_good(&used));
}

#[test]
fn a_database_of_version_5_goes_on_with_its_orders() {
    let bench = Bench::new();
    let (raw, path) = bench.old_database(5);
    raw.execute_batch(
        "INSERT INTO enrolments (order_id, instance, csr, begun_ms, pending) VALUES ('enrol-1', 'one', x'01', 1, x'02');
         INSERT INTO enrolments (order_id, instance, csr, begun_ms, certificate) VALUES ('enrol-2', 'one', x'01', 1, x'03');",
    )
    .unwrap();
    drop(raw);
    let store = Store::open(&path, bench.clock.clone()).unwrap();
    let begun = |id: &str| {
        store
            .begin_enrolment(&order(id, &[1], Orderer::Token("1")))
            .unwrap()
    };
    assert_eq!(begun("enrol-1"), unsettled(Some(&[2]), false));
    let known = IssuedIdentity {
        certificate: vec![3],
        chain: Vec::new(),
    };
    assert_eq!(begun("enrol-2"), Begun::Issued(known));
}

#[test]
fn an_order_that_the_authority_refused_may_be_for_another_request_and_counts_in_the_hour() {
    let bench = Bench::new();
    let mine = Orderer::Token("1");
    for number in 0..8_u8 {
        let csr = [number];
        let asked = order("enrol-1", &csr, mine);
        assert_eq!(bench.store.begin_enrolment(&asked).unwrap(), NEW);
        bench.store.void_enrolment("enrol-1").unwrap();
    }
    let asked = order("enrol-1", b"8", mine);
    assert!(matches!(
        bench.store.begin_enrolment(&asked),
        Err(StoreError::EnrolmentRefused(_))
    ));
    // One that was not asked for at all counts for nothing.
    bench.clock.advance_ms(60 * MINUTE_MS);
    for _ in 0..20 {
        assert_eq!(bench.store.begin_enrolment(&asked).unwrap(), NEW);
        bench.store.forget_enrolment("enrol-1").unwrap();
    }
    assert_eq!(bench.store.begin_enrolment(&asked).unwrap(), NEW);
    assert_eq!(
        bench.store.begin_enrolment(&asked).unwrap(),
        unsettled(None, false)
    );
}
