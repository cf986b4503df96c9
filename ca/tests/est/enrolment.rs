//! What works: enrolment, pending orders, chains, labels and attributes.

use super::*;

#[test]
fn a_certificate_is_enrolled_for() {
    let bench = Bench::new();
    let root = bench.root();
    let server = bench.issuing(&root, |certificate| {
        Reply::ok(PKCS7, base64(&pkcs7(&[&certificate])))
    });
    let csr = request(&bench.workshop, "jo");
    let order = order(csr.clone());
    let issued = issued(run(client(&server, &root).enroll(&order)));
    assert_eq!(
        public_key("x509", &issued.certificate_der),
        public_key("req", &csr)
    );
    assert!(issued.others.is_empty());
    verifies(&root.certificate, &issued.certificate_der);
    assert_eq!(server.seen()[0].header("authorization"), None);
}

#[test]
fn base64_has_line_breaks_of_every_kind() {
    let bench = Bench::new();
    let root = bench.root();
    let forms: [Encoding8951; 5] = [
        |der| wrapped(der, "\r\n"),
        |der| wrapped(der, "\n"),
        |der| wrapped(der, " \t\r\n\r\n"),
        |der| {
            format!(
                "-----BEGIN PKCS7-----\n{}\n-----END PKCS7-----\n",
                base64(der)
            )
            .into_bytes()
        },
        <[u8]>::to_vec,
    ];
    for form in forms {
        let server = bench.issuing(&root, move |certificate| {
            let header = ("content-transfer-encoding", "base64".to_owned());
            Reply::Answer(200, vec![header], form(&pkcs7(&[&certificate])))
        });
        let order = order(request(&bench.workshop, "jo"));
        issued(run(client(&server, &root).enroll(&order)));
    }
}

/// How a server writes its message.
type Encoding8951 = fn(&[u8]) -> Vec<u8>;

fn wrapped(der: &[u8], end: &str) -> Vec<u8> {
    let text = base64(der);
    let lines = text
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).unwrap());
    lines
        .flat_map(|line| [line, end])
        .collect::<String>()
        .into_bytes()
}

#[test]
fn a_pending_order_is_asked_for_by_the_same_request() {
    let bench = Bench::new();
    let root = bench.root();
    let folder = bench.workshop.path().to_owned();
    let issuer = (root.certificate.clone(), root.key.clone());
    let asked = AtomicUsize::new(0);
    let server = Server::start(&server_certificate(&root), None, move |seen| {
        let csr = strict_request(seen, "/.well-known/est/simpleenroll");
        let retry =
            |text: &str| Reply::Answer(202, vec![("retry-after", text.to_owned())], Vec::new());
        match asked.fetch_add(1, Ordering::SeqCst) {
            0 => retry("120"),
            1 => retry("Fri, 31 Dec 9999 23:59:59 GMT"),
            2 => Reply::status(202),
            3 => Reply::Answer(
                503,
                vec![("retry-after", "30".to_owned())],
                b"come back".to_vec(),
            ),
            _ => Reply::ok(
                PKCS7,
                base64(&pkcs7(&[&issue(&folder, (&issuer.0, &issuer.1), &csr)])),
            ),
        }
    });
    let client = client(&server, &root);
    let order = order(request(&bench.workshop, "jo"));
    let pending = |enrolment| match enrolment {
        Enrolment::Pending(pending) => pending,
        Enrolment::Issued(issued) => panic!("issued: {issued:?}"),
    };
    run(async {
        let first = pending(client.enroll(&order).await.unwrap());
        assert_eq!(first.ask_again_in, Duration::from_secs(120));
        let second = pending(client.poll(&order, &first).await.unwrap());
        assert_eq!(second.ask_again_in, Duration::from_secs(7 * 24 * 3600));
        let third = pending(client.poll(&order, &second).await.unwrap());
        assert_eq!(third.ask_again_in, Duration::from_secs(300));
        let busy = client.poll(&order, &third).await.unwrap_err();
        assert_eq!(busy.class(), ErrorClass::Unavailable);
        assert_eq!(busy.retry_after(), Some(Duration::from_secs(30)));
        assert!(busy.to_string().contains("come back"));
        // The process was restarted in the meantime.
        let found = client.recover(&order, Some(&third)).await.unwrap();
        assert!(matches!(found, Recovered::Known(Enrolment::Issued(_))));
        assert_eq!(
            client.recover(&order, None).await.unwrap(),
            Recovered::CannotTell
        );
    });
    let seen = server.seen();
    assert_eq!(seen.len(), 5, "what cannot be told is not asked");
    assert!(seen.iter().all(|one| one.body == seen[0].body));
}

