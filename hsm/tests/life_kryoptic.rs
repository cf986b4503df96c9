//! Copying, sealing and destroying keys on Kryoptic.
#![allow(missing_docs)]

mod life;
mod support;

life_suite!(support::kryoptic());
