//! A stack that has certificates issued, and what an MDM does with it.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

use super::stack::{PATIENCE, Site, block_on, until, write_private};
use pfx_connector::cli::demo::{
    Device, DeviceKind, Running, Stack, StackOptions, TokenKind, temporary_folder,
};
use pfx_connector::encoding::Base64Bytes;
use pfx_connector::engine::api::keys::{KeyType, KeyUsage};
use pfx_connector::engine::api::{CmsFormat, Delivery as DeliveryKind, DeviceTarget};
use pfx_connector::gateway::api::{Delivery, RequestState, State};
use pfx_connector::gateway::pkcs_api::{
    AltNameKind, AltNameTemplate, CertificateType, PkcsProfile, PkcsProfileEntry, PkcsRequest,
    PkcsRequestAccepted, Variable,
};
use pfx_connector::telemetry::Event;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

/// Where the certificate of the local authority is, below the stack's folder.
const AUTHORITY: &str = "ca.pem";

/// Exceptions of FIPS mode for devices with EC keys and for OpenSSL 3.0, which reads no PBMAC1.
const USUAL_FIPS: &str =
    "exceptions = [\"cms-ecdh-static\", \"oaep-unpadding-in-software\", \"pkcs12-kdf-mac-write\"]";

const CONNECTOR: &str = r#"
concurrency = 4
wait_ms = 300
retry = { base_ms = 20, max_ms = 200, max_attempts = 50 }
[connector.pkcs]
policy = "issuance.toml"
"#;

const LOCAL: &str = r#"
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
ca = ["company", "partner"]
profiles = ["smime-*"]
keys = ["ecP256", "rsa2048", "rsa3072"]
key_usage = ["digitalSignature"]
extended_key_usage = ["emailProtection"]
subject = { CN = ["*"] }
alt_names = { email = ["*@example.com"] }
max_validity_days = 400
"#;

/// What a stack is set up with.
pub(crate) struct Setup {
    pub(crate) connectors: usize,
    /// Whether there is an authority on the engine's token, `company`.
    pub(crate) local: bool,
    /// `[[connector.ca]]` of others.
    pub(crate) authorities: String,
    /// Lines of the engine's `[fips]`.
    pub(crate) fips: &'static str,
    /// Further lines of its `[engine]`.
    pub(crate) engine: String,
    /// Further lines of the connector's configuration, after those of its authorities.
    pub(crate) connector: String,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            connectors: 1,
            local: true,
            authorities: String::new(),
            fips: USUAL_FIPS,
            engine: String::new(),
            connector: String::new(),
        }
    }
}

impl Setup {
    /// Strict FIPS mode without any exception, with this authority (lines of `[[connector.ca]]`) and no local one.
    pub(crate) fn strict(authorities: String) -> Self {
        Self {
            local: false,
            authorities,
            fips: "",
            ..Self::default()
        }
    }
}

/// The stack.
pub(crate) struct Issuing {
    pub(crate) site: Site,
    connectors: usize,
}

/// Its processes.
pub(crate) struct Parts<'a> {
    stack: &'a Stack,
    engine: Running,
    gateway: Running,
    connectors: Vec<Running>,
}

impl Parts<'_> {
    /// The first connector.
    pub(crate) fn kill_connector(&mut self) {
        self.kill_connector_at(0);
    }

    pub(crate) fn kill_connector_at(&mut self, index: usize) {
        self.connectors[index].kill();
        self.connectors[index] = self.stack.start_connector(index).unwrap();
    }

    /// Does something while the first connector, killed for that, is not there.
    pub(crate) fn without_connector(&mut self, meanwhile: impl FnOnce()) {
        self.connectors[0].kill();
        meanwhile();
        self.connectors[0] = self.stack.start_connector(0).unwrap();
    }

    pub(crate) fn kill_engine(&mut self) {
        self.engine.kill();
        self.engine = self.stack.start_engine().unwrap();
    }

    pub(crate) fn kill_gateway(&mut self) {
        self.gateway.kill();
        self.gateway = self.stack.start_gateway().unwrap();
    }

    pub(crate) fn stop(self) {
        for connector in self.connectors {
            connector.stop().unwrap();
        }
        self.gateway.stop().unwrap();
        self.engine.stop().unwrap();
    }
}

impl Issuing {
    /// One connector, and an authority on the engine's token.
    pub(crate) fn new() -> Self {
        Self::with(Setup::default())
    }

