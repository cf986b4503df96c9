//! Reads the text of a subject: RFC 4514, with variables, and values in quotes as RFC 2253 (section 4) had them.

use super::attribute::Kind;
use super::{MAX_ATTRIBUTES, MAX_RDNS, Part};
use crate::template::{
    Piece, TemplateError, TextTemplate, Variable, refuse_controls, too_long, unclosed,
};

/// The parts in the order of the text. Without `variables`, braces stand for themselves.
pub(super) fn parse(text: &str, variables: bool) -> Result<Vec<Part>, TemplateError> {
    too_long(text)?;
    refuse_controls(text, || "the subject".to_owned())?;
    let mut reader = Reader {
        characters: text.chars().collect(),
        at: 0,
        variables,
    };
    reader.spaces();
    let mut parts = Vec::new();
    if reader.peek().is_none() {
        return Ok(parts);
    }
    loop {
        if parts.len() >= MAX_RDNS {
            return Err(reader.wrong(&format!("a subject has at most {MAX_RDNS} parts")));
        }
        parts.push(reader.part()?);
        match reader.next() {
            None => return Ok(parts),
            Some(',') => {}
            Some(other) => {
                reader.at = reader.at.saturating_sub(1);
                return Err(reader.wrong(&format!("{other:?} where a comma or the end should be")));
            }
        }
    }
}

struct Reader {
    characters: Vec<char>,
    at: usize,
    variables: bool,
}

impl Reader {
    fn peek(&self) -> Option<char> {
        self.characters.get(self.at).copied()
    }

    fn next(&mut self) -> Option<char> {
        let found = self.peek()?;
        self.at = self.at.saturating_add(1);
        Some(found)
    }

    fn spaces(&mut self) {
        while self.peek() == Some(' ') {
            self.at = self.at.saturating_add(1);
        }
    }

    fn wrong(&self, problem: &str) -> TemplateError {
        TemplateError::Syntax {
            at: self.at.saturating_add(1),
            problem: problem.to_owned(),
        }
    }

    fn begins(&self, what: [char; 2]) -> bool {
        self.characters
            .get(self.at..)
            .is_some_and(|rest| rest.starts_with(&what))
    }

    fn variable(&mut self) -> Result<Option<Variable>, TemplateError> {
        if !self.variables || !self.begins(['{', '{']) {
            return Ok(None);
        }
        let start = self.at;
        self.at = self.at.saturating_add(2);
        let mut name = String::new();
        while !self.begins(['}', '}']) {
            name.push(
                self.next()
                    .ok_or_else(|| unclosed(start.saturating_add(1)))?,
            );
        }
        self.at = self.at.saturating_add(2);
        Variable::named(&name).map(Some)
    }

    fn part(&mut self) -> Result<Part, TemplateError> {
        self.spaces();
        let start = self.at;
        if let Some(variable) = self.variable()? {
            self.spaces();
            if variable != Variable::OnPremDistinguishedName
                || !matches!(self.peek(), None | Some(','))
            {
                self.at = start;
                return Err(self.wrong(
                    "a part of a subject is attribute=value; only {{OnPrem_Distinguished_Name}} stands for whole parts",
                ));
            }
            return Ok(Part::WholeName);
        }
        let mut attributes: Vec<(Kind, TextTemplate)> = Vec::new();
        loop {
            let (kind, value) = self.attribute()?;
            if attributes.iter().any(|(other, _)| other.oid == kind.oid) {
                return Err(self.wrong(&format!("{} stands twice in one part", kind.words())));
            }
            if attributes.len() >= MAX_ATTRIBUTES {
                return Err(self.wrong(&format!(
                    "more than {MAX_ATTRIBUTES} attributes in one part"
                )));
            }
            attributes.push((kind, value));
            if self.peek() != Some('+') {
                return Ok(Part::Attributes(attributes));
            }
            self.at = self.at.saturating_add(1);
        }
    }

