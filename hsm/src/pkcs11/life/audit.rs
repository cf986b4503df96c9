//! Everything that the secret and private keys of a token tell about themselves.
//!
//! Only attributes that hold no secret are asked for: their numbers are in the table below.

use cryptoki::object::{Attribute, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use cryptoki_sys::{
    CK_ATTRIBUTE, CK_ATTRIBUTE_TYPE, CK_MECHANISM_TYPE, CK_ULONG, CKA_ALLOWED_MECHANISMS,
    CKA_ALWAYS_AUTHENTICATE, CKA_ALWAYS_SENSITIVE, CKA_COPYABLE, CKA_DECRYPT, CKA_DERIVE,
    CKA_DESTROYABLE, CKA_ENCRYPT, CKA_END_DATE, CKA_EXTRACTABLE, CKA_ID, CKA_KEY_GEN_MECHANISM,
    CKA_KEY_TYPE, CKA_LABEL, CKA_LOCAL, CKA_MODIFIABLE, CKA_MODULUS, CKA_NEVER_EXTRACTABLE,
    CKA_PRIVATE, CKA_SENSITIVE, CKA_SIGN, CKA_SIGN_RECOVER, CKA_START_DATE, CKA_TOKEN, CKA_TRUSTED,
    CKA_UNWRAP, CKA_UNWRAP_TEMPLATE, CKA_VALUE, CKA_VALUE_LEN, CKA_VERIFY, CKA_WRAP,
    CKA_WRAP_TEMPLATE, CKA_WRAP_WITH_TRUSTED, CKK_AES, CKK_DES3, CKK_DSA, CKK_EC, CKK_EC_EDWARDS,
    CKK_EC_MONTGOMERY, CKK_GENERIC_SECRET, CKK_ML_DSA, CKK_ML_KEM, CKK_RSA, CKM_AES_KEY_GEN,
    CKM_EC_KEY_PAIR_GEN, CKM_ECDH1_DERIVE, CKM_ECDSA, CKM_RSA_PKCS, CKM_RSA_PKCS_KEY_PAIR_GEN,
    CKM_RSA_PKCS_OAEP, CKM_RSA_PKCS_PSS, CKM_RSA_X_509, CKM_RSA_X9_31_KEY_PAIR_GEN,
};

use crate::error::Error;
use crate::life::{AuditValue, AuditedAttribute, KeyAudit, TokenCertificate};
use crate::pkcs11::keys;
use crate::pkcs11::module::Module;
use crate::pkcs11::worker::Worker;

/// How the value of an attribute is read.
#[derive(Clone, Copy)]
enum Form {
    Flag,
    Date,
    Mechanism,
    /// CK_MECHANISM_TYPE_PTR.
    Mechanisms,
    /// CK_ATTRIBUTE_PTR: only how many attributes it has is asked for.
    Template,
}

/// Number, the standard's name, the name in JSON, and the form.
type Row = (CK_ATTRIBUTE_TYPE, &'static str, &'static str, Form);

/// In the order of the standard: storage objects (4.4), keys (4.7), private keys (4.9), secret keys (4.10).
const TABLE: [Row; 29] = [
    (CKA_TOKEN, "CKA_TOKEN", "token", Form::Flag),
    (CKA_PRIVATE, "CKA_PRIVATE", "private", Form::Flag),
    (CKA_MODIFIABLE, "CKA_MODIFIABLE", "modifiable", Form::Flag),
    (CKA_COPYABLE, "CKA_COPYABLE", "copyable", Form::Flag),
    (
        CKA_DESTROYABLE,
        "CKA_DESTROYABLE",
        "destroyable",
        Form::Flag,
    ),
    (CKA_START_DATE, "CKA_START_DATE", "startDate", Form::Date),
    (CKA_END_DATE, "CKA_END_DATE", "endDate", Form::Date),
    (CKA_DERIVE, "CKA_DERIVE", "derive", Form::Flag),
    (CKA_LOCAL, "CKA_LOCAL", "local", Form::Flag),
    (
        CKA_KEY_GEN_MECHANISM,
        "CKA_KEY_GEN_MECHANISM",
        "keyGenMechanism",
        Form::Mechanism,
    ),
    (
        CKA_ALLOWED_MECHANISMS,
        "CKA_ALLOWED_MECHANISMS",
        "allowedMechanisms",
        Form::Mechanisms,
    ),
    (CKA_SENSITIVE, "CKA_SENSITIVE", "sensitive", Form::Flag),
    (
        CKA_ALWAYS_SENSITIVE,
        "CKA_ALWAYS_SENSITIVE",
        "alwaysSensitive",
        Form::Flag,
    ),
    (
        CKA_EXTRACTABLE,
        "CKA_EXTRACTABLE",
        "extractable",
        Form::Flag,
    ),
    (
        CKA_NEVER_EXTRACTABLE,
        "CKA_NEVER_EXTRACTABLE",
        "neverExtractable",
        Form::Flag,
    ),
    (CKA_DECRYPT, "CKA_DECRYPT", "decrypt", Form::Flag),
    (CKA_SIGN, "CKA_SIGN", "sign", Form::Flag),
    (
        CKA_SIGN_RECOVER,
        "CKA_SIGN_RECOVER",
        "signRecover",
        Form::Flag,
    ),
    (CKA_UNWRAP, "CKA_UNWRAP", "unwrap", Form::Flag),
    (
        CKA_WRAP_WITH_TRUSTED,
        "CKA_WRAP_WITH_TRUSTED",
        "wrapWithTrusted",
        Form::Flag,
    ),
    (
        CKA_ALWAYS_AUTHENTICATE,
        "CKA_ALWAYS_AUTHENTICATE",
        "alwaysAuthenticate",
        Form::Flag,
    ),
    (
        CKA_UNWRAP_TEMPLATE,
        "CKA_UNWRAP_TEMPLATE",
        "unwrapTemplate",
        Form::Template,
    ),
    // Of secret keys.
    (CKA_ENCRYPT, "CKA_ENCRYPT", "encrypt", Form::Flag),
    (CKA_VERIFY, "CKA_VERIFY", "verify", Form::Flag),
    (CKA_WRAP, "CKA_WRAP", "wrap", Form::Flag),
    (CKA_TRUSTED, "CKA_TRUSTED", "trusted", Form::Flag),
    (
        CKA_WRAP_TEMPLATE,
        "CKA_WRAP_TEMPLATE",
        "wrapTemplate",
        Form::Template,
    ),
    // Asked of every key, so that one which has what it should not have shows it.
    (
        cryptoki_sys::CKA_ENCAPSULATE,
        "CKA_ENCAPSULATE",
        "encapsulate",
        Form::Flag,
    ),
    (
        cryptoki_sys::CKA_DECAPSULATE,
        "CKA_DECAPSULATE",
        "decapsulate",
        Form::Flag,
    ),
];

/// Longest label or identifier that is read.
const MAX_TEXT_BYTES: usize = 1024;
/// Most mechanisms that a key is shown to be allowed for.
const MAX_MECHANISMS: usize = 64;
/// Longest certificate that is read.
const MAX_CERTIFICATE_BYTES: usize = 16 * 1024;
/// Longest modulus that is read.
const MAX_MODULUS_BYTES: usize = 2048;

/// Every secret and private key object.
pub(super) fn audit(worker: &mut Worker) -> Result<Vec<KeyAudit>, Error> {
    // A token that has logged the user out hides its keys, and says CKR_OK all the same.
    worker.while_logged_in(|shared, session| look(&shared.module, session))
}

fn look(module: &Module, session: &Session) -> Result<Vec<KeyAudit>, Error> {
    let mut audits = Vec::new();
    for (class, name) in [
        (ObjectClass::PRIVATE_KEY, "CKO_PRIVATE_KEY"),
        (ObjectClass::SECRET_KEY, "CKO_SECRET_KEY"),
    ] {
        let template = [Attribute::Class(class), Attribute::Token(true)];
        for object in keys::find(module, session, &template)? {
            audits.push(
                Reader {
                    module,
                    session,
                    object,
                }
                .audit(name),
            );
        }
    }
    Ok(audits)
}

/// Every certificate object with a value.
pub(super) fn certificates(worker: &mut Worker) -> Result<Vec<TokenCertificate>, Error> {
    let session = worker.open_session(false)?;
    let module = worker.module();
    let template = [
        Attribute::Class(ObjectClass::CERTIFICATE),
        Attribute::Token(true),
    ];
    let mut certificates = Vec::new();
    for object in keys::find(module, &session, &template)? {
        let reader = Reader {
            module,
            session: &session,
            object,
        };
        if let Some(der) = reader.bytes(CKA_VALUE, MAX_CERTIFICATE_BYTES) {
            certificates.push(TokenCertificate {
                label: reader.label(),
                id: reader.bytes(CKA_ID, MAX_TEXT_BYTES).unwrap_or_default(),
                der,
            });
        }
    }
    Ok(certificates)
}

struct Reader<'a> {
    module: &'a Module,
    session: &'a Session,
    object: ObjectHandle,
}

