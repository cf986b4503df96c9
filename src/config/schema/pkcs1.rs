//! Keys of `[[engine.pkcs1_keys]]`.

use super::{Key, Kind, Need};

pub(super) const PKCS1_KEY: &[Key] = &[
    Key {
        name: "fingerprint",
        kind: Kind::Sha256Hex,
        need: Need::Required(
            "\"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\"",
        ),
        doc: "SHA-256 of the custody key's SubjectPublicKeyInfo (`key show`), in small letters.",
    },
    Key {
        name: "until",
        kind: Kind::Date,
        need: Need::Required("\"2027-03-31\""),
        doc: "The last day (UTC) on which it does. Somebody is warned from 30 days before.",
    },
];