    fn attribute(&mut self) -> Result<(Kind, TextTemplate), TemplateError> {
        self.spaces();
        let start = self.at;
        let mut name = String::new();
        loop {
            match self.next() {
                Some('=') => break,
                Some(c) if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ' ') => {
                    name.push(c)
                }
                _ => {
                    self.at = start;
                    return Err(self.wrong("an attribute is written name=value, such as CN={{UserName}}; a comma that belongs to a value is written \\,"));
                }
            }
        }
        let name = name.trim_end();
        let Some(kind) = Kind::named(name) else {
            self.at = start;
            return Err(self.wrong(&format!(
                "there is no attribute {name:?} here (CN, E, OU, O, L, ST, C, DC, UID, SN, GN, title, serialNumber ..., or an object identifier)"
            )));
        };
        self.spaces();
        let pieces = match self.peek() {
            Some('"') => self.quoted()?,
            Some('#') => return Err(self.wrong("values in hexadecimal (#...) are not taken; write the text, and \\# for a # at its beginning")),
            _ => self.plain()?,
        };
        Ok((kind, TextTemplate::of(pieces)))
    }

    /// Up to the quote that ends it, and the spaces behind.
    fn quoted(&mut self) -> Result<Vec<Piece>, TemplateError> {
        let start = self.at;
        self.at = self.at.saturating_add(1);
        let mut value = Value::default();
        loop {
            if let Some(variable) = self.variable()? {
                value.variable(variable, self)?;
                continue;
            }
            match self.next() {
                None => {
                    self.at = start;
                    return Err(self.wrong("this quote is never closed"));
                }
                Some('"') => break,
                Some('\\') => self.escape(&mut value)?,
                Some(c) => value.push(c),
            }
        }
        self.spaces();
        value.finish(self, false)
    }

    /// Up to a comma, a plus sign or the end, without the spaces before it.
    fn plain(&mut self) -> Result<Vec<Piece>, TemplateError> {
        let mut value = Value::default();
        loop {
            if let Some(variable) = self.variable()? {
                value.variable(variable, self)?;
                continue;
            }
            match self.peek() {
                None | Some(',' | '+') => break,
                Some(c @ (';' | '<' | '>' | '"')) => {
                    return Err(self.wrong(&format!(
                        "{c} in a value is written \\{c}, or the value in quotes"
                    )));
                }
                Some('\\') => {
                    self.at = self.at.saturating_add(1);
                    self.escape(&mut value)?;
                }
                Some(c) => {
                    self.at = self.at.saturating_add(1);
                    value.push(c);
                }
            }
        }
        value.finish(self, true)
    }

    /// Behind a backslash: a special character, or the hexadecimal digits of an octet.
    fn escape(&mut self, value: &mut Value) -> Result<(), TemplateError> {
        const WRONG: &str = "a backslash stands before one of , + \" \\ < > ; = # or a space, or before two hexadecimal digits";
        let first = self.next().ok_or_else(|| self.wrong(WRONG))?;
        if let Some(high) = first.to_digit(16) {
            let low = self
                .next()
                .and_then(|c| c.to_digit(16))
                .ok_or_else(|| self.wrong(WRONG))?;
            let octet = u8::try_from(high.saturating_mul(16).saturating_add(low));
            value.octet(octet.map_err(|_| self.wrong(WRONG))?);
            return Ok(());
        }
        match first {
            ',' | '+' | '"' | '\\' | '<' | '>' | ';' | '=' | '#' | ' ' => {
                value.push(first);
                value.fixed = value.text.len();
                Ok(())
            }
            _ => Err(self.wrong(WRONG)),
        }
    }
}

/// A value that is being read.
#[derive(Default)]
struct Value {
    pieces: Vec<Piece>,
    text: Vec<u8>,
    /// Octets of `text` that are no spaces to be cut off.
    fixed: usize,
}

impl Value {
    fn push(&mut self, c: char) {
        self.text.extend(c.encode_utf8(&mut [0; 4]).as_bytes());
        if c != ' ' {
            self.fixed = self.text.len();
        }
    }

    fn octet(&mut self, octet: u8) {
        self.text.push(octet);
        self.fixed = self.text.len();
    }

    fn variable(&mut self, variable: Variable, reader: &Reader) -> Result<(), TemplateError> {
        self.end_text(reader)?;
        self.pieces.push(Piece::Variable(variable));
        Ok(())
    }

    fn end_text(&mut self, reader: &Reader) -> Result<(), TemplateError> {
        self.fixed = 0;
        if self.text.is_empty() {
            return Ok(());
        }
        let text = String::from_utf8(std::mem::take(&mut self.text))
            .map_err(|_| reader.wrong("the octets before this are not UTF-8"))?;
        refuse_controls(&text, || "the subject".to_owned())?;
        self.pieces.push(Piece::Text(text));
        Ok(())
    }

    fn finish(
        mut self,
        reader: &Reader,
        without_spaces: bool,
    ) -> Result<Vec<Piece>, TemplateError> {
        if without_spaces {
            self.text.truncate(self.fixed);
        }
        self.end_text(reader)?;
        if self.pieces.is_empty() {
            return Err(reader.wrong("the value is empty; leave the attribute out"));
        }
        Ok(self.pieces)
    }
}
