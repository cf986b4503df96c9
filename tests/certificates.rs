//! Certificates on request with the real processes: gateway, connectors and engine on a token of SoftHSM, and authorities that somebody else
//! wrote: the mock server of `openssl cmp`, libest's estserver (behind HAProxy as well), and `openssl ca` behind servers of the tests' own. The device is OpenSSL.
//!
//! `CERTIFICATES=300` asks for more than the usual 24 in the test with kills (`make soak`); `KILLS_SEED=7` chooses other victims, moments
//! and faults of the authority.
#![forbid(unsafe_code)]
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::cast_possible_truncation,
    missing_docs
)]

#[path = "../ca/tests/support/authority.rs"]
mod authority;
#[path = "../ca/tests/adcs/contract.rs"]
mod contract;
#[path = "../ca/tests/support/estserver.rs"]
mod estserver;
#[path = "support/issuance.rs"]
mod issuance;
#[path = "../ca/tests/support/mock.rs"]
mod mock;
#[path = "memory/needles.rs"]
mod needles;
#[path = "support/plist.rs"]
mod plist;
#[path = "support/power.rs"]
mod power;
#[path = "support/python.rs"]
mod python;
#[path = "memory/scan.rs"]
mod scan;
#[path = "support/stack.rs"]
mod stack;
#[path = "../ca/tests/support/mod.rs"]
mod support;
#[path = "../ca/tests/support/world.rs"]
mod world;

#[path = "certificates/adcs.rs"]
mod adcs;
#[path = "certificates/apple.rs"]
mod apple;
#[path = "certificates/cmp.rs"]
mod cmp;
#[path = "certificates/company.rs"]
mod company;
#[path = "certificates/device.rs"]
mod device;
#[path = "certificates/est.rs"]
mod est;
#[path = "certificates/est_token.rs"]
mod est_token;
#[path = "certificates/front.rs"]
mod front;
#[path = "certificates/gone.rs"]
mod gone;
#[path = "certificates/kills.rs"]
mod kills;
#[path = "certificates/lies.rs"]
mod lies;
#[path = "certificates/local.rs"]
mod local;
#[path = "certificates/network.rs"]
mod network;
#[path = "certificates/partner.rs"]
mod partner;
#[path = "certificates/site.rs"]
mod site;
#[path = "certificates/told.rs"]
mod told;

use support::openssl;
