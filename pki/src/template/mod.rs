//! Text with variables in it, as certificate profiles have it: `{{UserName}}`, `{{GivenName}} {{SurName}}`.
//!
//! A template is read once and filled for each person or device. What a variable holds is text and nothing else: whatever is in it - commas,
//! equal signs, braces - is never read again.

mod variable;

pub use variable::{Values, Variable};

/// Largest template, in characters.
pub const MAX_TEMPLATE_CHARACTERS: usize = 2048;
/// Largest value of a variable, in characters.
pub const MAX_VALUE_CHARACTERS: usize = 1024;

/// Why a template cannot be used, or not be filled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TemplateError {
    /// It is not written as templates are.
    #[error("the template is wrong at character {at}: {problem}")]
    Syntax {
        /// Counted from 1.
        at: usize,
        /// What is wrong and what to do.
        problem: String,
    },
    /// It names a variable that does not exist.
    #[error("there is no variable {name:?}; there are: {}", Variable::list())]
    UnknownVariable {
        /// As it stands there, shortened.
        name: String,
    },
    /// A variable has no value for this person or device.
    #[error(
        "the variable {{{{{name}}}}} has no value here: give the person or device one, or take the variable out of the template"
    )]
    MissingVariable {
        /// Its documented name.
        name: &'static str,
    },
    /// A value, or a text of the template, holds a character that no name may have.
    #[error("{what} holds {}, which is refused in names", control(*found))]
    Character {
        /// Whose value.
        what: String,
        /// The character.
        found: char,
    },
    /// A value is too long for any name.
    #[error("{what} has more than {most} characters")]
    TooLong {
        /// Whose value.
        what: String,
        /// The limit.
        most: usize,
    },
}

fn control(found: char) -> String {
    format!("the control character U+{:04X}", u32::from(found))
}

/// A character that would change how a name is shown or read: control characters, and those that turn the direction of writing
/// (Unicode Standard Annex 9). Joiners, which some languages write names with, are none.
#[must_use]
pub fn is_control(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

pub(crate) fn refuse_controls(
    text: &str,
    what: impl FnOnce() -> String,
) -> Result<(), TemplateError> {
    match text.chars().find(|c| is_control(*c)) {
        Some(found) => Err(TemplateError::Character {
            what: what(),
            found,
        }),
        None => Ok(()),
    }
}

/// A piece of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Piece {
    Text(String),
    Variable(Variable),
}

/// One text with variables, such as `{{GivenName}} {{SurName}}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextTemplate {
    pieces: Vec<Piece>,
}

impl TextTemplate {
    /// Reads it: everything outside of `{{` and `}}` stands for itself.
    ///
    /// # Errors
    /// [`TemplateError`].
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        too_long(text)?;
        refuse_controls(text, || "the template".to_owned())?;
        let mut pieces = Vec::new();
        let mut rest = text;
        let mut at: usize = 1;
        while let Some((before, after)) = rest.split_once("{{") {
            if !before.is_empty() {
                pieces.push(Piece::Text(before.to_owned()));
            }
            at = at.saturating_add(before.chars().count());
            let Some((name, behind)) = after.split_once("}}") else {
                return Err(unclosed(at));
            };
            pieces.push(Piece::Variable(Variable::named(name)?));
            at = at.saturating_add(name.chars().count()).saturating_add(4);
            rest = behind;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.to_owned()));
        }
        Ok(Self { pieces })
    }

    pub(crate) fn of(pieces: Vec<Piece>) -> Self {
        Self { pieces }
    }

    /// The text for these values.
    ///
    /// # Errors
    /// [`TemplateError::MissingVariable`].
    pub fn fill(&self, values: &Values) -> Result<String, TemplateError> {
        let mut text = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(fixed) => text.push_str(fixed),
                Piece::Variable(variable) => text.push_str(values.get(*variable)?),
            }
        }
        Ok(text)
    }

    /// The variables in it, in their order.
    pub fn variables(&self) -> impl Iterator<Item = Variable> + '_ {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Variable(variable) => Some(*variable),
            Piece::Text(_) => None,
        })
    }
}

pub(crate) fn too_long(text: &str) -> Result<(), TemplateError> {
    if text.chars().count() > MAX_TEMPLATE_CHARACTERS {
        return Err(TemplateError::TooLong {
            what: "the template".to_owned(),
            most: MAX_TEMPLATE_CHARACTERS,
        });
    }
    Ok(())
}

pub(crate) fn unclosed(at: usize) -> TemplateError {
    TemplateError::Syntax {
        at,
        problem: "`{{` begins a variable and `}}` has to end it; a brace that stands for itself is written \\7B in a subject"
            .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn values() -> Values {
        let mut values = Values::new();
        values.set(Variable::GivenName, "Ada").unwrap();
        values.set(Variable::SurName, "{{UserName}}").unwrap();
        values
    }

    #[test]
    fn values_are_text_and_never_read_again() {
        let template = TextTemplate::parse("{{GivenName}} {{surname}}!").unwrap();
        assert_eq!(template.fill(&values()).unwrap(), "Ada {{UserName}}!");
        assert_eq!(
            template.variables().collect::<Vec<_>>(),
            [Variable::GivenName, Variable::SurName]
        );
    }

    #[test]
    fn a_missing_value_is_named_and_an_empty_one_is_missing() {
        let template = TextTemplate::parse("{{EmailAddress}}").unwrap();
        let error = template.fill(&values()).unwrap_err();
        assert!(error.to_string().contains("{{EmailAddress}}"), "{error}");
        let mut values = values();
        values.set(Variable::EmailAddress, "").unwrap();
        assert!(template.fill(&values).is_err());
    }

    #[test]
    fn unknown_variables_and_open_braces_are_refused() {
        let unknown = TextTemplate::parse("{{UserNmae}}").unwrap_err();
        assert!(unknown.to_string().contains("UserPrincipalName"));
        assert!(matches!(
            TextTemplate::parse("ab{{UserName}").unwrap_err(),
            TemplateError::Syntax { at: 3, .. }
        ));
    }

    #[test]
    fn control_characters_never_come_in() {
        let mut values = values();
        for bad in ["a\0b", "a\nb", "a\u{202e}b", "a\u{7f}"] {
            assert!(values.set(Variable::UserName, bad).is_err(), "{bad:?}");
            assert!(TextTemplate::parse(bad).is_err());
        }
        // Names in Persian are written with it.
        assert!(values.set(Variable::UserName, "می\u{200c}خواهم").is_ok());
        let long = "x".repeat(MAX_VALUE_CHARACTERS + 1);
        assert!(values.set(Variable::UserName, &long).is_err());
    }
}
