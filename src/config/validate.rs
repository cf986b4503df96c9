//! Holds the text of a file against the schema: unknown keys with the nearest valid one, types, limits, what is missing.

use super::error::Problem;
use super::pkcs1::LastDay;
use super::schema::{Key, Kind, Need, ROOT, Word};
use std::net::SocketAddr;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeInteger, DeTable, DeValue};

/// Everything that is wrong with the text, in the order of its lines; empty when nothing is.
pub(super) fn problems(text: &str) -> Vec<Problem> {
    let mut walk = Walk {
        lines: Lines::of(text),
        found: Vec::new(),
    };
    match DeTable::parse(text) {
        Ok(document) => walk.table(document.get_ref(), ROOT, "", None),
        Err(error) => walk.add(
            error.span().as_ref(),
            format!("not TOML: {}", error.message()),
        ),
    }
    walk.found.sort_by_key(|problem| problem.line);
    walk.found
}

/// Where the lines of a text begin.
struct Lines(Vec<usize>);

impl Lines {
    fn of(text: &str) -> Self {
        let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        Self(
            std::iter::once(0)
                .chain(breaks.map(|(at, _)| at + 1))
                .collect(),
        )
    }

    fn line(&self, offset: usize) -> usize {
        self.0.partition_point(|start| *start <= offset)
    }
}

struct Walk {
    lines: Lines,
    found: Vec<Problem>,
}

impl Walk {
    fn add(&mut self, span: Option<&Range<usize>>, text: String) {
        let line = span.map(|span| self.lines.line(span.start));
        self.found.push(Problem { line, text });
    }

    fn table(
        &mut self,
        table: &DeTable<'_>,
        keys: &'static [Key],
        path: &str,
        span: Option<&Range<usize>>,
    ) {
        for (name, value) in table {
            let full = join(path, name.get_ref());
            match keys.iter().find(|key| key.name == name.get_ref().as_ref()) {
                Some(key) => self.value(value, key.kind, &full),
                None => self.unknown(&name.span(), name.get_ref(), keys, &full),
            }
        }
        for key in keys {
            let is_there = |name| table.keys().any(|there| there.get_ref() == name);
            let present = is_there(key.name);
            let required = match key.need {
                Need::Required(_) => true,
                Need::Unless(other) if present && is_there(other) => {
                    let (one, other) = (join(path, key.name), join(path, other));
                    self.add(
                        span,
                        format!("`{one}` and `{other}`: only one of them can be meant"),
                    );
                    false
                }
                Need::Unless(other) => !is_there(other),
                _ => false,
            };
            if required && !present {
                let full = join(path, key.name);
                self.add(span, format!("`{full}` is missing: {}", expected(key.kind)));
            }
        }
    }

    fn unknown(&mut self, span: &Range<usize>, name: &str, keys: &'static [Key], full: &str) {
        let line = self.lines.line(span.start);
        let remedy = match nearest(name, keys.iter().map(|key| key.name)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => match elsewhere(name, ROOT, "") {
                Some(place) => format!("it belongs to `{place}`"),
                None => format!("valid here: {}", list(keys.iter().map(|key| key.name))),
            },
        };
        self.found.push(Problem {
            line: Some(line),
            text: format!("unknown key `{full}`: {remedy}"),
        });
    }

    fn value(&mut self, value: &Spanned<DeValue<'_>>, kind: Kind, path: &str) {
        let span = value.span();
        match (kind, value.get_ref()) {
            (Kind::Table(keys), DeValue::Table(table)) => {
                self.table(table, keys, path, Some(&span));
            }
            (Kind::Tables(keys), DeValue::Array(items)) => {
                for item in items.iter() {
                    match item.get_ref() {
                        DeValue::Table(table) => {
                            self.table(table, keys, path, Some(&item.span()));
                        }
                        other => self.mistyped(&item.span(), kind, path, other),
                    }
                }
            }
            (Kind::TextMap, DeValue::Table(table)) => {
                for (name, text) in table {
                    let full = join(path, name.get_ref());
                    self.value(text, Kind::Text, &full);
                }
            }
            (Kind::Integer { min, max }, DeValue::Integer(number)) => {
                self.integer(&span, number, (min, max), path);
            }
            (Kind::UserIds, DeValue::Array(items)) => {
                for item in items.iter() {
                    match item.get_ref() {
                        DeValue::Integer(id) => {
                            self.integer(&item.span(), id, (0, i64::from(u32::MAX - 1)), path);
                        }
                        other => self.mistyped(&item.span(), kind, path, other),
                    }
                }
            }
            (Kind::Words(words), DeValue::Array(items)) => {
                for item in items.iter() {
                    self.value(item, Kind::Word(words), path);
                }
            }
            (Kind::Texts, DeValue::Array(items)) => {
                for item in items.iter() {
                    self.value(item, Kind::Text, path);
                }
            }
            (Kind::Paths, DeValue::Array(items)) => {
                for item in items.iter() {
                    self.value(item, Kind::Path, path);
                }
            }
            (Kind::Boolean, DeValue::Boolean(_)) => {}
            (_, DeValue::String(text)) if is_textual(kind) => {
                if let Some(problem) = wrong_text(kind, text) {
                    self.add(Some(&span), format!("`{path}`: {problem}"));
                }
            }
            (_, other) => self.mistyped(&span, kind, path, other),
        }
    }

