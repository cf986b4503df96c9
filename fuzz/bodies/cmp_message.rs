//! Messages of CMP: read, verified, and looked into.

use fips::secret::SecretBytes;
use pki::cmp::{
    Body, Message, RequestTemplate, RootUpdate, Transaction, Trust, Verifier, ca_certs,
};
use std::time::{Duration, SystemTime};

/// A message.
pub(crate) fn run(data: &[u8]) {
    let message = match Message::read(data) {
        Ok(message) => message,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    let secret = SecretBytes::from_slice(b"secret");
    let _ = message.verify(&Verifier::Secret { secret: &secret });
    // Its own certificates, as if an operator had named them.
    for der in message.extra_certs.iter().take(2) {
        let der = std::slice::from_ref(der);
        for trust in [Trust::new(der, &[], &[]), Trust::new(&[], der, &[])] {
            let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_900_000_000);
            if let Ok(trust) = &trust {
                let _ = message.verify(&Verifier::Signature { trust, now });
            }
        }
    }
    if let Body::General(infos) = &message.body {
        let _ = ca_certs(infos);
        let _ = RequestTemplate::find(infos);
        if let Ok(Some(update)) = RootUpdate::find(infos) {
            let _ = update.vouched_by(&update.new_with_new, SystemTime::UNIX_EPOCH);
        }
    }
    // Nothing was sent, so nothing answers it.
    let mut transaction = Transaction::of_order("authority", "order");
    assert!(transaction.accept(&message).is_err());
}
