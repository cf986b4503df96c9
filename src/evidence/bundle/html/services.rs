//! The table of services: what is approved, what is not, what was done.

use super::writer::{Cell, Html};
use crate::evidence::bundle::documents::{
    BoundRow, CountRow, ExceptionRow, PolicyDocument, ServiceRow,
};
use crate::evidence::status::FipsStatus;

pub(super) fn section(html: &mut Html, status: &FipsStatus, policy: &PolicyDocument) {
    html.section("Cryptographic services", &["policy.json", "cbom.cdx.json"]);
    html.element(
        "p",
        "One table decides about every use of cryptography, with the very parameters of that use; what it does not have cannot be done. In \
         strict mode what is not approved is refused, unless its exception is named. The module's own service indicator is read around each \
         use as a cross-check: where it contradicts the table, the result is thrown away and the process stops doing cryptography.",
    );
    let approved = |row: &&ServiceRow| row.approved;
    html.element("h3", "Approved, and performed since the processes started");
    let used: Vec<_> = policy
        .services
        .iter()
        .filter(approved)
        .filter(|row| row.performed > 0)
        .map(approved_row)
        .collect();
    if used.is_empty() {
        html.element("p", "None.");
    }
    html.table(&APPROVED, used);
    html.element("h3", "Not approved");
    let not_approved = policy.services.iter().filter(|row| !row.approved);
    html.table(
        &[
            "Service",
            "Why not, and where that is written",
            "Exception",
            "Performed",
            "Refused",
        ],
        not_approved.map(refused_row).collect(),
    );
    unknown(html, policy);
    html.element("h3", "Approved, and not performed");
    let unused = policy
        .services
        .iter()
        .filter(approved)
        .filter(|row| row.performed == 0);
    html.table(&APPROVED, unused.map(approved_row).collect());
    html.element("h3", "Exceptions from strict mode");
    html.table(
        &["Exception", "What it permits", "In force", "Used"],
        policy.exceptions.iter().map(exception_row).collect(),
    );
    if !status.trust_exceptions.is_empty() {
        html.element(
            "p",
            &format!(
                "Exceptions of trust, which permit no algorithm: {}.",
                status.trust_exceptions.join(", ")
            ),
        );
    }
    html.end_section();
}

const APPROVED: [&str; 5] = [
    "Service",
    "Parameters",
    "By",
    "Where that is written",
    "Performed",
];

fn approved_row(row: &ServiceRow) -> Vec<Cell> {
    let bounds = row.bounds.iter().map(bound).collect::<Vec<_>>().join("; ");
    vec![
        Cell::code(row.name).small(row.operation),
        Cell::text(row.parameters).small(bounds),
        Cell::text(row.performer),
        Cell::text(row.source),
        count(row),
    ]
}

fn refused_row(row: &ServiceRow) -> Vec<Cell> {
    vec![
        Cell::code(row.name)
            .small(row.operation)
            .small(format!("by the {}; {}", row.performer, row.parameters)),
        Cell::text(row.reason.unwrap_or_default())
            .small(row.source)
            .small(
                row.remedy
                    .map(|remedy| format!("Instead: {remedy}"))
                    .unwrap_or_default(),
            ),
        Cell::code(row.exception.unwrap_or_default()),
        if row.performed == 0 {
            Cell::text("0")
        } else {
            Cell::judged(false, row.performed.to_string()).small(by_process(&row.processes))
        },
        Cell::text(row.refused.to_string()),
    ]
}

fn exception_row(row: &ExceptionRow) -> Vec<Cell> {
    vec![
        Cell::code(row.name),
        Cell::text(row.permits),
        if row.in_force.is_empty() {
            Cell::text("no")
        } else {
            Cell::judged(false, "yes").small(row.in_force.join(", "))
        },
        Cell::text(row.used.to_string()),
    ]
}

fn bound(bound: &BoundRow) -> String {
    match bound.tested {
        Some((low, high)) => format!(
            "{}: {} or more, tested from {low} to {high}",
            bound.name, bound.minimum
        ),
        None => format!("{}: {} or more", bound.name, bound.minimum),
    }
}

fn count(row: &ServiceRow) -> Cell {
    let cell = Cell::text(row.performed.to_string()).small(by_process(&row.processes));
    match row.refused {
        0 => cell,
        refused => cell.small(format!("{refused} refused")),
    }
}

fn by_process(counts: &[CountRow]) -> String {
    let counts: Vec<String> = counts
        .iter()
        .filter(|count| count.done > 0 || count.failed > 0 || count.disagreed > 0)
        .map(|count| {
            let mut text = format!(
                "{} {}",
                count.process,
                count.done.saturating_add(count.failed)
            );
            if count.failed > 0 {
                text.push_str(&format!(" ({} without a result)", count.failed));
            }
            if count.disagreed > 0 {
                text.push_str(&format!(
                    " ({} contradicted by the indicator)",
                    count.disagreed
                ));
            }
            text
        })
        .collect();
    counts.join(", ")
}

/// What a process of another release counted.
fn unknown(html: &mut Html, policy: &PolicyDocument) {
    let rows: Vec<_> = policy
        .unknown_services
        .iter()
        .map(|row| {
            vec![
                Cell::code(row.name.as_str()),
                Cell::text(by_process(&row.processes)),
            ]
        })
        .collect();
    if !rows.is_empty() {
        html.element("h3", "Services that this release does not have");
        html.table(&["Service", "Performed"], rows);
    }
}
