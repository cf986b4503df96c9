//! Keys of `[engine]` and of every `token` table.

use super::client_keys::CLIENT_KEY;
use super::device_policy::DEVICE_POLICY;
use super::engine_ca::CA;
use super::pkcs1::PKCS1_KEY;
use super::{Key, Kind, Need, Word};

const EXCEPTIONS: &[Word] = &[
    Word {
        name: "no-device-anchors",
        doc: "Device certificates need not chain to an anchor: whoever controls the service can then have passwords encrypted to a key of their own.",
    },
    Word {
        name: "unsigned-records",
        doc: "Records need no importer's signature (those from Intune have none): whoever controls the service can then mix users, PFX and passwords.",
    },
    Word {
        name: "extractable-keys",
        doc: "Keys that are extractable or not sensitive may be used: for development only.",
    },
    Word {
        name: "cms-des-ede3",
        doc: "The format compatibleDesEde3 (RSA PKCS#1 v1.5 and Triple DES) may be asked for.",
    },
    Word {
        name: "no-receipts",
        doc: "Uses of the key are not recorded: nobody can say afterwards what was decrypted, and a restart forgets what failed.",
    },
    Word {
        name: "co-located-ca",
        doc: "A certification authority's key is used on the connector's own host: whoever takes that host over can have issued what its profiles allow, and hold revocations back.",
    },
];

const SANDBOX: &[Word] = &[
    Word {
        name: "required",
        doc: "The engine does not start on a kernel without Landlock (ABI 2: Linux 5.19) or seccomp.",
    },
    Word {
        name: "available",
        doc: "What the kernel has; every status says what it lacks.",
    },
    Word {
        name: "off",
        doc: "None, as an exception that every status shows.",
    },
];

const SANDBOX_PROFILES: &[Word] = &[
    Word {
        name: "auto",
        doc: "By the name of the module's file; `network` for a module that is not known.",
    },
    Word {
        name: "softhsm",
        doc: "SoftHSM 2: files, no sockets.",
    },
    Word {
        name: "kryoptic",
        doc: "Kryoptic: files, no sockets.",
    },
    Word {
        name: "nss",
        doc: "NSS softoken: files, no sockets, libraries loaded late.",
    },
    Word {
        name: "opencryptoki",
        doc: "openCryptoki: its daemon's unix socket, shared memory, libraries loaded late.",
    },
    Word {
        name: "tpm2",
        doc: "tpm2-pkcs11: the TPM's device or resource manager, libraries loaded late.",
    },
    Word {
        name: "network",
        doc: "The client of an HSM in the network: sockets, names of hosts, files below /etc and /opt read, libraries loaded late.",
    },
];

const DELIVERIES: &[Word] = &[
    Word {
        name: "password",
        doc: "The stored PFX as it is, and its password encrypted to the device. The engine does not open the PFX.",
    },
    Word {
        name: "rewrap",
        doc: "A new PFX with the same key and certificate under a fresh password, both encrypted to the device.",
    },
    Word {
        name: "apple-profile",
        doc: "One configuration profile for Apple's systems with all of the user's certificates, its content encrypted to the device.",
    },
];

const PFX: &[Key] = &[
    Key {
        name: "form",
        kind: Kind::Word(&[
            Word {
                name: "approved",
                doc: "PBES2 with AES-256, PBKDF2-HMAC-SHA-256 and PBMAC1 (RFC 9579): approved algorithms alone. Readers from before 2024, and Apple's and Microsoft's systems, do not know PBMAC1.",
            },
            Word {
                name: "compatible",
                doc: "The same encryption with the classic MAC and SHA-256: what every maintained reader knows. In strict FIPS mode it needs the exception `pkcs12-kdf-mac-write`.",
            },
            Word {
                name: "legacy-3des",
                doc: "Triple DES and the classic MAC with SHA-1: for what knows nothing else. In strict FIPS mode it needs the exceptions `pkcs12-kdf-mac-write` and `triple-des-encryption`.",
            },
        ]),
        need: Need::Default("\"approved\""),
        doc: "How a new PFX is protected.",
    },
    Key {
        name: "user_in_certificate",
        kind: Kind::Word(&[
            Word {
                name: "unsigned",
                doc: "It has to where the record has no importer's signature: there nobody else vouches for the user.",
            },
            Word {
                name: "always",
                doc: "It has to, whoever signed the record.",
            },
            Word {
                name: "never",
                doc: "It need not: with records that nobody signed, whoever controls the service can then have one user's certificate delivered as another's.",
            },
        ]),
        need: Need::Default("\"unsigned\""),
        doc: "Whether one of the certificate's e-mail addresses or user principal names has to be the record's user (capital letters count as small ones). That the certificate is the one that the record names, and the key the certificate's, is verified in any case.",
    },
    Key {
        name: "max_iterations",
        kind: Kind::Integer {
            min: 10_000,
            max: 100_000_000,
        },
        need: Need::Default("10000000"),
        doc: "Iterations of key derivation in one PFX at most: of its MAC and all encrypted parts together, each times the blocks of output that it makes. A million take about half a second. One that is over the limit fails as a wrong password does (the log says which it is).",
    },
];

