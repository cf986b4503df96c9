//! Through gateway and connector to libest's estserver, where the connector is known by a TLS certificate whose key is on the engine's token:
//! it comes there by EST, orders for devices, and is renewed by EST. In strict FIPS mode without any exception.
//!
//! Such a key signs handshakes of TLS 1.3 alone and estserver speaks none, so HAProxy stands in front of it and demands the certificate.

use super::device::open;
use super::est::ANNA;
use super::estserver::EstServer;
use super::front::Front;
use super::openssl::{Authority, KeyAlgorithm, Workshop, openssl, text};
use super::site::{Issuing, Setup};
use super::stack::{block_on, until, write_private};
use super::support::http;
use audit::event::{ClientAct, Event};
use audit::storage::Folder;
use ca::est::{Est, EstSettings};
use ca::{CertificationAuthority, Enrolment, Error, ErrorClass, Login, Order};
use fips::secret::Password;
use pfx_connector::engine::api::SignClientCsrRequest;
use pfx_connector::engine::client::EngineClient;
use pfx_connector::tls::{EngineKey, certificates, client_config_with_engine_key, roots};
use std::ops::ControlFlow;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const DEADLINE: Duration = Duration::from_secs(60);

const CLIENT_KEY: &str = "[[engine.client_keys]]\nname = \"est\"\nsigning_key = \"est-tls\"\ncommon_name = \"connector-est\"\n";

/// What the engine has the token sign: the request for the certificate of that key.
fn request(issuing: &Issuing) -> Order {
    let socket = issuing.site.stack.path("run/engine.sock");
    let asked = SignClientCsrRequest {
        request_id: "est".to_owned(),
        key: "est".to_owned(),
    };
    let mut signed = None;
    until("the engine does not sign", || {
        signed = block_on(async {
            let client = EngineClient::connect(&socket).await.ok()?;
            client.sign_client_csr(asked.clone(), DEADLINE).await.ok()
        });
        signed.is_some()
    });
    Order {
        id: "0123456789abcdef".to_owned(),
        csr_der: signed.unwrap().csr.0,
        profile: None,
    }
}

/// Makes the key on the token, and names it in the engine's configuration.
fn make_key(issuing: &Issuing) {
    let stack = &issuing.site.stack;
    let made = Command::new(stack.program())
        .args(["key", "generate-signing", "--kind", "p256"])
        .args(["--key-label", "est-tls", "--config"])
        .arg(stack.path("key.toml"))
        .envs(stack.token.environment())
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let config = stack.path("engine.toml");
    let lines = std::fs::read_to_string(&config).unwrap() + CLIENT_KEY;
    write_private(&config, lines.as_bytes());
}

fn client(
    server: String,
    root: &Authority<'_>,
    password: Option<&str>,
    http: reqwest::Client,
) -> Est {
    let settings = EstSettings {
        name: "est".to_owned(),
        server,
        label: None,
        login: password.map(|password| Login {
            user: "estuser".to_owned(),
            password: Password::from_slice(password.as_bytes()),
        }),
        anchors: vec![root.der()],
        deadline: DEADLINE,
        credential_expires: None,
    };
    Est::new(settings, http).unwrap()
}

/// An HTTP client that shows the certificate in a file; its key is the engine's to use.
fn shown(issuing: &Issuing, root: &Authority<'_>, certificate: &Path) -> reqwest::Client {
    let key = EngineKey {
        socket: issuing.site.stack.path("run/engine.sock"),
        name: "est".to_owned(),
        deadline: DEADLINE,
    };
    let chain = certificates(certificate).unwrap();
    let trusted = roots(&root.certificate).unwrap();
    let tls = client_config_with_engine_key(trusted, &key, chain, certificate).unwrap();
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .no_proxy()
        .build()
        .unwrap()
}

/// Writes what was issued into a file (PEM).
fn keep(workshop: &Workshop, issued: Result<Enrolment, Error>, file: &Path) {
    let Enrolment::Issued(issued) = issued.unwrap() else {
        panic!("it waits")
    };
    let der = workshop.file(&issued.certificate_der);
    let pem = openssl(&["x509", "-inform", "DER", "-in", text(&der)]);
    std::fs::write(file, pem).unwrap();
}

