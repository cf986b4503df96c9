//! A gateway in this process, on loopback, with real TLS, and clients for it.
#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

use super::pki::{Authority, Identity};
use pfx_connector::clock::ManualClock;
use pfx_connector::config::{GatewayConfig, GatewayLimits, RetentionConfig, RevocationBrake};
use pfx_connector::gateway::Gateway;
use pfx_connector::gateway::auth::Role;
use pfx_connector::gateway::store::{Actor, Store};
use reqwest::{Client, Method};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::oneshot;

pub const START_MS: i64 = 1_800_000_000_000;
pub const RECORDS: &str = "/beta/deviceManagement/userPfxCertificates";

/// A gateway that runs until it is stopped or dropped.
pub struct Running {
    pub folder: tempfile::TempDir,
    pub config: GatewayConfig,
    pub address: SocketAddr,
    pub clock: Arc<ManualClock>,
    pub store: Arc<Store>,
    pub authority: Authority,
    stop: Option<oneshot::Sender<()>>,
    task: tokio::task::JoinHandle<()>,
}

/// The configuration of a gateway in `folder`, with its certificates.
pub fn configuration(folder: &Path) -> (GatewayConfig, Authority) {
    let authority = Authority::new(folder, "authority");
    let Identity {
        certificate,
        private_key,
    } = authority.server("gateway");
    let config = GatewayConfig {
        listen: "127.0.0.1:0".parse().unwrap(),
        certificate,
        private_key,
        connector_ca: authority.certificate(),
        database: folder.join("gateway.db"),
        ready_file: Some(folder.join("ready")),
        metrics_listen: None,
        lease_ms: 60_000,
        max_leases: 3,
        max_body_bytes: 256 * 1024,
        pkcs1_records: false,
        max_queued: 100,
        unserved_hours: 72,
        revocation: RevocationBrake::default(),
        enrolment: None,
        retention: RetentionConfig::default(),
        limits: GatewayLimits::default(),
    };
    (config, authority)
}

impl Running {
    pub async fn start(change: impl FnOnce(&mut GatewayConfig)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (mut config, authority) = configuration(folder.path());
        change(&mut config);
        let clock = Arc::new(ManualClock::at(START_MS));
        let gateway = Gateway::bind(&config, clock.clone()).await.unwrap();
        let address = gateway.address().unwrap();
        let store = gateway.store();
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(gateway.run(async {
            let _ = stopped.await;
        }));
        Self {
            folder,
            config,
            address,
            clock,
            store,
            authority,
            stop: Some(stop),
            task,
        }
    }

    /// Asks for an orderly stop and waits until it is over.
    pub async fn stop(mut self) {
        self.ask_to_stop();
        (&mut self.task).await.unwrap();
    }

    pub fn ask_to_stop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
    }

    pub fn token(&self, role: Role) -> String {
        let actor = Actor {
            who: "test".to_owned(),
            role: "local",
            action: "createToken",
        };
        self.store
            .create_token(&actor, role, role.name(), 86_400_000)
            .unwrap()
            .secret
    }

    pub fn url(&self, path: &str) -> String {
        format!("https://{}{path}", self.address)
    }

    /// A client with no certificate that sends this token.
    pub fn bearer(&self, role: Role) -> Caller {
        Caller {
            client: client(&self.authority.certificate(), None),
            base: self.url(""),
            token: Some(self.token(role)),
        }
    }

    pub fn anybody(&self) -> Caller {
        Caller {
            client: client(&self.authority.certificate(), None),
            base: self.url(""),
            token: None,
        }
    }

    /// A client with a certificate of the configured authority.
    pub fn connector(&self, name: &str) -> Caller {
        let identity = self.authority.client(name);
        Caller {
            client: client(&self.authority.certificate(), Some(&identity)),
            base: self.url(""),
            token: None,
        }
    }
}

/// TLS as a client does it: the validated module, one trusted authority, perhaps a certificate.
pub fn tls(trusted: &PathBuf, identity: Option<&Identity>) -> rustls::ClientConfig {
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(trusted).unwrap() {
        roots.add(certificate.unwrap()).unwrap();
    }
    let identity = identity.map(|identity| fips::tls::Identity {
        chain: vec![CertificateDer::from_pem_file(&identity.certificate).unwrap()],
        private_key: PrivateKeyDer::from_pem_file(&identity.private_key).unwrap(),
    });
    fips::tls::client_config(roots, identity, &[b"h2", b"http/1.1"]).unwrap()
}

pub fn client(trusted: &PathBuf, identity: Option<&Identity>) -> Client {
    Client::builder()
        .tls_backend_preconfigured(tls(trusted, identity))
        .no_proxy()
        .timeout(std::time::Duration::from_secs(90))
        .build()
        .unwrap()
}

/// One side of the conversation.
#[derive(Clone)]
pub struct Caller {
    pub client: Client,
    pub base: String,
    pub token: Option<String>,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub body: Value,
}

impl Answer {
    /// The error's code; empty where there is none.
    pub fn code(&self) -> &str {
        self.body["error"]["code"].as_str().unwrap_or("")
    }

    pub fn message(&self) -> &str {
        self.body["error"]["message"].as_str().unwrap_or("")
    }
}

impl Caller {
    pub async fn call(&self, method: &str, path: &str, body: Option<Value>) -> Answer {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = self.client.request(method, format!("{}{path}", self.base));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let bytes = response.bytes().await.unwrap();
        let body = if bytes.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(&bytes).unwrap()
        };
        Answer {
            status,
            headers,
            body,
        }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.call("GET", path, None).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.call("POST", path, Some(body)).await
    }
}

pub fn thumbprint(number: u32) -> String {
    format!("{number:040x}")
}

/// A record as an importer sends it.
pub fn record(user: &str, number: u32) -> Value {
    json!({
        "thumbprint": thumbprint(number),
        "intendedPurpose": "smimeEncryption",
        "userPrincipalName": user,
        "startDateTime": "2026-01-01T00:00:00Z",
        "expirationDateTime": "2030-01-01T01:00:00+01:00",
        "providerName": "pkcs11",
        "keyName": "custody",
        "paddingScheme": "oaepSha512",
        "encryptedPfxBlob": "UEZYLUJZVEVT",
        "encryptedPfxPassword": "Q0lQSEVSVEVYVA==",
        "custodyKey": "ab".repeat(32),
        "importerSignature": {"importer": "cd".repeat(32), "signature": "AQID"}
    })
}

pub fn device_request(user: &str) -> Value {
    json!({
        "userPrincipalName": user,
        "deviceId": "device-1",
        "device": {"certificate": "REVWSUNF", "intermediates": []},
        "format": "modern"
    })
}

pub fn identity(instance: &str) -> Value {
    json!({"protocol": 1, "instance": instance, "version": "0.1.0", "features": ["pfxImport"]})
}

pub fn lease(instance: &str, wait_ms: u64) -> Value {
    json!({"connector": identity(instance), "max": 10, "waitMs": wait_ms})
}
