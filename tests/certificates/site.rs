//! A stack that has certificates issued, and what a device and an MDM do with it.

use super::stack::{PATIENCE, Site, block_on, until, write_private};
use pfx_connector::cli::demo::{
    Device, DeviceKind, Running, Stack, StackOptions, TokenKind, temporary_folder, verify,
};
use pfx_connector::encoding::Base64Bytes;
use pfx_connector::engine::api::keys::{KeyType, KeyUsage};
use pfx_connector::engine::api::{CmsFormat, DeviceTarget};
use pfx_connector::gateway::api::{Delivery, RequestState, State};
use pfx_connector::gateway::pkcs_api::{
    AltNameKind, AltNameTemplate, CertificateType, PkcsProfile, PkcsProfileEntry, PkcsRequest,
    PkcsRequestAccepted, Variable,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// Where the certificate of the authority is, below the stack's folder.
const AUTHORITY: &str = "ca.pem";

/// A connector that does four requests at once, asks often and tries again soon.
const PACE: &str = r#"
concurrency = 4
wait_ms = 300
retry = { base_ms = 20, max_ms = 200, max_attempts = 50 }
"#;

const CONNECTOR: &str = r#"
[connector.pkcs]
policy = "issuance.toml"
[[connector.ca]]
name = "company"
kind = "local"
roots = "ca.pem"
pause_ms = 50
longest_pause_ms = 500
[[local_ca]]
name = "company"
engine_socket = "run/engine.sock"
certificate = "ca.pem"
folder = "ca"
profile = "smime"
"#;

const ENGINE: &str = r#"
[[engine.ca]]
name = "company"
signing_key = "issuing"
certificate = "ca.pem"
[[engine.ca.profiles]]
name = "smime"
purpose = "smime-signing"
domains = ["example.com"]
"#;

const POLICY: &str = r#"
version = 1
[[rule]]
name = "smime"
ca = ["company"]
profiles = ["smime-*"]
keys = ["ecP256", "rsa2048", "rsa3072"]
key_usage = ["digitalSignature"]
extended_key_usage = ["emailProtection"]
subject = { CN = ["*"] }
alt_names = { email = ["*@example.com"] }
max_validity_days = 400
"#;

/// The stack.
pub(crate) struct Issuing {
    pub site: Site,
}

/// Its processes.
pub(crate) struct Parts<'a> {
    stack: &'a Stack,
    engine: Running,
    gateway: Running,
    connector: Running,
}

impl Parts<'_> {
    pub(crate) fn kill_connector(&mut self) {
        self.connector.kill();
        self.connector = self.stack.start_connector(0).unwrap();
    }

    pub(crate) fn kill_engine(&mut self) {
        self.engine.kill();
        self.engine = self.stack.start_engine().unwrap();
    }

    pub(crate) fn stop(self) {
        self.connector.stop().unwrap();
        self.gateway.stop().unwrap();
        self.engine.stop().unwrap();
    }
}

impl Issuing {
    pub(crate) fn new() -> Self {
        Self::with(PACE, 2_000)
    }

    /// With these lines at the start of `[connector]`, and leases of so many milliseconds.
    pub(crate) fn with(pace: &str, lease_ms: u64) -> Self {
        let stack = Stack::prepare(StackOptions {
            program: PathBuf::from(env!("CARGO_BIN_EXE_pfx-connector")),
            folder: temporary_folder().unwrap(),
            token: TokenKind::Softhsm,
            module: None,
            module_environment: Vec::new(),
            key_bits: 2048,
            connectors: 1,
            lease_ms,
            connector_extra: format!("{pace}{CONNECTOR}"),
            engine_fips: "exceptions = [\"cms-ecdh-static\", \"oaep-unpadding-in-software\", \"pkcs12-kdf-mac-write\"]".to_owned(),
            engine_extra: "restart = { backoff_ms = 5, backoff_max_ms = 20, max_crashes_per_request = 100 }\nexceptions = [\"co-located-ca\"]\n[engine.issuance]".to_owned(),
        })
        .unwrap();
        let site = Site { stack };
        let stack = &site.stack;
        let created = Command::new(stack.program())
            .args([
                "ca",
                "create",
                "--kind",
                "p256",
                "--key-label",
                "issuing",
                "--subject",
                "CN=Company CA,O=Company",
            ])
            .arg("--config")
            .arg(stack.path("key.toml"))
            .arg("--out")
            .arg(stack.path(AUTHORITY))
            .envs(stack.token.environment())
            .output()
            .unwrap();
        assert!(created.status.success(), "{created:?}");
        let config = stack.path("engine.toml");
        let mut text = std::fs::read_to_string(&config).unwrap();
        text.push_str(ENGINE);
        write_private(&config, text.as_bytes());
        write_private(&stack.path("issuance.toml"), POLICY.as_bytes());
        Self { site }
    }

