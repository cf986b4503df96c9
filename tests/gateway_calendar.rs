//! The gateway's expiry calendar: its certificates and tokens in status, health and metrics, by a clock that the test moves.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

#[path = "support/gateway.rs"]
mod gateway;
#[path = "support/pki.rs"]
mod pki;

use gateway::*;
use pfx_connector::clock::{Clock, ManualClock, SystemClock};
use pfx_connector::gateway::Gateway;
use pfx_connector::gateway::auth::Role;
use pfx_connector::gateway::store::Actor;
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::oneshot;

const DAY_MS: i64 = 86_400_000;

async fn get(address: SocketAddr, path: &str) -> String {
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    text
}

/// The JSON in an answer.
fn body(answer: &str) -> Value {
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    serde_json::from_str(body).unwrap_or_else(|_| panic!("{answer}"))
}

#[tokio::test]
async fn the_gateway_is_degraded_before_its_certificate_ends_and_unhealthy_afterwards() {
    let folder = tempfile::tempdir().unwrap();
    let (mut config, authority) = configuration(folder.path());
    config.metrics_listen = Some("127.0.0.1:0".parse().unwrap());
    let clock = Arc::new(ManualClock::at(SystemClock.now_ms()));
    let gateway = Gateway::bind(&config, clock.clone()).await.unwrap();
    let (address, pages) = (
        gateway.address().unwrap(),
        gateway.metrics_address().unwrap(),
    );
    let actor = Actor {
        who: "test".to_owned(),
        role: "local",
        action: "createToken",
    };
    let store = gateway.store();
    let token = store
        .create_token(&actor, Role::Administrator, "operator", 1000 * DAY_MS)
        .unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let task = tokio::spawn(gateway.run(async {
        let _ = stopped.await;
    }));
    let administrator = Caller {
        client: client(&authority.certificate(), None),
        base: format!("https://{address}"),
        token: Some(token.secret),
    };
    let anybody = Caller {
        client: client(&authority.certificate(), None),
        base: format!("https://{address}"),
        token: None,
    };

    let looked = async {
        loop {
            let metrics = get(pages, "/metrics").await;
            if metrics.contains("kind=\"gateway-token\"") {
                break metrics;
            }
        }
    };
    let metrics = tokio::time::timeout(Duration::from_secs(60), looked).await;
    let metrics = metrics.expect("the gateway looks at its database when it starts");
    for line in [
        "pfx_connector_gateway_healthy 1\n",
        "pfx_connector_expiry_timestamp_seconds{kind=\"gateway-certificate\",name=\"gateway.certificate\"} ",
        "pfx_connector_expiry_timestamp_seconds{kind=\"connector-ca\",name=\"gateway.connector_ca\"} ",
        "pfx_connector_expiry_entries{level=\"fine\"} 3\n",
        "pfx_connector_gateway_requests{state=\"queued\"} 0\n",
    ] {
        assert!(metrics.contains(line), "{line} in {metrics}");
    }
    assert_eq!(body(&get(pages, "/healthz").await)["state"], "healthy");
    assert_eq!(anybody.get("/healthz").await.body["status"], "ok");

    // Certificates of these tests last for 400 days.
    clock.advance_ms(395 * DAY_MS);
    let health = get(pages, "/healthz").await;
    assert!(health.starts_with("HTTP/1.1 200"), "{health}");
    assert_eq!(body(&health)["state"], "degraded");
    assert_eq!(anybody.get("/healthz").await.body["status"], "degraded");
    let status = administrator.get("/admin/v1/status").await.body;
    assert_eq!(status["health"], "degraded");
    let entries = status["calendar"]["entries"].as_array().unwrap();
    let own = entries
        .iter()
        .find(|entry| entry["name"] == "gateway.certificate")
        .unwrap();
    assert_eq!(
        (&own["level"], &own["effect"]),
        (&"urgent".into(), &"stops".into())
    );

    clock.advance_ms(10 * DAY_MS);
    let health = get(pages, "/healthz").await;
    assert!(health.starts_with("HTTP/1.1 503"), "{health}");
    assert_eq!(body(&health)["reasons"][0]["code"], "expired");
    let refused = anybody.get("/healthz").await;
    assert_eq!(refused.status, 503);
    assert!(
        get(pages, "/metrics")
            .await
            .contains("pfx_connector_gateway_healthy 0\n")
    );
    stop.send(()).unwrap();
    task.await.unwrap();
}

#[tokio::test]
async fn health_without_a_token_is_for_this_machine_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (mut config, _) = configuration(folder.path());
    config.metrics_listen = Some("0.0.0.0:0".parse().unwrap());
    let error = Gateway::bind(&config, Arc::new(SystemClock))
        .await
        .err()
        .unwrap();
    assert!(error.to_string().contains("loopback"), "{error}");
}
