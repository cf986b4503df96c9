//! What goes wrong, and when: a text that a failing test prints and that replays it. Also compiled into the tests.
//!
//! ```text
//! seed 42
//! tries 10
//! pin pin-of-42
//! on call 3 of C_Decrypt: return CKR_DEVICE_ERROR for 2 calls
//! on call 9 of C_Encrypt: afterwards return CKR_GENERAL_ERROR for 1 calls
//! on call 2 of C_OpenSession: delay 200 ms
//! on call 5 of C_Decrypt: hang
//! at 120 ms: token gone for 400 ms saying CKR_DEVICE_REMOVED until reinitialised
//! at 700 ms: forget the login
//! ```
//!
//! Calls are counted per function from the moment that the script was given, from 1. Time is the module's (see `main.rs`).
#![allow(dead_code)]

use std::fmt;

/// A whole script.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Script {
    /// What it was made from, for whoever reads it.
    pub(crate) seed: u64,
    /// How many wrong PINs lock the simulated token.
    pub(crate) tries: u32,
    /// The simulated token's PIN at the start, if it is another than `CHAOS_PIN`.
    pub(crate) pin: Option<String>,
    pub(crate) events: Vec<Event>,
}

/// One thing that goes wrong, once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) when: When,
    pub(crate) fault: Fault,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// With the first call at or after this time.
    AtMs(u64),
    Call {
        number: u64,
        function: String,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// This and the following calls of the function give this instead of asking the token. Not for `AtMs`.
    Return { code: String, calls: u64 },
    /// As `Return`, but the token has done what it was asked.
    AfterwardsReturn { code: String, calls: u64 },
    /// The call takes this long.
    Delay { ms: u64 },
    /// The call does not return until somebody ends it.
    Hang,
    /// What the call puts out is shorter by so much, and CKR_OK says that all is well. C_Decrypt: at the next raw RSA
    /// operation, because nobody can see that a message without padding is too short.
    Truncate { by: u64 },
    /// The call says that it put out more than there was room for.
    LieAboutLength,
    /// The process ends by abort().
    Abort,
    /// The process writes where it must not.
    Segfault,
    /// C_Logout, which holds for all sessions.
    ForgetLogin,
    /// C_CloseAllSessions.
    DropSessions,
    /// Handles of objects are not known any more until C_FindObjects gives them again.
    InvalidateHandles,
    /// The token is in a slot with another number: at once, or after the next C_Initialize, before which its keys are not
    /// found.
    RenumberSlots { at_initialisation: bool },
    /// The token has another PIN from now on: with [`ROTATED`] behind it.
    RotatePin,
    /// There is no token. Its sessions are gone. `until_reinitialised`: when it is back, its keys are not found before the
    /// next C_Initialize (SoftHSM).
    Gone {
        ms: u64,
        saying: String,
        until_reinitialised: bool,
    },
    /// Another token is in the slot.
    OtherSerial { ms: u64 },
    /// CKF_USER_PIN_COUNT_LOW.
    CountLow { ms: u64 },
    /// CKF_USER_PIN_FINAL_TRY: one more wrong PIN locks the token.
    FinalTry { ms: u64 },
    /// CKF_USER_PIN_LOCKED, and every login is refused.
    Locked { ms: u64 },
}

/// What is appended to the PIN by [`Fault::RotatePin`].
pub(crate) const ROTATED: &str = "-rotated";

impl fmt::Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}", self.seed)?;
        writeln!(f, "tries {}", self.tries)?;
        if let Some(pin) = &self.pin {
            writeln!(f, "pin {pin}")?;
        }
        for Event { when, fault } in &self.events {
            match when {
                When::AtMs(ms) => writeln!(f, "at {ms} ms: {fault}")?,
                When::Call { number, function } => {
                    writeln!(f, "on call {number} of {function}: {fault}")?;
                }
            }
        }
        Ok(())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Return { code, calls } => write!(f, "return {code} for {calls} calls"),
            Self::AfterwardsReturn { code, calls } => {
                write!(f, "afterwards return {code} for {calls} calls")
            }
            Self::Delay { ms } => write!(f, "delay {ms} ms"),
            Self::Hang => f.write_str("hang"),
            Self::Truncate { by } => write!(f, "truncate by {by}"),
            Self::LieAboutLength => f.write_str("lie about the length"),
            Self::Abort => f.write_str("abort"),
            Self::Segfault => f.write_str("segfault"),
            Self::ForgetLogin => f.write_str("forget the login"),
            Self::DropSessions => f.write_str("drop the sessions"),
            Self::InvalidateHandles => f.write_str("invalidate the handles"),
            Self::RenumberSlots { at_initialisation } => f.write_str(match at_initialisation {
                false => "renumber the slots",
                true => "renumber the slots at the next initialisation",
            }),
            Self::RotatePin => f.write_str("rotate the PIN"),
            Self::Gone {
                ms,
                saying,
                until_reinitialised,
            } => {
                write!(f, "token gone for {ms} ms saying {saying}")?;
                if *until_reinitialised {
                    f.write_str(" until reinitialised")?;
                }
                Ok(())
            }
            Self::OtherSerial { ms } => write!(f, "another serial for {ms} ms"),
            Self::CountLow { ms } => write!(f, "count low for {ms} ms"),
            Self::FinalTry { ms } => write!(f, "final try for {ms} ms"),
            Self::Locked { ms } => write!(f, "locked for {ms} ms"),
        }
    }
}

/// Reads a script. Empty lines and such that begin with `#` are passed by.
///
/// # Errors
/// The line that cannot be read.
pub(crate) fn parse(text: &str) -> Result<Script, String> {
    let mut script = Script {
        tries: 10,
        ..Script::default()
    };
    for line in text.lines() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        parse_line(&mut script, line).ok_or_else(|| format!("not a line of a script: {line:?}"))?;
    }
    Ok(script)
}

