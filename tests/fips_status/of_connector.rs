//! With a running connector: the command, the health page and the metrics say the same.

use super::stack::{Site, until};
use super::{ask, page};
use fips::claim::Level;
use fips::policy::Service;
use pfx_connector::cli::demo::Deliveries;
use pfx_connector::evidence::process::ProcessEvidence;
use pfx_connector::evidence::status::{FipsStatus, Source};
use serde_json::Value;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn health(address: &str) -> Value {
    let answer = get(address, "/healthz");
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    serde_json::from_str(body).unwrap()
}

/// The figure of one series.
fn figure(address: &str, series: &str) -> Option<u64> {
    let page = get(address, "/metrics");
    let mut lines = page.lines();
    lines.find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
}

fn process<'a>(status: &'a FipsStatus, name: &str) -> &'a ProcessEvidence {
    let mut processes = status.processes.iter();
    processes.find(|process| process.process == name).unwrap()
}

#[test]
fn command_health_and_metrics_tell_the_same_of_every_process() {
    let site = Site::with_fips(
        "metrics_listen = \"127.0.0.1:0\"",
        "exceptions = [\"cms-ecdh-static\"]",
    );
    let stack = &site.stack;
    let engine = stack.start_engine().unwrap();
    let gateway = stack.start_gateway().unwrap();
    stack.enrol().unwrap();
    let plan = site.plan(1, 2);
    let connector = stack.start_connector(0).unwrap();
    let address = site.wait_for_event(1).fields["metrics"]
        .as_str()
        .unwrap()
        .to_owned();
    let config = stack.connector_config(0);
    let (person, [rsa, ec]) = (&plan.people[0], plan.devices.as_slice()) else {
        panic!("two devices");
    };

    let mut deliveries = Deliveries::new(stack).unwrap();
    deliveries.ask(person, rsa).unwrap();
    site.assert_all_delivered_once(&mut deliveries);
    let (status, code) = ask(&config);
    assert_eq!(code, 0);
    assert_eq!(status.source, Source::RunningConnector);
    assert_eq!((status.processes.len(), status.silent.len()), (4, 0));
    assert_eq!(status.not_approved, 0, "{:?}", status.claim.exceptions_used);
    // Software tokens are no validated ones.
    for (name, part) in status.claim.parts() {
        assert_eq!(
            part.level == Level::Unvalidated,
            name == "tokens",
            "{part:?}"
        );
    }
    let own = process(&status, "connector");
    let tls = own.tls.as_ref().unwrap();
    assert!(tls.is_fips() && tls.client_configurations > 0);
    assert!(own.exceptions.is_empty());
    assert!(own.performed(Service::Tls) > 0);
    let transported = process(&status, "custody").performed(Service::TokenOaepEncrypt);
    assert!(transported > 0);

    deliveries.ask(person, ec).unwrap();
    site.assert_all_delivered_once(&mut deliveries);
    let (status, code) = ask(&config);
    assert_eq!(code, 0, "an exception that was named is no fault");
    assert!(status.not_approved >= 2);
    let says = &status.claim.exceptions_used.says;
    assert!(
        says.contains("ecdh") && says.contains("x963-kdf") && says.contains("cms-ecdh-static"),
        "{says}"
    );
    let text = page(&config);
    assert!(
        text.starts_with("Unvalidated, because of exceptions used, tokens:"),
        "{text}"
    );

    // The page tells the engine's last answer, which the connector asks for now and then; the command has just asked for one.
    let health = health(&address);
    assert_eq!(health["healthy"], true);
    assert_eq!(health["fips"]["mode"], "strict");
    assert_eq!(health["fips"]["level"], "unvalidated");
    assert_eq!(health["fips"]["notApproved"], status.not_approved);
    assert_eq!(health["fips"]["fault"], Value::Null);
    let mut named: Vec<_> = status.exceptions.iter().map(|e| e.name.clone()).collect();
    named.sort();
    assert_eq!(health["fips"]["exceptions"], serde_json::json!(named));
    let series = "pfx_connector_fips_services_total{process=\"custody\",service=\"x963-kdf\",approved=\"false\"}";
    assert_eq!(
        figure(&address, series),
        Some(process(&status, "custody").performed(Service::X963Kdf))
    );
    assert_eq!(figure(&address, "pfx_connector_fips_strict"), Some(1));
    assert_eq!(figure(&address, "pfx_connector_fips_level"), Some(0));
    assert_eq!(figure(&address, "pfx_connector_fips_fault"), Some(0));

    engine.stop().unwrap();
    site.wait_for_event(21);
    let (status, code) = ask(&config);
    assert_eq!(code, 3);
    assert_eq!(status.silent, ["engine"]);
    assert_eq!(status.claim.tokens.level, Level::Unvalidated);
    until("the engine's figures are still told", || {
        figure(&address, series).is_none()
    });
    connector.stop().unwrap();
    gateway.stop().unwrap();
}

#[test]
fn a_module_that_fails_is_event_24_and_a_reason_of_the_health_page_and_requests_wait() {
    let site = Site::with_fips("metrics_listen = \"127.0.0.1:0\"", "");
    let stack = &site.stack;
    let gateway = stack.start_gateway().unwrap();
    stack.enrol().unwrap();
    let plan = site.plan(1, 1);
    let configuration = stack.path("engine.toml");
    let whole = std::fs::read_to_string(&configuration).unwrap();
    let faulty = whole.replacen(
        "environment = {",
        "environment = { PFX_FIPS_TEST_FAULT = \"aes-cbc\",",
        1,
    );
    assert_ne!(faulty, whole);
    std::fs::write(&configuration, faulty).unwrap();
    let engine = stack.start_engine().unwrap();
    let connector = stack.start_connector(0).unwrap();
    let address = site.wait_for_event(1).fields["metrics"]
        .as_str()
        .unwrap()
        .to_owned();

    let mut deliveries = Deliveries::new(stack).unwrap();
    deliveries.ask(&plan.people[0], &plan.devices[0]).unwrap();
    let event = site.wait_for_event(24);
    let reason = event.fields["reason"].as_str().unwrap();
    assert!(reason.contains("indicator_disagrees"), "{reason}");
    let health = health(&address);
    assert_eq!(health["healthy"], false);
    assert_eq!(health["reasons"][0]["code"], "module");
    assert_eq!(health["fips"]["fault"], "indicator_disagrees");
    assert_eq!(figure(&address, "pfx_connector_fips_fault"), Some(1));
    assert!(get(&address, "/healthz").starts_with("HTTP/1.1 503"));

    // The request was not failed: with a module that is well it is delivered.
    assert_eq!(site.count(2001), 0);
    drop(engine);
    std::fs::write(&configuration, whole).unwrap();
    let engine = stack.start_engine().unwrap();
    site.assert_all_delivered_once(&mut deliveries);
    connector.stop().unwrap();
    engine.stop().unwrap();
    gateway.stop().unwrap();
}
