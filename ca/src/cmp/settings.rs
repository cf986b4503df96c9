//! What an operator says about an authority that speaks CMP.

use super::conversation::protector;
use crate::SettingsError;
use fips::secret::SecretBytes;
use pki::Signer;
use pki::cmp::{Info, MacScheme, Request, Transaction, Trust, is_for_key, oid, valid_until};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// An authority that speaks CMP, and who we are to it. Everything is loaded and parsed already: no paths, no references to secrets.
#[derive(Clone)]
pub struct Settings {
    /// The authority's name in the configuration. Orders are bound to it: another name makes every order another transaction.
    pub name: String,
    /// Where it listens, e.g. `https://ca.example/.well-known/cmp` (RFC 9811, section 3.4). Plain `http` is fine for the protocol,
    /// whose messages protect themselves; they show subjects and certificates to whoever listens.
    pub url: String,
    /// How long one call of the trait may take, with everything that is sent for it.
    pub deadline: Duration,
    /// Name (DER) of the authority, for the header. The empty name when it is `None`, which RFC 9483 (section 3.1) allows.
    pub recipient_der: Option<Vec<u8>>,
    /// How our messages are protected, and theirs verified.
    pub credential: Credential,
    /// How an issued certificate is confirmed.
    pub confirmation: Confirmation,
    /// How an order's profile is told.
    pub profile: ProfileIn,
}

/// Who we are. Answers are accepted with the same kind of protection only.
#[derive(Clone)]
pub enum Credential {
    /// Signatures: approved in strict mode.
    Signature {
        /// Our certificate (DER); its subject is the sender.
        certificate_der: Vec<u8>,
        /// The certificates (DER) between it and what the authority trusts, sent along.
        chain: Vec<Vec<u8>>,
        /// Its key.
        signer: Arc<dyn Signer>,
        /// Whose signatures of answers are believed.
        trust: Trust,
    },
    /// A secret that the authority knows.
    Secret {
        /// What the authority knows it by (senderKID).
        reference: Vec<u8>,
        /// The secret.
        secret: Arc<SecretBytes>,
        /// How codes are made from it. Answers may have any scheme that the policy permits.
        scheme: MacScheme,
    },
}

impl Credential {
    /// What can be found out about it without asking anybody.
    pub(super) fn check(&self, now: SystemTime) -> Result<(), SettingsError> {
        let refused = |setting, problem: String| Err(SettingsError::new(setting, problem));
        match self {
            Self::Signature {
                certificate_der,
                signer,
                ..
            } => match (
                is_for_key(certificate_der, signer.spki_der()),
                valid_until(certificate_der),
            ) {
                (Ok(true), Ok(_)) => Ok(()),
                (Ok(false), _) => refused(
                    "certificate",
                    "it is another key's than the private key that is configured with it"
                        .to_owned(),
                ),
                (Err(error), _) | (_, Err(error)) => refused("certificate", error.to_string()),
            },
            Self::Secret {
                reference, secret, ..
            } => {
                let setting = match (reference.is_empty(), secret.is_empty()) {
                    (true, _) => "reference",
                    (false, true) => "secret",
                    (false, false) => {
                        return self
                            .try_out(now)
                            .map_err(|error| SettingsError::new("secret", error.to_string()));
                    }
                };
                refused(setting, "it is empty: the authority has it too".to_owned())
            }
        }
    }

    /// Protects a message that is not sent: the policy decides about the scheme now, and not with the first order.
    fn try_out(&self, now: SystemTime) -> Result<(), pki::cmp::CmpError> {
        let question = Request::general(&[Info::question(oid::CA_CERTS)])?;
        let mut transaction = Transaction::new()?;
        transaction
            .message(&question, Vec::new(), None, false, now, &protector(self))
            .map(drop)
    }
}

/// How an issued certificate is confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Confirmation {
    /// By a message of its own (certConf): the authority learns that we have it.
    #[default]
    Explicit,
    /// Not at all where the authority grants that (implicitConfirm); by a message where it does not.
    ImplicitIfGranted,
}

/// How an order's profile is told (RFC 9483, section 3.1 and 6.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ProfileIn {
    /// In the header (id-it-certProfile).
    #[default]
    Header,
    /// In the path: `/p/<profile>` behind the URL.
    Path,
}