    pub(crate) fn start(&self) -> Parts<'_> {
        let stack = &self.site.stack;
        let engine = stack.start_engine().unwrap();
        let gateway = stack.start_gateway().unwrap();
        Parts {
            stack,
            engine,
            gateway,
            connector: stack.start_connector(0).unwrap(),
        }
    }

    /// Tokens for everybody, and a profile.
    pub(crate) fn enrol(&self) {
        self.site.stack.enrol().unwrap();
        self.profile("smime-windows", KeyType::EcP256);
    }

    /// A profile for certificates with such a key.
    pub(crate) fn profile(&self, name: &str, key: KeyType) {
        let entry = PkcsProfileEntry {
            name: name.to_owned(),
            profile: PkcsProfile {
                platform: "windows".to_owned(),
                certificate_type: CertificateType::User,
                ca: "company".to_owned(),
                ca_profile: None,
                key,
                subject: "CN={{UserName}}".to_owned(),
                alt_names: vec![AltNameTemplate {
                    kind: AltNameKind::Email,
                    value: "{{EmailAddress}}".to_owned(),
                }],
                key_usage: vec![KeyUsage::DigitalSignature],
                extended_key_usage: vec!["1.3.6.1.5.5.7.3.4".to_owned()],
                microsoft_template: None,
                security_identifier: None,
                validity_days: 400,
                renewal_percent: 20,
                format: CmsFormat::Modern,
            },
        };
        let _: PkcsProfileEntry = self.post("administrator", "admin/v1/pkcsProfiles", &entry);
    }

    pub(crate) fn device(&self, index: usize) -> Device {
        self.site
            .stack
            .pki
            .device(index, DeviceKind::Rsa(2048))
            .unwrap()
    }

    /// Asks for a certificate; gives the request's name.
    pub(crate) fn ask(&self, user: &str, device: &Device, platform: &str) -> String {
        let request = request(user, device, &format!("smime-{platform}"));
        let accepted: PkcsRequestAccepted = self.post("mdm", "mdm/v1/pkcsRequests", &request);
        accepted.request_id
    }

    /// The request's state once it is settled.
    pub(crate) fn settled(&self, request: &str) -> RequestState {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let state: RequestState = self.get("mdm", &format!("mdm/v1/requests/{request}"));
            if matches!(state.state, State::Completed | State::Failed) {
                return state;
            }
            assert!(
                Instant::now() < deadline,
                "{state:?}\n{}\n{:?}",
                self.site.log("connector-0"),
                self.site.operational()
            );
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
    }

    /// The device opens what it was given; what OpenSSL says of the certificate in it.
    pub(crate) fn open(&self, request: &str, device: &Device) -> String {
        let delivery: Delivery =
            self.post("mdm", &format!("mdm/v1/requests/{request}/collect"), &());
        verify(self.site.stack.folder(), device, &delivery).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| folder.path().join(name);
        let decrypt = |cms: &Base64Bytes, name: &str| {
            std::fs::write(file("cms"), cms.as_slice()).unwrap();
            openssl(&[
                "cms",
                "-decrypt",
                "-binary",
                "-inform",
                "DER",
                "-in",
                text(&file("cms")),
                "-recip",
                text(&device.certificate),
                "-inkey",
                text(&device.key),
                "-out",
                text(&file(name)),
            ]);
        };
        decrypt(&delivery.encrypted_pfx, "pfx");
        decrypt(&delivery.encrypted_password, "password");
        let password = format!("file:{}", file("password").display());
        let pem = openssl(&[
            "pkcs12",
            "-in",
            text(&file("pfx")),
            "-passin",
            &password,
            "-nokeys",
            "-clcerts",
        ]);
        std::fs::write(file("pem"), pem).unwrap();
        // The chain, to the authority that the test knows.
        openssl(&[
            "verify",
            "-CAfile",
            text(&self.site.stack.path(AUTHORITY)),
            text(&file("pem")),
        ]);
        String::from_utf8(openssl(&[
            "x509",
            "-in",
            text(&file("pem")),
            "-noout",
            "-text",
        ]))
        .unwrap()
    }

    /// How many certificates the authority has issued, by its own store.
    pub(crate) fn issued(&self) -> usize {
        let store = std::fs::read_dir(self.site.stack.path("ca"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .find(|path| path.extension().is_some_and(|kind| kind == "db"))
            .expect("the authority's store");
        let connection = rusqlite::Connection::open(store).unwrap();
        connection
            .query_row(
                "SELECT count(*) FROM orders WHERE certificate IS NOT NULL",
                [],
                |row| row.get::<_, i64>(0),
            )
            .map(|count| usize::try_from(count).unwrap())
            .unwrap()
    }

    /// No private key in clear: PKCS#8 of an EC key on P-256 begins like this, whatever the key is.
    pub(crate) fn assert_no_private_key_on_disk(&self) {
        const HEAD: [u8; 26] = [
            0x02, 0x01, 0x00, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01,
            0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x04, 0x6d,
        ];
        let folder = self.site.stack.folder();
        for name in ["run", "gateway", "logs", "ca", "audit"] {
            for entry in std::fs::read_dir(folder.join(name)).unwrap() {
                let path = entry.unwrap().path();
                if !path.is_file() {
                    continue;
                }
                let bytes = std::fs::read(&path).unwrap();
                assert!(
                    !bytes.windows(HEAD.len()).any(|window| window == HEAD),
                    "{}",
                    path.display()
                );
            }
        }
    }

    fn client(&self, role: &str) -> (reqwest::Client, String) {
        let stack = &self.site.stack;
        let tls = pfx_connector::tls::client_config(&stack.pki.tls_ca(), None).unwrap();
        let token = std::fs::read_to_string(stack.path(&format!("import/{role}.token"))).unwrap();
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .no_proxy()
            .build()
            .unwrap();
        (client, token.trim().to_owned())
    }

    fn send<T: DeserializeOwned>(
        &self,
        role: &str,
        build: impl Fn(&reqwest::Client, &str) -> reqwest::RequestBuilder,
    ) -> T {
        let (client, token) = self.client(role);
        let base = self.site.stack.gateway_url().unwrap();
        let mut answer = None;
        until("the gateway does not answer", || {
            let asked = build(&client, &base).bearer_auth(&token);
            let response = block_on(async {
                let response = asked.send().await.ok()?;
                let status = response.status();
                Some((status, response.bytes().await.ok()?))
            });
            // A connector that has not said yet that it takes such requests.
            answer = response.filter(|(status, _)| status.as_u16() != 409);
            answer.is_some()
        });
        let (status, body) = answer.unwrap();
        assert!(
            status.is_success(),
            "{status}: {}",
            String::from_utf8_lossy(&body)
        );
        serde_json::from_slice(&body).unwrap()
    }

    fn post<T: DeserializeOwned>(&self, role: &str, path: &str, body: &impl Serialize) -> T {
        self.send(role, |client, base| {
            client.post(format!("{base}/{path}")).json(body)
        })
    }

    fn get<T: DeserializeOwned>(&self, role: &str, path: &str) -> T {
        self.send(role, |client, base| client.get(format!("{base}/{path}")))
    }
}

/// A user's request for a certificate of a profile, for a device: each user and device has one.
pub(crate) fn request(user: &str, device: &Device, profile: &str) -> PkcsRequest {
    let variable = |name: &str, value: &str| Variable {
        name: name.to_owned(),
        value: value.to_owned(),
    };
    PkcsRequest {
        profile: profile.to_owned(),
        user_principal_name: user.to_owned(),
        device_id: device.id.clone(),
        device: DeviceTarget {
            certificate: Base64Bytes(device.certificate_der.clone()),
            intermediates: Vec::new(),
        },
        variables: vec![
            variable("UserName", user.split('@').next().unwrap()),
            variable("EmailAddress", user),
        ],
        idempotency_key: Some(format!("{user}/{}", device.id)),
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn openssl(arguments: &[&str]) -> Vec<u8> {
    let output = Command::new("openssl")
        .args(arguments)
        .output()
        .expect("openssl (scripts/bootstrap.sh)");
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    output.stdout
}
