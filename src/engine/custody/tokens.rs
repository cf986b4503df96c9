//! The tokens of this process, as one group: it serves as soon as one of them is open.

use super::labels::Labels;
use super::receipts::Canaries;
use super::token::Keeper;
use super::{CustodyError, Shared, watchdog};
use crate::config::{self, EngineConfig};
use crate::engine::api::TOKEN_OPENING;
use crate::engine::ipc::{Frame, Kind};
use hsm::clock::MonotonicClock;
use hsm::group::{Group, GroupSettings, MemberState};
use hsm::pkcs11::Pkcs11Custody;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// How often the configuration file is looked at for tokens to be drained.
const DRAIN_INTERVAL: Duration = Duration::from_millis(500);
/// For so long after the start of this process a request waits for a token that may be there in a moment: the process before may have been
/// given up over a token that was away. Later, one that is away stays away, and whoever asks had better know.
pub(super) const OPENING: Duration = Duration::from_secs(30);
/// So long before its deadline a request waits no more: what is told then says more than that the time was over.
const BEFORE_THE_DEADLINE: Duration = Duration::from_millis(250);
/// How often somebody who waits looks.
const LOOK: Duration = Duration::from_millis(20);

/// The tokens.
pub(super) struct Tokens {
    pub(super) group: Group,
    pub(super) keepers: Vec<Keeper>,
    started: Instant,
    /// Signing keys on them, by their labels.
    pub(super) labels: Labels,
}

impl Tokens {
    /// None of them open yet.
    ///
    /// # Errors
    /// [`CustodyError::PinSource`] and [`CustodyError::Tokens`]: the configuration.
    pub(super) fn new(
        config: &EngineConfig,
        extractable_keys: bool,
        canaries: &Canaries,
    ) -> Result<Self, CustodyError> {
        let keepers = config
            .named_tokens()
            .map(|(name, section)| {
                Keeper::new(
                    name,
                    section,
                    config,
                    extractable_keys,
                    canaries.observer(name),
                )
            })
            .collect::<Option<Vec<_>>>()
            .ok_or(CustodyError::PinSource)?;
        let names = keepers.iter().map(|keeper| keeper.name.clone());
        let hedge = u64::from(config.hedge_percent);
        let settings = GroupSettings {
            hedge_per_mille: (hedge > 0).then_some(hedge * 10),
        };
        let group = Group::new(names, settings, MonotonicClock::start())
            .map_err(|error| CustodyError::Tokens(error.to_string()))?;
        drain(&group, config);
        Ok(Self {
            group,
            keepers,
            started: Instant::now(),
            labels: Labels::default(),
        })
    }

    /// Loads the libraries of all tokens, without C_Initialize: afterwards this process may not be able to.
    pub(super) fn load_modules(&self) {
        self.keepers.iter().for_each(Keeper::load_module);
    }

    /// Those that are open, each with its name; the one called `first` before the others.
    pub(super) fn open_in_order(
        &self,
        first: Option<&str>,
    ) -> impl Iterator<Item = (&str, &Pkcs11Custody)> {
        self.in_order(first)
            .filter_map(|keeper| Some((keeper.name.as_str(), keeper.custody()?)))
    }

    /// All of them, the one called `first` before the others.
    pub(super) fn in_order(&self, first: Option<&str>) -> impl Iterator<Item = &Keeper> {
        let is_first = move |keeper: &&Keeper| Some(keeper.name.as_str()) == first;
        let others = self.keepers.iter().filter(move |one| !is_first(one));
        self.keepers.iter().filter(is_first).chain(others)
    }

    /// The tokens, if one of them serves.
    ///
    /// # Errors
    /// Why none does, for the operator.
    pub(super) fn get(&self) -> Result<&Group, String> {
        if self.group.serves() {
            Ok(&self.group)
        } else {
            Err(self.problem())
        }
    }

    /// As [`get`](Self::get), and waits while the tokens are being opened, at most until shortly before `deadline`.
    ///
    /// # Errors
    /// As told there.
    pub(super) fn get_by(&self, deadline: Instant) -> Result<&Group, String> {
        let until = deadline
            .checked_sub(BEFORE_THE_DEADLINE)
            .map_or(deadline, |until| until.min(self.started + OPENING));
        while !self.group.serves() && self.may_be_there_soon() && Instant::now() < until {
            std::thread::sleep(LOOK);
        }
        self.get()
    }

