//! `pfx inspect`: what is in a PFX, with which algorithms, and what each platform and FIPS mode say to it.

mod entries;
mod human;
mod refusal;
mod report;

use super::file;
use super::source::SourceArgs;
use crate::cli::output::{self, Exit, Failure, Report};
use crate::cli::{Context, process, prompt};
use clap::Args;
use fips::policy::{self, Exception, Mode};
use fips::secret::SecretBytes;
use formats::pfx::verdict::PasswordFacts;
use formats::pfx::{
    Integrity, OpenedPfx, Passwords, PfxError, PfxLimits, Survey, read_with, survey,
};
use report::{Found, Inspection};
use std::io::IsTerminal;

/// `pfx inspect`.
#[derive(Debug, Args)]
#[command(
    after_help = "Without its password a file shows its algorithms, how many parts it has, and what is not encrypted; `opens` is null then.
Press Enter when asked for a password to look at it so. FILE may be - for standard input.

Example:
  pfx-connector pfx inspect ada.pfx --password-file ada.pw --json"
)]
pub(super) struct InspectArgs {
    #[command(flatten)]
    source: SourceArgs,
}

/// Runs it: a file that does not open is reported too, with what can be seen of it, and the failure beside it.
///
/// # Errors
/// [`Failure`] where there is nothing to report on.
pub(super) fn run(args: &InspectArgs, context: &Context) -> Result<Report, Failure> {
    process::protect_memory()?;
    args.source.start_module()?;
    let limits = PfxLimits::default();
    let json = context.global.json;
    let name = args.source.file.display().to_string();
    let file = file::read(&args.source.file, limits.max_bytes)?;
    let bytes = file.expose();
    let seen = match refusal::other_format(bytes) {
        Some(failure) => return fail(Inspection::of_nothing(&name, bytes.len()), failure, json),
        None => survey(bytes, &limits),
    };
    let seen = match seen {
        Ok(seen) => seen,
        Err(error) => {
            // What the reader itself says to the file decides, where there is a password to read it with.
            let error = match &args.source.password_file {
                Some(_) => {
                    let integrity = args.source.password()?;
                    let privacy = args.source.contents_password()?;
                    let passwords = Passwords {
                        integrity: &integrity,
                        privacy: privacy.as_ref(),
                    };
                    read_with(bytes, passwords, &limits).err().unwrap_or(error)
                }
                None => error,
            };
            let failure = refusal::of(&error, None);
            return fail(Inspection::of_nothing(&name, bytes.len()), failure, json);
        }
    };
    let password = password(args, json, &seen)?;
    let facts = password.as_ref().map(PasswordFacts::of);
    let privacy = args.source.contents_password()?;
    let passwords = password.as_ref().map(|integrity| Passwords {
        integrity,
        privacy: privacy.as_ref(),
    });
    match open(bytes, &seen, passwords, &limits) {
        Ok(Some(opened)) => {
            let found = Found {
                survey: opened.survey(),
                opened: Some(&opened),
                password: facts,
            };
            Ok(done(&Inspection::of(&name, &found, Some(true)), Exit::Done))
        }
        Ok(None) => {
            let found = Found {
                survey: &seen,
                opened: None,
                password: None,
            };
            Ok(done(&Inspection::of(&name, &found, None), Exit::Done))
        }
        Err(failure) => {
            let found = Found {
                survey: &seen,
                opened: None,
                password: None,
            };
            fail(Inspection::of(&name, &found, Some(false)), *failure, json)
        }
    }
}

/// The password from its file, or from the person in front of the terminal, who may have none. Whoever asks for JSON, or reads through a
/// pipe, is not asked.
fn password(args: &InspectArgs, json: bool, seen: &Survey) -> Result<Option<SecretBytes>, Failure> {
    if args.source.password_file.is_some() {
        return args.source.password().map(Some);
    }
    let person = !json && std::io::stdout().is_terminal() && std::io::stderr().is_terminal();
    if !person || !needs_password(seen) {
        return Ok(None);
    }
    match prompt::secret(
        "password of the PFX (Enter to look at it without)",
        "name a file by `--password-file`",
    ) {
        Ok(password) => Ok(Some(password)),
        Err(failure) if ["empty_answer", "no_terminal"].contains(&failure.code.as_str()) => {
            Ok(None)
        }
        Err(failure) => Err(failure),
    }
}

/// Whether anything of the file is under a password.
fn needs_password(seen: &Survey) -> bool {
    !matches!(seen.integrity, Integrity::None)
        || seen.encryptions().next().is_some()
        || !seen.bags_are_all_visible()
}

/// Opens the file; `None` when it takes a password that was not given.
fn open(
    bytes: &[u8],
    seen: &Survey,
    passwords: Option<Passwords<'_>>,
    limits: &PfxLimits,
) -> Result<Option<OpenedPfx>, Box<Failure>> {
    let nothing = SecretBytes::zeroed(0);
    let passwords = match passwords {
        Some(passwords) => passwords,
        None if !needs_password(seen) => Passwords {
            integrity: &nothing,
            privacy: None,
        },
        None => {
            return match refusal::foreseen(seen, legacy_is_refused()) {
                Some(failure) => Err(Box::new(failure)),
                None => Ok(None),
            };
        }
    };
    match read_with(bytes, passwords, limits) {
        Ok(opened) => Ok(Some(opened)),
        // That strict mode refuses the file is what has to be said, with all the algorithms and not the first alone.
        Err(error @ PfxError::Module(fips::Error::NotApproved { .. })) => {
            Err(Box::new(refusal::not_approved(seen, &error)))
        }
        Err(error) => Err(Box::new(refusal::of(&error, Some(seen)))),
    }
}

/// Whether strict mode without the exception for old files is in force.
fn legacy_is_refused() -> bool {
    let policy = policy::in_force();
    policy.mode() == Mode::Strict && !policy.exceptions().contains(Exception::Pkcs12LegacyRead)
}

fn done(inspection: &Inspection, exit: Exit) -> Report {
    Report {
        json: inspection.json(),
        text: human::page(inspection, output::colours()),
        exit,
    }
}

/// The report of a file that does not open goes to standard output as any report, and the failure to standard error as any failure.
fn fail(mut inspection: Inspection, failure: Failure, json: bool) -> Result<Report, Failure> {
    // A module that failed says nothing about the file.
    if policy::fault().is_some() || (inspection.is_empty() && !json) {
        return Err(failure.doing(&inspection.file));
    }
    let failure = failure.doing(&inspection.file);
    output::complain(&failure, json);
    inspection.error = Some(failure);
    Ok(done(&inspection, Exit::Failed))
}
