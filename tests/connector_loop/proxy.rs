use crate::engine::{Answer, FakeEngine};
use crate::process::{Bench, until};
use crate::service::Service;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// `user:secret word` in base64.
const CREDENTIALS: &str = "dXNlcjpzZWNyZXQgd29yZA==";

async fn proxy(used: Arc<AtomicU32>, refused: Arc<AtomicU32>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let (used, refused) = (Arc::clone(&used), Arc::clone(&refused));
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(client.read_u8().await.unwrap());
                }
                let head = String::from_utf8(head).unwrap();
                let target = head
                    .strip_prefix("CONNECT ")
                    .unwrap()
                    .split(' ')
                    .next()
                    .unwrap()
                    .to_owned();
                let wanted = format!("proxy-authorization: basic {CREDENTIALS}");
                if !head.lines().any(|line| line.eq_ignore_ascii_case(&wanted)) {
                    refused.fetch_add(1, Ordering::SeqCst);
                    let answer =
                        b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n";
                    let _ = client.write_all(answer).await;
                    return;
                }
                used.fetch_add(1, Ordering::SeqCst);
                let mut server = TcpStream::connect(target).await.unwrap();
                client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    address
}

fn write_password(bench: &Bench, password: &str) -> String {
    use std::os::unix::fs::PermissionsExt;
    let path = bench.path().join("proxy.password");
    std::fs::write(&path, format!("{password}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    path.display().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_configured_proxy_is_used_with_its_credentials_and_wrong_ones_are_told() {
    let mut bench = Bench::new();
    let service = Service::start(&bench.pki).await;
    let engine = FakeEngine::start(bench.path(), |_, _| Answer::Recrypt);
    let (used, refused) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let address = proxy(Arc::clone(&used), Arc::clone(&refused)).await;
    let password = write_password(&bench, "not it");
    bench.extra.push(format!(
        "[connector.proxy]\nurl = \"http://{address}\"\nusername = \"user\"\npassword_file = \"{password}\""
    ));
    service.add("through");
    let connector = bench.start(&service, &engine);
    until("the refusal is told", || {
        bench.count("operational", 30) >= 1
    })
    .await;
    assert_eq!(used.load(Ordering::SeqCst), 0);
    assert!(refused.load(Ordering::SeqCst) > 0);

    write_password(&bench, "secret word");
    connector.signal(rustix::process::Signal::HUP);
    until("it is reported", || bench.reports().len() == 1).await;
    assert!(used.load(Ordering::SeqCst) > 0);
    assert!(connector.stop().await.success());
    for log in ["admin", "operational", "debug"] {
        for event in bench.events(log) {
            let line = String::from_utf8(event.line()).unwrap();
            assert!(!line.contains("secret word") && !line.contains(CREDENTIALS));
        }
    }
}
