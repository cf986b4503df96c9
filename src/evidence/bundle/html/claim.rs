//! What can be claimed, what is not, and what each part leaves possible.

use super::writer::{Cell, Html};
use crate::evidence::status::{FipsStatus, Source};
use fips::claim::Level;

/// What is to be read first.
pub(super) fn overall(html: &mut Html, status: &FipsStatus) {
    html.section("What can be claimed", &["status.json"]);
    html.raw(if status.overall.level == Level::Unvalidated {
        "<div class=\"claim low\">\n"
    } else {
        "<div class=\"claim\">\n"
    });
    html.element(
        "p class=\"level\"",
        &sentence_case(&status.overall.level.to_string()),
    );
    html.element("p class=\"says\"", &sentence_case(&because(status)));
    html.raw("</div>\n");
    html.element(
        "p",
        "The claim is the lowest of its parts. The order is: unvalidated; validation pending; certified source, own build, untested \
         environment; certified. Nothing that was built outside of a laboratory is ever called certified.",
    );
    html.facts([
        ("Mode", mode(status)),
        (
            "Approved",
            format!(
                "{} operations, in all processes since they started",
                status.approved
            ),
        ),
        (
            "Not approved",
            format!("{} operations", status.not_approved),
        ),
    ]);
    if !status.module_problems.is_empty() {
        html.element("p class=\"warning\"", "Something is wrong:");
        html.list(status.module_problems.iter().cloned());
    }
    html.end_section();
}

/// The reason without the level, which stands above it.
fn because(status: &FipsStatus) -> String {
    let says = &status.overall.says;
    let level = status.overall.level.to_string();
    let rest = says.strip_prefix(&level).unwrap_or(says);
    format!("{}.", rest.trim_start_matches([',', ':', ' ']))
}

fn mode(status: &FipsStatus) -> String {
    let exceptions: Vec<&str> = status
        .exceptions
        .iter()
        .map(|exception| exception.name.as_str())
        .collect();
    let exceptions = if exceptions.is_empty() {
        "no exception is named".to_owned()
    } else {
        format!("exceptions: {}", exceptions.join(", "))
    };
    format!(
        "{}, {exceptions}; the system's own FIPS setting: {}",
        status.mode, status.system_setting
    )
}

/// What nobody should read into the rest.
pub(super) fn not_claimed(html: &mut Html, status: &FipsStatus) {
    html.section("What is not claimed", &[]);
    html.list(reservations(status));
    html.end_section();
}

fn reservations(status: &FipsStatus) -> Vec<String> {
    let mut list = vec![format!(
        "That this build of the module was validated. {}; the build is our own, and no laboratory tested it.",
        if status.build.matches_pinned {
            format!(
                "CMVP certificate {} names its source",
                or_unknown(&status.module.certificate)
            )
        } else {
            "Its source is not known to be one that a certificate names".to_owned()
        }
    )];
    list.push(match status.environment.tested {
        None => format!(
            "That the module was tested where it runs. {}.",
            status.environment.says
        ),
        Some(_) => {
            "That this machine is the one in the laboratory: it is of the same kind.".to_owned()
        }
    });
    if status.tokens.is_empty() {
        list.push("Anything about a token: none is reported.".to_owned());
    }
    for token in &status.tokens {
        list.push(match &token.stated_certificate {
            None => format!(
                "That the token {} is validated: the operator states no certificate of it.",
                token.describe()
            ),
            Some(number) => format!(
                "That certificate {number} holds for the token {}: the operator states it, and nobody here has verified it.",
                token.describe()
            ),
        });
    }
    list.push(
        "The strength of generated keys beyond what the certificate says of it: \"No assurance of the minimum strength of generated keys\". \
         The module's entropy is loaded from outside of it."
            .to_owned(),
    );
    list.push(match status.source {
        Source::ThisCommandOnly => {
            "Anything about a running service: none was asked. Counts are those of the command that wrote this report.".to_owned()
        }
        Source::RunningConnector | Source::RunningEngine => {
            "Anything before the processes started, which each of them says below, and anything of processes that were not asked: the gateway, \
             importing tools and other commands, on this machine or others. Counts begin at zero with each process."
                .to_owned()
        }
    });
    if status.not_approved > 0 {
        list.push(format!(
            "That everything was approved: {} operations were not. Each is listed under the services.",
            status.not_approved
        ));
    }
    if !status.restarts.is_empty() {
        let names: Vec<&str> = status.restarts.keys().map(String::as_str).collect();
        list.push(format!(
            "What {} did before it died and was started again: counters die with their process.",
            names.join(", ")
        ));
    }
    if !status.silent.is_empty() {
        list.push(format!(
            "Anything about {}, which did not report.",
            status.silent.join(", ")
        ));
    }
    if !status.trust_exceptions.is_empty() {
        list.push(format!(
            "What these exceptions of trust give up (they permit no algorithm; docs/configuration.md says what they mean): {}.",
            status.trust_exceptions.join(", ")
        ));
    }
    let affected: Vec<&str> = status
        .advisories
        .iter()
        .filter(|advisory| advisory.affected)
        .map(|advisory| advisory.id.as_str())
        .collect();
    if !affected.is_empty() {
        list.push(format!(
            "That this version of the module has no known problem: {}. Whether the program uses what is affected is said below.",
            affected.join("; ")
        ));
    }
    list.push(
        "That the machine tells the truth. Whoever controls it controls what it says; what can be checked elsewhere is marked as such."
            .to_owned(),
    );
    list
}

/// Every part of the claim.
pub(super) fn parts(html: &mut Html, status: &FipsStatus) {
    html.section("Part by part", &["status.json"]);
    let file = |part: &str| match part {
        "mode" | "exceptions used" => "policy.json",
        "build" => "build.json, symbols.json",
        "tokens" => "keys.json",
        "self-tests" => "self-test.txt",
        _ => "status.json",
    };
    let rows = status
        .claim
        .parts()
        .into_iter()
        .map(|(name, part)| {
            vec![
                Cell::text(sentence_case(name)),
                Cell::judged(part.level != Level::Unvalidated, part.level.to_string()),
                Cell::text(part.says.as_str()),
                Cell::code(file(name)),
            ]
        })
        .collect();
    html.table(
        &["Part", "The most it leaves possible", "Why", "Evidence"],
        rows,
    );
    html.end_section();
}

fn or_unknown(text: &str) -> &str {
    if text.is_empty() { "(unknown)" } else { text }
}

/// Sentences of reports begin small, because they stand behind a name elsewhere.
fn sentence_case(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_uppercase().chain(chars).collect(),
        None => String::new(),
    }
}
