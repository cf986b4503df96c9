//! A gateway whose authority is one by CMP: it decides later, is away, loses answers, or lies. Nothing is issued twice, a token is spent when
//! something was issued by it and not before, and nothing wrong gets to a connector.

use super::by_hand_with;
use super::company::Twist;
use super::openssl::{KeyAlgorithm, Workshop};
use super::partner::{Fault, Partner, Plan};
use super::read;
use super::site::{Enrolling, INSTANCE, json};
use super::stack::until;
use super::world::World;
use pki::cmp::Kind;
use serde_json::Value;
use std::path::Path;
use std::process::Output;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// A site whose gateway has this authority.
fn site(world: &World<'_>, partner: &Partner) -> Enrolling {
    let mut site = Enrolling::new();
    site.trust(&read(&world.root.certificate));
    site.start_with(partner.settings());
    site
}

/// What `enroll` says of an order that the authority decides later.
fn pending(output: &Output) -> Value {
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(said["enrolled"], false, "{said}");
    said
}

/// Code and words of a failure of `enroll`.
fn failure(output: &Output) -> (String, String) {
    assert!(!output.status.success(), "{output:?}");
    let said = json(output);
    let text = |name: &str| said["error"][name].as_str().unwrap().to_owned();
    (text("code"), text("message"))
}

fn enrolled(site: &Enrolling, token: &Path) {
    let done = site.enroll(token);
    assert!(done.status.success(), "{done:?}");
    assert!(site.certificate().exists());
}

#[test]
fn an_order_that_waits_is_the_same_one_after_restarts_of_the_gateway_and_after_its_tokens_time() {
    let workshop = Workshop::new();
    let world = World::new(&workshop, KeyAlgorithm::P256);
    let partner = Partner::start(&world, |_, _| Plan {
        polls: 4,
        ..Plan::default()
    });
    let mut site = site(&world, &partner);
    let token = site.token(INSTANCE, "waiting");
    for turn in 0..4 {
        let said = pending(&site.enroll(&token));
        assert_eq!(said["askAgainSeconds"], 1);
        match turn {
            0 => site.kill_gateway(),
            // It is for this one request, also while that waits.
            1 => {
                site.use_key("other");
                let order = site.path("identity/order.json");
                let kept = read(&order);
                let (_, why) = failure(&site.enroll(&token));
                assert!(why.contains("used for another request"), "{why}");
                site.use_key("gateway");
                std::fs::write(order, kept).unwrap();
            }
            // The authority takes longer than the token was made for.
            2 => {
                let database = site.database();
                let changed = database.execute(
                    "UPDATE tokens SET expires_ms = 1 WHERE role = 'enrolment'",
                    [],
                );
                assert_eq!(changed.unwrap(), 1);
            }
            _ => {}
        }
        assert!(!site.path("identity/next.pem").exists());
    }
    enrolled(&site, &token);
    assert_eq!((partner.issued(), partner.confirmed()), (1, (1, 0)));
    let first = read(&site.certificate());
    // Its answer was lost: another is not issued for that.
    std::fs::rename(site.certificate(), site.path("identity/away")).unwrap();
    let (_, why) = failure(&site.enroll(&token));
    assert!(why.contains("used for another request"), "{why}");
    std::fs::rename(site.path("identity/away"), site.certificate()).unwrap();
    assert_eq!(read(&site.certificate()), first);
    assert_eq!(partner.issued(), 1);
}

#[test]
fn an_authority_that_is_away_or_refuses_leaves_the_token_as_good_as_it_was() {
    let workshop = Workshop::new();
    let world = World::new(&workshop, KeyAlgorithm::P256);
    let faults = [
        (Fault::Busy, "enrolmentBusy"),
        (Fault::Status(403), "authorityFailed"),
        (Fault::Status(404), "authorityFailed"),
        (Fault::Status(400), "authorityRefused"),
    ];
    let partner = Partner::start(&world, move |number, _| Plan {
        fault: faults
            .get(number)
            .map(|(fault, _)| *fault)
            .unwrap_or_default(),
        ..Plan::default()
    });
    let mut site = site(&world, &partner);
    let token = site.token(INSTANCE, "away");
    for (fault, code) in faults {
        let (_, why) = failure(&site.enroll(&token));
        assert!(why.contains(code), "{fault:?}: {why}");
    }
    assert_eq!(partner.issued(), 0);
    // Also for another request: by none was anything issued.
    site.use_key("other");
    site.kill_gateway();
    enrolled(&site, &token);
    assert_eq!(partner.issued(), 1);
    assert_eq!(partner.messages(), faults.len() + 2, "p10cr and certConf");
}

