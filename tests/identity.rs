//! The connector's own certificate with the real processes: its key on the engine's token, enrolled by a one-time token, renewed while requests
//! are delivered, and killed at every step.
#![forbid(unsafe_code)]
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

#[path = "../ca/tests/support/authority.rs"]
mod authority;
#[path = "identity/cmp.rs"]
mod cmp;
#[path = "certificates/company.rs"]
mod company;
#[path = "identity/est.rs"]
mod est;
#[path = "../ca/tests/support/estserver.rs"]
mod estserver;
#[path = "support/issuance.rs"]
mod issuance;
#[path = "memory/needles.rs"]
mod needles;
#[path = "certificates/network.rs"]
mod network;
#[path = "certificates/partner.rs"]
mod partner;
#[path = "identity/site.rs"]
mod site;
#[path = "support/stack.rs"]
mod stack;
#[path = "../ca/tests/support/mod.rs"]
mod support;
#[path = "../ca/tests/support/world.rs"]
mod world;

use support::openssl;

use issuance::{Grant, issue};
use openssl::{KeyAlgorithm, Workshop};
use pfx_connector::cli::demo::Deliveries;
use pfx_connector::clock::{Clock, ManualClock, SystemClock, rfc3339};
use pfx_connector::encoding::Base64Bytes;
use site::{Enrolling, INSTANCE, json};
use stack::{settle, until};
use std::path::Path;
use std::sync::Arc;

const DAY_MS: i64 = 86_400_000;

/// A site whose connector has a certificate that was made by hand for the key on the token: for 100 days, of which 80 are over.
fn by_hand() -> (Enrolling, String) {
    by_hand_with(&[], None)
}

/// The same where the gateway has this authority, whose certificates (PEM) are accepted.
fn by_hand_with(trusted: &[u8], authority_settings: Option<&str>) -> (Enrolling, String) {
    let mut site = Enrolling::new();
    site.trust(trusted);
    let workshop = Workshop::new();
    let authority = workshop.authority("By hand", KeyAlgorithm::P256);
    site.trust(&read(&authority.certificate));
    match authority_settings {
        Some(settings) => site.start_with(settings),
        None => site.start(),
    }
    let digits = |days: i64| {
        let text = rfc3339(SystemClock.now_ms() + days * DAY_MS);
        let digits: String = text.chars().filter(char::is_ascii_digit).take(14).collect();
        format!("{digits}Z")
    };
    let (from, to) = (digits(-80), digits(20));
    let grant = Grant {
        as_asked: false,
        extensions: "basicConstraints = critical, CA:FALSE\nextendedKeyUsage = clientAuth",
        not_before: &from,
        not_after: &to,
        ..Grant::default()
    };
    let csr = site.request_of("gateway");
    let der = issue(&workshop, &authority, csr.csr.as_slice(), &grant);
    let pem = der::pem::encode_string("CERTIFICATE", der::pem::LineEnding::LF, &der).unwrap();
    std::fs::create_dir(site.path("identity")).unwrap();
    std::fs::write(site.certificate(), &pem).unwrap();
    (site, pem)
}

/// The connector in this process, with a clock that is a month behind: its certificate is not due then. It ends with this process.
fn run_behind(site: &Enrolling) -> Arc<ManualClock> {
    let clock = Arc::new(ManualClock::at(SystemClock.now_ms() - 30 * DAY_MS));
    let (config, its_clock) = (site.config(), Arc::clone(&clock));
    std::thread::spawn(move || pfx_connector::connector::run_by(&config, its_clock));
    until("no first contact", || {
        site.site
            .stack
            .gateway_status()
            .is_ok_and(|status| status.to_string().contains(INSTANCE))
    });
    clock
}

fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_default()
}

