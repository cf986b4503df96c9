//! What each route does, after the gate.

pub(super) mod admin;
pub(super) mod connectors;
pub(super) mod enrolment;
pub(super) mod mdm;
pub(super) mod pkcs;
pub(super) mod profiles;
pub(super) mod public;
pub(super) mod records;
pub(super) mod revocation;
pub(super) mod rotation;
