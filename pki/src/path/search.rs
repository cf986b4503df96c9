//! Looks for a path and verifies it.

use super::certificate::Certificate;
use super::constraints::Constraints;
use super::purpose::names_email;
use super::{
    MAX_PATH_CERTIFICATES, MAX_SIGNATURES, PathError, Problem, Verification, VerifiedPath,
};
use crate::time::text;

/// A search that goes on.
struct Search<'v, 'a> {
    verification: &'v Verification<'a>,
    path: Vec<&'a Certificate>,
    signatures: usize,
    /// The refusal of the path that came furthest, with its length.
    best: Option<(usize, PathError)>,
}

pub(super) fn verify<'a>(
    verification: &Verification<'a>,
    leaf: &'a Certificate,
) -> Result<VerifiedPath<'a>, PathError> {
    let leaf_error = |problem| of(leaf, problem);
    check_alone(leaf, verification).map_err(leaf_error)?;
    key_is_usable(leaf).map_err(leaf_error)?;
    verification.purpose.check_leaf(leaf).map_err(leaf_error)?;
    if let Some(email) = verification.email
        && !names_email(leaf, email)
    {
        return Err(leaf_error(Problem::Email(
            email.chars().take(320).collect(),
        )));
    }
    // A root that is asked about itself.
    if verification
        .roots
        .iter()
        .any(|root| root.der() == leaf.der())
    {
        if leaf.is_self_issued() {
            leaf.is_signed_by(leaf.spki_der()).map_err(leaf_error)?;
        }
        return Ok(VerifiedPath {
            certificates: vec![leaf],
            revocation_checked: Vec::new(),
        });
    }
    let mut search = Search {
        verification,
        path: vec![leaf],
        signatures: 0,
        best: None,
    };
    match search.extend() {
        Some(verified) => Ok(verified),
        None => Err(search
            .best
            .map_or_else(|| leaf_error(Problem::NoIssuer), |(_, error)| error)),
    }
}

fn of(certificate: &Certificate, problem: Problem) -> PathError {
    PathError {
        subject: certificate.subject_text(),
        problem,
    }
}

impl<'a> Search<'_, 'a> {
    /// From the last certificate of the path on; `None` when no way leads to a root. Recursion ends with [`MAX_PATH_CERTIFICATES`].
    fn extend(&mut self) -> Option<VerifiedPath<'a>> {
        let subject = *self.path.last()?;
        let roots = self.verification.roots.iter().map(|root| (root, true));
        let others = self
            .verification
            .intermediates
            .iter()
            .map(|other| (other, false));
        let candidates: Vec<(&'a Certificate, bool)> = roots
            .chain(others)
            .filter(|(issuer, _)| subject.may_be_issued_by(issuer))
            // No certificate twice, and no key under one name twice.
            .filter(|(issuer, _)| {
                let mut path = self.path.iter();
                !path.any(|seen| {
                    seen.spki_der() == issuer.spki_der()
                        && seen.subject_name() == issuer.subject_name()
                })
            })
            .collect();
        if candidates.is_empty() {
            self.refuse(of(subject, Problem::NoIssuer));
        }
        for (issuer, is_root) in candidates {
            if self.path.len() >= MAX_PATH_CERTIFICATES || self.signatures >= MAX_SIGNATURES {
                self.refuse(of(subject, Problem::TooLong));
                return None;
            }
            if let Err(error) = self.step(subject, issuer) {
                self.refuse(error);
                continue;
            }
            self.path.push(issuer);
            let found = match is_root {
                true => self.whole().map_err(|error| self.refuse(error)).ok(),
                false => self.extend(),
            };
            if found.is_some() {
                return found;
            }
            self.path.pop();
        }
        None
    }

    fn refuse(&mut self, error: PathError) {
        let length = self.path.len();
        // The first of several of the same length: nothing was better.
        if self.best.as_ref().is_none_or(|(best, _)| *best < length) {
            self.best = Some((length, error));
        }
    }

    /// Whether `issuer` issued `subject`, and might (RFC 5280 sections 6.1.3 and 6.1.4).
    fn step(&mut self, subject: &'a Certificate, issuer: &'a Certificate) -> Result<(), PathError> {
        let refused = |problem| of(issuer, problem);
        check_alone(issuer, self.verification).map_err(refused)?;
        if !issuer.is_authority() {
            return Err(refused(Problem::NotAnAuthority(
                "basicConstraints does not say that it is one",
            )));
        }
        let may_sign = issuer.key_usage.as_ref();
        if !may_sign.is_none_or(|usage| usage.key_cert_sign()) {
            return Err(refused(Problem::NotAnAuthority(
                "keyUsage does not permit keyCertSign",
            )));
        }
        // Authorities between it and the leaf that are not self-issued (RFC 5280 section 4.2.1.9).
        let below = self
            .path
            .iter()
            .skip(1)
            .filter(|one| !one.is_self_issued())
            .count();
        let limit = issuer
            .basic
            .as_ref()
            .and_then(|basic| basic.path_len_constraint);
        if limit.is_some_and(|limit| below > usize::from(limit)) {
            return Err(refused(Problem::PathLength));
        }
        self.verification
            .purpose
            .check_authority(issuer)
            .map_err(refused)?;
        self.signatures = self.signatures.saturating_add(1);
        subject
            .is_signed_by(issuer.spki_der())
            .map_err(|problem| of(subject, problem))
    }

    /// What can be said of a path only when it has reached its root: names and revocation.
    fn whole(&self) -> Result<VerifiedPath<'a>, PathError> {
        let mut constraints = Constraints::default();
        // From the root down.
        for (place, certificate) in self.path.iter().enumerate().rev() {
            let is_leaf = place == 0;
            let is_root = place.saturating_add(1) == self.path.len();
            // Self-issued authorities are not held against them, the leaf always is (RFC 5280 section 6.1.3 (b)).
            if !is_root && (is_leaf || !certificate.is_self_issued()) {
                constraints
                    .check(certificate, is_leaf)
                    .map_err(|problem| of(certificate, problem))?;
            }
            if !is_leaf && let Some(more) = &certificate.constraints {
                constraints
                    .add(more)
                    .map_err(|problem| of(certificate, problem))?;
            }
        }
        Ok(VerifiedPath {
            revocation_checked: self.revocation()?,
            certificates: self.path.clone(),
        })
    }

    /// Each certificate against the lists of its issuer. The leaf needs one; an authority without one is reported as not checked.
    fn revocation(&self) -> Result<Vec<bool>, PathError> {
        if self.verification.lists.is_empty() {
            return Ok(Vec::new());
        }
        let mut checked = Vec::new();
        for (place, (subject, issuer)) in self.path.iter().zip(self.path.iter().skip(1)).enumerate()
        {
            let may_sign = issuer.key_usage.as_ref();
            let may_sign = may_sign.is_none_or(|usage| usage.crl_sign());
            let mut current = false;
            for list in self.verification.lists {
                let fits = list.is_of(subject.issuer_name())
                    && list.covers(subject.is_authority())
                    && may_sign
                    && list.is_signed_by(issuer.spki_der());
                if !fits {
                    continue;
                }
                // A list that is out of date still revokes.
                if list.names(subject.serial()) {
                    return Err(of(subject, Problem::Revoked));
                }
                let at = &self.verification.at;
                current |= list.this_update <= *at && *at <= list.next_update;
            }
            if place == 0 && !current {
                return Err(of(subject, Problem::RevocationUnknown));
            }
            checked.push(current);
        }
        Ok(checked)
    }
}

