//! That no branch and no address depends on a secret, where somebody could measure it: removing OAEP's padding, and comparing. Valgrind
//! follows the secrets, which are marked as undefined (examples/secret_branches).
//!
//! Of the code as this test is compiled: `cargo test --release` looks at what a release runs.
#![cfg(target_arch = "x86_64")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

struct Case {
    group: String,
    name: String,
    errors: usize,
}

fn program() -> PathBuf {
    let programs = std::env::current_exe().unwrap();
    let path = programs.ancestors().nth(2).unwrap();
    let path = path.join("examples/secret_branches");
    assert!(
        path.exists(),
        "{} is missing: run `cargo build -p hsm --examples`",
        path.display()
    );
    path
}

fn cases() -> Vec<Case> {
    let output = Command::new("valgrind")
        // Its own code is C and assembly that valgrind translates as well; a stack trace needs no more.
        .args(["--quiet", "--error-limit=no", "--num-callers=8"])
        .arg(program())
        .output()
        .unwrap_or_else(|error| panic!("this test needs the program `valgrind`: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let text = String::from_utf8(output.stdout).unwrap();
    let cases: Vec<Case> = text
        .lines()
        .map(|line| {
            let (rest, errors) = line.rsplit_once(' ').unwrap();
            let (group, name) = rest.split_once(' ').unwrap();
            Case {
                group: group.to_owned(),
                name: name.to_owned(),
                errors: errors.parse().unwrap(),
            }
        })
        .collect();
    let leaks: Vec<_> = cases
        .iter()
        .filter(|case| ["unpad", "pkcs1"].contains(&case.group.as_str()) && case.errors > 0)
        .map(|case| &case.name)
        .collect();
    assert!(leaks.is_empty(), "{leaks:?} depend on the block:\n{said}");
    cases
}

#[test]
fn neither_unpadding_nor_comparing_depends_on_a_secret() {
    let cases = cases();
    let of =
        |group: &str| -> Vec<&Case> { cases.iter().filter(|case| case.group == group).collect() };
    assert_eq!(of("unpad").len(), 4 * 9, "four hashes, nine kinds of block");
    assert_eq!(of("pkcs1").len(), 9, "nine kinds of block");

    // The answer of a comparison is public, and looked at once; where the difference is makes no difference.
    let counts: BTreeSet<usize> = of("compare").iter().map(|case| case.errors).collect();
    assert_eq!(of("compare").len(), 5);
    assert_eq!(counts.len(), 1, "{counts:?}");
    assert!(counts.iter().all(|count| *count <= 1), "{counts:?}");

    // And mistakes are seen.
    let mistakes = of("mistake");
    let errors = |name: &str| {
        mistakes
            .iter()
            .find(|case| case.name == name)
            .unwrap()
            .errors
    };
    for name in ["first-byte", "early-end", "table", "compare-first"] {
        assert!(errors(name) > 0, "the mistake {name} is not seen");
    }
    assert_ne!(errors("compare-first"), errors("compare-last"));
}
