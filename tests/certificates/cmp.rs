//! Through gateway and connector to OpenSSL's mock server of CMP, in strict FIPS mode without any exception: signatures protect the messages.
//!
//! The mock server knows its answer before it is asked, and one transaction. So each order has a server of its own, started when its request
//! comes by, with the certificate that `openssl ca` has just issued for it. Every message and answer goes through unchanged.

use super::authority::{Reply, Server, http};
use super::company::Company;
use super::device::open;
use super::mock::MockServer;
use super::openssl::{KeyAlgorithm, Workshop, text};
use super::partner::{Fault, Partner, Plan, content_of, settings};
use super::site::{Issuing, Setup};
use super::stack::{block_on, until, write_private};
use super::world::{self, World};
use pki::cmp::{Body, Kind, Message};
use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

struct Order {
    server: MockServer,
    _workshop: Workshop,
}

/// The mock servers, and where the connector finds them.
fn mocks(world: &World<'_>, more: &[&'static str]) -> Server {
    let company = Company::of(&world.root);
    let speaker = (world.speaker.certificate.clone(), world.speaker.key.clone());
    let (root, more) = (world.root.certificate.clone(), more.to_vec());
    // For questions that belong to no order.
    let general = MockServer::signing((&speaker.0, &speaker.1), &root, &speaker.0, &[]);
    let orders: Mutex<HashMap<Vec<u8>, Order>> = Mutex::default();
    Server::threads(move |_, request| {
        let message = Message::read(request).unwrap();
        let transaction = message.header.transaction_id.unwrap();
        let mut orders = orders.lock().unwrap();
        if message.body == Body::Request(Kind::P10cr) {
            let workshop = Workshop::new();
            let certificate = company.issue_pem(content_of(request), &workshop);
            let server = MockServer::signing(
                (&speaker.0, &speaker.1),
                &root,
                &certificate,
                &[&more[..], &["-rsp_extracerts", root.to_str().unwrap()]].concat(),
            );
            let order = Order {
                server,
                _workshop: workshop,
            };
            assert!(
                orders.insert(transaction.clone(), order).is_none(),
                "an order was sent twice"
            );
        }
        let url = orders
            .get(&transaction)
            .map_or(&general.url, |order| &order.server.url);
        forward(url, request)
    })
}

fn forward(url: &str, request: &[u8]) -> Reply {
    block_on(async {
        let asked = world::http()
            .post(url)
            .header("content-type", "application/pkixcmp")
            .body(request.to_vec());
        let answer = asked.send().await.unwrap();
        let status = answer.status();
        let body = answer.bytes().await.unwrap();
        match status.as_u16() {
            200 => Reply::Message(body.to_vec()),
            _ => Reply::Raw(http(status.as_str(), "text/plain", &body)),
        }
    })
}

fn strict(world: &World<'_>, url: &str) -> Issuing {
    let settings = settings(world, url);
    Issuing::with(Setup::strict(format!(
        "[[connector.ca]]\nname = \"company\"\n{settings}"
    )))
}

#[test]
fn openssls_server_issues_to_a_device_in_strict_mode() {
    let workshop = Workshop::new();
    let world = World::new(&workshop, KeyAlgorithm::P256);
    let server = mocks(&world, &[]);
    let issuing = strict(&world, &server.url);
    let running = issuing.start();
    issuing.enrol();
    let device = issuing.device(0);
    let request = issuing.ask("anna@example.com", &device, "windows");
    let opened = open(
        &device,
        &issuing.delivered(&request),
        &world.root.certificate,
    );
    assert!(opened.certificate.contains("CN = anna"));
    assert!(opened.certificate.contains("email:anna@example.com"));
    issuing.assert_strict();
    running.stop();
}

