//! Keys of `[connector.pkcs]` and `[[connector.ca]]`.

use super::{Key, Kind, Need, Word};

pub(super) const PKCS: &[Key] = &[
    Key {
        name: "policy",
        kind: Kind::Path,
        need: Need::Required("\"/etc/pfx-connector/issuance.toml\""),
        doc: "The issuance policy: what may be issued, deny by default (docs/pkcs-requests.md; `policy lint` warns of over-broad rules). Nobody but its owner may write it.",
    },
    Key {
        name: "concurrency",
        kind: Kind::Integer { min: 1, max: 1_024 },
        need: Need::Default("8"),
        doc: "Requests for certificates in hand at once; those that an authority has not decided yet wait at the gateway and do not count.",
    },
];

pub(super) const REVOCATION: &[Key] = &[
    Key {
        name: "per_hour",
        kind: Kind::Integer {
            min: 0,
            max: 1_000_000,
        },
        need: Need::Default("200"),
        doc: "Certificates that are revoked within an hour; more are given back until `revocation release` on this host allows them, or time has passed.",
    },
    Key {
        name: "per_day",
        kind: Kind::Integer {
            min: 0,
            max: 1_000_000,
        },
        need: Need::Default("1000"),
        doc: "The same within 24 hours.",
    },
    Key {
        name: "concurrency",
        kind: Kind::Integer { min: 1, max: 256 },
        need: Need::Default("4"),
        doc: "Revocations in hand at once.",
    },
];

const KINDS: &[Word] = &[
    Word {
        name: "cmp",
        doc: "CMP (RFC 9810 in the profile of RFC 9483): issues, pends, recovers lost orders, revokes.",
    },
    Word {
        name: "est",
        doc: "EST (RFC 7030, RFC 8951): issues and pends; cannot say what became of a lost order, and revokes nothing.",
    },
    Word {
        name: "adcs",
        doc: "Microsoft's enrolment web services (MS-XCEP, MS-WSTEP): issues and pends; cannot say what became of a lost order, and revokes by `revoke_command` alone. Built to the published protocols; no Microsoft authority was asked.",
    },
    Word {
        name: "local",
        doc: "The `[[local_ca]]` of the same name, whose key is on the engine's token: issues, recovers lost orders, revokes. Its engine has to name the exception `co-located-ca`.",
    },
];

const MACS: &[Word] = &[
    Word {
        name: "hmac",
        doc: "HMAC with SHA-256: approved, with a secret of 112 bits or more.",
    },
    Word {
        name: "pbmac1",
        doc: "PBMAC1: in strict mode it needs the exception `cmp-shared-secret`.",
    },
    Word {
        name: "password-based-mac",
        doc: "PasswordBasedMac of older authorities: in strict mode it needs the exception `cmp-shared-secret`.",
    },
];

const UNKNOWN: &[Word] = &[
    Word {
        name: "fail",
        doc: "The request fails for good and names the order: somebody looks at the authority, revokes what is there, and asks anew.",
    },
    Word {
        name: "ask-again",
        doc: "It is asked for again: there may be two certificates of one key, of which one is delivered.",
    },
];

