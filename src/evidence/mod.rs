//! What the program can say about itself so that somebody else can check it.

pub mod process;
