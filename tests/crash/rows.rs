//! All rows of a database, to compare.

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};
use std::collections::BTreeSet;
use std::path::Path;

/// Each with its table and all its columns; what is long as its digest.
pub(crate) type Rows = BTreeSet<String>;

/// Reads them over a connection of its own.
pub(crate) fn rows_of(database: &Path) -> Result<Rows, String> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(database, flags).map_err(|e| e.to_string())?;
    read(&connection).map_err(|error| error.to_string())
}

/// SQLite's own checks of the whole file, and the version of its form.
pub(crate) fn check(database: &Path) -> Result<i64, String> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(database, flags).map_err(|e| e.to_string())?;
    let checked = || -> rusqlite::Result<(String, bool, i64)> {
        let verdict = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
        let orphans = connection.prepare("PRAGMA foreign_key_check")?.exists([])?;
        let version = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        Ok((verdict, orphans, version))
    };
    match checked().map_err(|error| error.to_string())? {
        (verdict, false, version) if verdict == "ok" => Ok(version),
        (verdict, orphans, _) => Err(format!("integrity: {verdict}; orphans: {orphans}")),
    }
}

fn read(connection: &Connection) -> rusqlite::Result<Rows> {
    let tables: Vec<String> = connection
        // What the journal writes to see whether it can write says nothing.
        .prepare(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name <> 'probe'",
        )?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let mut all = Rows::new();
    for table in tables {
        let mut statement = connection.prepare(&format!("SELECT * FROM {table}"))?;
        let columns = statement.column_count();
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let mut text = table.clone();
            for column in 0..columns {
                text.push_str(" | ");
                text.push_str(&show(row.get_ref(column)?));
            }
            all.insert(text);
        }
    }
    Ok(all)
}

fn show(value: ValueRef<'_>) -> String {
    let digest = |bytes: &[u8]| {
        let digest = fips::digest::digest(fips::digest::Hash::Sha256, bytes);
        let hex = pfx_connector::encoding::hex(digest.as_ref());
        format!("{} bytes {}", bytes.len(), &hex[..16])
    };
    match value {
        ValueRef::Null => "null".to_owned(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => number.to_string(),
        ValueRef::Text(text) if text.len() > 80 => digest(text),
        ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
        ValueRef::Blob(bytes) => digest(bytes),
    }
}
