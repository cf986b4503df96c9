//! One configuration file with every key, explained: `config example`.

use super::schema::{Key, Kind, Need, ROOT};
use std::fmt::Write;

/// A commented configuration with every key. Keys that are left to their default, or that a usual set-up does not have, are commented
/// out; what is left works once the files that it names are there.
#[must_use]
pub fn example() -> String {
    let mut text = String::from(
        "# Configuration of pfx-connector (TOML). A section for each process: put each into the file that its process can read.\n\
         # Secrets are never in here: it names files and systemd credentials that hold them.\n\
         # Relative paths start at the folder of this file. Lines with one `#` and no space after it show defaults and options.\n",
    );
    for key in ROOT {
        section(&mut text, key, "", false);
    }
    text
}

/// Writes a table: first its plain keys, then the tables in it.
fn section(text: &mut String, key: &Key, parent: &str, disabled: bool) {
    let (keys, several) = match key.kind {
        Kind::Table(keys) => (keys, false),
        Kind::Tables(keys) => (keys, true),
        _ => return,
    };
    let path = if parent.is_empty() {
        key.name.to_owned()
    } else {
        format!("{parent}.{}", key.name)
    };
    let disabled = disabled || matches!(key.need, Need::Optional(_));
    let mark = if disabled { "#" } else { "" };
    let header = if several {
        format!("[[{path}]]")
    } else {
        format!("[{path}]")
    };
    text.push('\n');
    comment(text, key.doc);
    let _ = writeln!(text, "{mark}{header}");
    for inner in keys {
        if !is_table(inner.kind) {
            plain(text, inner, disabled);
        }
    }
    for inner in keys {
        if is_table(inner.kind) {
            section(text, inner, &path, disabled);
        }
    }
}

fn is_table(kind: Kind) -> bool {
    matches!(kind, Kind::Table(_) | Kind::Tables(_))
}

fn plain(text: &mut String, key: &Key, disabled: bool) {
    comment(text, key.doc);
    if let Kind::Word(words) | Kind::Words(words) = key.kind {
        for word in words {
            comment(text, &format!("- {}: {}", word.name, word.doc));
        }
    }
    let live = matches!(
        key.need,
        Need::Required(_) | Need::Unless(_) | Need::Usual(_)
    ) && !disabled;
    let mark = if live { "" } else { "#" };
    let _ = writeln!(text, "{mark}{} = {}", key.name, key.need.value());
}

fn comment(text: &mut String, doc: &str) {
    let _ = writeln!(text, "# {doc}");
}
