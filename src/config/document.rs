//! docs/configuration.md, written from the schema; a test fails when the page is stale.

use super::schema::{Key, Kind, Need, ROOT};
use super::validate::expected;
use std::fmt::Write;

/// The page, as Markdown.
#[must_use]
pub fn page() -> String {
    let mut text = String::from(
        "# Configuration\n\n\
         One TOML file, a section for each process; each process needs only its own section, so that each can have a file that nobody else reads.\n\
         Secrets are never in it: it names files and systemd credentials that hold them. Files with secrets must belong to the user who runs the\n\
         process (or to root), and nobody else may have any right to them.\n\n\
         - Relative paths start at the folder of the configuration file.\n\
         - Unknown keys are refused, with the nearest valid one; so are wrong types and numbers out of their range. Exit code 2.\n\
         - `pfx-connector config example` prints a whole file with these explanations; `pfx-connector config check --config F` checks one.\n\n\
         This page is generated from the program; a test fails when it is stale (`UPDATE_DOCS=1 cargo test --test cli_config` writes it).\n",
    );
    for key in ROOT {
        section(&mut text, key, "");
    }
    text
}

fn section(text: &mut String, key: &Key, parent: &str) {
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
    let header = if several {
        format!("[[{path}]]")
    } else {
        format!("[{path}]")
    };
    let _ = write!(
        text,
        "\n## `{header}`\n\n{}\n\n| key | value | default | meaning |\n|---|---|---|---|\n",
        key.doc
    );
    for inner in keys {
        row(text, inner);
    }
    for inner in keys {
        words(text, inner);
    }
    for inner in keys {
        section(text, inner, &path);
    }
}

fn row(text: &mut String, key: &Key) {
    let value = match key.kind {
        Kind::Words(_) => "a list of the words below".to_owned(),
        Kind::Word(_) => "one of the words below".to_owned(),
        Kind::Table(_) | Kind::Tables(_) => format!("{}, below", expected(key.kind)),
        other => expected(other),
    };
    let default = match key.need {
        Need::Required(_) => "required".to_owned(),
        Need::Unless(other) => format!("required without `{other}`"),
        Need::Default("") => "the defaults below".to_owned(),
        Need::Default(value) => format!("`{value}`"),
        Need::Optional(_) | Need::Usual(_) => "none".to_owned(),
    };
    let _ = writeln!(
        text,
        "| `{}` | {} | {default} | {} |",
        key.name,
        escape(&value),
        escape(key.doc)
    );
}

fn words(text: &mut String, key: &Key) {
    if let Kind::Word(words) | Kind::Words(words) = key.kind {
        let _ = writeln!(text, "\n`{}`:\n", key.name);
        for word in words {
            let _ = writeln!(text, "- `{}`: {}", word.name, word.doc);
        }
    }
}

/// A bar would end the cell.
fn escape(text: &str) -> String {
    text.replace('|', "\\|")
}
