//! Clients that mean no good, or have bad lines: what the gateway does with them.
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
use pfx_connector::config::GatewayConfig;
use pfx_connector::gateway::Gateway;
use pfx_connector::gateway::auth::Role;
use pki::{Authority, Identity};
use rustls::pki_types::ServerName;
use serde_json::json;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Only so that a fault ends the test; nothing is measured.
const DEADLINE: Duration = Duration::from_secs(60);

fn impatient(config: &mut GatewayConfig) {
    config.limits.handshake_ms = 200;
    config.limits.header_ms = 200;
    config.limits.body_ms = 200;
    config.limits.idle_ms = 1_000;
}

async fn connect(
    running: &Running,
    identity: Option<&Identity>,
    protocol: &[u8],
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut tls = tls(&running.authority.certificate(), identity);
    tls.alpn_protocols = vec![protocol.to_vec()];
    let stream = TcpStream::connect(running.address).await?;
    let name = ServerName::try_from("127.0.0.1").unwrap();
    TlsConnector::from(Arc::new(tls))
        .connect(name, stream)
        .await
}

/// Everything until the other side closes.
async fn until_closed(stream: &mut (impl AsyncReadExt + Unpin)) -> String {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    let reading = async {
        while let Ok(count) = stream.read(&mut buffer).await {
            if count == 0 {
                break;
            }
            bytes.extend_from_slice(&buffer[..count]);
        }
    };
    tokio::time::timeout(DEADLINE, reading)
        .await
        .expect("the gateway did not close the connection");
    String::from_utf8_lossy(&bytes).into_owned()
}

#[tokio::test]
async fn whoever_says_nothing_is_cut() {
    let running = Running::start(impatient).await;
    let mut silent = TcpStream::connect(running.address).await.unwrap();
    assert_eq!(until_closed(&mut silent).await, "");
    for protocol in [b"http/1.1".as_slice(), b"h2"] {
        let mut idle = connect(&running, None, protocol).await.unwrap();
        until_closed(&mut idle).await;
    }
    assert_eq!(running.anybody().get("/healthz").await.status, 200);
    running.stop().await;
}

#[tokio::test]
async fn headers_that_drip_are_cut() {
    let running = Running::start(impatient).await;
    let mut slow = connect(&running, None, b"http/1.1").await.unwrap();
    slow.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: ")
        .await
        .unwrap();
    let (mut read, mut write) = tokio::io::split(slow);
    let dripping = tokio::spawn(async move {
        let mut pause = tokio::time::interval(Duration::from_millis(20));
        loop {
            pause.tick().await;
            if write.write_all(b"x").await.is_err() || write.flush().await.is_err() {
                break;
            }
        }
    });
    let answer = until_closed(&mut read).await;
    assert!(!answer.starts_with("HTTP/1.1 200"), "{answer}");
    dripping.abort();
    assert_eq!(running.anybody().get("/healthz").await.status, 200);
    running.stop().await;
}

#[tokio::test]
async fn a_body_that_never_ends_is_given_up() {
    let running = Running::start(impatient).await;
    let token = running.token(Role::Importer);
    let mut slow = connect(&running, None, b"http/1.1").await.unwrap();
    slow.write_all(
        format!(
            "POST {RECORDS} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\nContent-Length: 100\r\nConnection: close\r\n\r\n{{"
        )
        .as_bytes(),
    )
    .await
    .unwrap();
    let answer = until_closed(&mut slow).await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(answer.contains("bodyTimeout"));
    running.stop().await;
}

