//! Revocations at authorities by CMP: OpenSSL's server, and one of the tests' own that counts what it is asked. Each certificate is revoked
//! once and told once, though the authority is away, late or broken, or its answer gets lost.

use super::authority::{Reply, Server};
use super::mock::MockServer;
use super::openssl::{Issuance, KeyAlgorithm, Workshop};
use super::partner::{
    Fault, Partner, Plan, content_of, serial_of, serial_of_certificate, settings,
};
use super::stack::{self, block_on, until};
use super::way::Way;
use super::world::{self, World};
use super::{Issued, Revoking, unknown};
use pfx_connector::gateway::revocation_api::{
    AcceptedRevocation, RevocationResult, RevocationState, RevocationStatus,
};
use pfx_connector::telemetry::Event;
use pki::cmp::{Body, Kind, Message};
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Attempts that came to nothing, what was revoked, and what the Admin log has of each request.
const ATTEMPT: u16 = 3052;
const REVOKED: u16 = 3050;
const FAILED: u16 = 3051;
const TOLD: u16 = 3000;
const TOLD_FAILURE: u16 = 3001;

/// Longer than an honest answer takes on a busy machine.
const DEADLINE: Duration = Duration::from_secs(5);

impl Revoking {
    fn settled(&self) -> usize {
        self.count(RevocationState::Completed) + self.count(RevocationState::Failed)
    }

    /// With the further authority `partner` of this world, at this address.
    fn with_partner(world: &World<'_>, url: &str) -> Self {
        let settings = settings(world, url);
        let deadline = DEADLINE.as_millis();
        Self::start_with(
            100,
            100,
            &format!("[[connector.ca]]\nname = \"partner\"\n{settings}timeout_ms = {deadline}\n"),
        )
    }

    /// The events of both logs about a request.
    fn events_of(&self, request: &str) -> Vec<Event> {
        let site = &self.issuing.site;
        let all = [site.admin(), site.operational()].concat();
        let about = |event: &Event| event.request_id.as_deref() == Some(request);
        all.into_iter().filter(about).collect()
    }

    fn attempts(&self) -> usize {
        let all = self.issuing.site.operational();
        all.iter().filter(|event| event.id == ATTEMPT).count()
    }

    /// How often the gateway took a result of a request, by its own books.
    fn uploads(&self) -> BTreeMap<String, i64> {
        let database = self.issuing.site.stack.path("gateway/gateway.db");
        let database = rusqlite::Connection::open(database).unwrap();
        let mut rows = database
            .prepare("SELECT id, completions FROM requests")
            .unwrap();
        let rows = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
        rows.unwrap().collect::<Result<_, _>>().unwrap()
    }
}

fn count(events: &[Event], id: u16) -> usize {
    events.iter().filter(|event| event.id == id).count()
}

