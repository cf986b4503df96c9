//! Certificates and revocation lists of strangers: read, reported, and held against themselves.

use pki::inspect::CertificateReport;
use pki::path::{Certificate, Purpose, Verification};
use pki::revocation_list::RevocationList;

const AT: [u8; 14] = *b"20261127120000";

/// A certificate, or a list.
pub(crate) fn run(data: &[u8]) {
    let lists: Vec<RevocationList> = RevocationList::read(data).into_iter().collect();
    let certificate = match Certificate::read(data) {
        Ok(certificate) => certificate,
        Err(problem) => {
            assert!(!problem.to_string().is_empty());
            return;
        }
    };
    let report = CertificateReport::of(&certificate, &AT);
    assert_eq!(report.fingerprint.len(), 64);
    let all = [certificate.clone(), certificate.clone()];
    for purpose in [Purpose::Any, Purpose::Smime, Purpose::Client] {
        let verification = Verification {
            roots: &all,
            intermediates: &all,
            lists: &lists,
            purpose,
            email: Some("a@example.com"),
            at: AT,
        };
        let _ = verification.verify(&certificate);
        let alone = Verification {
            intermediates: &all,
            purpose,
            at: AT,
            ..Verification::default()
        };
        // Nobody is trusted, so nothing is verified.
        assert!(alone.verify(&certificate).is_err());
    }
}
