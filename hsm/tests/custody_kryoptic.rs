//! The custody suite over Kryoptic.
#![allow(missing_docs)]

mod suite;
mod support;

custody_suite!(support::kryoptic());