#[test]
fn what_is_lost_late_or_refused_on_the_way_to_the_authority_is_revoked_once_and_told_once() {
    let workshop = Workshop::new();
    let world = World::new(&workshop, KeyAlgorithm::P256);
    // Between them messages that fare well: the authority is not left alone for all this.
    let faults = [
        Fault::Lost,
        Fault::Cut,
        Fault::Late(DEADLINE + Duration::from_secs(1)),
        Fault::Status(500),
        Fault::Status(404),
        Fault::Status(400),
        Fault::Status(403),
        Fault::Status(502),
        Fault::Busy,
        Fault::Lost,
    ];
    let seen = AtomicUsize::new(0);
    let partner = Partner::start(&world, move |_, kind| {
        let number = match kind {
            Kind::Rr => seen.fetch_add(1, Ordering::SeqCst),
            _ => 0,
        };
        let fault = (number % 2 == 1).then(|| faults.get(number / 2)).flatten();
        Plan {
            fault: fault.copied().unwrap_or_default(),
            ..Plan::default()
        }
    });
    let mut way = Way::to(partner.url());
    let all = Revoking::with_partner(&world, &way.url());
    let issue = || Issued::of(partner.issue(&world.csr));
    let issued: Vec<Issued> = (0..16).map(|_| issue()).collect();
    let spared = issue();

    // The authority is away, for longer than it is asked without a pause.
    let (early, late) = issued.split_at(6);
    let ask = |certificates: &[Issued], key: &str| -> Vec<AcceptedRevocation> {
        all.revoke(certificates.iter().map(Issued::by_serial).collect(), key)
    };
    let mut asked = ask(early, "early");
    until("it is not left alone", || all.attempts() >= 5);
    assert_eq!(partner.messages(), 0);
    way.open();
    asked.extend(ask(late, "late"));
    let stranger = all.revoke(unknown(&issued[0].issuer, 1), "unknown");
    until("all are settled", || all.settled() == issued.len() + 1);
    until("an Admin event for each", || {
        all.issuing.site.count(TOLD) == issued.len() && all.issuing.site.count(TOLD_FAILURE) == 1
    });

    let (states, uploads) = (all.all(), all.uploads());
    for (one, accepted) in issued.iter().zip(&asked) {
        let state = &states[&accepted.request_id];
        let events = all.events_of(&accepted.request_id);
        assert_eq!(state.state, RevocationState::Completed, "{state:?}");
        assert!(partner.is_revoked(&one.serial));
        assert_eq!(
            (
                count(&events, REVOKED),
                count(&events, TOLD),
                uploads[&accepted.request_id]
            ),
            (1, 1, 1),
            "{events:?}"
        );
        // One rr for each attempt that got there, and none after the answer that was heard.
        let unreached = events
            .iter()
            .filter(|event| event.id == ATTEMPT && reason(event).contains("not reached"));
        let (arrived, answered) = partner.asked_to_revoke(&one.serial);
        let attempts = count(&events, ATTEMPT) + 1;
        assert_eq!(arrived, attempts - unreached.count(), "{events:?}");
        let expected = match answered {
            1 => RevocationResult::Now,
            _ => RevocationResult::Already,
        };
        assert_eq!(state.result, Some(expected), "{answered}: {events:?}");
    }
    let state = &states[&stranger[0].request_id];
    assert_eq!(state.failure.as_ref().unwrap().code, "unknownCertificate");
    let events = all.events_of(&stranger[0].request_id);
    assert_eq!(
        (count(&events, FAILED), count(&events, TOLD_FAILURE)),
        (1, 1)
    );
    assert_eq!(partner.revoked(), issued.len());
    assert!(!partner.is_revoked(&spared.serial));
    // What each attempt came to stands in its event.
    let said: Vec<String> = all
        .issuing
        .site
        .operational()
        .iter()
        .filter(|event| event.id == ATTEMPT)
        .map(reason)
        .collect();
    for words in [
        "not reached",
        "broke",
        "in time",
        "500",
        "404",
        "400",
        "403",
        "502",
        "503",
    ] {
        assert!(
            said.iter().any(|one| one.contains(words)),
            "{words}: {said:?}"
        );
    }
    way.close();
    all.stop();
}

fn reason(event: &Event) -> String {
    serde_json::to_string(&event.fields["reason"]).unwrap()
}

/// How often each serial number was named.
type Counts = Arc<Mutex<HashMap<Vec<u8>, usize>>>;

/// OpenSSL's servers, one for each certificate, and how often each was asked. The first answer about the first one is lost.
fn mocks(world: &World<'_>, certificates: &[Vec<u8>]) -> (Server, Counts) {
    let servers: HashMap<Vec<u8>, MockServer> = certificates
        .iter()
        .map(|der| {
            let pem = world.workshop.fresh(".pem");
            let text = der::pem::encode_string("CERTIFICATE", der::pem::LineEnding::LF, der);
            std::fs::write(&pem, text.unwrap()).unwrap();
            let speaker = (&*world.speaker.certificate, &*world.speaker.key);
            let server = MockServer::signing(speaker, &world.root.certificate, &pem, &[]);
            (serial_of_certificate(der), server)
        })
        .collect();
    let first = serial_of_certificate(&certificates[0]);
    let asked = Counts::default();
    let counted = Arc::clone(&asked);
    let server = Server::threads(move |_, request| {
        // Which of them answers other questions does not matter.
        let is_rr = Message::read(request).unwrap().body == Body::Request(Kind::Rr);
        let serial = match is_rr {
            true => serial_of(content_of(request)),
            false => first.clone(),
        };
        let number = {
            let mut counted = counted.lock().unwrap();
            let number = counted.entry(serial.clone()).or_default();
            *number += usize::from(is_rr);
            *number
        };
        let answer = block_on(async {
            let asked = world::http()
                .post(&servers[&serial].url)
                .header("content-type", "application/pkixcmp")
                .body(request.to_vec());
            let answer = asked.send().await.unwrap().error_for_status().unwrap();
            answer.bytes().await.unwrap().to_vec()
        });
        match is_rr && serial == first && number == 1 {
            true => Reply::Close,
            false => Reply::Message(answer),
        }
    });
    (server, asked)
}