#[test]
fn a_connector_enrols_once_by_its_token_and_delivers_with_a_key_that_never_leaves_the_token() {
    let mut site = Enrolling::new();
    site.start();
    // Before it is enrolled it says what to do.
    let mut early = site.spawn_connector();
    until("it runs without a certificate", || !early.is_running());
    assert!(
        site.site.log(INSTANCE).contains("enroll"),
        "{}",
        site.site.log(INSTANCE)
    );

    let strangers = site.token("connector-9", "strangers");
    let refused = json(&site.enroll(&strangers));
    assert!(
        refused.to_string().contains("another instance"),
        "{refused}"
    );
    let mdm = site.path("import/mdm.token");
    let refused = json(&site.enroll(&mdm));
    assert!(refused.to_string().contains("role is mdm"), "{refused}");

    let token = site.token(INSTANCE, "enrolment");
    let done = site.enroll(&token);
    assert!(done.status.success(), "{done:?}");
    assert_eq!(json(&done)["enrolled"], true);
    let first = read(&site.certificate());
    assert_eq!(site.issued(), 1);
    assert!(
        json(&site.enroll(&token))
            .to_string()
            .contains("already_enrolled")
    );

    // The answer was lost: the same token gives the same certificate. Another request gets none.
    let order = site.path("identity/order.json");
    std::fs::remove_file(site.certificate()).unwrap();
    assert!(!order.exists());
    let again = json(&site.enroll(&token));
    assert!(
        again.to_string().contains("used for another request"),
        "{again}"
    );
    assert!(order.exists());
    std::fs::write(site.certificate(), &first).unwrap();

    let mut connector = site.spawn_connector();
    let plan = site.site.plan_for_strict_mode(2, 2);
    let mut deliveries = Deliveries::new(&site.site.stack).unwrap();
    for person in &plan.people {
        for device in &plan.devices {
            deliveries.ask(person, device).unwrap();
        }
    }
    site.site.assert_all_delivered_once(&mut deliveries);
    assert!(connector.is_running());
    assert_eq!(site.issued(), 1);
    connector.stop().unwrap();
}

#[test]
fn an_answer_that_was_lost_is_given_again_to_the_same_request_alone() {
    let mut site = Enrolling::new();
    site.start();
    let token = site.token(INSTANCE, "enrolment");
    // Without the engine there is not even a request.
    site.engine.take().unwrap().kill();
    let failed = site.enroll(&token);
    assert!(!failed.status.success(), "{failed:?}");
    site.engine = Some(site.site.stack.start_engine().unwrap());
    site.request_of("gateway");
    let done = site.enroll(&token);
    assert!(done.status.success(), "{done:?}");
    let first = read(&site.certificate());
    // As after a crash of the command before its last step.
    let folder = site.path("identity");
    std::fs::rename(site.certificate(), folder.join("next.pem")).unwrap();
    site.gateway.take().unwrap().kill();
    let away = site.enroll(&token);
    assert!(
        json(&away).to_string().contains("run the command again"),
        "{away:?}"
    );
    site.start_gateway();
    let done = site.enroll(&token);
    assert!(done.status.success(), "{done:?}");
    assert_eq!(read(&site.certificate()), first);
    assert_eq!(site.issued(), 1);
    // As where the gateway's answer was lost: what is left is the request.
    std::fs::remove_file(site.certificate()).unwrap();
    let request = site.order_at_the_gateway();
    let signed = site.request_of("gateway");
    let order = serde_json::json!({"version": 1, "replaces": "", "csr": Base64Bytes(request), "publicKey": signed.public_key, "commonName": INSTANCE});
    std::fs::write(folder.join("order.json"), order.to_string()).unwrap();
    let done = site.enroll(&token);
    assert!(done.status.success(), "{done:?}");
    assert_eq!(read(&site.certificate()), first);
    assert_eq!(site.issued(), 1);
    // As where the gateway died after the authority had issued, and before it knew: the authority is asked what became of the order.
    std::fs::remove_file(site.certificate()).unwrap();
    std::fs::write(folder.join("order.json"), order.to_string()).unwrap();
    site.forget_at_the_gateway();
    let done = site.enroll(&token);
    assert!(done.status.success(), "{done:?}");
    assert_eq!(read(&site.certificate()), first);
    assert_eq!(site.issued(), 1);
    // Another key of the same name is no way to a second certificate.
    std::fs::remove_file(site.certificate()).unwrap();
    site.use_key("other");
    let other = json(&site.enroll(&token));
    assert!(
        other.to_string().contains("used for another request"),
        "{other}"
    );
    assert_eq!(site.issued(), 1);
}

