//! Copying, sealing and destroying keys on SoftHSM 2.
#![allow(missing_docs)]

mod life;
mod support;

life_suite!(support::softhsm());
