//! Gateway, connector, engine and token as the demo sets them up, with what tests need to look at and to disturb them.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

use fips::secret::BearerToken;
use fips::sign::SigningKey;
use hsm::Padding;
use pfx_connector::cli::demo::{
    Deliveries, DeviceKind, Person, Plan, Stack, StackOptions, TokenKind, admin_events,
    temporary_folder,
};
use pfx_connector::clock::SystemClock;
use pfx_connector::encoding::Base64Bytes;
use pfx_connector::engine::api::EngineStatus;
use pfx_connector::engine::client::EngineClient;
use pfx_connector::engine::recrypt::importers::sign;
use pfx_connector::gateway::api::{IntendedPurpose, UserPfxCertificate};
use pfx_connector::intune::{RetryBudget, UserPfxClient};
use pfx_connector::record::Record;
use pfx_connector::telemetry::Event;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Longer than anything takes on a busy machine: reaching it is a failure.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// A stack in a temporary folder; the folder is gone when it is dropped, unless the test failed.
pub struct Site {
    pub stack: Stack,
}

impl Site {
    /// One connector that does four requests at once and tries again soon.
    pub fn new() -> Self {
        Self::with("")
    }

    /// The same with further lines of `[connector]`. Every form of a result may be asked for.
    pub fn with(connector: &str) -> Self {
        Self::with_fips(connector, Self::EVERY_FORM)
    }

    /// Lines of the engine's `[fips]` under which every form of a result may be asked for.
    pub const EVERY_FORM: &str = "exceptions = [\"cms-ecdh-static\", \"cms-rsa-pkcs1v15\", \"oaep-unpadding-in-software\", \"triple-des-encryption\"]";

    /// The same with these lines of the engine's `[fips]`.
    pub fn with_fips(connector: &str, fips: &str) -> Self {
        Self::prepare(connector, fips, "")
    }

    /// The same with these lines of the engine's `[fips]` and further ones of its `[engine]`.
    pub fn with_engine(fips: &str, engine: &str) -> Self {
        Self::prepare("", fips, engine)
    }

    fn prepare(connector: &str, fips: &str, engine: &str) -> Self {
        let stack = Stack::prepare(StackOptions {
            program: PathBuf::from(env!("CARGO_BIN_EXE_pfx-connector")),
            folder: temporary_folder().unwrap(),
            token: TokenKind::Softhsm,
            module: None,
            module_environment: Vec::new(),
            key_bits: 2048,
            connectors: 1,
            lease_ms: 3_000,
            connector_extra: format!(
                "concurrency = 4\nwait_ms = 500\nretry = {{ base_ms = 20, max_ms = 300, max_attempts = 8 }}\n{connector}\n"
            ),
            engine_fips: fips.to_owned(),
            // A part that a test stops is to be left as it is.
            engine_extra: format!(
                "restart = {{ backoff_ms = 10, backoff_max_ms = 100, unresponsive_ms = 120000 }}\n{engine}"
            ),
        })
        .unwrap();
        Self { stack }
    }

    /// People with imported PFX files, and devices; the gateway must be running and everybody enrolled.
    pub fn plan(&self, people: usize, devices: usize) -> Plan {
        self.plan_with(people, devices, |index| match index {
            0 => DeviceKind::Rsa(2048),
            _ => DeviceKind::Ec("P-256"),
        })
    }

    /// The same with devices for which strict mode needs no exception: all have RSA keys.
    pub fn plan_for_strict_mode(&self, people: usize, devices: usize) -> Plan {
        self.plan_with(people, devices, |_| DeviceKind::Rsa(2048))
    }

    fn plan_with(&self, people: usize, devices: usize, kind: impl Fn(usize) -> DeviceKind) -> Plan {
        let stack = &self.stack;
        let mut plan = Plan::default();
        for index in 0..people {
            // Every fourth maker: OpenSSL's default, which opens quickly.
            let person = Person::make(&stack.pki, &stack.path("import"), index * 4).unwrap();
            stack.import(&person).unwrap();
            plan.people.push(person);
        }
        for index in 0..devices {
            plan.devices
                .push(stack.pki.device(index, kind(index)).unwrap());
        }
        plan
    }

