//! The pool of places for secrets (fips/src/secret), alone: its tests are what `make miri` runs.
#![allow(dead_code)]

#[path = "../../../fips/src/secret"]
mod secret {
    mod pool;
    mod region;
}
