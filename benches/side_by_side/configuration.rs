//! The engine's configuration as the demo writes it, with what a measurement changes in it.

use super::Fallible;
use pfx_connector::cli::demo::Stack;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use toml::{Table, Value};

/// Writes the engine's configuration, changed, to `name` in the stack's folder: readable by its owner alone, as the engine wants it.
pub(crate) fn change(
    stack: &Stack,
    name: &str,
    how: impl FnOnce(&mut Table) -> Fallible<()>,
) -> Fallible<()> {
    let mut document: Table = fs::read_to_string(stack.path("engine.toml"))?.parse()?;
    let engine = document.get_mut("engine").and_then(Value::as_table_mut);
    how(engine.ok_or("no [engine]")?)?;
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(stack.path(name))?;
    Ok(file.write_all(toml::to_string(&document)?.as_bytes())?)
}

/// The section of the token.
pub(crate) fn token(engine: &mut Table) -> Fallible<&mut Table> {
    let token = engine.get_mut("token").and_then(Value::as_table_mut);
    Ok(token.ok_or("no [engine.token]")?)
}
