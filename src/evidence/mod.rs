//! What the program can say about itself so that somebody else can check it: what it was built from and with ([`build`]),
//! what is linked into it ([`sbom`], [`symbols`]), what each of its processes did ([`process`]), and all of it in a folder to hand
//! to an auditor ([`bundle`]).
//!
//! What is about the program is deterministic: the same program says the same on every machine and at every time.

pub mod build;
pub mod bundle;
pub mod lock;
mod mangling;
mod markers;
pub mod process;
pub mod sbom;
pub mod symbols;
