//! Keys of `[[local_ca]]`.

use super::{Key, Kind, Need};

pub(super) const LOCAL_CA: &[Key] = &[
    Key {
        name: "name",
        kind: Kind::Text,
        need: Need::Required("\"issuing\""),
        doc: "Its name: the one of `[[engine.ca]]`.",
    },
    Key {
        name: "engine_socket",
        kind: Kind::Path,
        need: Need::Required("\"/run/pfx-connector/engine.sock\""),
        doc: "The engine's socket.",
    },
    Key {
        name: "certificate",
        kind: Kind::Path,
        need: Need::Required("\"/etc/pfx-connector/ca-issuing.pem\""),
        doc: "PEM file with its certificate first, and those above it after it.",
    },
    Key {
        name: "folder",
        kind: Kind::Path,
        need: Need::Required("\"/var/lib/pfx-connector/ca-issuing\""),
        doc: "Folder of its store: orders, serial numbers, revocations, numbers of lists. Made where it is not there, for its user alone (mode 0700). Back it up: what was revoked is known from it alone.",
    },
    Key {
        name: "publish",
        kind: Kind::Path,
        need: Need::Optional("\"/srv/pki\""),
        doc: "Folder that NAME.crl, NAME-delta.crl and NAME.cer are published to, each replaced at once.",
    },
    Key {
        name: "listen",
        kind: Kind::Address,
        need: Need::Optional("\"127.0.0.1:8480\""),
        doc: "Where `ca serve` answers over HTTP: /NAME.crl, /NAME-delta.crl, /NAME.cer, and OCSP under /ocsp. All of it is signed, so that plain HTTP is what verifiers expect.",
    },
    Key {
        name: "profile",
        kind: Kind::Text,
        need: Need::Optional("\"mail-signing\""),
        doc: "The profile of orders that name none.",
    },
];