pub(super) const ENGINE: &[Key] = &[
    Key {
        name: "socket",
        kind: Kind::Path,
        need: Need::Required("\"/run/pfx-connector/engine.sock\""),
        doc: "The unix socket that the engine listens on.",
    },
    Key {
        name: "allowed_uids",
        kind: Kind::UserIds,
        need: Need::Default("[]"),
        doc: "User ids that may call, besides the engine's own (SO_PEERCRED): the connector's.",
    },
    Key {
        name: "device_anchors",
        kind: Kind::Paths,
        need: Need::Usual("[\"/etc/pfx-connector/device-ca.pem\"]"),
        doc: "PEM files with the certificates that device certificates must chain to. None at all needs the exception `no-device-anchors`.",
    },
    Key {
        name: "device_policy",
        kind: Kind::Table(DEVICE_POLICY),
        need: Need::Default(""),
        doc: "What device certificates are asked for besides that path.",
    },
    Key {
        name: "exceptions",
        kind: Kind::Words(EXCEPTIONS),
        need: Need::Default("[]"),
        doc: "Exceptions by name. Each is shown in every status.",
    },
    Key {
        name: "deliveries",
        kind: Kind::Words(DELIVERIES),
        need: Need::Default("[\"password\"]"),
        doc: "What may be asked for. `rewrap` and `apple-profile` open PFX files, in the sandboxed formats process: users' private keys are then in the engine's memory for moments. In strict FIPS mode most PFX files of the field need the exception `pkcs12-legacy-read`.",
    },
    Key {
        name: "max_in_flight",
        kind: Kind::Integer {
            min: 1,
            max: 65_536,
        },
        need: Need::Default("256"),
        doc: "Requests that may be in flight at once before callers are told to wait.",
    },
    Key {
        name: "hedge_percent",
        kind: Kind::Integer { min: 0, max: 99 },
        need: Need::Default("0"),
        doc: "With several tokens: a decryption that takes longer than so many of a hundred did of late is begun on a second token that has the key, and the first answer counts. At most one of ten is. 0: none is; 95 is usual.",
    },
    Key {
        name: "token",
        kind: Kind::Table(TOKEN),
        need: Need::Unless("tokens"),
        doc: "The token with the custody key.",
    },
    Key {
        name: "tokens",
        kind: Kind::Tables(TOKEN),
        need: Need::Optional(""),
        doc: "Instead of `token`, for several tokens: one table for each, with a `name`. Tokens that have the same key (by fingerprint) share its requests, and one takes over from the other. They are in one process: their environments must not contradict each other, and they have 128 threads together at most.",
    },
    Key {
        name: "pfx",
        kind: Kind::Table(PFX),
        need: Need::Default(""),
        doc: "How PFX files are opened and written, for the deliveries `rewrap` and `apple-profile`.",
    },
    Key {
        name: "audit",
        kind: Kind::Table(AUDIT),
        need: Need::Usual(""),
        doc: "Where every use of the key is recorded before its result leaves the engine (docs/audit.md). Nothing at all needs the exception `no-receipts`.",
    },
    Key {
        name: "approvals",
        kind: Kind::Table(APPROVALS),
        need: Need::Optional(""),
        doc: "Whose approvals dangerous steps need: destroying a key by `key destroy`, starting with another policy, lifting a quarantine or suspension (docs/approvals.md). Without it they need none. Taking it away is a change of policy like any other.",
    },
    Key {
        name: "oracle",
        kind: Kind::Table(ORACLE),
        need: Need::Default(""),
        doc: "How much may fail before it is refused, and when failures are told: what keeps the engine from being used as a decryption oracle.",
    },
    Key {
        name: "restart",
        kind: Kind::Table(RESTART),
        need: Need::Default(""),
        doc: "How dead and hanging parts of the engine are replaced.",
    },
    Key {
        name: "sandbox",
        kind: Kind::Word(SANDBOX),
        need: Need::Default("\"available\""),
        doc: "Landlock and seccomp around the engine's processes: docs/sandbox.md says what is left to each. `status` and `doctor` show what is in force.",
    },
    Key {
        name: "issuance",
        kind: Kind::Table(ISSUANCE),
        need: Need::Optional(""),
        doc: "Lets connectors have private keys made for certificates, and packed with them for devices. Without it the engine makes none. How the PFX is protected follows `pfx.form`: the best form from there down that the device's platform reads and FIPS mode lets be written.",
    },
    Key {
        name: "rotation",
        kind: Kind::Table(ROTATION),
        need: Need::Optional(""),
        doc: "Lets `key rotate` have records re-encrypted to another custody key. Without it the engine re-encrypts nothing.",
    },
    Key {
        name: "ca",
        kind: Kind::Tables(CA),
        need: Need::Optional(""),
        doc: "Certification authorities whose keys are on the token, one table for each (docs/local-ca.md). They need the exception `co-located-ca`.",
    },
    Key {
        name: "client_keys",
        kind: Kind::Tables(CLIENT_KEY),
        need: Need::Optional(""),
        doc: "Keys on the token with which connectors show who they are, in TLS 1.3 handshakes and in requests for their own certificates, one table for each (docs/identity.md).",
    },
    Key {
        name: "importers",
        kind: Kind::Tables(IMPORTER),
        need: Need::Usual(""),
        doc: "Those whose signature makes a record acceptable, one table for each. None at all needs the exception `unsigned-records`.",
    },
    Key {
        name: "pkcs1_keys",
        kind: Kind::Tables(PKCS1_KEY),
        need: Need::Optional(""),
        doc: "Custody keys that decrypt records of old imports, whose padding is `pkcs1` (RSA PKCS#1 v1.5), one table for each. Without it nothing decrypts them, and in strict FIPS mode nothing can: no exception permits it. A password of such a record always has to open its PFX, whatever `oracle.check_password` says. Have the records re-encrypted (`key rotate`) while it lasts.",
    },
];

