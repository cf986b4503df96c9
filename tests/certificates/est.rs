//! Through gateway and connector to libest's estserver, in strict FIPS mode without any exception, with a bad network in between.

use super::device::open;
use super::estserver::EstServer;
use super::network::network;
use super::openssl::{Authority, KeyAlgorithm, Workshop, text};
use super::partner::Fault;
use super::site::{Issuing, Setup};
use super::stack::write_private;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// It does not copy what a request asks for: what Anna's request asks for stands in its configuration.
pub(crate) const ANNA: &str =
    "extendedKeyUsage = emailProtection\nsubjectAltName = email:anna@example.com";

/// An estserver for Anna.
fn estserver(workshop: &Workshop, root: &Authority<'_>, options: &[&str]) -> EstServer {
    EstServer::start(workshop, root, ANNA, options)
}

/// `[[connector.ca]]` without its name.
fn settings(workshop: &Workshop, root: &Authority<'_>, url: &str) -> String {
    let password = workshop.fresh(".password");
    write_private(&password, b"estpwd");
    format!(
        "kind = \"est\"\nurl = {url:?}\nroots = {0:?}\nserver_ca = {0:?}\nusername = \"estuser\"\npassword_file = {1:?}\npause_ms = 50\nlongest_pause_ms = 500\n",
        text(&root.certificate),
        text(&password),
    )
}

#[test]
fn estserver_issues_to_a_device_in_strict_mode() {
    let workshop = Workshop::new();
    let root = workshop.authority("EST Root", KeyAlgorithm::P256);
    let server = estserver(&workshop, &root, &[]);
    let settings = settings(&workshop, &root, &server.url());
    let issuing = Issuing::with(Setup::strict(format!(
        "[[connector.ca]]\nname = \"company\"\n{settings}"
    )));
    let running = issuing.start();
    issuing.enrol();
    let device = issuing.device(0);
    let request = issuing.ask("anna@example.com", &device, "windows");
    let opened = open(&device, &issuing.delivered(&request), &root.certificate);
    assert!(opened.certificate.contains("CN = anna"));
    assert_eq!(server.issued(), 1);
    issuing.assert_strict();
    running.stop();
}

#[test]
fn an_order_that_estserver_keeps_waiting_is_asked_for_again_by_a_connector_that_was_killed_meanwhile()
 {
    let workshop = Workshop::new();
    let root = workshop.authority("EST Root", KeyAlgorithm::P256);
    let server = estserver(&workshop, &root, &["-m", "60"]);
    let network = network(&root, server.url(), Arc::default());
    let settings = settings(&workshop, &root, &network.url());
    let issuing = Issuing::with(Setup::strict(format!(
        "[[connector.ca]]\nname = \"company\"\n{settings}"
    )));
    let mut running = issuing.start();
    issuing.enrol();
    let device = issuing.device(0);
    let request = issuing.ask("anna@example.com", &device, "windows");
    issuing.event_of("operational", 1061, &request);
    running.kill_connector();
    open(&device, &issuing.delivered(&request), &root.certificate);
    assert_eq!(server.issued(), 1);
    running.stop();
}

#[test]
fn what_is_late_or_busy_is_issued_once_and_what_is_lost_is_the_operators_to_decide() {
    let workshop = Workshop::new();
    let root = workshop.authority("EST Root", KeyAlgorithm::P256);
    let server = estserver(&workshop, &root, &[]);
    let faults = Arc::<Mutex<VecDeque<Fault>>>::default();
    let network = network(&root, server.url(), Arc::clone(&faults));
    let settings = settings(&workshop, &root, &network.url());
    let issuing = Issuing::with(Setup::strict(format!(
        "[[connector.ca]]\nname = \"company\"\n{settings}\n\
         [[connector.ca]]\nname = \"partner\"\nwhen_unknown = \"ask-again\"\n{settings}"
    )));
    let running = issuing.start();
    issuing.enrol();
    issuing.add_profile("smime-again", |profile| profile.ca = "partner".to_owned());
    let device = issuing.device(0);
    let ask = |profile: &str, fault: Fault| {
        faults.lock().unwrap().push_back(fault);
        let key = format!("{fault:?}");
        let request = issuing.ask_as("anna@example.com", &device, profile, &key);
        issuing.settled(&request);
        request
    };
    let issued = |request: &str| {
        open(&device, &issuing.delivered(request), &root.certificate);
    };
    issued(&ask(
        "smime-windows",
        Fault::Late(Duration::from_millis(400)),
    ));
    let busy = ask("smime-windows", Fault::Busy);
    issued(&busy);
    issuing.event_of("operational", 1051, &busy);
    assert_eq!(server.issued(), 2);

    // EST has no way to ask what became of an order: nobody can tell these two from each other.
    for fault in [Fault::Cut, Fault::Lost] {
        let lost = ask("smime-windows", fault);
        let (code, message) = issuing.failure(&lost);
        assert_eq!(code, "outcomeUnknown", "{message}");
        assert!(message.contains(&lost), "{message}");
        assert!(message.contains("revoke it"), "{message}");
        issuing.event_of("admin", 1001, &lost);
    }
    assert_eq!(server.issued(), 3);

    // Where the operator has said so, it is asked for again, and told that there may be two.
    let again = ask("smime-again", Fault::Lost);
    issued(&again);
    let told = issuing.events("operational", 1051);
    let told = told
        .iter()
        .filter(|event| event.request_id.as_deref() == Some(&again));
    let told = serde_json::to_string(&told.collect::<Vec<_>>()).unwrap();
    assert!(told.contains("two certificates"), "{told}");
    assert_eq!(server.issued(), 5);
    running.stop();
}
