//! The one content of a TLS handshake that a client key signs.

/// RFC 8446, section 4.4.3: 64 octets 0x20 come first.
const PADDING: [u8; 64] = [0x20; 64];
/// What says whose signature it is, and the octet that separates it from what follows.
const CONTEXT: &[u8] = b"TLS 1.3, client CertificateVerify\0";
/// Octets of SHA-256 and SHA-384, the hashes of TLS 1.3's cipher suites.
const TRANSCRIPTS: [usize; 2] = [32, 48];

/// Content covered by a client's CertificateVerify. Its first 64 octets make sure that it begins like no certificate, no CSR, no revocation
/// list and no message of another protocol of this program: those are DER, which begins with 0x30, or text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CertificateVerify<'a> {
    bytes: &'a [u8],
    transcript: &'a [u8],
}

impl<'a> CertificateVerify<'a> {
    /// `None` for everything else.
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        let transcript = bytes.strip_prefix(&PADDING)?.strip_prefix(CONTEXT)?;
        TRANSCRIPTS
            .contains(&transcript.len())
            .then_some(Self { bytes, transcript })
    }

    /// All of it.
    pub(super) const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The hash of the handshake's messages.
    pub(super) const fn transcript(&self) -> &'a [u8] {
        self.transcript
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]
    use super::*;

    fn content(context: &[u8], hash: usize) -> Vec<u8> {
        [&PADDING[..], context, &vec![0xab; hash]].concat()
    }

    #[test]
    fn a_clients_certificate_verify_is_read_and_its_transcript_told() {
        for hash in TRANSCRIPTS {
            let bytes = content(CONTEXT, hash);
            let read = CertificateVerify::read(&bytes).unwrap();
            assert_eq!((read.bytes(), read.transcript().len()), (&*bytes, hash));
        }
    }

    #[test]
    fn nothing_else_is_signed() {
        let good = content(CONTEXT, 32);
        let others = [
            Vec::new(),
            content(b"TLS 1.3, server CertificateVerify\0", 32),
            content(b"TLS 1.3, client CertificateVerify\x01", 32),
            content(CONTEXT, 0),
            content(CONTEXT, 31),
            content(CONTEXT, 33),
            content(CONTEXT, 64),
            good.iter().skip(1).copied().collect(),
            [b" ", &*good].concat(),
            [&*good, b"\x30"].concat(),
            b"\x30\x82\x01\x00 a certificate's tbsCertificate".to_vec(),
        ];
        for bytes in others {
            assert_eq!(CertificateVerify::read(&bytes), None, "{bytes:?}");
        }
        for at in 0..PADDING.len() + CONTEXT.len() {
            let mut changed = good.clone();
            changed[at] ^= 1;
            assert_eq!(CertificateVerify::read(&changed), None, "octet {at}");
        }
    }
}
