//! What is known about tokens before they are asked.
//!
//! A token is believed when it shows something by doing it ([`Capabilities`](crate::Capabilities)); what a try shows wins over this. Here is
//! what no try can show, what has to be known before the first call, and what the tests expect of the tokens that they run over. The facts
//! are data, in `quirks/table.rs`; no other code asks which token it has in front of it.

mod table;

use fips::ec::Curve;
use serde::{Serialize, Serializer};

use crate::TokenInfo;
use crate::padding::Padding;

/// How the facts about a token were found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Basis {
    /// By trying this version; the custody suite runs over it.
    Tried(&'static str),
    /// In the vendor's documentation, under these titles. Nothing of it was tried.
    Documentation(&'static [&'static str]),
    /// Nothing is known about this token.
    Unknown,
}

/// What CKA_ALWAYS_AUTHENTICATE does (PKCS#11, private key objects).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum AlwaysAuthenticate {
    /// Every use needs a login of its own (CKU_CONTEXT_SPECIFIC).
    Enforced,
    /// The attribute is kept and shown, and nothing more: the key can be used without.
    StoredOnly,
    /// A key cannot have it.
    Refused,
}

/// How a token can be seen to be away: its files, its service or its network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Absence {
    /// Calls fail, and a new session is enough once the token is back.
    NoticedSession,
    /// Calls fail, and only C_Finalize and C_Initialize bring the keys back once the token is.
    NoticedInitialisation,
    /// Calls go on: what is needed is in the memory or an open file of this process.
    Unnoticed,
}

/// What a child of `fork` finds of an initialised library. A process of ours never forks then, whatever the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Fork {
    /// The child has to initialise the library, as PKCS#11 asks.
    Initialise,
    /// The child shares the state of its parent.
    Shared,
    /// The child's calls break the parent.
    BreaksParent,
}

/// What is known about one kind of token. `None`: not known, so it is tried or not relied on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Quirks {
    /// The token's name, for people.
    pub name: &'static str,
    /// How the facts were found.
    pub basis: Basis,
    /// Most sessions that one process can have at the same time.
    pub sessions_max: Option<u32>,
    /// Most threads of one process that can use it, with a session each: the library is not safe for more.
    pub threads_max: Option<u32>,
    /// False: two tokens of it in one process share what they should not, such as the login.
    pub several_tokens: Option<bool>,
    /// A session that is not used for so long is closed by the token, in seconds.
    pub session_idle_limit_s: Option<u32>,
    /// Pause between the openings of two sessions that the token wants, in milliseconds.
    pub session_pacing_ms: u32,
    /// False: C_OpenSession without CKF_RW_SESSION fails, or such a session makes no session objects.
    pub read_only_sessions: bool,
    /// Operations in flight, in all processes together, with which the token does most.
    pub in_flight: Option<u32>,
    /// How many decryptions with RSA-2048 it did in a second where it was tried, to the order of magnitude (Debian 12, two cores).
    pub decryptions_per_s: Option<u32>,
    /// Lengths of RSA keys that it generates, among those that custody asks for.
    pub modulus_bits: Option<&'static [u32]>,
    /// Hashes of RSAES-OAEP for which it removes the padding itself, as paddings.
    pub oaep_native: Option<&'static [Padding]>,
    /// It removes the padding of RSAES-OAEP with a label itself.
    pub oaep_label: Option<bool>,
    /// It encrypts with the public keys of others (C_CreateObject as a session object, C_Encrypt).
    pub encrypts: Option<bool>,
    /// Session objects stay when their session is closed.
    pub session_objects_outlive: Option<bool>,
    /// It decrypts a PKCS#1 v1.5 ciphertext of which the padding is wrong to random bytes, so that nobody learns that it was. Custody
    /// relies on it nowhere: it has the raw operation done and makes such bytes itself, or takes the token's error for them.
    pub pkcs1_implicit_rejection: Option<bool>,
    /// It unwraps keys with RSAES-OAEP (C_UnwrapKey).
    pub unwraps: Option<bool>,
    /// Curves of which it generates keys that sign with CKM_ECDSA.
    #[serde(serialize_with = "curve_names")]
    pub curves: Option<&'static [Curve]>,
    /// A key that only signs signs with RSASSA-PSS (CKM_RSA_PKCS_PSS).
    pub rsa_pss: Option<bool>,
    /// It derives keys by ECDH (CKM_ECDH1_DERIVE).
    pub ecdh: Option<bool>,
    /// The uses of a public key (CKA_ENCRYPT, CKA_VERIFY, CKA_WRAP) follow from those of the private one, and a template that names them
    /// is refused.
    pub public_uses_follow: Option<bool>,
    /// It generates keys that are not sensitive and extractable, if it is asked to.
    pub extractable_keys: Option<bool>,
    /// CKA_LOCAL is true for a key that was generated on it.
    pub generated_is_local: Option<bool>,
    /// A new private key takes the place of another one of the same CKA_ID.
    pub same_id_replaces: Option<bool>,
    /// An attribute that is true only as long as the key never left (CKA_NEVER_EXTRACTABLE, CKA_ALWAYS_SENSITIVE) is kept by it, and
    /// CKA_EXTRACTABLE cannot be set to true later.
    pub keeps_extractability: Option<bool>,
    /// Attributes of keys that it refuses.
    pub attributes_refused: &'static [&'static str],
    /// What CKA_ALWAYS_AUTHENTICATE does.
    pub always_authenticate: Option<AlwaysAuthenticate>,
    /// Whether and how it shows that it is away.
    pub absence: Option<Absence>,
    /// Objects that another process made are found without C_Finalize.
    pub sees_objects_of_others: Option<bool>,
    /// After a failed C_Decrypt the session takes no operation any more (CKR_OPERATION_ACTIVE); a new session does.
    pub stuck_after_failed_decrypt: Option<bool>,
    /// CKF_USER_PIN_COUNT_LOW and its kin are shown while tries are gone.
    pub counts_pin_tries: Option<bool>,
    /// What a child of `fork` finds.
    pub fork: Option<Fork>,
    /// What else an operator should know.
    pub notes: &'static [&'static str],
}

