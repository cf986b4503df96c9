//! Keys of `[connector]`.

use super::connector_ca::{CA, PKCS, REVOCATION};
use super::{Key, Kind, Need, Word};

pub(super) const CONNECTOR: &[Key] = &[
    Key {
        name: "instance",
        kind: Kind::Text,
        need: Need::Required("\"connector-1\""),
        doc: "Name of this instance, unique among the connectors of one gateway.",
    },
    Key {
        name: "gateway",
        kind: Kind::HttpsUrl,
        need: Need::Required("\"https://gateway.example.com:8443\""),
        doc: "The gateway's base URL.",
    },
    Key {
        name: "gateway_ca",
        kind: Kind::Path,
        need: Need::Required("\"/etc/pfx-connector/gateway-ca.pem\""),
        doc: "PEM file with the certificates that the gateway's certificate must chain to.",
    },
    Key {
        name: "certificate",
        kind: Kind::Path,
        need: Need::Usual("\"/etc/pfx-connector/connector.pem\""),
        doc: "PEM file with this connector's certificate chain; with `[connector.identity]` there is none.",
    },
    Key {
        name: "private_key",
        kind: Kind::Path,
        need: Need::Usual("\"/etc/pfx-connector/connector-key.pem\""),
        doc: "PEM file with its private key (PKCS#8); only its owner may read it.",
    },
    Key {
        name: "engine_socket",
        kind: Kind::Path,
        need: Need::Required("\"/run/pfx-connector/engine.sock\""),
        doc: "The engine's unix socket.",
    },
    Key {
        name: "journal",
        kind: Kind::Path,
        need: Need::Required("\"/var/lib/pfx-connector/journal.db\""),
        doc: "The journal (SQLite).",
    },
    Key {
        name: "journal_max_bytes",
        kind: Kind::Integer {
            min: 1_048_576,
            max: 1_099_511_627_776,
        },
        need: Need::Default("268435456"),
        doc: "The journal's size limit in bytes; work is refused rather than the disk filled.",
    },
    Key {
        name: "remember_finished_hours",
        kind: Kind::Integer {
            min: 1,
            max: 87_600,
        },
        need: Need::Default("720"),
        doc: "How long finished requests are remembered, in hours, so that they are never done again.",
    },
    Key {
        name: "control_socket",
        kind: Kind::Path,
        need: Need::Required("\"/run/pfx-connector/control.sock\""),
        doc: "The unix socket for `status` and `events`.",
    },
    Key {
        name: "metrics_listen",
        kind: Kind::LoopbackAddress,
        need: Need::Optional("\"127.0.0.1:9464\""),
        doc: "Loopback address for /healthz and /metrics; none when left out.",
    },
    Key {
        name: "concurrency",
        kind: Kind::Integer { min: 1, max: 1_024 },
        need: Need::Default("16"),
        doc: "Requests in flight at once.",
    },
    Key {
        name: "wait_ms",
        kind: Kind::Integer {
            min: 0,
            max: 60_000,
        },
        need: Need::Default("25000"),
        doc: "How long the gateway may hold a poll while there is no work, in milliseconds; 0: it cannot, poll every `poll_ms` instead.",
    },
    Key {
        name: "poll_ms",
        kind: Kind::Integer {
            min: 100,
            max: 3_600_000,
        },
        need: Need::Default("30000"),
        doc: "Pause between polls where the service has no long poll, in milliseconds.",
    },
    Key {
        name: "http_timeout_ms",
        kind: Kind::Integer {
            min: 100,
            max: 600_000,
        },
        need: Need::Default("30000"),
        doc: "Deadline of one request to the gateway beyond the long poll, in milliseconds.",
    },
    Key {
        name: "engine_timeout_ms",
        kind: Kind::Integer {
            min: 100,
            max: 600_000,
        },
        need: Need::Default("30000"),
        doc: "Deadline of one request to the engine, in milliseconds: more than twice `engine.restart.call_limit_ms` and 5000.",
    },
    Key {
        name: "drain_ms",
        kind: Kind::Integer {
            min: 0,
            max: 600_000,
        },
        need: Need::Default("30000"),
        doc: "How long a stop waits for what is in flight, in milliseconds.",
    },
    Key {
        name: "retry",
        kind: Kind::Table(RETRY),
        need: Need::Default(""),
        doc: "How hard to try: pauses double from `base_ms` to `max_ms`, each shortened by a random part.",
    },
    Key {
        name: "proxy",
        kind: Kind::Table(PROXY),
        need: Need::Optional(""),
        doc: "An explicit proxy; the environment's proxy variables are not read.",
    },
    Key {
        name: "log",
        kind: Kind::Table(LOG),
        need: Need::Required(""),
        doc: "The event log.",
    },
    Key {
        name: "identity",
        kind: Kind::Table(IDENTITY),
        need: Need::Optional(""),
        doc: "A certificate that the connector enrols for by a one-time token (`enroll`) and renews by itself, its key on the engine's token, instead of `certificate` and `private_key` (docs/identity.md). TLS 1.3 alone.",
    },
    Key {
        name: "pkcs",
        kind: Kind::Table(PKCS),
        need: Need::Optional(""),
        doc: "Certificates on request (docs/pkcs-requests.md); without it the connector takes no such requests.",
    },
    Key {
        name: "revocation",
        kind: Kind::Table(REVOCATION),
        need: Need::Optional(""),
        doc: "The connector's own brake against mass revocation (docs/revocation.md); without it the defaults are in force. A connector with authorities revokes, also without `[connector.pkcs]`.",
    },
    Key {
        name: "ca",
        kind: Kind::Tables(CA),
        need: Need::Optional(""),
        doc: "The authorities that issue and revoke, one table for each.",
    },
];

