//! Messages between gateway, importers, device management and connectors, read from both ends.

use pfx_connector::connector::read_lease;
use pfx_connector::gateway::{MESSAGES, judge};

/// A body, as any of the messages.
pub(crate) fn run(data: &[u8]) {
    for message in MESSAGES {
        if let Err(error) = judge(message, data) {
            assert!(!error.message.is_empty());
        }
    }
    let _ = read_lease(data);
}