impl Quirks {
    /// Threads, and so sessions, that custody opens on this token when it is asked for `threads`.
    #[must_use]
    pub(super) fn threads(&self, threads: usize) -> usize {
        // One more session is opened while a key is generated.
        let by_sessions = self.sessions_max.map(|most| most.saturating_sub(1));
        [by_sessions, self.threads_max]
            .into_iter()
            .flatten()
            .filter_map(|most| usize::try_from(most.max(1)).ok())
            .fold(threads, usize::min)
    }
}

fn curve_names<S: Serializer>(
    curves: &Option<&'static [Curve]>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let names = curves.map(|curves| {
        curves
            .iter()
            .map(|curve| match curve {
                Curve::P256 => "P-256",
                Curve::P384 => "P-384",
                Curve::P521 => "P-521",
            })
            .collect::<Vec<_>>()
    });
    names.serialize(serializer)
}

/// What is known about a token, by what it and its library say of themselves.
#[must_use]
pub fn of(token: &TokenInfo) -> &'static Quirks {
    table::ALL
        .iter()
        .find(|(is, _)| is(token))
        .map_or(&table::UNKNOWN, |(_, quirks)| quirks)
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::panic,
        clippy::indexing_slicing,
        missing_docs
    )]
    use super::*;
    use crate::token::{TokenFlags, Version};

    fn token(library: &str, manufacturer: &str, model: &str) -> TokenInfo {
        let version = Version { major: 1, minor: 0 };
        TokenInfo {
            module_path: "/usr/lib/module.so".into(),
            library_description: library.into(),
            library_manufacturer: manufacturer.into(),
            library_version: version,
            cryptoki_version: version,
            slot: 0,
            label: "label".into(),
            manufacturer: manufacturer.into(),
            model: model.into(),
            serial: "1".into(),
            hardware_version: version,
            firmware_version: version,
            flags: TokenFlags::default(),
        }
    }

    #[test]
    fn a_token_that_nobody_knows_is_limited_in_nothing_and_says_so() {
        let unknown = of(&token("A library", "A vendor", "A model"));
        assert_eq!(unknown.basis, Basis::Unknown);
        assert_eq!(unknown.threads(64), 64);
        assert_eq!(
            (unknown.session_pacing_ms, unknown.read_only_sessions),
            (0, true)
        );
    }

    #[test]
    fn tokens_are_known_by_what_they_say_of_themselves() {
        for (library, manufacturer, model, name) in [
            (
                "Implementation of PKCS11",
                "SoftHSM",
                "SoftHSM v2",
                "SoftHSM 2",
            ),
            ("Kryoptic PKCS11 Module", "Kryoptic", "v1", "Kryoptic"),
            (
                "NSS Internal Crypto Services",
                "Mozilla Foundation",
                "NSS 3",
                "NSS softoken",
            ),
            ("", "IBM", "Soft", "openCryptoki soft token"),
            (
                "TPM2.0 Cryptoki",
                "tpm2-software.github.io",
                "",
                "tpm2-pkcs11",
            ),
            ("Chrystoki", "SafeNet", "Luna K7", "Thales Luna"),
            ("", "nCipher Corp. Ltd", "", "Entrust nShield"),
            (
                "CloudHSM PKCS#11 Library",
                "Amazon Web Services, Inc.",
                "",
                "AWS CloudHSM",
            ),
            (
                "YubiHSM PKCS#11 Library",
                "Yubico (www.yubico.com)",
                "YubiHSM",
                "YubiHSM 2",
            ),
        ] {
            assert_eq!(of(&token(library, manufacturer, model)).name, name);
        }
    }

    #[test]
    fn sessions_are_no_more_than_the_token_has_and_at_least_one() {
        let with = |most| Quirks {
            sessions_max: most,
            ..table::UNKNOWN.clone()
        };
        for (most, asked, opened) in [
            (None, 64, 64),
            (Some(16), 64, 15),
            (Some(16), 4, 4),
            (Some(1), 4, 1),
            (Some(0), 4, 1),
        ] {
            assert_eq!(with(most).threads(asked), opened);
        }
        let unsafe_with_threads = Quirks {
            threads_max: Some(1),
            ..with(Some(16))
        };
        assert_eq!(unsafe_with_threads.threads(4), 1);
    }

    #[test]
    fn what_was_not_tried_names_its_source() {
        for (_, quirks) in table::ALL {
            match quirks.basis {
                Basis::Documentation(titles) => assert!(!titles.is_empty(), "{}", quirks.name),
                Basis::Tried(version) => assert!(!version.is_empty(), "{}", quirks.name),
                Basis::Unknown => panic!("{}", quirks.name),
            }
            let json = serde_json::to_value(quirks).unwrap();
            assert_eq!(json["name"], quirks.name);
        }
    }
}
