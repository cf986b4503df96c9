//! Where the PIN comes from at this moment, and which PINs were refused.
//!
//! What a token refused is not tried again before its source says something else: in this process by a salted hash of the PIN; in the
//! next one, which has forgotten that, by a [file](Memory) that holds nothing of the PIN, only which state of its source it was.

use std::collections::HashMap;
use std::io::{ErrorKind, Read};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use fips::digest::{Hash, Hasher};
use fips::secret::file::{self, Rights};

use crate::Error;
use crate::error::PinProblem;
use crate::pin::{Pin, PinSource, PinStamp};
use crate::token::TokenFlags;

/// Module path, serial number and label of the token: some modules give all their tokens the same serial number.
pub(super) type TokenId = (PathBuf, String, String);

/// Hashes of the PINs that tokens took or refused last in this process.
static LAST: Mutex<Option<HashMap<TokenId, Last>>> = Mutex::new(None);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Last {
    Taken([u8; 32]),
    Refused([u8; 32]),
}

/// The PIN of a custody's token.
pub(super) struct Credentials {
    source: PinSource,
    /// Kept only if the source cannot be asked twice.
    kept: Option<Pin>,
    memory: Option<Memory>,
    /// Logins of the user that were needed.
    logins: AtomicU64,
}

/// A PIN for one attempt, or that it is entered at the token.
pub(super) enum Entry<'a> {
    Pin(&'a Pin),
    AtTheToken,
}

impl Credentials {
    /// # Errors
    /// [`Error::File`] if a source that can be asked only once has no PIN.
    pub(super) fn new(source: PinSource, memory: Option<PathBuf>) -> Result<Self, Error> {
        // In locked memory, where the system allows it: the status of the process tells.
        let kept = if source.is_readable_again() {
            None
        } else {
            Some(source.read()?)
        };
        Ok(Self {
            source,
            kept,
            memory: memory.map(Memory),
            logins: AtomicU64::new(0),
        })
    }

    /// How often somebody had to log in: when it has changed, the login was gone in between.
    pub(super) fn logins(&self) -> u64 {
        self.logins.load(Ordering::SeqCst)
    }

    pub(super) fn count_login(&self) {
        self.logins.fetch_add(1, Ordering::SeqCst);
    }

    /// True if the PIN stays in memory between logins.
    pub(super) const fn keeps_pin(&self) -> bool {
        self.kept.is_some()
    }

