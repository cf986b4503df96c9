//! A gateway that issues connectors' certificates by an authority on the engine's token, and a connector whose key is there too.

use super::stack::{Site, block_on, until, write_private};
use pfx_connector::cli::demo::{Running, Stack, StackOptions, TokenKind, temporary_folder};
use pfx_connector::engine::api::{SignClientCsrRequest, SignedClientCsr};
use pfx_connector::engine::client::EngineClient;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

/// Longer than anything takes on a busy machine.
const LIMIT: Duration = Duration::from_secs(90);

pub(crate) const INSTANCE: &str = "connector-0";

const ENGINE: &str = r#"
[[engine.ca]]
name = "connectors"
signing_key = "issuing"
certificate = "ca.pem"
[[engine.ca.profiles]]
name = "connector"
purpose = "client-authentication"
days = 90
subject = ["common-name"]
[[engine.client_keys]]
name = "gateway"
signing_key = "connector-tls"
common_name = "connector-0"
[[engine.client_keys]]
name = "other"
signing_key = "other-tls"
common_name = "connector-0"
"#;

const ENROLMENT: &str = r#"
[gateway.enrolment]
max_days = 100
[gateway.enrolment.ca]
name = "connectors"
"#;

/// The authority on the engine's token.
const LOCAL: &str = r#"
kind = "local"
roots = "ca.pem"
[[local_ca]]
name = "connectors"
engine_socket = "run/engine.sock"
certificate = "ca.pem"
folder = "ca"
profile = "connector"
"#;

const CONNECTOR: &str =
    "concurrency = 4\nwait_ms = 300\nretry = { base_ms = 20, max_ms = 200, max_attempts = 50 }\n";

/// The stack, its engine and gateway running.
pub(crate) struct Enrolling {
    pub site: Site,
    pub engine: Option<Running>,
    pub gateway: Option<Running>,
}

