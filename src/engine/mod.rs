//! The engine: the only processes that see a clear password or use the custody key.

pub mod api;
pub mod formats;
pub mod recrypt;
