//! What the other process does: everything that calls the PKCS#11 module.

use super::process::{Line, Step};
use super::{measure, state, words};
use crate::doctor::catalogue::{
    TOKEN_KEY, TOKEN_LOGIN, TOKEN_MODULE_LOADS, TOKEN_PIN_SOURCE, TOKEN_SIGNING_KEY,
};
use crate::doctor::finding::Finding;
use fips::policy::Policy;
use hsm::pin::PinSource;
use hsm::pkcs11::{Pkcs11Custody, TokenConfig, quirks};
use hsm::{Custody, Error, SigningKeyName};
use serde_json::json;
use std::io::Write;

/// What to look at, and how far to go.
#[derive(Debug)]
pub struct ProbeRequest {
    /// The place of the token's section, such as `engine.token`.
    pub key: String,
    /// The token, with as many threads as the engine would use.
    pub token: TokenConfig,
    /// Whether its keys are to decrypt; an importer's token only encrypts.
    pub for_custody: bool,
    /// Label of a key on it that signs reports.
    pub report_key: Option<String>,
    /// Whether to log in, while the token has all its tries.
    pub login: bool,
    /// Whether to measure: not while an engine uses the token.
    pub measure: bool,
}

/// Where lines go. What cannot be told any more ends the probe: nobody listens.
pub(super) struct Teller<W: Write>(W);

impl<W: Write> Teller<W> {
    fn say(&mut self, line: &Line) -> std::io::Result<()> {
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        self.0.write_all(&text)
    }

    pub(super) fn step(&mut self, step: Step) -> std::io::Result<()> {
        self.say(&Line::Step(step))
    }

    pub(super) fn tell(&mut self, found: Finding) -> std::io::Result<()> {
        self.say(&Line::Finding(Box::new(found)))
    }

    fn tell_all(&mut self, findings: impl IntoIterator<Item = Finding>) -> std::io::Result<()> {
        findings.into_iter().try_for_each(|found| self.tell(found))
    }
}

/// Says of an error at the login where it is noted that the PIN was refused, and what to do, if it was.
pub type Refused<'a> = dyn Fn(&Error) -> Option<String> + 'a;

/// Probes the token in this process, which is to end afterwards, and tells what it finds on `output`.
///
/// # Errors
/// When nobody listens any more.
pub fn run(
    request: &ProbeRequest,
    refused: &Refused<'_>,
    policy: Policy,
    output: impl Write,
) -> std::io::Result<()> {
    let mut teller = Teller(output);
    let key = request.key.as_str();
    if let Err(error) = fips::start(policy) {
        teller.tell(
            TOKEN_MODULE_LOADS
                .note(key, format!("not tried: {error}"))
                .code(error.code())
                .remedy("see the group `fips`"),
        )?;
        return teller.say(&Line::Done);
    }
    let custody = look_at(request, refused, &mut teller)?;
    teller.say(&Line::Done)?;
    // Closes sessions and finalises the module. Should that hang, whoever listens ends this process.
    drop(custody);
    Ok(())
}

fn look_at<W: Write>(
    request: &ProbeRequest,
    refused: &Refused<'_>,
    teller: &mut Teller<W>,
) -> std::io::Result<Option<Pkcs11Custody>> {
    let key = request.key.as_str();
    teller.step(Step::Pin)?;
    let pin = pin_source(key, &request.token.pin);
    let readable = pin.is_readable();
    teller.tell(pin.found)?;
    teller.step(Step::Load)?;
    let inspection = match hsm::pkcs11::inspect(
        &request.token.module,
        request.token.init_parameters.as_deref(),
    ) {
        Ok(inspection) => inspection,
        Err(error) => {
            teller.tell(words::of_error(TOKEN_MODULE_LOADS, key, &error))?;
            return Ok(None);
        }
    };
    teller.tell(state::library(key, &inspection))?;
    let label = request.token.token_label.as_deref().unwrap_or_default();
    let (found, slot) = state::find(key, &inspection, label);
    teller.tell(found)?;
    let Some((slot, token)) = slot else {
        return Ok(None);
    };
    let flags = token.flags;
    teller.tell(state::mechanisms(key, slot, request.for_custody))?;
    teller.tell_all(state::flags(key, token))?;
    teller.tell(state::quirks(key, token, request.token.threads))?;
    if let Some(why) = why_no_login(request, readable, flags) {
        teller.tell(TOKEN_LOGIN.note(key, why))?;
        return Ok(None);
    }
    teller.step(Step::Open)?;
    let custody = match Pkcs11Custody::open(request.token.clone()) {
        Ok(custody) => custody,
        Err(error) => {
            teller.tell(no_login(key, &error, refused(&error)))?;
            return Ok(None);
        }
    };
    // Custody opens fewer than configured where the token is not for so many.
    let sessions = custody.health().threads;
    teller.tell(
        TOKEN_LOGIN
            .ok(
                key,
                format!("the PIN opens the token; sessions opened: {sessions}"),
            )
            .facts(json!({"sessions": sessions, "threads": request.token.threads})),
    )?;
    teller.step(Step::Keys)?;
    let keys = match custody.keys() {
        Ok(keys) => keys,
        Err(error) => {
            teller.tell(words::of_error(TOKEN_KEY, key, &error))?;
            return Ok(Some(custody));
        }
    };
    let capabilities = custody.capabilities();
    teller.tell_all(state::keys(
        key,
        &keys,
        quirks::of(token),
        request.for_custody,
    ))?;
    teller.tell_all(state::capabilities(
        key,
        &keys,
        &capabilities,
        request.for_custody,
    ))?;
    if let Some(label) = &request.report_key {
        teller.tell(signing_key(key, &custody, label))?;
    }
    if let Some(usable) = keys.iter().find(|key| key.is_usable())
        && request.for_custody
    {
        if request.measure {
            teller.step(Step::Measure)?;
            measure::run(key, &custody, usable, sessions, teller)?;
        } else {
            teller.tell(measure::skipped(key))?;
        }
    }
    Ok(Some(custody))
}

