//! Name constraints (RFC 5280 section 4.2.1.10; RFC 9598 section 6 for mailboxes outside of ASCII).

use super::Problem;
use super::certificate::Certificate;
use super::purpose::EMAIL_ADDRESS;
use crate::name::{Comparable, value_text};
use crate::san::{SMTP_UTF8_MAILBOX, is_dns, shown};
use const_oid::ObjectIdentifier;
use der::asn1::{Ia5String, Utf8StringRef};
use std::net::Ipv4Addr;
use x509_cert::ext::pkix::NameConstraints;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::name::Name;

/// Most subtrees of one path.
const MAX_SUBTREES: usize = 1024;
/// Most comparisons for one certificate.
const MAX_COMPARISONS: usize = 1 << 16;
const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");

/// The constraints of every authority above a certificate.
#[derive(Debug, Clone, Default)]
pub struct Constraints {
    /// Of each authority that permits something: a name must be in one of each, where there is one of its kind.
    permitted: Vec<Vec<GeneralName>>,
    excluded: Vec<GeneralName>,
    subtrees: usize,
}

impl Constraints {
    /// Adds those of one more authority.
    ///
    /// # Errors
    /// [`Problem::NameConstraints`]: distances, which RFC 5280 forbids, or too many.
    pub fn add(&mut self, more: &NameConstraints) -> Result<(), Problem> {
        let take = |trees: &Option<Vec<_>>| -> Result<Vec<GeneralName>, Problem> {
            trees
                .iter()
                .flatten()
                .map(
                    |tree: &x509_cert::ext::pkix::constraints::name::GeneralSubtree| match tree
                        .minimum
                        == 0
                        && tree.maximum.is_none()
                    {
                        true => Ok(tree.base.clone()),
                        false => {
                            refused("its name constraints have distances, which RFC 5280 forbids")
                        }
                    },
                )
                .collect()
        };
        let (permitted, excluded) = (
            take(&more.permitted_subtrees)?,
            take(&more.excluded_subtrees)?,
        );
        self.subtrees = self
            .subtrees
            .saturating_add(permitted.len())
            .saturating_add(excluded.len());
        if self.subtrees > MAX_SUBTREES {
            return refused("the path has more than 1024 name constraints");
        }
        if !permitted.is_empty() {
            self.permitted.push(permitted);
        }
        self.excluded.extend(excluded);
        Ok(())
    }

    /// Holds every name of a certificate against them.
    ///
    /// # Errors
    /// [`Problem::NameConstraints`].
    pub fn check(&self, certificate: &Certificate, is_leaf: bool) -> Result<(), Problem> {
        self.check_names(certificate.subject(), &certificate.alt_names, is_leaf)
    }

    /// The same of names that a certificate is about to have.
    ///
    /// # Errors
    /// [`Problem::NameConstraints`].
    pub fn check_names(
        &self,
        subject: &Name,
        alt_names: &[GeneralName],
        is_leaf: bool,
    ) -> Result<(), Problem> {
        if self.subtrees == 0 {
            return Ok(());
        }
        let names = names(subject, alt_names, is_leaf);
        if names.len().saturating_mul(self.subtrees) > MAX_COMPARISONS {
            return refused("it has too many names for the name constraints above it");
        }
        for name in &names {
            self.check_name(name)?;
        }
        Ok(())
    }

    fn check_name(&self, name: &GeneralName) -> Result<(), Problem> {
        let (kind, text) = shown(name);
        let text: String = formats::text::printable(&text).chars().take(120).collect();
        for base in &self.excluded {
            if within(base, name, Side::Excluded)? == Some(true) {
                return refused(&format!(
                    "the {kind} name {text:?} is excluded by name constraints of an authority above"
                ));
            }
        }
        for authority in &self.permitted {
            let mut constrained = false;
            let mut permitted = false;
            for base in authority {
                if let Some(fits) = within(base, name, Side::Permitted)? {
                    constrained = true;
                    permitted |= fits;
                }
            }
            if constrained && !permitted {
                return refused(&format!(
                    "the {kind} name {text:?} is outside of what name constraints of an authority above permit"
                ));
            }
        }
        Ok(())
    }
}

fn refused<T>(problem: &str) -> Result<T, Problem> {
    Err(Problem::NameConstraints(problem.to_owned()))
}

/// Every name that constraints are about: the alternative names, the subject, its e-mail addresses, and a common name that is a DNS name in a
/// certificate that has no other one, since readers take it for one.
fn names(subject: &Name, alt_names: &[GeneralName], is_leaf: bool) -> Vec<GeneralName> {
    let mut names = alt_names.to_vec();
    if !subject.is_empty() {
        names.push(GeneralName::DirectoryName(subject.clone()));
    }
    let has_dns = names
        .iter()
        .any(|name| matches!(name, GeneralName::DnsName(_)));
    for attribute in subject.iter() {
        let Some(text) = value_text(&attribute.value) else {
            continue;
        };
        let Ok(text) = Ia5String::new(&text) else {
            continue;
        };
        if attribute.oid == EMAIL_ADDRESS {
            names.push(GeneralName::Rfc822Name(text));
        } else if is_leaf
            && !has_dns
            && attribute.oid == COMMON_NAME
            && text.as_str().contains('.')
            && is_dns(text.as_str(), true)
        {
            names.push(GeneralName::DnsName(text));
        }
    }
    names
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Permitted,
    Excluded,
}

