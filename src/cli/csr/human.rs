//! What a request, and what certificates have in common with one, as a page for people.

use crate::cli::page::{Colour, Page};
use pki::inspect::{Common, CsrReport};

/// Width of the first column.
pub(crate) const LABEL: usize = 14;

/// A request.
pub(super) fn request(report: &CsrReport, colours: bool) -> String {
    let mut page = Page::with_colours(colours);
    page.coloured_row(
        &[("Signature", LABEL), ("verified", 10)],
        Some(Colour::Good),
        &format!("with its own key: {}", report.common.signature),
    );
    common(&report.common, &mut page);
    if report.challenge_password {
        page.row(
            &[("Challenge", LABEL)],
            "a challenge password, which is not shown",
        );
    }
    page.row(&[("SHA-256", LABEL)], &report.fingerprint);
    page.finish()
}

/// Subject, key, names, uses and extensions.
pub(crate) fn common(report: &Common, page: &mut Page) {
    let subject = match report.subject.as_str() {
        "" => "(empty)",
        subject => subject,
    };
    page.row(&[("Subject", LABEL)], subject);
    page.row(&[("Key", LABEL)], &report.key);
    page.row(&[("Key SHA-256", LABEL)], &report.key_fingerprint);
    for (place, name) in report.alt_names.iter().enumerate() {
        let label = if place == 0 { "Names" } else { "" };
        page.row(&[(label, LABEL), (name.kind, 10)], &name.value);
    }
    let list = |names: Option<String>| names.unwrap_or_else(|| "any (not said)".to_owned());
    page.row(
        &[("Key usage", LABEL)],
        &list(report.key_usage.as_ref().map(|names| names.join(", "))),
    );
    page.row(
        &[("Purposes", LABEL)],
        &list(
            report
                .extended_key_usage
                .as_ref()
                .map(|names| names.join(", ")),
        ),
    );
    if let Some(name) = &report.template_name {
        page.row(&[("Template", LABEL)], name);
    }
    if let Some(template) = &report.template {
        let version = match (template.major, template.minor) {
            (Some(major), Some(minor)) => format!(", version {major}.{minor}"),
            (Some(major), None) => format!(", version {major}"),
            _ => String::new(),
        };
        page.row(&[("Template", LABEL)], &format!("{}{version}", template.id));
    }
    if let Some(sid) = &report.sid {
        page.row(
            &[("Account", LABEL)],
            &format!("{sid} (Microsoft's extension)"),
        );
    }
    let extensions: Vec<String> = report
        .extensions
        .iter()
        .map(|extension| {
            let name = extension
                .name
                .map_or_else(|| extension.oid.clone(), str::to_owned);
            match extension.critical {
                true => format!("{name} (critical)"),
                false => name,
            }
        })
        .collect();
    if !extensions.is_empty() {
        page.row(&[("Extensions", LABEL)], &extensions.join(", "));
    }
}
