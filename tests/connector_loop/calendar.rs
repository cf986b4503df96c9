//! The expiry calendar and the state of authorities, as the running connector tells them.

use crate::delivery::http_get;
use crate::engine::{Answer, FakeEngine};
use crate::openssl::{Issuance, KeyAlgorithm, Workshop};
use crate::process::{Bench, until};
use crate::service::Service;
use pfx_connector::calendar::{Kind, Level};
use pfx_connector::clock::rfc3339;
use pfx_connector::telemetry::health::HealthState;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, SystemTime};

/// `YYYYMMDDHHMMSSZ`, so many days from now.
fn in_days(days: u64) -> String {
    let then = SystemTime::now() + Duration::from_secs(days * 86_400);
    let ms = then
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap()
        .as_millis();
    let text = rfc3339(i64::try_from(ms).unwrap());
    let digits: String = text.chars().filter(char::is_ascii_digit).take(14).collect();
    format!("{digits}Z")
}

/// Gives the connector a certificate that began years ago and ends then.
fn certify(bench: &Bench, not_after: &str) {
    let workshop = Workshop::new();
    let authority = workshop.authority_of(bench.pki.path("ca.pem"), bench.pki.path("ca.key"));
    let device = authority.device_with(
        "client",
        KeyAlgorithm::P256,
        &Issuance {
            extensions: "extendedKeyUsage = clientAuth".to_owned(),
            not_after: not_after.to_owned(),
            ..Issuance::default()
        },
    );
    std::fs::copy(&device.certificate, bench.pki.path("client.pem")).unwrap();
    std::fs::copy(&device.key, bench.pki.path("client.key")).unwrap();
    let mode = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(bench.pki.path("client.key"), mode).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_is_about_to_end_is_told_once_and_so_is_its_renewal() {
    let mut bench = Bench::new();
    bench.set("metrics_listen", "\"127.0.0.1:0\"");
    certify(&bench, &in_days(3));
    let service = Service::start(&bench.pki).await;
    let engine = FakeEngine::start(bench.path(), |_, _| Answer::Recrypt);
    let connector = bench.start(&service, &engine);
    until("it is told", || bench.count("admin", 5001) == 1).await;
    let told = bench.events("admin");
    let told = told.iter().find(|event| event.id == 5001).unwrap();
    assert_eq!(told.fields["kind"], "connector-certificate");
    assert_eq!(told.fields["name"], "connector.certificate");
    until("it works", || {
        connector
            .status()
            .is_some_and(|status| status.health.healthy)
    })
    .await;
    let status = connector.status().unwrap();
    assert_eq!(status.health.state, HealthState::Degraded);
    assert_eq!(status.health.warnings[0].code, "expiry");
    let own = status
        .calendar
        .entries
        .iter()
        .find(|entry| entry.kind == Kind::ConnectorCertificate)
        .unwrap();
    assert_eq!((own.level, own.days_left), (Level::Urgent, 2));
    // What the other end shows is in it, and what it has to chain to.
    for (kind, name) in [
        (Kind::GatewayCertificate, "connector.gateway"),
        (Kind::GatewayCa, "connector.gateway_ca"),
    ] {
        let entries = &status.calendar.entries;
        let found = entries.iter().find(|entry| entry.kind == kind).unwrap();
        assert_eq!((found.name.as_str(), found.level), (name, Level::Fine));
    }
    let address = bench.metrics_address();
    let health = http_get(&address, "/healthz").await;
    assert!(health.starts_with("HTTP/1.1 200"), "{health}");
    assert!(health.contains("\"degraded\""), "{health}");
    let metrics = http_get(&address, "/metrics").await;
    let series = format!(
        "pfx_connector_expiry_timestamp_seconds{{kind=\"connector-certificate\",name=\"connector.certificate\"}} {}\n",
        own.not_after_ms / 1000
    );
    assert!(metrics.contains(&series), "{metrics}");

    certify(&bench, &in_days(300));
    connector.signal(rustix::process::Signal::HUP);
    until("the renewal is told", || bench.count("admin", 5003) == 1).await;
    let status = connector.status().unwrap();
    assert_eq!(status.health.state, HealthState::Healthy);
    assert_eq!(status.calendar.calling().count(), 0);
    assert!(connector.stop().await.success());
    assert_eq!(bench.count("admin", 5001), 1, "told once");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_that_is_away_is_told_and_shown_and_stops_nothing_else() {
    let mut bench = Bench::new();
    let f = bench.path().display().to_string();
    let policy = "version = 1\n[[rule]]\nname = \"all\"\nca = [\"company\"]\nprofiles = [\"*\"]\nkeys = [\"ecP256\"]\n\
                  key_usage = [\"digitalSignature\"]\nextended_key_usage = [\"emailProtection\"]\nsubject = { CN = [\"*\"] }\n\
                  alt_names = { email = [\"*@example.com\"] }\nmax_validity_days = 400\n";
    std::fs::write(bench.path().join("issuance.toml"), policy).unwrap();
    // Nobody listens there: the port was ours a moment ago.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = free.local_addr().unwrap();
    drop(free);
    bench.extra.push(format!(
        "[connector.pkcs]\npolicy = \"{f}/issuance.toml\"\n[[connector.ca]]\nname = \"company\"\nkind = \"cmp\"\nurl = \"http://{nobody}/\"\n\
         roots = \"{f}/ca.pem\"\ncertificate = \"{f}/client.pem\"\nprivate_key = \"{f}/client.key\"\n"
    ));
    let service = Service::start(&bench.pki).await;
    let engine = FakeEngine::start(bench.path(), |_, _| Answer::Recrypt);
    service.add("mail");
    let connector = bench.start(&service, &engine);
    until("it is told", || bench.count("admin", 5010) == 1).await;
    until("the other work goes on", || service.unsettled() == 0).await;
    until("it works", || {
        connector
            .status()
            .is_some_and(|status| status.health.healthy)
    })
    .await;
    let status = connector.status().unwrap();
    assert_eq!(status.health.state, HealthState::Degraded);
    assert_eq!(status.health.warnings[0].code, "authority");
    let [company] = status.authorities.as_slice() else {
        panic!("{:?}", status.authorities);
    };
    assert_eq!(
        (company.name.as_str(), company.kind.as_str()),
        ("company", "cmp")
    );
    let asked = company.asked.as_ref().unwrap();
    assert_eq!((asked.reachable, asked.may_enroll), (Some(false), None));
    assert_eq!(
        (company.in_flight, company.issued, company.failed),
        (0, 0, 0)
    );
    // Its files are in the calendar.
    let names: Vec<_> = status
        .calendar
        .entries
        .iter()
        .map(|entry| entry.name.as_str())
        .collect();
    for name in [
        "connector.ca.company.roots",
        "connector.ca.company.certificate",
    ] {
        assert!(names.contains(&name), "{names:?}");
    }
    assert!(connector.stop().await.success());
}
