//! Subject names: made from a template (RFC 4514 for the text, RFC 5280 section 4.1.2.4 for what is encoded), and written as text.
//!
//! ```text
//! CN={{GivenName}} {{SurName}},OU=Sales\, North,O="Example, Inc.",C=DE
//! ```
//!
//! The escapes of RFC 4514 are for the template's own text. A value takes the place of its variable after the template was read, so that
//! nothing in it - `,` `+` `=` `\` - makes another attribute. The last part of the text is the first of the encoded name (RFC 4514
//! section 2.1).

mod attribute;
mod compare;
mod parse;
mod text;

pub use attribute::Lengths;
pub(crate) use compare::Comparable;
pub use text::rfc4514;
pub(crate) use text::value_text;

use crate::template::{TemplateError, TextTemplate, Values, Variable};
use attribute::Kind;
use der::{Decode, Encode};
use x509_cert::name::{Name, RdnSequence, RelativeDistinguishedName};

/// Most parts (RDNs) of a name.
pub const MAX_RDNS: usize = 32;
/// Largest name, in bytes of DER.
pub const MAX_NAME_BYTES: usize = 4096;
/// Most attributes in one part of a name.
const MAX_ATTRIBUTES: usize = 8;

/// Why there is no name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// The template, or a value for it.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// A value is not possible in its attribute.
    #[error("the attribute {attribute} of the subject: {problem}")]
    Value {
        /// Its name, or its object identifier.
        attribute: String,
        /// What is wrong and what to do.
        problem: String,
    },
    /// The value of [`Variable::OnPremDistinguishedName`] is no distinguished name.
    #[error(
        "the value of {{{{OnPrem_Distinguished_Name}}}} is not a distinguished name (RFC 4514): {0}"
    )]
    DistinguishedName(TemplateError),
    /// The name is too large.
    #[error("the subject has more than {MAX_RDNS} parts or {MAX_NAME_BYTES} bytes")]
    TooLarge,
    /// It could not be encoded.
    #[error("the subject cannot be encoded")]
    Encoding,
}

/// A subject with variables, read once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubjectTemplate {
    /// In the order of the text.
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    /// One RDN.
    Attributes(Vec<(Kind, TextTemplate)>),
    /// `{{OnPrem_Distinguished_Name}}` where a part stands: the RDNs of its value.
    WholeName,
}

impl SubjectTemplate {
    /// Reads a template. An empty one is the empty name, for certificates whose names are all in subjectAltName.
    ///
    /// # Errors
    /// [`TemplateError`], with the place.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        Ok(Self {
            parts: parse::parse(text, true)?,
        })
    }

    /// The variables in it, in their order.
    pub fn variables(&self) -> impl Iterator<Item = Variable> + '_ {
        self.parts.iter().flat_map(|part| -> Vec<Variable> {
            match part {
                Part::WholeName => vec![Variable::OnPremDistinguishedName],
                Part::Attributes(attributes) => attributes
                    .iter()
                    .flat_map(|(_, text)| text.variables())
                    .collect(),
            }
        })
    }

    /// The name for these values.
    ///
    /// # Errors
    /// [`NameError`]: a variable without a value, a value that is too long or not possible in its attribute.
    pub fn fill(&self, values: &Values, lengths: Lengths) -> Result<Name, NameError> {
        let mut rdns = Vec::new();
        for part in &self.parts {
            match part {
                Part::Attributes(attributes) => rdns.push(rdn(attributes, values, lengths)?),
                Part::WholeName => {
                    let text = values.get(Variable::OnPremDistinguishedName)?;
                    for part in parse::parse(text, false).map_err(NameError::DistinguishedName)? {
                        if let Part::Attributes(attributes) = part {
                            rdns.push(rdn(&attributes, values, lengths)?);
                        }
                    }
                }
            }
        }
        if rdns.len() > MAX_RDNS {
            return Err(NameError::TooLarge);
        }
        rdns.reverse();
        let der = RdnSequence::from(rdns)
            .to_der()
            .map_err(|_| NameError::Encoding)?;
        if der.len() > MAX_NAME_BYTES {
            return Err(NameError::TooLarge);
        }
        Name::from_der(&der).map_err(|_| NameError::Encoding)
    }
}

fn rdn(
    attributes: &[(Kind, TextTemplate)],
    values: &Values,
    lengths: Lengths,
) -> Result<RelativeDistinguishedName, NameError> {
    let mut set = der::asn1::SetOfVec::new();
    for (kind, text) in attributes {
        let attribute = kind.encode(&text.fill(values)?, lengths)?;
        set.insert(attribute).map_err(|_| NameError::Encoding)?;
    }
    Ok(set.into())
}

#[cfg(test)]
mod tests;
