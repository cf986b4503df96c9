//! Reading: what a message is, and what is in it.

mod agreement;
mod content;
mod key;
mod message;
mod recipient;
mod transport;

pub use key::RecipientKey;

use super::facts::{Encoding, Facts, Naming, RecipientFacts};
use super::{CmsError, CmsLimits, oids};
use crate::ber::{self, BerError, Normalised};
use crate::text::hex;
use agreement::Agreement;
use content::ContentCipher;
use der::Decode;
use fips::secret::SecretBytes;
use message::Message;
use recipient::{Name, Recipient};
use transport::Transport;

/// A message that was opened.
pub struct Content {
    /// The content itself. Of EnvelopedData nobody knows that it is what the sender wrote.
    pub bytes: SecretBytes,
    /// Whether the message authenticates it (AuthEnvelopedData): not who wrote it, but that it was not changed.
    pub authenticated: bool,
    /// What the message is.
    pub facts: Facts,
}

/// What a message is and to whom it is encrypted, without any key.
///
/// # Errors
/// [`CmsError::Malformed`], [`CmsError::NotEnveloped`] and [`CmsError::LimitExceeded`]; what [`open`] would not support is in the facts.
pub fn look_at(message: &[u8], limits: &CmsLimits) -> Result<Facts, CmsError> {
    let normalised = normalise(message, limits)?;
    let message = Message::read(normalised.bytes(), limits)?;
    facts(&message, encoding(&normalised, &message))
}

/// Opens a message with one recipient's key.
///
/// With AuthEnvelopedData the content is what the sender encrypted or there is none. With EnvelopedData a message that was changed may open
/// to something else: CBC does not tell.
///
/// # Errors
/// [`CmsError`]. What goes wrong once the private key was used is [`CmsError::Decryption`] alone, apart from the FIPS policy's refusals.
pub fn open(
    message: &[u8],
    key: &RecipientKey<'_>,
    limits: &CmsLimits,
) -> Result<Content, CmsError> {
    let normalised = normalise(message, limits)?;
    let message = Message::read(normalised.bytes(), limits)?;
    // Everything that can be said without the key is said before it is used.
    let cipher = ContentCipher::of(&message)?;
    let content_key = content_key(&message, key, cipher.key_bytes())?;
    let bytes = cipher.decrypt(&content_key, &message)?;
    Ok(Content {
        bytes,
        authenticated: message.authenticated.is_some(),
        facts: facts(&message, encoding(&normalised, &message))?,
    })
}

fn normalise<'a>(message: &'a [u8], limits: &CmsLimits) -> Result<Normalised<'a>, CmsError> {
    if message.len() > limits.max_bytes {
        return Err(CmsError::too_large(limits));
    }
    let normalised = ber::normalise(message, limits.max_depth).map_err(|error| match error {
        BerError::TooDeep { limit } => CmsError::LimitExceeded {
            what: "elements within elements",
            limit,
        },
        _ => CmsError::malformed("it is not one whole element of ASN.1"),
    })?;
    if normalised.used != message.len() {
        return Err(CmsError::malformed("something follows it"));
    }
    Ok(normalised)
}

fn encoding(normalised: &Normalised<'_>, message: &Message<'_>) -> Encoding {
    if normalised.forms.any() || message.in_pieces {
        Encoding::Ber
    } else {
        Encoding::Der
    }
}

/// The content key from the first recipient that the certificate is.
fn content_key(
    message: &Message<'_>,
    key: &RecipientKey<'_>,
    key_bytes: usize,
) -> Result<SecretBytes, CmsError> {
    for recipient in &message.recipients {
        match recipient {
            Recipient::KeyTransport {
                name,
                algorithm,
                encrypted_key,
            } if key.is(name) => {
                return Transport::read(algorithm)?.decrypt(key.pkcs8(), encrypted_key, key_bytes);
            }
            Recipient::KeyAgreement {
                originator,
                user_keying_material,
                algorithm,
                keys,
            } => {
                let own = keys.iter().find(|(name, _)| key.is(name));
                if let Some((_, wrapped_key)) = own {
                    return Agreement::read(algorithm)?.decrypt(
                        key.pkcs8(),
                        originator,
                        *user_keying_material,
                        wrapped_key,
                        key_bytes,
                    );
                }
            }
            Recipient::KeyTransport { .. } | Recipient::Other(_) => {}
        }
    }
    Err(CmsError::NoRecipient {
        count: message.recipients.iter().map(Recipient::count).sum(),
    })
}

fn facts(message: &Message<'_>, encoding: Encoding) -> Result<Facts, CmsError> {
    let cipher = ContentCipher::of(message);
    let content_encryption = match &cipher {
        Ok(cipher) => cipher.describe(),
        Err(_) => oids::name(&message.algorithm.oid),
    };
    let problem = match &cipher {
        Err(CmsError::Malformed { what }) => return Err(CmsError::malformed(what)),
        Err(error) => Some(error.to_string()),
        Ok(_) => None,
    };
    Ok(Facts {
        kind: message.kind,
        encoding,
        content_type: oids::name(&message.content_type),
        content_encryption,
        legacy: cipher.is_ok_and(|cipher| cipher.is_legacy()),
        problem,
        content_bytes: message.ciphertext.len(),
        recipients: message
            .recipients
            .iter()
            .flat_map(recipient_facts)
            .collect(),
    })
}

fn recipient_facts(recipient: &Recipient<'_>) -> Vec<RecipientFacts> {
    let known = |described: Result<String, CmsError>, name: &Name<'_>| {
        let (algorithm, problem) = match described {
            Ok(algorithm) => (algorithm, None),
            Err(error) => ("not supported".to_owned(), Some(error.to_string())),
        };
        RecipientFacts {
            named_by: naming(name),
            algorithm,
            problem,
        }
    };
    match recipient {
        Recipient::KeyTransport {
            name, algorithm, ..
        } => {
            let described = Transport::read(algorithm).map(|transport| transport.describe());
            vec![known(described, name)]
        }
        Recipient::KeyAgreement {
            algorithm, keys, ..
        } => keys
            .iter()
            .map(|(name, _)| {
                let described = Agreement::read(algorithm).map(|agreement| agreement.describe());
                known(described, name)
            })
            .collect(),
        Recipient::Other(what) => vec![RecipientFacts {
            named_by: Naming::Other,
            algorithm: "not supported".to_owned(),
            problem: Some(CmsError::unsupported(*what).to_string()),
        }],
    }
}

fn naming(name: &Name<'_>) -> Naming {
    match name {
        Name::IssuerAndSerialNumber { issuer, serial } => Naming::IssuerAndSerialNumber {
            issuer: x509_cert::name::Name::from_der(issuer).map_or_else(
                |_| "a name that does not parse".to_owned(),
                |name| crate::words::name(&name),
            ),
            serial: hex(serial.get(..serial.len().min(64)).unwrap_or_default()),
        },
        Name::SubjectKeyIdentifier(identifier) => Naming::SubjectKeyIdentifier {
            identifier: hex(identifier
                .get(..identifier.len().min(64))
                .unwrap_or_default()),
        },
    }
}
