//! What the key that wraps the content key is bound to (RFC 5753 section 7.2).

use der::asn1::{AnyRef, OctetStringRef};
use der::{Decode, Encode, Sequence};

/// ```text
/// ECC-CMS-SharedInfo ::= SEQUENCE {
///     keyInfo         AlgorithmIdentifier,
///     entityUInfo [0] EXPLICIT OCTET STRING OPTIONAL,
///     suppPubInfo [2] EXPLICIT OCTET STRING }
/// ```
#[derive(Sequence)]
struct SharedInfo<'a> {
    key_info: AnyRef<'a>,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    entity_u_info: Option<&'a OctetStringRef>,
    #[asn1(context_specific = "2", tag_mode = "EXPLICIT")]
    supp_pub_info: &'a OctetStringRef,
}

/// The structure in DER, for the AlgorithmIdentifier of the key wrap (DER, with its header), the user keying material and the length of the
/// wrapping key in bytes.
pub(super) fn shared_info(
    wrap: &[u8],
    user_keying_material: Option<&[u8]>,
    wrap_bytes: usize,
) -> der::Result<Vec<u8>> {
    let key_bits = u32::try_from(wrap_bytes.saturating_mul(8)).unwrap_or(u32::MAX);
    SharedInfo {
        key_info: AnyRef::from_der(wrap)?,
        entity_u_info: user_keying_material.map(OctetStringRef::new).transpose()?,
        supp_pub_info: OctetStringRef::new(&key_bits.to_be_bytes())?,
    }
    .to_der()
}
