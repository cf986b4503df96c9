//! Every file and folder that a configuration names, with what it is for: one list for the checks at start and for `doctor`.

use super::{
    Config, ConnectorConfig, EngineConfig, FipsConfig, GatewayConfig, ImportConfig, TokenSection,
    secret_file,
};
use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// What a path is for, which says what must hold of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A file that is read and says nothing of trust, such as a certificate of our own.
    Content,
    /// A file that is read and says who is trusted: whoever can change it decides about that.
    Trust,
    /// A file with a secret: nobody but its owner may use it.
    Secret,
    /// A PKCS#11 module, which is loaded.
    Module,
    /// A file or socket that will be made or written: its folder must be there.
    Written,
    /// A folder that will be made or written into: the one that it is in must be there.
    Folder,
}

/// Opens a file that a configuration names; never a pipe, which would wait for somebody to write into it.
///
/// # Errors
/// [`ErrorKind::InvalidInput`] for what is no file; else as [`File::open`].
pub fn open_file(path: &Path) -> std::io::Result<File> {
    if std::fs::metadata(path)?.is_file() {
        File::open(path)
    } else {
        Err(std::io::Error::new(ErrorKind::InvalidInput, "not a file"))
    }
}

/// A path of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedPath {
    /// The key that names it, such as `engine.token.pin_file`.
    pub key: String,
    /// The path.
    pub path: PathBuf,
    /// What it is for.
    pub purpose: Purpose,
}

impl NamedPath {
    fn new(key: impl Into<String>, path: &Path, purpose: Purpose) -> Self {
        Self {
            key: key.into(),
            path: path.to_owned(),
            purpose,
        }
    }

    /// Whether the process that needs it can use it.
    ///
    /// # Errors
    /// What is wrong, in words, with the key before it.
    pub fn check(&self) -> Result<(), String> {
        let (key, path) = (&self.key, &self.path);
        match self.purpose {
            Purpose::Content | Purpose::Trust | Purpose::Module => match open_file(path) {
                Ok(_) => Ok(()),
                Err(error) if error.kind() == ErrorKind::InvalidInput => {
                    Err(format!("`{key}`: {} is not a file", path.display()))
                }
                Err(error) => Err(format!(
                    "`{key}`: {} cannot be read: {error}",
                    path.display()
                )),
            },
            Purpose::Secret => secret_file::check(path)
                .map_err(|error| format!("`{key}`: {error} (remedy: {})", error.hint())),
            Purpose::Folder if path.exists() && !path.is_dir() => {
                Err(format!("`{key}`: {} is not a folder", path.display()))
            }
            Purpose::Written | Purpose::Folder => match path.parent() {
                None => Err(format!("`{key}`: {} is no file name", path.display())),
                Some(folder) if !folder.is_dir() => Err(format!(
                    "`{key}`: the folder {} does not exist",
                    folder.display()
                )),
                Some(_) => Ok(()),
            },
        }
    }
}

impl Config {
    /// Every path that the file names, of all its sections.
    #[must_use]
    pub fn named_paths(&self) -> Vec<NamedPath> {
        let mut paths = fips(&self.fips);
        if let Some(section) = &self.engine {
            for (path, section) in section.token_paths() {
                paths.extend(token(section, &path));
            }
            paths.extend(engine(section));
        }
        paths.extend(self.connector.iter().flat_map(connector));
        paths.extend(self.gateway.iter().flat_map(gateway));
        paths.extend(self.import.iter().flat_map(import));
        paths
    }
}

fn fips(section: &FipsConfig) -> Vec<NamedPath> {
    section
        .report_key
        .iter()
        .map(|key| NamedPath::new("fips.report_key", key, Purpose::Secret))
        .collect()
}

/// Those of a token section.
pub(super) fn token(section: &TokenSection, path: &str) -> Vec<NamedPath> {
    let module = NamedPath::new(format!("{path}.module"), &section.module, Purpose::Module);
    let pin = section
        .pin_file
        .iter()
        .map(|file| NamedPath::new(format!("{path}.pin_file"), file, Purpose::Secret));
    std::iter::once(module).chain(pin).collect()
}

