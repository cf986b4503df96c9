//! The inspection as a page for people.

use super::entries::{CertificateEntry, Entry, KeyEntry, OtherEntry, Validity};
use super::report::{Inspection, Use};
use crate::cli::page::{Colour, Page};
use formats::certificate::SmimeFitness;
use formats::pfx::verdict::{Opens, Verdict};
use formats::pfx::{BagKind, MatchedBy};

/// Width of the first column.
const LABEL: usize = 16;

/// Everything in the order in which somebody wants to know it.
pub(super) fn page(inspection: &Inspection, colours: bool) -> String {
    let mut page = Page::with_colours(colours);
    outcome(inspection, &mut page);
    if !inspection.is_empty() {
        page.heading("Entries");
        for (place, entry) in inspection.entries.iter().enumerate() {
            match entry {
                Entry::PrivateKey(key) => of_key(place, key, &mut page),
                Entry::Certificate(certificate) => {
                    let is_a_key_s = certificate.has_private_key == Some(true)
                        || is_joined(place, &inspection.entries);
                    of_certificate(place, certificate, is_a_key_s, &mut page);
                }
                Entry::Other(other) => of_other(place, other, &mut page),
            }
        }
        hidden(inspection, &mut page);
        page.heading("Algorithms");
        algorithms(inspection, &mut page);
        page.heading("Who opens it");
        for verdict in &inspection.verdicts {
            of_verdict(verdict, &mut page);
        }
        legend(inspection, &mut page);
    }
    if !inspection.notes.is_empty() {
        page.heading("Notes");
        for note in &inspection.notes {
            page.row(&[("", 2)], note);
        }
    }
    page.finish()
}

fn outcome(inspection: &Inspection, page: &mut Page) {
    let size = format!("{} ({} bytes)", inspection.file, inspection.size_bytes);
    page.row(&[("PFX", LABEL)], &size);
    let (word, colour, rest) = match (inspection.opens, &inspection.error) {
        (Some(true), _) => ("yes", Colour::Good, String::new()),
        (None, _) => (
            "not tried",
            Colour::Doubtful,
            format!(
                "missing: {}",
                inspection.missing.as_deref().unwrap_or_default()
            ),
        ),
        (Some(false), error) => {
            let code = error.as_ref().map(|error| error.code.as_str());
            ("no", Colour::Bad, code.unwrap_or_default().to_owned())
        }
    };
    page.coloured_row(&[("Opens", LABEL), (word, 11)], Some(colour), &rest);
    let (word, colour) = match inspection.key_matches_certificate {
        Some(true) => ("yes", Colour::Good),
        Some(false) => ("no", Colour::Bad),
        None => return,
    };
    page.coloured_row(
        &[("Key matches", LABEL), (word, 11)],
        Some(colour),
        "its certificate",
    );
}

fn title(place: usize, what: &str, page: &mut Page) {
    page.row(&[(&format!("  {}", place + 1), 6)], what);
}

fn line(label: &str, text: &str, page: &mut Page) {
    page.row(&[(&format!("      {label}"), LABEL + 6)], text);
}

fn flagged(label: &str, word: &str, colour: Colour, text: &str, page: &mut Page) {
    page.coloured_row(
        &[
            (&format!("      {label}"), LABEL + 6),
            (word, word.chars().count() + 2),
        ],
        Some(colour),
        text,
    );
}

fn names(friendly_name: Option<&str>, local_key_id: Option<&str>, page: &mut Page) {
    if let Some(name) = friendly_name {
        line("name", name, page);
    }
    if let Some(id) = local_key_id {
        line("local key id", id, page);
    }
}

fn of_key(place: usize, entry: &KeyEntry, page: &mut Page) {
    let what = match (&entry.key, &entry.not_supported) {
        (Some(key), _) => key.text.clone(),
        (None, Some(_)) => "stays closed".to_owned(),
        (None, None) => "not readable without the password".to_owned(),
    };
    title(place, &format!("private key: {what}"), page);
    names(
        entry.friendly_name.as_deref(),
        entry.local_key_id.as_deref(),
        page,
    );
    if let Some(what) = &entry.not_supported {
        flagged("encryption", "not supported", Colour::Bad, what, page);
    }
    if entry.key.as_ref().is_some_and(|key| !key.supported) {
        flagged(
            "use",
            "not supported",
            Colour::Bad,
            "here: RSA, and EC on P-256, P-384 or P-521",
            page,
        );
    }
    if !entry.encrypted {
        flagged("protection", "none", Colour::Doubtful, "of its own", page);
    }
    let fits = match (entry.certificate, entry.matched_by) {
        (Some(place), Some(MatchedBy::LocalKeyId)) => (
            format!("entry {}", place + 1),
            Colour::Doubtful,
            "by the local key id only",
        ),
        (Some(place), _) => (
            format!("entry {}", place + 1),
            Colour::Good,
            "has its public key",
        ),
        (None, _) if entry.matches_certificate == Some(false) => (
            "none".to_owned(),
            Colour::Bad,
            "of the certificates here has its public key",
        ),
        (None, _) => return,
    };
    flagged("certificate", &fits.0, fits.1, fits.2, page);
}

