//! The service side: stores records that it cannot decrypt, queues device requests, leases them to connectors.
//!
//! ```text
//! importer       --bearer-->  records   \                       connector (mutual TLS)
//! MDM            --bearer-->  requests   >  SQLite  --lease-->    engine, HSM
//! administrator  --bearer-->  tokens ... /          <-result--
//! ```
//!
//! Every call passes one gate ([`http`]): the table of routes ([`routes`]) names who may call what, and the same table makes the
//! router and the served OpenAPI document. Everything that must not be lost is in one database ([`store`]); an answer is sent
//! after the transaction that it speaks of is on the disk. The gateway uses no key of anybody's but its own for TLS.

pub mod admin_api;
pub mod api;
pub mod auth;
mod enrolment;
pub mod enrolment_api;
mod error;
mod handlers;
mod handshake;
mod http;
mod judge;
mod monitor;
mod odata;
mod openapi;
pub mod pkcs_api;
pub mod profiles_api;
pub mod revocation_api;
pub mod rotation_api;
pub mod routes;
mod schemas;
mod server;
pub mod store;
mod tls;
mod validate;

pub use error::{ApiError, GatewayError};
pub use judge::{MESSAGES, Message, judge};
pub use openapi::document as openapi_document;
pub use schemas::schemas as message_schemas;
pub use server::Gateway;
