//! `pfx convert`: what is in a PFX, in another form, under another password.

use super::new_password::{self, NewPassword, NewPasswordArgs};
use super::source::{SourceArgs, refusal};
use crate::cli::output::{Failure, Report};
use crate::cli::{files, process};
use clap::Args;
use fips::policy;
use fips::secret::SecretBytes;
use formats::pfx::verdict::{Opens, PasswordFacts, Reason, Verdict, verdict};
use formats::pfx::write::{Entries, Form, WriteError, WriteOptions, changes, write};
use formats::pfx::{BagKind, OpenedPfx, Passwords, PfxLimits, Target, read};
use formats::words;
use serde_json::json;
use std::path::PathBuf;

/// `pfx convert`.
#[derive(Debug, Args)]
#[command(after_help = "Forms:
  approved     PBES2 (AES-256-CBC, PBKDF2 with HMAC-SHA-256) and PBMAC1 (RFC 9579): approved algorithms alone
  compatible   the same with the classic MAC, which every maintained reader knows
  legacy-3des  PKCS#12 encryption with 3DES, MAC with SHA-1: for what knows nothing else
Without --form the first of them that the target reads is taken.

Example:
  pfx-connector pfx convert old.pfx --password-file old.pw --for ios --out new.pfx --new-password-out new.pw")]
pub(super) struct ConvertArgs {
    #[command(flatten)]
    source: SourceArgs,
    /// Who is to open the new file: windows-server-2016, windows-2019, ios, macos, android, openssl3, java, nss or fips-strict
    #[arg(long = "for", value_name = "TARGET")]
    target: Target,
    /// The form of the new file: approved, compatible or legacy-3des; one that the target does not read is refused
    #[arg(long, value_name = "FORM")]
    form: Option<Form>,
    /// Write the form that --form names even though the target does not read it
    #[arg(long, requires = "form")]
    force_form: bool,
    /// Iterations of each key derivation, 1000 to 1000000 (default: 100000, and 2048 for legacy-3des)
    #[arg(long, value_name = "N")]
    iterations: Option<u32>,
    /// The new file; one that exists is not overwritten
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    new_password: NewPasswordArgs,
}

/// What was written, read back by the reader of this program.
struct Written {
    pfx: Vec<u8>,
    options: WriteOptions,
    verdict: Verdict,
    /// What is another than in the old file, in words.
    changes: Vec<String>,
}

/// Runs it.
///
/// # Errors
/// [`Failure`]; nothing is left behind then.
pub(super) fn run(args: &ConvertArgs) -> Result<Report, Failure> {
    files::must_be_new(&args.out)?;
    args.new_password.check(&args.out)?;
    process::protect_memory()?;
    args.source.start_module()?;
    let limits = PfxLimits::default();
    let bytes = args.source.bytes(&limits)?;
    let password = args.source.password()?;
    let contents_password = args.source.contents_password()?;
    let passwords = Passwords {
        integrity: &password,
        privacy: contents_password.as_ref(),
    };
    let opened = args.source.open(bytes.expose(), passwords, &limits)?;
    drop((password, contents_password));

    let new = args.new_password.get()?;
    let form = match args.form {
        Some(form) => form,
        None => best_form(args.target, &opened, &new.secret)?,
    };
    let written = Written::new(form, args.iterations, args.target, &opened, &new.secret)?;
    if written.verdict.opens == Opens::No && !args.force_form {
        return Err(cannot_read(args, &written.verdict, form, &opened));
    }
    place(args, &written.pfx, &new)?;
    Ok(report(args, &opened, &written, &new))
}

impl From<WriteError> for Failure {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::UnusablePassword { .. } | WriteError::Iterations { .. } => {
                Self::usage(error.code(), error.to_string())
            }
            _ => Self::failed(error.code(), error.to_string()),
        }
    }
}

impl Written {
    /// Writes, and reads it back: what is handed on has been opened once, and the verdict is about all of it.
    fn new(
        form: Form,
        iterations: Option<u32>,
        target: Target,
        opened: &OpenedPfx,
        password: &SecretBytes,
    ) -> Result<Self, Failure> {
        let options = match iterations {
            Some(count) => WriteOptions::new(form).with_iterations(count)?,
            None => WriteOptions::new(form),
        };
        let pfx = write(&Entries::of(opened), password, &options)?;
        let back = read(&pfx, password, &PfxLimits::default())
            .map_err(|error| refusal(&error).doing("what was written, read back"))?;
        let same = back.certificates().len() == opened.certificates().len()
            && back.keys().len() == opened.keys().len()
            && back
                .keys()
                .iter()
                .zip(opened.keys())
                .all(|(new, old)| new.pkcs8().ct_eq(old.pkcs8().expose()));
        if !same {
            return Err(Failure::failed(
                "not_the_same",
                "what was written does not hold what was read: a fault of this program, which keeps the file to itself",
            ));
        }
        let facts = PasswordFacts::of(password);
        Ok(Self {
            verdict: verdict(back.survey(), Some(facts), target),
            changes: changes(opened, &back),
            pfx,
            options,
        })
    }
}

