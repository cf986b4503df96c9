//! Asking a person for a secret at the terminal, without echo.

use super::output::Failure;
use fips::secret::SecretBytes;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use std::fs::File;
use std::io::{Read, Write};

/// The longest answer in bytes.
const MAX_BYTES: usize = 1024;

/// Asks the person at the controlling terminal (not whoever feeds standard input) and reads one line, which the terminal does not show.
///
/// # Errors
/// [`Failure`] when there is no terminal, or the line is empty or too long.
pub fn secret(question: &str, instead: &str) -> Result<SecretBytes, Failure> {
    let no_terminal = |error: std::io::Error| {
        Failure::usage(
            "no_terminal",
            format!("there is no terminal to ask for the {question} at: {error}"),
        )
        .hint(instead.to_owned())
    };
    let terminal = File::options()
        .read(true)
        .write(true)
        .open("/dev/tty")
        .map_err(no_terminal)?;
    let silent = Silent::new(&terminal).map_err(no_terminal)?;
    (&terminal)
        .write_all(format!("{question}: ").as_bytes())
        .map_err(no_terminal)?;
    let answer = line(&terminal);
    drop(silent);
    (&terminal).write_all(b"\n").map_err(no_terminal)?;
    match answer.map_err(no_terminal)? {
        Some(answer) if answer.is_empty() => Err(Failure::usage(
            "empty_answer",
            format!("no {question} was given"),
        )),
        Some(answer) => Ok(answer),
        None => Err(Failure::usage(
            "answer_too_long",
            format!("the {question} has more than {MAX_BYTES} bytes"),
        )),
    }
}

/// While this lives the terminal shows nothing of what is typed.
struct Silent<'a> {
    terminal: &'a File,
    before: Termios,
}

impl<'a> Silent<'a> {
    fn new(terminal: &'a File) -> std::io::Result<Self> {
        let before = tcgetattr(terminal)?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        // What was typed before the question was seen is not an answer to it.
        tcsetattr(terminal, OptionalActions::Flush, &silent)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Silent<'_> {
    fn drop(&mut self) {
        // A terminal that is gone needs its echo no more.
        let _ = tcsetattr(self.terminal, OptionalActions::Now, &self.before);
    }
}

/// One line, byte by byte, so that no reader's buffer keeps a copy; `None` when it is too long.
fn line(mut terminal: &File) -> std::io::Result<Option<SecretBytes>> {
    let mut answer = SecretBytes::zeroed(MAX_BYTES);
    let mut byte = SecretBytes::zeroed(1);
    let mut length = 0;
    loop {
        let read = terminal.read(byte.expose_mut())?;
        match byte.expose().first() {
            Some(typed) if read == 1 && *typed != b'\n' && *typed != b'\r' => {
                match answer.expose_mut().get_mut(length) {
                    Some(place) => *place = *typed,
                    None => return Ok(None),
                }
                length += 1;
            }
            _ => break,
        }
    }
    answer.truncate(length);
    Ok(Some(answer))
}
