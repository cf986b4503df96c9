//! Keys of `[gateway]`.

use super::connector_ca::CA;
use super::{Key, Kind, Need};

pub(super) const GATEWAY: &[Key] = &[
    Key {
        name: "listen",
        kind: Kind::Address,
        need: Need::Required("\"0.0.0.0:8443\""),
        doc: "Address to listen on; port 0 takes a free one, which `ready_file` then tells.",
    },
    Key {
        name: "certificate",
        kind: Kind::Path,
        need: Need::Required("\"/etc/pfx-gateway/gateway.pem\""),
        doc: "PEM file with the gateway's certificate chain.",
    },
    Key {
        name: "private_key",
        kind: Kind::Path,
        need: Need::Required("\"/etc/pfx-gateway/gateway-key.pem\""),
        doc: "PEM file with its private key (PKCS#8); only its owner may read it.",
    },
    Key {
        name: "connector_ca",
        kind: Kind::Path,
        need: Need::Required("\"/etc/pfx-gateway/connector-ca.pem\""),
        doc: "PEM file with the certificates that connectors' certificates must chain to.",
    },
    Key {
        name: "database",
        kind: Kind::Path,
        need: Need::Required("\"/var/lib/pfx-gateway/gateway.db\""),
        doc: "The database (SQLite).",
    },
    Key {
        name: "ready_file",
        kind: Kind::Path,
        need: Need::Optional("\"/run/pfx-gateway/ready\""),
        doc: "File that the address is written to once it listens.",
    },
    Key {
        name: "metrics_listen",
        kind: Kind::LoopbackAddress,
        need: Need::Optional("\"127.0.0.1:9465\""),
        doc: "Loopback address for /healthz and /metrics, which need no token there; none when left out.",
    },
    Key {
        name: "lease_ms",
        kind: Kind::Integer {
            min: 100,
            max: 3_600_000,
        },
        need: Need::Default("60000"),
        doc: "How long a lease lasts, in milliseconds.",
    },
    Key {
        name: "max_leases",
        kind: Kind::Integer {
            min: 1,
            max: 10_000,
        },
        need: Need::Default("100"),
        doc: "Leases of one request before it has failed for good: the last resort for one that ends every connector that takes it.",
    },
    Key {
        name: "max_body_bytes",
        kind: Kind::Integer {
            min: 65_536,
            max: 67_108_864,
        },
        need: Need::Default("4194304"),
        doc: "The largest body accepted, in bytes.",
    },
    Key {
        name: "max_queued",
        kind: Kind::Integer {
            min: 1,
            max: 10_000_000,
        },
        need: Need::Default("100000"),
        doc: "Requests that may wait at once; further device requests are refused with 429.",
    },
    Key {
        name: "unserved_hours",
        kind: Kind::Integer { min: 1, max: 8_760 },
        need: Need::Default("72"),
        doc: "How long a request for a certificate waits whose authority no connector has, in hours, before it fails for good; while no connector asks for such work at all, nothing fails.",
    },
    Key {
        name: "pkcs1_records",
        kind: Kind::Boolean,
        need: Need::Default("false"),
        doc: "Whether records of old imports are taken, whose padding is `pkcs1` (RSA PKCS#1 v1.5). Only an engine with a key in `engine.pkcs1_keys` decrypts them.",
    },
    Key {
        name: "revocation",
        kind: Kind::Table(REVOCATION),
        need: Need::Default(""),
        doc: "The brake against mass revocation (docs/revocation.md): what is above a threshold is held until an administrator releases it.",
    },
    Key {
        name: "enrolment",
        kind: Kind::Table(ENROLMENT),
        need: Need::Optional(""),
        doc: "Lets connectors enrol by one-time tokens (`gateway token create --role enrolment`) and renew their certificates (docs/identity.md). Without it their certificates are made elsewhere.",
    },
    Key {
        name: "retention",
        kind: Kind::Table(RETENTION),
        need: Need::Default(""),
        doc: "What is deleted when; really deleted, overwritten in the database file.",
    },
    Key {
        name: "limits",
        kind: Kind::Table(LIMITS),
        need: Need::Default(""),
        doc: "What one client may take of the service.",
    },
];

