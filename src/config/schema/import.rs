//! Keys of `[import]`.

use super::engine::TOKEN;
use super::{Key, Kind, Need, Word};

const PADDINGS: &[Word] = &[
    Word {
        name: "oaepSha512",
        doc: "RSAES-OAEP with SHA-512: what Intune's own import tool takes.",
    },
    Word {
        name: "oaepSha384",
        doc: "RSAES-OAEP with SHA-384.",
    },
    Word {
        name: "oaepSha256",
        doc: "RSAES-OAEP with SHA-256.",
    },
    Word {
        name: "oaepSha1",
        doc: "RSAES-OAEP with SHA-1, for tokens that do nothing else natively (SoftHSM 2.6); Intune refuses it.",
    },
];

pub(super) const IMPORT: &[Key] = &[
    Key {
        name: "gateway",
        kind: Kind::HttpsUrl,
        need: Need::Required("\"https://gateway.example.com:8443\""),
        doc: "The gateway's base URL.",
    },
    Key {
        name: "gateway_ca",
        kind: Kind::Path,
        need: Need::Required("\"/etc/pfx-import/gateway-ca.pem\""),
        doc: "PEM file with the certificates that the gateway's certificate must chain to.",
    },
    Key {
        name: "token_file",
        kind: Kind::Path,
        need: Need::Required("\"/etc/pfx-import/bearer-token\""),
        doc: "File with the bearer token; only its owner may read it.",
    },
    Key {
        name: "custody_public_key",
        kind: Kind::Path,
        need: Need::Required("\"/etc/pfx-import/custody-public.pem\""),
        doc: "The custody key's public half, as `key export-public` wrote it (PEM or RSAPUBLICBLOB). Never taken from the service.",
    },
    Key {
        name: "custody_fingerprint",
        kind: Kind::Sha256Hex,
        need: Need::Required(
            "\"0000000000000000000000000000000000000000000000000000000000000000\"",
        ),
        doc: "SHA-256 of its SubjectPublicKeyInfo in hexadecimal, from another source than the file: `key show` on the connector host tells it.",
    },
    Key {
        name: "key_name",
        kind: Kind::Text,
        need: Need::Required("\"pfx-custody-1\""),
        doc: "Name of the custody key (its label), stored with the record.",
    },
    Key {
        name: "provider_name",
        kind: Kind::Text,
        need: Need::Default("\"pkcs11\""),
        doc: "Provider, stored with the record.",
    },
    Key {
        name: "padding",
        kind: Kind::Word(PADDINGS),
        need: Need::Usual("\"oaepSha512\""),
        doc: "How passwords are encrypted: what `key show` names as the best that the token does natively. Left out, `import add` asks the token of [import.token], if the custody key is on it.",
    },
    Key {
        name: "signing_key",
        kind: Kind::Path,
        need: Need::Usual("\"/etc/pfx-import/signer-key.pem\""),
        doc: "PEM file with the importer's private key (PKCS#8), which signs the records; only its owner may read it. `import signer` makes one.",
    },
    Key {
        name: "token",
        kind: Kind::Table(TOKEN),
        need: Need::Optional(""),
        doc: "A token that does the RSA encryption (C_Encrypt with the public key); without it the cryptographic module does it.",
    },
];
