//! What may be claimed of this module, as an order: whoever puts several statements together takes the lowest.

use std::fmt;
use std::str::FromStr;

/// How much may be claimed. The order is the one of the derive: what is further down claims more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Nothing: not validated, not known, or known to be otherwise than the certificate demands.
    Unvalidated,
    /// The version is with the laboratory or the authority ("modules in process"): there is no certificate yet.
    Pending,
    /// The source is the one that a certificate names. It was built by us, and runs where no laboratory has tested it.
    CertifiedSource,
    /// Tested by a laboratory exactly as it is here. Nothing that was built by us is: only an environment or a token can be.
    Certified,
}

/// What the module says before its version.
const MODULE_NAME: &str = "AWS-LC FIPS ";

impl Level {
    /// Every level, the lowest first.
    pub const ALL: [Self; 4] = [
        Self::Unvalidated,
        Self::Pending,
        Self::CertifiedSource,
        Self::Certified,
    ];

    /// Its stable name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unvalidated => "unvalidated",
            Self::Pending => "pending",
            Self::CertifiedSource => "certified-source-untested-environment",
            Self::Certified => "certified",
        }
    }

    /// Its place in the order, for figures: 0 for [`Level::Unvalidated`].
    #[must_use]
    pub const fn rank(self) -> u8 {
        match self {
            Self::Unvalidated => 0,
            Self::Pending => 1,
            Self::CertifiedSource => 2,
            Self::Certified => 3,
        }
    }

    /// The most that may be claimed of a module that says this of itself, whatever else is true.
    ///
    /// Certificates 5314 and 5298 name 3.1.0 and no other version: neither an earlier one of the same line nor a repaired one.
    /// 4.2.0 is on the list of modules in process.
    #[must_use]
    pub fn of_module(version: &str) -> Self {
        match version.strip_prefix(MODULE_NAME) {
            Some("3.1.0") => Self::CertifiedSource,
            Some("4.2.0") => Self::Pending,
            _ => Self::Unvalidated,
        }
    }
}

/// Whether a text can be the number of a CMVP certificate: up to six digits. `none`, `pending` or a name is no statement of one.
#[must_use]
pub fn is_certificate_number(text: &str) -> bool {
    (1..=6).contains(&text.len())
        && !text.starts_with('0')
        && text.bytes().all(|byte| byte.is_ascii_digit())
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unvalidated => "unvalidated",
            Self::Pending => "validation pending",
            Self::CertifiedSource => "certified source, own build, untested environment",
            Self::Certified => "certified",
        })
    }
}

/// The text names no level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no such level of a claim")]
pub struct UnknownLevel;

impl FromStr for Level {
    type Err = UnknownLevel;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|level| level.name() == text)
            .ok_or(UnknownLevel)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_ordered_by_how_much_they_claim() {
        assert!(Level::ALL.is_sorted());
        assert!(Level::ALL.map(Level::rank).is_sorted());
        for level in Level::ALL {
            assert_eq!(level.name().parse(), Ok(level));
        }
        assert_eq!("Certified".parse::<Level>(), Err(UnknownLevel));
    }

    #[test]
    fn only_the_version_that_the_certificates_name_is_of_a_certified_source() {
        for (version, level) in [
            (crate::EXPECTED_VERSION, Level::CertifiedSource),
            ("AWS-LC FIPS 4.2.0", Level::Pending),
            ("AWS-LC FIPS 3.0.0", Level::Unvalidated),
            ("AWS-LC FIPS 3.2.0", Level::Unvalidated),
            ("AWS-LC FIPS 3.6.0", Level::Unvalidated),
            ("AWS-LC FIPS 3.1.0-dev", Level::Unvalidated),
            ("AWS-LC 3.1.0", Level::Unvalidated),
            ("3.1.0", Level::Unvalidated),
            ("", Level::Unvalidated),
        ] {
            assert_eq!(Level::of_module(version), level, "{version}");
        }
    }

    #[test]
    fn only_digits_are_the_number_of_a_certificate() {
        for number in ["1", "4703", "5314", "123456"] {
            assert!(is_certificate_number(number), "{number}");
        }
        for other in [
            "", " ", "0", "none", "pending", "#4703", "4703 ", "4703a", "1234567",
        ] {
            assert!(!is_certificate_number(other), "{other}");
        }
    }

    #[test]
    fn certified_is_a_word_for_the_highest_level_alone() {
        assert_eq!(Level::Certified.to_string(), "certified");
        let source = Level::CertifiedSource.to_string();
        assert_eq!(source, "certified source, own build, untested environment");
        assert!(!Level::Pending.to_string().contains("certified"));
    }
}
