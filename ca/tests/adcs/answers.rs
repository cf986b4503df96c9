//! What does not work, and what it is called.

use super::*;

const SENDER: &str = "Sender";
const RECEIVER: &str = "Receiver";

#[test]
fn faults_say_what_they_mean() {
    let workshop = Workshop::new();
    let root = workshop.authority("AD CS Root", KeyAlgorithm::P256);
    let wanted = order(request(&workshop, "jo"));
    let known = Pending {
        reference: b"65".to_vec(),
        ask_again_in: Duration::from_secs(1),
    };
    use ErrorClass as C;
    let hresult = |code: u32| code.cast_signed();
    for (code, subcode, detail, enroll, poll) in [
        (
            RECEIVER,
            "x",
            Some((hresult(0x8009_4014), true)),
            C::Rejected,
            C::Rejected,
        ),
        (
            RECEIVER,
            "x",
            Some((hresult(0x8009_4012), true)),
            C::Credential,
            C::Credential,
        ),
        (
            RECEIVER,
            "x",
            Some((hresult(0x8009_4800), true)),
            C::Rejected,
            C::Rejected,
        ),
        (
            RECEIVER,
            "x",
            Some((hresult(0x8007_06ba), false)),
            C::Unavailable,
            C::Unavailable,
        ),
        (
            RECEIVER,
            "x",
            Some((hresult(0x8007_0005), false)),
            C::Credential,
            C::Credential,
        ),
        (RECEIVER, "x", Some((0, false)), C::Unknown, C::Unavailable),
        (
            RECEIVER,
            "InternalServiceFault",
            None,
            C::Unknown,
            C::Unavailable,
        ),
        (
            SENDER,
            "ActionNotSupported",
            None,
            C::Unsupported,
            C::Unsupported,
        ),
        (
            SENDER,
            "InvalidSecurity",
            None,
            C::Credential,
            C::Credential,
        ),
        (
            SENDER,
            "FailedAuthentication",
            None,
            C::Credential,
            C::Credential,
        ),
        (SENDER, "x", None, C::Rejected, C::Rejected),
        ("VersionMismatch", "x", None, C::Unsupported, C::Unsupported),
    ] {
        let fault = Fault {
            code,
            subcode,
            detail,
        };
        let server = Server::start(&server_certificate(&root), None, move |seen| {
            fault.reply(&read_request(seen).message_id)
        });
        let client = client(&server, &root);
        let error = run(client.enroll(&wanted)).unwrap_err();
        assert_eq!(error.class(), enroll, "{code} {subcode}: {error}");
        assert!(
            error.to_string().contains("words of the authority"),
            "{error}"
        );
        assert_eq!(
            class(run(client.poll(&wanted, &known))),
            poll,
            "{code} {subcode}"
        );
    }
}

#[test]
fn nonsense_is_called_that() {
    type Answering = fn(&Asked) -> Reply;
    let workshop = Workshop::new();
    let root = workshop.authority("AD CS Root", KeyAlgorithm::P256);
    let wanted = order(request(&workshop, "jo"));
    let cases: [(&str, Answering); 14] = [
        ("no XML", |_| Reply::ok("text/html", "<html>welcome")),
        ("nothing", |_| Reply::ok("application/soap+xml", "")),
        ("no UTF-8", |_| {
            Reply::ok("application/soap+xml", vec![0xff; 10])
        }),
        ("no end", |_| Reply::Endless),
        ("an entity", |_| {
            Reply::ok(
                "application/soap+xml",
                "<!DOCTYPE a [<!ENTITY b \"x\">]><a>&b;</a>",
            )
        }),
        ("SOAP 1.1", |_| {
            Reply::ok(
                "application/soap+xml",
                "<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\"><s:Header/><s:Body><a/></s:Body></s:Envelope>",
            )
        }),
        ("another action", |asked| {
            let response = contract::response("x", None, "", "65");
            contract::answer(
                "urn:other",
                &asked.message_id,
                &contract::collection(&response),
            )
        }),
        ("another request's answer", |_| {
            let response = contract::response("x", None, "", "65");
            contract::answer(
                &contract::rstrc(),
                "urn:uuid:1",
                &contract::collection(&response),
            )
        }),
        ("an empty collection", |asked| {
            contract::answer(
                &contract::rstrc(),
                &asked.message_id,
                &contract::collection(""),
            )
        }),
        ("two responses", |asked| {
            let response = contract::response("x", None, "", "65");
            let both = format!("{response}{response}");
            contract::answer(
                &contract::rstrc(),
                &asked.message_id,
                &contract::collection(&both),
            )
        }),
        ("two elements", |asked| {
            contract::answer(&contract::rstrc(), &asked.message_id, "<a/><b/>")
        }),
        ("a token that is no certificate", |asked| {
            let token = contract::certificate_token(b"0123");
            let response = contract::response("Issued", None, &token, "65");
            contract::answer(
                &contract::rstrc(),
                &asked.message_id,
                &contract::collection(&response),
            )
        }),
        ("a message that is none", |asked| {
            let response = contract::response("Issued", Some(b"0123"), "", "65");
            contract::answer(
                &contract::rstrc(),
                &asked.message_id,
                &contract::collection(&response),
            )
        }),
        ("neither certificate nor number", |asked| {
            let response = contract::response("Denied by Policy Module", None, "", "");
            contract::answer(
                &contract::rstrc(),
                &asked.message_id,
                &contract::collection(&response),
            )
        }),
    ];
    for (name, answering) in cases {
        let server = Server::start(&server_certificate(&root), None, move |seen| {
            answering(&read_request(seen))
        });
        let error = run(client(&server, &root).enroll(&wanted)).unwrap_err();
        assert_eq!(error.class(), ErrorClass::Protocol, "{name}: {error}");
    }
}

