//! The service side: stores records that it cannot decrypt, queues device requests, leases them to connectors.

pub mod api;
