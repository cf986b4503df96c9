//! What must be complained about: the mistakes that the real functions do not make. Here so that the check is one that can fail.

use fips::secret::SecretBytes;

/// Looks at the first byte before anything else (Manger, CRYPTO 2001).
pub(crate) fn first_byte(encoded: &SecretBytes) -> usize {
    match encoded.expose().first() {
        Some(0) => std::hint::black_box(encoded.len()),
        _ => 0,
    }
}

/// Ends the search for the 0x01 where it is found.
pub(crate) fn early_end(encoded: &SecretBytes) -> usize {
    encoded
        .expose()
        .iter()
        .position(|byte| *byte == 1)
        .unwrap_or_default()
}

/// Uses a secret byte as an index.
pub(crate) fn table(encoded: &SecretBytes) -> u8 {
    let table: [u8; 256] = std::array::from_fn(|at| at.to_le_bytes()[0].wrapping_mul(7));
    let at = encoded.expose().last().copied().unwrap_or_default();
    std::hint::black_box(&table)[usize::from(at)]
}

/// Compares byte by byte and stops at the first difference.
#[inline(never)]
pub(crate) fn compare(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a == b)
}