pub(super) const CA: &[Key] = &[
    Key {
        name: "name",
        kind: Kind::Text,
        need: Need::Required("\"company\""),
        doc: "Its name: in the gateway's profiles, in the issuance policy, and for its orders. Another name makes every order another one.",
    },
    Key {
        name: "kind",
        kind: Kind::Word(KINDS),
        need: Need::Required("\"cmp\""),
        doc: "How it is spoken to.",
    },
    Key {
        name: "url",
        kind: Kind::Text,
        need: Need::Usual("\"https://ca.example.com/.well-known/cmp\""),
        doc: "Where it listens. `cmp` may be spoken over plain http: its messages protect themselves.",
    },
    Key {
        name: "roots",
        kind: Kind::Path,
        need: Need::Required("\"/etc/pfx-connector/company-root.pem\""),
        doc: "PEM file with the certificates that everything it issues has to chain to; what does not is refused and revoked.",
    },
    Key {
        name: "intermediates",
        kind: Kind::Path,
        need: Need::Optional("\"/etc/pfx-connector/company-issuing.pem\""),
        doc: "PEM file with certificates that may lie between, where the authority does not send them.",
    },
    Key {
        name: "server_ca",
        kind: Kind::Path,
        need: Need::Optional("\"/etc/pfx-connector/company-tls.pem\""),
        doc: "PEM file with the certificates that its server's certificate must chain to, for https.",
    },
    Key {
        name: "certificate",
        kind: Kind::Path,
        need: Need::Optional("\"/etc/pfx-connector/ra.pem\""),
        doc: "PEM file with the connector's certificate for this authority, and its chain: `cmp` signs its messages with it.",
    },
    Key {
        name: "private_key",
        kind: Kind::Path,
        need: Need::Optional("\"/etc/pfx-connector/ra-key.pem\""),
        doc: "PEM file with its private key (PKCS#8); only its owner may read it.",
    },
    Key {
        name: "client_key",
        kind: Kind::Text,
        need: Need::Optional("\"company\""),
        doc: "`est` and `adcs`, instead of `private_key`: the key's name in `[[engine.client_keys]]` of the connector's engine, whose token has it. TLS 1.3 alone.",
    },
    Key {
        name: "signers",
        kind: Kind::Path,
        need: Need::Optional("\"/etc/pfx-connector/company-root.pem\""),
        doc: "`cmp` with a certificate: PEM file with the authorities whose signatures of answers are believed; `roots` when left out.",
    },
    Key {
        name: "reference",
        kind: Kind::Text,
        need: Need::Optional("\"connector-1\""),
        doc: "`cmp` with a shared secret: what the authority knows it by.",
    },
    Key {
        name: "secret_file",
        kind: Kind::Path,
        need: Need::Optional("\"/etc/pfx-connector/cmp-secret\""),
        doc: "`cmp` with a shared secret: file with it; only its owner may read it.",
    },
    Key {
        name: "mac",
        kind: Kind::Word(MACS),
        need: Need::Default("\"hmac\""),
        doc: "`cmp` with a shared secret: how messages are protected with it.",
    },
    Key {
        name: "username",
        kind: Kind::Text,
        need: Need::Optional("\"connector\""),
        doc: "`est`, `adcs`: user name, where the authority wants one.",
    },
    Key {
        name: "password_file",
        kind: Kind::Path,
        need: Need::Optional("\"/etc/pfx-connector/ca-password\""),
        doc: "`est`, `adcs`: file with the password; only its owner may read it.",
    },
    Key {
        name: "profile",
        kind: Kind::Text,
        need: Need::Optional("\"smime\""),
        doc: "`est`: the label, `adcs`: the template, of requests that name no profile of the authority. `local` has its own in `[[local_ca]]`.",
    },
    Key {
        name: "policy_url",
        kind: Kind::Text,
        need: Need::Optional(
            "\"https://ca.example.com/ADPolicyProvider_CEP_UsernamePassword/service.svc/CEP\"",
        ),
        doc: "`adcs`: where the policy service (CEP) listens, for the health of the authority.",
    },
    Key {
        name: "issuers",
        kind: Kind::Path,
        need: Need::Optional("\"/etc/pfx-connector/company-issuing.pem\""),
        doc: "PEM file with the certificates that it issues with: what was issued under their names is revoked by it. Left out: `intermediates`, without those `roots`; `local` has its own certificate in `[[local_ca]]`.",
    },
    Key {
        name: "revoke_command",
        kind: Kind::Texts,
        need: Need::Optional(
            "[\"/usr/local/libexec/revoke\", \"{serial}\", \"{issuer}\", \"{reason}\"]",
        ),
        doc: "`adcs`: the program that revokes, which the protocols cannot, by its absolute path, and its arguments (docs/adcs.md).",
    },
    Key {
        name: "concurrency",
        kind: Kind::Integer { min: 1, max: 256 },
        need: Need::Default("4"),
        doc: "Orders at once.",
    },
    Key {
        name: "timeout_ms",
        kind: Kind::Integer {
            min: 1_000,
            max: 600_000,
        },
        need: Need::Default("60000"),
        doc: "Deadline of one call, in milliseconds.",
    },
    Key {
        name: "pause_ms",
        kind: Kind::Integer {
            min: 10,
            max: 3_600_000,
        },
        need: Need::Default("5000"),
        doc: "First pause after a failed attempt, in milliseconds; doubled with each failure.",
    },
    Key {
        name: "longest_pause_ms",
        kind: Kind::Integer {
            min: 10,
            max: 86_400_000,
        },
        need: Need::Default("600000"),
        doc: "Longest such pause, in milliseconds.",
    },
    Key {
        name: "patience_hours",
        kind: Kind::Integer { min: 1, max: 8_760 },
        need: Need::Default("72"),
        doc: "How long an authority that does not answer is asked again, in hours, before the request fails for good.",
    },
    Key {
        name: "pending_hours",
        kind: Kind::Integer { min: 1, max: 8_760 },
        need: Need::Default("720"),
        doc: "How long an order may stay undecided at the authority, in hours, before the request fails for good.",
    },
    Key {
        name: "when_unknown",
        kind: Kind::Word(UNKNOWN),
        need: Need::Default("\"fail\""),
        doc: "What to do with an order whose answer was lost, where the authority cannot tell what became of it.",
    },
];