/// Whether a key is joined to the certificate in this place, be it by its local key id alone.
fn is_joined(place: usize, entries: &[Entry]) -> bool {
    entries
        .iter()
        .any(|entry| matches!(entry, Entry::PrivateKey(key) if key.certificate == Some(place)))
}

fn of_certificate(place: usize, entry: &CertificateEntry, is_a_key_s: bool, page: &mut Page) {
    let subject = entry.subject.as_deref().unwrap_or("does not parse");
    title(place, &format!("certificate: {subject}"), page);
    names(
        entry.friendly_name.as_deref(),
        entry.local_key_id.as_deref(),
        page,
    );
    if let Some(thumbprint) = &entry.thumbprint {
        line("thumbprint", thumbprint, page);
    }
    if let (Some(start), Some(end)) = (&entry.not_before, &entry.not_after) {
        let (word, colour) = match entry.validity {
            Some(Validity::Valid) => ("valid", Colour::Good),
            Some(Validity::Expired) => ("expired", Colour::Doubtful),
            Some(Validity::NotYetValid) => ("not yet valid", Colour::Bad),
            None => ("validity", Colour::Doubtful),
        };
        flagged("validity", word, colour, &format!("{start} to {end}"), page);
    }
    if !entry.email_addresses.is_empty() {
        line("e-mail", &entry.email_addresses.join(", "), page);
    }
    if is_a_key_s {
        if let Some(smime) = &entry.smime {
            of_smime(smime, page);
        }
        of_chain(entry, page);
    }
}

fn of_smime(smime: &SmimeFitness, page: &mut Page) {
    let listed = |usage: Option<String>| usage.unwrap_or_else(|| "any (not said)".to_owned());
    let usage = listed(smime.key_usage.as_ref().map(|usage| usage.join(", ")));
    let purposes = listed(
        smime
            .extended_key_usage
            .as_ref()
            .map(|purposes| purposes.join(", ")),
    );
    line("key usage", &format!("{usage}; purposes: {purposes}"), page);
    let problems = smime.problems.join("; ");
    let (word, colour) = match (smime.signing, smime.encryption, smime.problems.is_empty()) {
        (true, true, true) => ("signing and encryption", Colour::Good),
        (true, false, true) => ("signing only", Colour::Good),
        (false, true, true) => ("encryption only", Colour::Good),
        (true, _, false) | (_, true, false) => ("doubtful:", Colour::Doubtful),
        (false, false, _) => ("not fit:", Colour::Bad),
    };
    flagged("S/MIME", word, colour, &problems, page);
}

fn of_chain(entry: &CertificateEntry, page: &mut Page) {
    let Some(chain) = &entry.chain else {
        return;
    };
    let (word, colour) = match chain.complete {
        true => ("complete", Colour::Good),
        false => ("incomplete", Colour::Doubtful),
    };
    let mut text = match chain.issuers.as_slice() {
        [] if chain.complete => "it is its own issuer".to_owned(),
        [] => String::new(),
        issuers => {
            let places: Vec<String> = issuers
                .iter()
                .map(|place| (place + 1).to_string())
                .collect();
            format!("entries {}", places.join(", "))
        }
    };
    if let Some(name) = &chain.missing_issuer {
        let between = if text.is_empty() { "" } else { "; " };
        text = format!("{text}{between}missing: {name}");
    }
    if !chain.in_order {
        text.push_str(" (not in this order in the file)");
    }
    flagged("chain", word, colour, &text, page);
}

