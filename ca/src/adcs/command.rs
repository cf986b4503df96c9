//! Revocation by a command of the operator's: the bridge to what MS-WSTEP does not have.

use crate::text::it_says;
use crate::{Error, ErrorClass, Revocation, Revoked, SettingsError};
use der::Decode as _;
use rustix::process::{Pid, Signal, kill_process_group};
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Command;
use x509_cert::name::Name;

/// The most that is read of what the command says.
const MAX_WORDS_BYTES: u64 = 16 * 1024;
/// The arguments of a program that is configured without any.
const USUAL_ARGUMENTS: [&str; 3] = ["{serial}", "{issuer}", "{reason}"];
/// Exit codes with a meaning: sysexits(3) where it has one.
const ALREADY: i32 = 3;
const UNKNOWN: i32 = 4;
const TRY_AGAIN: i32 = 75;
const NO_RIGHT: i32 = 77;

/// A program and its arguments, with `{serial}` (lower-case hexadecimal), `{issuer}` (RFC 4514), `{reason}` (the number of RFC 5280) and
/// `{reason_name}` in them, wherever they stand; a program alone gets serial number, issuer and reason, in this order. It is run without a shell,
/// with nothing on its standard input.
///
/// It ends with 0 when the certificate is revoked, 3 when it was revoked before, 4 when the authority issued no such certificate, 75 when that can be tried again later, 77 when the account has
/// no right to do it; with anything else the revocation has failed for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevokeCommand {
    /// The program, by an absolute path, and its arguments.
    pub command: Vec<String>,
    /// How long it may take. After that its process group is killed.
    pub deadline: Duration,
}

impl RevokeCommand {
    pub(super) fn check(&self) -> Result<(), SettingsError> {
        let wrong = |problem: &str| Err(SettingsError::new("revoke_command", problem));
        let Some((program, arguments)) = self.command.split_first() else {
            return wrong("the program is missing");
        };
        if !Path::new(program).is_absolute() {
            return wrong(
                "the program is named by its absolute path, so that nobody puts another one before it",
            );
        }
        if self.deadline.is_zero() {
            return wrong("the command needs some time");
        }
        for place in ["{serial}", "{issuer}"] {
            if !arguments.is_empty() && !arguments.iter().any(|argument| argument.contains(place)) {
                return wrong(
                    "without {serial} and {issuer} among its arguments the command cannot know what to revoke",
                );
            }
        }
        let mut rest = arguments
            .iter()
            .flat_map(|argument| argument.split('{').skip(1));
        let known = ["serial}", "issuer}", "reason}", "reason_name}"];
        if rest.any(|piece| !known.iter().any(|name| piece.starts_with(name))) {
            return wrong("between braces stand {serial}, {issuer}, {reason} or {reason_name}");
        }
        Ok(())
    }

    /// Runs it.
    pub(super) async fn run(&self, revocation: &Revocation) -> Result<Revoked, Error> {
        let arguments = self.arguments(revocation)?;
        let failed = |class, problem: String| {
            Error::new(class, format!("the command that revokes {problem}"))
        };
        let Some((program, _)) = self.command.split_first() else {
            return Err(failed(
                ErrorClass::Credential,
                "is not configured".to_owned(),
            ));
        };
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| failed(ErrorClass::Credential, format!("does not start: {error}")))?;
        // Whoever gives up must not leave it behind.
        let mut group = Group(
            child
                .id()
                .and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)),
        );
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let work = async {
            let (said, complaint, status) =
                tokio::join!(words(stdout), words(stderr), child.wait());
            (said, complaint, status)
        };
        let Ok((said, complaint, status)) = tokio::time::timeout(self.deadline, work).await else {
            drop(group);
            let problem = format!(
                "did not end within {} s and was killed",
                self.deadline.as_secs()
            );
            return Err(failed(ErrorClass::Unavailable, problem));
        };
        // It has ended, and whoever held its output: the number of the group may belong to others now.
        group.0 = None;
        let status = status
            .map_err(|error| failed(ErrorClass::Unavailable, format!("was lost: {error}")))?;
        let words = match complaint.is_empty() {
            true => said,
            false => complaint,
        };
        if status.code() == Some(UNKNOWN) {
            let problem = format!(
                "says that the authority issued no such certificate (4){}",
                it_says(&words)
            );
            return Err(failed(ErrorClass::Rejected, problem).of_unknown_certificate());
        }
        outcome(status)
            .map_err(|(class, problem)| failed(class, format!("{problem}{}", it_says(&words))))
    }

    fn arguments(&self, revocation: &Revocation) -> Result<Vec<String>, Error> {
        let refused = |problem: &str| Error::new(ErrorClass::Rejected, problem.to_owned());
        let serial = match revocation.serial.as_slice() {
            [] => {
                return Err(refused(
                    "a certificate without a serial number cannot be revoked",
                ));
            }
            [0, rest @ ..] if !rest.is_empty() => rest,
            serial => serial,
        };
        if serial.len() > 64 {
            return Err(refused("a serial number of more than 64 octets is none"));
        }
        let issuer = Name::from_der(&revocation.issuer_der)
            .map_err(|_| refused("the issuer of the certificate to revoke is no name"))?;
        let issuer = pki::name::rfc4514(&issuer);
        if issuer.contains('\0') {
            return Err(refused(
                "the issuer's name cannot be an argument of a command",
            ));
        }
        let values = [
            ("{serial}", formats::text::hex(serial)),
            ("{reason}", revocation.reason.code().to_string()),
            ("{reason_name}", revocation.reason.name().to_owned()),
            // The last one: what it brings is not looked at again.
            ("{issuer}", issuer),
        ];
        let with_values = |argument: &str| {
            values
                .iter()
                .fold(argument.to_owned(), |text, (place, value)| {
                    text.replace(place, value)
                })
        };
        Ok(match self.command.get(1..) {
            None | Some([]) => USUAL_ARGUMENTS.map(with_values).to_vec(),
            Some(arguments) => arguments.iter().map(|word| with_values(word)).collect(),
        })
    }
}

/// A process group that is killed when nobody waits for it any more.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

/// What a process says, cut off where it says too much; the rest is read, so that it is not stopped by a full pipe.
async fn words(pipe: Option<impl AsyncRead + Unpin>) -> Vec<u8> {
    let Some(mut pipe) = pipe else {
        return Vec::new();
    };
    let mut said = Vec::new();
    let _ = (&mut pipe)
        .take(MAX_WORDS_BYTES)
        .read_to_end(&mut said)
        .await;
    let _ = tokio::io::copy(&mut pipe, &mut tokio::io::sink()).await;
    said
}

fn outcome(status: ExitStatus) -> Result<Revoked, (ErrorClass, String)> {
    match status.code() {
        Some(0) => Ok(Revoked::Now),
        Some(ALREADY) => Ok(Revoked::Already),
        Some(TRY_AGAIN) => Err((
            ErrorClass::Unavailable,
            "wants to be run again later (75)".to_owned(),
        )),
        Some(NO_RIGHT) => Err((
            ErrorClass::Credential,
            "has no right to revoke (77)".to_owned(),
        )),
        Some(code) => Err((ErrorClass::Rejected, format!("failed ({code})"))),
        None => Err((ErrorClass::Unavailable, "was killed".to_owned())),
    }
}
