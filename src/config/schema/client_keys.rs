//! Keys of `[[engine.client_keys]]`.

use super::{Key, Kind, Need};

pub(super) const CLIENT_KEY: &[Key] = &[
    Key {
        name: "name",
        kind: Kind::Text,
        need: Need::Required("\"gateway\""),
        doc: "Its name in requests, receipts and the connector's configuration: 1 to 32 letters, digits, `-`, `_` and `.`.",
    },
    Key {
        name: "signing_key",
        kind: Kind::Text,
        need: Need::Required("\"connector-tls\""),
        doc: "Label of the key on the token (`key generate-signing` makes it): EC on P-256 or P-384, or RSA. No other part of the configuration may name it.",
    },
    Key {
        name: "common_name",
        kind: Kind::Text,
        need: Need::Required("\"connector-1\""),
        doc: "The common name of the certificates that are asked for with it: for a gateway, the connector's `instance`. 1 to 64 letters, digits, `-`, `_` and `.`.",
    },
    Key {
        name: "uids",
        kind: Kind::UserIds,
        need: Need::Default("[]"),
        doc: "The users that may have it sign, of those whom the engine serves; empty: all of them.",
    },
    Key {
        name: "per_minute",
        kind: Kind::Integer {
            min: 1,
            max: 60_000,
        },
        need: Need::Default("120"),
        doc: "Signatures in a minute at most; further ones are refused with `busy`. Each handshake with a server needs one.",
    },
];
