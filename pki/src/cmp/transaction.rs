//! One transaction: its name, and which message answers which.

use super::CmpError;
use super::body::Request;
use super::header::{Header, Info};
use super::message::Message;
use super::protection::{Protector, protect};
use fips::digest::{Hash, Hasher};
use fips::random;
use std::time::SystemTime;

/// Octets of names and nonces of ours: 128 bits (RFC 9483, section 3.1).
const OCTETS: usize = 16;
/// Lengths of others' nonces: RFC 9810 wants 128 bits, and some have fewer.
const NONCE_OCTETS: std::ops::RangeInclusive<usize> = 8..=64;

/// cmp2000 and cmp2021.
const CMP2000: u8 = 2;
const CMP2021: u8 = 3;

/// A transaction as its client sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transaction {
    id: [u8; OCTETS],
    sent: Option<[u8; OCTETS]>,
    received: Option<Vec<u8>>,
}

impl Transaction {
    /// One that nobody has had: a random name.
    ///
    /// # Errors
    /// [`CmpError::Module`] when the generator fails.
    pub fn new() -> Result<Self, CmpError> {
        Ok(Self::named(random::array()?))
    }

    /// The transaction of an order at an authority: the same name whenever it is asked, after a restart too.
    #[must_use]
    pub fn of_order(authority: &str, order: &str) -> Self {
        let mut hasher = Hasher::new(Hash::Sha256);
        for part in ["cmp transaction of an order", authority, order] {
            // The length makes the parts distinct: "a" of "bc" is not "ab" of "c".
            let length = u64::try_from(part.len()).unwrap_or(u64::MAX);
            hasher.update(&length.to_be_bytes());
            hasher.update(part.as_bytes());
        }
        let mut id = [0; OCTETS];
        for (to, from) in id.iter_mut().zip(hasher.finish().as_ref()) {
            *to = *from;
        }
        Self::named(id)
    }

    const fn named(id: [u8; OCTETS]) -> Self {
        Self {
            id,
            sent: None,
            received: None,
        }
    }

    /// Goes on after the message with this senderNonce, which was kept.
    #[must_use]
    pub fn after(mut self, nonce: Option<Vec<u8>>) -> Self {
        self.received = nonce;
        self
    }

    /// Its name.
    #[must_use]
    pub const fn id(&self) -> &[u8; OCTETS] {
        &self.id
    }

    /// The senderNonce of the last message that was believed.
    #[must_use]
    pub fn last_nonce(&self) -> Option<&[u8]> {
        self.received.as_deref()
    }

    /// The next message (DER).
    ///
    /// # Errors
    /// As [`protect`].
    pub fn message(
        &mut self,
        request: &Request,
        infos: Vec<Info>,
        recipient_der: Option<&[u8]>,
        newest: bool,
        now: SystemTime,
        by: &Protector<'_>,
    ) -> Result<Vec<u8>, CmpError> {
        let nonce = random::array()?;
        self.sent = Some(nonce);
        let header = Header {
            version: if newest { CMP2021 } else { CMP2000 },
            sender_der: None,
            recipient_der: recipient_der.map(<[u8]>::to_vec),
            time: Some(now),
            protection_algorithm: None,
            sender_key_id: None,
            recipient_key_id: None,
            transaction_id: Some(self.id.to_vec()),
            sender_nonce: Some(nonce.to_vec()),
            recipient_nonce: self.received.clone(),
            free_text: Vec::new(),
            general_info: infos,
        };
        protect(header, request, by)
    }

    /// Checks that a message, whose protection was verified, answers the last one of ours, and remembers its nonce.
    ///
    /// # Errors
    /// [`CmpError::Elsewhere`] saying what is not ours.
    pub fn accept(&mut self, message: &Message) -> Result<(), CmpError> {
        let elsewhere = |problem| Err(CmpError::Elsewhere { problem });
        let header = &message.header;
        if !(CMP2000..=CMP2021).contains(&header.version) {
            return elsewhere("the version is neither 2 nor 3");
        }
        if header.transaction_id.as_deref() != Some(&self.id) {
            return elsewhere("the transactionID is not ours");
        }
        if self.sent.is_none()
            || header.recipient_nonce.as_deref() != self.sent.as_ref().map(<[u8; OCTETS]>::as_slice)
        {
            return elsewhere("the recipNonce is not the one of our last message");
        }
        match &header.sender_nonce {
            Some(nonce) if NONCE_OCTETS.contains(&nonce.len()) => {
                self.received = Some(nonce.clone());
                // One answer to each message.
                self.sent = None;
                Ok(())
            }
            _ => elsewhere("the senderNonce is missing or of no sensible length"),
        }
    }
}