#[test]
fn answers_that_get_lost_at_any_step_end_in_one_certificate_over_restarts_of_the_gateway() {
    let workshop = Workshop::new();
    let world = World::new(&workshop, KeyAlgorithm::P256);
    // Each kind of message loses its answer once: after the authority did what was asked.
    let lost: Arc<Mutex<Vec<Kind>>> = Arc::default();
    let forgotten = Arc::clone(&lost);
    let partner = Partner::start(&world, move |_, kind| {
        let mut lost = forgotten.lock().unwrap();
        let is_first = !lost.contains(&kind);
        if is_first {
            lost.push(kind);
        }
        Plan {
            fault: match is_first {
                true => Fault::Lost,
                false => Fault::None,
            },
            polls: 2,
            ..Plan::default()
        }
    });
    let mut site = site(&world, &partner);
    let token = site.token(INSTANCE, "lost");
    let mut turns = 0;
    while !site.certificate().exists() {
        let said = site.enroll(&token);
        turns += 1;
        assert!(turns < 12, "{said:?}");
        if turns < 3 {
            site.kill_gateway();
        }
    }
    let lost = lost.lock().unwrap();
    for kind in [Kind::P10cr, Kind::PollReq, Kind::CertConf] {
        assert!(lost.contains(&kind), "{kind:?} {lost:?}");
    }
    assert_eq!((partner.issued(), partner.confirmed()), (1, (1, 0)));
    assert_eq!(partner.revoked(), 0);
}

#[test]
fn a_poll_whose_answer_was_the_certificate_and_got_lost_is_asked_about_and_not_made_again() {
    let workshop = Workshop::new();
    let world = World::new(&workshop, KeyAlgorithm::P256);
    // Waiting, once more waiting; then the certificate, lost; then the way is broken for a while.
    let polls = AtomicUsize::new(0);
    let partner = Partner::start(&world, move |_, kind| Plan {
        fault: match (
            kind,
            polls.fetch_add(usize::from(kind == Kind::PollReq), Ordering::SeqCst),
        ) {
            (Kind::PollReq, 2) => Fault::Lost,
            (Kind::PollReq, 3) => Fault::Busy,
            _ => Fault::None,
        },
        polls: 2,
        ..Plan::default()
    });
    let mut site = site(&world, &partner);
    let token = site.token(INSTANCE, "polled");
    pending(&site.enroll(&token));
    pending(&site.enroll(&token));
    let (_, why) = failure(&site.enroll(&token));
    assert!(why.contains("enrolmentBusy"), "{why}");
    let polled: bool = site
        .database()
        .query_row("SELECT polled FROM enrolments", [], |row| row.get(0))
        .unwrap();
    assert!(polled, "nobody knows yet what the authority answered");
    site.kill_gateway();
    enrolled(&site, &token);
    assert_eq!((partner.issued(), partner.confirmed()), (1, (1, 0)));
}

#[test]
fn an_order_that_is_turned_down_while_it_waits_is_over_and_another_token_begins_anew() {
    let workshop = Workshop::new();
    let world = World::new(&workshop, KeyAlgorithm::P256);
    let polls = AtomicUsize::new(0);
    let partner = Partner::start(&world, move |_, kind| {
        let is_poll = usize::from(kind == Kind::PollReq);
        let number = polls.fetch_add(is_poll, Ordering::SeqCst);
        Plan {
            fault: match (kind, number) {
                (Kind::PollReq, 1) => Fault::TurnedDown,
                _ => Fault::None,
            },
            polls: usize::from(number == 0),
            ..Plan::default()
        }
    });
    let site = site(&world, &partner);
    let token = site.token(INSTANCE, "turned-down");
    pending(&site.enroll(&token));
    for _ in 0..2 {
        let (code, why) = failure(&site.enroll(&token));
        assert_eq!(code, "certificate_refused", "{why}");
        assert!(
            why.contains("unacceptedPolicy") && why.contains("new token"),
            "{why}"
        );
        assert_eq!(partner.messages(), 3, "p10cr and two polls");
    }
    enrolled(&site, &site.token(INSTANCE, "anew"));
    assert_eq!(partner.confirmed(), (1, 0));
}

/// What the refusal of a lie has to say.
fn words(twist: Twist) -> &'static str {
    match twist {
        Twist::OtherKey => "another key",
        Twist::OtherName => "connector-9",
        Twist::Sha1 => "signature algorithm is not accepted",
        Twist::Expired => "expired",
        Twist::WrongChain => "neither among the roots",
        Twist::TooLong => "100 are allowed",
        Twist::Early => "not valid before",
        Twist::AnAuthority => "authority's",
        Twist::Again => "has already",
        other => panic!("{other:?} is no lie about a connector's certificate"),
    }
}

