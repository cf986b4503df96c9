//! Every file and folder that a configuration names, with what it is for: one list for the checks at start and for `doctor`.

use super::{
    AuthorityConfig, Config, ConnectorConfig, EngineConfig, FipsConfig, GatewayConfig,
    ImportConfig, LocalCaConfig, TokenSection, secret_file,
};
use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The right of everybody to write, in a mode.
const EVERYBODY_WRITES: u32 = 0o002;
/// In such a folder only its owner may take a file away (/tmp).
const STICKY: u32 = 0o1000;

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
                Ok(file) if self.purpose == Purpose::Trust => {
                    let mode = file.metadata().map_or(0, |found| found.mode()) & 0o7777;
                    if mode & EVERYBODY_WRITES == 0 {
                        Ok(())
                    } else {
                        Err(format!(
                            "`{key}`: everybody may change who is trusted (mode {mode:04o} of {shown}; remedy: chmod o-w {shown})",
                            shown = path.display()
                        ))
                    }
                }
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
                Some(parent) => {
                    let folder = match self.purpose {
                        Purpose::Folder if path.is_dir() => path,
                        _ => parent,
                    };
                    self.check_folder(folder)
                }
            },
        }
    }

    /// What is made in a folder belongs to nobody for certain where everybody may put something in its place.
    fn check_folder(&self, folder: &Path) -> Result<(), String> {
        let mode = std::fs::metadata(folder).map_or(0, |found| found.mode()) & 0o7777;
        if mode & EVERYBODY_WRITES == 0 || mode & STICKY != 0 {
            return Ok(());
        }
        Err(format!(
            "`{key}`: everybody may put files into the folder and take them away (mode {mode:04o} of {shown}; remedy: chmod o-w {shown})",
            key = self.key,
            shown = folder.display()
        ))
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
        paths.extend(self.local_ca.iter().flat_map(local_ca));
        paths
    }
}

/// Those of `[[local_ca]]`.
pub(super) fn local_ca(section: &LocalCaConfig) -> Vec<NamedPath> {
    let named = |key: &str, path: &Path, purpose| {
        NamedPath::new(format!("local_ca.{}.{key}", section.name), path, purpose)
    };
    let mut paths = vec![
        named("certificate", &section.certificate, Purpose::Trust),
        named("folder", &section.folder, Purpose::Folder),
    ];
    if let Some(folder) = &section.publish {
        paths.push(named("publish", folder, Purpose::Folder));
    }
    paths
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
    for ca in &section.ca {
        paths.push(NamedPath::new(
            format!("engine.ca.{}.certificate", ca.name),
            &ca.certificate,
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
        named("journal", &section.journal, Purpose::Written),
        named("control_socket", &section.control_socket, Purpose::Written),
        named("log.directory", &section.log.directory, Purpose::Folder),
    ];
    if let Some(file) = &section.certificate {
        paths.push(named("certificate", file, Purpose::Content));
    }
    if let Some(file) = &section.private_key {
        paths.push(named("private_key", file, Purpose::Secret));
    }
    if let Some(identity) = &section.identity {
        paths.push(named("identity.folder", &identity.folder, Purpose::Folder));
    }
    if let Some(file) = section
        .proxy
        .as_ref()
        .and_then(|proxy| proxy.password_file.as_ref())
    {
        paths.push(named("proxy.password_file", file, Purpose::Secret));
    }
    if let Some(pkcs) = &section.pkcs {
        paths.push(named("pkcs.policy", &pkcs.policy, Purpose::Content));
    }
    for ca in &section.ca {
        authority(ca, "connector.ca", &mut paths);
    }
    paths
}

/// Those of an authority, configured at `path`.
fn authority(ca: &AuthorityConfig, path: &str, paths: &mut Vec<NamedPath>) {
    let named =
        |key: &str, file: &Path, purpose| NamedPath::new(format!("{path}.{key}"), file, purpose);
    paths.push(named("roots", &ca.roots, Purpose::Trust));
    for (key, file, purpose) in [
        ("intermediates", &ca.intermediates, Purpose::Content),
        ("server_ca", &ca.server_ca, Purpose::Trust),
        ("certificate", &ca.certificate, Purpose::Content),
        ("private_key", &ca.private_key, Purpose::Secret),
        ("signers", &ca.signers, Purpose::Trust),
        ("secret_file", &ca.secret_file, Purpose::Secret),
        ("password_file", &ca.password_file, Purpose::Secret),
        ("issuers", &ca.issuers, Purpose::Trust),
    ] {
        if let Some(file) = file {
            paths.push(named(key, file, purpose));
        }
    }
    if let Some(program) = ca.revoke_command.first() {
        paths.push(named(
            "revoke_command",
            Path::new(program),
            Purpose::Content,
        ));
    }
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
    if let Some(enrolment) = &section.enrolment {
        authority(&enrolment.ca, "gateway.enrolment.ca", &mut paths);
    }
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn set_mode(path: &Path, mode: u32) {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn what_says_who_is_trusted_is_refused_when_everybody_may_change_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("authority.pem");
        std::fs::write(&path, "").unwrap();
        for (purpose, mode, accepted) in [
            (Purpose::Trust, 0o644, true),
            (Purpose::Trust, 0o660, true),
            (Purpose::Trust, 0o646, false),
            (Purpose::Content, 0o646, true),
        ] {
            set_mode(&path, mode);
            let checked = NamedPath::new("gateway.connector_ca", &path, purpose).check();
            assert_eq!(checked.is_ok(), accepted, "{mode:o} {checked:?}");
        }
    }

    #[test]
    fn a_folder_that_everybody_may_write_is_refused_unless_each_keeps_what_is_his() {
        let above = tempfile::tempdir().unwrap();
        let folder = above.path().join("state");
        std::fs::create_dir(&folder).unwrap();
        for (mode, accepted) in [(0o700, true), (0o770, true), (0o777, false), (0o1777, true)] {
            set_mode(&folder, mode);
            let file = NamedPath::new("connector.journal", &folder.join("db"), Purpose::Written);
            assert_eq!(file.check().is_ok(), accepted, "{mode:o}");
            let logs = NamedPath::new("connector.log.directory", &folder, Purpose::Folder);
            assert_eq!(logs.check().is_ok(), accepted, "{mode:o}");
        }
    }
}
