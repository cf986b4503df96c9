//! Certificates in a CMS message, and lists of wanted attributes: what EST servers send.

use pki::certs_only;
use pki::csr_attributes::CsrAttributes;

/// A message, as either.
pub(crate) fn run(data: &[u8]) {
    match certs_only::read(data) {
        // What is read can be written again, and is the same then.
        Ok(mut certificates) => {
            let written = certs_only::write(&certificates);
            if let Ok(written) = written {
                let mut again = certs_only::read(&written).unwrap();
                certificates.sort_unstable();
                again.sort_unstable();
                assert_eq!(again, certificates);
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    match CsrAttributes::read(data) {
        Ok(wanted) => {
            let _ = (
                wanted.key(),
                wanted.wants_challenge_password(),
                wanted.extensions(),
            );
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