const ISSUANCE: &[Key] = &[
    Key {
        name: "custody_key",
        kind: Kind::Text,
        need: Need::Optional(
            "\"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\"",
        ),
        doc: "Fingerprint (`key list`) of the custody key that private keys are sealed to while they wait for their certificates. Needed where there are several custody keys; a key that was sealed to another one is still opened by that.",
    },
    Key {
        name: "key_threads",
        kind: Kind::Integer { min: 1, max: 64 },
        need: Need::Default("2"),
        doc: "Threads that make keys, beside those that use the token. An RSA key of 4096 bits takes one of them a second or several.",
    },
    Key {
        name: "key_queue",
        kind: Kind::Integer { min: 1, max: 4096 },
        need: Need::Default("64"),
        doc: "Requests for a key that may wait for one of them; further ones are refused with `busy`.",
    },
];

const ROTATION: &[Key] = &[Key {
    name: "signing_key",
    kind: Kind::Text,
    need: Need::Required("\"pfx-rotation\""),
    doc: "Label of the key on the token that signs re-encrypted records (`key generate-signing`). Its public half has to be one of `importers`.",
}];

const AUDIT: &[Key] = &[
    Key {
        name: "folder",
        kind: Kind::Path,
        need: Need::Required("\"/var/lib/pfx-connector/audit\""),
        doc: "Folder of the log; made where it is not there, for the engine's user alone (mode 0700). When it cannot be written, requests are refused with `auditUnavailable` until it can.",
    },
    Key {
        name: "max_file_bytes",
        kind: Kind::Integer {
            min: 4096,
            max: 1_073_741_824,
        },
        need: Need::Default("16777216"),
        doc: "A file of this size is followed by another one, in bytes. A start reads the newest file.",
    },
    Key {
        name: "signing_key_file",
        kind: Kind::Path,
        need: Need::Usual("\"/etc/pfx-connector/audit-key.pem\""),
        doc: "File with the private key that seals the log (`audit key generate` writes it); only its owner may read it. Exactly one of `signing_key_file` and `signing_key`.",
    },
    Key {
        name: "signing_key",
        kind: Kind::Text,
        need: Need::Optional("\"pfx-audit\""),
        doc: "Instead of a file: label of a key on the token that seals the log (`key generate-signing`, EC on P-256).",
    },
    Key {
        name: "anchor_file",
        kind: Kind::Path,
        need: Need::Optional("\"/mnt/elsewhere/pfx-anchors\""),
        doc: "File, best on another machine, that seals are appended to once a minute and at the end: by it `audit verify --anchor` finds a log that was cut off.",
    },
];