    pub(crate) fn with(setup: Setup) -> Self {
        fips::start(fips::policy::Policy::STRICT).unwrap();
        let (local, acknowledged) = match setup.local {
            true => (LOCAL, "exceptions = [\"co-located-ca\"]\n"),
            false => ("", ""),
        };
        let stack = Stack::prepare(StackOptions {
            program: PathBuf::from(env!("CARGO_BIN_EXE_pfx-connector")),
            folder: temporary_folder().unwrap(),
            token: TokenKind::Softhsm,
            module: None,
            module_environment: Vec::new(),
            key_bits: 2048,
            connectors: setup.connectors,
            lease_ms: 2_000,
            connector_extra: format!("{CONNECTOR}{local}{}{}", setup.authorities, setup.connector),
            engine_fips: setup.fips.to_owned(),
            engine_extra: format!(
                "restart = {{ backoff_ms = 5, backoff_max_ms = 20, max_crashes_per_request = 100 }}\n{acknowledged}{}\n[engine.issuance]",
                setup.engine
            ),
        })
        .unwrap();
        let issuing = Self {
            site: Site { stack },
            connectors: setup.connectors,
        };
        if setup.local {
            issuing.make_authority();
        }
        let policy = issuing.site.stack.path("issuance.toml");
        write_private(&policy, POLICY.as_bytes());
        issuing
    }

    fn make_authority(&self) {
        let stack = &self.site.stack;
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
            .arg(self.local_root())
            .envs(stack.token.environment())
            .output()
            .unwrap();
        assert!(created.status.success(), "{created:?}");
        let config = stack.path("engine.toml");
        let mut text = std::fs::read_to_string(&config).unwrap();
        text.push_str(ENGINE);
        write_private(&config, text.as_bytes());
    }

    /// The local authority's certificate (PEM).
    pub(crate) fn local_root(&self) -> PathBuf {
        self.site.stack.path(AUTHORITY)
    }

