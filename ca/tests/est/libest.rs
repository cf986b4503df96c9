//! Against estserver, the server of libest: software that we did not write. scripts/estserver.sh builds it.

use super::estserver::EstServer;
use super::*;

fn start(bench: &Bench, root: &Authority<'_>, options: &[&str]) -> EstServer {
    EstServer::start(&bench.workshop, root, "", options)
}

fn settings(server: &EstServer, root: &Authority<'_>, password: Option<&str>) -> EstSettings {
    EstSettings {
        name: "libest".to_owned(),
        server: server.url(),
        label: None,
        login: password.map(|password| Login {
            user: "estuser".to_owned(),
            password: Password::from_slice(password.as_bytes()),
        }),
        anchors: vec![root.der()],
        deadline: DEADLINE,
        credential_expires: None,
    }
}

#[test]
fn libest_enrolls_a_user_with_the_right_password_alone() {
    let bench = Bench::new();
    let root = bench.root();
    let server = start(&bench, &root, &[]);
    let wanted = order(request(&bench.workshop, "jo"));
    let with = |password| {
        Est::new(
            settings(&server, &root, password),
            http(&root.certificate, None),
        )
        .unwrap()
    };
    run(async {
        let est = with(Some("estpwd"));
        assert_eq!(est.chain().await.unwrap(), [root.der()]);
        let found = issued(est.enroll(&wanted).await);
        assert_eq!(
            public_key("x509", &found.certificate_der),
            public_key("req", &wanted.csr_der)
        );
        verifies(&root.certificate, &found.certificate_der);
        assert_eq!(
            class(with(Some("wrong")).enroll(&wanted).await),
            ErrorClass::Credential
        );
        assert_eq!(
            class(with(None).enroll(&wanted).await),
            ErrorClass::Credential
        );
    });
}

#[test]
fn libest_says_what_it_wants_in_requests_and_that_it_has_no_such_label() {
    let bench = Bench::new();
    let root = bench.root();
    let server = start(&bench, &root, &[]);
    let est = Est::new(
        settings(&server, &root, Some("estpwd")),
        http(&root.certificate, None),
    )
    .unwrap();
    run(async {
        let wanted = est.csr_attributes(None).await.unwrap();
        assert!(wanted.wants_challenge_password(), "{wanted:?}");
        assert!(matches!(
            wanted.key(),
            Some(pki::csr_attributes::WantedKey::Ec { curve: Some(_) })
        ));
        let mut order = order(request(&bench.workshop, "jo"));
        order.profile = Some("label".to_owned());
        // This build of it knows no labels.
        assert_eq!(class(est.enroll(&order).await), ErrorClass::Unsupported);
    });
}

#[test]
fn libest_makes_an_order_wait_and_issues_when_it_is_asked_again() {
    let bench = Bench::new();
    let root = bench.root();
    let server = start(&bench, &root, &["-m", "90"]);
    let est = Est::new(
        settings(&server, &root, Some("estpwd")),
        http(&root.certificate, None),
    )
    .unwrap();
    let order = order(request(&bench.workshop, "jo"));
    run(async {
        let Enrolment::Pending(pending) = est.enroll(&order).await.unwrap() else {
            panic!("issued at once");
        };
        assert_eq!(pending.ask_again_in, Duration::from_secs(90));
        let found = issued(est.poll(&order, &pending).await);
        assert_eq!(
            public_key("x509", &found.certificate_der),
            public_key("req", &order.csr_der)
        );
    });
}

#[test]
fn libest_renews_for_whoever_shows_the_certificate() {
    let bench = Bench::new();
    let root = bench.root();
    let server = start(&bench, &root, &["-o"]);
    let own = root.device("connector", KeyAlgorithm::P256);
    let order = order(request(&bench.workshop, "connector"));
    let est = Est::new(
        settings(&server, &root, None),
        http(&root.certificate, Some(&own)),
    )
    .unwrap();
    let found = issued(run(est.reenroll(&order)));
    verifies(&root.certificate, &found.certificate_der);
    // One of another authority is none.
    let stranger = bench.workshop.authority("Stranger", KeyAlgorithm::P256);
    let false_one = stranger.device("connector", KeyAlgorithm::P256);
    let est = Est::new(
        settings(&server, &root, None),
        http(&root.certificate, Some(&false_one)),
    )
    .unwrap();
    assert_eq!(class(run(est.reenroll(&order))), ErrorClass::Credential);
}

#[test]
fn libest_refuses_a_request_with_a_broken_signature() {
    let bench = Bench::new();
    let root = bench.root();
    let server = start(&bench, &root, &[]);
    let est = Est::new(
        settings(&server, &root, Some("estpwd")),
        http(&root.certificate, None),
    )
    .unwrap();
    let mut order = order(request(&bench.workshop, "jo"));
    let last = order.csr_der.len() - 1;
    order.csr_der[last] ^= 1;
    assert_eq!(class(run(est.enroll(&order))), ErrorClass::Rejected);
}
