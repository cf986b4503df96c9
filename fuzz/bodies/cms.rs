//! Messages of CMS.

/// A message.
pub(crate) fn run(_data: &[u8]) {}