/// The best form that the target reads; where it is said to read none, the one of which that is least certain. In strict mode only of what
/// the policy allows.
fn best_form(target: Target, opened: &OpenedPfx, password: &SecretBytes) -> Result<Form, Failure> {
    let mut best: Option<(Opens, Form)> = None;
    let mut refused = None;
    for form in Form::ALL {
        // The verdict hardly looks at the number, and this one is soon done.
        let few = Some(WriteOptions::MIN_ITERATIONS);
        let opens = match Written::new(form, few, target, opened, password) {
            Ok(written) => written.verdict.opens,
            Err(failure) if failure.code == "not_approved" => {
                refused.get_or_insert(failure);
                continue;
            }
            Err(failure) => return Err(failure),
        };
        if best.is_none_or(|(so_far, _)| opens < so_far) {
            best = Some((opens, form));
        }
    }
    match (best, refused) {
        // What it reads is not approved: that is the reason then, and not what is left.
        (Some((Opens::No, _)) | None, Some(failure)) => Err(failure),
        (Some((_, form)), _) => Ok(form),
        (None, None) => Ok(Form::Compatible),
    }
}

fn reasons(verdict: &Verdict) -> String {
    let reasons = verdict.reasons.iter();
    let told = reasons.filter(|reason| reason.opens == verdict.opens);
    told.map(Reason::sentence).collect::<Vec<_>>().join("; ")
}

/// Certificates that bear Java's mark of trust, which no form has a place for.
fn trusted_by_java(opened: &OpenedPfx) -> usize {
    let bags = opened.survey().bags();
    bags.filter(|bag| bag.kind == BagKind::Certificate && bag.java_trusted)
        .count()
}

fn cannot_read(args: &ConvertArgs, verdict: &Verdict, form: Form, opened: &OpenedPfx) -> Failure {
    let message = format!(
        "{} would not open the new file (form {form}): {}",
        verdict.target.title(),
        reasons(verdict)
    );
    let hint = match args.form {
        _ if verdict.target == Target::Java && opened.keys().is_empty() => {
            "Java's mark of trust is not written here, and without it Java passes over certificates: put them into a key store with \
             `keytool -importcert`, or copy a key store with `keytool -importkeystore`"
        }
        Some(_) => {
            "leave --form away to get the best form that the target reads, use a password of letters and digits, or insist with --form and \
             --force-form"
        }
        // Every form was tried.
        None => {
            "no form helps against that: use a password of letters and digits if it is the password, or insist with --form and --force-form"
        }
    };
    Failure::failed("target_cannot_read", message).hint(hint)
}

/// The password first: a PFX whose password is lost would be of no use.
fn place(args: &ConvertArgs, pfx: &[u8], new: &NewPassword) -> Result<(), Failure> {
    if let Some(out) = &new.out {
        files::place_new(out, new.secret.expose(), 0o600)?;
    }
    files::place_new(&args.out, pfx, 0o600).inspect_err(|_| {
        if let Some(out) = &new.out {
            // Nothing better can be done with it than to say what went wrong in the first place.
            let _ = std::fs::remove_file(out);
        }
    })
}

/// What stays behind in the old file, and what people should know.
fn notes(
    args: &ConvertArgs,
    opened: &OpenedPfx,
    written: &Written,
    new: &NewPassword,
) -> Vec<String> {
    let others = opened.others().iter();
    let mut notes: Vec<String> = others
        .map(|other| format!("left out: {}", words::printable(other.of_type())))
        .collect();
    let closed = opened.survey().not_supported();
    notes.extend(closed.iter().map(|what| {
        format!("left out, because it could not be opened: what is protected by {what}, which is not supported")
    }));
    notes.extend(written.changes.iter().cloned());
    let trusted = trusted_by_java(opened);
    if trusted > 0 {
        notes.push(format!(
            "left out: Java's mark of trust on {}; without it Java passes over certificates that are in no key's chain (`keytool -importcert` \
             sets it)",
            counted(trusted, "certificate")
        ));
    }
    if new.out.is_none() {
        let told = new_password::notes(&new.secret);
        notes.extend(told.into_iter().map(str::to_owned));
    }
    if written.verdict.opens != Opens::Yes {
        let how = match written.verdict.opens {
            Opens::No => "does not open this file",
            Opens::WithCondition => "opens this file on a condition",
            _ => "may not open this file",
        };
        let (title, reasons) = (args.target.title(), reasons(&written.verdict));
        notes.push(format!("{title} {how}: {reasons}"));
    }
    let strange = opened.keys().iter().filter(|key| !key.facts().supported);
    notes.extend(strange.map(|key| {
        let kind = words::printable(&key.facts().text);
        format!("a private key of {kind} was written as it was: few programs know such keys")
    }));
    notes
}

fn report(args: &ConvertArgs, opened: &OpenedPfx, written: &Written, new: &NewPassword) -> Report {
    let form = written.options.form();
    let not_approved: Vec<&str> = policy::counts()
        .iter()
        .filter(|count| count.performed() > 0 && !count.service.entry().standing.is_approved())
        .map(|count| count.service.name())
        .collect();
    let notes = notes(args, opened, written, new);
    let json = json!({
        "file": args.out,
        "target": args.target,
        "form": form,
        "algorithms": form.algorithms(),
        "iterations": written.options.iterations(),
        "keys": opened.keys().len(),
        "certificates": opened.certificates().len(),
        "new_password_file": new.out,
        "verdict": written.verdict,
        "not_approved": not_approved,
        "notes": notes,
    });
    let mut text = format!(
        "Wrote {} for {}.\n  form         {form}: {}, {} iterations\n  holds        {} and {}",
        args.out.display(),
        args.target.title(),
        form.algorithms(),
        written.options.iterations(),
        counted(opened.keys().len(), "private key"),
        counted(opened.certificates().len(), "certificate"),
    );
    if let Some(out) = &new.out {
        text.push_str(&format!("\n  password     in {}", out.display()));
    }
    for note in notes {
        text.push_str("\n  note         ");
        text.push_str(&note);
    }
    Report::done(json, text).with_fips()
}

fn counted(count: usize, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        _ => format!("{count} {what}s"),
    }
}
