//! How much of a stranger's message is looked at.

/// Bounds of one reading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CmsLimits {
    /// Largest message, in bytes.
    pub max_bytes: usize,
    /// Recipients in all.
    pub max_recipients: usize,
    /// Elements within elements.
    pub max_depth: usize,
}

impl Default for CmsLimits {
    fn default() -> Self {
        Self {
            max_bytes: 4 * 1024 * 1024,
            max_recipients: 256,
            max_depth: 32,
        }
    }
}