const REVOCATION: &[Key] = &[
    Key {
        name: "per_hour",
        kind: Kind::Integer {
            min: 0,
            max: 1_000_000,
        },
        need: Need::Default("200"),
        doc: "Revocations that are queued within an hour without being held; 0: each one is held.",
    },
    Key {
        name: "per_token_per_hour",
        kind: Kind::Integer {
            min: 0,
            max: 1_000_000,
        },
        need: Need::Default("100"),
        doc: "The same of one token.",
    },
    Key {
        name: "unserved_hours",
        kind: Kind::Integer { min: 1, max: 8_760 },
        need: Need::Default("24"),
        doc: "How long a revocation of an issuer that no connector has an authority for waits, in hours, before it fails for good.",
    },
];

const ENROLMENT: &[Key] = &[
    Key {
        name: "max_days",
        kind: Kind::Integer { min: 1, max: 3_650 },
        need: Need::Default("398"),
        doc: "The longest validity of a connector's certificate, in days; a longer one is refused and revoked. How long it is, the authority's profile says.",
    },
    Key {
        name: "old_minutes",
        kind: Kind::Integer { min: 1, max: 1_440 },
        need: Need::Default("5"),
        doc: "For how long a certificate that was renewed is still accepted after the new one was first used, in minutes: calls that began with it are finished meanwhile.",
    },
    Key {
        name: "ca",
        kind: Kind::Table(CA),
        need: Need::Required(""),
        doc: "The authority that issues them, with the same keys as `[[connector.ca]]`. Its `roots` are in `gateway.connector_ca` too. `local` needs its `[[local_ca]]` in this file, and an engine on this host.",
    },
];

const RETENTION: &[Key] = &[
    Key {
        name: "results_hours",
        kind: Kind::Integer {
            min: 1,
            max: 87_600,
        },
        need: Need::Default("168"),
        doc: "Results and failed requests, this many hours after they were settled.",
    },
    Key {
        name: "records_days",
        kind: Kind::Integer {
            min: 0,
            max: 36_500,
        },
        need: Need::Default("365"),
        doc: "Records, this many days after their certificate expired.",
    },
    Key {
        name: "audit_days",
        kind: Kind::Integer {
            min: 1,
            max: 36_500,
        },
        need: Need::Default("730"),
        doc: "The administrators' audit trail, in days.",
    },
];

const LIMITS: &[Key] = &[
    Key {
        name: "connections",
        kind: Kind::Integer {
            min: 1,
            max: 1_000_000,
        },
        need: Need::Default("1024"),
        doc: "Connections at once; further ones wait.",
    },
    Key {
        name: "handshake_ms",
        kind: Kind::Integer {
            min: 100,
            max: 600_000,
        },
        need: Need::Default("10000"),
        doc: "A TLS handshake that takes longer is cut, in milliseconds.",
    },
    Key {
        name: "header_ms",
        kind: Kind::Integer {
            min: 100,
            max: 600_000,
        },
        need: Need::Default("10000"),
        doc: "Headers that take longer are cut, in milliseconds.",
    },
    Key {
        name: "body_ms",
        kind: Kind::Integer {
            min: 100,
            max: 600_000,
        },
        need: Need::Default("30000"),
        doc: "A body that takes longer is refused, in milliseconds.",
    },
    Key {
        name: "idle_ms",
        kind: Kind::Integer {
            min: 1_000,
            max: 3_600_000,
        },
        need: Need::Default("120000"),
        doc: "A connection without a request for this long is closed, in milliseconds.",
    },
    Key {
        name: "drain_ms",
        kind: Kind::Integer {
            min: 0,
            max: 600_000,
        },
        need: Need::Default("10000"),
        doc: "How long a stop waits for requests in flight, in milliseconds.",
    },
];
