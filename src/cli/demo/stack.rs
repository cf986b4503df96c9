//! The whole system in one folder: token, keys, certificates, configuration files, and the processes that use them.
//!
//! The demo runs it once; the integration tests run it too, and kill its parts. Nothing here is a stand-in: the processes are the
//! program's own sub-commands, with configuration files like anybody's.

use super::error::DemoError;
use super::pfx::Person;
use super::pki::Pki;
use super::process::Running;
use super::token::{DemoToken, TokenKind};
use crate::encoding::hex;
use fips::secret::file::{self, Rights};
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Label of the custody key.
pub const KEY_LABEL: &str = "pfx-custody";

/// How long a process may take until it is ready.
const START_LIMIT: Duration = Duration::from_secs(60);

/// What to set up.
#[derive(Debug, Clone)]
pub struct StackOptions {
    /// The program to start (`pfx-connector`).
    pub program: PathBuf,
    /// An empty folder for all of it.
    pub folder: PathBuf,
    /// Which token.
    pub token: TokenKind,
    /// The token's PKCS#11 module, where it is not at its usual place.
    pub module: Option<PathBuf>,
    /// What that module needs in its environment besides.
    pub module_environment: Vec<(String, String)>,
    /// Size of the custody key in bits.
    pub key_bits: u32,
    /// Connectors on the one gateway.
    pub connectors: usize,
    /// How long a lease lasts, in milliseconds.
    pub lease_ms: u64,
    /// Lines added to `[connector]` and its sub-tables.
    pub connector_extra: String,
    /// Lines added to `[engine]`.
    pub engine_extra: String,
    /// Lines of the engine's `[fips]`; the other processes have none, so that they are strict without exceptions.
    pub engine_fips: String,
}

/// Everything that was set up.
pub struct Stack {
    options: StackOptions,
    /// Certificates and keys.
    pub pki: Pki,
    /// The token.
    pub token: DemoToken,
    /// SHA-256 of the custody key's SubjectPublicKeyInfo.
    pub custody_fingerprint: String,
    /// Name of the padding that passwords are encrypted with: the best that the token does natively.
    pub padding: String,
    /// What the commands said that made and exported the key.
    key_reports: [serde_json::Value; 2],
    gateway_url: std::sync::Mutex<Option<String>>,
    gateway_extra: String,
}

impl Stack {
    /// Sets up token, custody key, certificates and the engine's configuration. Starts nothing that stays.
    ///
    /// # Errors
    /// [`DemoError`] names the step, the program that failed and what it said.
    pub fn prepare(options: StackOptions) -> Result<Self, DemoError> {
        for folder in ["run", "gateway", "logs", "import"] {
            private_folder(&options.folder.join(folder))?;
        }
        let token = DemoToken::initialise(&options)?;
        let key_bits = options.key_bits.to_string();
        let key_arguments = ["key", "generate", "--bits", key_bits.as_str(), "--json"];
        let generated = token.run_key_command(&options.program, &key_arguments)?;
        let custody_fingerprint = text_at(&generated, "/fingerprint", "key generate")?;
        let padding = text_at(&generated, "/bestPadding", "key generate")?;
        let public = options.folder.join("import/custody-public.pem");
        let public_text = public.display().to_string();
        let exported = token.run_key_command(
            &options.program,
            &[
                "key",
                "export-public",
                "--format",
                "pem",
                "--out",
                public_text.as_str(),
                "--json",
            ],
        )?;
        let pki = Pki::create(&options.folder.join("pki"), options.connectors)?;
        let stack = Self {
            options,
            pki,
            token,
            custody_fingerprint,
            padding,
            key_reports: [generated, exported],
            gateway_url: std::sync::Mutex::new(None),
            gateway_extra: String::new(),
        };
        stack.make_importer_key()?;
        stack.write_engine_config()?;
        Ok(stack)
    }

    /// Further lines of the gateway's configuration, from its next start on.
    pub fn configure_gateway(&mut self, lines: &str) {
        lines.clone_into(&mut self.gateway_extra);
    }

