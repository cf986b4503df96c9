//! Keys of `[[engine.ca]]`.

use super::{Key, Kind, Need, Word};

const PURPOSES: &[Word] = &[
    Word {
        name: "smime-signing",
        doc: "Signatures of mail: digitalSignature, emailProtection. An e-mail address as alternative name is required.",
    },
    Word {
        name: "smime-encryption",
        doc: "Encryption of mail: keyEncipherment (RSA) or keyAgreement (EC), emailProtection. An e-mail address is required.",
    },
    Word {
        name: "client-authentication",
        doc: "TLS clients: digitalSignature, clientAuth.",
    },
    Word {
        name: "subordinate-authority",
        doc: "Authorities beneath this one. Only the engine's own user may ask for such a certificate.",
    },
];

const KEYS: &[Word] = &[
    Word {
        name: "rsa-2048",
        doc: "RSA with 2048 bits.",
    },
    Word {
        name: "rsa-3072",
        doc: "RSA with 3072 bits.",
    },
    Word {
        name: "rsa-4096",
        doc: "RSA with 4096 bits.",
    },
    Word {
        name: "p-256",
        doc: "EC on P-256.",
    },
    Word {
        name: "p-384",
        doc: "EC on P-384.",
    },
    Word {
        name: "p-521",
        doc: "EC on P-521.",
    },
];

const NAMES: &[Word] = &[
    Word {
        name: "email",
        doc: "E-mail addresses (rfc822Name).",
    },
    Word {
        name: "upn",
        doc: "User principal names.",
    },
    Word {
        name: "dns",
        doc: "DNS names, without a star.",
    },
    Word {
        name: "uri",
        doc: "URIs, those with a SID aside.",
    },
    Word {
        name: "sid",
        doc: "SIDs, in Microsoft's URI or extension. Domain controllers take them for proof: whoever may ask for one may ask for anybody's.",
    },
];

macro_rules! subject_words {
    ($($name:literal: $doc:literal,)+) => { &[$(Word { name: $name, doc: $doc },)+] };
}

const SUBJECT: &[Word] = subject_words! {
    "common-name": "commonName.",
    "email-address": "emailAddress; it has to be one of the alternative names.",
    "given-name": "givenName.",
    "surname": "surname.",
    "serial-number": "serialNumber.",
    "organization": "organizationName.",
    "organizational-unit": "organizationalUnitName.",
    "locality": "localityName.",
    "state": "stateOrProvinceName.",
    "country": "countryName.",
    "domain-component": "domainComponent.",
    "user-id": "userId.",
};

const PROFILES: &[Key] = &[
    Key {
        name: "name",
        kind: Kind::Text,
        need: Need::Required("\"mail-signing\""),
        doc: "Its name in orders.",
    },
    Key {
        name: "purpose",
        kind: Kind::Word(PURPOSES),
        need: Need::Required("\"smime-signing\""),
        doc: "What its certificates are for: their usages follow from it.",
    },
    Key {
        name: "days",
        kind: Kind::Integer { min: 1, max: 7_300 },
        need: Need::Default("365"),
        doc: "Days that they are valid, and never beyond the end of the authority's own certificate.",
    },
    Key {
        name: "keys",
        kind: Kind::Words(KEYS),
        need: Need::Default(
            "[\"rsa-2048\", \"rsa-3072\", \"rsa-4096\", \"p-256\", \"p-384\", \"p-521\"]",
        ),
        doc: "The keys that are certified.",
    },
    Key {
        name: "names",
        kind: Kind::Words(NAMES),
        need: Need::Default("[\"email\"]"),
        doc: "The alternative names that may be asked for.",
    },
    Key {
        name: "domains",
        kind: Kind::Texts,
        need: Need::Usual("[\"example.com\"]"),
        doc: "The domains that e-mail addresses, user principal names and DNS names have to be in: `example.com` is that one alone, `.example.com` everything beneath it. None at all: any. Of a `subordinate-authority` they are its name constraints.",
    },
    Key {
        name: "subject",
        kind: Kind::Words(SUBJECT),
        need: Need::Default("[\"common-name\", \"email-address\"]"),
        doc: "What a subject may be made of.",
    },
    Key {
        name: "policies",
        kind: Kind::Texts,
        need: Need::Optional("[\"2.23.140.1.5.1.2\"]"),
        doc: "Object identifiers of the certificate policies that are stated. Those of the CA/Browser Forum (the example: mailbox-validated, multipurpose) are for authorities that follow its requirements.",
    },
    Key {
        name: "path_length",
        kind: Kind::Integer { min: 0, max: 9 },
        need: Need::Default("0"),
        doc: "Of an authority: how many authorities may stand beneath it.",
    },
];