impl Enrolling {
    pub(crate) fn new() -> Self {
        let stack = Stack::prepare(StackOptions {
            program: PathBuf::from(env!("CARGO_BIN_EXE_pfx-connector")),
            folder: temporary_folder().unwrap(),
            token: TokenKind::Softhsm,
            module: None,
            module_environment: Vec::new(),
            key_bits: 2048,
            connectors: 1,
            lease_ms: 3_000,
            connector_extra: CONNECTOR.to_owned(),
            // Strict FIPS mode without any exception.
            engine_fips: String::new(),
            engine_extra:
                "restart = { backoff_ms = 5, backoff_max_ms = 20, max_crashes_per_request = 100 }\nexceptions = [\"co-located-ca\"]"
                    .to_owned(),
        })
        .unwrap();
        let site = Site { stack };
        let enrolling = Self {
            site,
            engine: None,
            gateway: None,
        };
        enrolling.on_token(&[
            "ca",
            "create",
            "--kind",
            "p256",
            "--key-label",
            "issuing",
            "--subject",
            "CN=Connectors",
            "--out",
            &enrolling.text("ca.pem"),
        ]);
        for label in ["connector-tls", "other-tls"] {
            enrolling.on_token(&[
                "key",
                "generate-signing",
                "--kind",
                "p256",
                "--key-label",
                label,
            ]);
        }
        let config = enrolling.path("engine.toml");
        let engine = std::fs::read_to_string(&config).unwrap() + ENGINE;
        write_private(&config, engine.as_bytes());
        let root = std::fs::read(enrolling.path("ca.pem")).unwrap();
        enrolling.trust(&root);
        enrolling
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.site.stack.path(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    fn on_token(&self, arguments: &[&str]) {
        let stack = &self.site.stack;
        let done = Command::new(stack.program())
            .args(arguments)
            .arg("--config")
            .arg(stack.path("key.toml"))
            .envs(stack.token.environment())
            .output()
            .unwrap();
        assert!(done.status.success(), "{done:?}");
    }

    /// A further authority (PEM) whose certificates the gateway accepts of connectors.
    pub(crate) fn trust(&self, pem: &[u8]) {
        let file = self.site.stack.pki.tls_ca();
        let mut all = std::fs::read(&file).unwrap();
        all.extend_from_slice(pem);
        std::fs::write(file, all).unwrap();
    }

    pub(crate) fn start(&mut self) {
        self.start_with(LOCAL);
    }

    /// With this authority of the gateway: lines of `[gateway.enrolment.ca]` without its name.
    pub(crate) fn start_with(&mut self, authority: &str) {
        self.engine = Some(self.site.stack.start_engine().unwrap());
        // Once without, so that its port is known and its configuration is there.
        self.site.stack.start_gateway().unwrap().stop().unwrap();
        let config = self.path("gateway.toml");
        let listen = self.site.stack.gateway_url().unwrap();
        let listen = listen.strip_prefix("https://").unwrap();
        let gateway = std::fs::read_to_string(&config)
            .unwrap()
            .replace("127.0.0.1:0", listen)
            + ENROLMENT
            + authority;
        write_private(&config, gateway.as_bytes());
        self.start_gateway();
        self.site.stack.enrol().unwrap();
        self.site.stack.write_connector_config(0).unwrap();
        self.use_key("gateway");
    }

    pub(crate) fn start_gateway(&mut self) {
        let ready = self.path("run/gateway.ready");
        let _ = std::fs::remove_file(&ready);
        let mut gateway = Running::start(
            "gateway",
            self.site.stack.program(),
            &["gateway", "--config", &self.text("gateway.toml")],
            &self.path("logs/gateway.log"),
        )
        .unwrap();
        gateway.wait_until(LIMIT, || ready.exists()).unwrap();
        self.gateway = Some(gateway);
    }

    /// The connector enrols and renews with this key.
    pub(crate) fn use_key(&self, key: &str) {
        let config = self.config();
        let text = std::fs::read_to_string(&config).unwrap();
        let plain: Vec<&str> = text
            .lines()
            .filter(|line| !line.starts_with("certificate =") && !line.starts_with("private_key ="))
            .take_while(|line| *line != "[connector.identity]")
            .collect();
        let text = format!(
            "{}\n[connector.identity]\nclient_key = \"{key}\"\nfolder = \"identity\"\n",
            plain.join("\n")
        );
        write_private(&config, text.as_bytes());
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.site.stack.connector_config(0)
    }

    pub(crate) fn certificate(&self) -> PathBuf {
        self.path("identity/certificate.pem")
    }

    pub(crate) fn token(&self, instance: &str, name: &str) -> PathBuf {
        let out = self.path(&format!("import/{name}.token"));
        let done = Command::new(self.site.stack.program())
            .args(["gateway", "token", "create", "--role", "enrolment"])
            .args(["--instance", instance, "--hours", "2", "--out"])
            .arg(&out)
            .arg("--config")
            .arg(self.path("gateway.toml"))
            .output()
            .unwrap();
        assert!(done.status.success(), "{done:?}");
        out
    }

    pub(crate) fn enroll(&self, token: &Path) -> Output {
        Command::new(self.site.stack.program())
            .args(["enroll", "--json", "--config"])
            .arg(self.config())
            .arg("--token-file")
            .arg(token)
            .output()
            .unwrap()
    }

    pub(crate) fn kill_gateway(&mut self) {
        self.gateway.take().unwrap().kill();
        self.start_gateway();
    }

    /// What the gateway's database holds.
    pub(crate) fn database(&self) -> rusqlite::Connection {
        let database = rusqlite::Connection::open(self.path("gateway/gateway.db")).unwrap();
        database.busy_timeout(Duration::from_secs(10)).unwrap();
        database
    }

    /// All orders were begun, and ended, an hour before.
    pub(crate) fn an_hour_passes(&self) {
        self.database()
            .execute_batch(
                "UPDATE enrolments SET begun_ms = begun_ms - 3600001, refused_ms = refused_ms - 3600001",
            )
            .unwrap();
    }

    /// The connector's process, not waited for.
    pub(crate) fn spawn_connector(&self) -> Running {
        Running::start(
            INSTANCE,
            self.site.stack.program(),
            &["run", "--config", &self.config().display().to_string()],
            &self.path("logs/connector-0.log"),
        )
        .unwrap()
    }

    /// How many certificates the authority has issued, by its own store.
    pub(crate) fn issued(&self) -> i64 {
        let store = std::fs::read_dir(self.path("ca"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .find(|path| path.extension().is_some_and(|kind| kind == "db"))
            .expect("the authority's store");
        rusqlite::Connection::open(store)
            .unwrap()
            .query_row(
                "SELECT count(*) FROM orders WHERE certificate IS NOT NULL",
                [],
                |row| row.get(0),
            )
            .unwrap()
    }

    /// The only request that the gateway has taken (PKCS#10, DER).
    pub(crate) fn order_at_the_gateway(&self) -> Vec<u8> {
        self.database()
            .query_row("SELECT csr FROM enrolments", [], |row| row.get(0))
            .unwrap()
    }

    /// The gateway knows of its order, and not what came of it.
    pub(crate) fn forget_at_the_gateway(&self) {
        self.database()
            .execute_batch(
                "UPDATE enrolments SET certificate = NULL, chain = NULL; DELETE FROM connector_certificates; DELETE FROM connectors;",
            )
            .unwrap();
    }

    /// Whether the connector says of itself that it is not healthy for this reason.
    pub(crate) fn unhealthy_for(&self, code: &str) -> bool {
        let status = Command::new(self.site.stack.program())
            .args(["status", "--json", "--config"])
            .arg(self.config())
            .output()
            .unwrap();
        let status: Value = serde_json::from_slice(&status.stdout).unwrap();
        let reasons = &status["health"]["reasons"];
        let reasons = reasons.as_array().unwrap_or_else(|| panic!("{status}"));
        reasons.iter().any(|reason| reason["code"] == code)
    }

    pub(crate) fn request_of(&self, key: &str) -> SignedClientCsr {
        let socket = self.path("run/engine.sock");
        let request = SignClientCsrRequest {
            request_id: "test".to_owned(),
            key: key.to_owned(),
        };
        let mut signed = None;
        until("the engine does not sign", || {
            signed = block_on(async {
                let client = EngineClient::connect(&socket).await.ok()?;
                client.sign_client_csr(request.clone(), LIMIT).await.ok()
            });
            signed.is_some()
        });
        signed.unwrap()
    }
}

pub(crate) fn json(output: &Output) -> Value {
    let text = if output.status.success() {
        &output.stdout
    } else {
        &output.stderr
    };
    serde_json::from_slice(text).unwrap_or_else(|_| panic!("{output:?}"))
}