    /// The folder that holds all of it.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.options.folder
    }

    /// What the commands said that made and exported the custody key.
    #[must_use]
    pub fn key_reports(&self) -> &[serde_json::Value] {
        &self.key_reports
    }

    /// A file below the folder.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.options.folder.join(name)
    }

    /// The program.
    #[must_use]
    pub fn program(&self) -> &Path {
        &self.options.program
    }

    /// The gateway's base URL once it has been started.
    ///
    /// # Errors
    /// When the gateway was never started.
    pub fn gateway_url(&self) -> Result<String, DemoError> {
        self.gateway_url
            .lock()
            .ok()
            .and_then(|url| url.clone())
            .ok_or_else(|| DemoError::step("gateway", "it has not been started"))
    }

    fn make_importer_key(&self) -> Result<(), DemoError> {
        let key = self.path("import/importer.key").display().to_string();
        let public = self.path("import/importer.pem").display().to_string();
        super::process::run_json(
            &self.options.program,
            &[
                "import",
                "signer",
                "--out-key",
                &key,
                "--out-public",
                &public,
                "--json",
            ],
            &[],
        )?;
        Ok(())
    }

    /// The key that seals the audit log.
    fn audit_key(&self) -> PathBuf {
        self.path("audit-key.pem")
    }

    fn write_engine_config(&self) -> Result<(), DemoError> {
        super::process::run_json(
            &self.options.program,
            &[
                "audit",
                "key",
                "generate",
                "--out-key",
                &self.audit_key().display().to_string(),
                "--out-public",
                &self.path("audit-public.pem").display().to_string(),
                "--json",
            ],
            &[],
        )?;
        let mut text = String::new();
        let _ = writeln!(text, "[fips]\n{}", self.options.engine_fips);
        let _ = writeln!(text, "[engine]");
        let _ = writeln!(text, "socket = {}", quoted(&self.path("run/engine.sock")));
        let _ = writeln!(text, "device_anchors = [{}]", quoted(&self.pki.device_ca()));
        let _ = writeln!(text, "{}", self.options.engine_extra);
        let _ = writeln!(text, "[engine.audit]");
        let _ = writeln!(text, "folder = {}", quoted(&self.path("audit")));
        let _ = writeln!(text, "signing_key_file = {}", quoted(&self.audit_key()));
        let _ = writeln!(text, "[engine.token]");
        text.push_str(&self.token.section());
        let _ = writeln!(text, "[[engine.importers]]");
        let _ = writeln!(text, "name = \"demo importer\"");
        let _ = writeln!(
            text,
            "public_key = {}",
            quoted(&self.path("import/importer.pem"))
        );
        write_private(&self.path("engine.toml"), text.as_bytes())
    }

    /// Starts the engine and waits until it answers.
    ///
    /// # Errors
    /// When it ends or does not listen in time; its log's last lines are in the message.
    pub fn start_engine(&self) -> Result<Running, DemoError> {
        let config = self.path("engine.toml");
        let mut running = Running::start(
            "engine",
            &self.options.program,
            &["engine", "--config", &config.display().to_string()],
            &self.path("logs/engine.log"),
        )?;
        let socket = self.path("run/engine.sock");
        running.wait_until(START_LIMIT, || {
            std::os::unix::net::UnixStream::connect(&socket).is_ok()
        })?;
        Ok(running)
    }

    /// Starts the gateway, on the same port as before where it ran already, and waits until it listens.
    ///
    /// # Errors
    /// As [`Self::start_engine`].
    pub fn start_gateway(&self) -> Result<Running, DemoError> {
        let ready = self.path("run/gateway.ready");
        let known = self.gateway_url().ok();
        let listen = known
            .as_deref()
            .and_then(|url| url.strip_prefix("https://"))
            .unwrap_or("127.0.0.1:0");
        self.write_gateway_config(listen)?;
        match fs::remove_file(&ready) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(DemoError::io("remove", &ready, error));
            }
            _ => {}
        }
        let config = self.path("gateway.toml");
        let mut running = Running::start(
            "gateway",
            &self.options.program,
            &["gateway", "--config", &config.display().to_string()],
            &self.path("logs/gateway.log"),
        )?;
        running.wait_until(START_LIMIT, || ready.exists())?;
        let address =
            fs::read_to_string(&ready).map_err(|error| DemoError::io("read", &ready, error))?;
        if let Ok(mut url) = self.gateway_url.lock() {
            *url = Some(format!("https://{}", address.trim()));
        }
        Ok(running)
    }

    fn write_gateway_config(&self, listen: &str) -> Result<(), DemoError> {
        let mut text = String::new();
        let _ = writeln!(text, "[gateway]");
        let _ = writeln!(text, "listen = \"{listen}\"");
        let _ = writeln!(
            text,
            "certificate = {}",
            quoted(&self.pki.gateway_certificate())
        );
        let _ = writeln!(text, "private_key = {}", quoted(&self.pki.gateway_key()));
        let _ = writeln!(text, "connector_ca = {}", quoted(&self.pki.tls_ca()));
        let _ = writeln!(
            text,
            "database = {}",
            quoted(&self.path("gateway/gateway.db"))
        );
        let _ = writeln!(
            text,
            "ready_file = {}",
            quoted(&self.path("run/gateway.ready"))
        );
        let _ = writeln!(text, "lease_ms = {}", self.options.lease_ms);
        let _ = writeln!(text, "max_leases = 1000");
        let _ = writeln!(text, "{}", self.gateway_extra);
        write_private(&self.path("gateway.toml"), text.as_bytes())
    }

    /// Makes bearer tokens for the importer, the device side and an administrator, and the importer's configuration. The gateway must have been started once.
    ///
    /// # Errors
    /// When the gateway's `token create` fails.
    pub fn enrol(&self) -> Result<(), DemoError> {
        for role in ["importer", "mdm", "administrator"] {
            let config = self.path("gateway.toml").display().to_string();
            let out = self
                .path(&format!("import/{role}.token"))
                .display()
                .to_string();
            let arguments = [
                "gateway", "token", "create", "--config", &config, "--role", role, "--name", role,
            ];
            super::process::run(
                &self.options.program,
                &[&arguments[..], &["--days", "1", "--out", &out]].concat(),
                &[],
            )?;
        }
        let mut text = String::new();
        let _ = writeln!(text, "[import]");
        let _ = writeln!(text, "gateway = \"{}\"", self.gateway_url()?);
        let _ = writeln!(text, "gateway_ca = {}", quoted(&self.pki.tls_ca()));
        let _ = writeln!(
            text,
            "token_file = {}",
            quoted(&self.path("import/importer.token"))
        );
        let _ = writeln!(
            text,
            "custody_public_key = {}",
            quoted(&self.path("import/custody-public.pem"))
        );
        let _ = writeln!(
            text,
            "custody_fingerprint = \"{}\"",
            self.custody_fingerprint
        );
        let _ = writeln!(text, "key_name = \"{KEY_LABEL}\"");
        let _ = writeln!(
            text,
            "signing_key = {}",
            quoted(&self.path("import/importer.key"))
        );
        let _ = writeln!(text, "[import.token]");
        text.push_str(&self.token.section());
        write_private(&self.path("import.toml"), text.as_bytes())
    }

    /// What the running gateway says of itself (`gateway status`).
    ///
    /// # Errors
    /// What the command said.
    pub fn gateway_status(&self) -> Result<serde_json::Value, DemoError> {
        super::process::run_json(
            &self.options.program,
            &[
                "gateway",
                "status",
                "--gateway",
                &self.gateway_url()?,
                "--gateway-ca",
                &self.pki.tls_ca().display().to_string(),
                "--token-file",
                &self
                    .path("import/administrator.token")
                    .display()
                    .to_string(),
                "--json",
            ],
            &[],
        )
    }

    /// Starts connector number `index` (from 0) and waits until its control socket answers.
    ///
    /// # Errors
    /// As [`Self::start_engine`].
    pub fn start_connector(&self, index: usize) -> Result<Running, DemoError> {
        self.write_connector_config(index)?;
        let config = self.connector_config(index);
        let mut running = Running::start(
            &format!("connector-{index}"),
            &self.options.program,
            &["run", "--config", &config.display().to_string()],
            &self.path(&format!("logs/connector-{index}.log")),
        )?;
        let socket = self.path(&format!("run/connector-{index}.sock"));
        running.wait_until(START_LIMIT, || {
            std::os::unix::net::UnixStream::connect(&socket).is_ok()
        })?;
        Ok(running)
    }

    /// The configuration file of connector number `index`.
    #[must_use]
    pub fn connector_config(&self, index: usize) -> PathBuf {
        self.path(&format!("connector-{index}.toml"))
    }

    /// The folder of the event log of connector number `index`.
    #[must_use]
    pub fn event_log(&self, index: usize) -> PathBuf {
        self.path(&format!("logs/connector-{index}"))
    }

    /// Writes the configuration file of connector number `index`; starting it does this too. The gateway must have been started once.
    ///
    /// # Errors
    /// When the gateway was never started or the file cannot be written.
    pub fn write_connector_config(&self, index: usize) -> Result<(), DemoError> {
        let mut text = String::new();
        let _ = writeln!(text, "[connector]");
        let _ = writeln!(text, "instance = \"connector-{index}\"");
        let _ = writeln!(text, "gateway = \"{}\"", self.gateway_url()?);
        let _ = writeln!(text, "gateway_ca = {}", quoted(&self.pki.tls_ca()));
        let _ = writeln!(
            text,
            "certificate = {}",
            quoted(&self.pki.connector_certificate(index))
        );
        let _ = writeln!(
            text,
            "private_key = {}",
            quoted(&self.pki.connector_key(index))
        );
        let _ = writeln!(
            text,
            "engine_socket = {}",
            quoted(&self.path("run/engine.sock"))
        );
        let _ = writeln!(
            text,
            "journal = {}",
            quoted(&self.path(&format!("run/journal-{index}.db")))
        );
        let _ = writeln!(
            text,
            "control_socket = {}",
            quoted(&self.path(&format!("run/connector-{index}.sock")))
        );
        let _ = writeln!(text, "{}", self.options.connector_extra);
        let _ = writeln!(text, "[connector.log]");
        let _ = writeln!(text, "directory = {}", quoted(&self.event_log(index)));
        let _ = writeln!(text, "console = \"off\"");
        write_private(&self.connector_config(index), text.as_bytes())
    }

    /// Imports one PFX with `import add`, as a person would in strict FIPS mode: with the certificate beside the PFX, which is passed on
    /// unopened. Returns the command's report.
    ///
    /// # Errors
    /// What the command said.
    pub fn import(&self, person: &Person) -> Result<serde_json::Value, DemoError> {
        super::process::run_json(
            &self.options.program,
            &[
                "import",
                "add",
                "--config",
                &self.path("import.toml").display().to_string(),
                "--user",
                &person.user,
                "--pfx",
                &person.pfx.display().to_string(),
                "--certificate",
                &person.certificate.display().to_string(),
                "--password-file",
                &person.password_file.display().to_string(),
                "--json",
            ],
            &self.token.environment(),
        )
    }
}

