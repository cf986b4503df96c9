//! The authority on the engine's token.

use super::device::open;
use super::site::{Issuing, Setup};

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
    running.stop();
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
