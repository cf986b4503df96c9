//! docs/pfx.md says of each target what the data says.

use formats::pfx::Target;
use formats::pfx::verdict::{Answer, Basis, platform};
use std::fmt::Write;
use std::path::Path;

const BEGIN: &str =
    "<!-- targets: written by `UPDATE_DOCS=1 cargo test -p formats --test verdicts` -->\n";
const END: &str = "<!-- end of targets -->\n";

fn targets() -> String {
    let mut page = String::new();
    for target in Target::ALL {
        let platform = platform(target);
        let known = match platform.basis {
            Basis::Tried { version } => format!("tried with {version} by the tests"),
            other => other.text().to_owned(),
        };
        let _ = writeln!(
            page,
            "\n### `{}`: {}\n\n{}.\n",
            target.name(),
            target.title(),
            capital(&known)
        );
        page.push_str("| what | answer |\n|---|---|\n");
        for rule in platform.rules {
            let answer = match &rule.1 {
                Answer::Reads => "reads".to_owned(),
                Answer::ReadsNoting(text) => format!("reads: {text}"),
                Answer::If(text) => format!("on a condition: {text}"),
                Answer::Refuses(text) => format!("refuses: {text}"),
                Answer::NotKnown(text) => format!("not known: {text}"),
            };
            let _ = writeln!(page, "| {} | {answer} |", rule.0);
        }
        page.push_str("\nSources:\n");
        for source in platform.sources {
            let _ = writeln!(page, "- {source}");
        }
    }
    page
}

fn capital(text: &str) -> String {
    let mut characters = text.chars();
    characters
        .next()
        .map(|first| first.to_uppercase().chain(characters).collect())
        .unwrap_or_default()
}

#[test]
fn the_page_tells_of_each_target_what_the_data_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/pfx.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = page
        .split_once(BEGIN)
        .expect("the mark where the targets begin");
    let (_, after) = rest
        .split_once(END)
        .expect("the mark where the targets end");
    let fresh = format!("{before}{BEGIN}{}\n{END}{after}", targets());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &fresh).unwrap();
        return;
    }
    assert!(
        page == fresh,
        "docs/pfx.md is stale: UPDATE_DOCS=1 cargo test -p formats --test verdicts"
    );
}