#[test]
fn what_the_authority_issues_beside_the_order_gets_to_nobody_is_revoked_and_ends_the_order() {
    let workshop = Workshop::new();
    let world = World::new(&workshop, KeyAlgorithm::P256);
    let next = Arc::new(Mutex::new(Twist::Honest));
    let turn = Arc::clone(&next);
    let partner = Partner::start(&world, move |_, _| Plan {
        twist: *turn.lock().unwrap(),
        ..Plan::default()
    });
    let site = site(&world, &partner);
    let refused = |twist: Twist| {
        *next.lock().unwrap() = twist;
        let token = site.token(INSTANCE, &format!("{twist:?}"));
        let (code, why) = failure(&site.enroll(&token));
        assert_eq!(code, "certificate_refused", "{twist:?}: {why}");
        assert!(why.contains(words(twist)), "{twist:?}: {why}");
        assert!(why.contains("new token"), "{twist:?}: {why}");
        assert!(!site.certificate().exists() && !site.path("identity/next.pem").exists());
        // The order is over: the authority hears no more of it, whatever it would issue now.
        let asked = partner.messages();
        *next.lock().unwrap() = Twist::Honest;
        let (code, again) = failure(&site.enroll(&token));
        assert_eq!((code.as_str(), &again), ("certificate_refused", &why));
        assert_eq!(partner.messages(), asked);
        site.an_hour_passes();
    };
    for twist in Twist::OF_CONNECTORS {
        let revoked = partner.revoked();
        refused(twist);
        let revoked = partner.revoked() - revoked;
        match twist {
            // Turned down by the client: the authority revokes what is turned down (RFC 9483 section 4.1.1).
            Twist::OtherKey => assert_eq!((partner.confirmed().1, revoked), (1, 0)),
            // No certificate of this authority.
            Twist::WrongChain => assert_eq!(revoked, 0),
            _ => assert_eq!(revoked, 1, "{twist:?}"),
        }
    }
    assert_eq!(partner.issued(), Twist::OF_CONNECTORS.len());

    *next.lock().unwrap() = Twist::Honest;
    enrolled(&site, &site.token(INSTANCE, "honest"));
    let revoked = partner.revoked();
    // The one that is in use, given out again: nobody revokes that.
    let first = read(&site.certificate());
    std::fs::remove_file(site.certificate()).unwrap();
    refused(Twist::Again);
    assert_eq!(partner.revoked(), revoked);
    std::fs::write(site.certificate(), first).unwrap();
    let mut connector = site.spawn_connector();
    until("it does not work", || {
        let status = site.site.stack.gateway_status();
        status.is_ok_and(|status| status.to_string().contains(INSTANCE))
    });
    connector.kill();

    let refusals: i64 = site
        .database()
        .query_row(
            "SELECT count(*) FROM admin_audit WHERE outcome = 'certificateRefused' AND object LIKE 'connector connector-0: %'",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(refusals, 9);
}

#[test]
fn a_renewal_that_is_lied_to_is_told_asks_no_more_for_an_hour_and_the_connector_goes_on() {
    let workshop = Workshop::new();
    let world = World::new(&workshop, KeyAlgorithm::P256);
    let next = Arc::new(Mutex::new(Twist::OtherName));
    let turn = Arc::clone(&next);
    let partner = Partner::start(&world, move |_, _| Plan {
        twist: *turn.lock().unwrap(),
        ..Plan::default()
    });
    let root = read(&world.root.certificate);
    let (site, before) = by_hand_with(&root, Some(partner.settings()));
    // Of a hundred days, eighty are over: it is due.
    let mut connector = site.spawn_connector();
    let event = site.site.wait_for_event(71);
    let told = serde_json::to_string(&event).unwrap();
    assert!(
        told.contains("connector-9") && told.contains("it was revoked"),
        "{told}"
    );
    assert_eq!((partner.issued(), partner.revoked()), (1, 1));
    // It tries again, also after a restart, and the authority hears nothing of it.
    *next.lock().unwrap() = Twist::Honest;
    let asked = partner.messages();
    connector.kill();
    connector = site.spawn_connector();
    until("it is not tried again", || site.site.count(71) > 1);
    assert_eq!(partner.messages(), asked);
    assert_eq!(read(&site.certificate()), before.as_bytes());
    assert!(!site.unhealthy_for("identity"), "there is time yet");
    site.an_hour_passes();
    let event = site.site.wait_for_event(70);
    assert!(event.message.contains("renewed"), "{event:?}");
    assert_eq!((partner.issued(), partner.revoked()), (2, 1));
    connector.kill();
}
