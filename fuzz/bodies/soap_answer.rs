//! Answers of AD CS' enrolment web services.

/// An answer's body.
pub(crate) fn run(data: &[u8]) {
    let _ = ca::adcs::is_answer(data);
}