#[test]
fn a_server_that_demands_a_certificate_sees_ours() {
    let bench = Bench::new();
    let root = bench.root();
    let own = root.device("connector", KeyAlgorithm::P256);
    let folder = bench.workshop.path().to_owned();
    let issuer = (root.certificate.clone(), root.key.clone());
    let server = Server::start(
        &server_certificate(&root),
        Some(&root.certificate),
        move |seen| {
            assert!(seen.client_certificate);
            let csr = strict_request(seen, "/.well-known/est/simplereenroll");
            Reply::ok(
                PKCS7,
                base64(&pkcs7(&[&issue(&folder, (&issuer.0, &issuer.1), &csr)])),
            )
        },
    );
    let order = order(request(&bench.workshop, "connector"));
    let with = Est::new(
        settings(&server, &root),
        http(&root.certificate, Some(&own)),
    )
    .unwrap();
    issued(run(with.reenroll(&order)));
    let without = client(&server, &root);
    assert_eq!(class(run(without.reenroll(&order))), ErrorClass::Credential);
    assert_eq!(server.seen().len(), 1);
}

#[test]
fn a_chain_comes_in_any_order_and_only_what_an_anchor_vouches_for_is_given() {
    let bench = Bench::new();
    let root = bench.root();
    let middle = root.intermediate("Middle", KeyAlgorithm::P384);
    let issuing = middle.intermediate("Issuing", KeyAlgorithm::Rsa(2048));
    let stranger = bench.workshop.authority("Stranger", KeyAlgorithm::P256);
    // Another key under a name that is vouched for.
    let pretender = bench.workshop.authority("Middle", KeyAlgorithm::P256);
    let all = [
        root.der(),
        stranger.der(),
        issuing.der(),
        pretender.der(),
        middle.der(),
    ];
    let expected = [issuing.der(), middle.der(), root.der()];
    let message = base64(&pkcs7(&all.iter().map(Vec::as_slice).collect::<Vec<_>>()));
    let server = Server::start(&server_certificate(&root), None, move |seen| {
        assert_eq!(
            (seen.method.as_str(), seen.path.as_str()),
            ("GET", "/.well-known/est/cacerts")
        );
        Reply::ok("application/pkcs7-mime", message.clone())
    });
    assert_eq!(run(client(&server, &root).chain()).unwrap(), expected);

    let mut other = settings(&server, &root);
    other.anchors = vec![
        bench
            .workshop
            .authority("EST Root", KeyAlgorithm::P256)
            .der(),
    ];
    let other = Est::new(other, http(&root.certificate, None)).unwrap();
    assert_eq!(class(run(other.chain())), ErrorClass::Credential);
}

