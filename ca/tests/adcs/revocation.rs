//! Revocation by a command.

use super::*;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// A client that revokes with this script of the shell's; `$@` are serial number, issuer, reason and its name.
fn revoking(workshop: &Workshop, script: &str, deadline: Duration) -> Adcs {
    let words = ["serial={serial}", "{issuer}", "{reason}", "{reason_name}"];
    revoking_with(workshop, script, &words, deadline)
}

fn revoking_with(workshop: &Workshop, script: &str, words: &[&str], deadline: Duration) -> Adcs {
    let root = workshop.authority("AD CS Root", KeyAlgorithm::P256);
    let program = workshop.fresh(".sh");
    std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let command = [&[text(&program)], words].concat();
    let settings = AdcsSettings {
        name: "adcs".to_owned(),
        enrollment: "https://127.0.0.1:1/".to_owned(),
        policy: None,
        template: None,
        login: None,
        anchors: Vec::new(),
        deadline: DEADLINE,
        ask_again_in: DEADLINE,
        revoke: Some(RevokeCommand {
            command: command.into_iter().map(str::to_owned).collect(),
            deadline,
        }),
        credential_expires: None,
    };
    Adcs::new(settings, http(&root.certificate, None)).unwrap()
}

/// The certificate to revoke: its issuer's name has in it what a shell would run.
fn revocation(workshop: &Workshop) -> Revocation {
    let root = workshop.authority("a $(touch pwned); {serial} \\\"", KeyAlgorithm::P256);
    let certificate = root.der();
    let printed = openssl(&[
        "x509",
        "-in",
        text(&root.certificate),
        "-noout",
        "-issuer",
        "-nameopt",
        "RFC2253",
    ]);
    assert!(String::from_utf8(printed).unwrap().contains("touch pwned"));
    // Where OpenSSL finds the sequences of the certificate: the second one is the issuer.
    let listing = openssl(&["asn1parse", "-in", text(&root.certificate)]);
    let listing = String::from_utf8(listing).unwrap();
    let names: Vec<usize> = listing
        .lines()
        .filter(|line| line.contains("d=2 ") && line.contains("SEQUENCE"))
        .map(|line| line.split(':').next().unwrap().trim().parse().unwrap())
        .collect();
    let header = usize::from(certificate[names[1] + 1]) + 2;
    Revocation {
        id: None,
        issuer_der: certificate[names[1]..names[1] + header].to_vec(),
        serial: vec![0x00, 0xab, 0xcd],
        certificate_der: None,
        reason: RevocationReason::KeyCompromise,
    }
}

#[test]
fn the_command_gets_its_arguments_as_they_are() {
    let workshop = Workshop::new();
    let record = workshop.fresh(".txt");
    let script = format!(
        "printf '%s\\n' \"$@\" >'{}'; [ -z \"$(cat)\" ]",
        record.display()
    );
    let client = revoking(&workshop, &script, DEADLINE);
    assert_eq!(
        run(client.revoke(&revocation(&workshop))).unwrap(),
        Revoked::Now
    );
    let arguments = std::fs::read_to_string(&record).unwrap();
    let lines: Vec<_> = arguments.lines().collect();
    assert_eq!(lines[0], "serial=abcd");
    assert!(
        lines[1].contains("$(touch pwned)") && lines[1].contains("{serial}"),
        "{}",
        lines[1]
    );
    assert_eq!(&lines[2..], ["1", "keyCompromise"]);
    assert!(!Path::new("pwned").exists());
    assert!(client.capabilities().revokes);
}

#[test]
fn a_program_alone_gets_serial_issuer_and_reason() {
    let workshop = Workshop::new();
    let client = revoking_with(
        &workshop,
        "[ $# = 3 ] && [ \"$1\" = abcd ] && [ \"$3\" = 1 ]",
        &[],
        DEADLINE,
    );
    let revoked = run(client.revoke(&revocation(&workshop))).unwrap();
    assert_eq!(revoked, Revoked::Now);
}

#[test]
fn its_exit_code_says_how_it_went() {
    let workshop = Workshop::new();
    let wanted = revocation(&workshop);
    assert_eq!(
        run(revoking(&workshop, "exit 3", DEADLINE).revoke(&wanted)).unwrap(),
        Revoked::Already
    );
    for (script, class) in [
        ("echo no such certificate >&2; exit 1", ErrorClass::Rejected),
        ("exit 4", ErrorClass::Rejected),
        ("exit 75", ErrorClass::Unavailable),
        ("exit 77", ErrorClass::Credential),
        ("kill -9 $$", ErrorClass::Unavailable),
        // Says more than anybody reads.
        ("head -c 1000000 /dev/zero; exit 1", ErrorClass::Rejected),
    ] {
        let error = run(revoking(&workshop, script, DEADLINE).revoke(&wanted)).unwrap_err();
        assert_eq!(error.class(), class, "{script}: {error}");
        assert_eq!(
            error.to_string().contains("no such certificate"),
            script.contains("such") || script == "exit 4"
        );
        assert_eq!(error.is_unknown_certificate(), script == "exit 4");
    }
}

#[test]
fn a_command_that_does_not_end_is_killed_with_what_it_started() {
    let workshop = Workshop::new();
    let pipe = workshop.fresh(".pipe");
    // Its child holds the pipe open for writing; reading ends when both are gone.
    let script = format!(
        "mkfifo '{0}' 2>/dev/null; sleep 1000 >'{0}' & wait",
        pipe.display()
    );
    openssl(&["version"]);
    assert!(
        std::process::Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    let (file, client) = (
        pipe.clone(),
        revoking(&workshop, &script, Duration::from_millis(1500)),
    );
    let reader = std::thread::spawn(move || std::fs::read(file).unwrap());
    let error = run(client.revoke(&revocation(&workshop))).unwrap_err();
    assert_eq!(error.class(), ErrorClass::Unavailable);
    assert!(error.to_string().contains("killed"), "{error}");
    assert!(reader.join().unwrap().is_empty());
}

#[test]
fn without_a_command_the_remedy_is_named() {
    let workshop = Workshop::new();
    let root = workshop.authority("AD CS Root", KeyAlgorithm::P256);
    let server = Server::start(&server_certificate(&root), None, |_| Reply::Goodbye);
    let client = client(&server, &root);
    let error = run(client.revoke(&revocation(&workshop))).unwrap_err();
    assert_eq!(error.class(), ErrorClass::Unsupported);
    assert!(error.to_string().contains("revoke_command"), "{error}");
    assert!(!client.capabilities().revokes && server.seen().is_empty());
}
