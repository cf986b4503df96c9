//! The control socket: what `status` and `events` ask the running service. JSON lines, a versioned greeting, its own user only.
//!
//! ```text
//! service: {"program":"pfx-connector","control":1,"version":"..."}
//! command: {"op":"status"}                                     {"op":"events","filter":{...},"follow":false}
//! service: {"kind":"status","status":{...}}                    {"kind":"event","event":{...}} ... {"kind":"end"}
//! ```

pub mod client;
pub mod protocol;
pub(super) mod server;
