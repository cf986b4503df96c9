//! The verdicts on OpenSSL, Java and NSS, held against the programs themselves: one file of each kind that the corpus has, and files that are
//! made for what it has not.
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
#[path = "../support/asn1.rs"]
mod asn1;
mod made;
#[allow(dead_code)]
#[path = "../corpus/manifest.rs"]
mod manifest;
#[path = "../../../tests/support/openssl.rs"]
mod openssl;
mod page;
mod programs;

use fips::policy::Policy;
use fips::secret::SecretBytes;
use formats::pfx::verdict::{Opens, PasswordFacts, Verdict, verdict};
use formats::pfx::{BagKind, OpenedPfx, PfxLimits, Survey, Target, read};
use formats::text::hex;
use programs::{Outcome, Programs};
use std::collections::{BTreeMap, BTreeSet};

/// A file that this crate opens, and that stands for others like it.
struct Sample {
    name: String,
    bytes: Vec<u8>,
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
            name: case.name().to_owned(),
            bytes: case.bytes,
            password,
            opened,
        });
    }
    samples.into_values().collect()
}

/// The files that are made here.
fn made() -> Vec<Sample> {
    fips::start(Policy::OFF).unwrap();
    made::files()
        .into_iter()
        .map(|(name, bytes)| {
            let password = SecretBytes::from_slice(made::PASSWORD.as_bytes());
            let opened = read(&bytes, &password, &PfxLimits::default())
                .unwrap_or_else(|error| panic!("{name}: {error}"));
            Sample {
                name,
                bytes,
                password,
                opened,
            }
        })
        .collect()
}

/// Whether a program found everything: each key, and with it its certificate where the program joins them.
fn found(opened: &OpenedPfx, outcome: &Outcome) -> bool {
    let Outcome::Opened {
        keys,
        certificates,
        joined,
    } = outcome
    else {
        return false;
    };
    let keys_of_it = different(opened.keys().iter().map(|key| key.pkcs8().expose()));
    if keys_of_it == 0 {
        // A program may keep one of two that are the same.
        return *certificates >= different(opened.certificates().iter().map(|one| one.der()));
    }
    let with_certificate = opened.keys().iter().enumerate().all(|(place, key)| {
        let mut own = opened
            .certificates()
            .iter()
            .filter(|one| one.key() == Some(place));
        key.certificate().is_none()
            || joined
                .as_ref()
                .is_none_or(|joined| own.any(|one| joined.contains(&hex(one.der()))))
    });
    *keys >= keys_of_it && with_certificate
}

fn different<'a>(all: impl Iterator<Item = &'a [u8]>) -> usize {
    all.collect::<BTreeSet<_>>().len()
}

/// What is wrong with a verdict, given what the program did.
fn contradiction(verdict: &Verdict, outcome: &Outcome, opened: &OpenedPfx) -> Option<String> {
    let found = found(opened, outcome);
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

/// Holds the verdicts on these files against the programs. Where they say that it is not known is given back.
fn hold(samples: &[Sample]) -> Vec<String> {
    let programs = Programs::new();
    let files: Vec<(&[u8], &[u8])> = samples
        .iter()
        .map(|sample| (sample.bytes.as_slice(), sample.password.expose()))
        .collect();
    let mut contradictions: Vec<String> = Vec::new();
    let mut not_known: Vec<String> = Vec::new();
    for (target, outcomes) in [
        (Target::OpenSsl3, programs.openssl(&files)),
        (Target::Java, programs.java(&files)),
        (Target::Nss, programs.nss(&files)),
    ] {
        for (sample, outcome) in samples.iter().zip(&outcomes) {
            let facts = PasswordFacts::of(&sample.password);
            let verdict = verdict(sample.opened.survey(), Some(facts), target);
            let name = sample.name.as_str();
            if verdict.opens == Opens::NotKnown {
                not_known.push(format!("{target}: {name}"));
            }
            if REFUSED_FOR_THEIR_CERTIFICATES
                .iter()
                .any(|(by, file, _)| (*by, *file) == (target, name))
            {
                continue;
            }
            if let Some(wrong) = contradiction(&verdict, outcome, &sample.opened) {
                contradictions.push(format!("{target}: {name}: {wrong}"));
            }
        }
    }
    assert!(
        contradictions.is_empty(),
        "\n{}\n",
        contradictions.join("\n")
    );
    not_known
}

#[test]
fn every_kind_of_file_of_the_corpus_does_with_the_programs_what_the_verdict_says() {
    let samples = samples();
    if samples.is_empty() {
        // No corpus here; that was said.
        return;
    }
    assert!(samples.len() > 40, "only {} kinds", samples.len());
    let not_known = hold(&samples);
    // Nothing is known of files that hardly anybody has: keys of rare kinds, mostly.
    let all = samples.len() * 3;
    assert!(not_known.len() * 10 < all, "of {all}: {not_known:?}");
}

#[test]
fn rare_key_derivations_and_local_key_ids_do_with_the_programs_what_the_verdict_says() {
    // What Java takes for the certificate of a key is the next one there, be it the right one or not.
    assert_eq!(
        hold(&made()),
        [
            "java: ids None and Some(1), the key first, another certificate second",
            "java: ids None and None, the key first",
            "java: ids None and None, the key first, another certificate second",
        ]
    );
}
