//! A fault of the module is the whole process': what another thread was in the middle of is no result either.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs
)]

use fips::policy::{self, Policy, Service, counts, fault};
use fips::secret::SecretBytes;
use fips::{Error, aes};
use std::process::Command;

/// Set for the process in which the fault happens, by the seam that builds with debug assertions have.
const SEAM: &str = "PFX_FIPS_TEST_FAULT";
const NAME: &str = "what_was_begun_before_a_fault_and_ends_after_it_gives_no_result";

#[test]
fn what_was_begun_before_a_fault_and_ends_after_it_gives_no_result() {
    if std::env::var_os(SEAM).is_some() {
        return with_a_fault_in_the_middle();
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture", NAME])
        .env(SEAM, Service::AesCbc.name())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    assert!(said.contains("1 passed"), "{said}");
}

fn with_a_fault_in_the_middle() {
    fips::start(Policy::STRICT).unwrap();
    let elsewhere = || {
        let found = std::thread::spawn(|| {
            aes::cbc_encrypt(&SecretBytes::zeroed(32), &[0; 16], b"x").unwrap_err()
        });
        assert!(matches!(found.join().unwrap(), Error::ModuleFault { .. }));
    };
    assert_eq!(fault(), None);
    let result: Result<(), Error> = policy::perform(Service::TokenOaepDecrypt, |_| {
        elsewhere();
        Ok(())
    });
    assert!(fault().is_some());
    assert!(
        matches!(result, Err(Error::ModuleFault { .. })),
        "{result:?}"
    );
    let count = counts()
        .into_iter()
        .find(|count| count.service == Service::TokenOaepDecrypt)
        .unwrap();
    assert_eq!((count.done, count.failed), (0, 1));
}

/// A failure of that time is the module's too, and not the input's.
#[test]
fn what_fails_while_the_module_does_is_not_taken_for_a_bad_input() {
    const INNER: &str = "what_fails_while_the_module_does_is_not_taken_for_a_bad_input";
    if std::env::var_os(SEAM).is_none() {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "--nocapture", INNER])
            .env(SEAM, Service::AesCbc.name())
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        return;
    }
    fips::start(Policy::STRICT).unwrap();
    let result: Result<(), Error> = policy::perform(Service::SignatureVerification, |_| {
        aes::cbc_encrypt(&SecretBytes::zeroed(32), &[0; 16], b"x").unwrap_err();
        Err(Error::Verification)
    });
    assert!(
        matches!(result, Err(Error::ModuleFault { .. })),
        "{result:?}"
    );
}
