//! Where it is noted that a token refused a PIN, so that no further command tries the same one: tokens lock themselves after a few.
//!
//! | who | notes it in | reads besides |
//! |---|---|---|
//! | the engine | `*.pin-refused` beside its socket | |
//! | its own user, by a command with its configuration | the same file | the user's own |
//! | anybody else, by a command | a file in the state folder of their own | the engine's, where they may read it |
//! | root, by a command with the configuration of another user's engine | as anybody else, and afterwards in the engine's | the engine's |

use crate::config::{EngineConfig, TokenSection};
use crate::encoding::hex;
use fips::digest::{Hash, digest};
use fips::secret::file::{self, Rights};
use hsm::PinProblem;
use hsm::pin::{PinSource, notes};
use hsm::pkcs11::TokenConfig;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Says where the state folder is, where the rest of the environment is a token's and not the user's. An absolute path.
pub const STATE_VARIABLE: &str = "PFX_CONNECTOR_STATE";
/// Digits that tell the tokens of a user apart.
const DIGITS: usize = 16;

/// The files about one token.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PinMemory {
    /// In this user's state folder, if there is one.
    own: Option<PathBuf>,
    engine: Option<PathBuf>,
}

impl PinMemory {
    /// That of a token which no engine uses.
    #[must_use]
    pub fn of_user(token: &TokenConfig) -> Self {
        let Some(folder) = state_folder() else {
            return Self::default();
        };
        let mut name = token.module.as_os_str().as_bytes().to_vec();
        name.push(0);
        name.extend(token.token_label.as_deref().unwrap_or_default().bytes());
        let mut name = hex(digest(Hash::Sha256, &name).as_ref());
        name.truncate(DIGITS);
        Self {
            own: Some(folder.join(format!("{name}.pin-refused"))),
            engine: None,
        }
    }

    /// That of a token of this engine's.
    #[must_use]
    pub fn of_engine(token: &TokenConfig, engine: &EngineConfig, section: &TokenSection) -> Self {
        let named = engine.named_tokens().find(|(_, known)| *known == section);
        Self {
            engine: named.map(|(name, _)| engine.pin_memory(name)),
            ..Self::of_user(token)
        }
    }

    /// Whether this user is the engine's: the folder beside the socket belongs to nobody else.
    fn is_engines_user(&self) -> bool {
        let folder = self.engine.as_deref().and_then(Path::parent);
        folder
            .and_then(|folder| std::fs::metadata(folder).ok())
            .is_some_and(|folder| folder.uid() == rustix::process::geteuid().as_raw())
    }

    /// The file that custody is to note refusals in, and the other one.
    fn files(&self) -> (Option<&Path>, Option<&Path>) {
        let (own, engine) = (self.own.as_deref(), self.engine.as_deref());
        if self.is_engines_user() {
            (engine, own)
        } else {
            (own, engine)
        }
    }

    /// Before the token is opened: the file for [`TokenConfig::pin_memory`], which has by now what the others say of the PIN in `source`.
    #[must_use]
    pub fn prepare(&self, source: &PinSource) -> Option<PathBuf> {
        let (file, other) = self.files();
        let file = file?;
        if self.own.as_deref() == Some(file)
            && let Some(folder) = file.parent()
            && let Err(error) = file::create_folder(folder, Rights::Owner)
        {
            tracing::info!(
                folder = %folder.display(),
                "the folder for what is remembered of refused PINs cannot be used: {error}"
            );
            return None;
        }
        if let Some(other) = other {
            take_over(other, file, source);
        }
        Some(file.to_owned())
    }

    /// After the token was not opened: tells the engine, where only root can tell it, and says where it is noted that the PIN was refused,
    /// or that it is not, and what to do; `None`: it was not refused, or somebody is asked for it each time.
    #[must_use]
    pub fn refused(&self, error: &hsm::Error, source: &PinSource) -> Option<String> {
        self.tell_engine(source);
        if !matches!(
            error,
            hsm::Error::Pin(
                PinProblem::Incorrect | PinProblem::RefusedBefore | PinProblem::Expired
            )
        ) {
            return None;
        }
        let files: Vec<_> = [&self.engine, &self.own]
            .into_iter()
            .flatten()
            .filter(|file| notes::says_refused(file, source))
            .map(|file| file.display().to_string())
            .collect();
        source.stamp()?;
        Some(if files.is_empty() {
            "put the right PIN into its source, before any further command tries this one again and the token locks itself: it could not be \
             noted that it was refused (neither XDG_STATE_HOME nor HOME names a folder that this user may write to)"
                .to_owned()
        } else {
            format!(
                "put the right PIN into its source: this one is not tried again. That it was refused is noted in {}, until the source is \
                 written again, be it with the same PIN",
                files.join(" and ")
            )
        })
    }

    fn tell_engine(&self, source: &PinSource) {
        if let Some(engine) = &self.engine
            && let Some(own) = &self.own
            && rustix::process::geteuid().is_root()
            && !self.is_engines_user()
            && engine.parent().is_some_and(Path::is_dir)
        {
            take_over(own, engine, source);
        }
    }
}

/// A file that cannot be read by this user says nothing to it; one that cannot be written costs a further try at the most.
fn take_over(from: &Path, to: &Path, source: &PinSource) {
    match notes::take_over(from, to, source) {
        Ok(_) => {}
        Err(error) => tracing::info!(
            from = %from.display(),
            to = %to.display(),
            "what is noted of refused PINs cannot be taken over: {error}"
        ),
    }
}

/// The folder for what this user's commands remember (XDG Base Directory Specification).
#[must_use]
pub fn state_folder() -> Option<PathBuf> {
    let absolute = |name: &str| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    if let Some(told) = absolute(STATE_VARIABLE) {
        return Some(told);
    }
    absolute("XDG_STATE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".local/state")))
        .map(|folder| folder.join("pfx-connector"))
}

/// The variable that tells another process of this program where the state folder is.
#[must_use]
pub fn state_variable() -> Option<(OsString, OsString)> {
    state_folder().map(|folder| (STATE_VARIABLE.into(), folder.into()))
}
