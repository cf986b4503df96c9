//! Whether what protects a file is approved, as the policy table of crate `fips` has it.

use super::model::Algorithm;
use fips::digest::FileHash;
use fips::policy::{Service, bounds};

/// The service of PBKDF2 with these parameters. What the password is cannot be seen from outside; it is taken to be long enough.
pub(super) fn pbkdf2(prf: FileHash, salt_bytes: usize, iterations: Option<u64>) -> Service {
    match prf {
        FileHash::Md5 => Service::Pbkdf2Md5,
        _ => {
            let iterations = u32::try_from(iterations.unwrap_or(0)).unwrap_or(u32::MAX);
            Service::pbkdf2(bounds::PBKDF2_PASSWORD_BYTES, salt_bytes, iterations)
        }
    }
}

/// The service of HMAC with a key of this length.
pub(super) fn hmac(hash: FileHash, key_bytes: usize) -> Service {
    match hash {
        FileHash::Md5 => Service::HmacMd5,
        _ => Service::hmac(key_bytes),
    }
}

/// An algorithm that this reader has, made of these services: approved if each of them is.
pub(super) fn supported(name: String, text: String, services: &[Service]) -> Algorithm {
    let mut reasons: Vec<&str> = Vec::new();
    for service in services {
        if let Some(reason) = service.entry().standing.reason()
            && !reasons.contains(&reason)
        {
            reasons.push(reason);
        }
    }
    Algorithm {
        name,
        text,
        supported: true,
        approved: reasons.is_empty(),
        not_approved_because: (!reasons.is_empty()).then(|| reasons.join("; ")),
    }
}

/// An algorithm that this reader has not.
pub(super) fn unsupported(name: String, text: String) -> Algorithm {
    Algorithm {
        name,
        text,
        supported: false,
        approved: false,
        not_approved_because: Some("this program does not have it".to_owned()),
    }
}

/// The number in an INTEGER's content (two's complement, big-endian) if it is positive and has at most 64 bits.
pub(super) fn positive(integer: &[u8]) -> Option<u64> {
    if integer.first().is_none_or(|first| first & 0x80 != 0) {
        return None;
    }
    integer
        .iter()
        .try_fold(0_u64, |sum, byte| {
            sum.checked_mul(256)?.checked_add(u64::from(*byte))
        })
        .filter(|number| *number > 0)
}
