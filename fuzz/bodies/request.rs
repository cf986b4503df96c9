//! Requests and subjects of strangers: read, verified, reported.

use pki::csr::Csr;
use pki::inspect::CsrReport;
use pki::name::{Lengths, SubjectTemplate, rfc4514};
use pki::template::Values;

/// A request; what is text is a subject as well.
pub(crate) fn run(data: &[u8]) {
    match Csr::read_pem_or_der(data) {
        Ok(csr) => assert!(CsrReport::of(&csr).signature_verified),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let Ok(template) = SubjectTemplate::parse(text) else {
        return;
    };
    if let Ok(name) = template.fill(&Values::new(), Lengths::LongCommonName) {
        // What is written is the same name again.
        let written = SubjectTemplate::parse(&rfc4514(&name));
        if let Ok(again) = written {
            let again = again.fill(&Values::new(), Lengths::LongCommonName);
            assert!(again.is_ok_and(|again| again == name) || text.contains("{{"));
        }
    }
}
