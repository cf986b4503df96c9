//! Work and memory for the largest files: counted, in steps and in bytes.
//!
//! The peak of memory is that of a process, so each file is read in one of its own.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    missing_docs
)]

#[path = "support/asn1.rs"]
mod asn1;
#[path = "corpus/manifest.rs"]
#[allow(dead_code)]
mod manifest;

use asn1::{bag, certificate, data, der, indefinite, pfx, pieces, sequence, x509};
use fips::secret::SecretBytes;
use formats::pfx::{self, Budget, CertificateFacts, Passwords, PfxLimits};

const MIB: usize = 1024 * 1024;
/// Of what one file may take besides itself, in KiB.
const MAX_KIB: u64 = 16 * 1024;
/// Looks at an element, for each octet of the file: three passes for BER in each of the three layers, and the walk over what is in them.
const MAX_STEPS_PER_OCTET: u64 = 10;

/// `element` as often as fits into a file of 1 MiB, less `reserve` octets.
fn fill(element: &[u8], reserve: usize) -> Vec<u8> {
    element.repeat((MIB - reserve) / element.len())
}

/// Files of nearly 1 MiB that are made to cost as much as possible.
fn files() -> Vec<(&'static str, Vec<u8>)> {
    let name = |content: &[u8]| {
        let id = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x09\x14";
        sequence(&[id, &der(0x31, content)])
    };
    let attributes = |set: &[u8]| pfx(&der(0x30, &bag(9, b"\x05\x00", &der(0x31, set))));
    let whole = |content: &[u8]| sequence(&[&[2, 1, 3], content]);
    let in_pieces = |size| {
        let safe = der(0x30, &bag(3, &certificate(&vec![0x30; MIB / 6]), &[]));
        let list = sequence(&[&sequence(&[asn1::DATA, &der(0xa0, &pieces(&safe, size))])]);
        whole(&sequence(&[asn1::DATA, &der(0xa0, &pieces(&list, 1000))]))
    };
    vec![
        (
            "empty bags",
            pfx(&der(0x30, &fill(&bag(9, b"\x05\x00", &[]), 100))),
        ),
        (
            "empty certificates",
            pfx(&der(0x30, &fill(&bag(3, &certificate(b""), &[]), 100))),
        ),
        (
            "empty parts",
            whole(&data(&der(0x30, &fill(&data(b"\x30\x00"), 100)))),
        ),
        // Names of two octets, each of which takes 72 in memory.
        ("one certificate of empty names", {
            let names = fill(b"\x82\x00", 1000);
            pfx(&der(
                0x30,
                &bag(3, &certificate(&x509("a", "a", &names)), &[]),
            ))
        }),
        ("the largest certificates that are looked into", {
            let whole = x509("a", "a", &b"\x82\x00".repeat(32_000));
            assert!(CertificateFacts::of_certificate(&whole).is_ok());
            pfx(&der(0x30, &fill(&bag(3, &certificate(&whole), &[]), 100)))
        }),
        (
            "one certificate",
            pfx(&der(
                0x30,
                &bag(3, &certificate(&vec![0x30; MIB - 200]), &[]),
            )),
        ),
        (
            "one secret",
            pfx(&der(0x30, &bag(9, &der(0x04, &vec![0; MIB - 200]), &[]))),
        ),
        (
            "attributes without value",
            attributes(&fill(&name(b""), 200)),
        ),
        ("attributes of nothing", attributes(&fill(b"\x30\x00", 200))),
        (
            "a long name",
            attributes(&name(&der(0x1e, &vec![0; MIB - 300]))),
        ),
        (
            "elements in an unknown bag",
            pfx(&der(
                0x30,
                &bag(9, &der(0x30, &fill(b"\x05\x00", 200)), &[]),
            )),
        ),
        ("pieces of one octet", in_pieces(1)),
        ("pieces of 100 octets", in_pieces(100)),
        (
            "empty pieces",
            whole(&sequence(&[
                asn1::DATA,
                &der(0xa0, &indefinite(0x24, &fill(b"\x04\x00", 100))),
            ])),
        ),
        (
            "elements with end markers",
            pfx(&indefinite(0x30, &fill(b"\x30\x80\x00\x00", 200))),
        ),
        ("depth, again and again", {
            let deep = [b"\x30\x80".repeat(24), b"\x00\x00".repeat(24)].concat();
            pfx(&der(
                0x30,
                &bag(9, &indefinite(0x30, &fill(&deep, 200)), &[]),
            ))
        }),
        ("depth without end", b"\x30\x80".repeat(MIB / 2)),
        ("depth of pieces", b"\x24\x80".repeat(MIB / 2)),
        ("long lengths", {
            let long = [b"\x05\xfe".as_slice(), &[0; 126]].concat();
            pfx(&der(0x30, &bag(9, &der(0x30, &fill(&long, 200)), &[])))
        }),
        (
            "octets after the end",
            [pfx(b"\x30\x00"), vec![0x30; MIB - 100]].concat(),
        ),
        (
            "noise",
            (0..MIB)
                .map(|at| ((at * at) >> 3).to_le_bytes()[0])
                .collect(),
        ),
    ]
}

