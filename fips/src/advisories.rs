//! Known vulnerabilities of the validated module's versions, and whether this program uses what they are in.
//!
//! A certificate is about bits that stay as they are, so a repair is another version and leaves the certificate behind. Whoever
//! keeps the validated bits has to say what is known about them.

/// A version of the module as three numbers.
pub type Version = (u16, u16, u16);

/// One known problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Advisory {
    /// Its number, or what it is called where it has none.
    pub id: &'static str,
    /// What is wrong.
    pub problem: &'static str,
    /// The first version that has it; `None`: not told, so every earlier one counts.
    pub from: Option<Version>,
    /// The first version that does not have it any more.
    pub repaired: Version,
    /// Whether it is inside of the validated module.
    pub in_module: bool,
    /// Whether this program uses what it is in.
    pub used: bool,
    /// Why it does or does not.
    pub why: &'static str,
}

/// What is known of the versions of AWS-LC FIPS 3.x.
pub const ADVISORIES: [Advisory; 2] = [
    Advisory {
        id: "CVE-2026-3337",
        problem: "timing of the authentication tag of AES-CCM",
        from: Some((3, 0, 0)),
        repaired: (3, 2, 0),
        in_module: true,
        used: false,
        why: "no service of the policy table, no cipher suite of TLS and no line of code names AES-CCM",
    },
    Advisory {
        id: "CRL distribution points",
        problem: "reading of CRL distribution points in X.509 code",
        from: None,
        repaired: (3, 3, 0),
        in_module: false,
        used: false,
        why: "nothing calls the X.509 code of the library: rustls and this program read certificates in Rust",
    },
];

impl Advisory {
    /// Whether a module that says this of itself has the problem. A version that cannot be read is taken to have it.
    #[must_use]
    pub fn affects(&self, module_version: &str) -> bool {
        parse(module_version).is_none_or(|version| {
            self.from.is_none_or(|from| version >= from) && version < self.repaired
        })
    }

    /// The versions in words.
    #[must_use]
    pub fn versions(&self) -> String {
        let text = |(major, minor, patch): Version| format!("{major}.{minor}.{patch}");
        match self.from {
            Some(from) => format!("{} to before {}", text(from), text(self.repaired)),
            None => format!("before {}", text(self.repaired)),
        }
    }
}

/// The version at the end of what the module says of itself.
fn parse(module_version: &str) -> Option<Version> {
    let (_, version) = module_version.rsplit_once(' ')?;
    let mut numbers = version.split('.').map(str::parse);
    match (
        numbers.next()?,
        numbers.next()?,
        numbers.next()?,
        numbers.next(),
    ) {
        (Ok(major), Ok(minor), Ok(patch), None) => Some((major, minor, patch)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Service;

    #[test]
    fn the_linked_version_has_both_and_repaired_ones_do_not() {
        let [tags, points] = ADVISORIES;
        for (version, has_tags, has_points) in [
            (crate::EXPECTED_VERSION, true, true),
            ("AWS-LC FIPS 2.0.17", false, true),
            ("AWS-LC FIPS 3.0.0", true, true),
            ("AWS-LC FIPS 3.2.0", false, true),
            ("AWS-LC FIPS 3.3.0", false, false),
            ("AWS-LC FIPS 4.2.0", false, false),
            // Nothing is claimed of what cannot be read.
            ("AWS-LC FIPS", true, true),
            ("AWS-LC FIPS 3.1", true, true),
            ("", true, true),
        ] {
            assert_eq!(tags.affects(version), has_tags, "{version}");
            assert_eq!(points.affects(version), has_points, "{version}");
        }
        assert_eq!(tags.versions(), "3.0.0 to before 3.2.0");
        assert_eq!(points.versions(), "before 3.3.0");
    }

    #[test]
    fn neither_the_table_nor_tls_has_the_mode_of_cve_2026_3337() {
        for service in Service::ALL {
            let row = format!("{:?}", service.entry());
            assert!(!row.contains("CCM") && !row.contains("ccm"), "{row}");
        }
        for suite in crate::tls::state().cipher_suites {
            assert!(!suite.name.contains("CCM"), "{suite:?}");
        }
    }
}