/// A TOML basic string with the path; paths of the demo are its own and hold no control characters.
pub(super) fn quoted(path: &Path) -> String {
    format!(
        "\"{}\"",
        path.display()
            .to_string()
            .replace('\\', "\\\\")
            .replace('"', "\\\"")
    )
}

/// Creates a folder that only its owner may enter.
pub(super) fn private_folder(path: &Path) -> Result<(), DemoError> {
    file::create_folder(path, Rights::Owner)
        .map_err(|error| DemoError::io("create", path, error.into()))
}

/// Writes a file that only its owner may read.
pub(super) fn write_private(path: &Path, content: &[u8]) -> Result<(), DemoError> {
    file::replace(path, content, Rights::Owner).map_err(|error| DemoError::io("write", path, error))
}

fn text_at(value: &serde_json::Value, pointer: &str, step: &str) -> Result<String, DemoError> {
    value
        .pointer(pointer)
        .and_then(|text| text.as_str())
        .map(str::to_owned)
        .ok_or_else(|| DemoError::step(step, format!("its answer has no text at {pointer}")))
}

/// A fresh folder below the system's temporary folder that only its owner may enter.
///
/// # Errors
/// When it cannot be created.
pub fn temporary_folder() -> Result<PathBuf, DemoError> {
    let random =
        fips::random::array::<8>().map_err(|error| DemoError::step("random", error.to_string()))?;
    let path = std::env::temp_dir().join(format!("pfx-connector-demo-{}", hex(&random)));
    fs::DirBuilder::new()
        .mode(0o700)
        .create(&path)
        .map_err(|error| DemoError::io("create", &path, error))?;
    Ok(path)
}