impl Reader<'_> {
    /// What the token tells; that it does not tell something is part of the answer.
    fn bytes(&self, attribute: CK_ATTRIBUTE_TYPE, limit: usize) -> Option<Vec<u8>> {
        self.module
            .functions()
            .attribute(self.session, self.object, attribute, limit)
            .ok()
    }

    fn number(&self, attribute: CK_ATTRIBUTE_TYPE) -> Option<CK_ULONG> {
        let bytes = self.bytes(attribute, size_of::<CK_ULONG>())?;
        Some(CK_ULONG::from_ne_bytes(bytes.try_into().ok()?))
    }

    fn label(&self) -> String {
        self.bytes(CKA_LABEL, MAX_TEXT_BYTES)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    fn audit(&self, class: &'static str) -> KeyAudit {
        let key_type = self.number(CKA_KEY_TYPE);
        let is_rsa = key_type == Some(CKK_RSA) && class == "CKO_PRIVATE_KEY";
        let bits = if is_rsa {
            self.bytes(CKA_MODULUS, MAX_MODULUS_BYTES)
                .map(|modulus| bit_len(&modulus))
        } else {
            self.number(CKA_VALUE_LEN).map(|len| len.saturating_mul(8))
        };
        let fingerprint = if is_rsa {
            keys::read(self.module, self.session, self.object, false)
                .ok()
                .map(|key| key.info.fingerprint)
        } else {
            None
        };
        KeyAudit {
            class,
            key_type: key_type_name(key_type),
            bits,
            label: self.label(),
            id: self.bytes(CKA_ID, MAX_TEXT_BYTES).unwrap_or_default(),
            fingerprint,
            attributes: TABLE.iter().map(|row| self.attribute(row)).collect(),
        }
    }

    fn attribute(&self, (number, name, json, form): &Row) -> AuditedAttribute {
        let value = match form {
            Form::Flag => self
                .bytes(*number, 1)
                .and_then(|bytes| bytes.first().copied())
                .map(|byte| AuditValue::Flag(byte != 0)),
            Form::Date => self.bytes(*number, 8).and_then(|bytes| date(&bytes)),
            Form::Mechanism => self.number(*number).and_then(mechanism_name),
            Form::Mechanisms => self
                .bytes(*number, MAX_MECHANISMS * size_of::<CK_MECHANISM_TYPE>())
                .and_then(|bytes| mechanism_names(&bytes)),
            Form::Template => self
                .module
                .functions()
                .attribute_len(self.session, self.object, *number)
                .ok()
                .and_then(template),
        };
        AuditedAttribute { name, json, value }
    }
}

