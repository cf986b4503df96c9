//! What works.

use super::*;

#[test]
fn a_certificate_is_issued_for_the_template() {
    let workshop = Workshop::new();
    let root = workshop.authority("AD CS Root", KeyAlgorithm::P256);
    let issuing = Issuing::of(&workshop, &root);
    let server = Server::start(&server_certificate(&root), None, move |seen| {
        let asked = read_request(seen);
        assert!(asked.login.is_none());
        let contract::What::Issue(csr, template) = &asked.what else {
            panic!("no request to issue");
        };
        assert!(matches!(
            template.as_deref(),
            Some("SmimeUser" | "VPN User-2")
        ));
        let certificate = issuing.issue(csr);
        contract::issued(&asked, &certificate, &issuing.response(&certificate))
    });
    let client = client(&server, &root);
    let mut wanted = order(request(&workshop, "jo"));
    let first = issued(run(client.enroll(&wanted)).unwrap());
    assert_eq!(
        first.others,
        [root.der()],
        "the issuer comes with it, and the certificate once"
    );
    let file = workshop.file(&first.certificate_der);
    openssl(&["verify", "-CAfile", text(&root.certificate), text(&file)]);
    wanted.profile = Some("VPN User-2".to_owned());
    issued(run(client.enroll(&wanted)).unwrap());
    assert_ne!(
        server.seen()[0].body,
        server.seen()[1].body,
        "each message has its own name"
    );
}

#[test]
fn a_client_certificate_or_a_user_name_shows_who_asks() {
    let workshop = Workshop::new();
    let root = workshop.authority("AD CS Root", KeyAlgorithm::P256);
    let own: Device<'_> = root.device("connector", KeyAlgorithm::P256);
    let issuing = Issuing::of(&workshop, &root);
    let server = Server::start(
        &server_certificate(&root),
        Some(&root.certificate),
        move |seen| {
            assert!(seen.client_certificate);
            let asked = read_request(seen);
            let contract::What::Issue(csr, _) = &asked.what else {
                panic!("no request to issue");
            };
            let certificate = issuing.issue(csr);
            contract::issued(&asked, &certificate, &issuing.response(&certificate))
        },
    );
    let wanted = order(request(&workshop, "jo"));
    let with = Adcs::new(
        settings(&server, &root),
        http(&root.certificate, Some(&own)),
    )
    .unwrap();
    issued(run(with.enroll(&wanted)).unwrap());
    assert_eq!(
        class(run(client(&server, &root).enroll(&wanted))),
        ErrorClass::Credential
    );

    let issuing = Issuing::of(&workshop, &root);
    let server = Server::start(&server_certificate(&root), None, move |seen| {
        let asked = read_request(seen);
        let expected = ("EXAMPLE\\svc<pki>".to_owned(), "s&cr\"t".to_owned());
        if asked.login.as_ref() != Some(&expected) {
            let fault = Fault {
                code: "Sender",
                subcode: "FailedAuthentication",
                detail: None,
            };
            return fault.reply(&asked.message_id);
        }
        let contract::What::Issue(csr, _) = &asked.what else {
            panic!("no request to issue");
        };
        let certificate = issuing.issue(csr);
        contract::issued(&asked, &certificate, &issuing.response(&certificate))
    });
    for (password, accepted) in [("s&cr\"t", true), ("wrong", false)] {
        let mut settings = settings(&server, &root);
        settings.login = Some(Login {
            user: "EXAMPLE\\svc<pki>".to_owned(),
            password: Password::from_slice(password.as_bytes()),
        });
        let client = Adcs::new(settings, http(&root.certificate, None)).unwrap();
        match run(client.enroll(&wanted)) {
            Ok(enrolment) if accepted => drop(issued(enrolment)),
            other => {
                assert!(!accepted && !format!("{client:?} {other:?}").contains(password));
                assert_eq!(class(other), ErrorClass::Credential);
            }
        }
    }
}

