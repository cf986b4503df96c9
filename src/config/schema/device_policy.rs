//! Keys of `[engine.device_policy]`.

use super::{Key, Kind, Need, Word};

const KEY_KINDS: &[Word] = &[
    Word {
        name: "rsa",
        doc: "RSA.",
    },
    Word {
        name: "ec-p256",
        doc: "EC on P-256.",
    },
    Word {
        name: "ec-p384",
        doc: "EC on P-384.",
    },
    Word {
        name: "ec-p521",
        doc: "EC on P-521.",
    },
];

const REVOCATION: &[Word] = &[
    Word {
        name: "require",
        doc: "The device is refused: a list that is missing or out of date stops deliveries under its authority.",
    },
    Word {
        name: "prefer",
        doc: "The device is accepted, with a warning in the log. A certificate that a list names is refused all the same.",
    },
];

pub(super) const DEVICE_POLICY: &[Key] = &[
    Key {
        name: "minimum_rsa_bits",
        kind: Kind::Integer {
            min: 2048,
            max: 8192,
        },
        need: Need::Default("2048"),
        doc: "Smallest RSA key of a device, in bits.",
    },
    Key {
        name: "keys",
        kind: Kind::Words(KEY_KINDS),
        need: Need::Default("[\"rsa\", \"ec-p256\", \"ec-p384\", \"ec-p521\"]"),
        doc: "Kinds of key that passwords are encrypted to.",
    },
    Key {
        name: "require_key_usage",
        kind: Kind::Boolean,
        need: Need::Default("false"),
        doc: "`true` refuses device certificates that do not say what their key is for (extension keyUsage). What one says is honoured in any case.",
    },
    Key {
        name: "crls",
        kind: Kind::Paths,
        need: Need::Optional("[\"/var/lib/pfx-connector/device-ca.crl\"]"),
        doc: "Files with the revocation lists of the devices' authorities, in DER or PEM, 32 MiB each at most. They are read again when they change. With any of them, every certificate of a device's path (its anchor aside) is looked up in the list of its issuer, whose signature is verified. Full lists only: delta lists, indirect ones, and those for one distribution point or for some reasons are refused.",
    },
    Key {
        name: "revocation",
        kind: Kind::Word(REVOCATION),
        need: Need::Default("\"require\""),
        doc: "What is done, where `crls` names any, about a certificate whose issuer has no current list among them.",
    },
];
