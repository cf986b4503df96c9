//! Whether a `token.object` of SoftHSM 2 is whole.
//!
//! ```text
//! u64  generation
//! then for each attribute, in the order of the types:
//!      u64 type    u64 kind    value: 1 boolean, a byte | 2 number, u64 | 3 bytes, u64 length and bytes | 5 mechanisms, u64 count and u64 each
//! ```
//!
//! All numbers are big-endian. A file that was cut off between two attributes has the form as well, so those that every token has are asked for.

/// Types of the attributes (SoftHSM's own, vendor-defined): label, serial number, flags, and the token's key under the PIN of the security
/// officer and of the user.
const LABEL: u64 = 0x8000_5349;
const SERIAL: u64 = 0x8000_534a;
const FLAGS: u64 = 0x8000_534b;
const SO_PIN: u64 = 0x8000_534c;
const USER_PIN: u64 = 0x8000_534d;
/// CKF_USER_PIN_INITIALIZED (PKCS#11 3.1, 3.2).
const USER_PIN_INITIALIZED: u64 = 0x8;

/// Whether nothing of the file is missing.
pub(super) fn is_whole(content: &[u8]) -> bool {
    attributes(content).is_some_and(|found| {
        let has = |wanted| found.iter().any(|(kind, _)| *kind == wanted);
        let flags = found.iter().find(|(kind, _)| *kind == FLAGS);
        let Some((_, Some(flags))) = flags else {
            return false;
        };
        let has_user = flags & USER_PIN_INITIALIZED == 0 || has(USER_PIN);
        has(LABEL) && has(SERIAL) && has(SO_PIN) && has_user
    })
}

/// Types of the attributes, with the value of those that are numbers; `None`: it has not this form.
fn attributes(content: &[u8]) -> Option<Vec<(u64, Option<u64>)>> {
    let mut rest = content;
    let _generation = number(&mut rest)?;
    let mut found = Vec::new();
    while !rest.is_empty() {
        let name = number(&mut rest)?;
        let mut value = None;
        match number(&mut rest)? {
            1 => skip(&mut rest, 1)?,
            2 => value = Some(number(&mut rest)?),
            3 => {
                let length = number(&mut rest)?;
                skip(&mut rest, length)?;
            }
            5 => {
                let count = number(&mut rest)?;
                skip(&mut rest, count.checked_mul(8)?)?;
            }
            _ => return None,
        }
        found.push((name, value));
    }
    Some(found)
}

fn number(rest: &mut &[u8]) -> Option<u64> {
    let (bytes, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(u64::from_be_bytes(*bytes))
}

fn skip(rest: &mut &[u8], bytes: u64) -> Option<()> {
    let (_, after) = rest.split_at_checked(usize::try_from(bytes).ok()?)?;
    *rest = after;
    Some(())
}

#[cfg(test)]
pub(super) mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]
    use super::*;

    /// A file such as SoftHSM 2.6 writes it; `pin` is in it.
    pub(in super::super) fn sample(pin: &[u8]) -> Vec<u8> {
        let bytes = |name: u64, value: &[u8]| {
            let length = u64::try_from(value.len()).unwrap();
            let head = [name, 3, length].map(u64::to_be_bytes).concat();
            [&head[..], value].concat()
        };
        [
            9_u64.to_be_bytes().to_vec(),
            bytes(LABEL, &[b' '; 32]),
            bytes(SERIAL, b"0123456789abcdef"),
            [FLAGS, 2, 0x42d].map(u64::to_be_bytes).concat(),
            bytes(SO_PIN, &[7; 72]),
            bytes(USER_PIN, pin),
        ]
        .concat()
    }

    #[test]
    fn no_part_of_a_file_is_taken_for_the_whole() {
        let whole = sample(&[8; 72]);
        assert!(is_whole(&whole));
        for end in 0..whole.len() {
            assert!(!is_whole(&whole[..end]), "{end}");
        }
        assert!(!is_whole(&vec![0; whole.len()]));
        assert!(!is_whole(&[&whole[..], b"more"].concat()));
    }

    #[test]
    fn a_token_that_has_no_user_yet_is_whole_without_its_pin() {
        let whole = sample(b"");
        let flags = whole
            .windows(8)
            .position(|at| at == 0x42d_u64.to_be_bytes())
            .unwrap();
        let mut without = whole[..whole.len() - 24].to_vec();
        assert!(!is_whole(&without));
        without[flags + 7] &= !8;
        assert!(is_whole(&without));
    }
}
