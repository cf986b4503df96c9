//! Gateways that answer, are not there, or are somebody else's.

use super::examined::doctor;
use super::files::write_connector;
use super::gateway_host::Host;
use super::pki::Authority;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};

const ONLY: [&str; 2] = ["--only", "endpoints"];

/// The configuration of the connector of that gateway's folder.
fn connector(host: &Host, url: &str, gateway_ca: &str, more: &str) -> PathBuf {
    for (name, file) in [
        ("connector.pem", &host.connector.certificate),
        ("connector-key.pem", &host.connector.private_key),
    ] {
        std::fs::copy(file, host.path(name)).unwrap();
    }
    write_connector(host.folder.path(), url, gateway_ca, more)
}

/// A port of this machine at which nobody listens.
fn closed_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

#[test]
fn a_gateway_that_answers_is_ok_and_its_certificate_is_looked_at() {
    let host = Host::new();
    let (_gateway, url) = host.start();
    let config = connector(&host, &url, "authority.pem", "");
    let examined = doctor(&config, &ONLY);
    examined.nothing_fails();
    for id in [
        "endpoints.proxy",
        "endpoints.name",
        "endpoints.connect",
        "endpoints.tls",
    ] {
        let found = examined.finding(id);
        assert_eq!(found["severity"], "ok", "{found}");
        assert_eq!(found["subject"], "connector.gateway");
    }
    assert_eq!(examined.finding("endpoints.tls")["facts"]["status"], 200);
    // It is made for more than a year.
    let certificate = examined.finding("endpoints.certificate");
    assert_eq!(certificate["severity"], "ok", "{certificate}");
    assert_eq!(certificate["facts"]["subject"], "CN=gateway");
    assert!(
        examined.finding("endpoints.connect")["found"]
            .as_str()
            .unwrap()
            .contains("needed by the connector")
    );
}

#[test]
fn a_gateway_that_is_not_there_is_an_error() {
    let host = Host::new();
    let url = format!("https://127.0.0.1:{}", closed_port());
    let config = connector(&host, &url, "authority.pem", "");
    doctor(&config, &ONLY).fails_of("endpoints.connect");
    // RFC 2606: no name below .invalid exists.
    let config = connector(&host, "https://gateway.invalid", "authority.pem", "");
    doctor(&config, &ONLY).fails_of("endpoints.name");
}

#[test]
fn a_gateway_of_another_authority_is_told_by_the_code_of_tls() {
    let host = Host::new();
    let (_gateway, url) = host.start();
    let other = tempfile::tempdir().unwrap();
    let authority = Authority::new(other.path(), "other");
    std::fs::copy(authority.certificate(), host.path("other.pem")).unwrap();
    let config = connector(&host, &url, "other.pem", "");
    let examined = doctor(&config, &ONLY);
    examined.fails_of("endpoints.tls");
    assert_eq!(
        examined.finding("endpoints.tls")["code"],
        "tls_certificate_unknown_issuer"
    );
}

#[test]
fn a_connector_whose_certificate_the_gateway_does_not_accept_is_told() {
    let host = Host::new();
    let (_gateway, url) = host.start();
    let other = tempfile::tempdir().unwrap();
    let foreign = Authority::new(other.path(), "other").client("connector");
    let config = connector(&host, &url, "authority.pem", "");
    std::fs::copy(foreign.certificate, host.path("connector.pem")).unwrap();
    std::fs::copy(foreign.private_key, host.path("connector-key.pem")).unwrap();
    doctor(&config, &ONLY).fails_of("endpoints.tls");
}

#[test]
fn what_speaks_no_tls_is_told_as_such() {
    let host = Host::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
            let _ = stream.read(&mut [0; 1024]);
        }
    });
    let config = connector(&host, &url, "authority.pem", "");
    let examined = doctor(&config, &ONLY);
    examined.fails_of("endpoints.tls");
    assert_eq!(examined.finding("endpoints.tls")["code"], "tls_not_tls");
}

#[test]
fn a_proxy_is_looked_at_in_the_place_of_the_host() {
    let host = Host::new();
    let (_gateway, url) = host.start();
    let more = format!(
        "[connector.proxy]\nurl = \"http://127.0.0.1:{}\"",
        closed_port()
    );
    let config = connector(&host, &url, "authority.pem", &more);
    let examined = doctor(&config, &ONLY);
    examined.fails_of("endpoints.connect");
    assert!(
        examined.finding("endpoints.proxy")["found"]
            .as_str()
            .unwrap()
            .contains("as configured")
    );
    // One that refuses.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let more = format!(
        "[connector.proxy]\nurl = \"http://{}\"",
        listener.local_addr().unwrap()
    );
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(
                b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n",
            );
        }
    });
    let config = connector(&host, &url, "authority.pem", &more);
    doctor(&config, &ONLY).fails_of("endpoints.tls");
}

#[test]
fn an_address_that_is_taken_is_a_note_and_a_foreign_one_an_error() {
    let host = Host::new();
    let config = host.path("config.toml");
    let listen = |address: &str| {
        let text = std::fs::read_to_string(&config).unwrap();
        let changed: String = text
            .lines()
            .map(|line| match line.starts_with("listen") {
                true => format!("listen = \"{address}\"\n"),
                false => format!("{line}\n"),
            })
            .collect();
        std::fs::write(&config, changed).unwrap();
        doctor(&config, &ONLY)
    };
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let examined = listen(&taken.local_addr().unwrap().to_string());
    examined.nothing_fails();
    assert_eq!(examined.finding("endpoints.listen")["severity"], "note");
    // TEST-NET-1 (RFC 5737).
    listen("192.0.2.1:443").fails_of("endpoints.listen");
}

#[test]
fn the_environments_proxy_is_not_used_and_that_is_said() {
    let host = Host::new();
    let (_gateway, url) = host.start();
    let config = connector(&host, &url, "authority.pem", "");
    let examined = with_proxy_variable(&config);
    examined.nothing_fails();
    let found = examined.finding("endpoints.proxy");
    assert_eq!(found["severity"], "note");
    assert_eq!(
        found["facts"]["environment"],
        serde_json::json!(["HTTPS_PROXY"])
    );
}

fn with_proxy_variable(config: &Path) -> super::examined::Examined {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_pfx-connector"))
        .args(["doctor", "--json", "--only", "endpoints", "--config"])
        .arg(config)
        .env_clear()
        .env("HTTPS_PROXY", "http://127.0.0.1:9")
        .output()
        .unwrap();
    super::examined::read(&output)
}
