//! Certificates on request with the real processes: gateway, connector and engine, and an authority whose key is on the engine's token.
//! The device (OpenSSL) opens what it gets; processes are killed in between.
//!
//! `CERTIFICATES=300` asks for more than the usual 12 in the test with kills (`make soak`); `KILLS_SEED=7` chooses other victims and moments.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::cast_possible_truncation,
    missing_docs
)]

#[path = "certificates/site.rs"]
mod site;
#[path = "support/stack.rs"]
mod stack;
#[path = "certificates/told.rs"]
mod told;

#[path = "support/power.rs"]
mod power;

use pfx_connector::gateway::api::State;
use power::Random;
use site::Issuing;
use stack::until;
use std::collections::BTreeSet;
use std::time::Duration;

#[test]
fn a_device_gets_a_certificate_that_it_can_open_and_the_authority_has_issued_one() {
    let issuing = Issuing::new();
    let running = issuing.start();
    issuing.enrol();
    let device = issuing.device(0);
    let request = issuing.ask("anna@example.com", &device, "windows");
    let state = issuing.settled(&request);
    assert_eq!(
        state.state,
        State::Completed,
        "{state:?} {:?}",
        issuing.site.operational()
    );
    let certificate = issuing.open(&request, &device);
    assert!(certificate.contains("CN = anna"), "{certificate}");
    assert!(
        certificate.contains("email:anna@example.com"),
        "{certificate}"
    );
    assert_eq!(issuing.issued(), 1);
    let event = issuing.site.wait_for_event(1000);
    assert_eq!(event.request_id.as_deref(), Some(request.as_str()));
    for id in [1002, 1020, 1050, 1102] {
        let seen = issuing.site.operational();
        assert!(seen.iter().any(|event| event.id == id), "{id}: {seen:?}");
    }

    // What the policy does not allow fails for good, and the authority is not asked.
    let refused = issuing.ask("anna@evil.example", &device, "windows");
    let state = issuing.settled(&refused);
    let failure = state.failure.unwrap();
    assert_eq!(
        (state.state, failure.code.as_str()),
        (State::Failed, "policyDenied")
    );
    assert_eq!(issuing.issued(), 1);
    running.stop();
}

#[test]
fn killed_again_and_again_each_request_gets_one_certificate() {
    let wanted: usize = std::env::var("CERTIFICATES")
        .ok()
        .map_or(12, |text| text.parse().expect("CERTIFICATES is no number"));
    let seed = std::env::var("KILLS_SEED")
        .map_or(1, |text| text.parse().expect("KILLS_SEED is no number"));
    let mut random = Random::new(seed);
    let issuing = Issuing::new();
    let mut running = issuing.start();
    issuing.enrol();
    let device = issuing.device(0);
    let mut requests = Vec::new();
    let mut kills = 0;
    while requests.len() < wanted {
        for _ in 0..3.min(wanted - requests.len()) {
            let user = format!("user{}@example.com", requests.len());
            requests.push(issuing.ask(&user, &device, "windows"));
        }
        std::thread::sleep(Duration::from_millis(random.below(300) as u64));
        if random.below(2) == 0 {
            running.kill_connector();
        } else {
            running.kill_engine();
        }
        kills += 1;
    }
    for request in &requests {
        let state = issuing.settled(request);
        assert_eq!(state.state, State::Completed, "{state:?}");
        assert_eq!(state.completions, 1);
    }
    let opened: BTreeSet<String> = requests
        .iter()
        .map(|request| issuing.open(request, &device))
        .collect();
    assert_eq!(opened.len(), wanted, "each its own certificate");
    assert_eq!(
        issuing.issued(),
        wanted,
        "as many as were asked for, and no more"
    );
    until("an Admin event for each", || {
        issuing.site.count(1000) == wanted
    });
    assert_eq!(issuing.site.count(1001), 0);
    issuing.assert_no_private_key_on_disk();
    running.stop();
    println!("{wanted} certificates through {kills} kills");
}
