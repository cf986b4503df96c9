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
    /// The versions that have it: each range from its first version to before the one that is repaired.
    pub ranges: &'static [(Version, Version)],
    /// Whether it is inside of the validated module.
    pub in_module: bool,
    /// Whether this program uses what it is in.
    pub used: bool,
    /// Why it does or does not.
    pub why: &'static str,
}

/// What is known of the versions of AWS-LC FIPS from 3.0.0 on, from published descriptions of these numbers (copies last read in November 2026; the
/// vendor's own bulletins are the authority). What was found later is in none of these lines: `make advisories` asks again.
pub const ADVISORIES: [Advisory; 3] = [
    Advisory {
        id: "CVE-2026-3337",
        problem: "timing of the authentication tag of AES-CCM",
        ranges: &[((3, 0, 0), (3, 2, 0))],
        in_module: true,
        used: false,
        why: "no service of the policy table, no cipher suite of TLS and no line of code names AES-CCM",
    },
    Advisory {
        id: "CVE-2026-4428",
        problem: "CRLs by distribution point taken for out of scope by X.509 code",
        ranges: &[((3, 0, 0), (3, 3, 0))],
        in_module: false,
        used: false,
        why: "nothing calls the X.509 code of the library: rustls and this program read certificates in Rust",
    },
    Advisory {
        id: "CVE-2026-134056",
        problem: "a block written behind the end that is reported, when a padded block cipher is decrypted (EVP_DecryptUpdate)",
        ranges: &[
            ((1, 0, 0), (2, 0, 18)),
            ((3, 0, 0), (3, 6, 0)),
            ((4, 0, 0), (4, 2, 0)),
        ],
        in_module: true,
        used: false,
        why: "the module's padding is switched off for every decryption, where that code is not reached; the padding is removed in Rust",
    },
];

impl Advisory {
    /// Whether a module that says this of itself has the problem. A version that cannot be read is taken to have it.
    #[must_use]
    pub fn affects(&self, module_version: &str) -> bool {
        parse(module_version).is_none_or(|version| {
            self.ranges
                .iter()
                .any(|(from, repaired)| (*from..*repaired).contains(&version))
        })
    }

    /// The versions in words.
    #[must_use]
    pub fn versions(&self) -> String {
        let text = |(major, minor, patch): Version| format!("{major}.{minor}.{patch}");
        let ranges: Vec<_> = self
            .ranges
            .iter()
            .map(|(from, repaired)| format!("{} to before {}", text(*from), text(*repaired)))
            .collect();
        ranges.join(", ")
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
    fn the_linked_version_has_all_of_them_and_repaired_ones_do_not() {
        for (version, has) in [
            (crate::EXPECTED_VERSION, [true, true, true]),
            ("AWS-LC FIPS 2.0.17", [false, false, true]),
            ("AWS-LC FIPS 2.0.18", [false, false, false]),
            ("AWS-LC FIPS 3.0.0", [true, true, true]),
            ("AWS-LC FIPS 3.2.0", [false, true, true]),
            ("AWS-LC FIPS 3.3.0", [false, false, true]),
            ("AWS-LC FIPS 3.6.0", [false, false, false]),
            ("AWS-LC FIPS 4.1.0", [false, false, true]),
            ("AWS-LC FIPS 4.2.0", [false, false, false]),
            // Nothing is claimed of what cannot be read.
            ("AWS-LC FIPS", [true, true, true]),
            ("AWS-LC FIPS 3.1", [true, true, true]),
            ("", [true, true, true]),
        ] {
            let found = ADVISORIES.map(|advisory| advisory.affects(version));
            assert_eq!(found, has, "{version}");
        }
        assert_eq!(
            ADVISORIES.map(|advisory| advisory.versions()),
            [
                "3.0.0 to before 3.2.0",
                "3.0.0 to before 3.3.0",
                "1.0.0 to before 2.0.18, 3.0.0 to before 3.6.0, 4.0.0 to before 4.2.0"
            ]
        );
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