fn of_other(place: usize, entry: &OtherEntry, page: &mut Page) {
    let what = match entry.bag {
        BagKind::Crl => "revocation list",
        BagKind::Secret => "secret",
        BagKind::OtherCertificate => "certificate of a rare kind",
        _ => "something unknown",
    };
    let of_type = entry.of_type.as_deref().map(|name| format!(": {name}"));
    title(
        place,
        &format!("{what}{}", of_type.unwrap_or_default()),
        page,
    );
    names(entry.friendly_name.as_deref(), None, page);
}

fn hidden(inspection: &Inspection, page: &mut Page) {
    for what in &inspection.closed_parts {
        let text = format!("one part, which stays closed: {what} is not supported");
        page.row(&[("", 2)], &text);
    }
    let nothing = inspection.entries.is_empty() && inspection.closed_parts.is_empty();
    match (inspection.hidden_parts, nothing) {
        (0, true) => page.row(&[("", 2)], "none"),
        (0, false) => {}
        (1, _) => page.row(
            &[("", 2)],
            "one encrypted part, which shows nothing without the password",
        ),
        (parts, _) => {
            let text = format!("{parts} encrypted parts, which show nothing without the password");
            page.row(&[("", 2)], &text);
        }
    }
}

fn algorithms(inspection: &Inspection, page: &mut Page) {
    let mut seen: Vec<(&Use, usize)> = Vec::new();
    for used in &inspection.algorithms {
        let same = |other: &&mut (&Use, usize)| {
            (
                &other.0.name,
                other.0.used_for,
                other.0.iterations,
                other.0.approved,
            ) == (&used.name, used.used_for, used.iterations, used.approved)
        };
        match seen.iter_mut().find(same) {
            Some((_, count)) => *count += 1,
            None => seen.push((used, 1)),
        }
    }
    if seen.is_empty() {
        page.row(&[("", 2)], "none: nothing is protected");
    }
    for (used, count) in seen {
        let (word, colour) = match (used.supported, used.approved) {
            (_, true) => ("approved", Colour::Good),
            (true, false) => ("not approved", Colour::Doubtful),
            (false, false) => ("not supported", Colour::Bad),
        };
        let times = if count > 1 {
            format!(" ({count} times)")
        } else {
            String::new()
        };
        let iterations = match used.iterations {
            Some(1) => ", 1 iteration".to_owned(),
            Some(count) => format!(", {count} iterations"),
            None => String::new(),
        };
        let because = match &used.not_approved_because {
            Some(reason) if !used.approved => format!("; {reason}"),
            _ => String::new(),
        };
        page.coloured_row(
            &[
                (&format!("  {}", used.used_for.replace('_', " ")), LABEL),
                (word, 15),
            ],
            Some(colour),
            &format!("{}{iterations}{times}{because}", used.text),
        );
    }
}

fn of_verdict(verdict: &Verdict, page: &mut Page) {
    let (word, colour) = match verdict.opens {
        Opens::Yes => ("yes", Colour::Good),
        Opens::WithCondition => ("it depends", Colour::Doubtful),
        Opens::NotKnown => ("not known", Colour::Doubtful),
        Opens::No => ("no", Colour::Bad),
    };
    let part = if verdict.complete {
        ""
    } else {
        "of what is visible: "
    };
    page.coloured_row(
        &[(&format!("  {}", verdict.target.name()), 24), (word, 12)],
        Some(colour),
        &format!("{part}{} [{}]", reasons(verdict), verdict.basis.name()),
    );
}

/// The reasons; what is said of several things is said once.
fn reasons(verdict: &Verdict) -> String {
    let mut grouped: Vec<(Vec<&str>, &str)> = Vec::new();
    for reason in &verdict.reasons {
        let what = reason.what.as_deref();
        match grouped.iter_mut().find(|(_, text)| *text == reason.text) {
            Some((things, _)) => things.extend(what),
            None => grouped.push((what.into_iter().collect(), &reason.text)),
        }
    }
    let sentences: Vec<String> = grouped
        .iter()
        .map(|(things, text)| match things.as_slice() {
            [] => (*text).to_owned(),
            things => format!("{}: {text}", things.join(" and ")),
        })
        .collect();
    sentences.join("; ")
}

/// What the words behind the reasons mean.
fn legend(inspection: &Inspection, page: &mut Page) {
    let mut told: Vec<&str> = Vec::new();
    page.text("");
    for verdict in &inspection.verdicts {
        let name = verdict.basis.name();
        if !told.contains(&name) {
            told.push(name);
            page.row(&[("", 2), (name, 11)], verdict.basis.text());
        }
    }
}