const APPROVALS: &[Key] = &[
    Key {
        name: "required",
        kind: Kind::Integer { min: 1, max: 32 },
        need: Need::Required("2"),
        doc: "How many different approvers have to approve the same request.",
    },
    Key {
        name: "approvers",
        kind: Kind::Paths,
        need: Need::Required(
            "[\"/etc/pfx-connector/approver-ada.pem\", \"/etc/pfx-connector/approver-ben.pem\"]",
        ),
        doc: "PEM files with the approvers' public keys (EC on P-256; `import signer` makes such a pair), one in each; the file's name without its ending is the approver's. 32 at most, none twice.",
    },
    Key {
        name: "folder",
        kind: Kind::Path,
        need: Need::Optional("\"/etc/pfx-connector/approvals\""),
        doc: "Folder that approvals of a change of policy are read from at the engine's start; `approvals` in the folder of the audit log where it is not given.",
    },
];

const ORACLE: &[Key] = &[
    Key {
        name: "importer_failures_per_hour",
        kind: Kind::Integer { min: 1, max: 1000 },
        need: Need::Default("5"),
        doc: "Distinct ciphertexts of one importer that may fail within an hour; then the importer is suspended, and nobody else, until there is room again or an operator lets it go (`oracle release`). Records that nobody signed count as of one importer. So many records of one importer that were not decrypted before are in the tokens' hands at once.",
    },
    Key {
        name: "importer_failures_per_day",
        kind: Kind::Integer { min: 1, max: 1000 },
        need: Need::Default("50"),
        doc: "The same within a day.",
    },
    Key {
        name: "caller_failures_per_hour",
        kind: Kind::Integer { min: 1, max: 1000 },
        need: Need::Default("200"),
        doc: "Distinct failing ciphertexts that one caller (user id) may ask for within an hour.",
    },
    Key {
        name: "uses_per_ciphertext",
        kind: Kind::Integer {
            min: 1,
            max: 1_000_000_000,
        },
        need: Need::Default("1000"),
        doc: "How often one ciphertext is decrypted within a day of the first time.",
    },
    Key {
        name: "devices_per_ciphertext",
        kind: Kind::Integer {
            min: 1,
            max: 1_000_000_000,
        },
        need: Need::Default("100"),
        doc: "For how many devices one ciphertext is decrypted within a day of the first time.",
    },
    Key {
        name: "grid_ms",
        kind: Kind::Integer {
            min: 1,
            max: 10_000,
        },
        need: Need::Default("50"),
        doc: "A failing answer that follows a decryption leaves at the next multiple of so many milliseconds since its request came, whatever failed. It should be longer than nearly every request takes: status counts those that missed the first.",
    },
    Key {
        name: "release",
        kind: Kind::Word(&[
            Word {
                name: "failures",
                doc: "Failing answers.",
            },
            Word {
                name: "all",
                doc: "Every answer, so that the time does not tell whether it worked.",
            },
        ]),
        need: Need::Default("\"failures\""),
        doc: "Which answers leave on that grid.",
    },
    Key {
        name: "check_password",
        kind: Kind::Word(&[
            Word {
                name: "off",
                doc: "It need not: the PFX is not looked into.",
            },
            Word {
                name: "where-approved",
                doc: "It has to where the FIPS policy lets the PFX's integrity be checked; where it does not, the receipt says that it was not tried.",
            },
            Word {
                name: "always",
                doc: "It has to. A PFX whose integrity check the FIPS policy does not let be done (strict mode without the exception `pkcs12-legacy-read`) is refused before the key is used.",
            },
        ]),
        need: Need::Default("\"off\""),
        doc: "Whether the password has to fit the integrity check of its PFX before it is given out by the delivery `password`. For `rewrap` and `apple-profile` it always has to open it.",
    },
];

