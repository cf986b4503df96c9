//! From a file to a [`Config`]: read, hold against the schema, make its paths absolute, fill the structures.

use super::error::{ConfigError, Problem};
use super::schema::{Key, Kind, ROOT};
use super::{Config, redacted, validate};
use serde::Deserialize;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// The largest file that is read, in bytes.
const MAX_BYTES: u64 = 1024 * 1024;

/// Reads a configuration file. Relative paths in it are taken relative to the folder that it is in.
///
/// # Errors
/// [`ConfigError`] with every problem of the file: unknown keys with the nearest valid one, wrong types, numbers out of their range,
/// what is missing. The files that it names are looked at later, by `Config::checked_*`, by the process that needs them.
pub fn load(path: &Path) -> Result<Config, ConfigError> {
    load_text(path).map(|(config, _)| config)
}

/// The same of a text that is not in a file yet, as if it were in `path`, which is not looked at.
///
/// # Errors
/// Those of [`load`].
pub fn parse(text: &str, path: &Path) -> Result<Config, ConfigError> {
    parse_in(text, path, path.parent().unwrap_or(Path::new("/")))
}

/// The same, and what of the file can be handed to somebody else (TOML): no comments, and nothing that could be a secret.
///
/// # Errors
/// Those of [`load`].
pub fn load_redacted(path: &Path) -> Result<(Config, String), ConfigError> {
    let (config, text) = load_text(path)?;
    let table = toml::from_str(&text).map_err(|error| invalid(path, error.message().to_owned()))?;
    Ok((config, redacted::render(table)))
}

fn load_text(path: &Path) -> Result<(Config, String), ConfigError> {
    let text = read(path)?;
    let absolute = std::path::absolute(path).map_err(|source| ConfigError::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    let folder = absolute.parent().unwrap_or(Path::new("/"));
    Ok((parse_in(&text, path, folder)?, text))
}

fn read(path: &Path) -> Result<String, ConfigError> {
    let unreadable = |source| ConfigError::Unreadable {
        path: path.to_owned(),
        source,
    };
    let file = std::fs::File::open(path).map_err(unreadable)?;
    // It names the module that is loaded and those who are trusted.
    let mode = file.metadata().map_err(unreadable)?.mode() & 0o7777;
    if mode & 0o002 != 0 {
        return Err(invalid(
            path,
            format!("everybody may change it (mode {mode:04o}): take that right away"),
        ));
    }
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(invalid(path, format!("larger than {MAX_BYTES} bytes")));
    }
    String::from_utf8(bytes).map_err(|_| invalid(path, "not UTF-8 text".to_owned()))
}

fn invalid(path: &Path, text: String) -> ConfigError {
    ConfigError::Invalid {
        path: path.to_owned(),
        problems: vec![Problem { line: None, text }],
    }
}

/// Reads the text of a file that lies in `folder`.
pub(super) fn parse_in(text: &str, path: &Path, folder: &Path) -> Result<Config, ConfigError> {
    let problems = validate::problems(text);
    if !problems.is_empty() {
        return Err(ConfigError::Invalid {
            path: path.to_owned(),
            problems,
        });
    }
    // What the schema lets pass fits the structures; should the two ever differ, serde's own message is still an answer.
    let mut table: Table =
        toml::from_str(text).map_err(|error| invalid(path, error.message().to_owned()))?;
    rebase_table(&mut table, ROOT, folder)
        .map_err(|()| invalid(path, "the path of its folder is not UTF-8".to_owned()))?;
    let mut config = Config::deserialize(Value::Table(table))
        .map_err(|error| invalid(path, error.message().to_owned()))?;
    config.file = path.to_owned();
    Ok(config)
}

fn rebase_table(table: &mut Table, keys: &[Key], folder: &Path) -> Result<(), ()> {
    for key in keys {
        if let Some(value) = table.get_mut(key.name) {
            rebase(value, key.kind, folder)?;
        }
    }
    Ok(())
}

fn rebase(value: &mut Value, kind: Kind, folder: &Path) -> Result<(), ()> {
    match (kind, value) {
        (Kind::Path, Value::String(text)) => {
            let path: PathBuf = folder.join(&*text);
            *text = path.into_os_string().into_string().map_err(|_| ())?;
            Ok(())
        }
        (Kind::Paths, Value::Array(items)) => items
            .iter_mut()
            .try_for_each(|item| rebase(item, Kind::Path, folder)),
        (Kind::Table(keys), Value::Table(table)) => rebase_table(table, keys, folder),
        (Kind::Tables(keys), Value::Array(items)) => items
            .iter_mut()
            .try_for_each(|item| rebase(item, Kind::Table(keys), folder)),
        _ => Ok(()),
    }
}
