//! The facts. A token is recognised by CK_INFO and CK_TOKEN_INFO; the first row that fits is taken.

use fips::ec::Curve;

use super::{Absence, AlwaysAuthenticate, Basis, Fork, Quirks};
use crate::TokenInfo;
use crate::padding::Padding;
use crate::token::Version;

/// Whether a row is about a token.
type Is = fn(&TokenInfo) -> bool;

fn manufacturer_has(token: &TokenInfo, words: &[&str]) -> bool {
    [&token.library_manufacturer, &token.manufacturer]
        .into_iter()
        .any(|text| words.iter().any(|word| text.to_lowercase().contains(word)))
}

fn is_opencryptoki(token: &TokenInfo) -> bool {
    manufacturer_has(token, &["ibm"]) && token.model.to_lowercase().contains("soft")
}

/// The version of openCryptoki that is safe for threads.
const THREADS_OF_OPENCRYPTOKI: Version = Version {
    major: 3,
    minor: 13,
};

/// Every token that something is known about.
pub(super) static ALL: &[(Is, Quirks)] = &[
    (|token| manufacturer_has(token, &["softhsm"]), SOFTHSM),
    (|token| manufacturer_has(token, &["kryoptic"]), KRYOPTIC),
    (|token| token.library_description.starts_with("NSS "), NSS),
    (
        |token| is_opencryptoki(token) && token.library_version < THREADS_OF_OPENCRYPTOKI,
        OPENCRYPTOKI,
    ),
    (is_opencryptoki, OPENCRYPTOKI_WITH_THREADS),
    (|token| manufacturer_has(token, &["tpm2-software"]), TPM2),
    (
        |token| manufacturer_has(token, &["safenet", "thales"]),
        LUNA,
    ),
    (
        |token| manufacturer_has(token, &["ncipher", "entrust"]),
        NSHIELD,
    ),
    (
        |token| {
            token
                .library_description
                .to_lowercase()
                .contains("cloudhsm")
        },
        CLOUDHSM,
    ),
    (
        |token| manufacturer_has(token, &["yubico"]) && token.model.contains("YubiHSM"),
        YUBIHSM,
    ),
];

/// A token of which nothing is known: nothing is limited, and everything is tried.
pub(super) static UNKNOWN: Quirks = NOTHING;

const NOTHING: Quirks = Quirks {
    name: "a token that is not known",
    basis: Basis::Unknown,
    sessions_max: None,
    threads_max: None,
    several_tokens: None,
    session_idle_limit_s: None,
    session_pacing_ms: 0,
    read_only_sessions: true,
    in_flight: None,
    decryptions_per_s: None,
    modulus_bits: None,
    oaep_native: None,
    oaep_label: None,
    encrypts: None,
    session_objects_outlive: None,
    pkcs1_implicit_rejection: None,
    unwraps: None,
    curves: None,
    rsa_pss: None,
    ecdh: None,
    public_uses_follow: None,
    extractable_keys: None,
    generated_is_local: None,
    same_id_replaces: None,
    keeps_extractability: None,
    attributes_refused: &[],
    always_authenticate: None,
    absence: None,
    sees_objects_of_others: None,
    stuck_after_failed_decrypt: None,
    counts_pin_tries: None,
    fork: None,
    notes: &[],
};

/// What the software tokens have in common.
const SOFTWARE: Quirks = Quirks {
    modulus_bits: Some(&[2048, 3072, 4096]),
    several_tokens: Some(true),
    oaep_native: Some(&Padding::OAEP),
    oaep_label: Some(true),
    encrypts: Some(true),
    session_objects_outlive: Some(false),
    pkcs1_implicit_rejection: Some(false),
    unwraps: Some(true),
    curves: Some(&Curve::ALL),
    rsa_pss: Some(true),
    ecdh: Some(true),
    public_uses_follow: Some(false),
    extractable_keys: Some(true),
    generated_is_local: Some(true),
    same_id_replaces: Some(false),
    keeps_extractability: Some(true),
    always_authenticate: Some(AlwaysAuthenticate::Enforced),
    sees_objects_of_others: Some(true),
    stuck_after_failed_decrypt: Some(false),
    ..NOTHING
};

