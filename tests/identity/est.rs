//! A gateway whose authority is libest's estserver. EST has no names for orders: what was lost there nobody can ask about, and it is never
//! ordered again without the operator's word.

use super::estserver::EstServer;
use super::network::network;
use super::openssl::{Authority, KeyAlgorithm, Workshop, text};
use super::partner::Fault;
use super::read;
use super::site::{Enrolling, INSTANCE, json};
use super::stack::{until, write_private};
use super::support::Server;
use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const CLIENT: &str = "extendedKeyUsage = clientAuth";

type Faults = Arc<Mutex<VecDeque<Fault>>>;

/// The estserver, a bad network before it, and a site whose gateway asks there.
struct World {
    server: EstServer,
    faults: Faults,
    site: Enrolling,
    _network: Server,
}

impl World {
    fn new(workshop: &Workshop, options: &[&str]) -> Self {
        let root = workshop.authority("EST Root", KeyAlgorithm::P256);
        let server = EstServer::start(workshop, &root, CLIENT, options);
        let faults = Faults::default();
        let network = network(&root, server.url(), Arc::clone(&faults));
        let mut site = Enrolling::new();
        site.trust(&read(&root.certificate));
        site.start_with(&settings(workshop, &root, &network.url()));
        Self {
            server,
            faults,
            site,
            _network: network,
        }
    }

    fn befalls(&self, faults: &[Fault]) {
        self.faults.lock().unwrap().extend(faults);
    }

    fn pending(&self, token: &Path) {
        let output = self.site.enroll(token);
        assert_eq!(output.status.code(), Some(3), "{output:?}");
    }

    fn failure(&self, token: &Path) -> String {
        let output = self.site.enroll(token);
        assert!(!output.status.success(), "{output:?}");
        json(&output).to_string()
    }

    fn enrolled(&self, token: &Path) {
        let done = self.site.enroll(token);
        assert!(done.status.success(), "{done:?}");
    }
}

fn settings(workshop: &Workshop, root: &Authority<'_>, url: &str) -> String {
    let password = workshop.fresh(".password");
    write_private(&password, b"estpwd");
    format!(
        "kind = \"est\"\nurl = {url:?}\nroots = {0:?}\nserver_ca = {0:?}\nusername = \"estuser\"\npassword_file = {1:?}\n",
        text(&root.certificate),
        text(&password),
    )
}

#[test]
fn an_order_that_estserver_keeps_waiting_is_asked_for_again_by_a_gateway_that_was_killed_meanwhile()
{
    let workshop = Workshop::new();
    // It answers 202 and remembers the request.
    let mut world = World::new(&workshop, &["-m", "60"]);
    let token = world.site.token(INSTANCE, "waiting");
    world.befalls(&[
        Fault::None,
        Fault::Status(202),
        Fault::Busy,
        Fault::Status(202),
    ]);
    world.pending(&token);
    world.site.kill_gateway();
    world.pending(&token);
    // Busy is not lost: the order still waits.
    let why = world.failure(&token);
    assert!(why.contains("stands as before"), "{why}");
    world.site.kill_gateway();
    world.pending(&token);
    assert_eq!(world.server.issued(), 0);
    world.enrolled(&token);
    assert_eq!(world.server.issued(), 1);
}

#[test]
fn an_answer_that_is_lost_spends_the_token_and_one_that_never_was_does_not() {
    let workshop = Workshop::new();
    let world = World::new(&workshop, &[]);
    let token = world.site.token(INSTANCE, "first");
    world.befalls(&[
        Fault::Busy,
        Fault::Status(404),
        Fault::Status(400),
        Fault::Lost,
    ]);
    for code in ["enrolmentBusy", "authorityFailed", "authorityRefused"] {
        let why = world.failure(&token);
        assert!(why.contains(code), "{why}");
    }
    assert_eq!(world.server.issued(), 0);
    let why = world.failure(&token);
    assert!(why.contains("it may have issued"), "{why}");
    // Whatever is done with this token now, nothing more is issued by it.
    for _ in 0..2 {
        let why = world.failure(&token);
        assert!(
            why.contains("cannot tell") && why.contains("new token"),
            "{why}"
        );
    }
    assert_eq!(world.server.issued(), 1);
    world.enrolled(&world.site.token(INSTANCE, "second"));
    assert_eq!(world.server.issued(), 2);
}

#[test]
fn a_pending_order_whose_answer_was_the_certificate_and_got_lost_is_not_asked_for_again() {
    let workshop = Workshop::new();
    let mut world = World::new(&workshop, &["-m", "60"]);
    let token = world.site.token(INSTANCE, "polled");
    world.befalls(&[Fault::None, Fault::Lost]);
    world.pending(&token);
    let why = world.failure(&token);
    assert!(why.contains("it may have issued"), "{why}");
    assert_eq!(world.server.issued(), 1);
    world.site.kill_gateway();
    let why = world.failure(&token);
    assert!(why.contains("cannot tell"), "{why}");
    assert_eq!(world.server.issued(), 1);
}

#[test]
fn a_connector_that_goes_away_before_the_authority_answers_finds_the_certificate_when_it_comes_back()
 {
    let workshop = Workshop::new();
    let world = World::new(&workshop, &[]);
    let config = world.site.config();
    let patient = std::fs::read_to_string(&config).unwrap();
    // `enroll` waits twice as long.
    let hasty = patient.replacen("[connector]\n", "[connector]\nhttp_timeout_ms = 500\n", 1);
    assert_ne!(hasty, patient);
    write_private(&config, hasty.as_bytes());
    let token = world.site.token(INSTANCE, "hasty");
    world.befalls(&[Fault::Late(Duration::from_secs(4))]);
    let why = world.failure(&token);
    assert!(!why.contains("authorityFailed"), "{why}");
    assert_eq!(world.server.issued(), 0, "the authority has not even begun");
    write_private(&config, patient.as_bytes());
    until("it is not there", || {
        world.site.enroll(&token).status.success()
    });
    assert_eq!(world.server.issued(), 1);
}
