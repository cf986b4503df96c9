//! What hands requests from one thread to another, in every order in which threads can come to its locks (`make loom`).
//!
//! ```text
//!   hsm/src/pkcs11/{lanes,limiter,queue,requests,evidence,gate}.rs   \
//!   hsm/src/group/alarm.rs                                            >  as they are, with crate::sync = sync.rs of this folder
//!   src/engine/custody/sharing.rs                                    /
//!   their types of data (errors, a worker, a password)                  stand-ins of the same names: stand_ins.rs
//! ```
//!
//! loom runs each model again and again, each time with another order, until there is none left (or none with fewer preemptions than the
//! model's bound). A request that nobody takes, or a thread that nobody wakes, ends as a deadlock, which loom reports; everything else is asserted
//! by the models. Each says which cases it must have come to, so that none passes because nothing happened.
//!
//! Not seen by it: conditions that wake without a notification or wake another than the one that has waited longest, and what the
//! processor may reorder around atomic counters of the standard library. Miri (`make miri`) runs some orders of those.
#![forbid(unsafe_code)]
#![allow(dead_code, reason = "the files have more than the models use")]

// Names of crates in src/engine/custody/sharing.rs: of the stand-ins here.
extern crate self as fips;
extern crate self as hsm;

#[path = "../../../hsm/src/clock.rs"]
mod clock;
#[path = "../../../hsm/src/load.rs"]
mod load;
mod model;
mod stand_ins;
mod sync;
#[path = "../../../hsm/src/terms.rs"]
mod terms;

pub(crate) use load::Load;
pub(crate) use stand_ins::{Error, KeyFingerprint, Padding, custody, secret};
pub(crate) use terms::{Lane, Terms};

#[path = "../../../hsm/src/pkcs11"]
mod pkcs11 {
    use crate::stand_ins::{classify, worker};

    mod evidence;
    mod gate;
    mod lanes;
    mod limiter;
    mod queue;
    mod requests;

    #[path = "../../../tests/loom/src/models/evidence.rs"]
    pub(crate) mod models_of_evidence;
    #[path = "../../../tests/loom/src/models/requests.rs"]
    pub(crate) mod models_of_requests;
    #[path = "../../../tests/loom/src/models/gate.rs"]
    pub(crate) mod models_of_the_gate;
    #[path = "../../../tests/loom/src/models/queue.rs"]
    pub(crate) mod models_of_the_queue;
}

#[path = "../../../hsm/src/group"]
mod group {
    mod alarm;

    #[path = "../../../tests/loom/src/models/alarm.rs"]
    pub(crate) mod models_of_alarms;
}

#[path = "../../../src/engine"]
mod engine {
    pub(crate) mod api {
        pub(crate) use crate::stand_ins::FailureCode;
    }

    pub(crate) mod custody {
        use crate::stand_ins::refusal;

        mod sharing;

        #[path = "../../../tests/loom/src/models/sharing.rs"]
        pub(crate) mod models_of_sharing;
    }
}

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let models = [
        pkcs11::models_of_the_queue::MODELS,
        pkcs11::models_of_requests::MODELS,
        pkcs11::models_of_evidence::MODELS,
        pkcs11::models_of_the_gate::MODELS,
        group::models_of_alarms::MODELS,
        engine::custody::models_of_sharing::MODELS,
    ];
    let (mut count, mut executions) = (0, 0);
    for model in models.into_iter().flatten() {
        let is_wanted =
            wanted.is_empty() || wanted.iter().any(|part| model.name.contains(part.as_str()));
        if is_wanted {
            count += 1;
            executions += model.check();
        }
    }
    assert!(count > 0, "no model has a name with one of {wanted:?}");
    println!("{count} models hold in {executions} executions");
}
