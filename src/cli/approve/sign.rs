//! `approve sign` and `approve show`: what is signed is what is shown.

use super::{protect, refused, start_module, write};
use crate::cli::output::{Failure, Report};
use crate::cli::{files, signing_key};
use audit::Hash;
use audit::approval::{Approval, MAX_REQUEST_BYTES, Request, Statement};
use clap::Args;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// `approve show`.
#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    /// Requests and approvals
    #[arg(value_name = "FILE", required = true, num_args = 1..=64)]
    files: Vec<PathBuf>,
}

/// `approve sign`.
#[derive(Debug, Args)]
pub(super) struct SignArgs {
    /// The request
    #[arg(value_name = "REQUEST")]
    request: PathBuf,
    /// File with the approver's private key (PKCS#8 in PEM, EC on P-256; `import signer` makes one), readable by nobody else
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// The approval; a file that exists is not overwritten
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Shows files.
pub(super) fn show(args: &ShowArgs) -> Result<Report, Failure> {
    start_module()?;
    let mut texts = Vec::new();
    let mut values = Vec::new();
    for path in &args.files {
        let bytes = files::read(path, MAX_REQUEST_BYTES, "the request or approval")?;
        let (text, value) = shown(path, &bytes)?;
        texts.push(text);
        values.push(value);
    }
    Ok(Report::done(json!({ "files": values }), texts.join("\n\n")))
}

fn shown(path: &Path, bytes: &[u8]) -> Result<(String, Value), Failure> {
    // An approval has no member of a request's name: what cannot be read as the one is told as what it is not.
    if let Ok(approval) = Approval::read(bytes) {
        let text = format!(
            "{}: an APPROVAL by the key {}\n{}",
            path.display(),
            approval.approver,
            words(&approval.statement)
        );
        let value = json!({"file": path, "kind": "approval", "approver": approval.approver, "statement": approval.statement});
        return Ok((text, value));
    }
    let request = Request::read(bytes).map_err(|error| refused(path, &error))?;
    let text = format!(
        "{}: a request that nobody has signed\n{}",
        path.display(),
        whole(&request)
    );
    let value = json!({"file": path, "kind": "request", "statement": request.statement, "changes": request.changes()});
    Ok((text, value))
}

/// Everything that is signed, and for a change of policy what changes.
fn whole(request: &Request) -> String {
    let mut text = words(&request.statement);
    let changes = request.changes();
    if !changes.is_empty() {
        text.push_str("\nwhat changes:");
        for change in &changes {
            // Values of a policy are quoted where they are a configuration's own text; names are not.
            let change = crate::encoding::printable(&change.to_string());
            text.push_str("\n  ");
            text.push_str(&change);
        }
    }
    text
}

fn words(statement: &Statement) -> String {
    let note = match statement.note.as_str() {
        "" => "(none)".to_owned(),
        note => crate::encoding::printable(note),
    };
    format!(
        "to {}\n  from     {}\n  until    {}\n  nonce    {}\n  digest   {}\n  note     {note}",
        statement.subject,
        statement.not_before,
        statement.expires,
        statement.nonce,
        statement.subject.digest()
    )
}

/// Signs a request.
pub(super) fn run(args: &SignArgs) -> Result<Report, Failure> {
    files::must_be_new(&args.out)?;
    protect()?;
    start_module()?;
    let bytes = files::read(&args.request, MAX_REQUEST_BYTES, "the request")?;
    let request = Request::read(&bytes).map_err(|error| refused(&args.request, &error))?;
    let key = signing_key::load(&args.key, "--key")?;
    let approval = Approval::sign(request.statement.clone(), &key)
        .map_err(|error| refused(&args.key, &error))?;
    let file = approval
        .to_file()
        .map_err(|error| refused(&args.out, &error))?;
    write(&args.out, &file)?;
    let approver = Hash::of(key.spki_der());
    let text = format!(
        "Signed with the key {approver}, in {}. YOU HAVE APPROVED:\n{}",
        args.out.display(),
        whole(&request)
    );
    Ok(Report::done(
        json!({"approval": args.out, "approver": approver, "statement": request.statement, "changes": request.changes()}),
        text,
    ))
}