/// Whether the name is within the base; `None` when they are of different kinds.
fn within(base: &GeneralName, name: &GeneralName, side: Side) -> Result<Option<bool>, Problem> {
    use GeneralName as G;
    Ok(match (base, name) {
        (G::DnsName(base), G::DnsName(name)) => Some(dns(base.as_str(), name.as_str(), side)),
        (G::Rfc822Name(base), G::Rfc822Name(name)) => Some(email(base.as_str(), name.as_str())?),
        (G::Rfc822Name(base), G::OtherName(other)) if other.type_id == SMTP_UTF8_MAILBOX => {
            let Ok(text) = Utf8StringRef::try_from(&other.value) else {
                return refused("it has a mailbox name that is no text");
            };
            Some(email(base.as_str(), text.as_str())?)
        }
        (G::UniformResourceIdentifier(base), G::UniformResourceIdentifier(name)) => {
            Some(uri(base.as_str(), name.as_str())?)
        }
        (G::IpAddress(base), G::IpAddress(name)) => Some(ip(base.as_bytes(), name.as_bytes())?),
        (G::DirectoryName(base), G::DirectoryName(name)) => {
            Some(Comparable::of(name).begins_with(&Comparable::of(base)))
        }
        // A constraint on names of a kind that is not processed, and a name of that kind: RFC 5280 has it refused.
        (G::OtherName(base), G::OtherName(name)) if base.type_id == name.type_id => {
            return refused(
                "an authority above constrains other names, which is not processed here",
            );
        }
        (G::EdiPartyName(_), G::EdiPartyName(_)) | (G::RegisteredId(_), G::RegisteredId(_)) => {
            return refused(
                "an authority above constrains names of a kind that is not processed here",
            );
        }
        _ => None,
    })
}

/// The domain itself and everything below it; with a dot in front only what is below.
fn dns(base: &str, name: &str, side: Side) -> bool {
    let (base, name) = (base.to_ascii_lowercase(), name.to_ascii_lowercase());
    if base.is_empty() {
        return true;
    }
    if base.starts_with('.') {
        return name.ends_with(&base);
    }
    // A wildcard stands for what is excluded too.
    if side == Side::Excluded
        && let Some(rest) = name.strip_prefix("*.")
        && base.split_once('.').is_some_and(|(_, above)| above == rest)
    {
        return true;
    }
    name == base
        || name
            .strip_suffix(&base)
            .is_some_and(|front| front.ends_with('.'))
}

/// A whole address, a host, or with a dot in front every host below a domain.
fn email(base: &str, name: &str) -> Result<bool, Problem> {
    let Some((local, host)) = name.rsplit_once('@') else {
        return refused(
            "it has an e-mail address without @, and an authority above constrains addresses",
        );
    };
    Ok(match base.rsplit_once('@') {
        // An empty mailbox constrains the host only; OpenSSL and others do the same.
        Some((base_local, base_host)) => {
            (base_local.is_empty() || base_local == local) && base_host.eq_ignore_ascii_case(host)
        }
        None if base.is_empty() => true,
        None if base.starts_with('.') => host
            .to_ascii_lowercase()
            .ends_with(&base.to_ascii_lowercase()),
        None => host.eq_ignore_ascii_case(base),
    })
}

/// The host of a URI; one without a host that is a DNS name is refused (RFC 5280), and one with a user in front of it, whose host readers
/// do not agree on.
fn uri(base: &str, name: &str) -> Result<bool, Problem> {
    let authority = name
        .split_once("://")
        .map(|(_, rest)| rest.split(['/', '?', '#']).next().unwrap_or_default())
        .filter(|authority| !authority.contains('@'));
    let host = authority.map(|authority| {
        let host = authority.split(':').next().unwrap_or_default();
        host.to_ascii_lowercase()
    });
    let is_host = |host: &String| is_dns(host, false) && host.parse::<Ipv4Addr>().is_err();
    let Some(host) = host.filter(is_host) else {
        return refused(
            "it has a URI without the plain name of a host, and an authority above constrains URIs",
        );
    };
    let base = base.to_ascii_lowercase();
    Ok(match base.strip_prefix('.') {
        Some(_) => host.ends_with(&base),
        None => base.is_empty() || host == base,
    })
}

fn ip(base: &[u8], name: &[u8]) -> Result<bool, Problem> {
    let (address, mask) = base.split_at_checked(base.len() / 2).unwrap_or_default();
    if !matches!(base.len(), 8 | 32) || !matches!(name.len(), 4 | 16) {
        return refused("an IP address, or a constraint on them, is not 4 or 16 octets");
    }
    // A mask is ones and then zeros (RFC 4632).
    let ones: u32 = mask
        .iter()
        .map(|octet| octet.leading_ones())
        .take_while(|ones| *ones == 8)
        .sum();
    let bits: u32 = mask.iter().map(|octet| octet.count_ones()).sum();
    let edge = mask
        .iter()
        .find(|octet| **octet != 0xff)
        .map_or(0, |octet| octet.leading_ones());
    if bits != ones.saturating_add(edge) {
        return refused("a constraint on IP addresses has a mask with holes");
    }
    let mut octets = name.iter().zip(address).zip(mask);
    Ok(
        name.len() == address.len()
            && octets.all(|((name, base), mask)| name & mask == base & mask),
    )
}