/// Those of `[engine]`, its token's aside.
pub(super) fn engine(section: &EngineConfig) -> Vec<NamedPath> {
    let mut paths = vec![NamedPath::new(
        "engine.socket",
        &section.socket,
        Purpose::Written,
    )];
    for anchor in &section.device_anchors {
        paths.push(NamedPath::new(
            "engine.device_anchors",
            anchor,
            Purpose::Trust,
        ));
    }
    for crl in &section.device_policy.crls {
        paths.push(NamedPath::new(
            "engine.device_policy.crls",
            crl,
            Purpose::Trust,
        ));
    }
    if let Some(audit) = &section.audit {
        let named = |key: &str, path: &Path, purpose| {
            NamedPath::new(format!("engine.audit.{key}"), path, purpose)
        };
        paths.push(named("folder", &audit.folder, Purpose::Folder));
        if let Some(file) = &audit.signing_key_file {
            paths.push(named("signing_key_file", file, Purpose::Secret));
        }
        if let Some(file) = &audit.anchor_file {
            paths.push(named("anchor_file", file, Purpose::Written));
        }
    }
    for file in section.approvals.iter().flat_map(|one| &one.approvers) {
        paths.push(NamedPath::new(
            "engine.approvals.approvers",
            file,
            Purpose::Trust,
        ));
    }
    for importer in &section.importers {
        paths.push(NamedPath::new(
            "engine.importers.public_key",
            &importer.public_key,
            Purpose::Trust,
        ));
    }
    paths
}

/// Those of `[connector]`.
pub(super) fn connector(section: &ConnectorConfig) -> Vec<NamedPath> {
    let named =
        |key: &str, path: &Path, purpose| NamedPath::new(format!("connector.{key}"), path, purpose);
    let mut paths = vec![
        named("gateway_ca", &section.gateway_ca, Purpose::Trust),
        named("certificate", &section.certificate, Purpose::Content),
        named("private_key", &section.private_key, Purpose::Secret),
        named("journal", &section.journal, Purpose::Written),
        named("control_socket", &section.control_socket, Purpose::Written),
        named("log.directory", &section.log.directory, Purpose::Folder),
    ];
    if let Some(file) = section
        .proxy
        .as_ref()
        .and_then(|proxy| proxy.password_file.as_ref())
    {
        paths.push(named("proxy.password_file", file, Purpose::Secret));
    }
    paths
}

/// Those of `[gateway]`.
pub(super) fn gateway(section: &GatewayConfig) -> Vec<NamedPath> {
    let named =
        |key: &str, path: &Path, purpose| NamedPath::new(format!("gateway.{key}"), path, purpose);
    let mut paths = vec![
        named("certificate", &section.certificate, Purpose::Content),
        named("private_key", &section.private_key, Purpose::Secret),
        named("connector_ca", &section.connector_ca, Purpose::Trust),
        named("database", &section.database, Purpose::Written),
    ];
    if let Some(file) = &section.ready_file {
        paths.push(named("ready_file", file, Purpose::Written));
    }
    paths
}

/// Those of `[import]`, its token's among them.
pub(super) fn import(section: &ImportConfig) -> Vec<NamedPath> {
    let named =
        |key: &str, path: &Path, purpose| NamedPath::new(format!("import.{key}"), path, purpose);
    let mut paths = vec![
        named("gateway_ca", &section.gateway_ca, Purpose::Trust),
        named("token_file", &section.token_file, Purpose::Secret),
        named(
            "custody_public_key",
            &section.custody_public_key,
            Purpose::Trust,
        ),
    ];
    if let Some(file) = &section.signing_key {
        paths.push(named("signing_key", file, Purpose::Secret));
    }
    paths.extend(
        section
            .token
            .iter()
            .flat_map(|section| token(section, "import.token")),
    );
    paths
}
