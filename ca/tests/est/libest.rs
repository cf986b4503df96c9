//! Against estserver, the server of libest: software that we did not write. scripts/estserver.sh builds it.

use super::*;
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

/// An estserver with an authority of its own, in a folder of its own; gone when dropped.
struct EstServer {
    child: Child,
    port: u16,
}

impl EstServer {
    /// Starts one that issues with `root` and takes TLS certificates of `root`'s.
    fn start(bench: &Bench, root: &Authority<'_>, options: &[&str]) -> Self {
        let program =
            PathBuf::from(env!("CARGO_TARGET_TMPDIR")).with_file_name("tools/estserver/estserver");
        assert!(
            program.is_file(),
            "this test needs libest's estserver: `make bootstrap` (scripts/estserver.sh) makes it as {}",
            program.display()
        );
        let home = bench.workshop.fresh(".est");
        std::fs::create_dir_all(home.join("new")).unwrap();
        std::fs::write(home.join("index"), "").unwrap();
        std::fs::write(home.join("serial"), "1000\n").unwrap();
        let config = home.join("ca.cnf");
        std::fs::write(
            &config,
            format!(
                "[ca]\ndefault_ca = CA_default\n[CA_default]\ndatabase = {home}/index\nnew_certs_dir = {home}/new\nserial = {home}/serial\n\
                 certificate = {certificate}\nprivate_key = {key}\ndefault_days = 30\ndefault_md = sha256\npolicy = policy_any\n\
                 unique_subject = no\nx509_extensions = client_cert\n[policy_any]\ncommonName = supplied\n[client_cert]\n\
                 basicConstraints = CA:FALSE\nkeyUsage = digitalSignature\n",
                home = home.display(),
                certificate = root.certificate.display(),
                key = root.key.display(),
            ),
        )
        .unwrap();
        let own = server_certificate(root);
        // It takes a number and no other port: one that was free a moment ago may not be so any more.
        for _ in 0..8 {
            let port = TcpListener::bind("127.0.0.1:0")
                .unwrap()
                .local_addr()
                .unwrap()
                .port();
            let child = Command::new(&program)
                .args([
                    "-c",
                    text(&own.certificate),
                    "-k",
                    text(&own.key),
                    "-r",
                    "estrealm",
                ])
                .args(["-p", &port.to_string()])
                .args(options)
                .current_dir(&home)
                .env("EST_TRUSTED_CERTS", &root.certificate)
                .env("EST_CACERTS_RESP", &root.certificate)
                .env("EST_OPENSSL_CACONFIG", &config)
                // challengePassword, and a key on P-384.
                .env(
                    "EST_CSR_ATTR",
                    "MB8GCSqGSIb3DQEJBzASBgcqhkjOPQIBMQcGBSuBBAAi",
                )
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let mut server = Self { child, port };
            if server.is_up() {
                return server;
            }
        }
        panic!("estserver does not come up");
    }

    fn is_up(&mut self) -> bool {
        let start = Instant::now();
        while start.elapsed() < DEADLINE && self.child.try_wait().unwrap().is_none() {
            if TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                return true;
            }
            std::thread::yield_now();
        }
        false
    }

    fn settings(&self, root: &Authority<'_>, password: Option<&str>) -> EstSettings {
        EstSettings {
            name: "libest".to_owned(),
            server: format!("https://127.0.0.1:{}", self.port),
            label: None,
            login: password.map(|password| Login {
                user: "estuser".to_owned(),
                password: Password::from_slice(password.as_bytes()),
            }),
            anchors: vec![root.der()],
            deadline: DEADLINE,
            credential_expires: None,
        }
    }
}

