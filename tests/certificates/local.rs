//! The authority on the engine's token.

use super::device::open;
use super::site::{Issuing, Setup};
use super::stack::{until, write_private};
use std::collections::BTreeSet;

#[test]
fn a_device_gets_a_certificate_that_it_can_open_and_the_authority_has_issued_one() {
    let issuing = Issuing::new();
    let running = issuing.start();
    issuing.enrol();
    let device = issuing.device(0);
    let request = issuing.ask("anna@example.com", &device, "windows");
    let opened = open(&device, &issuing.delivered(&request), &issuing.local_root());
    let certificate = &opened.certificate;
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
    assert_eq!(issuing.failure(&refused).0, "policyDenied");
    assert_eq!(issuing.issued(), 1);
    issuing.event_of("admin", 1001, &refused);
    running.stop();

    // Whoever reads one log alone knows what kind of device it was.
    let mut seen = BTreeSet::new();
    for event in issuing
        .all_events()
        .into_iter()
        .filter(|event| (1000..2000).contains(&event.id))
    {
        assert_eq!(
            event.fields.get("platform"),
            Some(&"windows".into()),
            "{event:?}"
        );
        seen.insert(event.id);
    }
    assert!(
        BTreeSet::from([1000, 1001, 1002, 1020, 1050, 1052, 1102]).is_subset(&seen),
        "{seen:?}"
    );
}

#[test]
fn strict_mode_needs_no_exception_and_says_which_platforms_do_not_read_its_files() {
    let issuing = Issuing::with(Setup {
        fips: "",
        ..Setup::default()
    });
    let running = issuing.start();
    issuing.enrol();
    let device = issuing.device(0);
    let request = issuing.ask("anna@example.com", &device, "windows");
    let opened = open(&device, &issuing.delivered(&request), &issuing.local_root());
    assert!(opened.certificate.contains("CN = anna"));
    let doubtful = issuing.event_of("admin", 1062, &request);
    assert!(doubtful.contains("approved"), "{doubtful}");
    issuing.assert_strict();
    running.stop();
}

#[test]
fn a_request_goes_to_the_connector_that_has_its_authority() {
    let issuing = Issuing::with(Setup {
        connectors: 2,
        ..Setup::default()
    });
    let secret = issuing.site.stack.path("elsewhere.secret");
    write_private(&secret, b"a secret of more than fourteen octets");
    let running = issuing.start_with_others(&format!(
        "[[connector.ca]]\nname = \"elsewhere\"\nkind = \"cmp\"\nurl = \"http://127.0.0.1:9/\"\nroots = {:?}\nreference = \"connector\"\n\
         secret_file = {:?}\nmac = \"hmac\"\n",
        issuing.local_root().to_str().unwrap(),
        secret.to_str().unwrap(),
    ));
    issuing.enrol();
    until("one of the connectors does not ask for work", || {
        let listed: serde_json::Value = issuing.get("administrator", "admin/v1/connectors");
        let able = |one: &serde_json::Value| one["features"].to_string().contains("\"pkcs\"");
        listed["value"]
            .as_array()
            .is_some_and(|all| all.iter().filter(|one| able(one)).count() == 2)
    });
    let device = issuing.device(0);
    let requests: Vec<_> = (0..6)
        .map(|number| {
            issuing.ask_as(
                "anna@example.com",
                &device,
                "smime-windows",
                &number.to_string(),
            )
        })
        .collect();
    for request in &requests {
        issuing.delivered(request);
    }
    assert_eq!(issuing.issued(), requests.len());
    let downloaded = issuing.events("operational", 1020);
    assert_eq!(downloaded.len(), requests.len());
    assert!(
        downloaded
            .iter()
            .all(|event| event.instance == "connector-1"),
        "{downloaded:?}"
    );
    running.stop();
}