const IDENTITY: &[Key] = &[
    Key {
        name: "client_key",
        kind: Kind::Text,
        need: Need::Required("\"gateway\""),
        doc: "The key's name in the engine's `[[engine.client_keys]]`; the common name there is this `instance`.",
    },
    Key {
        name: "folder",
        kind: Kind::Path,
        need: Need::Required("\"/var/lib/pfx-connector/identity\""),
        doc: "The folder of the certificate, and of what a renewal has to remember. Nothing in it is secret; only the connector's user may write to it.",
    },
];

const RETRY: &[Key] = &[
    Key {
        name: "base_ms",
        kind: Kind::Integer {
            min: 1,
            max: 600_000,
        },
        need: Need::Default("200"),
        doc: "First pause in milliseconds.",
    },
    Key {
        name: "max_ms",
        kind: Kind::Integer {
            min: 1,
            max: 3_600_000,
        },
        need: Need::Default("30000"),
        doc: "Longest pause in milliseconds.",
    },
    Key {
        name: "max_attempts",
        kind: Kind::Integer { min: 1, max: 1_000 },
        need: Need::Default("8"),
        doc: "Attempts at one request that failed while engine and token were well, counted over restarts, before it is parked with a final failure.",
    },
];

const PROXY: &[Key] = &[
    Key {
        name: "url",
        kind: Kind::ProxyUrl,
        need: Need::Required("\"http://proxy.example.com:3128\""),
        doc: "The proxy.",
    },
    Key {
        name: "username",
        kind: Kind::Text,
        need: Need::Optional("\"pfx-connector\""),
        doc: "User name, when the proxy wants one.",
    },
    Key {
        name: "password_file",
        kind: Kind::Path,
        need: Need::Optional("\"/etc/pfx-connector/proxy-password\""),
        doc: "File with the password; only its owner may read it.",
    },
];

const FORMS: &[Word] = &[
    Word {
        name: "human",
        doc: "A line for people.",
    },
    Word {
        name: "json",
        doc: "One JSON object a line, as in the files.",
    },
    Word {
        name: "off",
        doc: "Not at all.",
    },
];

const LOG: &[Key] = &[
    Key {
        name: "directory",
        kind: Kind::Path,
        need: Need::Required("\"/var/log/pfx-connector\""),
        doc: "Folder of the logs.",
    },
    Key {
        name: "console",
        kind: Kind::Word(FORMS),
        need: Need::Default("\"human\""),
        doc: "How events are printed to standard error besides.",
    },
    Key {
        name: "rotate_bytes",
        kind: Kind::Integer {
            min: 65_536,
            max: 17_179_869_184,
        },
        need: Need::Default("52428800"),
        doc: "A log file is archived when it reaches this size in bytes.",
    },
    Key {
        name: "archives_max_bytes",
        kind: Kind::Integer {
            min: 65_536,
            max: 1_099_511_627_776,
        },
        need: Need::Default("1073741824"),
        doc: "All archives together stay below this size in bytes; the oldest go first, with an event.",
    },
    Key {
        name: "debug",
        kind: Kind::Boolean,
        need: Need::Default("false"),
        doc: "Whether the Debug log is written.",
    },
];