fn bit_len(number: &[u8]) -> u64 {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    let spare = number.get(zeros).map_or(0, |byte| byte.leading_zeros());
    ((number.len() - zeros) as u64)
        .saturating_mul(8)
        .saturating_sub(u64::from(spare))
}

/// A CK_DATE: four, two and two digits; empty where there is none.
fn date(bytes: &[u8]) -> Option<AuditValue> {
    let text = std::str::from_utf8(bytes).ok()?;
    let digits = text.len() == 8 && text.bytes().all(|byte| byte.is_ascii_digit());
    let (year, month, day) = (text.get(..4)?, text.get(4..6)?, text.get(6..)?);
    digits.then(|| AuditValue::Text(format!("{year}-{month}-{day}")))
}

/// CK_UNAVAILABLE_INFORMATION, for keys that were not generated here, is no mechanism.
fn mechanism_name(mechanism: CK_MECHANISM_TYPE) -> Option<AuditValue> {
    let known = match mechanism {
        CK_ULONG::MAX => return None,
        CKM_RSA_PKCS_KEY_PAIR_GEN => "CKM_RSA_PKCS_KEY_PAIR_GEN",
        CKM_RSA_X9_31_KEY_PAIR_GEN => "CKM_RSA_X9_31_KEY_PAIR_GEN",
        CKM_EC_KEY_PAIR_GEN => "CKM_EC_KEY_PAIR_GEN",
        CKM_AES_KEY_GEN => "CKM_AES_KEY_GEN",
        CKM_RSA_PKCS_OAEP => "CKM_RSA_PKCS_OAEP",
        CKM_RSA_X_509 => "CKM_RSA_X_509",
        CKM_RSA_PKCS => "CKM_RSA_PKCS",
        CKM_RSA_PKCS_PSS => "CKM_RSA_PKCS_PSS",
        CKM_ECDSA => "CKM_ECDSA",
        CKM_ECDH1_DERIVE => "CKM_ECDH1_DERIVE",
        other => return Some(AuditValue::Text(format!("{other:#x}"))),
    };
    Some(AuditValue::Text(known.to_owned()))
}