#[test]
fn a_certificate_is_renewed_under_load_when_the_clock_says_so_and_no_request_fails() {
    let (site, pem) = by_hand();
    let before = pem.into_bytes();
    let clock = run_behind(&site);
    let plan = site.site.plan_for_strict_mode(6, 4);
    let mut deliveries = Deliveries::new(&site.site.stack).unwrap();
    let mut asked = 0;
    let mut renewed = false;
    // Load before, while and after: the clock is set once the first results are there.
    for (number, person) in plan.people.iter().enumerate() {
        for device in &plan.devices {
            deliveries.ask(person, device).unwrap();
            asked += 1;
        }
        if number == 1 {
            until("nothing is delivered", || deliveries.look() > 0);
            clock.advance_ms(30 * DAY_MS);
        }
        if number == 3 {
            until("it is not renewed", || {
                renewed = read(&site.certificate()) != before;
                deliveries.look();
                renewed
            });
        }
    }
    settle(&mut deliveries);
    site.site.assert_all_delivered_once(&mut deliveries);
    assert_eq!(deliveries.verified(), asked);
    assert_eq!(site.issued(), 1);
    let event = site.site.wait_for_event(70);
    assert!(event.message.contains("renewed"), "{event:?}");
    for id in [30, 32, 71, 2101, 2203] {
        let all = [site.site.admin(), site.site.operational()].concat();
        let troubles: Vec<_> = all.iter().filter(|event| event.id == id).collect();
        assert!(troubles.is_empty(), "{troubles:?}");
    }
}

#[test]
fn a_connector_that_is_killed_at_every_step_of_its_renewal_gets_one_certificate_and_goes_on() {
    let (site, pem) = by_hand();
    let is_new = |site: &Enrolling| read(&site.certificate()) != pem.as_bytes();
    let steps: [&dyn Fn(&Enrolling) -> bool; 3] = [
        &|site| site.path("identity/order.json").exists(),
        &|site| site.path("identity/next.pem").exists() || is_new(site),
        &is_new,
    ];
    // The instance is known first: it renews after its first contact.
    let mut kills = 0;
    for step in steps {
        let mut connector = site.spawn_connector();
        until("the step is not done", || step(&site));
        connector.kill();
        kills += 1;
    }
    assert_eq!(kills, 3);
    let mut connector = site.spawn_connector();
    until("an order is left over", || {
        is_new(&site)
            && !site.path("identity/order.json").exists()
            && !site.path("identity/next.pem").exists()
    });
    assert_eq!(site.issued(), 1, "one renewal, one certificate");
    let plan = site.site.plan_for_strict_mode(1, 2);
    let mut deliveries = Deliveries::new(&site.site.stack).unwrap();
    for device in &plan.devices {
        deliveries.ask(&plan.people[0], device).unwrap();
    }
    site.site.assert_all_delivered_once(&mut deliveries);
    connector.kill();
}

#[test]
fn a_renewal_that_fails_is_told_and_makes_the_connector_unhealthy_long_before_the_end() {
    let (mut site, _) = by_hand();
    let clock = run_behind(&site);
    site.gateway.take().unwrap().kill();
    clock.advance_ms(30 * DAY_MS);
    let event = site.site.wait_for_event(71);
    assert!(event.fields.contains_key("hoursLeft"), "{event:?}");
    assert!(!site.unhealthy_for("identity"), "there is time yet");
    // Of twenty days before the end, four.
    clock.advance_ms(4 * DAY_MS);
    until("it is not unhealthy", || site.unhealthy_for("identity"));
    site.start_gateway();
    site.site.wait_for_event(70);
    until("it is not healthy again", || {
        !site.unhealthy_for("identity")
    });
}
