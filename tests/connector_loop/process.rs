//! The connector as a process of its own, and a look into its logs.

use crate::engine::FakeEngine;
use crate::pki::Pki;
use crate::service::Service;
use pfx_connector::connector::control::client;
use pfx_connector::connector::control::protocol::Status;
use pfx_connector::telemetry::Event;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Long enough for a machine that does many things at once; passing tests do not wait for it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "in vain waited until {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

pub(crate) struct Bench {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) pki: Pki,
    pub(crate) instance: String,
    pub(crate) extra: Vec<String>,
    pub(crate) settings: HashMap<&'static str, String>,
    pub(crate) log: HashMap<&'static str, String>,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let pki = Pki::new(folder.path());
        Self {
            pki,
            folder,
            instance: "one".to_owned(),
            extra: Vec::new(),
            settings: HashMap::from([
                ("concurrency", "8".to_owned()),
                ("wait_ms", "1000".to_owned()),
                ("http_timeout_ms", "2000".to_owned()),
                ("engine_timeout_ms", "5000".to_owned()),
                ("drain_ms", "5000".to_owned()),
            ]),
            log: HashMap::new(),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Another instance of the same installation, with folders of its own.
    pub(crate) fn sibling(&self, instance: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["ca.pem", "client.pem", "client.key"] {
            std::fs::copy(self.pki.path(name), folder.path().join(name)).unwrap();
        }
        Self {
            pki: Pki {
                folder: folder.path().to_owned(),
            },
            folder,
            instance: instance.to_owned(),
            extra: self.extra.clone(),
            settings: self.settings.clone(),
            log: self.log.clone(),
        }
    }

    pub(crate) fn set(&mut self, key: &'static str, value: impl ToString) -> &mut Self {
        self.settings.insert(key, value.to_string());
        self
    }

    pub(crate) fn write_config(&self, service: &Service, engine: &FakeEngine) -> PathBuf {
        self.write_config_for(&service.url(), engine)
    }

    /// For a service that is none of ours.
    pub(crate) fn write_config_for(&self, url: &str, engine: &FakeEngine) -> PathBuf {
        let f = self.path().display();
        let settings: String = self
            .settings
            .iter()
            .map(|(key, value)| format!("{key} = {value}\n"))
            .collect();
        let log: String = self
            .log
            .iter()
            .map(|(key, value)| format!("{key} = {value}\n"))
            .collect();
        let text = format!(
            "[connector]\ninstance = \"{instance}\"\ngateway = \"{url}\"\ngateway_ca = \"{f}/ca.pem\"\ncertificate = \"{f}/client.pem\"\n\
             private_key = \"{f}/client.key\"\nengine_socket = \"{engine}\"\njournal = \"{f}/journal.db\"\n\
             control_socket = \"{f}/control.sock\"\n{settings}\
             [connector.retry]\nbase_ms = 20\nmax_ms = 300\nmax_attempts = 4\n{extra}\n\
             [connector.log]\ndirectory = \"{f}/log\"\nconsole = \"off\"\n{log}",
            instance = self.instance,
            engine = engine.path.display(),
            extra = self.extra.join("\n"),
        );
        let path = self.path().join("connector.toml");
        std::fs::write(&path, text).unwrap();
        path
    }

    pub(crate) fn start(&self, service: &Service, engine: &FakeEngine) -> Connector {
        let config = self.write_config(service, engine);
        Connector::spawn(&config, self.path())
    }

    /// Every event of a log file and its archives, as they are on disk.
    pub(crate) fn events(&self, log: &str) -> Vec<Event> {
        read_events(&self.path().join("log"), log)
    }

    pub(crate) fn count(&self, log: &str, id: u16) -> usize {
        self.events(log)
            .iter()
            .filter(|event| event.id == id)
            .count()
    }

    /// Where /healthz and /metrics are, as the event of the start says.
    pub(crate) fn metrics_address(&self) -> String {
        let started = &self.events("admin")[0];
        started.fields["metrics"].as_str().unwrap().to_owned()
    }

    /// Admin events 2000 and 2001 for each request.
    pub(crate) fn reports(&self) -> HashMap<String, Vec<u16>> {
        let mut reports: HashMap<String, Vec<u16>> = HashMap::new();
        for event in self.events("admin") {
            if matches!(event.id, 2000 | 2001) {
                reports
                    .entry(event.request_id.unwrap())
                    .or_default()
                    .push(event.id);
            }
        }
        reports
    }
}

pub(crate) fn read_events(folder: &Path, log: &str) -> Vec<Event> {
    let mut events = Vec::new();
    let mut names: Vec<PathBuf> = std::fs::read_dir(folder)
        .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
        .unwrap_or_default();
    names.sort();
    for path in names {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let bytes = if name == format!("{log}.log") || name.starts_with(&format!("{log}-")) {
            // An archive may go while this looks.
            let Ok(bytes) = std::fs::read(&path) else {
                continue;
            };
            bytes
        } else {
            continue;
        };
        let text = if name.ends_with(".gz") {
            let mut text = String::new();
            std::io::Read::read_to_string(
                &mut flate2::read::GzDecoder::new(bytes.as_slice()),
                &mut text,
            )
            .unwrap();
            text
        } else if name.ends_with(".log") {
            String::from_utf8(bytes).unwrap()
        } else {
            continue;
        };
        events.extend(
            text.lines()
                .filter_map(|line| serde_json::from_str(line).ok()),
        );
    }
    events
}

pub(crate) struct Connector {
    child: Option<Child>,
    folder: PathBuf,
}

impl Connector {
    pub(crate) fn spawn(config: &Path, folder: &Path) -> Self {
        Self::spawn_as(config, folder, |_| {})
    }

    /// With something else about its process.
    pub(crate) fn spawn_as(
        config: &Path,
        folder: &Path,
        change: impl FnOnce(&mut Command),
    ) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pfx-connector"));
        command
            .args(["run", "--config"])
            .arg(config)
            // A proxy of the environment must not matter.
            .env("HTTPS_PROXY", "http://127.0.0.1:9")
            .env("ALL_PROXY", "http://127.0.0.1:9")
            .stdin(Stdio::null());
        change(&mut command);
        Self {
            child: Some(command.spawn().unwrap()),
            folder: folder.to_owned(),
        }
    }

    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(self.child.as_ref().unwrap());
        rustix::process::kill_process(pid, signal).unwrap();
    }

    pub(crate) async fn ended(mut self) -> ExitStatus {
        let mut child = self.child.take().unwrap();
        tokio::task::spawn_blocking(move || child.wait())
            .await
            .unwrap()
            .unwrap()
    }

    pub(crate) async fn kill(self) {
        self.signal(rustix::process::Signal::KILL);
        self.ended().await;
    }

    pub(crate) async fn stop(self) -> ExitStatus {
        self.signal(rustix::process::Signal::TERM);
        self.ended().await
    }

    pub(crate) fn control_socket(&self) -> PathBuf {
        self.folder.join("control.sock")
    }

    pub(crate) fn status(&self) -> Option<Status> {
        client::status(&self.control_socket()).ok()
    }
}

impl Drop for Connector {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