    /// Has `attempt` try the PIN, unless that was refused before. The result of `attempt` says whether the token took it: an inner
    /// error is a refusal, an outer one says nothing about the PIN.
    ///
    /// # Errors
    /// [`Error::Pin`], [`Error::File`] if it cannot be read, whatever `attempt` says.
    pub(super) fn try_once(
        &self,
        token: &TokenId,
        flags: TokenFlags,
        attempt: impl FnOnce(Entry<'_>) -> Result<Result<(), PinProblem>, Error>,
    ) -> Result<(), Error> {
        if self.source == PinSource::AtTheToken {
            return self.remember(token, flags, salted_hash(&[])?, None, || {
                attempt(Entry::AtTheToken)
            });
        }
        let read;
        let (pin, stamp) = match &self.kept {
            Some(pin) => (pin, None),
            None => {
                read = self.source.read_stamped()?;
                (&read.0, read.1.as_ref())
            }
        };
        self.remember(token, flags, salted_hash(pin.expose())?, stamp, || {
            attempt(Entry::Pin(pin))
        })
    }

    fn remember(
        &self,
        token: &TokenId,
        flags: TokenFlags,
        hash: [u8; 32],
        stamp: Option<&PinStamp>,
        attempt: impl FnOnce() -> Result<Result<(), PinProblem>, Error>,
    ) -> Result<(), Error> {
        const BEFORE: Error = Error::Pin(PinProblem::RefusedBefore);
        let last = last(|map| map.get(token).copied());
        if last == Some(Last::Refused(hash)) {
            return Err(BEFORE);
        }
        // What the token took before it will take again, most likely: nothing is written down for each use of a key.
        let is_known = last == Some(Last::Taken(hash));
        let memory = self.memory.as_ref().zip(stamp);
        if let Some((memory, stamp)) = memory
            && !is_known
        {
            match memory.of(token) {
                Some((Outcome::Refused, then)) if then == stamp.to_string() => return Err(BEFORE),
                // A process ended in the midst of it. If the token counts a wrong PIN since the last right one, it was this.
                Some((Outcome::Unknown, then))
                    if then == stamp.to_string() && flags.user_pin_count_low =>
                {
                    return Err(BEFORE);
                }
                _ => memory.set(token, Some((Outcome::Unknown, stamp))),
            }
        }
        let outcome = attempt();
        match &outcome {
            // The PIN was not judged. A token that is locked or has none keeps the next attempt back by its flags.
            Ok(Err(PinProblem::Locked | PinProblem::NotInitialized)) | Err(_) => {
                if let Some((memory, _)) = memory {
                    memory.set(token, None);
                }
            }
            Ok(Err(_)) => {
                self::last(|map| map.insert(token.clone(), Last::Refused(hash)));
                if let Some((memory, stamp)) = memory {
                    memory.set(token, Some((Outcome::Refused, stamp)));
                }
            }
            Ok(Ok(())) => {
                self::last(|map| map.insert(token.clone(), Last::Taken(hash)));
                if let Some((memory, _)) = memory
                    && !is_known
                {
                    memory.set(token, None);
                }
            }
        }
        outcome?.map_err(Error::Pin)
    }
}

fn last<T>(action: impl FnOnce(&mut HashMap<TokenId, Last>) -> T) -> T {
    let mut map = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    action(map.get_or_insert_default())
}

/// SHA-256 of a random salt of this process and the PIN: enough to see that a PIN has not changed, and gone with the process.
fn salted_hash(pin: &[u8]) -> Result<[u8; 32], Error> {
    static SALT: OnceLock<[u8; 32]> = OnceLock::new();
    let salt = match SALT.get() {
        Some(salt) => salt,
        None => {
            let mut salt = [0; 32];
            fips::random::fill(&mut salt).map_err(|_| Error::Internal("no random bytes"))?;
            SALT.get_or_init(|| salt)
        }
    };
    Ok(sha256(&[salt, pin]))
}

fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Hasher::new(Hash::Sha256);
    for part in parts {
        hasher.update(part);
    }
    let digest = hasher.finish();
    let mut hash = [0; 32];
    for (to, from) in hash.iter_mut().zip(digest.as_ref()) {
        *to = *from;
    }
    hash
}

/// What became of the last attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// It was begun.
    Unknown,
    Refused,
}

impl Outcome {
    const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "begun",
            Self::Refused => "refused",
        }
    }
}

/// A file that outlives the process: one line for each token whose last login failed or did not end.
///
/// ```text
/// sha256(module path, 0, serial number, 0, label) begun|refused device:inode:length:modified
/// ```
///
/// That a file cannot be read or written is logged and stops no login: within the process nothing is tried twice anyway.
struct Memory(PathBuf);

/// More lines than one process has tokens.
const MAX_BYTES: u64 = 64 * 1024;

impl Memory {
    fn of(&self, token: &TokenId) -> Option<(Outcome, String)> {
        let name = name(token);
        self.lines().into_iter().find_map(|line| {
            let mut words = line.split(' ');
            if words.next() != Some(&name) {
                return None;
            }
            let outcome = match words.next()? {
                "refused" => Outcome::Refused,
                _ => Outcome::Unknown,
            };
            Some((outcome, words.next()?.to_owned()))
        })
    }

    fn set(&self, token: &TokenId, outcome: Option<(Outcome, &PinStamp)>) {
        let name = name(token);
        let mut lines = self.lines();
        let before = lines.clone();
        lines.retain(|line| !line.starts_with(&name));
        if let Some((outcome, stamp)) = outcome {
            lines.push(format!("{name} {} {stamp}", outcome.name()));
        }
        if lines == before {
            return;
        }
        let text: String = lines.into_iter().map(|line| line + "\n").collect();
        if let Err(error) = file::replace(&self.0, text.as_bytes(), Rights::Owner) {
            tracing::error!(
                file = %self.0.display(),
                %error,
                "what a token says to a PIN cannot be written down: the next process may try a wrong one once more"
            );
        }
    }

    fn lines(&self) -> Vec<String> {
        let mut text = String::new();
        let read = std::fs::File::open(&self.0)
            .and_then(|file| file.take(MAX_BYTES).read_to_string(&mut text));
        match read {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => {
                tracing::error!(file = %self.0.display(), %error, "which PINs were refused cannot be read");
            }
        }
        text.lines().map(str::to_owned).collect()
    }
}

