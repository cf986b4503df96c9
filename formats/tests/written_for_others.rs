//! What we write is opened by the programs of others, and what they write opens here: OpenSSL, GnuTLS, NSS, Java and Python.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    missing_docs,
    unreachable_pub
)]

#[path = "written_for_others/corpus_again.rs"]
mod corpus_again;
#[path = "written_for_others/fixture.rs"]
mod fixture;
#[path = "corpus/manifest.rs"]
#[allow(dead_code, reason = "shared with another test, which uses more of it")]
mod manifest;
#[path = "../../tests/support/openssl.rs"]
mod openssl;
#[path = "written_for_others/ours_by_them.rs"]
mod ours_by_them;
#[path = "written_for_others/programs.rs"]
mod programs;
#[path = "../../tests/support/python.rs"]
mod python;
#[path = "written_for_others/theirs_by_us.rs"]
mod theirs_by_us;