fn parse_line(script: &mut Script, line: &str) -> Option<()> {
    if let Some(seed) = line.strip_prefix("seed ") {
        script.seed = seed.parse().ok()?;
        return Some(());
    }
    if let Some(tries) = line.strip_prefix("tries ") {
        script.tries = tries.parse().ok()?;
        return Some(());
    }
    if let Some(pin) = line.strip_prefix("pin ") {
        script.pin = Some(pin.to_owned());
        return Some(());
    }
    let (when, fault) = line.split_once(": ")?;
    let when = if let Some(at) = when.strip_prefix("at ") {
        When::AtMs(at.strip_suffix(" ms")?.parse().ok()?)
    } else {
        let (number, function) = when.strip_prefix("on call ")?.split_once(" of ")?;
        When::Call {
            number: number.parse().ok()?,
            function: function.to_owned(),
        }
    };
    let fault = parse_fault(fault)?;
    // What belongs to one call needs one.
    let of_a_call = matches!(
        fault,
        Fault::Return { .. }
            | Fault::AfterwardsReturn { .. }
            | Fault::Truncate { .. }
            | Fault::LieAboutLength
    );
    if of_a_call && matches!(when, When::AtMs(_)) {
        return None;
    }
    script.events.push(Event { when, fault });
    Some(())
}

fn parse_fault(text: &str) -> Option<Fault> {
    let words: Vec<_> = text.split(' ').collect();
    Some(match words.as_slice() {
        ["return", code, "for", calls, "calls"] => Fault::Return {
            code: (*code).to_owned(),
            calls: calls.parse().ok()?,
        },
        ["afterwards", "return", code, "for", calls, "calls"] => Fault::AfterwardsReturn {
            code: (*code).to_owned(),
            calls: calls.parse().ok()?,
        },
        ["delay", ms, "ms"] => Fault::Delay {
            ms: ms.parse().ok()?,
        },
        ["hang"] => Fault::Hang,
        ["truncate", "by", by] => Fault::Truncate {
            by: by.parse().ok()?,
        },
        ["lie", "about", "the", "length"] => Fault::LieAboutLength,
        ["abort"] => Fault::Abort,
        ["segfault"] => Fault::Segfault,
        ["forget", "the", "login"] => Fault::ForgetLogin,
        ["drop", "the", "sessions"] => Fault::DropSessions,
        ["invalidate", "the", "handles"] => Fault::InvalidateHandles,
        ["renumber", "the", "slots"] => Fault::RenumberSlots {
            at_initialisation: false,
        },
        [
            "renumber",
            "the",
            "slots",
            "at",
            "the",
            "next",
            "initialisation",
        ] => Fault::RenumberSlots {
            at_initialisation: true,
        },
        ["rotate", "the", "PIN"] => Fault::RotatePin,
        [
            "token",
            "gone",
            "for",
            ms,
            "ms",
            "saying",
            saying,
            rest @ ..,
        ] => Fault::Gone {
            ms: ms.parse().ok()?,
            saying: (*saying).to_owned(),
            until_reinitialised: match rest {
                [] => false,
                ["until", "reinitialised"] => true,
                _ => return None,
            },
        },
        ["another", "serial", "for", ms, "ms"] => Fault::OtherSerial {
            ms: ms.parse().ok()?,
        },
        ["count", "low", "for", ms, "ms"] => Fault::CountLow {
            ms: ms.parse().ok()?,
        },
        ["final", "try", "for", ms, "ms"] => Fault::FinalTry {
            ms: ms.parse().ok()?,
        },
        ["locked", "for", ms, "ms"] => Fault::Locked {
            ms: ms.parse().ok()?,
        },
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    #![allow(missing_docs, clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_script_is_read_as_it_is_written() {
        let text = "seed 42\ntries 3\npin pin-of-42\n\
            on call 3 of C_Decrypt: return CKR_DEVICE_ERROR for 2 calls\n\
            on call 3 of C_Sign: afterwards return CKR(0x80000001) for 1 calls\n\
            on call 1 of C_OpenSession: delay 200 ms\n\
            on call 5 of C_Decrypt: hang\n\
            on call 6 of C_Decrypt: truncate by 1\n\
            on call 7 of C_Decrypt: lie about the length\n\
            on call 8 of C_Decrypt: abort\n\
            at 8 ms: segfault\n\
            at 9 ms: forget the login\n\
            at 10 ms: drop the sessions\n\
            at 11 ms: invalidate the handles\n\
            at 12 ms: renumber the slots\n\
            at 12 ms: renumber the slots at the next initialisation\n\
            at 13 ms: rotate the PIN\n\
            at 14 ms: token gone for 400 ms saying CKR_DEVICE_REMOVED\n\
            at 14 ms: token gone for 400 ms saying CKR_SESSION_HANDLE_INVALID until reinitialised\n\
            at 15 ms: another serial for 1 ms\n\
            at 16 ms: count low for 2 ms\n\
            at 17 ms: final try for 3 ms\n\
            at 18 ms: locked for 4 ms\n";
        assert_eq!(parse(text).unwrap().to_string(), text);
    }

    #[test]
    fn what_is_no_script_is_refused_with_its_line() {
        for line in [
            "at noon: hang",
            "at 3 ms: explode",
            "on call x of C_Login: hang",
            "at 3 ms: return CKR_OK for 1 calls",
            "at 3 ms: token gone for 4 ms saying CKR_OK for ever",
            "hang",
        ] {
            let error = parse(&format!("seed 1\n{line}\n")).unwrap_err();
            assert!(error.contains(line), "{error}");
        }
    }
}