/// What a certificate can be refused for by itself.
fn check_alone(certificate: &Certificate, verification: &Verification<'_>) -> Result<(), Problem> {
    if let Some(refused) = &certificate.refused {
        return Err(refused.clone());
    }
    if verification.at < *certificate.not_before() {
        return Err(Problem::NotYetValid(text(certificate.not_before())));
    }
    if verification.at > *certificate.not_after() {
        return Err(Problem::Expired(text(certificate.not_after())));
    }
    // RFC 5280 section 4.2.1.9: only an authority's certificate has a length of paths.
    if let Some(basic) = &certificate.basic
        && !basic.ca
        && basic.path_len_constraint.is_some()
    {
        return Err(Problem::Malformed(
            "it limits the length of paths and is no authority's",
        ));
    }
    // RFC 5280 section 4.2.1.10: name constraints are for authorities only.
    if certificate.constraints.is_some() && !certificate.is_authority() {
        return Err(Problem::Malformed(
            "it has name constraints and is no authority's",
        ));
    }
    // RFC 5280 section 4.2.1.3: a key that signs certificates is an authority's.
    let signs = certificate.key_usage.as_ref();
    if signs.is_some_and(|usage| usage.key_cert_sign()) && !certificate.is_authority() {
        return Err(Problem::NotAnAuthority(
            "keyUsage permits keyCertSign, basicConstraints says nothing of an authority",
        ));
    }
    // RFC 5280 section 4.1.2.6.
    if certificate.subject().is_empty()
        && (certificate.is_authority() || certificate.alt_names.is_empty())
    {
        return Err(Problem::Malformed("it names nobody"));
    }
    Ok(())
}

/// RSA keys of less than 2048 bits are refused; kinds that are not known here are whoever's to use.
fn key_is_usable(leaf: &Certificate) -> Result<(), Problem> {
    let is_rsa =
        crate::algorithm::KeyKind::of(leaf.spki_der()) == Some(crate::algorithm::KeyKind::Rsa);
    match is_rsa && fips::rsa::PublicKey::from_spki(leaf.spki_der()).is_err() {
        true => Err(Problem::Purpose(
            "its RSA key is not one of 2048 to 8192 bits".to_owned(),
        )),
        false => Ok(()),
    }
}