#[test]
fn statuses_without_a_fault_have_their_class() {
    let workshop = Workshop::new();
    let root = workshop.authority("AD CS Root", KeyAlgorithm::P256);
    let wanted = order(request(&workshop, "jo"));
    for (status, expected) in [
        (401, ErrorClass::Credential),
        (403, ErrorClass::Credential),
        (404, ErrorClass::Unsupported),
        (500, ErrorClass::Unknown),
        (503, ErrorClass::Unavailable),
    ] {
        let server = Server::start(&server_certificate(&root), None, move |_| {
            Reply::Answer(
                status,
                Vec::new(),
                b"<html>a page of the web server</html>".to_vec(),
            )
        });
        assert_eq!(
            class(run(client(&server, &root).enroll(&wanted))),
            expected,
            "{status}"
        );
    }
    let server = Server::start(&server_certificate(&root), None, |_| Reply::Goodbye);
    assert_eq!(
        class(run(client(&server, &root).enroll(&wanted))),
        ErrorClass::Unknown
    );
    assert_eq!(
        class(run(client(&server, &root).chain())),
        ErrorClass::Unavailable
    );
}

#[test]
fn a_template_cannot_bring_attributes_of_its_own() {
    let workshop = Workshop::new();
    let root = workshop.authority("AD CS Root", KeyAlgorithm::P256);
    let server = Server::start(&server_certificate(&root), None, |_| Reply::Goodbye);
    let mut wanted = order(request(&workshop, "jo"));
    for bad in [
        "",
        "User\nSAN:upn=admin@example.org",
        "User:x",
        "a\\nb",
        "<x>",
        &"a".repeat(65),
    ] {
        wanted.profile = Some(bad.to_owned());
        assert_eq!(
            class(run(client(&server, &root).enroll(&wanted))),
            ErrorClass::Rejected,
            "{bad}"
        );
    }
    wanted.profile = None;
    wanted.csr_der = vec![0x30, 0];
    assert_eq!(
        class(run(client(&server, &root).enroll(&wanted))),
        ErrorClass::Rejected
    );
    assert!(server.seen().is_empty());
}

#[test]
fn settings_that_cannot_work_are_refused_by_their_names() {
    type Change = fn(&mut AdcsSettings);
    let workshop = Workshop::new();
    let root = workshop.authority("AD CS Root", KeyAlgorithm::P256);
    let server = Server::start(&server_certificate(&root), None, |_| Reply::Goodbye);
    let command = |command: &[&str]| {
        Some(RevokeCommand {
            command: command.iter().map(|&word| word.to_owned()).collect(),
            deadline: DEADLINE,
        })
    };
    let cases: [(&str, Change); 7] = [
        ("enrollment", |s| {
            s.enrollment = s.enrollment.replace("https", "http")
        }),
        ("policy", |s| s.policy = Some("nowhere".to_owned())),
        ("template", |s| s.template = Some("a:b".to_owned())),
        ("anchors", |s| s.anchors.clear()),
        ("deadline", |s| s.deadline = Duration::ZERO),
        ("ask_again_in", |s| s.ask_again_in = Duration::ZERO),
        ("password", |s| {
            s.login = Some(Login {
                user: "jo".to_owned(),
                password: Password::from_slice(b"a\nb"),
            });
        }),
    ];
    for (setting, change) in cases {
        let mut settings = settings(&server, &root);
        change(&mut settings);
        let error = Adcs::new(settings, http(&root.certificate, None)).unwrap_err();
        assert_eq!(error.setting, setting);
    }
    for bad in [
        &[][..],
        &["revoke", "{serial}", "{issuer}"],
        &["/bin/revoke", "{serial}"],
        &["/bin/revoke", "{serial}", "{issuer}", "{password}"],
    ] {
        let mut settings = settings(&server, &root);
        settings.revoke = command(bad);
        let error = Adcs::new(settings, http(&root.certificate, None)).unwrap_err();
        assert_eq!(error.setting, "revoke_command", "{bad:?}");
    }
}