/// Names with spaces between them; an empty list, which allows all, is none.
fn mechanism_names(bytes: &[u8]) -> Option<AuditValue> {
    let names: Vec<_> = bytes
        .chunks_exact(size_of::<CK_MECHANISM_TYPE>())
        .filter_map(|chunk| Some(CK_MECHANISM_TYPE::from_ne_bytes(chunk.try_into().ok()?)))
        .filter_map(mechanism_name)
        .filter_map(|name| match name {
            AuditValue::Text(name) => Some(name),
            AuditValue::Flag(_) => None,
        })
        .collect();
    (!names.is_empty()).then(|| AuditValue::Text(names.join(" ")))
}

/// A template of so many bytes; an empty one asks for nothing and is none.
fn template(bytes: usize) -> Option<AuditValue> {
    match bytes / size_of::<CK_ATTRIBUTE>() {
        0 => None,
        1 => Some(AuditValue::Text("1 attribute".to_owned())),
        count => Some(AuditValue::Text(format!("{count} attributes"))),
    }
}

fn key_type_name(key_type: Option<CK_ULONG>) -> String {
    let known = match key_type {
        None => "not told",
        Some(CKK_RSA) => "CKK_RSA",
        Some(CKK_EC) => "CKK_EC",
        Some(CKK_DSA) => "CKK_DSA",
        Some(CKK_AES) => "CKK_AES",
        Some(CKK_DES3) => "CKK_DES3",
        Some(CKK_GENERIC_SECRET) => "CKK_GENERIC_SECRET",
        Some(CKK_EC_EDWARDS) => "CKK_EC_EDWARDS",
        Some(CKK_EC_MONTGOMERY) => "CKK_EC_MONTGOMERY",
        Some(CKK_ML_KEM) => "CKK_ML_KEM",
        Some(CKK_ML_DSA) => "CKK_ML_DSA",
        Some(other) => return format!("{other:#x}"),
    };
    known.to_owned()
}

#[cfg(test)]
mod tests {
    #![allow(missing_docs)]
    use super::*;

    #[test]
    fn dates_are_read_and_what_is_none_is_told_as_none() {
        let text = |text: &str| Some(AuditValue::Text(text.to_owned()));
        assert_eq!(date(b"20270131"), text("2027-01-31"));
        for none in [
            &b""[..],
            b"2027013",
            b"2027013x",
            b"\0\0\0\0\0\0\0\0",
            b"\xff\xff",
        ] {
            assert_eq!(date(none), None);
        }
    }

    #[test]
    fn a_mechanism_that_is_not_available_is_none_and_a_foreign_one_keeps_its_number() {
        assert_eq!(mechanism_name(CK_ULONG::MAX), None);
        assert_eq!(
            mechanism_name(0x8000_0001),
            Some(AuditValue::Text("0x80000001".to_owned()))
        );
    }

    #[test]
    fn lists_and_templates_are_told_and_empty_ones_are_none() {
        let text = |text: &str| Some(AuditValue::Text(text.to_owned()));
        let list: Vec<u8> = [CKM_RSA_PKCS_OAEP, 0x8000_0001]
            .iter()
            .flat_map(|mechanism| mechanism.to_ne_bytes())
            .collect();
        assert_eq!(mechanism_names(&list), text("CKM_RSA_PKCS_OAEP 0x80000001"));
        assert_eq!(mechanism_names(&[]), None);
        assert_eq!(template(0), None);
        assert_eq!(template(size_of::<CK_ATTRIBUTE>()), text("1 attribute"));
        assert_eq!(
            template(3 * size_of::<CK_ATTRIBUTE>()),
            text("3 attributes")
        );
    }

    #[test]
    fn the_length_of_a_modulus_does_not_count_leading_zeros() {
        assert_eq!(bit_len(&[0, 0x80, 0]), 16);
        assert_eq!(bit_len(&[1, 0]), 9);
        assert_eq!(bit_len(&[]), 0);
    }
}
