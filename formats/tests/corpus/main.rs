//! Files that no one here wrote, each a test with the file's name: `valid/NAME`, `exotic/NAME` and so on by what has to become of it,
//! `wrong-password/NAME`, `survey/NAME`.
//!
//! A test binary of its own (`harness = false`), since the tests are made from a list that is read when they run. It takes names, or parts
//! of names, and `--exact`, `--list`, `--skip NAME` as other test binaries do.
#![forbid(unsafe_code)]
#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    missing_docs
)]

mod expectations;
mod manifest;

use manifest::Case;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

type Check = fn(&Case);

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let cases = manifest::cases();
    let tests: Vec<(String, &Case, Check)> = cases
        .iter()
        .flat_map(|case| {
            expectations::of(case)
                .into_iter()
                .map(move |(kind, check)| (format!("{kind}/{}", case.name()), case, check))
        })
        .filter(|(name, _, _)| arguments.wants(name))
        .collect();
    if arguments.list {
        for (name, _, _) in &tests {
            println!("{name}: test");
        }
        return ExitCode::SUCCESS;
    }
    if !tests.is_empty() {
        // As for `pfx inspect`: nearly every file needs what is not approved.
        fips::start(fips::policy::Policy::OFF).unwrap();
    }
    println!("\nrunning {} tests", tests.len());
    let mut failed = Vec::new();
    for (name, case, check) in &tests {
        let passed = catch_unwind(AssertUnwindSafe(|| check(case))).is_ok();
        println!("test {name} ... {}", if passed { "ok" } else { "FAILED" });
        if !passed {
            failed.push(name);
        }
    }
    let verdict = if failed.is_empty() { "ok" } else { "FAILED" };
    println!(
        "\ntest result: {verdict}. {} passed; {} failed",
        tests.len() - failed.len(),
        failed.len()
    );
    for name in &failed {
        println!("    {name}");
    }
    match failed.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::from(101),
    }
}

struct Arguments {
    wanted: Vec<String>,
    skipped: Vec<String>,
    exact: bool,
    list: bool,
    ignored_only: bool,
}

impl Arguments {
    fn parse() -> Self {
        let mut parsed = Self {
            wanted: Vec::new(),
            skipped: Vec::new(),
            exact: false,
            list: false,
            ignored_only: false,
        };
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--exact" => parsed.exact = true,
                "--list" => parsed.list = true,
                // No test here is ever ignored.
                "--ignored" => parsed.ignored_only = true,
                "--skip" => parsed.skipped.extend(arguments.next()),
                "--format" | "--test-threads" | "--color" | "-Z" => drop(arguments.next()),
                option if option.starts_with('-') => {}
                name => parsed.wanted.push(name.to_owned()),
            }
        }
        parsed
    }

    fn wants(&self, name: &str) -> bool {
        let fits = |pattern: &String| match self.exact {
            true => name == pattern,
            false => name.contains(pattern.as_str()),
        };
        !self.ignored_only
            && !self.skipped.iter().any(fits)
            && (self.wanted.is_empty() || self.wanted.iter().any(fits))
    }
}