#[test]
fn a_pending_request_is_asked_for_by_its_number() {
    let workshop = Workshop::new();
    let root = workshop.authority("AD CS Root", KeyAlgorithm::P256);
    let issuing = Issuing::of(&workshop, &root);
    let csr = request(&workshop, "jo");
    let (number, wanted_csr) = (AtomicUsize::new(0), csr.clone());
    let own = root.der();
    let server = Server::start(&server_certificate(&root), None, move |seen| {
        let asked = read_request(seen);
        // The authority's own certificate is in the message of a pending request as well.
        let chain = pki::certs_only::write(&[&own]).unwrap();
        match (number.fetch_add(1, Ordering::SeqCst), &asked.what) {
            (0, contract::What::Issue(..)) => contract::pending(&asked, "65", Some(&chain)),
            (1, contract::What::Status(id)) if id == "65" => contract::pending(&asked, "65", None),
            (_, contract::What::Status(id)) if id == "65" => {
                let certificate = issuing.issue(&wanted_csr);
                contract::issued(&asked, &certificate, &issuing.response(&certificate))
            }
            _ => panic!("asked for something else"),
        }
    });
    let client = client(&server, &root);
    let order = order(csr);
    run(async {
        let first = pending(client.enroll(&order).await.unwrap());
        assert_eq!(
            (first.reference.as_slice(), first.ask_again_in),
            (&b"65"[..], Duration::from_secs(600))
        );
        let second = pending(client.poll(&order, &first).await.unwrap());
        assert_eq!(second, first);
        issued(client.poll(&order, &second).await.unwrap());
        // After a restart, and as often as one likes.
        for _ in 0..2 {
            let found = client.recover(&order, Some(&second)).await.unwrap();
            assert!(matches!(found, Recovered::Known(Enrolment::Issued(_))));
        }
        assert_eq!(
            client.recover(&order, None).await.unwrap(),
            Recovered::CannotTell
        );
    });
    assert_eq!(server.seen().len(), 5);
}

#[test]
fn the_certificate_may_be_in_the_message_alone() {
    let workshop = Workshop::new();
    let root = workshop.authority("AD CS Root", KeyAlgorithm::P256);
    let issuing = Issuing::of(&workshop, &root);
    let server = Server::start(&server_certificate(&root), None, move |seen| {
        let asked = read_request(seen);
        let contract::What::Issue(csr, _) = &asked.what else {
            panic!("no request to issue");
        };
        let message = issuing.response(&issuing.issue(csr));
        let response = contract::response("Issued", Some(&message), "", "65");
        contract::answer(
            &contract::rstrc(),
            &asked.message_id,
            &contract::collection(&response),
        )
    });
    let found =
        issued(run(client(&server, &root).enroll(&order(request(&workshop, "jo")))).unwrap());
    assert_eq!(found.others, [root.der()]);
}

#[test]
fn the_policy_service_tells_rights_and_certificates() {
    let workshop = Workshop::new();
    let root = workshop.authority("AD CS Root", KeyAlgorithm::P256);
    let issuing = root.intermediate("Issuing", KeyAlgorithm::P256);
    let stranger = workshop.authority("Stranger", KeyAlgorithm::P256);
    for (template, right, listed, may) in [
        ("SmimeUser", true, true, true),
        ("SmimeUser", false, true, false),
        ("Machine", true, true, false),
        ("SmimeUser", true, false, false),
    ] {
        let certificates = vec![stranger.der(), issuing.der()];
        let server = Server::start(&server_certificate(&root), None, move |seen| {
            let host = seen.header("host").unwrap();
            let policy = Policy {
                template,
                may_enroll: right,
                service: match listed {
                    true => format!("https://{host}/ca_ces/Service.svc/CES"),
                    false => "https://elsewhere.example/service.svc/CES".to_owned(),
                },
                certificates: certificates.clone(),
            };
            policy.reply(&read_policies(seen))
        });
        let client = client(&server, &root);
        let health = run(client.health()).unwrap();
        assert_eq!(
            (health.may_enroll, health.may_revoke),
            (Some(may), Some(false)),
            "{}",
            health.note
        );
        assert_eq!(run(client.chain()).unwrap(), [issuing.der()]);
        let policies = run(client.policies()).unwrap();
        assert_eq!(policies.templates[0].minimal_key_bits, Some(2048));
        assert_eq!(policies.templates[0].validity_s, Some(31_536_000));
        let mut other = settings(&server, &root);
        other.anchors = vec![workshop.authority("AD CS Root", KeyAlgorithm::P256).der()];
        let other = Adcs::new(other, http(&root.certificate, None)).unwrap();
        assert_eq!(class(run(other.chain())), ErrorClass::Credential);
        let mut without = settings(&server, &root);
        without.policy = None;
        let without = Adcs::new(without, http(&root.certificate, None)).unwrap();
        assert_eq!(class(run(without.chain())), ErrorClass::Unsupported);
        assert_eq!(run(without.health()).unwrap().may_enroll, None);
    }
}
