//! The two files by which a key goes from one token to another: the request of the receiver, and the bundle for it.
//!
//! Neither holds a secret that can be read without the receiver's transport key. Neither is signed: what makes them safe is that a person
//! carries the two fingerprints, that of the transport key and that of the key, by another way than the files.

use crate::cli::files;
use crate::cli::output::Failure;
use crate::clock::{Clock, SystemClock, rfc3339};
use crate::encoding::{Base64Bytes, is_printable};
use hsm::public_key::PublicKey;
use hsm::{KeyFingerprint, Padding, TokenInfo, TransportKey, WrappedKey};
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize};
use std::path::Path;

/// The largest file of either kind, in bytes.
const MAX_BYTES: usize = 64 * 1024;
const REQUEST: &str = "pfx-connector-replication-request";
const BUNDLE: &str = "pfx-connector-replication-bundle";
const VERSION: u32 = 1;

/// A token, as far as another host has to know it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct TokenName {
    /// Its label.
    #[serde(deserialize_with = "name")]
    pub(super) label: String,
    /// Its serial number.
    #[serde(deserialize_with = "name")]
    pub(super) serial: String,
    /// Its model.
    #[serde(deserialize_with = "name")]
    pub(super) model: String,
}

impl From<&TokenInfo> for TokenName {
    fn from(token: &TokenInfo) -> Self {
        Self {
            label: token.label.clone(),
            serial: token.serial.clone(),
            model: token.model.clone(),
        }
    }
}

/// What a token needs to receive a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Request {
    r#type: String,
    version: u32,
    created: String,
    /// Where the key is to go.
    pub(super) target: TokenName,
    transport_fingerprint: KeyFingerprint,
    transport_label: String,
    transport_key: Base64Bytes,
    transport_modulus_bits: u32,
    paddings: Vec<Padding>,
}

impl Request {
    pub(super) fn new(target: &TokenInfo, transport: &TransportKey) -> Self {
        Self {
            r#type: REQUEST.to_owned(),
            version: VERSION,
            created: rfc3339(SystemClock.now_ms()),
            target: target.into(),
            transport_fingerprint: transport.fingerprint,
            transport_label: transport.label.clone(),
            transport_key: Base64Bytes(transport.spki_der.clone()),
            transport_modulus_bits: transport.modulus_bits,
            paddings: transport.paddings.clone(),
        }
    }

    /// Reads a request, and holds its transport key against the fingerprint that a person brought from the receiver.
    pub(super) fn read(
        path: &Path,
        expected: &KeyFingerprint,
    ) -> Result<(Self, TransportKey), Failure> {
        let request: Self = read(path, "the request")?;
        kind(path, (&request.r#type, request.version), REQUEST)?;
        let public = PublicKey::from_spki_der(request.transport_key.as_slice())?;
        let found = public.fingerprint()?;
        if found != *expected || request.transport_fingerprint != *expected {
            return Err(Failure::failed(
                "transport_key",
                format!("{}: the transport key is {found}, not {expected}", path.display()),
            )
            .hint("the file is not the one that the receiver made: do not wrap a key to it; compare with what `key replicate request` said there"));
        }
        let transport = TransportKey {
            fingerprint: found,
            label: request.transport_label.clone(),
            spki_der: request.transport_key.0.clone(),
            modulus_bits: public.modulus_bits(),
            paddings: request.paddings.clone(),
        };
        Ok((request, transport))
    }

    pub(super) fn write(&self, path: &Path) -> Result<(), Failure> {
        write(self, path)
    }
}

/// A key on its way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Bundle {
    r#type: String,
    version: u32,
    created: String,
    /// Where the key is from; null for one that was not on a token.
    pub(super) source: Option<TokenName>,
    /// Where it is to go.
    pub(super) target: TokenName,
    /// What it is wrapped to.
    pub(super) transport_fingerprint: KeyFingerprint,
    fingerprint: KeyFingerprint,
    /// The label that the copy gets, unless another one is asked for.
    pub(super) label: String,
    public_key: Base64Bytes,
    padding: Padding,
    wrapped_kek: Base64Bytes,
    wrapped_key: Base64Bytes,
}

impl Bundle {
    pub(super) fn new(
        source: Option<&TokenInfo>,
        request: &Request,
        (fingerprint, label, spki): (KeyFingerprint, &str, &[u8]),
        wrapped: WrappedKey,
    ) -> Self {
        Self {
            r#type: BUNDLE.to_owned(),
            version: VERSION,
            created: rfc3339(SystemClock.now_ms()),
            source: source.map(Into::into),
            target: request.target.clone(),
            transport_fingerprint: request.transport_fingerprint,
            fingerprint,
            label: label.to_owned(),
            public_key: Base64Bytes(spki.to_vec()),
            padding: wrapped.padding,
            wrapped_kek: Base64Bytes(wrapped.wrapped_kek),
            wrapped_key: Base64Bytes(wrapped.wrapped_key),
        }
    }

    /// Reads a bundle, and holds it against the fingerprint of the key that a person expects in it.
    pub(super) fn read(
        path: &Path,
        expected: &KeyFingerprint,
    ) -> Result<(Self, PublicKey), Failure> {
        let bundle: Self = read(path, "the bundle")?;
        kind(path, (&bundle.r#type, bundle.version), BUNDLE)?;
        let public = PublicKey::from_spki_der(bundle.public_key.as_slice())?;
        let found = public.fingerprint()?;
        if found != *expected || bundle.fingerprint != *expected {
            return Err(Failure::failed(
                "other_key",
                format!("{}: the bundle is of the key {found}, not of {expected}", path.display()),
            )
            .hint("take the bundle of the key that is wanted; compare fingerprints with the source token"));
        }
        Ok((bundle, public))
    }

    pub(super) fn wrapped(&self) -> WrappedKey {
        WrappedKey {
            padding: self.padding,
            wrapped_kek: self.wrapped_kek.0.clone(),
            wrapped_key: self.wrapped_key.0.clone(),
        }
    }

    pub(super) fn write(&self, path: &Path) -> Result<(), Failure> {
        write(self, path)
    }
}

fn read<T: DeserializeOwned>(path: &Path, what: &str) -> Result<T, Failure> {
    let bytes = files::read(path, MAX_BYTES, what)?;
    serde_json::from_slice(&bytes).map_err(|error| {
        Failure::usage(
            "replication_file",
            format!("{}: {what} does not parse: {error}", path.display()),
        )
    })
}

/// The file is from another host, and its names are shown: no character of them may do more than show itself.
fn name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let name = String::deserialize(deserializer)?;
    if name.chars().all(is_printable) {
        Ok(name)
    } else {
        Err(D::Error::custom("a name is printable text"))
    }
}

fn kind(path: &Path, (found, version): (&str, u32), wanted: &str) -> Result<(), Failure> {
    if found == wanted && version == VERSION {
        return Ok(());
    }
    Err(Failure::usage(
        "replication_file",
        format!(
            "{}: {found:?} of version {version} is not {wanted:?} of version {VERSION}",
            path.display()
        ),
    ))
}

fn write(document: &impl Serialize, path: &Path) -> Result<(), Failure> {
    let mut text = serde_json::to_string_pretty(document)
        .map_err(|error| Failure::failed("encoding", error.to_string()))?;
    text.push('\n');
    files::write_new(path, text.as_bytes(), 0o644)
}