#[test]
fn openssls_server_that_is_away_in_the_middle_revokes_each_once_by_a_connector_that_was_killed_meanwhile()
 {
    let workshop = Workshop::new();
    let world = World::new(&workshop, KeyAlgorithm::P256);
    let certificates: Vec<Vec<u8>> = (0..6)
        .map(|number| {
            world
                .root
                .device(&format!("user{number}"), KeyAlgorithm::P256)
                .der()
        })
        .collect();
    let (server, rr) = mocks(&world, &certificates);
    let mut way = Way::to(&server.url);
    way.open();
    let mut all = Revoking::with_partner(&world, &way.url());
    let issued: Vec<Issued> = certificates.into_iter().map(Issued::of).collect();
    let (before, during) = issued.split_at(2);
    let name = |certificates: &[Issued]| certificates.iter().map(Issued::by_itself).collect();
    let mut asked = all.revoke(name(before), "before");
    until("the first are not revoked", || {
        all.count(RevocationState::Completed) == before.len()
    });
    way.close();
    asked.extend(all.revoke(name(during), "during"));
    let attempts = all.attempts();
    until("no attempt comes to nothing", || {
        all.attempts() >= attempts + 2
    });
    let asked_meanwhile = rr.lock().unwrap().values().sum::<usize>();
    all.kill_connector();
    way.open();
    until("all are settled", || all.settled() == issued.len());
    until("an Admin event for each", || {
        all.issuing.site.count(TOLD) == issued.len()
    });
    assert_eq!(
        asked_meanwhile,
        before.len() + 1,
        "the first one's answer was lost"
    );
    let (states, uploads) = (all.all(), all.uploads());
    for (place, (one, accepted)) in issued.iter().zip(&asked).enumerate() {
        let state: &RevocationStatus = &states[&accepted.request_id];
        assert_eq!(state.state, RevocationState::Completed, "{state:?}");
        let events = all.events_of(&accepted.request_id);
        assert_eq!(
            (count(&events, TOLD), uploads[&accepted.request_id]),
            (1, 1)
        );
        // Nobody was killed while it was reached.
        let expected = match place {
            0 => 2,
            _ => 1,
        };
        assert_eq!(rr.lock().unwrap()[&one.serial], expected, "{events:?}");
        assert_eq!(count(&events, REVOKED), 1, "{events:?}");
    }
    way.close();
    all.stop();
}

#[test]
fn a_cmp_authority_revokes_and_one_of_est_says_what_to_do() {
    let workshop = Workshop::new();
    let root = workshop.authority("Partner Root", KeyAlgorithm::P256);
    let with = |lines: &str| Issuance {
        extensions: lines.to_owned(),
        ..Issuance::default()
    };
    let signing = "keyUsage = critical, digitalSignature\nsubjectKeyIdentifier = hash";
    // id-kp-cmcRA: who may speak for an authority.
    let speaking = format!("{signing}\nextendedKeyUsage = 1.3.6.1.5.5.7.3.28");
    let speaker = root.device_with("Registration", KeyAlgorithm::P256, &with(&speaking));
    let connector = root.device_with("connector-1", KeyAlgorithm::P256, &with(signing));
    let device = root.device("somebody", KeyAlgorithm::P256);
    let server = MockServer::signing(
        (&speaker.certificate, &speaker.key),
        &root.certificate,
        &device.certificate,
        &[],
    );
    let legacy = workshop.authority("Legacy Root", KeyAlgorithm::P256);
    let of_legacy = legacy.device("somebody else", KeyAlgorithm::P256);
    let password = workshop.file(b"secret");
    stack::write_private(&password, b"secret");
    let all = Revoking::start_with(
        100,
        100,
        &format!(
            "[[connector.ca]]\nname = \"partner\"\nkind = \"cmp\"\nurl = {:?}\nroots = {:?}\ncertificate = {:?}\nprivate_key = {:?}\n\
             pause_ms = 50\nlongest_pause_ms = 500\n\
             [[connector.ca]]\nname = \"legacy\"\nkind = \"est\"\nurl = \"https://127.0.0.1:1\"\nroots = {:?}\nserver_ca = {:?}\n\
             username = \"u\"\npassword_file = {password:?}",
            server.url,
            root.certificate,
            connector.certificate,
            connector.key,
            legacy.certificate,
            legacy.certificate,
        ),
    );
    let known = Issued::of(device.der());
    let unknown = unknown(&known.issuer, 1);
    let names = vec![
        known.by_serial(),
        unknown[0].clone(),
        Issued::of(of_legacy.der()).by_itself(),
    ];
    let asked = all.revoke(names, "cmp");
    until("all are settled", || all.settled() == 3);
    let states = all.all();
    let state = |place: usize| &states[&asked[place].request_id];
    assert_eq!(state(0).result, Some(RevocationResult::Now), "{states:?}");
    // OpenSSL's server says no without a reason.
    assert_eq!(state(1).failure.as_ref().unwrap().code, "rejected");
    let refused = state(2).failure.as_ref().unwrap();
    assert_eq!(refused.code, "revocationUnsupported");
    assert!(refused.message.contains("EST cannot revoke"), "{refused:?}");
    all.stop();
}