/// Why nobody logs in; `None`: nothing is against it.
fn why_no_login(
    request: &ProbeRequest,
    pin_is_readable: bool,
    flags: hsm::TokenFlags,
) -> Option<&'static str> {
    if !request.login {
        return Some(
            "not tried, as asked or because the running engine says that it cannot: what needs a login was not looked at",
        );
    }
    if request.token.pin == PinSource::Prompt {
        return Some(
            "not tried: the PIN is asked for at the terminal; what needs a login was not looked at",
        );
    }
    if !pin_is_readable {
        return Some("not tried: there is no PIN to try");
    }
    if !state::has_all_tries(flags) {
        return Some("not tried: it could use up a try that the token has not");
    }
    if flags.error_state {
        return Some("not tried: the token says that it is broken");
    }
    None
}

/// Why the token was not opened. `refused`: what to do where it refused the PIN.
fn no_login(key: &str, error: &Error, refused: Option<String>) -> Finding {
    let found = words::of_error(TOKEN_LOGIN, key, error);
    match refused {
        Some(remedy) => found.remedy(remedy),
        None => found,
    }
}

fn signing_key(key: &str, custody: &Pkcs11Custody, label: &str) -> Finding {
    match custody.signing_key(&SigningKeyName::Label(label.to_owned())) {
        Ok(info) => TOKEN_SIGNING_KEY
            .ok(
                format!("{key} ({label})"),
                format!("signs reports with {}", info.algorithm.name()),
            )
            .facts(json!({"fingerprint": info.fingerprint, "attributes": info.attributes})),
        Err(error) => words::of_error(TOKEN_SIGNING_KEY, &format!("{key} ({label})"), &error),
    }
}

/// What is known of a PIN's source.
struct Pin {
    found: Finding,
    is_readable: bool,
}

impl Pin {
    const fn is_readable(&self) -> bool {
        self.is_readable
    }
}

fn pin_source(key: &str, source: &PinSource) -> Pin {
    let kind = match source {
        PinSource::File(path) => format!("the file {}", path.display()),
        PinSource::Credential(name) => format!("the systemd credential {name}"),
        PinSource::Prompt => {
            return Pin {
                found: TOKEN_PIN_SOURCE.ok(key, "asked for at the terminal"),
                is_readable: false,
            };
        }
        PinSource::AtTheToken => {
            return Pin {
                found: TOKEN_PIN_SOURCE.ok(key, "the token asks for it itself"),
                is_readable: false,
            };
        }
    };
    match source.read() {
        Ok(_) => Pin {
            found: TOKEN_PIN_SOURCE.ok(key, format!("{kind}: readable, and nobody else's")),
            is_readable: true,
        },
        // doctor is no unit of systemd: without its folder the credential is simply not there.
        Err(
            error @ Error::File {
                problem: hsm::FileProblem::NoCredentialsDirectory,
                ..
            },
        ) => Pin {
            found: TOKEN_PIN_SOURCE
                .note(key, format!("{kind}: not readable from here, only within its unit"))
                .code(error.code())
                .remedy("`systemd-run --pty --property=LoadCredential=NAME:FILE pfx-connector doctor --config F` gives it to this command"),
            is_readable: false,
        },
        Err(error) => Pin {
            found: words::of_error(TOKEN_PIN_SOURCE, key, &error),
            is_readable: false,
        },
    }
}

#[cfg(test)]
mod tests {
    #![allow(missing_docs)]
    use super::*;
    use hsm::TokenFlags;

    fn request(login: bool, pin: PinSource) -> ProbeRequest {
        ProbeRequest {
            key: "engine.token".to_owned(),
            token: TokenConfig::new("/none".into(), pin),
            for_custody: true,
            report_key: None,
            login,
            measure: true,
        }
    }

    #[test]
    fn nobody_logs_in_while_a_try_is_missing_or_when_asked_not_to() {
        let file = || PinSource::File("/pin".into());
        let fine = TokenFlags {
            user_pin_initialized: true,
            login_required: true,
            initialized: true,
            ..TokenFlags::default()
        };
        assert_eq!(why_no_login(&request(true, file()), true, fine), None);
        assert!(why_no_login(&request(false, file()), true, fine).is_some());
        assert!(why_no_login(&request(true, PinSource::Prompt), false, fine).is_some());
        assert!(why_no_login(&request(true, file()), false, fine).is_some());
        let worse: [fn(&mut TokenFlags); 5] = [
            |flags| flags.user_pin_count_low = true,
            |flags| flags.user_pin_final_try = true,
            |flags| flags.user_pin_locked = true,
            |flags| flags.user_pin_initialized = false,
            |flags| flags.error_state = true,
        ];
        for worsen in worse {
            let mut flags = fine;
            worsen(&mut flags);
            assert!(why_no_login(&request(true, file()), true, flags).is_some());
        }
    }
}
