//! Certificates as a page for people.

use crate::cli::csr::{LABEL, common};
use crate::cli::page::{Colour, Page};
use pki::inspect::{AltName, CertificateReport, Validity};
use std::path::Path;

/// Every certificate of a file.
pub(super) fn certificates(file: &Path, reports: &[CertificateReport], colours: bool) -> String {
    let mut page = Page::with_colours(colours);
    page.row(
        &[("Certificates", LABEL)],
        &format!("{} in {}", reports.len(), file.display()),
    );
    for (place, report) in reports.iter().enumerate() {
        page.heading(&format!("Certificate {}", place.saturating_add(1)));
        certificate(report, &mut page);
    }
    page.finish()
}

/// One certificate.
pub(super) fn certificate(report: &CertificateReport, page: &mut Page) {
    page.row(&[("Issuer", LABEL)], &report.issuer);
    page.row(&[("Serial", LABEL)], &report.serial);
    let (word, colour) = match report.validity {
        Validity::Valid => ("valid", Colour::Good),
        Validity::Expired => ("expired", Colour::Bad),
        Validity::NotYetValid => ("not yet", Colour::Bad),
    };
    page.coloured_row(
        &[("Validity", LABEL), (word, 10)],
        Some(colour),
        &format!("{} to {}", report.not_before, report.not_after),
    );
    common(&report.common, page);
    page.row(&[("Signed with", LABEL)], &report.common.signature);
    if report.authority {
        let below = match report.path_length {
            Some(length) => format!("an authority's; at most {length} authorities below it"),
            None => "an authority's".to_owned(),
        };
        page.row(&[("Authority", LABEL)], &below);
    }
    if let Some(constraints) = &report.name_constraints {
        names("Permits", &constraints.permitted, page);
        names("Excludes", &constraints.excluded, page);
    }
    if let Some(smime) = &report.smime
        && !report.authority
    {
        let (word, colour) = match smime.problems.is_empty() {
            true => ("fit", Colour::Good),
            false => ("not fit", Colour::Doubtful),
        };
        let uses: Vec<&str> = [(smime.signing, "signing"), (smime.encryption, "encryption")]
            .into_iter()
            .filter_map(|(fit, name)| fit.then_some(name))
            .collect();
        let rest = match smime.problems.is_empty() {
            true => format!("for {}", uses.join(" and ")),
            false => smime.problems.join("; "),
        };
        page.coloured_row(&[("S/MIME", LABEL), (word, 10)], Some(colour), &rest);
    }
    page.row(&[("SHA-1", LABEL)], &report.thumbprint);
    page.row(&[("SHA-256", LABEL)], &report.fingerprint);
}

fn names(label: &str, names: &[AltName], page: &mut Page) {
    for (place, name) in names.iter().enumerate() {
        let label = if place == 0 { label } else { "" };
        page.row(&[(label, LABEL), (name.kind, 10)], &name.value);
    }
}
