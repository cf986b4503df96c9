//! The authority's own name constraints (RFC 5280, section 4.2.1.10), held against what it is about to issue: verifiers would refuse it.

use super::{IssueError, Request};
use crate::path::constraints::Constraints;
use der::asn1::Ia5String;
use x509_cert::ext::pkix::NameConstraints;
use x509_cert::ext::pkix::constraints::name::GeneralSubtree;
use x509_cert::ext::pkix::name::GeneralName;

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

/// Holds what is about to be issued against the constraints, by the very rules of those who verify.
///
/// # Errors
/// [`IssueError::Refused`] that names the first name outside of the constraints.
pub(super) fn hold(
    constraints: Option<&NameConstraints>,
    request: &Request,
    is_leaf: bool,
) -> Result<(), IssueError> {
    let Some(constraints) = constraints else {
        return Ok(());
    };
    let mut own = Constraints::default();
    own.add(constraints)
        .and_then(|()| own.check_names(&request.subject, &request.names, is_leaf))
        .map_err(|problem| IssueError::Refused(problem.to_string()))
}
