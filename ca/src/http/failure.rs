//! A call that brought no answer, in words: the HTTP client's own text leaves out what lies behind it.

use fips::tls::{PeerProblem, record_call_failed};
use std::error::Error as _;

/// Why a call to another service brought no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallFailure {
    /// What is wrong between both sides' TLS, where rustls says so; `None` for everything else, a connection that breaks
    /// among it.
    pub problem: Option<PeerProblem>,
    /// In words, with all causes and without the address; begins with the problem and its code where there is one.
    pub text: String,
}

impl CallFailure {
    /// Looks at the causes of an HTTP client's error, and counts what TLS says among them for the evidence
    /// ([`fips::tls::state`]): to be called once for each call that is given up.
    #[must_use]
    pub fn of(error: reqwest::Error) -> Self {
        let error = error.without_url();
        let problem = PeerProblem::in_chain(&error);
        if let Some(problem) = problem {
            record_call_failed(problem);
        }
        let mut causes = error.to_string();
        let mut next = error.source();
        while let Some(cause) = next {
            let text = cause.to_string();
            if !causes.contains(&text) {
                causes.push_str(": ");
                causes.push_str(&text);
            }
            next = cause.source();
        }
        let text = match problem {
            Some(problem) => format!("{problem} ({}): {causes}", problem.code()),
            None => causes,
        };
        Self { problem, text }
    }

    /// Whether somebody has to act before it can work, because one side does not accept the other's certificate or TLS.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        self.problem.is_some_and(PeerProblem::is_refusal)
    }
}
