//! Messages of CMS: what they tell of themselves, and what a recipient opens.

use super::seeds::identities;
use formats::cms::{self, CmsLimits, RecipientKey};

/// A message.
pub(crate) fn run(data: &[u8]) {
    let limits = CmsLimits::default();
    let facts = cms::look_at(data, &limits);
    for identity in identities() {
        let key = RecipientKey::new(&identity.certificate, &identity.pkcs8).unwrap();
        match cms::open(data, &key, &limits) {
            // What opens could be looked at.
            Ok(content) => assert!(facts.is_ok() && content.bytes.len() <= data.len()),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
}
