//! What the sandbox leaves to each of the engine's processes, with the paths of its configuration. What each needs whatever the configuration
//! says is data of crate `sandbox`; docs/sandbox.md shows it.

use crate::config::EngineConfig;
use crate::engine::policy::approvals_folder;
use hsm::pkcs11::{Footprint, footprint};
use sandbox::modules::{self, ModuleNeeds};
use sandbox::{Access, Family, Kernel, Profile, Refused, Report, Want};
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

/// What is asked for, by the supervisor's configuration and command line; its parts are told by arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sandboxing {
    /// How much of it.
    pub want: Want,
    /// No Landlock ABI above this one: as on an older kernel.
    pub landlock_abi: Option<u8>,
}

impl Sandboxing {
    /// What this kernel has, as far as it may be used.
    #[must_use]
    pub fn kernel(self) -> Kernel {
        if self.want == Want::Off {
            // Not even asked.
            return Kernel::none();
        }
        let running = Kernel::running();
        match self.landlock_abi {
            Some(abi) => running.with_landlock_abi_at_most(abi),
            None => running,
        }
    }

    /// The arguments that tell a part.
    #[must_use]
    pub fn arguments(self) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = vec!["--sandbox".into(), self.want.name().into()];
        if let Some(abi) = self.landlock_abi {
            arguments.push("--landlock-abi".into());
            arguments.push(abi.to_string().into());
        }
        arguments
    }

    /// Puts a profile in force and logs what is and what is not.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn apply(self, profile: &Profile) -> Result<Report, Refused> {
        // Secrets are laid out by pages. Their size is asked of the kernel once, in a way (PR_GET_AUXV, /proc/self/auxv) that the sandbox
        // closes: rustix would panic.
        let _ = rustix::param::page_size();
        let report = sandbox::apply(profile, &self.kernel(), self.want)?;
        tracing::info!(profile = report.profile, "sandbox: {}", report.words());
        for path in &report.absent {
            tracing::warn!(
                profile = report.profile,
                path = %path.display(),
                "is not there: it cannot be used in the sandbox before this process is replaced"
            );
        }
        for lacking in &report.lacking {
            tracing::warn!(profile = report.profile, "sandbox: {lacking}");
        }
        Ok(report)
    }
}

/// A module's needs, as data and as its configuration has them.
fn needs(config: &EngineConfig) -> Vec<(&'static ModuleNeeds, Footprint)> {
    let environment = config.token_environment();
    config
        .named_tokens()
        .map(|(_, token)| {
            let kind = token.library_kind();
            let needs = modules::named(kind.name()).unwrap_or(modules::NETWORK);
            let mut found = footprint(kind, &environment, token.init_parameters.as_deref());
            found.write.extend(token.sandbox_paths.iter().cloned());
            (needs, found)
        })
        .collect()
}

/// Custody's profile.
#[must_use]
pub fn custody(config: &EngineConfig, config_path: &Path) -> Profile {
    let needs = needs(config);
    let mut kinds: Vec<&'static ModuleNeeds> = needs.iter().map(|(kind, _)| *kind).collect();
    kinds.sort_by_key(|kind| kind.name);
    kinds.dedup_by_key(|kind| kind.name);
    let mut profile = sandbox::engine::custody(&kinds);
    for (_, found) in &needs {
        for path in &found.read {
            profile.path(path, Access::Read);
        }
        for path in &found.write {
            let access = if path.starts_with("/dev") && !path.starts_with("/dev/shm") {
                Access::Use
            } else {
                Access::Write
            };
            profile.path(path, access);
        }
        if found.tcp {
            profile.family(Family::Inet);
            profile.calls(sandbox::calls::SOCKETS);
        }
    }
    // Files that are read again, and replaced by a new one of the same name: what is allowed is a folder then.
    let pins = config
        .named_tokens()
        .filter_map(|(_, token)| token.pin_file.as_deref());
    let lists = config.device_policy.crls.iter().map(PathBuf::as_path);
    for file in std::iter::once(config_path).chain(pins).chain(lists) {
        if let Some(folder) = file.parent() {
            profile.path(folder, Access::Read);
        }
    }
    if let Some(credentials) = std::env::var_os("CREDENTIALS_DIRECTORY") {
        profile.path(PathBuf::from(credentials), Access::Read);
    }
    if let Some(audit) = &config.audit {
        profile.path(&audit.folder, Access::Write);
        if let Some(folder) = audit.signing_key_file.as_deref().and_then(Path::parent) {
            profile.path(folder, Access::Read);
        }
        if let Some(folder) = audit.anchor_file.as_deref().and_then(Path::parent) {
            profile.path(folder, Access::Write);
        }
    }
    // Usually in the audit log's folder, which is allowed already, and made later.
    if let Some(folder) = approvals_folder(config)
        && !profile
            .rules
            .iter()
            .any(|rule| folder.starts_with(&rule.path))
    {
        profile.path(folder, Access::Read);
    }
    // Of which PINs were refused, beside the socket.
    if let Some(folder) = config.socket.parent() {
        profile.path(folder, Access::Write);
    }
    profile
}