pub(super) const CA: &[Key] = &[
    Key {
        name: "name",
        kind: Kind::Text,
        need: Need::Required("\"issuing\""),
        doc: "Its name in requests, receipts and status: 1 to 32 letters, digits, `-`, `_` and `.`.",
    },
    Key {
        name: "signing_key",
        kind: Kind::Text,
        need: Need::Required("\"ca-issuing\""),
        doc: "Label of its key on the token (`ca create` makes it).",
    },
    Key {
        name: "certificate",
        kind: Kind::Path,
        need: Need::Required("\"/etc/pfx-connector/ca-issuing.pem\""),
        doc: "PEM file with its certificate first, and those above it after it.",
    },
    Key {
        name: "crl_url",
        kind: Kind::Text,
        need: Need::Optional("\"http://pki.example.com/issuing.crl\""),
        doc: "URL (http://) of its revocation list, which certificates and lists name.",
    },
    Key {
        name: "delta_crl_url",
        kind: Kind::Text,
        need: Need::Optional("\"http://pki.example.com/issuing-delta.crl\""),
        doc: "URL (http://) of the delta of that list. Without it no deltas are made.",
    },
    Key {
        name: "ocsp_url",
        kind: Kind::Text,
        need: Need::Optional("\"http://pki.example.com/ocsp\""),
        doc: "URL (http://) of its OCSP responder.",
    },
    Key {
        name: "issuer_url",
        kind: Kind::Text,
        need: Need::Optional("\"http://pki.example.com/issuing.cer\""),
        doc: "URL (http://) of its certificate.",
    },
    Key {
        name: "crl_hours",
        kind: Kind::Integer { min: 1, max: 8_760 },
        need: Need::Default("168"),
        doc: "Hours until the next full list at the latest (nextUpdate). A new one is made at half of that, and at once after a revocation.",
    },
    Key {
        name: "delta_crl_hours",
        kind: Kind::Integer { min: 1, max: 8_760 },
        need: Need::Default("24"),
        doc: "The same of deltas.",
    },
    Key {
        name: "ocsp_key",
        kind: Kind::Text,
        need: Need::Optional("\"ca-issuing-ocsp\""),
        doc: "Label of the key of its OCSP responder on the token. The engine gives it a certificate for fourteen days, and a new one after seven.",
    },
    Key {
        name: "ocsp_hours",
        kind: Kind::Integer { min: 1, max: 720 },
        need: Need::Default("24"),
        doc: "Hours that an OCSP answer holds (nextUpdate).",
    },
    Key {
        name: "ocsp_per_minute",
        kind: Kind::Integer {
            min: 4,
            max: 60_000,
        },
        need: Need::Default("600"),
        doc: "OCSP answers that are signed in a minute at most: each is a signature of the token and an entry of the audit log. A quarter of them is for answers that can be given again (one certificate that is known, no nonce). Above it, those who sent a nonce get such an answer, and others are told to try later.",
    },
    Key {
        name: "profiles",
        kind: Kind::Tables(PROFILES),
        need: Need::Optional(""),
        doc: "What it issues: one table for each kind of certificate. Nothing else is ever signed but lists and OCSP answers, whoever asks.",
    },
];
