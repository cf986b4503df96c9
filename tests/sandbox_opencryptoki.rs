//! As sandbox_tokens.rs, with openCryptoki: its paths are fixed, so the program begins anew in a namespace of its own.
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
#[path = "../hsm/tests/support/opencryptoki.rs"]
mod opencryptoki;
#[path = "support/openssl.rs"]
mod openssl;
#[path = "sandbox_tokens/run.rs"]
mod run;
#[path = "support/softhsm.rs"]
mod softhsm;
#[path = "../hsm/tests/support/tools.rs"]
mod tools;

use run::{PIN, Place, SO_PIN};

#[tokio::test]
async fn opencryptoki_works_in_its_sandbox() {
    opencryptoki::enter();
    let token = opencryptoki::set_up(SO_PIN, PIN);
    let place = Place {
        kind: "opencryptoki",
        module: token.module,
        init_parameters: None,
        environment: Vec::new(),
        label: "test-0",
        initialise: false,
    };
    run::delivers(&place, &[]).await;
}
