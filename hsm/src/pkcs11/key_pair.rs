//! Generation of a key pair on the token: what custody keys and signing keys have in common.

use cryptoki::error::Error as CryptokiError;
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;

use fips::policy::Service;

use super::classify::Class;
use super::module::Module;
use super::quirks::Quirks;
use crate::Error;
use crate::error::Refusal;

/// Length of a CKA_ID that is chosen here, in bytes.
pub(super) const ID_BYTES: usize = 20;

/// Both halves of a pair.
#[derive(Clone, Copy)]
pub(super) struct Pair {
    pub(super) public: ObjectHandle,
    pub(super) private: ObjectHandle,
}

/// What is asked of the token.
pub(super) struct Template {
    pub(super) mechanism: Mechanism<'static>,
    /// The name of the mechanism, as the standard writes it.
    pub(super) mechanism_name: &'static str,
    pub(super) public: Vec<Attribute>,
    pub(super) private: Vec<Attribute>,
    /// Attributes of the private half that tokens may not know. Nothing is lost without them.
    pub(super) private_if_known: Vec<Attribute>,
}

/// # Errors
/// [`Error::IdInUse`] if a private key has this identifier. The standard lets several keys share one; NSS softoken replaces the old
/// key by the new one then.
pub(super) fn id_is_free(module: &Module, session: &Session, id: &[u8]) -> Result<(), Error> {
    let template = [
        Attribute::Class(ObjectClass::PRIVATE_KEY),
        Attribute::Id(id.to_vec()),
    ];
    let same = session
        .find_objects(&template)
        .map_err(|error| module.error(error))?;
    if same.is_empty() {
        Ok(())
    } else {
        Err(Error::IdInUse(base16ct::lower::encode_string(id)))
    }
}

/// The attributes that both halves of every pair have.
pub(super) fn common(key_type: KeyType, label: &str, id: &[u8]) -> Vec<Attribute> {
    vec![
        Attribute::KeyType(key_type),
        Attribute::Token(true),
        Attribute::Label(label.as_bytes().to_vec()),
        Attribute::Id(id.to_vec()),
    ]
}

/// The one use that a private key has.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Signature,
    Agreement,
}

/// The attributes of both halves of a pair that has one use: the public one first.
pub(super) fn halves(
    key_type: KeyType,
    label: &str,
    id: &[u8],
    purpose: Purpose,
) -> (Vec<Attribute>, Vec<Attribute>) {
    let signs = purpose == Purpose::Signature;
    let mut public = common(key_type, label, id);
    public.extend([Attribute::Private(false), Attribute::Verify(signs)]);
    let mut private = common(key_type, label, id);
    private.extend([
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::Sign(signs),
        Attribute::Decrypt(false),
        Attribute::Unwrap(false),
        Attribute::Derive(purpose == Purpose::Agreement),
    ]);
    (public, private)
}

/// What tokens may not know of a key that has one use. CKM_RSA_PKCS and CKM_RSA_X_509 with recovery would be one more.
pub(super) fn if_known() -> Vec<Attribute> {
    vec![
        Attribute::SignRecover(false),
        Attribute::WrapWithTrusted(true),
    ]
}

/// # Errors
/// [`Error::Internal`] if there are no random bytes.
pub(super) fn random_id() -> Result<Vec<u8>, Error> {
    let mut id = vec![0; ID_BYTES];
    fips::random::fill(&mut id).map_err(|_| Error::Internal("no random bytes"))?;
    Ok(id)
}

/// # Errors
/// [`Error::LabelInUse`] if any key of the token, of whatever kind, has this label.
pub(super) fn label_is_free(module: &Module, session: &Session, label: &str) -> Result<(), Error> {
    for class in [ObjectClass::PRIVATE_KEY, ObjectClass::PUBLIC_KEY] {
        let template = [
            Attribute::Class(class),
            Attribute::Label(label.as_bytes().to_vec()),
        ];
        let same = session
            .find_objects(&template)
            .map_err(|error| module.error(error))?;
        if !same.is_empty() {
            return Err(Error::LabelInUse(label.to_owned()));
        }
    }
    Ok(())
}

/// Generates the pair.
///
/// # Errors
/// [`Error::MechanismNotSupported`] or [`Error::Generation`] if the token will not, [`Error::Token`] if it cannot at the moment;
/// [`Error::Policy`].
pub(super) fn generate(
    module: &Module,
    session: &Session,
    quirks: &Quirks,
    template: &Template,
) -> Result<Pair, Error> {
    fips::policy::perform(Service::TokenKeyGeneration, |_| {
        generate_permitted(module, session, quirks, template)
    })
}

/// What is asked of the public half: not its uses, where the token derives them. What it is used for by others is up to them.
fn public_template(quirks: &Quirks, template: &Template) -> Vec<Attribute> {
    let is_use = |attribute: &Attribute| {
        matches!(
            attribute,
            Attribute::Encrypt(_)
                | Attribute::Verify(_)
                | Attribute::VerifyRecover(_)
                | Attribute::Wrap(_)
        )
    };
    let mut public = template.public.clone();
    if quirks.public_uses_follow == Some(true) {
        public.retain(|attribute| !is_use(attribute));
    }
    public
}

fn generate_permitted(
    module: &Module,
    session: &Session,
    quirks: &Quirks,
    template: &Template,
) -> Result<Pair, Error> {
    let public = public_template(quirks, template);
    let mut strict = template.private.clone();
    strict.extend_from_slice(&template.private_if_known);
    let generate =
        |private: &[Attribute]| session.generate_key_pair(&template.mechanism, &public, private);
    let class = |error: &CryptokiError| match error {
        CryptokiError::Pkcs11(rv, function) => Refusal::new(*function, *rv).class(),
        _ => Class::Device,
    };
    let result = match generate(&strict) {
        Err(error) if class(&error) == Class::Refused => generate(&template.private),
        other => other,
    };
    match result {
        Ok((public, private)) => Ok(Pair { public, private }),
        Err(CryptokiError::Pkcs11(rv, function)) => {
            let refusal = Refusal::new(function, rv);
            Err(match refusal.class() {
                Class::Unsupported => Error::MechanismNotSupported {
                    mechanism: template.mechanism_name,
                    refusal,
                },
                // The token says that it will not, as opposed to cannot at the moment.
                Class::Refused => Error::Generation(refusal),
                _ => Error::Token(refusal),
            })
        }
        Err(other) => Err(module.error(other)),
    }
}

/// Destroys a pair that is not what it should be.
pub(super) fn destroy(session: &Session, pair: Pair) {
    for half in [pair.private, pair.public] {
        if let Err(error) = session.destroy_object(half) {
            tracing::error!(%error, "a key that was generated wrongly could not be destroyed");
        }
    }
}