fn name((module, serial, label): &TokenId) -> String {
    use std::os::unix::ffi::OsStrExt;
    let hash = sha256(&[
        module.as_os_str().as_bytes(),
        &[0],
        serial.as_bytes(),
        &[0],
        label.as_bytes(),
    ]);
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, missing_docs)]
    use super::*;

    fn flags(user_pin_count_low: bool) -> TokenFlags {
        TokenFlags {
            user_pin_count_low,
            ..TokenFlags::default()
        }
    }

    struct Setting {
        folder: tempfile::TempDir,
        token: TokenId,
    }

    impl Setting {
        fn new(serial: &str) -> Self {
            Self {
                folder: tempfile::tempdir().unwrap(),
                token: ("/module".into(), serial.to_owned(), "label".to_owned()),
            }
        }

        fn write_pin(&self, pin: &str) {
            use std::os::unix::fs::PermissionsExt;
            let path = self.folder.path().join("pin");
            std::fs::write(&path, pin).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        }

        /// Credentials as another process has them: without this process' memory.
        fn in_a_new_process(&self) -> Credentials {
            last(|map| map.remove(&self.token));
            let source = PinSource::File(self.folder.path().join("pin"));
            Credentials::new(source, Some(self.folder.path().join("refused"))).unwrap()
        }

        fn attempt(
            &self,
            flags: TokenFlags,
            answer: Result<Result<(), PinProblem>, Error>,
        ) -> (bool, Result<(), Error>) {
            let mut tried = false;
            let result = self.in_a_new_process().try_once(&self.token, flags, |_| {
                tried = true;
                answer
            });
            (tried, result)
        }
    }

    #[test]
    fn a_refused_pin_is_not_tried_by_the_next_process_until_its_source_changes() {
        let setting = Setting::new("refused");
        setting.write_pin("1234");
        let wrong = || Ok(Err(PinProblem::Incorrect));
        assert!(setting.attempt(flags(false), wrong()).0);
        for _ in 0..3 {
            let (tried, result) = setting.attempt(flags(false), wrong());
            assert!(!tried);
            assert!(matches!(result, Err(Error::Pin(PinProblem::RefusedBefore))));
        }
        // Of the PIN nothing is written down.
        let text = std::fs::read_to_string(setting.folder.path().join("refused")).unwrap();
        assert!(!text.contains("1234") && text.contains(" refused "));
        setting.write_pin("12345");
        let (tried, result) = setting.attempt(flags(true), Ok(Ok(())));
        assert!(tried && result.is_ok());
        let text = std::fs::read_to_string(setting.folder.path().join("refused")).unwrap();
        assert_eq!(text, "");
    }

    #[test]
    fn an_attempt_that_a_process_did_not_survive_is_repeated_unless_the_token_counts_it() {
        let setting = Setting::new("unfinished");
        setting.write_pin("1234");
        let memory = Memory(setting.folder.path().join("refused"));
        let stamp = PinSource::File(setting.folder.path().join("pin")).stamp();
        let die = || {
            memory.set(
                &setting.token,
                stamp.as_ref().map(|it| (Outcome::Unknown, it)),
            )
        };
        let trouble = || Err(Error::Internal("the session is gone"));
        die();
        assert!(setting.attempt(flags(false), trouble()).0);
        // That one is known not to have been judged.
        assert!(setting.attempt(flags(true), trouble()).0);
        die();
        let (tried, result) = setting.attempt(flags(true), trouble());
        assert!(!tried);
        assert!(matches!(result, Err(Error::Pin(PinProblem::RefusedBefore))));
        setting.write_pin("54321");
        assert!(setting.attempt(flags(true), Ok(Ok(()))).0);
    }

    #[test]
    fn tokens_do_not_share_what_they_refused() {
        let (first, second) = (Setting::new("one"), Setting::new("two"));
        first.write_pin("1");
        let memory = Memory(first.folder.path().join("refused"));
        let stamp = PinSource::File(first.folder.path().join("pin"))
            .stamp()
            .unwrap();
        memory.set(&first.token, Some((Outcome::Refused, &stamp)));
        memory.set(&second.token, Some((Outcome::Unknown, &stamp)));
        memory.set(&first.token, Some((Outcome::Unknown, &stamp)));
        assert_eq!(memory.lines().len(), 2);
        memory.set(&second.token, None);
        assert_eq!(
            memory.of(&first.token),
            Some((Outcome::Unknown, stamp.to_string()))
        );
        assert_eq!(memory.of(&second.token), None);
    }
}