#[tokio::test]
async fn bodies_are_bounded_announced_or_not() {
    let running = Running::start(|_| {}).await;
    let importer = running.bearer(Role::Importer);
    let mut large = record("a@b.org", 1);
    large["encryptedPfxBlob"] = json!("A".repeat(400 * 1024));
    let answer = importer.post(RECORDS, large).await;
    assert_eq!((answer.status, answer.code()), (413, "bodyTooLarge"));
    let token = running.token(Role::Importer);
    let mut stream = connect(&running, None, b"http/1.1").await.unwrap();
    let head = format!(
        "POST {RECORDS} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
    for _ in 0..5 {
        // The gateway may have answered and closed already.
        if stream.write_all(chunk.as_bytes()).await.is_err() {
            break;
        }
    }
    let answer = until_closed(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    running.stop().await;
}

#[tokio::test]
async fn a_body_is_not_read_for_somebody_without_rights() {
    let running = Running::start(|_| {}).await;
    let mut stream = connect(&running, None, b"http/1.1").await.unwrap();
    let head = format!(
        "POST {RECORDS} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000000000\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    assert!(until_closed(&mut stream).await.starts_with("HTTP/1.1 401"));
    running.stop().await;
}

#[tokio::test]
async fn what_is_not_json_and_what_is_no_message_is_refused() {
    let running = Running::start(|_| {}).await;
    let importer = running.bearer(Role::Importer);
    let send = |kind: &'static str, body: Vec<u8>| {
        let request = importer
            .client
            .post(running.url(RECORDS))
            .bearer_auth(importer.token.clone().unwrap())
            .header("content-type", kind)
            .body(body);
        async move { request.send().await.unwrap().status().as_u16() }
    };
    assert_eq!(send("text/plain", b"{}".to_vec()).await, 415);
    assert_eq!(send("application/json", b"{".to_vec()).await, 400);
    assert_eq!(send("application/json", vec![0xff, 0xfe]).await, 400);
    assert_eq!(send("application/json", b"[".repeat(100_000)).await, 400);
    assert_eq!(
        send("application/json; charset=utf-8", b"{}".to_vec()).await,
        400
    );
    running.stop().await;
}

#[tokio::test]
async fn a_certificate_of_another_authority_opens_nothing() {
    let running = Running::start(|_| {}).await;
    let folder = tempfile::tempdir().unwrap();
    let alien = Authority::new(folder.path(), "authority").client("connector-1");
    // TLS 1.3: the client may learn of the refusal with its first read only.
    let refused = match connect(&running, Some(&alien), b"http/1.1").await {
        Err(_) => true,
        Ok(mut stream) => {
            let _ = stream
                .write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
                .await;
            until_closed(&mut stream).await.is_empty()
        }
    };
    assert!(refused);
    // A server's certificate of the right authority is not a client's.
    let server = running.authority.server("not-a-client");
    let refused = client(&running.authority.certificate(), Some(&server))
        .get(running.url("/healthz"))
        .send()
        .await;
    assert!(refused.is_err());
    running.stop().await;
}

#[tokio::test]
async fn more_clients_than_places_wait_for_their_turn() {
    let running = Running::start(|config| {
        impatient(config);
        config.limits.connections = 2;
    })
    .await;
    let mut silent = Vec::new();
    for _ in 0..6 {
        silent.push(TcpStream::connect(running.address).await.unwrap());
    }
    assert_eq!(running.anybody().get("/healthz").await.status, 200);
    running.stop().await;
}

#[tokio::test]
async fn both_protocols_answer_and_echo_the_callers_request_id() {
    let running = Running::start(|_| {}).await;
    let mut old = connect(&running, None, b"http/1.1").await.unwrap();
    old.write_all(
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nclient-request-id: my-id\r\nConnection: close\r\n\r\n",
    )
    .await
    .unwrap();
    let answer = until_closed(&mut old).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains("client-request-id: my-id") && answer.contains("\r\nrequest-id: "));
    let new = running
        .anybody()
        .client
        .get(running.url("/nowhere"))
        .header("client-request-id", "my-id")
        .send()
        .await
        .unwrap();
    assert_eq!(new.version(), reqwest::Version::HTTP_2);
    assert_eq!(new.headers()["client-request-id"], "my-id");
    assert_eq!(new.headers()["cache-control"], "no-store");
    assert!(new.headers().contains_key("request-id"));
    running.stop().await;
}

#[tokio::test]
async fn a_private_key_that_others_may_read_is_not_used() {
    let folder = tempfile::tempdir().unwrap();
    let (config, _) = configuration(folder.path());
    let clock = Arc::new(pfx_connector::clock::SystemClock);
    let mode = |mode| {
        let permissions = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(&config.private_key, permissions).unwrap();
    };
    mode(0o644);
    assert!(Gateway::bind(&config, clock.clone()).await.is_err());
    assert!(!config.database.exists());
    mode(0o600);
    let gateway = Gateway::bind(&config, clock).await.unwrap();
    let told = std::fs::read_to_string(config.ready_file.unwrap()).unwrap();
    assert_eq!(told.trim(), gateway.address().unwrap().to_string());
}