    pub(crate) fn start(&self) -> Parts<'_> {
        let stack = &self.site.stack;
        let engine = stack.start_engine().unwrap();
        let gateway = stack.start_gateway().unwrap();
        let connectors = (0..self.connectors)
            .map(|index| stack.start_connector(index).unwrap())
            .collect();
        Parts {
            stack,
            engine,
            gateway,
            connectors,
        }
    }

    /// The same where the first connector has these lines of `[[connector.ca]]` in the place of the local authority's.
    pub(crate) fn start_with_others(&self, authorities: &str) -> Parts<'_> {
        let stack = &self.site.stack;
        let engine = stack.start_engine().unwrap();
        let gateway = stack.start_gateway().unwrap();
        stack.write_connector_config(0).unwrap();
        let config = stack.connector_config(0);
        let text = std::fs::read_to_string(&config).unwrap();
        assert!(text.contains(LOCAL));
        write_private(&config, text.replace(LOCAL, authorities).as_bytes());
        let first = Running::start(
            "connector-0",
            stack.program(),
            &["run", "--config", config.to_str().unwrap()],
            &stack.path("logs/connector-0.log"),
        );
        let others = (1..self.connectors).map(|index| stack.start_connector(index).unwrap());
        Parts {
            stack,
            engine,
            gateway,
            connectors: std::iter::once(first.unwrap()).chain(others).collect(),
        }
    }

    /// Tokens for everybody, and the profile `smime-windows`.
    pub(crate) fn enrol(&self) {
        self.site.stack.enrol().unwrap();
        self.add_profile("smime-windows", |_| {});
    }

    /// Another profile: that of Windows and the authority `company`, changed.
    pub(crate) fn add_profile(&self, name: &str, change: impl FnOnce(&mut PkcsProfile)) {
        let mut profile = profile();
        change(&mut profile);
        let entry = PkcsProfileEntry {
            name: name.to_owned(),
            profile,
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

    /// Asks for a certificate by the profile `smime-PLATFORM`; gives the request's name. The same question again is the same request.
    pub(crate) fn ask(&self, user: &str, device: &Device, platform: &str) -> String {
        self.ask_as(user, device, &format!("smime-{platform}"), "")
    }

    /// The same by any profile; another `key` makes another request of it.
    pub(crate) fn ask_as(&self, user: &str, device: &Device, profile: &str, key: &str) -> String {
        let request = PkcsRequest {
            idempotency_key: Some(format!("{user}/{}/{profile}/{key}", device.id)),
            ..request(user, device, profile)
        };
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
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// What the device collects of a request that has to have worked.
    pub(crate) fn delivered(&self, request: &str) -> Delivery {
        let state = self.settled(request);
        assert_eq!(
            (state.state, state.completions),
            (State::Completed, 1),
            "{state:?} {:?}",
            self.site.operational()
        );
        self.post("mdm", &format!("mdm/v1/requests/{request}/collect"), &())
    }

    /// Code and words of the final failure of a request.
    pub(crate) fn failure(&self, request: &str) -> (String, String) {
        let state = self.settled(request);
        let failure = state
            .failure
            .unwrap_or_else(|| panic!("{:?}: {:?}", state.state, self.site.operational()));
        (failure.code, failure.message)
    }

    /// How many certificates the local authority has issued, by its own store.
    pub(crate) fn issued(&self) -> usize {
        let store = self.site.stack.path("ca/ca.db");
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

    /// The events of this number in a log (`admin`, `operational`) of any connector.
    pub(crate) fn events(&self, log: &str, id: u16) -> Vec<Event> {
        let all = self.log(log).into_iter();
        all.filter(|event| event.id == id).collect()
    }

    /// The events of both logs of any connector.
    pub(crate) fn all_events(&self) -> Vec<Event> {
        ["admin", "operational"]
            .into_iter()
            .flat_map(|log| self.log(log))
            .collect()
    }

    fn log(&self, log: &str) -> Vec<Event> {
        (0..self.connectors)
            .flat_map(|index| {
                let path = self.site.stack.event_log(index).join(format!("{log}.log"));
                let text = std::fs::read_to_string(path).unwrap_or_default();
                // The last line may just be being written.
                let complete = text.rfind('\n').map_or("", |end| &text[..end]);
                complete
                    .lines()
                    .map(|line| serde_json::from_str(line).unwrap())
                    .collect::<Vec<Event>>()
            })
            .collect()
    }

    /// The engine's FIPS mode is strict, without any exception in force, and it has done something.
    pub(crate) fn assert_strict(&self) {
        let status = self.site.engine_status();
        assert!(!status.fips.is_empty());
        for process in &status.fips {
            assert_eq!(process.mode, "strict", "{process:?}");
            assert!(process.exceptions.is_empty(), "{process:?}");
            assert_eq!(process.not_approved, 0, "{process:?}");
        }
    }

    /// Lets requests name these profiles or templates of the authority.
    pub(crate) fn allow_ca_profiles(&self, names: &[&str]) {
        let policy = format!("{POLICY}ca_profiles = {names:?}\n");
        write_private(&self.site.stack.path("issuance.toml"), policy.as_bytes());
    }

    /// An event of this number about this request, once it is there, as JSON.
    pub(crate) fn event_of(&self, log: &str, id: u16, request: &str) -> String {
        let mut found = None;
        until(&format!("no event {id} of {request}"), || {
            found = self
                .events(log, id)
                .into_iter()
                .find(|event| event.request_id.as_deref() == Some(request));
            found.is_some()
        });
        serde_json::to_string(&found.unwrap()).unwrap()
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

    /// Sends until there is an answer; its status and body.
    fn exchange(
        &self,
        role: &str,
        build: impl Fn(&reqwest::Client, &str) -> reqwest::RequestBuilder,
    ) -> (u16, Vec<u8>) {
        let (client, token) = self.client(role);
        let base = self.site.stack.gateway_url().unwrap();
        let mut answer = None;
        until("the gateway does not answer", || {
            let asked = build(&client, &base).bearer_auth(&token);
            let response = block_on(async {
                let response = asked.send().await.ok()?;
                let status = response.status().as_u16();
                Some((status, response.bytes().await.ok()?.to_vec()))
            });
            // A connector that has not said yet that it takes such requests.
            answer = response.filter(|(status, _)| *status != 409);
            answer.is_some()
        });
        answer.unwrap()
    }

    pub(crate) fn post<T: DeserializeOwned>(
        &self,
        role: &str,
        path: &str,
        body: &impl Serialize,
    ) -> T {
        good(self.exchange(role, |client, base| {
            client.post(format!("{base}/{path}")).json(body)
        }))
    }

    pub(crate) fn get<T: DeserializeOwned>(&self, role: &str, path: &str) -> T {
        good(self.exchange(role, |client, base| client.get(format!("{base}/{path}"))))
    }

    /// What the gateway says to a profile that it does not take.
    pub(crate) fn refused_profile(&self, change: impl FnOnce(&mut PkcsProfile)) -> String {
        let mut profile = profile();
        change(&mut profile);
        let entry = PkcsProfileEntry {
            name: "refused".to_owned(),
            profile,
        };
        let (status, body) = self.exchange("administrator", |client, base| {
            client
                .post(format!("{base}/admin/v1/pkcsProfiles"))
                .json(&entry)
        });
        assert_eq!(status, 400, "{}", String::from_utf8_lossy(&body));
        String::from_utf8(body).unwrap()
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

fn good<T: DeserializeOwned>((status, body): (u16, Vec<u8>)) -> T {
    assert!(
        (200..300).contains(&status),
        "{status}: {}",
        String::from_utf8_lossy(&body)
    );
    serde_json::from_slice(&body).unwrap()
}

fn profile() -> PkcsProfile {
    PkcsProfile {
        platform: "windows".to_owned(),
        certificate_type: CertificateType::User,
        ca: "company".to_owned(),
        ca_profile: None,
        key: KeyType::EcP256,
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
        delivery: DeliveryKind::Rewrap,
    }
}
