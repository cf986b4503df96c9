//! What an authority's refusals mean for whoever asked.

use crate::{Error, ErrorClass};
use pki::cmp::{CmpError, Failure, StatusInfo};

/// What a failure of RFC 9810 (section 5.2.3) means. The one table; a failure without a decision does not compile.
pub(super) const fn class_of(failure: Failure) -> ErrorClass {
    match failure {
        // Our key, secret, certificate or name: an operator has to act.
        Failure::BadMessageCheck
        | Failure::WrongAuthority
        | Failure::WrongIntegrity
        | Failure::SignerNotTrusted
        | Failure::NotAuthorized => ErrorClass::Credential,
        // There may be a certificate, or it was asked for before.
        Failure::TransactionIdInUse | Failure::DuplicateCertReq | Failure::CertConfirmed => {
            ErrorClass::Unknown
        }
        // The message is not of the transaction, for the authority.
        Failure::BadRecipientNonce | Failure::BadSenderNonce => ErrorClass::Protocol,
        Failure::UnsupportedVersion => ErrorClass::Unsupported,
        // Nothing was done, and later it may be. A clock that differs is repaired without changing the order.
        Failure::BadTime
        | Failure::TimeNotAvailable
        | Failure::SystemUnavail
        | Failure::SystemFailure => ErrorClass::Unavailable,
        Failure::BadAlg
        | Failure::BadRequest
        | Failure::BadCertId
        | Failure::BadDataFormat
        | Failure::IncorrectData
        | Failure::MissingTimeStamp
        | Failure::BadPop
        | Failure::CertRevoked
        | Failure::UnacceptedPolicy
        | Failure::UnacceptedExtension
        | Failure::AddInfoNotAvailable
        | Failure::BadCertTemplate => ErrorClass::Rejected,
    }
}

/// Which class decides when there are several failures: first what must not be repeated, last what may be.
const GRAVEST_FIRST: [ErrorClass; 6] = [
    ErrorClass::Unknown,
    ErrorClass::Credential,
    ErrorClass::Unsupported,
    ErrorClass::Protocol,
    ErrorClass::Rejected,
    ErrorClass::Unavailable,
];

/// The class of a refusal; one without a reason is [`ErrorClass::Rejected`].
pub(super) fn class(status: &StatusInfo) -> ErrorClass {
    GRAVEST_FIRST
        .into_iter()
        .find(|class| status.failures.iter().any(|one| class_of(*one) == *class))
        .unwrap_or(ErrorClass::Rejected)
}

/// What an authority says, for people: the failures by name, its words quoted.
pub(super) fn words(status: &StatusInfo, details: &[String]) -> String {
    let names: Vec<_> = status.failures.iter().map(|one| one.name()).collect();
    let mut text = if names.is_empty() {
        "without a reason".to_owned()
    } else {
        names.join(", ")
    };
    for said in status.texts.iter().chain(details).take(4) {
        text.push_str(&format!(" {said:?}"));
    }
    text
}

/// What to do about a class of refusals.
const fn remedy(class: ErrorClass) -> &'static str {
    match class {
        ErrorClass::Credential => {
            "; have the authority allow this connector's certificate or secret, or configure the one that it knows"
        }
        ErrorClass::Unknown => {
            "; there may be a certificate of this order: look at the authority before it is asked for again"
        }
        ErrorClass::Unavailable => "; it is tried again later (do both clocks agree?)",
        ErrorClass::Unsupported
        | ErrorClass::Protocol
        | ErrorClass::Rejected
        | ErrorClass::Misissued => "",
    }
}

/// The error of a refusal that was verified to be the authority's.
pub(super) fn refusal(what: &str, status: &StatusInfo, details: &[String]) -> Error {
    let class = class(status);
    let words = words(status, details);
    Error::new(
        class,
        format!("the authority refuses {what}: {words}{}", remedy(class)),
    )
}

/// The error of a message that is not made or not believed.
pub(super) fn of_message(error: &CmpError) -> Error {
    let class = match error {
        CmpError::ProtectionKind { .. }
        | CmpError::Protection { .. }
        | CmpError::Untrusted { .. }
        | CmpError::Module(_) => ErrorClass::Credential,
        CmpError::Sign(pki::SignError::Module(_)) => ErrorClass::Credential,
        CmpError::Sign(_) => ErrorClass::Unavailable,
        _ => ErrorClass::Protocol,
    };
    Error::new(class, error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(failures: &[Failure]) -> StatusInfo {
        StatusInfo {
            failures: failures.to_vec(),
            ..StatusInfo::rejection(Failure::BadAlg, "no")
        }
    }

    /// The whole table, written a second time in the other direction: by bit number.
    #[test]
    fn every_failure_has_the_class_that_the_page_says() {
        use ErrorClass as C;
        let expected: [(u8, C); 27] = [
            (0, C::Rejected),
            (1, C::Credential),
            (2, C::Rejected),
            (3, C::Unavailable),
            (4, C::Rejected),
            (5, C::Rejected),
            (6, C::Credential),
            (7, C::Rejected),
            (8, C::Rejected),
            (9, C::Rejected),
            (10, C::Rejected),
            (11, C::Unknown),
            (12, C::Credential),
            (13, C::Protocol),
            (14, C::Unavailable),
            (15, C::Rejected),
            (16, C::Rejected),
            (17, C::Rejected),
            (18, C::Protocol),
            (19, C::Rejected),
            (20, C::Credential),
            (21, C::Unknown),
            (22, C::Unsupported),
            (23, C::Credential),
            (24, C::Unavailable),
            (25, C::Unavailable),
            (26, C::Unknown),
        ];
        assert_eq!(expected.len(), Failure::ALL.len());
        let page = include_str!("../../../docs/cmp.md");
        for ((bit, class), failure) in expected.into_iter().zip(Failure::ALL) {
            assert_eq!(failure as u8, bit);
            assert_eq!(super::class(&refused(&[failure])), class, "{failure:?}");
            let row = format!("| {bit} | `{}` | `{class:?}` |", failure.name());
            assert!(page.contains(&row), "docs/cmp.md lacks the row: {row}");
        }
    }

    #[test]
    fn of_several_failures_the_one_that_must_not_be_repeated_decides() {
        use Failure as F;
        for (failures, class) in [
            (&[][..], ErrorClass::Rejected),
            (&[F::SystemUnavail, F::BadPop], ErrorClass::Rejected),
            (
                &[F::SystemUnavail, F::TransactionIdInUse],
                ErrorClass::Unknown,
            ),
            (&[F::BadPop, F::NotAuthorized], ErrorClass::Credential),
            (
                &[F::NotAuthorized, F::DuplicateCertReq],
                ErrorClass::Unknown,
            ),
        ] {
            assert_eq!(super::class(&refused(failures)), class, "{failures:?}");
        }
        for (at, class) in GRAVEST_FIRST.into_iter().enumerate() {
            assert_eq!(GRAVEST_FIRST.iter().position(|one| *one == class), Some(at));
        }
    }
}
