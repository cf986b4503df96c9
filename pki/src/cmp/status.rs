//! What an authority says of a request: PKIStatus, its words, and PKIFailureInfo.

use super::CmpError;
use super::asn1::{self, BIT_STRING, UTF8_STRING, element, encoded, sequence};
use super::header::texts;
use der::Sequence;
use der::asn1::{BitStringRef, Utf8StringRef};

/// ```text
/// PKIStatusInfo ::= SEQUENCE {
///     status        PKIStatus,
///     statusString  PKIFreeText     OPTIONAL,
///     failInfo      PKIFailureInfo  OPTIONAL
/// }
/// ```
#[derive(Sequence)]
pub(super) struct PkiStatusInfo<'a> {
    status: u8,
    status_string: Option<Vec<Utf8StringRef<'a>>>,
    fail_info: Option<BitStringRef<'a>>,
}

/// PKIStatus (RFC 9810, section 5.2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PkiStatus {
    /// accepted (0): exactly what was asked.
    Accepted,
    /// grantedWithMods (1): something like it.
    GrantedWithMods,
    /// rejection (2).
    Rejection,
    /// waiting (3): to be polled for.
    Waiting,
    /// revocationWarning (4): a revocation is imminent.
    RevocationWarning,
    /// revocationNotification (5): it is revoked.
    RevocationNotification,
    /// keyUpdateWarning (6).
    KeyUpdateWarning,
}

impl PkiStatus {
    /// Every status, in the order of the numbers.
    pub const ALL: [Self; 7] = [
        Self::Accepted,
        Self::GrantedWithMods,
        Self::Rejection,
        Self::Waiting,
        Self::RevocationWarning,
        Self::RevocationNotification,
        Self::KeyUpdateWarning,
    ];

    /// Its number.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }
}

macro_rules! failures {
    ($($(#[$doc:meta])* $name:ident = $bit:literal, $text:literal;)+) => {
        /// A bit of PKIFailureInfo (RFC 9810, section 5.2.3).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Failure {
            $($(#[$doc])* $name = $bit,)+
        }

        impl Failure {
            /// Every failure, in the order of the bits.
            pub const ALL: [Self; [$(Self::$name),+].len()] = [$(Self::$name),+];

            /// Its name in the standard.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)+
                }
            }
        }
    };
}

failures! {
    /// Unrecognized or unsupported algorithm.
    BadAlg = 0, "badAlg";
    /// The protection of our message did not verify.
    BadMessageCheck = 1, "badMessageCheck";
    /// Transaction not permitted or supported.
    BadRequest = 2, "badRequest";
    /// Our clock and theirs differ too much.
    BadTime = 3, "badTime";
    /// No certificate matches.
    BadCertId = 4, "badCertId";
    /// The data has the wrong format.
    BadDataFormat = 5, "badDataFormat";
    /// The authority is not the one that was named.
    WrongAuthority = 6, "wrongAuthority";
    /// The requester's data is incorrect.
    IncorrectData = 7, "incorrectData";
    /// A time stamp is missing.
    MissingTimeStamp = 8, "missingTimeStamp";
    /// The proof of possession failed.
    BadPop = 9, "badPOP";
    /// The certificate is revoked already.
    CertRevoked = 10, "certRevoked";
    /// The certificate is confirmed already.
    CertConfirmed = 11, "certConfirmed";
    /// A password where a signature is wanted, or the other way round.
    WrongIntegrity = 12, "wrongIntegrity";
    /// Not the nonce of the last message.
    BadRecipientNonce = 13, "badRecipientNonce";
    /// No time source.
    TimeNotAvailable = 14, "timeNotAvailable";
    /// The policy is not supported.
    UnacceptedPolicy = 15, "unacceptedPolicy";
    /// The extension is not supported.
    UnacceptedExtension = 16, "unacceptedExtension";
    /// The information is not available.
    AddInfoNotAvailable = 17, "addInfoNotAvailable";
    /// No nonce, or a short one.
    BadSenderNonce = 18, "badSenderNonce";
    /// The template is not valid or lacks something.
    BadCertTemplate = 19, "badCertTemplate";
    /// Our certificate is not trusted.
    SignerNotTrusted = 20, "signerNotTrusted";
    /// The transaction is known already.
    TransactionIdInUse = 21, "transactionIdInUse";
    /// The version is not supported.
    UnsupportedVersion = 22, "unsupportedVersion";
    /// We are not allowed to.
    NotAuthorized = 23, "notAuthorized";
    /// It is busy or down.
    SystemUnavail = 24, "systemUnavail";
    /// It failed.
    SystemFailure = 25, "systemFailure";
    /// There is such a certificate already.
    DuplicateCertReq = 26, "duplicateCertReq";
}

/// What an authority says of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusInfo {
    /// How it stands.
    pub status: PkiStatus,
    /// Its words, without control characters, each 256 characters at most.
    pub texts: Vec<String>,
    /// What is wrong.
    pub failures: Vec<Failure>,
}

