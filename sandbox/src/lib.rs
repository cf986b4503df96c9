//! What a process may still do once it has everything that it needs.
//!
//! ```text
//!  Profile (data)          apply()                        from then on
//!  -------------           ----------------------------   ------------------------------------------------------
//!  paths, by right   -->   Landlock (its ABI, or less)    a file outside of the list: EACCES, also by a link
//!  system calls      -->   seccomp, two filters           a call outside of the list: EPERM, or the process ends
//!  socket families   -->   seccomp, Landlock's TCP        no address family that is not named
//!                          |
//!                          `--> Report: what is in force, what this kernel lacks
//! ```
//!
//! A profile is data, so that a page of documentation and a report can be made from it. It only ever takes rights away: a child
//! process has what its parent has left it, and may give up more. Nothing here can fail open without saying so: what a kernel lacks is
//! in the [`Report`], and [`apply`] refuses instead where it was told that everything is required.
//!
//! Order: read the configuration, load libraries, then [`apply`] on the first thread before there are others (Landlock is a thread's and of
//! those that it starts), then everything else.
//!
//! Linux alone has these two; where something else is built, [`apply`] reports that nothing is in force.
#![forbid(unsafe_code)]

pub mod calls;
pub mod engine;
mod kernel;
#[cfg(target_os = "linux")]
mod landlock;
pub mod modules;
mod profile;
mod report;
#[cfg(target_os = "linux")]
mod seccomp;

pub use kernel::{HIGHEST_TRIED_ABI, Kernel, LOWEST_SUFFICIENT_ABI, Want};
pub use profile::{Access, Family, Profile, Rule, Violation};
pub use report::{Refused, Report};

/// Puts `profile` in force for this process, for good. Call it on the first thread while there is no other: Landlock does not reach
/// threads that are there already.
///
/// With [`Want::Off`] nothing is done, with [`Want::Available`] what the kernel has; both say so in the report.
///
/// # Errors
/// [`Refused`] under [`Want::Required`] when the kernel lacks Landlock (ABI 2 at least) or seccomp, before anything is put in force; under
/// any other when the kernel refuses what it says it has. The process should end then: a part may be in force.
pub fn apply(profile: &Profile, kernel: &Kernel, want: Want) -> Result<Report, Refused> {
    let mut report = Report::nothing(profile, kernel, want);
    if want == Want::Off {
        return Ok(report);
    }
    if want == Want::Required
        && let Some(missing) = kernel.insufficient()
    {
        return Err(Refused::Kernel(missing));
    }
    #[cfg(target_os = "linux")]
    {
        // Where memory is locked, rustix asks for the page's size, which it reads by prctl(2) or from /proc/self/auxv, once: it panics where it
        // cannot any more.
        let _ = rustix::param::page_size();
        if kernel.landlock_abi() > 0 {
            landlock::apply(profile, kernel, &mut report)?;
        }
        if kernel.has_seccomp() {
            seccomp::apply(profile, &mut report)?;
        }
    }
    Ok(report)
}