fn serial(certificate: &Path) -> Vec<u8> {
    openssl(&["x509", "-noout", "-serial", "-in", text(certificate)])
}

/// How many handshakes the token has signed, by the log of its uses.
fn handshakes(issuing: &Issuing) -> usize {
    let log = Folder::for_reading(&issuing.site.stack.path("audit")).unwrap();
    let mut count = 0;
    audit::read::entries(&log, |_, entry, _| {
        if let Event::ClientKeyUse(used) = &entry.event
            && matches!(used.signed, ClientAct::Handshake { .. })
        {
            count += 1;
        }
        ControlFlow::Continue(())
    })
    .unwrap();
    count
}

#[test]
fn the_connectors_key_on_the_token_is_certified_orders_for_a_device_and_is_renewed_by_est() {
    let workshop = Workshop::new();
    let root = workshop.authority("EST Root", KeyAlgorithm::P256);
    // Whoever shows a certificate of the authority's is asked for no password.
    let people = EstServer::start(&workshop, &root, ANNA, &["-o"]);
    let clients = EstServer::start(&workshop, &root, "extendedKeyUsage = clientAuth", &["-o"]);
    let (to_people, to_clients) = (
        Front::start(&workshop, &root, &people),
        Front::start(&workshop, &root, &clients),
    );
    let certificate = workshop.fresh(".pem");
    let issuing = Issuing::with(Setup::strict(format!(
        "[[connector.ca]]\nname = \"company\"\nkind = \"est\"\nurl = {:?}\nroots = {1:?}\nserver_ca = {1:?}\ncertificate = {2:?}\n\
         client_key = \"est\"\npause_ms = 50\nlongest_pause_ms = 500\n",
        to_people.url(),
        text(&root.certificate),
        text(&certificate),
    )));
    make_key(&issuing);

    // Its first certificate, with the password that the authority gave out.
    let engine = issuing.site.stack.start_engine().unwrap();
    let order = request(&issuing);
    let anybody = || http(&root.certificate, None);
    let with_password = client(clients.url(), &root, Some("estpwd"), anybody());
    keep(
        &workshop,
        block_on(with_password.enroll(&order)),
        &certificate,
    );
    // Without the certificate, and with one of somebody else's, nobody gets through.
    let strangers = workshop.authority("Strangers", KeyAlgorithm::P256);
    let stranger = strangers.device("connector-est", KeyAlgorithm::P256);
    for other in [anybody(), http(&root.certificate, Some(&stranger))] {
        let refused = block_on(client(to_people.url(), &root, None, other).enroll(&order));
        assert_eq!(refused.unwrap_err().class(), ErrorClass::Credential);
    }
    // estserver alone offers no TLS 1.3: nothing is signed for it.
    let direct = client(
        people.url(),
        &root,
        None,
        shown(&issuing, &root, &certificate),
    );
    assert!(block_on(direct.enroll(&order)).is_err());
    assert_eq!((people.issued(), handshakes(&issuing)), (0, 0));
    engine.stop().unwrap();

    let running = issuing.start();
    issuing.enrol();
    let device = issuing.device(0);
    let ask = |key: &str| {
        let request = issuing.ask_as("anna@example.com", &device, "smime-windows", key);
        let opened = open(&device, &issuing.delivered(&request), &root.certificate);
        assert!(opened.certificate.contains("CN = anna"));
    };
    ask("first");
    let signed = handshakes(&issuing);
    assert!(signed > 0, "the certificate was not shown");
    assert_eq!((people.issued(), clients.issued()), (1, 1));
    running.stop();

    // Renewed by showing it, and the new one is shown from then on.
    let engine = issuing.site.stack.start_engine().unwrap();
    let first = serial(&certificate);
    let showing = shown(&issuing, &root, &certificate);
    let with_certificate = client(to_clients.url(), &root, None, showing);
    let renewed = block_on(with_certificate.reenroll(&request(&issuing)));
    keep(&workshop, renewed, &certificate);
    assert_ne!(serial(&certificate), first);
    assert_eq!(clients.issued(), 2);
    let renewing = handshakes(&issuing);
    assert!(renewing > signed);
    engine.stop().unwrap();
    let running = issuing.start();
    ask("second");
    assert!(handshakes(&issuing) > renewing);
    assert_eq!(people.issued(), 2);
    issuing.assert_strict();
    running.stop();
}
