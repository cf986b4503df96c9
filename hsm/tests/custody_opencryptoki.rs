//! The custody suite over openCryptoki's soft token.
#![allow(missing_docs)]

mod suite;
mod support;

custody_suite!(support::opencryptoki());
