//! What exists by name in the program: exceptions, services, codes, configuration keys, files.

use crate::source::{code_of, has_word, root, rust_files};
use fips::claim::Level;
use fips::policy::{Exception, Service};
use pfx_connector::config::EngineException;
use std::collections::BTreeSet;
use std::fs;

/// Folders of the repository that a page may name files of.
const FOLDERS: [&str; 10] = [
    "benches",
    "docs",
    "fips",
    "formats",
    "hsm",
    "scripts",
    "src",
    "tests",
    "third_party",
    ".cargo",
];

/// The sections of a configuration file: what begins with one of them and a point is a key.
const SECTIONS: [&str; 5] = ["connector", "engine", "fips", "gateway", "import"];

/// Names of other people's tools and settings.
const FOREIGN: [&str; 2] = ["inject_hash", "trim-paths"];

/// Everything that a word of a page may be.
pub(crate) struct Names {
    exact: BTreeSet<String>,
    literals: BTreeSet<String>,
    configuration: BTreeSet<String>,
    code: String,
}

impl Names {
    pub(crate) fn gather() -> Self {
        let exact = Exception::ALL
            .iter()
            .map(|exception| exception.name().to_owned())
            .chain(ENGINE_EXCEPTIONS.map(|exception| exception.name().to_owned()))
            .chain(Service::ALL.iter().map(|service| service.name().to_owned()))
            .chain(Level::ALL.iter().map(|level| level.name().to_owned()))
            .chain(packages())
            .collect();
        let mut literals = BTreeSet::new();
        let mut code = String::new();
        for folder in ["src", "fips/src", "hsm/src"] {
            for file in rust_files(&root().join(folder)) {
                code.push_str(&code_of(&file));
                let text = fs::read_to_string(file).unwrap();
                // Odd ones of the parts are texts, wherever no text holds a quotation mark; what goes wrong only makes a word unknown.
                literals.extend(text.split('"').map(str::to_owned));
            }
        }
        Self {
            exact,
            literals,
            configuration: configuration(),
            code,
        }
    }

    /// Whether `word` exists, if it has the form of a name; everything else is prose.
    pub(crate) fn check(&self, word: &str) -> Result<(), &'static str> {
        let is = |allowed: fn(char) -> bool| word.chars().all(allowed);
        let lower = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        if let Some((folder, _)) = word.split_once('/')
            && FOLDERS.contains(&folder)
            && !word.contains([' ', '*', '{'])
        {
            let file = word.split("::").next().unwrap_or(word);
            return match root().join(file).exists() {
                true => Ok(()),
                false => Err("is no file of the repository"),
            };
        }
        // An option of a command line is none of ours to know.
        if word.starts_with('-') || FOREIGN.contains(&word) {
            return Ok(());
        }
        let known = self.exact.contains(word) || self.literals.contains(word);
        let known = known || self.configuration.contains(word);
        if is(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-') && word.contains('-') {
            let subcommand = has_word(&self.code, &pascal(word, '-'));
            return found(
                known || subcommand,
                "is no exception, service, package or command",
            );
        }
        // What ends so is the beginning of names, not one.
        if is(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
            && word.contains('_')
            && !word.ends_with('_')
        {
            let identifier = has_word(&self.code, word);
            return found(known || identifier, "is no code and no configuration key");
        }
        if let Some((section, _)) = word.split_once('.')
            && SECTIONS.contains(&section)
        {
            return found(self.configuration.contains(word), "is no configuration key");
        }
        if word.starts_with(lower)
            && is(|c| c.is_ascii_alphanumeric())
            && word.contains(|c: char| c.is_ascii_uppercase())
        {
            let named =
                has_word(&self.code, &pascal(word, '\0')) || has_word(&self.code, &snake(word));
            return found(known || named, "is no code and no field of a report");
        }
        Ok(())
    }
}

fn found(it_is: bool, why: &'static str) -> Result<(), &'static str> {
    if it_is { Ok(()) } else { Err(why) }
}

const ENGINE_EXCEPTIONS: [EngineException; 5] = [
    EngineException::CoLocatedCa,
    EngineException::NoDeviceAnchors,
    EngineException::UnsignedRecords,
    EngineException::ExtractableKeys,
    EngineException::CmsDesEde3,
];

/// `GenerateSigning` for `generate-signing`, `ModuleOutOfService` for `moduleOutOfService`.
fn pascal(word: &str, separator: char) -> String {
    let mut text = String::new();
    let mut upper = true;
    for c in word.chars() {
        if c == separator {
            upper = true;
        } else if upper {
            text.push(c.to_ascii_uppercase());
            upper = false;
        } else {
            text.push(c);
        }
    }
    text
}

/// `not_approved` for `notApproved`.
fn snake(word: &str) -> String {
    let mut text = String::new();
    for c in word.chars() {
        if c.is_ascii_uppercase() {
            text.push('_');
        }
        text.push(c.to_ascii_lowercase());
    }
    text
}

/// The packages of the lock file.
fn packages() -> Vec<String> {
    let lock = fs::read_to_string(root().join("Cargo.lock")).unwrap();
    lock.lines()
        .filter_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'))
        .map(str::to_owned)
        .collect()
}

/// Configuration keys, with their section and without, from the page that is generated of them.
fn configuration() -> BTreeSet<String> {
    let page = fs::read_to_string(root().join("docs/configuration.md")).unwrap();
    let mut keys = BTreeSet::new();
    let mut section = "";
    for line in page.lines() {
        if let Some(heading) = line.strip_prefix("## `[") {
            section = heading
                .trim_end_matches(['`', ']'])
                .trim_matches(['[', ']']);
            keys.insert(section.to_owned());
        } else if let Some(key) = line
            .strip_prefix("| `")
            .and_then(|rest| rest.split('`').next())
        {
            keys.insert(key.to_owned());
            keys.insert(format!("{section}.{key}"));
        }
    }
    assert!(keys.contains("engine.token.label"), "{keys:?}");
    keys
}
