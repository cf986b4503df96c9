//! Strict FIPS mode of this program: what its policy table approves.

use super::{Answer, Basis, Platform, Rule, What};
use crate::pfx::Target;

pub(super) const STRICT: Platform = Platform {
    target: Target::FipsStrict,
    basis: Basis::Policy,
    sources: &["docs/fips/policy-table.md"],
    all_read: "every algorithm in the file is approved (the password has to have 14 bytes or more as well)",
    rules: &[
        Rule(
            What::NotApproved,
            Answer::Refuses(
                "it is not approved; reading it takes the exception `pkcs12-legacy-read`",
            ),
        ),
        Rule(
            What::MacNotSupported,
            Answer::Refuses("it is not supported"),
        ),
        Rule(What::SignatureMode, Answer::Refuses("it is not supported")),
        Rule(
            What::ClosedBesideKey,
            Answer::If("it is not supported and stays closed; the rest of the file is read"),
        ),
        Rule(
            What::Closed,
            Answer::Refuses("it is not supported, and may be or hold the private key"),
        ),
        Rule(
            What::ShortPassword,
            Answer::Refuses(
                "approved PBKDF2 takes a password of 14 bytes or more; less takes the exception `pkcs12-legacy-read`",
            ),
        ),
        // How a file is put together is nothing that the policy is about.
        Rule(What::Anything, Answer::Reads),
    ],
};