const SOFTHSM: Quirks = Quirks {
    name: "SoftHSM 2",
    basis: Basis::Tried("2.6.1, Debian 12"),
    decryptions_per_s: Some(3700),
    oaep_native: Some(&[Padding::OaepSha1]),
    oaep_label: Some(false),
    absence: Some(Absence::NoticedInitialisation),
    counts_pin_tries: Some(true),
    fork: Some(Fork::Shared),
    notes: &[
        "its list of mechanisms names RSAES-OAEP, but every hash other than SHA-1 is refused: the padding is then removed in software",
        "a process that is killed during a login can leave an empty token.object: custody keeps a copy beside it",
    ],
    ..SOFTWARE
};

const KRYOPTIC: Quirks = Quirks {
    name: "Kryoptic",
    basis: Basis::Tried("1.5.4"),
    decryptions_per_s: Some(3400),
    absence: Some(Absence::Unnoticed),
    fork: Some(Fork::Shared),
    notes: &["a bad ciphertext is answered with CKR_DEVICE_ERROR"],
    ..SOFTWARE
};

const NSS: Quirks = Quirks {
    name: "NSS softoken",
    basis: Basis::Tried("3.87.1, Debian 12"),
    decryptions_per_s: Some(35),
    pkcs1_implicit_rejection: Some(true),
    generated_is_local: Some(false),
    same_id_replaces: Some(true),
    always_authenticate: Some(AlwaysAuthenticate::StoredOnly),
    absence: Some(Absence::Unnoticed),
    fork: Some(Fork::Shared),
    notes: &[
        "C_Initialize needs `init_parameters`, such as configdir='sql:/var/lib/nss'",
        "a private key is decrypted from the database anew for each use",
        "all its tokens have the same serial number",
    ],
    ..SOFTWARE
};

const OPENCRYPTOKI: Quirks = Quirks {
    name: "openCryptoki soft token",
    basis: Basis::Tried("3.8.1, Debian 12"),
    decryptions_per_s: Some(3900),
    threads_max: Some(1),
    several_tokens: Some(false),
    curves: Some(&[]),
    ecdh: Some(false),
    attributes_refused: &["CKA_WRAP_WITH_TRUSTED"],
    always_authenticate: Some(AlwaysAuthenticate::StoredOnly),
    absence: Some(Absence::Unnoticed),
    fork: Some(Fork::Initialise),
    notes: &[
        "it is safe for threads from version 3.13 on: custody uses older ones with one thread",
        "without its service, pkcsslotd, C_Initialize fails with CKR_HOST_MEMORY",
        "PINs have 4 to 8 characters; a few wrong ones lock the token",
    ],
    ..SOFTWARE
};

/// The version in which it became safe for threads, so far as its makers say.
const OPENCRYPTOKI_WITH_THREADS: Quirks = Quirks {
    basis: Basis::Documentation(&["openCryptoki, pull request 254: Make OCK thread save"]),
    threads_max: None,
    several_tokens: None,
    modulus_bits: None,
    curves: None,
    ecdh: None,
    attributes_refused: &[],
    always_authenticate: None,
    absence: None,
    fork: None,
    notes: &["without its service, pkcsslotd, C_Initialize fails with CKR_HOST_MEMORY"],
    ..OPENCRYPTOKI
};

