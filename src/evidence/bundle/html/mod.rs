//! report.html: the whole bundle on one page, to be read and printed. It holds no script and refers to nothing outside of itself.

mod claim;
mod machines;
mod program;
mod services;
mod writer;

use super::documents::{Evidence, PolicyDocument};
use super::{DOCUMENTS, MANIFEST, SIGNATURE, SIGNER};
use writer::{Cell, Html};

const STYLE: &str = include_str!("style.css");

/// The page.
pub(super) fn page(evidence: &Evidence, policy: &PolicyDocument) -> String {
    let status = &evidence.status;
    let mut html = Html::new();
    html.raw(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>FIPS evidence report</title>\n<style>\n",
    );
    html.raw(STYLE);
    html.raw("</style>\n</head>\n<body>\n<header>\n");
    html.element("p class=\"kind\"", "FIPS evidence report");
    html.element("h1", &format!("pfx-connector {}", status.version));
    html.facts([
        ("Made", status.made_at.clone()),
        ("Asked", status.source.to_string()),
        ("This bundle is", evidence.signed_by()),
    ]);
    if evidence.report_key.is_none() {
        html.element(
            "p class=\"warning\"",
            "NOT SIGNED. The bundle holds digests only: they show an accident, and whoever changes a file on purpose can write them anew.",
        );
    }
    html.raw("</header>\n");
    claim::overall(&mut html, status);
    claim::not_claimed(&mut html, status);
    claim::parts(&mut html, status);
    services::section(&mut html, status, policy);
    machines::processes(&mut html, status);
    machines::tls(&mut html, status);
    machines::tokens(&mut html, evidence);
    program::build(&mut html, evidence);
    program::libraries(&mut html, evidence);
    program::advisories(&mut html, status);
    program::configuration(&mut html, evidence);
    files(&mut html, evidence);
    html.raw("</body>\n</html>\n");
    html.finish()
}

fn files(html: &mut Html, evidence: &Evidence) {
    html.section(
        "The bundle, and how it is verified",
        &["README.txt", MANIFEST],
    );
    let mut rows: Vec<Vec<Cell>> = DOCUMENTS
        .iter()
        .map(|document| vec![Cell::code(document.name), Cell::text(document.holds)])
        .collect();
    let mut more = vec![(
        MANIFEST,
        "SHA-256, size and name of every file above, and who signed",
    )];
    if evidence.report_key.is_some() {
        more.push((SIGNATURE, "the signature over MANIFEST"));
        more.push((SIGNER, "the public key of the signature"));
    }
    rows.extend(
        more.into_iter()
            .map(|(name, holds)| vec![Cell::code(name), Cell::text(holds)]),
    );
    html.table(&["File", "What it holds"], rows);
    let command = if evidence.report_key.is_some() {
        "pfx-connector fips report --verify DIR --public-key REPORT-KEY.pem"
    } else {
        "pfx-connector fips report --verify DIR"
    };
    html.element("pre", command);
    html.element(
        "p",
        "README.txt says how to do the same with sha256sum and OpenSSL alone. Digests and signature prove that nothing was changed since \
         the bundle was written. They do not prove that the machine told the truth about itself.",
    );
    html.end_section();
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::super::SelfTestRun;
    use super::*;
    use crate::evidence::status::{FipsStatus, TokenEvidence};

    /// A token names itself, and processes of another release say what they like.
    #[test]
    fn what_tokens_and_processes_say_stays_text() {
        let hostile = "<script>alert(1)</script>\u{1b}[2J";
        fips::start(fips::policy::Policy::STRICT).unwrap();
        let mut status = FipsStatus::of_this_command();
        status.tokens.push(TokenEvidence {
            label: hostile.to_owned(),
            manufacturer: hostile.to_owned(),
            model: hostile.to_owned(),
            serial: hostile.to_owned(),
            hardware_version: hostile.to_owned(),
            firmware_version: hostile.to_owned(),
            library: hostile.to_owned(),
            library_version: hostile.to_owned(),
            stated_certificate: Some(hostile.to_owned()),
            capabilities: hostile.into(),
        });
        status.silent.push(hostile.to_owned());
        status.restarts.insert(hostile.to_owned(), 2);
        for process in &mut status.processes {
            process.process = hostile.to_owned();
            process.version = hostile.to_owned();
            process.mode = hostile.to_owned();
        }
        let evidence = Evidence::gather(
            status,
            Some(hostile.to_owned()),
            SelfTestRun::now().unwrap(),
            None,
        )
        .unwrap();
        let page = page(&evidence, &PolicyDocument::of(&evidence.status));
        assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;\u{fffd}[2J"));
        assert!(page.contains("died and was started again (2)"));
        assert!(!page.contains("<script") && !page.contains('\u{1b}'));
        // The texts for terminals do not move the cursor either.
        for (name, content) in evidence.documents().unwrap() {
            assert!(
                !content.contains(&0x1b) || name == "configuration.toml",
                "{name}"
            );
        }
    }
}