impl StatusInfo {
    /// A refusal.
    #[must_use]
    pub fn rejection(failure: Failure, text: &str) -> Self {
        Self {
            status: PkiStatus::Rejection,
            texts: vec![text.to_owned()],
            failures: vec![failure],
        }
    }

    pub(super) fn read(info: PkiStatusInfo<'_>) -> Result<Self, CmpError> {
        let status = PkiStatus::ALL
            .into_iter()
            .find(|status| status.code() == info.status)
            .ok_or(CmpError::malformed("a status"))?;
        let bit = |failure: Failure| {
            info.fail_info
                .is_some_and(|bits| bits.get(failure as usize) == Some(true))
        };
        Ok(Self {
            status,
            texts: texts(info.status_string)?,
            failures: Failure::ALL.into_iter().filter(|one| bit(*one)).collect(),
        })
    }

    pub(super) fn encode(&self) -> Result<Vec<u8>, CmpError> {
        let texts: Vec<_> = self
            .texts
            .iter()
            .map(|text| element(UTF8_STRING, &[text.as_bytes()]))
            .collect();
        let texts = match texts.is_empty() {
            true => Vec::new(),
            false => asn1::sequence_of(&texts),
        };
        Ok(sequence(&[
            &encoded(&self.status.code())?,
            &texts,
            &self.fail_info(),
        ]))
    }

    /// A named bit list: no zero bits at its end (X.690, section 11.2.2).
    fn fail_info(&self) -> Vec<u8> {
        let Some(last) = self.failures.iter().max() else {
            return Vec::new();
        };
        let bits = self
            .failures
            .iter()
            .fold(0_u32, |bits, failure| bits | 1 << (31 - *failure as u32));
        let octets = bits.to_be_bytes();
        let length = *last as usize / 8 + 1;
        let unused = 7 - *last as u8 % 8;
        element(
            BIT_STRING,
            &[&[unused], octets.get(..length).unwrap_or(&octets)],
        )
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use der::Decode;

    #[test]
    fn every_failure_is_read_as_it_is_written_and_stands_at_its_bit() {
        for (number, failure) in Failure::ALL.into_iter().enumerate() {
            assert_eq!(failure as usize, number);
            let info = StatusInfo::rejection(failure, "no");
            let der = info.encode().unwrap();
            let again = StatusInfo::read(PkiStatusInfo::from_der(&der).unwrap()).unwrap();
            assert_eq!(again, info);
        }
        let all = StatusInfo {
            failures: Failure::ALL.to_vec(),
            ..StatusInfo::rejection(Failure::BadAlg, "all")
        };
        let der = all.encode().unwrap();
        let again = StatusInfo::read(PkiStatusInfo::from_der(&der).unwrap()).unwrap();
        assert_eq!(again, all);
    }

    #[test]
    fn statuses_have_the_numbers_of_the_standard_and_others_are_refused() {
        for (number, status) in (0_u8..).zip(PkiStatus::ALL) {
            assert_eq!(status.code(), number);
        }
        let unknown = [0x30, 0x03, 0x02, 0x01, 0x07];
        assert!(StatusInfo::read(PkiStatusInfo::from_der(&unknown).unwrap()).is_err());
    }
}
