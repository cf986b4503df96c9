//! The engine in its sandbox with tokens of other kinds than SoftHSM: each one's whole way, from C_Initialize to a decryption.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    dead_code,
    unreachable_pub,
    missing_docs
)]

#[path = "../hsm/tests/support/children.rs"]
mod children;
#[path = "support/engine.rs"]
mod engine;
#[path = "support/issuance.rs"]
mod issuance_support;
#[path = "../hsm/tests/support/kryoptic.rs"]
mod kryoptic;
#[path = "../hsm/tests/support/nss.rs"]
mod nss;
#[path = "support/openssl.rs"]
mod openssl;
#[path = "sandbox_tokens/run.rs"]
mod run;
#[path = "support/softhsm.rs"]
mod softhsm;
#[path = "../hsm/tests/support/tools.rs"]
mod tools;
#[path = "../hsm/tests/support/tpm2.rs"]
mod tpm2;

use run::{PIN, Place, SO_PIN};
use std::path::Path;

#[tokio::test]
async fn kryoptic_works_in_its_sandbox() {
    let folder = tempfile::tempdir().unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let token = kryoptic::set_up(folder.path(), root, 1);
    let place = Place {
        kind: "kryoptic",
        module: token.module,
        init_parameters: None,
        environment: vec![(
            kryoptic::CONFIGURATION,
            token.configuration.display().to_string(),
        )],
        label: "test-0",
        initialise: true,
    };
    run::delivers(&place, &[]).await;
    run::delivers(
        &Place {
            initialise: false,
            ..place
        },
        &["--landlock-abi", "2"],
    )
    .await;
}

#[tokio::test]
async fn nss_works_in_its_sandbox() {
    let folder = tempfile::tempdir().unwrap();
    let token = nss::set_up(folder.path(), 1, PIN);
    let place = Place {
        kind: "nss",
        module: token.module,
        init_parameters: Some(token.init_parameters),
        environment: nss::ENVIRONMENT
            .map(|(name, value)| (name, value.to_owned()))
            .to_vec(),
        label: "test-0",
        initialise: false,
    };
    run::delivers(&place, &[]).await;
}

#[tokio::test]
async fn a_tpm_works_in_its_sandbox() {
    let folder = tempfile::tempdir().unwrap();
    let token = tpm2::set_up(folder.path());
    let place = Place {
        kind: "tpm2",
        module: token.module,
        init_parameters: None,
        environment: token.environment,
        label: "test-0",
        initialise: true,
    };
    assert!(SO_PIN.len() >= 8);
    run::delivers(&place, &[]).await;
}
