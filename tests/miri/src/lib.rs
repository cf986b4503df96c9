//! Files of the program that call no C, alone: their tests are what `make miri` runs here. The pool of places for secrets (fips/src/secret) is
//! `unsafe`; single flight (src/engine/custody/sharing.rs) is where threads meet in the engine. What crate hsm has of that kind is run in
//! the crate itself.
#![allow(dead_code)]

// Names of crates in src/engine/custody/sharing.rs: of the stand-ins here.
extern crate self as fips;
extern crate self as hsm;

#[path = "../../loom/src/stand_ins.rs"]
mod stand_ins;
#[path = "../../../src/sync.rs"]
mod sync;

pub(crate) use stand_ins::{KeyFingerprint, Padding};

#[path = "../../../fips/src/secret"]
mod secret {
    pub(crate) use crate::stand_ins::secret::Password;

    mod pool;
    mod region;
}

#[path = "../../../src/engine"]
mod engine {
    pub(crate) mod api {
        pub(crate) use crate::stand_ins::FailureCode;
    }

    mod custody {
        use crate::stand_ins::refusal;

        mod sharing;
    }
}