    /// Whether a token is not open yet only because it is not there, or is being opened.
    fn may_be_there_soon(&self) -> bool {
        let members = self.group.members();
        self.keepers
            .iter()
            .zip(members)
            .any(|(keeper, member)| !member.drained && keeper.may_be_there_soon())
    }

    /// Why none serves, or what is wrong with those that do not.
    fn problem(&self) -> String {
        let members = self.group.members();
        let alone = members.len() == 1;
        let problems: Vec<_> = members
            .into_iter()
            .filter_map(|member| {
                let problem = match (member.problem, member.drained, member.state) {
                    (Some(problem), _, _) => problem,
                    (None, true, _) => "it is drained: requests go to it again once `drain` is taken out of the configuration".to_owned(),
                    (None, false, MemberState::Opening) if !alone => TOKEN_OPENING.to_owned(),
                    (None, false, _) => return None,
                };
                Some(if alone {
                    problem
                } else {
                    format!("{}: {problem}", member.name)
                })
            })
            .collect();
        if problems.is_empty() {
            TOKEN_OPENING.to_owned()
        } else {
            problems.join("; ")
        }
    }
}

/// Starts a thread for each token, and one that looks for tokens to be drained. The supervisor is told that this process is ready when
/// one of the tokens is open, or every one was tried.
///
/// # Errors
/// Of the system, for a thread.
pub(super) fn start(shared: &Arc<Shared>) -> std::io::Result<()> {
    let left = Arc::new(AtomicUsize::new(shared.tokens.keepers.len()));
    for place in 0..shared.tokens.keepers.len() {
        let (shared, left) = (Arc::clone(shared), Arc::clone(&left));
        std::thread::Builder::new()
            .name(format!("token-{place}"))
            .spawn(move || {
                let Some(keeper) = shared.tokens.keepers.get(place) else {
                    return;
                };
                let tried = || {
                    let was_last = left.fetch_sub(1, Ordering::Relaxed) == 1;
                    // Told more than once where several are open: the supervisor takes the first.
                    if was_last || shared.tokens.group.serves() {
                        shared.link.send(Frame::bare(Kind::Ready, 0));
                    }
                };
                if shared.sandbox.is_partly_in_force()
                    && let Some(not_loaded) = keeper.not_loaded()
                {
                    keeper.stay_away(&shared.tokens.group, not_loaded);
                    return tried();
                }
                let hopeless = keeper.keep_open(&shared.tokens.group, tried, || {
                    // Others serve in this process; to them it would be a loss.
                    if shared.tokens.group.serves() || shared.sandbox.landlock_abi == 0 {
                        return None;
                    }
                    let path = shared.seen.replaced()?;
                    Some(format!(
                        "{} is another one than at the start, and the sandbox goes by what was there then",
                        path.display()
                    ))
                });
                if let Some(reason) = hopeless {
                    tracing::error!(name = keeper.name, "{reason}: this process is replaced");
                    watchdog::leave_over_a_token(&shared);
                }
            })?;
    }
    let draining = Arc::clone(shared);
    std::thread::Builder::new()
        .name("drain".to_owned())
        .spawn(move || watch_configuration(&draining.tokens.group, &draining.config_path))
        .map(drop)
}

/// Takes tokens out of service, and into it again, as the configuration file says. Nothing else of it is taken over.
fn watch_configuration(group: &Group, path: &Path) -> ! {
    // It may have been changed since this process read it.
    let mut seen = None;
    loop {
        std::thread::sleep(DRAIN_INTERVAL);
        let now = stamp(path);
        if now == seen {
            continue;
        }
        seen = now;
        match config::load(path) {
            Ok(config) => {
                if let Some(engine) = &config.engine {
                    drain(group, engine);
                }
            }
            Err(error) => {
                tracing::warn!("the configuration was changed and cannot be read: {error}");
            }
        }
    }
}

fn drain(group: &Group, config: &EngineConfig) {
    for member in group.members() {
        let wanted = config
            .named_tokens()
            .find(|(name, _)| *name == member.name)
            .map(|(_, section)| section.drain);
        match wanted {
            Some(true) if !member.drained => {
                tracing::warn!(name = %member.name, "the token is drained: it gets no new requests");
                group.drain(&member.name);
            }
            Some(false) if member.drained => {
                tracing::info!(name = %member.name, "the token gets requests again");
                group.undrain(&member.name);
            }
            _ => {}
        }
    }
}

/// What changes when somebody writes the file.
fn stamp(path: &Path) -> Option<(i64, i64, u64, u64)> {
    let found = std::fs::metadata(path).ok()?;
    Some((found.mtime(), found.mtime_nsec(), found.ino(), found.len()))
}