impl Drop for EstServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn libest_enrolls_a_user_with_the_right_password_alone() {
    let bench = Bench::new();
    let root = bench.root();
    let server = EstServer::start(&bench, &root, &[]);
    let wanted = order(request(&bench.workshop, "jo"));
    let with = |password| {
        Est::new(
            server.settings(&root, password),
            http(&root.certificate, None),
        )
        .unwrap()
    };
    run(async {
        let est = with(Some("estpwd"));
        assert_eq!(est.chain().await.unwrap(), [root.der()]);
        let found = issued(est.enroll(&wanted).await);
        assert_eq!(
            public_key("x509", &found.certificate_der),
            public_key("req", &wanted.csr_der)
        );
        verifies(&root.certificate, &found.certificate_der);
        assert_eq!(
            class(with(Some("wrong")).enroll(&wanted).await),
            ErrorClass::Credential
        );
        assert_eq!(
            class(with(None).enroll(&wanted).await),
            ErrorClass::Credential
        );
    });
}

#[test]
fn libest_says_what_it_wants_in_requests_and_that_it_has_no_such_label() {
    let bench = Bench::new();
    let root = bench.root();
    let server = EstServer::start(&bench, &root, &[]);
    let est = Est::new(
        server.settings(&root, Some("estpwd")),
        http(&root.certificate, None),
    )
    .unwrap();
    run(async {
        let wanted = est.csr_attributes(None).await.unwrap();
        assert!(wanted.wants_challenge_password(), "{wanted:?}");
        assert!(matches!(
            wanted.key(),
            Some(pki::csr_attributes::WantedKey::Ec { curve: Some(_) })
        ));
        let mut order = order(request(&bench.workshop, "jo"));
        order.profile = Some("label".to_owned());
        // This build of it knows no labels.
        assert_eq!(class(est.enroll(&order).await), ErrorClass::Unsupported);
    });
}

#[test]
fn libest_makes_an_order_wait_and_issues_when_it_is_asked_again() {
    let bench = Bench::new();
    let root = bench.root();
    let server = EstServer::start(&bench, &root, &["-m", "90"]);
    let est = Est::new(
        server.settings(&root, Some("estpwd")),
        http(&root.certificate, None),
    )
    .unwrap();
    let order = order(request(&bench.workshop, "jo"));
    run(async {
        let Enrolment::Pending(pending) = est.enroll(&order).await.unwrap() else {
            panic!("issued at once");
        };
        assert_eq!(pending.ask_again_in, Duration::from_secs(90));
        let found = issued(est.poll(&order, &pending).await);
        assert_eq!(
            public_key("x509", &found.certificate_der),
            public_key("req", &order.csr_der)
        );
    });
}

#[test]
fn libest_renews_for_whoever_shows_the_certificate() {
    let bench = Bench::new();
    let root = bench.root();
    let server = EstServer::start(&bench, &root, &["-o"]);
    let own = root.device("connector", KeyAlgorithm::P256);
    let order = order(request(&bench.workshop, "connector"));
    let est = Est::new(
        server.settings(&root, None),
        http(&root.certificate, Some(&own)),
    )
    .unwrap();
    let found = issued(run(est.reenroll(&order)));
    verifies(&root.certificate, &found.certificate_der);
    // One of another authority is none.
    let stranger = bench.workshop.authority("Stranger", KeyAlgorithm::P256);
    let false_one = stranger.device("connector", KeyAlgorithm::P256);
    let est = Est::new(
        server.settings(&root, None),
        http(&root.certificate, Some(&false_one)),
    )
    .unwrap();
    assert_eq!(class(run(est.reenroll(&order))), ErrorClass::Credential);
}

#[test]
fn libest_refuses_a_request_with_a_broken_signature() {
    let bench = Bench::new();
    let root = bench.root();
    let server = EstServer::start(&bench, &root, &[]);
    let est = Est::new(
        server.settings(&root, Some("estpwd")),
        http(&root.certificate, None),
    )
    .unwrap();
    let mut order = order(request(&bench.workshop, "jo"));
    let last = order.csr_der.len() - 1;
    order.csr_der[last] ^= 1;
    assert_eq!(class(run(est.enroll(&order))), ErrorClass::Rejected);
}
