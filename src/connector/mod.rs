//! The loop: leases work, has the engine do it, delivers it exactly once, and says what happened.