const TPM2: Quirks = Quirks {
    name: "tpm2-pkcs11",
    basis: Basis::Tried("1.9.0 with tpm2-abrmd 3.0.0 and swtpm 0.7.1, Debian 12"),
    sessions_max: Some(1023),
    decryptions_per_s: Some(120),
    in_flight: Some(1),
    modulus_bits: Some(&[2048, 3072]),
    oaep_label: Some(false),
    unwraps: Some(false),
    curves: Some(&[Curve::P256, Curve::P384]),
    threads_max: Some(1),
    session_objects_outlive: Some(true),
    read_only_sessions: false,
    rsa_pss: Some(false),
    ecdh: Some(false),
    public_uses_follow: Some(true),
    extractable_keys: Some(false),
    keeps_extractability: Some(false),
    absence: Some(Absence::NoticedInitialisation),
    sees_objects_of_others: Some(false),
    stuck_after_failed_decrypt: Some(true),
    fork: Some(Fork::BreaksParent),
    notes: &[
        "the TPM counts wrong PINs for all its keys together, and a right one gives no tries back: after 3 (as manufacturers set it) it \
         takes none for some time",
        "a signature with RSASSA-PSS is made by decryption, which a key that only signs does not do: use a key on a curve",
        "a key with which an operation has failed is not destroyed before the library is initialised again",
        "the login for one use of a key is the token's, not the session's: with two threads one takes the other's, so custody uses one. \
         The TPM does one thing at a time anyway",
        "it needs a resource manager (the kernel's or tpm2-abrmd): without one the TPM runs out of memory for objects",
        "C_SetAttributeValue(CKA_EXTRACTABLE, true) is answered with CKR_OK; the key stays in the TPM all the same",
    ],
    ..SOFTWARE
};

const LUNA: Quirks = Quirks {
    name: "Thales Luna",
    basis: Basis::Documentation(&[
        "Luna Network HSM 7 documentation: Timeouts",
        "Luna HSM documentation: Performance of the Luna HSM (threads)",
    ]),
    in_flight: Some(30),
    notes: &[
        "a call waits up to ReceiveTimeout (Chrystoki.conf, 20 seconds as delivered) for an HSM that is off the network: the engine's \
         call limit has to be longer",
        "an HA group balances single-part operations only, and custody uses no other",
    ],
    ..NOTHING
};

const NSHIELD: Quirks = Quirks {
    name: "Entrust nShield",
    basis: Basis::Documentation(&[
        "nShield Security World documentation, PKCS #11: nShield PKCS #11 library environment variables",
        "nShield Security World documentation, PKCS #11: Objects",
        "nShield Security World documentation: enquiry (recommended queue)",
    ]),
    in_flight: Some(60),
    sees_objects_of_others: Some(false),
    notes: &[
        "keys of other processes are seen only with CKNFAST_ASSUME_SINGLE_PROCESS=0; otherwise at the next C_Initialize",
        "several HSMs and softcards need CKNFAST_LOADSHARING=1",
        "the accelerator slot and the module's slot have no login: name the card set or softcard by its label",
    ],
    ..NOTHING
};

const CLOUDHSM: Quirks = Quirks {
    name: "AWS CloudHSM",
    basis: Basis::Documentation(&[
        "AWS CloudHSM User Guide: Known issues for the PKCS #11 library for AWS CloudHSM",
        "AWS CloudHSM User Guide: Supported mechanisms for the PKCS #11 library for AWS CloudHSM Client SDK 5",
        "AWS CloudHSM User Guide: Change AWS CloudHSM client key durability settings",
        "AWS CloudHSM User Guide: Retry commands for PKCS #11 library for AWS CloudHSM",
    ]),
    session_pacing_ms: 50,
    read_only_sessions: false,
    notes: &[
        "sessions have to be opened for reading and writing (Client SDK 5)",
        "a token key can be used only when two HSMs have it, unless the key availability check is switched off",
        "sessions that are opened too fast are answered with CKR_ARGUMENTS_BAD (reported by users): they are opened slowly",
    ],
    ..NOTHING
};

const YUBIHSM: Quirks = Quirks {
    name: "YubiHSM 2",
    basis: Basis::Documentation(&[
        "YubiHSM 2 User Guide: Core Concepts",
        "YubiHSM 2 documentation: Concept: Session",
        "YubiHSM 2 User Guide: PKCS#11 with YubiHSM 2",
    ]),
    sessions_max: Some(16),
    session_idle_limit_s: Some(30),
    in_flight: Some(1),
    modulus_bits: Some(&[2048, 3072, 4096]),
    notes: &[
        "one command at a time: the generation of a key keeps everything else waiting",
        "sessions count for the whole device, whoever opened them",
        "options can be given as `init_parameters` instead of a file, such as connector=http://127.0.0.1:12345",
    ],
    ..NOTHING
};
