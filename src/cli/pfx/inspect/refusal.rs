//! Why a PFX is not opened, in words that say what is wrong and what to do.

use super::super::source::ANOTHER_PASSWORD;
use crate::cli::output::Failure;
use formats::pfx::{Integrity, OtherFormat, PfxError, Survey};

/// Something else that was given in place of a PFX.
pub(super) fn other_format(bytes: &[u8]) -> Option<Failure> {
    let format = OtherFormat::of(bytes)?;
    let message = format!("this is {}, not a PFX", format.text());
    Some(Failure::failed("malformed", message).hint(format.remedy()))
}

/// A reader's refusal; `seen` is what could be seen of the file.
pub(super) fn of(error: &PfxError, seen: Option<&Survey>) -> Failure {
    let failure = Failure::failed(error.code(), error.to_string());
    match hint(error, seen) {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

fn hint(error: &PfxError, seen: Option<&Survey>) -> Option<&'static str> {
    Some(match error {
        PfxError::WrongPassword => match seen.map(|seen| &seen.integrity) {
            Some(Integrity::None) => {
                "check the password; the file has no integrity check, so a damaged file looks the same"
            }
            _ => {
                "check the password: its case, the keyboard's layout, blanks at its end; if it is right, get the file again from whoever made it"
            }
        },
        PfxError::AnotherPassword => ANOTHER_PASSWORD,
        // Its message has the remedy.
        PfxError::UnsupportedAlgorithm { .. } => return None,
        PfxError::Malformed { .. } => {
            "get the file again from whoever made it (in binary mode), or have it exported again"
        }
        PfxError::LimitExceeded { .. } => {
            "no known program makes such files: have it exported again, with fewer iterations or entries"
        }
        PfxError::Module(fips::Error::NotApproved { .. }) => NOT_APPROVED,
        _ => return None,
    })
}

const NOT_APPROVED: &str = "have it exported in the approved form (PBES2 with AES-256, PBKDF2 with HMAC-SHA-256, PBMAC1; a password of 14 bytes \
     or more), or read it in spite of that: without `--fips strict`, or with the exception `pkcs12-legacy-read` in the configuration";

/// Strict mode refuses the file: every algorithm that opening it takes and that is not approved is named.
pub(super) fn not_approved(seen: &Survey, error: &PfxError) -> Failure {
    let named = not_approved_names(seen);
    let message = match named.is_empty() {
        // What it is about is not visible from outside, or it is the password.
        true => error.to_string(),
        false => format!("strict FIPS mode refuses the PFX, which is not approved: {named}"),
    };
    Failure::failed("not_approved", message).hint(NOT_APPROVED)
}

fn not_approved_names(seen: &Survey) -> String {
    let mut texts: Vec<&str> = Vec::new();
    for algorithm in seen
        .algorithms_to_open()
        .filter(|algorithm| !algorithm.approved)
    {
        if !texts.contains(&algorithm.text.as_str()) {
            texts.push(&algorithm.text);
        }
    }
    texts.join("; ")
}

/// What would keep the file from opening under any password.
pub(super) fn foreseen(seen: &Survey, strict: bool) -> Option<Failure> {
    let unsupported = |what: String| {
        let error = PfxError::UnsupportedAlgorithm {
            what,
            remedy: "export it again with a password, AES-256 and SHA-256",
        };
        of(&error, Some(seen))
    };
    if matches!(seen.integrity, Integrity::Signature) {
        return Some(unsupported("integrity by a signature".to_owned()));
    }
    if let Some(mac) = seen.mac()
        && !mac.algorithm.supported
    {
        return Some(unsupported(mac.algorithm.text.clone()));
    }
    if let Some(closed) = seen.not_supported().first()
        && !seen.may_show_a_key()
    {
        return Some(unsupported((*closed).to_owned()));
    }
    let named = not_approved_names(seen);
    (strict && !named.is_empty()).then(|| {
        let message = format!("strict FIPS mode refuses the PFX, which is not approved: {named}");
        Failure::failed("not_approved", message).hint(NOT_APPROVED)
    })
}
