//! `audit`: the log of every use of the custody key, for whoever has its folder or a copy. No token, no engine, no network.

mod export;
mod filter;
mod key;
mod show;
mod verify;

use super::files;
use super::output::{Failure, Report};
use crate::encoding::public_key_from_pem;
use ::audit::read::last_anchor;
use ::audit::storage::Folder;
use ::audit::{Anchor, Hash};
use clap::{Args, Subcommand};
use filter::FilterArgs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Options of `audit`.
#[derive(Debug, Clone, Args)]
pub struct AuditArgs {
    #[command(subcommand)]
    command: AuditCommand,
}

#[derive(Debug, Clone, Subcommand)]
enum AuditCommand {
    /// Whether the log is what was written: every edit, deletion, insertion and exchange is found, and where it is
    Verify(verify::VerifyArgs),
    /// Prints entries: a line each, for people or (--json) as they stand there. Does not verify
    Show(ShowArgs),
    /// The same for another system: as JSON Lines or in the Common Event Format (CEF)
    Export(ExportArgs),
    /// Prints the last seal as an anchor: kept elsewhere, it shows later that nothing was cut off
    Anchor(AnchorArgs),
    /// The key that seals the log
    Key(key::KeyArgs),
}

#[derive(Debug, Clone, Args)]
struct ShowArgs {
    /// The log's folder
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
    #[command(flatten)]
    filter: FilterArgs,
}

#[derive(Debug, Clone, Args)]
struct ExportArgs {
    /// The log's folder
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
    /// In which form
    #[arg(long, value_name = "FORMAT")]
    format: export::Format,
    #[command(flatten)]
    filter: FilterArgs,
}

#[derive(Debug, Clone, Args)]
struct AnchorArgs {
    /// The log's folder
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
}

/// Does it.
///
/// # Errors
/// [`Failure`]: usage where a file or folder cannot be used.
pub fn run(args: &AuditArgs, json: bool) -> Result<Report, Failure> {
    match &args.command {
        AuditCommand::Verify(args) => verify::run(args),
        AuditCommand::Anchor(args) => anchor(&args.folder),
        AuditCommand::Key(args) => key::run(args),
        AuditCommand::Show(ShowArgs { folder, filter }) => print(folder, filter, |entry, line| {
            if json {
                line.to_owned()
            } else {
                show::line(entry)
            }
        }),
        AuditCommand::Export(ExportArgs {
            folder,
            format,
            filter,
        }) => print(folder, filter, |entry, line| format.line(entry, line)),
    }
}

impl AuditArgs {
    /// Whether it prints lines while it reads.
    pub(super) const fn prints(&self) -> bool {
        matches!(
            self.command,
            AuditCommand::Show(_) | AuditCommand::Export(_)
        )
    }
}

/// As [`run`], for what has printed everything when it is done.
pub(super) fn run_printing(args: &AuditArgs, json: bool) -> ExitCode {
    match run(args, json) {
        Ok(_) => ExitCode::SUCCESS,
        Err(failure) => super::output::finish(Err(failure), json),
    }
}

fn print(
    folder: &Path,
    filter: &FilterArgs,
    line: impl Fn(&::audit::Entry, &str) -> String,
) -> Result<Report, Failure> {
    use std::io::Write;
    use std::ops::ControlFlow;
    start_module()?;
    let storage = open(folder)?;
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let unreadable = ::audit::read::entries(&storage, |_, entry, text| {
        // Whoever reads may have gone.
        if filter.lets(entry) && writeln!(out, "{}", line(entry, text)).is_err() {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    })
    .map_err(|error| unreadable_folder(folder, &error))?;
    let _ = out.flush();
    if unreadable > 0 {
        return Err(Failure::failed(
            "audit_unreadable",
            format!("{unreadable} lines are no entries: `audit verify` says which"),
        ));
    }
    Ok(Report::silent())
}

fn anchor(folder: &Path) -> Result<Report, Failure> {
    start_module()?;
    let storage = open(folder)?;
    let found = last_anchor(&storage).map_err(|error| unreadable_folder(folder, &error))?;
    let Some(anchor) = found else {
        return Err(Failure::failed("no_seal", "the log has no seal yet"));
    };
    let json = serde_json::to_value(&anchor).unwrap_or_default();
    Ok(Report::done(json, anchor.to_line()))
}

fn start_module() -> Result<(), Failure> {
    ::fips::start(::fips::policy::Policy::STRICT)?;
    Ok(())
}

fn open(folder: &Path) -> Result<Folder, Failure> {
    Folder::for_reading(folder).map_err(|error| unreadable_folder(folder, &error))
}

fn unreadable_folder(folder: &Path, error: &std::io::Error) -> Failure {
    Failure::usage(
        "folder_unreadable",
        format!("{} cannot be read: {error}", folder.display()),
    )
}

/// The largest file of keys or anchors that is read.
const MAX_FILE_BYTES: usize = 64 * 1024 * 1024;

fn public_key(path: &Path) -> Result<Vec<u8>, Failure> {
    let bytes = files::read(path, MAX_FILE_BYTES, "the audit key's public half")?;
    public_key_from_pem(&bytes).ok_or_else(|| {
        Failure::usage(
            "public_key",
            format!("{} holds no public key (PEM)", path.display()),
        )
        .hint("`audit key export-public` writes it")
    })
}

/// The anchors of a file, and what there is to be said of lines that are none.
///
/// A process that was killed, or a disk that was full, leaves half a line: the anchors before and after it are as good as they were. Whoever
/// can write to the file can take lines out of it anyway.
fn anchors(path: &Path) -> Result<(Vec<Anchor>, Vec<String>), Failure> {
    let bytes = files::read(path, MAX_FILE_BYTES, "anchors")?;
    let text = String::from_utf8_lossy(&bytes);
    let (mut anchors, mut notes) = (Vec::new(), Vec::new());
    let mut first = None;
    let lines = (1_u64..).zip(text.lines());
    for (number, line) in lines.filter(|(_, line)| !line.trim().is_empty()) {
        match Anchor::from_line(line) {
            Ok(anchor) => anchors.push(anchor),
            Err(error) => {
                notes.push(format!(
                    "{}, line {number} is no anchor and not used ({error}): half a line is what an interrupted write leaves",
                    path.display()
                ));
                first = first.or(Some(error));
            }
        }
    }
    match first {
        Some(error) if anchors.is_empty() => Err(Failure::usage(
            "anchor",
            format!("{} holds no anchor: {error}", path.display()),
        )),
        _ => Ok((anchors, notes)),
    }
}

fn hash(text: &str) -> Result<Hash, String> {
    text.parse::<Hash>().map_err(|error| error.to_string())
}