/// Makes the audit log's folder where it is not there, for its owner alone: what is not there cannot be allowed. Custody tells what is wrong
/// with it.
pub fn make_folders(config: &EngineConfig) {
    if let Some(audit) = &config.audit
        && !audit.folder.exists()
    {
        let made = std::fs::DirBuilder::new().mode(0o700).create(&audit.folder);
        // Or a power cut takes the folder away, with all that was durable in it.
        if let (Ok(()), Some(parent)) = (made, audit.folder.parent()) {
            let _ = std::fs::File::open(parent).and_then(|parent| parent.sync_all());
        }
    }
}

/// The supervisor's profile: its parts can have nothing that it does not have.
///
/// `program` is what its parts are executed from: the file that is there now, under whatever name later.
#[must_use]
pub fn supervisor(config: &EngineConfig, config_path: &Path, program: &Path) -> Profile {
    let mut profile = sandbox::engine::supervisor(&custody(config, config_path));
    // The service manager's socket may be one without a file.
    profile.abstract_sockets = std::env::var_os("NOTIFY_SOCKET")
        .is_some_and(|name| name.as_encoded_bytes().starts_with(b"@"));
    profile.path(program, Access::Execute);
    if let Some(folder) = config.socket.parent() {
        profile.path(folder, Access::Listen);
    }
    // What custody reads and loads before it restricts itself.
    for (_, token) in config.named_tokens() {
        if let Ok(module) = token.module.canonicalize() {
            profile.path(module.parent().unwrap_or(&module), Access::Read);
        }
    }
    for file in config
        .device_anchors
        .iter()
        .chain(&config.device_policy.crls)
        .chain(config.importers.iter().map(|importer| &importer.public_key))
        .chain(config.approvals.iter().flat_map(|one| &one.approvers))
        .chain(config.ca.iter().map(|ca| &ca.certificate))
    {
        profile.path(file, Access::Read);
        if let Some(folder) = file.parent() {
            profile.path(folder, Access::Read);
        }
    }
    profile
}

/// Files and folders of a token as they were when the profile was put in force: Landlock goes by the file, not by its name.
#[derive(Debug, Default)]
pub struct Seen(Vec<(PathBuf, Option<(u64, u64)>)>);

impl Seen {
    /// Takes note of where the tokens of this configuration are now.
    #[must_use]
    pub fn now(config: &EngineConfig) -> Self {
        let paths = needs(config)
            .into_iter()
            .flat_map(|(_, found)| found.write.into_iter().chain(found.read))
            // A module that was not there could not be loaded.
            .chain(config.named_tokens().map(|(_, token)| token.module.clone()))
            .map(|path| {
                let file = identity(&path);
                (path, file)
            })
            .collect();
        Self(paths)
    }

    /// A path at which there is another file or folder by now, which this process cannot reach.
    #[must_use]
    pub fn replaced(&self) -> Option<&Path> {
        self.0
            .iter()
            .find(|(path, then)| {
                let now = identity(path);
                now.is_some() && now != *then
            })
            .map(|(path, _)| path.as_path())
    }
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    let found = std::fs::metadata(path).ok()?;
    Some((found.dev(), found.ino()))
}

/// What the kernel says of a process, which that process cannot make up (proc(5), `/proc/PID/status`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KernelWord {
    /// Mode of seccomp: 0 none, 2 filters.
    pub seccomp: u32,
    /// Filters in force.
    pub seccomp_filters: u32,
    /// Whether it can gain no rights by exec.
    pub no_new_privs: bool,
}

impl KernelWord {
    /// Of a process; `None` where the kernel does not tell.
    #[must_use]
    pub fn of(pid: u32) -> Option<Self> {
        let text = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let field = |name: &str| -> Option<u32> {
            text.lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?
                .trim()
                .parse()
                .ok()
        };
        Some(Self {
            seccomp: field("Seccomp")?,
            seccomp_filters: field("Seccomp_filters").unwrap_or_default(),
            no_new_privs: field("NoNewPrivs")? == 1,
        })
    }
}
