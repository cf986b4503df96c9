//! The decision about one use of a service, and the use itself between two readings of the indicator.

use super::counters::{Outcome, count};
use super::{Fault, IndicatorReading, Mode, Service, Standing, fault};
use crate::{Error, Result, indicator};
use std::time::SystemTime;

/// The proof that a use of a service has been decided. [`decide`] alone makes it; it is used up by [`Permit::perform`].
#[derive(Debug)]
#[must_use = "a decision that nothing is done with"]
pub struct Permit {
    service: Service,
    // Nobody else can write this structure down.
    _decided: (),
}

/// Decides about one use of `service` under the policy in force.
///
/// # Errors
/// [`Error::NotApproved`], which names algorithm, service and remedy; [`Error::ModuleFault`] after a fault.
pub fn decide(service: Service) -> Result<Permit> {
    if let Some(fault) = fault() {
        count(service, Outcome::Refused);
        return Err(Error::ModuleFault {
            fault: fault.code(),
        });
    }
    if super::in_force().allows(service) {
        return Ok(Permit {
            service,
            _decided: (),
        });
    }
    count(service, Outcome::Refused);
    let entry = service.entry();
    Err(match entry.standing {
        Standing::NotApproved { exception, .. } => Error::NotApproved {
            service: entry.name,
            algorithm: entry.operation,
            remedy: entry.remedy,
            exception: exception.name(),
        },
        Standing::OffOnly { .. } => Error::NotApproved {
            service: entry.name,
            algorithm: entry.operation,
            remedy: entry.remedy,
            exception: "",
        },
        // Not reached: what is approved is allowed.
        Standing::Approved => Error::Module {
            operation: entry.operation,
        },
    })
}

impl Permit {
    /// The service that was decided about.
    #[must_use]
    pub const fn service(&self) -> Service {
        self.service
    }

    /// Performs the one use that was decided about, on this thread, and counts it.
    ///
    /// # Errors
    /// Those of `work`; [`Error::ModuleFault`] when the indicator contradicts the table in strict mode, or when another thread
    /// found the module at fault meanwhile: the result, a failure among them, says nothing then and is thrown away, and nothing
    /// more is done in this process.
    pub fn perform<T, E: From<Error>>(
        self,
        work: impl FnOnce(&Self) -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        let (result, moved) = indicator::observe(|| work(&self));
        if let Some(fault) = fault() {
            count(self.service, Outcome::Failed);
            return Err(Error::ModuleFault {
                fault: fault.code(),
            }
            .into());
        }
        if result.is_err() {
            count(self.service, Outcome::Failed);
            return result;
        }
        self.cross_check(moved)?;
        count(self.service, Outcome::Done);
        result
    }

    fn cross_check(&self, moved: bool) -> Result<()> {
        let moved = moved && !super::test_seam(self.service.name());
        let agrees = match self.service.entry().indicator {
            IndicatorReading::Moves => moved,
            IndicatorReading::StandsStill => !moved,
            IndicatorReading::NoEvidence => true,
        };
        if agrees {
            return Ok(());
        }
        count(self.service, Outcome::Disagreed);
        if super::in_force().mode() == Mode::Off {
            return Ok(());
        }
        let found = Fault::Indicator {
            service: self.service,
            moved,
            at: SystemTime::now(),
        };
        let code = found.code();
        super::declare_fault(found);
        Err(Error::ModuleFault { fault: code })
    }
}

/// Decides and performs in one step.
///
/// # Errors
/// Those of [`decide`], of [`Permit::perform`] and of `work`.
pub fn perform<T, E: From<Error>>(
    service: Service,
    work: impl FnOnce(&Permit) -> std::result::Result<T, E>,
) -> std::result::Result<T, E> {
    decide(service)?.perform(work)
}

/// For the one service that cannot fail and is always approved, hashing: nobody could do anything about an error. A disagreement is
/// a fault all the same, and everything that can fail does from then on.
pub(crate) fn perform_infallible<T>(service: Service, work: impl FnOnce(&Permit) -> T) -> T {
    let permit = Permit {
        service,
        _decided: (),
    };
    let (result, moved) = indicator::observe(|| work(&permit));
    if permit.cross_check(moved).is_ok() {
        count(service, Outcome::Done);
    }
    result
}
