//! The verdicts on OpenSSL, Java and NSS, held against the programs themselves: one file of each kind that the corpus has.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    unreachable_pub,
    missing_docs
)]

// The corpus's own tests need all of it.
#[allow(dead_code)]
#[path = "../corpus/manifest.rs"]
mod manifest;
mod page;
mod programs;

use fips::policy::Policy;
use fips::secret::SecretBytes;
use formats::pfx::verdict::{Opens, PasswordFacts, Verdict, verdict};
use formats::pfx::{BagKind, OpenedPfx, PfxLimits, Survey, Target, read};
use manifest::Case;
use programs::{Outcome, Programs};
use std::collections::BTreeMap;

/// A file that this crate opens, and that stands for others like it.
struct Sample {
    case: Case,
    password: SecretBytes,
    opened: OpenedPfx,
}

/// Files that a program refuses for what no verdict is about.
const REFUSED_FOR_THEIR_CERTIFICATES: [(Target, &str, &str); 1] = [(
    Target::Java,
    "mono-6.12/Certificates.TwoEkuTsaPfx.p12",
    "its certificate has one extension twice",
)];

/// More iterations than this cost more time than the one file is worth.
const MOST_ITERATIONS: u64 = 200_000;

/// What readers could stumble over, as one line. Files with the same line are of one kind.
fn kind(survey: &Survey, password: PasswordFacts) -> String {
    let mut words: Vec<String> = survey
        .algorithms()
        .map(|algorithm| algorithm.name.clone())
        .collect();
    words.extend(survey.bags().map(|bag| {
        let key = bag.key.as_ref().map(|key| key.algorithm.as_str());
        let kind = match bag.kind {
            BagKind::Certificate if bag.java_trusted => "trusted certificate".to_owned(),
            kind => format!("{kind:?}"),
        };
        format!("{kind} {}", key.unwrap_or_default())
    }));
    words.sort_unstable();
    words.dedup();
    words.push(format!(
        "{} {} {} {:?}",
        password.bytes == 0,
        password.printable_ascii,
        survey.encoding.der,
        survey.password_form
    ));
    words.join(", ")
}

/// One file of each kind.
fn samples() -> Vec<Sample> {
    fips::start(Policy::OFF).unwrap();
    let limits = PfxLimits::default();
    let mut samples: BTreeMap<String, Sample> = BTreeMap::new();
    for case in manifest::cases() {
        let expected = case.column("expected");
        let one_password = !matches!(case.column("password_kind"), "unknown" | "two");
        if !(matches!(expected, "valid" | "exotic") && one_password) {
            continue;
        }
        let password = SecretBytes::from_slice(case.column("password").as_bytes());
        let Ok(opened) = read(&case.bytes, &password, &limits) else {
            continue;
        };
        let survey = opened.survey();
        let broken = survey.bags().any(|bag| !bag.broken_attributes.is_empty());
        // No program is asked for what nobody knows to be right, or for minutes.
        if broken || survey.most_iterations() > Some(MOST_ITERATIONS) {
            continue;
        }
        let kind = kind(survey, PasswordFacts::of(&password));
        samples.entry(kind).or_insert(Sample {
            case,
            password,
            opened,
        });
    }
    samples.into_values().collect()
}

/// What is wrong with a verdict, given what the program did.
fn contradiction(verdict: &Verdict, outcome: &Outcome, keys: usize) -> Option<String> {
    let found = match outcome {
        Outcome::Opened { keys: found } => found.is_none_or(|found| found >= keys),
        Outcome::Refused(_) => false,
    };
    match verdict.opens {
        Opens::Yes if !found => Some(format!("should open: {outcome:?}")),
        // The conditions are a newer version than the one here, or an option that is not given.
        Opens::No | Opens::WithCondition if found => Some(format!(
            "opens, in spite of {:?}",
            verdict
                .reasons
                .iter()
                .map(formats::pfx::verdict::Reason::sentence)
                .collect::<Vec<_>>()
        )),
        _ => None,
    }
}

#[test]
fn every_kind_of_file_of_the_corpus_does_with_the_programs_what_the_verdict_says() {
    let samples = samples();
    if samples.is_empty() {
        // No corpus here; that was said.
        return;
    }
    assert!(samples.len() > 40, "only {} kinds", samples.len());
    let programs = Programs::new();
    let files: Vec<(&[u8], &[u8])> = samples
        .iter()
        .map(|sample| (sample.case.bytes.as_slice(), sample.password.expose()))
        .collect();
    let mut contradictions: Vec<String> = Vec::new();
    let mut known = 0_usize;
    for (target, outcomes) in [
        (Target::OpenSsl3, programs.openssl(&files)),
        (Target::Java, programs.java(&files)),
        (Target::Nss, programs.nss(&files)),
    ] {
        for (sample, outcome) in samples.iter().zip(&outcomes) {
            let facts = PasswordFacts::of(&sample.password);
            let verdict = verdict(sample.opened.survey(), Some(facts), target);
            known += usize::from(verdict.opens != Opens::NotKnown);
            let entries = match sample.opened.keys().len() {
                0 => sample.opened.certificates().len(),
                keys => keys,
            };
            let name = sample.case.name();
            if REFUSED_FOR_THEIR_CERTIFICATES
                .iter()
                .any(|(by, file, _)| (*by, *file) == (target, name))
            {
                continue;
            }
            if let Some(wrong) = contradiction(&verdict, outcome, entries) {
                contradictions.push(format!("{target}: {}: {wrong}", sample.case.name()));
            }
        }
    }
    assert!(
        contradictions.is_empty(),
        "\n{}\n",
        contradictions.join("\n")
    );
    // Nothing is known of files that hardly anybody has: keys of rare kinds, mostly.
    let all = samples.len() * 3;
    assert!(
        known * 10 > all * 9,
        "{known} of {all} verdicts say something"
    );
}
