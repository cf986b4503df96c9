//! The custody suite over tpm2-pkcs11 on a software TPM.
#![allow(missing_docs)]

mod suite;
mod support;

custody_suite!(support::tpm2());
