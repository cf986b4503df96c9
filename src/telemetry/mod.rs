//! What the program tells people and machines about its work: the event log, its catalogue of events, metrics and health.

pub mod catalogue;