#[test]
fn an_order_that_openssls_server_keeps_waiting_is_polled_for_by_a_connector_that_was_killed_meanwhile()
 {
    let workshop = Workshop::new();
    let world = World::new(&workshop, KeyAlgorithm::Rsa(2048));
    let server = mocks(&world, &["-poll_count", "3", "-check_after", "1"]);
    let issuing = strict(&world, &server.url);
    let mut running = issuing.start();
    issuing.enrol();
    let device = issuing.device(0);
    let request = issuing.ask("anna@example.com", &device, "windows");
    issuing.event_of("operational", 1061, &request);
    running.kill_connector();
    let opened = open(
        &device,
        &issuing.delivered(&request),
        &world.root.certificate,
    );
    assert!(opened.certificate.contains("CN = anna"));
    issuing.assert_strict();
    running.stop();
}

#[test]
fn a_shared_secret_needs_its_exception_by_name() {
    let workshop = Workshop::new();
    let world = World::new(&workshop, KeyAlgorithm::P256);
    let secret = workshop.fresh(".secret");
    write_private(&secret, b"a secret of more than fourteen octets");
    let with = |mac: &str| {
        let issuing = Issuing::with(Setup::strict(format!(
            "[[connector.ca]]\nname = \"company\"\nkind = \"cmp\"\nurl = \"http://127.0.0.1:9/\"\nroots = {:?}\nreference = \"connector\"\n\
             secret_file = {:?}\nmac = {mac:?}\n",
            text(&world.root.certificate),
            text(&secret),
        )));
        let stack = &issuing.site.stack;
        let engine = stack.start_engine().unwrap();
        let gateway = stack.start_gateway().unwrap();
        let started = stack
            .start_connector(0)
            .map(|running| running.stop().unwrap());
        gateway.stop().unwrap();
        engine.stop().unwrap();
        started.map_err(|error| error.to_string())
    };
    assert_eq!(with("hmac"), Ok(()));
    for mac in ["pbmac1", "password-based-mac"] {
        let said = with(mac).unwrap_err();
        assert!(said.contains("cmp-shared-secret"), "{mac}: {said}");
    }
}

#[test]
fn what_is_late_busy_cut_off_or_lost_ends_in_one_certificate() {
    let workshop = Workshop::new();
    let world = World::new(&workshop, KeyAlgorithm::P256);
    let faults = [
        Fault::Late(Duration::from_millis(400)),
        Fault::Busy,
        Fault::Cut,
        Fault::Lost,
    ];
    // Each fault befalls each kind of message once.
    let seen: [AtomicUsize; 3] = Default::default();
    let partner = Partner::start(&world, move |_, kind| {
        let place = match kind {
            Kind::P10cr => 0,
            Kind::PollReq => 1,
            _ => 2,
        };
        let number = seen[place].fetch_add(1, Ordering::SeqCst);
        Plan {
            fault: faults.get(number).copied().unwrap_or_default(),
            polls: number % 2,
            ..Plan::default()
        }
    });
    // This authority remembers transactions: to ask again is to ask for the same.
    let issuing = Issuing::with(Setup::strict(format!(
        "[[connector.ca]]\nname = \"company\"\n{}when_unknown = \"ask-again\"\n",
        partner.settings()
    )));
    let running = issuing.start();
    issuing.enrol();
    let device = issuing.device(0);
    let requests: Vec<String> = (0..6)
        .map(|number| issuing.ask(&format!("user{number}@example.com"), &device, "windows"))
        .collect();
    for (number, request) in requests.iter().enumerate() {
        let opened = open(
            &device,
            &issuing.delivered(request),
            &world.root.certificate,
        );
        assert!(opened.certificate.contains(&format!("CN = user{number}")));
    }
    assert_eq!(partner.issued(), requests.len());
    assert_eq!(partner.confirmed(), (requests.len(), 0));
    assert_eq!(partner.revoked(), 0);
    until("an Admin event for each", || {
        issuing.events("admin", 1000).len() == requests.len()
    });
    assert!(!issuing.events("operational", 1051).is_empty());
    running.stop();
}