const RESTART: &[Key] = &[
    Key {
        name: "backoff_ms",
        kind: Kind::Integer {
            min: 1,
            max: 600_000,
        },
        need: Need::Default("50"),
        doc: "Pause before the first restart, doubled with each further one, in milliseconds.",
    },
    Key {
        name: "backoff_max_ms",
        kind: Kind::Integer {
            min: 1,
            max: 3_600_000,
        },
        need: Need::Default("5000"),
        doc: "The longest pause, in milliseconds.",
    },
    Key {
        name: "unresponsive_ms",
        kind: Kind::Integer {
            min: 100,
            max: 600_000,
        },
        need: Need::Default("5000"),
        doc: "A part that gives no sign of life for this long is replaced, in milliseconds.",
    },
    Key {
        name: "call_limit_ms",
        kind: Kind::Integer {
            min: 100,
            max: 3_600_000,
        },
        need: Need::Default("10000"),
        doc: "A call into the PKCS#11 module that takes longer than this is taken for hanging, in milliseconds; opening a token, three times as long. `connector.engine_timeout_ms` has to be more than twice this and 5000, or a call that hangs is the end of its request.",
    },
    Key {
        name: "max_crashes_per_request",
        kind: Kind::Integer { min: 1, max: 100 },
        need: Need::Default("3"),
        doc: "A request that was in flight in this many parts as they died is answered with a failure.",
    },
];

/// Keys of a `token` table.
pub(super) const TOKEN: &[Key] = &[
    Key {
        name: "name",
        kind: Kind::Text,
        need: Need::Optional("\"rack-1\""),
        doc: "What the token is called in status and metrics, and by `--token`: letters, digits, `-`, `_` and `.`, 32 at most. Each of several needs its own.",
    },
    Key {
        name: "drain",
        kind: Kind::Boolean,
        need: Need::Default("false"),
        doc: "`true` takes the token out of service for maintenance: what it has in hand it finishes, and it gets nothing new. A running engine reads this key, and only this one, again when the file changes.",
    },
    Key {
        name: "module",
        kind: Kind::AbsolutePath,
        need: Need::Required("\"/usr/lib/softhsm/libsofthsm2.so\""),
        doc: "The PKCS#11 module, by absolute path.",
    },
    Key {
        name: "init_parameters",
        kind: Kind::Text,
        need: Need::Optional(
            "\"configdir='sql:/var/lib/pfx-connector/nss' tokenDescription='pfx-custody'\"",
        ),
        doc: "What the module is told at C_Initialize, where its documentation asks for it (NSS softoken does): at most 8192 bytes.",
    },
    Key {
        name: "label",
        kind: Kind::Text,
        need: Need::Required("\"pfx-custody\""),
        doc: "The token's label.",
    },
    Key {
        name: "pin_file",
        kind: Kind::Path,
        need: Need::Usual("\"/etc/pfx-connector/pin\""),
        doc: "File that holds the user PIN; only its owner may read it.",
    },
    Key {
        name: "pin_credential",
        kind: Kind::Text,
        need: Need::Optional("\"hsm-pin\""),
        doc: "Name of a systemd credential that holds the user PIN. Services need exactly one of `pin_file` and `pin_credential`; commands for people ask for the PIN when there is neither.",
    },
    Key {
        name: "fips_certificate",
        kind: Kind::Text,
        need: Need::Optional("\"4703\""),
        doc: "Number of the CMVP certificate of the token, if it has one: the operator's statement, shown as such. Without it every report calls the token not validated.",
    },
    Key {
        name: "threads",
        kind: Kind::Integer { min: 1, max: 64 },
        need: Need::Default("4"),
        doc: "Worker threads, each with one session of the token.",
    },
    Key {
        name: "environment",
        kind: Kind::TextMap,
        need: Need::Default("{}"),
        doc: "Environment of the process that loads the module (such as SOFTHSM2_CONF); nothing else of the environment reaches it. Files and folders that it names may be read in the sandbox.",
    },
    Key {
        name: "sandbox_profile",
        kind: Kind::Word(SANDBOX_PROFILES),
        need: Need::Default("\"auto\""),
        doc: "What the sandbox of the engine leaves to this module.",
    },
    Key {
        name: "sandbox_paths",
        kind: Kind::Paths,
        need: Need::Default("[]"),
        doc: "Further files and folders that this module reads and writes, such as its log.",
    },
];

const IMPORTER: &[Key] = &[
    Key {
        name: "name",
        kind: Kind::Text,
        need: Need::Required("\"pki-team\""),
        doc: "For logs and status.",
    },
    Key {
        name: "public_key",
        kind: Kind::Path,
        need: Need::Required("\"/etc/pfx-connector/importer-public.pem\""),
        doc: "PEM file with the importer's public key (`import signer` writes it) or a certificate.",
    },
];