    fn integer(
        &mut self,
        span: &Range<usize>,
        number: &DeInteger<'_>,
        limits: (i64, i64),
        path: &str,
    ) {
        let (min, max) = limits;
        let in_range = i64::from_str_radix(number.as_str(), number.radix())
            .is_ok_and(|value| (min..=max).contains(&value));
        if !in_range {
            self.add(
                Some(span),
                format!("`{path}` is {number}: it must be from {min} to {max}"),
            );
        }
    }

    fn mistyped(&mut self, span: &Range<usize>, kind: Kind, path: &str, found: &DeValue<'_>) {
        let (expected, found) = (expected(kind), type_name(found));
        self.add(
            Some(span),
            format!("`{path}`: expected {expected}, found {found}"),
        );
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

fn list(names: impl Iterator<Item = &'static str>) -> String {
    names
        .map(|name| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(", ")
}

/// The nearest of the names, if one is near enough to be what was meant.
fn nearest(name: &str, names: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    // A key of some kilobytes is nobody's slip of the finger, and the comparison is quadratic.
    if name.len() > 64 {
        return None;
    }
    names
        .map(|candidate| {
            (
                strsim::normalized_damerau_levenshtein(name, candidate),
                candidate,
            )
        })
        .filter(|(likeness, _)| *likeness >= 0.5)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, candidate)| candidate)
}

/// The table that has a key of exactly this name.
fn elsewhere(name: &str, keys: &'static [Key], path: &str) -> Option<String> {
    keys.iter().find_map(|key| {
        if key.name == name && !path.is_empty() {
            return Some(path.to_owned());
        }
        match key.kind {
            Kind::Table(inner) | Kind::Tables(inner) => {
                elsewhere(name, inner, &join(path, key.name))
            }
            _ => None,
        }
    })
}

fn is_textual(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Text
            | Kind::HttpsUrl
            | Kind::ProxyUrl
            | Kind::Path
            | Kind::AbsolutePath
            | Kind::Address
            | Kind::LoopbackAddress
            | Kind::Sha256Hex
            | Kind::Date
            | Kind::Word(_)
    )
}

fn wrong_text(kind: Kind, text: &str) -> Option<String> {
    if text.is_empty() {
        return Some(format!("expected {}, found an empty text", expected(kind)));
    }
    if text.contains('\0') {
        return Some("it holds a NUL character".to_owned());
    }
    let fine = match kind {
        Kind::HttpsUrl => is_url(text, &["https"]),
        Kind::ProxyUrl => is_url(text, &["http", "https"]),
        Kind::AbsolutePath => std::path::Path::new(text).is_absolute(),
        Kind::Address => text.parse::<SocketAddr>().is_ok(),
        Kind::LoopbackAddress => text
            .parse::<SocketAddr>()
            .is_ok_and(|address| address.ip().is_loopback()),
        Kind::Date => text.parse::<LastDay>().is_ok(),
        Kind::Sha256Hex => text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit()),
        Kind::Word(words) => return wrong_word(words, text),
        _ => true,
    };
    (!fine).then(|| format!("expected {}", expected(kind)))
}

fn wrong_word(words: &'static [Word], text: &str) -> Option<String> {
    let names = || words.iter().map(|word| word.name);
    if names().any(|name| name == text) {
        return None;
    }
    Some(match nearest(text, names()) {
        Some(near) => format!("unknown value: did you mean `{near}`?"),
        None => format!("unknown value: it must be one of {}", list(names())),
    })
}

/// A base URL: scheme, host, optional port and path. A user name in it would put a password into a file that is no secret.
fn is_url(text: &str, schemes: &[&str]) -> bool {
    reqwest::Url::parse(text).is_ok_and(|url| {
        schemes.contains(&url.scheme())
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none()
    })
}

/// What a value must be, in words.
pub(super) fn expected(kind: Kind) -> String {
    match kind {
        Kind::Text => "a text".to_owned(),
        Kind::Texts => "a list of texts".to_owned(),
        Kind::HttpsUrl => {
            "an https:// URL without user name, query or fragment, such as \"https://host:8443\""
                .to_owned()
        }
        Kind::ProxyUrl => {
            "an http:// or https:// URL without user name, such as \"http://proxy:3128\"".to_owned()
        }
        Kind::Path => "a path".to_owned(),
        Kind::AbsolutePath => "an absolute path".to_owned(),
        Kind::Paths => "a list of paths, such as [\"ca.pem\"]".to_owned(),
        Kind::Integer { min, max } => format!("a whole number from {min} to {max}"),
        Kind::UserIds => "a list of numeric user ids, such as [1000]".to_owned(),
        Kind::Boolean => "true or false".to_owned(),
        Kind::Address => "an address and port, such as \"0.0.0.0:8443\"".to_owned(),
        Kind::LoopbackAddress => {
            "a loopback address and port, such as \"127.0.0.1:9464\"".to_owned()
        }
        Kind::Date => "a date, such as \"2027-03-31\"".to_owned(),
        Kind::Sha256Hex => "64 hexadecimal digits (SHA-256)".to_owned(),
        Kind::Word(words) => format!("one of {}", list(words.iter().map(|word| word.name))),
        Kind::Words(words) => {
            format!("a list of {}", list(words.iter().map(|word| word.name)))
        }
        Kind::TextMap => "a table of texts, such as { NAME = \"value\" }".to_owned(),
        Kind::Table(_) => "a table".to_owned(),
        Kind::Tables(_) => "a list of tables ([[...]])".to_owned(),
    }
}

fn type_name(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