#[test]
fn the_certificate_is_found_among_its_chain_and_another_keys_is_given_as_it_came() {
    let bench = Bench::new();
    let root = bench.root();
    let (certificate, name) = (der(&root.certificate), request(&bench.workshop, "another"));
    let own_chain = certificate.clone();
    let server = bench.issuing(&root, move |issued| {
        Reply::ok(PKCS7, base64(&pkcs7(&[&own_chain, &issued])))
    });
    let wanted = order(request(&bench.workshop, "jo"));
    let found = issued(run(client(&server, &root).enroll(&wanted)));
    assert_eq!(
        public_key("x509", &found.certificate_der),
        public_key("req", &wanted.csr_der)
    );
    assert_eq!(found.others, std::slice::from_ref(&certificate));

    let another = issue(bench.workshop.path(), (&root.certificate, &root.key), &name);
    let expected = another.clone();
    let server = bench.issuing(&root, move |_| {
        Reply::ok(PKCS7, base64(&pkcs7(&[&certificate, &another])))
    });
    let found = issued(run(client(&server, &root).enroll(&wanted)));
    assert_eq!(found.certificate_der, expected);
    assert_ne!(
        public_key("x509", &found.certificate_der),
        public_key("req", &wanted.csr_der)
    );
}

#[test]
fn labels_are_paths_and_profiles_are_labels() {
    let bench = Bench::new();
    let root = bench.root();
    let server = Server::start(&server_certificate(&root), None, |_| Reply::status(400));
    let mut configured = settings(&server, &root);
    configured.server = format!("{}/ra/", server.url());
    configured.label = Some("smime/users".to_owned());
    let est = Est::new(configured, http(&root.certificate, None)).unwrap();
    let mut wanted = order(request(&bench.workshop, "jo"));
    assert_eq!(class(run(est.enroll(&wanted))), ErrorClass::Rejected);
    wanted.profile = Some("vpn".to_owned());
    assert_eq!(class(run(est.enroll(&wanted))), ErrorClass::Rejected);
    for bad in [
        "",
        "a//b",
        "../x",
        "a?b",
        "a b",
        "%2e",
        "cacerts",
        "x/simpleenroll",
        "ä",
    ] {
        wanted.profile = Some(bad.to_owned());
        assert_eq!(
            class(run(est.enroll(&wanted))),
            ErrorClass::Rejected,
            "{bad}"
        );
        let mut settings = settings(&server, &root);
        settings.label = Some(bad.to_owned());
        let error = Est::new(settings, http(&root.certificate, None)).unwrap_err();
        assert_eq!(error.setting, "label");
    }
    wanted.profile = None;
    wanted.csr_der = b"no request".to_vec();
    assert_eq!(class(run(est.enroll(&wanted))), ErrorClass::Rejected);
    let paths: Vec<_> = server.seen().into_iter().map(|seen| seen.path).collect();
    assert_eq!(
        paths,
        [
            "/ra/.well-known/est/smime/users/simpleenroll",
            "/ra/.well-known/est/vpn/simpleenroll"
        ]
    );
}

#[test]
fn csr_attributes_are_read_and_may_be_missing() {
    let bench = Bench::new();
    let root = bench.root();
    let asked = AtomicUsize::new(0);
    let server = Server::start(&server_certificate(&root), None, move |seen| {
        assert_eq!(
            (seen.method.as_str(), seen.path.as_str()),
            ("GET", "/.well-known/est/csrattrs")
        );
        match asked.fetch_add(1, Ordering::SeqCst) {
            0 => Reply::ok("application/csrattrs", "MAsGCSqGSIb3\r\nDQEJBw==\r\n"),
            1 => Reply::status(204),
            2 => Reply::status(404),
            3 => Reply::ok("application/csrattrs", "MAsG"),
            4 => Reply::status(500),
            _ => Reply::status(501),
        }
    });
    let client = client(&server, &root);
    run(async {
        assert!(
            client
                .csr_attributes(None)
                .await
                .unwrap()
                .wants_challenge_password()
        );
        assert!(client.csr_attributes(None).await.unwrap().items.is_empty());
        assert!(client.csr_attributes(None).await.unwrap().items.is_empty());
        assert_eq!(
            class(client.csr_attributes(None).await),
            ErrorClass::Protocol
        );
        assert_eq!(
            class(client.csr_attributes(None).await),
            ErrorClass::Unavailable
        );
        assert_eq!(
            class(client.csr_attributes(None).await),
            ErrorClass::Unsupported
        );
    });
}