    /// The events of the connector's Admin log.
    pub fn admin(&self) -> Vec<Event> {
        self.events("admin")
    }

    /// The events of the connector's Operational log.
    pub fn operational(&self) -> Vec<Event> {
        self.events("operational")
    }

    fn events(&self, log: &str) -> Vec<Event> {
        let path = self.stack.event_log(0).join(format!("{log}.log"));
        let text = std::fs::read_to_string(path).unwrap_or_default();
        // The last line may just be being written.
        let complete = text.rfind('\n').map_or("", |end| &text[..end]);
        complete
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// How many Admin events of this number there are.
    pub fn count(&self, id: u16) -> usize {
        self.admin().iter().filter(|event| event.id == id).count()
    }

    /// Waits for an Admin event of this number, and gives it back.
    pub fn wait_for_event(&self, id: u16) -> Event {
        let mut found = None;
        until(&format!("no event {id}"), || {
            found = self.admin().into_iter().find(|event| event.id == id);
            found.is_some()
        });
        found.unwrap()
    }

    /// What a log of a process holds.
    pub fn log(&self, name: &str) -> String {
        std::fs::read_to_string(self.stack.path(&format!("logs/{name}.log"))).unwrap_or_default()
    }

    /// What the engine reports.
    pub fn engine_status(&self) -> EngineStatus {
        let socket = self.stack.path("run/engine.sock");
        block_on(async { EngineClient::connect(&socket).await?.status().await }).unwrap()
    }

    /// Kills one of the engine's parts; the supervisor puts another one in its place.
    pub fn kill_part(&self, name: &str) {
        let socket = self.stack.path("run/engine.sock");
        let mut pid = None;
        until(&format!("{name} does not run"), || {
            let status = block_on(async { EngineClient::connect(&socket).await?.status().await });
            let parts = status.map(|status| status.parts).unwrap_or_default();
            pid = parts
                .iter()
                .find(|part| part.name == name)
                .and_then(|part| part.pid);
            pid.is_some()
        });
        let pid = rustix::process::Pid::from_raw(i32::try_from(pid.unwrap()).unwrap()).unwrap();
        // It may just have gone by itself, with the other part.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    }

    /// Sends a process a signal.
    pub fn signal(pid: u32, signal: rustix::process::Signal) {
        let pid = i32::try_from(pid).unwrap();
        rustix::process::kill_process(rustix::process::Pid::from_raw(pid).unwrap(), signal)
            .unwrap();
    }

    /// Process id of the engine's part that looks at certificates: while it is stopped, requests come to a halt half-way, although
    /// engine and token are well.
    pub fn formats_pid(&self) -> u32 {
        let mut pid = None;
        until("the formats process does not run", || {
            let status = self.engine_status();
            let part = status.parts.iter().find(|part| part.name == "formats");
            pid = part.unwrap().pid;
            pid.is_some()
        });
        pid.unwrap()
    }

    /// Puts a record into the gateway as an importer's own program might, without the checks of `import add`.
    pub fn put(&self, record: &Record, pfx: &[u8]) {
        let tls = pfx_connector::tls::client_config(&self.stack.pki.tls_ca(), None).unwrap();
        let bearer = std::fs::read(self.stack.path("import/importer.token")).unwrap();
        let client = UserPfxClient::new(
            &self.stack.gateway_url().unwrap(),
            tls,
            &BearerToken::from_slice(bearer.trim_ascii()),
            RetryBudget::default(),
            Arc::new(SystemClock),
        )
        .unwrap();
        let upload = UserPfxCertificate {
            id: None,
            thumbprint: record.thumbprint.clone(),
            intended_purpose: IntendedPurpose::SmimeEncryption,
            user_principal_name: record.user_principal_name.clone(),
            start_date_time: "2026-01-01T00:00:00Z".to_owned(),
            expiration_date_time: "2036-01-01T00:00:00Z".to_owned(),
            provider_name: record.provider_name.clone(),
            key_name: record.key_name.clone(),
            padding_scheme: record.padding,
            encrypted_pfx_blob: Base64Bytes(pfx.to_vec()),
            encrypted_pfx_password: record.encrypted_password.encode(),
            created_date_time: None,
            last_modified_date_time: None,
            custody_key: record.custody_key.clone(),
            importer_signature: record.importer_signature.clone(),
        };
        block_on(client.create(&upload)).unwrap();
    }

    /// A record of the configured importer for the custody key, with this ciphertext in the place of the password's.
    pub fn record(&self, user: &str, padding: Padding, ciphertext: Vec<u8>) -> Record {
        Record {
            user_principal_name: user.to_owned(),
            thumbprint: "ab".repeat(20),
            provider_name: "pkcs11".to_owned(),
            key_name: pfx_connector::cli::demo::KEY_LABEL.to_owned(),
            custody_key: Some(self.stack.custody_fingerprint.clone()),
            padding,
            encrypted_password: Base64Bytes(ciphertext),
            importer_signature: None,
        }
    }

    /// The record, signed by the configured importer.
    pub fn signed(&self, mut record: Record, pfx: &[u8]) -> Record {
        let pem = std::fs::read_to_string(self.stack.path("import/importer.key")).unwrap();
        let (_, key) = pkcs8::SecretDocument::from_pem(&pem).unwrap();
        let key = SigningKey::from_pkcs8(key.as_bytes()).unwrap();
        record.importer_signature = Some(sign(&key, &record, pfx).unwrap());
        record
    }

    /// Waits until everything is settled; then every request is delivered once, opened by OpenSSL, and has exactly one Admin event.
    pub fn assert_all_delivered_once(&self, deliveries: &mut Deliveries) {
        settle(deliveries);
        let asked: Vec<String> = deliveries
            .asked
            .iter()
            .map(|asked| asked.request_id.clone())
            .collect();
        let mut events = Default::default();
        until("an Admin event for each request", || {
            events = admin_events(&self.stack.event_log(0)).unwrap_or_default();
            asked.iter().all(|id| events.contains_key(id))
        });
        deliveries.refresh().unwrap();
        let mut problems = Vec::new();
        deliveries
            .verify_all(&self.stack, |problem| {
                problems.extend(problem);
                Ok(())
            })
            .unwrap();
        assert_eq!(problems, Vec::<String>::new());
        assert_eq!((deliveries.lost(), deliveries.completed_twice()), (0, 0));
        assert_eq!(deliveries.verified(), asked.len());
        assert_eq!(events.len(), asked.len(), "events of other requests");
        assert!(events.values().all(|count| *count == 1), "{events:?}");
        assert_eq!(self.count(2001), 0, "{:?}", self.admin());
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- left behind: {}", self.stack.folder().display());
        } else {
            let _ = std::fs::remove_dir_all(self.stack.folder());
        }
    }
}

pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

/// Looks until it holds.
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Waits until every request is settled, for as long as some are: how many there are and how busy the machine is do not matter.
pub fn settle(deliveries: &mut Deliveries) {
    let mut last = (0, Instant::now());
    deliveries
        .wait(Duration::from_secs(24 * 3600), |settled| {
            if settled != last.0 {
                last = (settled, Instant::now());
            }
            assert!(
                last.1.elapsed() < PATIENCE,
                "{settled} requests are settled, and none was for {PATIENCE:?}"
            );
            Ok(())
        })
        .unwrap();
}

/// A file that only its owner may read.
pub fn write_private(path: &Path, content: &[u8]) {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let fresh = path.with_extension("fresh");
    let mut file = std::fs::File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&fresh)
        .unwrap();
    file.write_all(content).unwrap();
    std::fs::rename(fresh, path).unwrap();
}
