//! What may be done in this process: one table of every cryptographic service, one mode, and exceptions by name.
//!
//! ```text
//!   a function of this crate (or of `hsm`)
//!        |  which service is this, with these very arguments?          Service
//!        v
//!   decide(service) ---- the table: approved? ------------- yes ---->  Permit --.
//!        |                     | no                                             |  perform(work)
//!        |                     v                                                v
//!        |               mode off, or the exception is named? -- yes -->  indicator before
//!        |                     | no                                       the module, the token
//!        v                     v                                          indicator after
//!   the module has failed:  NotApproved: algorithm, service, remedy             |
//!   nothing more is done                                                        v
//!                                         agrees with the table? -- no --> fault: the result is thrown away,
//!                                                    | yes                         nothing more is done
//!                                                    v
//!                                                 result, counted
//! ```
//!
//! Rules that follow from it:
//! * The policy is of the process, fixed once by [`enforce`]. Before that it is [`Mode::Strict`] without exceptions: what nobody
//!   has decided is refused.
//! * A [`Permit`] can be made by [`decide`] alone, and whatever reaches the module takes one. [`Service::entry`] is one `match`
//!   without a wildcard: a service without a decision does not compile.
//! * Functions name their service from the arguments they were given, so nobody can claim the parameters of another call.
//! * The table decides. The module's indicator is a cross-check: it reads "approved" for RSA encryption and for tiny MAC keys.
//! * [`Mode::Off`] permits everything and goes on counting. It is refused while the system itself demands FIPS mode.

mod counters;
mod exception;
mod fault;
mod permit;
mod rows;
mod service;
pub mod system;
mod table;

pub use counters::{ServiceCount, counts, not_approved};
pub use exception::{Exception, Exceptions, UnknownException};
pub use fault::{Fault, fault};
pub(crate) use fault::{declare as declare_fault, test_seam};
pub(crate) use permit::perform_infallible;
pub use permit::{Permit, decide, perform};
pub use service::Service;
pub use table::{Bound, Entry, IndicatorReading, Performer, Standing, TABLE_VERSION, bounds};

use crate::{Error, Result};
use std::sync::OnceLock;

/// Whether what is not approved is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// What the table does not call approved is refused, unless its exception is named.
    Strict,
    /// Everything is done, and what is not approved is counted.
    Off,
}

impl Mode {
    /// Its name in configurations and reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Strict => "strict",
            Self::Off => "off",
        }
    }
}

/// A mode with its exceptions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    mode: Mode,
    exceptions: Exceptions,
}

impl Policy {
    /// [`Mode::Strict`] without exceptions.
    pub const STRICT: Self = Self {
        mode: Mode::Strict,
        exceptions: Exceptions::NONE,
    };

    /// [`Mode::Off`].
    pub const OFF: Self = Self {
        mode: Mode::Off,
        exceptions: Exceptions::NONE,
    };

    /// [`Mode::Strict`] with these exceptions.
    #[must_use]
    pub fn strict_except(exceptions: impl IntoIterator<Item = Exception>) -> Self {
        Self {
            mode: Mode::Strict,
            exceptions: exceptions.into_iter().collect(),
        }
    }

    /// The mode.
    #[must_use]
    pub const fn mode(self) -> Mode {
        self.mode
    }

    /// The exceptions that are named; with [`Mode::Off`] they mean nothing.
    #[must_use]
    pub const fn exceptions(self) -> Exceptions {
        self.exceptions
    }

    /// Whether `service` may be performed under this policy.
    #[must_use]
    pub fn allows(self, service: Service) -> bool {
        match (self.mode, service.entry().standing) {
            (Mode::Off, _) | (_, Standing::Approved) => true,
            (Mode::Strict, Standing::NotApproved { exception, .. }) => {
                self.exceptions.contains(exception)
            }
            (Mode::Strict, Standing::OffOnly { .. }) => false,
        }
    }
}

static IN_FORCE: OnceLock<Policy> = OnceLock::new();

/// Puts `policy` in force for this process, for good. Again with the same policy it changes nothing.
///
/// # Errors
/// [`Error::SystemRequiresFips`] for [`Mode::Off`] while the system demands FIPS mode; [`Error::PolicyTaken`] when another
/// policy is in force already.
pub fn enforce(policy: Policy) -> Result<()> {
    if policy.mode == Mode::Off && system::setting() == system::Setting::Required {
        return Err(Error::SystemRequiresFips);
    }
    if *IN_FORCE.get_or_init(|| policy) == policy {
        return Ok(());
    }
    Err(Error::PolicyTaken)
}

/// The policy in force; [`Policy::STRICT`] while nobody has said anything.
#[must_use]
pub fn in_force() -> Policy {
    #[cfg(test)]
    if let Some(policy) = tests::override_of_this_thread() {
        return policy;
    }
    IN_FORCE.get().copied().unwrap_or(Policy::STRICT)
}

#[cfg(test)]
pub(crate) mod tests;
