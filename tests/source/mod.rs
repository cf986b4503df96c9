//! Reads the repository's own Rust sources, for the tests that hold the code to its rules.
#![allow(dead_code, reason = "shared by tests that each use a part of it")]

use std::fs;
use std::path::{Path, PathBuf};

/// The root of the workspace.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All Rust files below `folder`, sorted; what a build has written is left out.
pub(crate) fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else {
            continue;
        };
        for entry in entries {
            let entry = entry.unwrap();
            let path = entry.path();
            let name = entry.file_name();
            if entry.file_type().unwrap().is_dir() {
                if name != "target" && !name.to_string_lossy().starts_with('.') {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// The file's text without comments and without the contents of string and character literals, so that a word found
/// in it is a word of the program.
pub(crate) fn code_of(file: &Path) -> String {
    code(&fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display())))
}

/// Whether `word` occurs in `code` as a whole identifier.
pub(crate) fn has_word(code: &str, word: &str) -> bool {
    words(code).any(|(_, found)| found == word)
}

/// Whether `code` has a path that begins with the crate `name`: `time::Date` does for `time`, `std::time::Instant` does not.
pub(crate) fn names_crate(code: &str, name: &str) -> bool {
    let identifier = name.replace('-', "_");
    words(code).any(|(end, found)| {
        let is_of_a_word = |c: char| c.is_alphanumeric() || c == '_';
        let before = code[..end - found.len()].trim_end();
        let inside_a_path = before
            .strip_suffix("::")
            .is_some_and(|before| before.ends_with(is_of_a_word));
        let after = code[end..].trim_start();
        // `use time as _` names it as well; `time as u64` is somebody's variable.
        let is_renamed = after.starts_with("as ")
            && before
                .strip_suffix("use")
                .is_some_and(|before| !before.ends_with(is_of_a_word));
        found == identifier && !inside_a_path && (after.starts_with("::") || is_renamed)
    })
}

/// Whether `code` has a path that goes on behind `name`: `ServerConfig::builder()` does, `x: ServerConfig` does not.
pub(crate) fn goes_into(code: &str, name: &str) -> bool {
    words(code).any(|(end, found)| found == name && code[end..].trim_start().starts_with("::"))
}

/// The identifiers and keywords of `code`, each with the offset of its end.
fn words(code: &str) -> impl Iterator<Item = (usize, &str)> {
    let part_of_a_word = |c: char| c.is_alphanumeric() || c == '_';
    code.split(move |c: char| !part_of_a_word(c))
        .filter(|word| !word.is_empty())
        .map(move |word| {
            let start = word.as_ptr() as usize - code.as_ptr() as usize;
            (start + word.len(), word)
        })
}

fn code(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut code = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let rest = &chars[at..];
        let skipped = comment(rest)
            .or_else(|| raw_string(rest, &code))
            .or_else(|| literal(rest));
        match skipped {
            Some(length) => {
                code.push(' ');
                at += length;
            }
            None => {
                code.push(chars[at]);
                at += 1;
            }
        }
    }
    code
}

/// Length of the comment at the start, block comments nested.
fn comment(rest: &[char]) -> Option<usize> {
    if rest.starts_with(&['/', '/']) {
        return Some(rest.iter().position(|&c| c == '\n').unwrap_or(rest.len()));
    }
    if !rest.starts_with(&['/', '*']) {
        return None;
    }
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        if rest[at..].starts_with(&['/', '*']) {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with(&['*', '/']) {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return Some(at);
            }
        } else {
            at += 1;
        }
    }
    Some(rest.len())
}

/// Length of the raw string at the start (`r"..."`, `br#"..."#`); `before` tells an `r` that ends an identifier apart.
fn raw_string(rest: &[char], before: &str) -> Option<usize> {
    if before.ends_with(|c: char| c.is_alphanumeric() || c == '_') {
        return None;
    }
    let prefix = match rest {
        ['r', ..] => 1,
        ['b' | 'c', 'r', ..] => 2,
        _ => return None,
    };
    let hashes = rest[prefix..].iter().take_while(|&&c| c == '#').count();
    let start = prefix + hashes;
    if rest.get(start) != Some(&'"') {
        return None;
    }
    let mut end = vec!['"'];
    end.extend(std::iter::repeat_n('#', hashes));
    let content = &rest[start + 1..];
    let length = content
        .windows(end.len())
        .position(|window| window == end.as_slice());
    Some(length.map_or(rest.len(), |length| start + 1 + length + end.len()))
}

/// Length of the string or character literal at the start; a lifetime is none.
fn literal(rest: &[char]) -> Option<usize> {
    let quote = *rest.first()?;
    match quote {
        '"' => {}
        '\'' if rest.get(1) == Some(&'\\') || rest.get(2) == Some(&'\'') => {}
        _ => return None,
    }
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            '\\' => at += 2,
            c if c == quote => return Some(at + 1),
            _ => at += 1,
        }
    }
    Some(rest.len())
}
