//! Who asks, in the header of a frame: what the kernel says of the other end of the socket, and what the other end says of itself.

/// Bytes of a SHA-256.
const DIGEST_BYTES: usize = 32;
/// `(uid_t) -1` is no user (chown(2), setreuid(2)): in a frame it says that there is none.
const NO_USER: u32 = u32::MAX;

/// Who asks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Caller {
    /// The user whose process asks (SO_PEERCRED, unix(7)). The supervisor sets it, whatever stood in the frame that came: what a caller
    /// writes there is never looked at. None in frames that are nobody's request.
    pub uid: Option<u32>,
    /// SHA-256 of the client certificate (DER) that the caller says it shows to the gateway: stated, not proven, and passed on as it came.
    /// None for callers that are no connector, which is what a digest of zeros says.
    pub certificate: Option<[u8; DIGEST_BYTES]>,
}

impl Caller {
    /// Bytes in a header.
    pub(super) const BYTES: usize = 4 + DIGEST_BYTES;

    /// User, then digest.
    pub(super) fn to_bytes(self) -> impl Iterator<Item = u8> {
        let uid = self.uid.unwrap_or(NO_USER);
        let certificate = self.certificate.unwrap_or_default();
        uid.to_be_bytes().into_iter().chain(certificate)
    }

    /// What [`to_bytes`](Self::to_bytes) wrote.
    pub(super) fn from_bytes(uid: [u8; 4], certificate: [u8; DIGEST_BYTES]) -> Self {
        Self {
            uid: Some(u32::from_be_bytes(uid)).filter(|uid| *uid != NO_USER),
            certificate: Some(certificate).filter(|digest| *digest != [0; DIGEST_BYTES]),
        }
    }
}
