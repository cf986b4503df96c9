//! What does not work, and what it is called.

use super::*;

#[test]
fn another_server_than_the_trusted_one_gets_nothing() {
    let bench = Bench::new();
    let root = bench.root();
    let stranger = bench.workshop.authority("Stranger", KeyAlgorithm::P256);
    let server = bench.issuing(&root, |certificate| {
        Reply::ok(PKCS7, base64(&pkcs7(&[&certificate])))
    });
    let est = Est::new(settings(&server, &root), http(&stranger.certificate, None)).unwrap();
    let order = order(request(&bench.workshop, "jo"));
    assert_eq!(class(run(est.enroll(&order))), ErrorClass::Credential);
    assert_eq!(class(run(est.chain())), ErrorClass::Credential);
    assert!(server.seen().is_empty());
}

#[test]
fn a_wrong_password_is_for_an_operator() {
    let bench = Bench::new();
    let root = bench.root();
    let server = Server::start(&server_certificate(&root), None, |seen| {
        match seen.header("authorization") {
            Some("Basic am86c2VjcmV0") => Reply::status(403),
            _ => Reply::Answer(
                401,
                vec![("www-authenticate", "Basic realm=est".to_owned())],
                Vec::new(),
            ),
        }
    });
    let order = order(request(&bench.workshop, "jo"));
    for (password, expected) in [("wrong", "401"), ("secret", "403")] {
        let mut settings = settings(&server, &root);
        settings.login = Some(Login {
            user: "jo".to_owned(),
            password: Password::from_slice(password.as_bytes()),
        });
        let est = Est::new(settings, http(&root.certificate, None)).unwrap();
        let error = run(est.enroll(&order)).unwrap_err();
        assert_eq!(error.class(), ErrorClass::Credential);
        assert!(error.to_string().contains(expected), "{error}");
        assert!(!format!("{error:?} {est:?}").contains(password));
    }
}

#[test]
fn nonsense_is_called_that() {
    let bench = Bench::new();
    let root = bench.root();
    let none: Vec<u8> = base64(&pki::certs_only::write(&[[0_u8; 0]; 0]).unwrap()).into_bytes();
    let answers: Vec<(u16, Vec<u8>)> = vec![
        (200, b"<html>welcome</html>".to_vec()),
        (200, Vec::new()),
        (200, b"MIIB".to_vec()),
        (200, none),
        (200, vec![0x30; 70_000]),
        (201, b"MAA=".to_vec()),
        (204, Vec::new()),
        (302, Vec::new()),
    ];
    for (status, body) in answers {
        let server = bench.issuing(&root, move |_| {
            Reply::Answer(
                status,
                vec![("location", "https://127.0.0.1:1/".to_owned())],
                body.clone(),
            )
        });
        let order = order(request(&bench.workshop, "jo"));
        assert_eq!(
            class(run(client(&server, &root).enroll(&order))),
            ErrorClass::Protocol,
            "{status}"
        );
        assert_eq!(server.seen().len(), 1);
    }
    let server = bench.issuing(&root, |_| Reply::Endless);
    let order = order(request(&bench.workshop, "jo"));
    assert_eq!(
        class(run(client(&server, &root).enroll(&order))),
        ErrorClass::Protocol
    );
}

#[test]
fn it_is_known_whether_the_request_may_have_been_seen() {
    let bench = Bench::new();
    let root = bench.root();
    let wanted = order(request(&bench.workshop, "jo"));
    for silent in [true, false] {
        let server = Server::start(&server_certificate(&root), None, move |_| match silent {
            true => Reply::Silence,
            false => Reply::Goodbye,
        });
        let mut settings = settings(&server, &root);
        if silent {
            settings.deadline = Duration::from_millis(1500);
        }
        let est = Est::new(settings, http(&root.certificate, None)).unwrap();
        assert_eq!(class(run(est.enroll(&wanted))), ErrorClass::Unknown);
        assert_eq!(class(run(est.chain())), ErrorClass::Unavailable);
    }
    let server = bench.issuing(&root, |_| Reply::status(500));
    assert_eq!(
        class(run(client(&server, &root).enroll(&wanted))),
        ErrorClass::Unknown
    );

    // Nobody listens there: a port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let mut settings = settings(&server, &root);
    settings.server = format!("https://{port}");
    let est = Est::new(settings, http(&root.certificate, None)).unwrap();
    assert_eq!(class(run(est.enroll(&wanted))), ErrorClass::Unavailable);
}

#[test]
fn revocation_is_refused_with_the_remedy_and_health_does_not_promise_it() {
    let bench = Bench::new();
    let root = bench.root();
    let chain = base64(&pkcs7(&[&root.der()]));
    let server = Server::start(&server_certificate(&root), None, move |seen| {
        match seen.path.ends_with("/cacerts") {
            true => Reply::ok(PKCS7, chain.clone()),
            false => Reply::status(204),
        }
    });
    let client = client(&server, &root);
    let revocation = Revocation {
        id: None,
        issuer_der: vec![0x30, 0],
        serial: vec![1],
        certificate_der: None,
        reason: RevocationReason::KeyCompromise,
    };
    let error = run(client.revoke(&revocation)).unwrap_err();
    assert_eq!(error.class(), ErrorClass::Unsupported);
    assert!(error.to_string().contains("CMP"), "{error}");
    assert!(!client.capabilities().revokes);
    let health = run(client.health()).unwrap();
    assert_eq!((health.may_enroll, health.may_revoke), (None, Some(false)));
}

#[test]
fn settings_that_cannot_work_are_refused_by_their_names() {
    let bench = Bench::new();
    let root = bench.root();
    let server = Server::start(&server_certificate(&root), None, |_| Reply::Goodbye);
    type Change = fn(&mut EstSettings);
    let cases: [(&str, Change); 5] = [
        ("server", |s| s.server = s.server.replace("https", "http")),
        ("anchors", |s| s.anchors.clear()),
        ("anchors", |s| s.anchors.push(vec![0x30, 0])),
        ("deadline", |s| s.deadline = Duration::ZERO),
        ("user", |s| {
            s.login = Some(Login {
                user: "a:b".to_owned(),
                password: Password::from_slice(b"x"),
            });
        }),
    ];
    for (setting, change) in cases {
        let mut settings = settings(&server, &root);
        change(&mut settings);
        let error = Est::new(settings, http(&root.certificate, None)).unwrap_err();
        assert_eq!(error.setting, setting);
    }
}
