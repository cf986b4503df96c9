//! What can go wrong in the demo: always a step, and what was said.

use std::path::{Path, PathBuf};

/// The demo could not go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DemoError {
    /// A program that the demo needs is not installed.
    #[error("{program} is not installed: {remedy}")]
    Missing {
        /// The program or library.
        program: String,
        /// How to get it.
        remedy: &'static str,
    },
    /// A program could be started but failed.
    #[error("{command} failed: {output}")]
    Command {
        /// The command with its arguments; none of them is secret.
        command: String,
        /// The end of what it printed.
        output: String,
    },
    /// A file operation failed.
    #[error("cannot {operation} {}: {source}", path.display())]
    Io {
        /// What was tried.
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A step did not give what it should.
    #[error("{step}: {problem}")]
    Step {
        /// The step.
        step: String,
        /// The problem.
        problem: String,
    },
}

impl DemoError {
    pub(super) fn step(step: &str, problem: impl Into<String>) -> Self {
        Self::Step {
            step: step.to_owned(),
            problem: problem.into(),
        }
    }

    pub(super) fn io(operation: &'static str, path: &Path, source: std::io::Error) -> Self {
        Self::Io {
            operation,
            path: path.to_owned(),
            source,
        }
    }
}
