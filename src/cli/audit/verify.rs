//! Whether a log is what was written.

use crate::cli::output::{Exit, Failure, Report};
use ::audit::verify::{Expected, Report as Found, verify};
use clap::Args;
use serde_json::{Value, json};
use std::path::PathBuf;

#[derive(Debug, Clone, Args)]
pub(super) struct VerifyArgs {
    /// The log's folder, or a copy of it
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
    /// File with the public half of the audit key (PEM); may be repeated, for keys that sealed earlier parts
    #[arg(long = "public-key", value_name = "FILE", required = true)]
    public_keys: Vec<PathBuf>,
    /// File with anchors that were kept elsewhere, one a line; may be repeated
    #[arg(long = "anchor", value_name = "FILE")]
    anchors: Vec<PathBuf>,
    /// The files before this number are kept elsewhere
    #[arg(long, value_name = "NUMBER")]
    first_file: Option<u64>,
}

pub(super) fn run(args: &VerifyArgs) -> Result<Report, Failure> {
    super::start_module()?;
    let storage = super::open(&args.folder)?;
    let mut expected = Expected {
        first_file: args.first_file,
        ..Expected::default()
    };
    for path in &args.public_keys {
        expected.keys.push(super::public_key(path)?);
    }
    let mut notes = Vec::new();
    for path in &args.anchors {
        let (anchors, of_file) = super::anchors(path)?;
        expected.anchors.extend(anchors);
        notes.extend(of_file);
    }
    let found = verify(&storage, &expected)
        .map_err(|error| super::unreadable_folder(&args.folder, &error))?;
    let exit = if found.is_sound() {
        Exit::Done
    } else {
        Exit::Failed
    };
    Ok(Report {
        json: json(&found, &notes),
        text: notes
            .iter()
            .cloned()
            .chain([text(&found, !args.anchors.is_empty())])
            .collect::<Vec<_>>()
            .join("\n"),
        exit,
    })
}

fn json(found: &Found, notes: &[String]) -> Value {
    json!({
        "sound": found.is_sound(),
        "log": found.log,
        "files": found.files,
        "entries": found.entries,
        "events": found.events,
        "first": { "seq": found.first_seq, "time": found.first_time },
        "last": { "seq": found.last_seq, "time": found.last_time, "hash": found.head },
        "seals": found.seals,
        "sealedUpto": found.sealed_upto,
        "unsealed": found.unsealed,
        "anchors": found.anchors,
        "anchoredUpto": found.anchored_upto,
        "anchorsBefore": found.anchors_before,
        "notes": notes,
        "problems": found.problems,
        "findings": found.findings.iter().map(|finding| json!({
            "file": finding.place.file,
            "line": finding.place.line,
            "code": finding.what.code(),
            "message": finding.what.to_string(),
        })).collect::<Vec<_>>(),
    })
}

fn text(found: &Found, has_anchors: bool) -> String {
    let mut lines = Vec::new();
    for finding in &found.findings {
        lines.push(finding.to_string());
    }
    if found.problems > u64::try_from(found.findings.len()).unwrap_or(u64::MAX) {
        lines.push(format!("... {} problems in all", found.problems));
    }
    let time = |time: Option<::audit::Timestamp>| {
        time.map_or_else(|| "-".to_owned(), |time| time.to_string())
    };
    lines.push(format!(
        "log {}: {} files, {} entries ({} to {}), {} seals; sealed up to entry {} of {}",
        found.log,
        found.files,
        found.entries,
        time(found.first_time),
        time(found.last_time),
        found.seals,
        found.sealed_upto,
        found.last_seq,
    ));
    if found.unsealed > 0 {
        lines.push(format!(
            "{} entries at the end have no seal: whoever can write to the folder could have replaced them",
            found.unsealed
        ));
    }
    lines.push(match (has_anchors, found.anchored_upto) {
        (true, 0) => "no anchor is of an entry that is here".to_owned(),
        (true, upto) => format!(
            "nothing was cut off before entry {upto}: {} anchors",
            found.anchors
        ),
        (false, _) => "no anchor was given: an end that was cut off would not be found".to_owned(),
    });
    lines.push(if found.is_sound() {
        "SOUND".to_owned()
    } else {
        format!("NOT SOUND: {} problems", found.problems)
    });
    lines.join("\n")
}