/// A line of /proc/self/status, in KiB.
fn status(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(name))
        .unwrap();
    line.trim_start_matches(':')
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap()
}

/// What reading one file takes, written by [`one_file`] and read by its parent.
struct Cost {
    code: String,
    steps: u64,
    /// The peak of memory above what there was before, in KiB.
    kib: u64,
}

/// Reads a file in a process of its own, which has no memory left over from anything else.
fn cost_of(file: &[u8], password: &str) -> Cost {
    let mut named = tempfile::NamedTempFile::new().unwrap();
    std::io::Write::write_all(&mut named, file).unwrap();
    let child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "one_file", "--ignored", "--nocapture"])
        .env("BOUNDS_FILE", named.path())
        .env("BOUNDS_PASSWORD", password)
        .output()
        .unwrap();
    let output = String::from_utf8_lossy(&child.stdout);
    let errors = String::from_utf8_lossy(&child.stderr);
    let line = output
        .lines()
        .find_map(|line| line.split_once("COST "))
        .unwrap_or_else(|| panic!("{output}{errors}"));
    let mut fields = line.1.split(' ');
    let number = |field: Option<&str>| field.unwrap().parse().unwrap();
    Cost {
        steps: number(fields.next()),
        kib: number(fields.next()),
        code: fields.next().unwrap().to_owned(),
    }
}

/// The half of the measurement that is the child's.
#[test]
#[ignore = "run by the others, in a process for each file"]
fn one_file() {
    let path = std::env::var_os("BOUNDS_FILE").expect("the file to read, in BOUNDS_FILE");
    let file = std::fs::read(path).unwrap();
    fips::start(fips::policy::Policy::OFF).unwrap();
    let limits = PfxLimits {
        // Memory does not depend on them, and a file of a million would be all that is looked at. What OpenSSL takes for scrypt, 262,144,
        // is not among them: that memory is the derivation's own.
        max_iterations: 200_000,
        ..PfxLimits::default()
    };
    let password = std::env::var_os("BOUNDS_PASSWORD").unwrap_or_default();
    let password = SecretBytes::from_slice(password.as_encoded_bytes());
    let passwords = Passwords {
        integrity: &password,
        privacy: None,
    };
    let mut budget = Budget::new(&limits);
    // The kernel forgets the old peak when it is told to (proc(5), `clear_refs`).
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    let before = status("VmRSS");
    let code = match file == b"32 MiB" {
        true => {
            drop(std::hint::black_box(vec![1_u8; 32 * MIB]));
            "known"
        }
        false => {
            // Both at once: more than one of them takes.
            let survey = pfx::survey(&file, &limits);
            let opened = pfx::read_within(&file, passwords, &mut budget);
            drop(survey);
            opened.err().map_or("opened", |error| error.code())
        }
    };
    let kib = status("VmHWM").saturating_sub(before);
    println!("COST {} {kib} {code}", budget.steps());
}

#[test]
fn the_largest_files_take_linear_work_and_little_memory() {
    for (name, file) in files() {
        assert!(file.len() <= PfxLimits::default().max_bytes, "{name}");
        let Cost { code, steps, kib } = cost_of(&file, "");
        println!("{name}: {code}, {steps} steps, {kib} KiB");
        let octets = u64::try_from(file.len()).unwrap();
        assert!(
            steps <= octets * MAX_STEPS_PER_OCTET,
            "{name}: {steps} steps"
        );
        assert!(kib <= MAX_KIB, "{name}: {kib} KiB");
    }
    // The measure does measure.
    let known = cost_of(b"32 MiB", "").kib;
    assert!(known >= 31 * 1024, "{known} KiB of 32 MiB");
}

/// Opened with its own password, so that everything of it is read.
#[test]
fn no_file_of_the_corpus_takes_more_memory_than_the_largest_may() {
    let mut most = (0, String::new());
    for case in manifest::cases() {
        let Cost { code, kib, .. } = cost_of(&case.bytes, case.column("password"));
        assert!(kib <= MAX_KIB, "{}: {code}, {kib} KiB", case.name());
        most = most.max((kib, case.name().to_owned()));
    }
    println!("most memory: {} KiB, for {}", most.0, most.1);
}

/// Twice the file is twice the steps.
#[test]
fn steps_grow_with_the_file_and_not_faster() {
    fips::start(fips::policy::Policy::OFF).unwrap();
    let limits = PfxLimits::default();
    let password = SecretBytes::zeroed(0);
    let steps = |elements: usize, nesting: &[u8]| {
        let file = pfx(&der(
            0x30,
            &bag(9, &indefinite(0x30, &nesting.repeat(elements)), &[]),
        ));
        let mut budget = Budget::new(&limits);
        let passwords = Passwords {
            integrity: &password,
            privacy: None,
        };
        pfx::read_within(&file, passwords, &mut budget).unwrap();
        budget.steps()
    };
    let deep = [b"\x30\x80".repeat(20), b"\x00\x00".repeat(20)].concat();
    for nesting in [&b"\x05\x00"[..], b"\x30\x80\x00\x00", &deep] {
        let (one, two) = (steps(1000, nesting), steps(2000, nesting));
        assert!(two <= one * 2 && two > one, "{one} and {two} steps");
    }
}
