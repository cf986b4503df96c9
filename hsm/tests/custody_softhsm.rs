//! The custody suite over SoftHSM 2.
#![allow(missing_docs)]

mod suite;
mod support;

custody_suite!(support::softhsm());
