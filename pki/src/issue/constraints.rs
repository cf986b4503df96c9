//! The authority's own name constraints (RFC 5280, section 4.2.1.10), held against what it is about to issue: verifiers would refuse it.

use super::{IssueError, refused};
use der::asn1::Ia5String;
use x509_cert::ext::pkix::NameConstraints;
use x509_cert::ext::pkix::constraints::name::GeneralSubtree;
use x509_cert::ext::pkix::name::{GeneralName, GeneralNames};
use x509_cert::name::Name;

/// Constraints that permit e-mail addresses and DNS names in these domains, in the form of RFC 5280 (`example.com`; for addresses
/// `.example.com` means every host beneath it). `None` where there are none.
///
/// # Errors
/// [`IssueError::Encoding`] for a text that is not ASCII.
pub fn permitted(
    emails: &[impl AsRef<str>],
    dns: &[impl AsRef<str>],
) -> Result<Option<NameConstraints>, IssueError> {
    let text = |text: &str| Ia5String::new(text);
    let mut trees = Vec::new();
    for email in emails {
        trees.push(GeneralName::Rfc822Name(text(email.as_ref())?));
    }
    for name in dns {
        trees.push(GeneralName::DnsName(text(name.as_ref())?));
    }
    let permitted: Vec<_> = trees
        .into_iter()
        .map(|base| GeneralSubtree {
            base,
            minimum: 0,
            maximum: None,
        })
        .collect();
    Ok((!permitted.is_empty()).then_some(NameConstraints {
        permitted_subtrees: Some(permitted),
        excluded_subtrees: None,
    }))
}

/// Holds what is about to be issued against the constraints.
///
/// # Errors
/// [`IssueError::Refused`] that names the first name outside of the constraints, or a constraint that is not evaluated here.
pub(super) fn hold(
    constraints: Option<&NameConstraints>,
    subject: &Name,
    names: &GeneralNames,
) -> Result<(), IssueError> {
    let Some(constraints) = constraints else {
        return Ok(());
    };
    let subject = (!subject.is_empty()).then(|| GeneralName::DirectoryName(subject.clone()));
    for name in names.iter().chain(subject.as_ref()) {
        let excluded = constraints.excluded_subtrees.iter().flatten();
        for tree in excluded.filter(|tree| same_kind(&tree.base, name)) {
            if within(&tree.base, name)? {
                return refused(format!(
                    "{} is excluded by the name constraints of the authority",
                    shown(name)
                ));
            }
        }
        let permitted = constraints.permitted_subtrees.iter().flatten();
        let mut is_constrained = false;
        let mut is_permitted = false;
        for tree in permitted.filter(|tree| same_kind(&tree.base, name)) {
            is_constrained = true;
            is_permitted |= within(&tree.base, name)?;
        }
        if is_constrained && !is_permitted {
            return refused(format!(
                "{} is outside of what the name constraints of the authority permit",
                shown(name)
            ));
        }
    }
    Ok(())
}

fn same_kind(one: &GeneralName, other: &GeneralName) -> bool {
    std::mem::discriminant(one) == std::mem::discriminant(other)
}

fn within(base: &GeneralName, name: &GeneralName) -> Result<bool, IssueError> {
    Ok(match (base, name) {
        (GeneralName::DnsName(base), GeneralName::DnsName(name)) => {
            beneath(base.as_str(), name.as_str())
        }
        (GeneralName::Rfc822Name(base), GeneralName::Rfc822Name(name)) => {
            mail(base.as_str(), name.as_str())
        }
        (GeneralName::DirectoryName(base), GeneralName::DirectoryName(name)) => {
            base.len() <= name.len()
                && base
                    .iter_rdn()
                    .zip(name.iter_rdn())
                    .all(|(one, other)| one == other)
        }
        _ => {
            return refused(format!(
                "the authority has a name constraint of the kind of {}, which is not evaluated here",
                shown(name)
            ));
        }
    })
}

/// A DNS name satisfies a constraint by adding labels to the left.
fn beneath(base: &str, name: &str) -> bool {
    let (base, name) = (
        base.trim_start_matches('.').to_ascii_lowercase(),
        name.to_ascii_lowercase(),
    );
    base.is_empty() || name == base || name.ends_with(&format!(".{base}"))
}

/// A mailbox, a host, or with a dot at its begin every host in a domain.
fn mail(base: &str, name: &str) -> bool {
    if base.contains('@') {
        return base.eq_ignore_ascii_case(name);
    }
    let host = name
        .rsplit_once('@')
        .map_or(name, |(_, host)| host)
        .to_ascii_lowercase();
    let base = base.to_ascii_lowercase();
    if base.starts_with('.') {
        host.ends_with(&base)
    } else {
        host == base
    }
}

fn shown(name: &GeneralName) -> String {
    match name {
        GeneralName::DnsName(text) => format!("{:?}", text.as_str()),
        GeneralName::Rfc822Name(text) => format!("{:?}", text.as_str()),
        GeneralName::UniformResourceIdentifier(text) => format!("{:?}", text.as_str()),
        GeneralName::DirectoryName(name) => format!("the subject {:?}", name.to_string()),
        GeneralName::OtherName(_) => "a user principal name".to_owned(),
        _ => "a name".to_owned(),
    }
}
