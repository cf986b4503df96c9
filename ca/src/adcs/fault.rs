//! A refusal (SOAP 1.2 Part 1 section 5.4), with what MS-WSTEP section 3.1.4.1.3.7 adds, and what it means.

use super::soap::{ENVELOPE, child, text};
use super::wstep::ENROLLMENT;
use crate::http::Effect;
use crate::text::words;
use crate::{Error, ErrorClass};
use roxmltree::Node;

/// A fault.
#[derive(Debug, Default)]
pub(super) struct Fault {
    /// The code and the codes within it, without their prefixes: `Sender`, `FailedAuthentication`.
    codes: Vec<String>,
    reason: String,
    /// HRESULT of the authority.
    error_code: Option<u32>,
    /// The authority denied the request.
    invalid_request: Option<bool>,
    request_id: Option<String>,
}

/// CERTSRV_E_ENROLL_DENIED.
const ENROLL_DENIED: u32 = 0x8009_4011;
/// CERTSRV_E_TEMPLATE_DENIED.
const TEMPLATE_DENIED: u32 = 0x8009_4012;
/// CERTSRV_E_UNSUPPORTED_CERT_TYPE.
const UNSUPPORTED_TEMPLATE: u32 = 0x8009_4800;
/// E_ACCESSDENIED.
const ACCESS_DENIED: u32 = 0x8007_0005;
/// RPC_S_SERVER_UNAVAILABLE, as an HRESULT.
const RPC_UNAVAILABLE: u32 = 0x8007_06ba;

/// Reads a Fault element; what is missing or malformed in it is left out.
pub(super) fn read(fault: Node<'_, '_>) -> Fault {
    let mut read = Fault::default();
    let mut code = child(fault, ENVELOPE, "Code");
    while let Some(node) = code
        && read.codes.len() < 8
    {
        if let Some(value) = child(node, ENVELOPE, "Value").map(text) {
            let local = value.rsplit(':').next().unwrap_or_default();
            read.codes.push(words(local.as_bytes()));
        }
        code = child(node, ENVELOPE, "Subcode");
    }
    read.reason = child(fault, ENVELOPE, "Reason")
        .and_then(|reason| child(reason, ENVELOPE, "Text"))
        .map(|node| words(text(node).as_bytes()))
        .unwrap_or_default();
    let detail = child(fault, ENVELOPE, "Detail")
        .and_then(|detail| child(detail, ENROLLMENT, "CertificateEnrollmentWSDetail"));
    if let Some(detail) = detail {
        let value = |name| child(detail, ENROLLMENT, name).map(text);
        // xs:int: an HRESULT is written as a negative number.
        read.error_code = value("ErrorCode")
            .and_then(|text| text.parse::<i32>().ok())
            .filter(|code| *code != 0)
            .map(i32::cast_unsigned);
        read.invalid_request = value("InvalidRequest").map(|text| matches!(text, "true" | "1"));
        read.request_id = value("RequestID")
            .filter(|text| !text.is_empty())
            .map(|text| words(text.as_bytes()));
    }
    read
}

impl Fault {
    fn has(&self, codes: &[&str]) -> bool {
        self.codes.iter().any(|code| codes.contains(&code.as_str()))
    }

    fn class(&self, effect: Effect) -> (ErrorClass, &'static str) {
        // WS-Security 1.0 section 12, and what Windows says for an account that it does not know.
        const SECURITY: [&str; 6] = [
            "FailedAuthentication",
            "InvalidSecurity",
            "InvalidSecurityToken",
            "SecurityTokenUnavailable",
            "FailedCheck",
            "BadContextToken",
        ];
        if self.has(&SECURITY) {
            return (
                ErrorClass::Credential,
                "it does not accept the user name and password, or the clocks differ by more than five minutes",
            );
        }
        match self.error_code {
            Some(ACCESS_DENIED | ENROLL_DENIED) => {
                return (
                    ErrorClass::Credential,
                    "the account needs the right to request certificates at the authority",
                );
            }
            Some(TEMPLATE_DENIED) => {
                return (
                    ErrorClass::Credential,
                    "the account needs the right to enrol on this template",
                );
            }
            Some(UNSUPPORTED_TEMPLATE) => {
                return (
                    ErrorClass::Rejected,
                    "the authority does not issue this template: publish it there, or check its name (not the display name)",
                );
            }
            Some(RPC_UNAVAILABLE) => {
                return (
                    ErrorClass::Unavailable,
                    "the service does not reach its authority",
                );
            }
            _ => {}
        }
        if self.invalid_request == Some(true) {
            return (ErrorClass::Rejected, "the authority denied the request");
        }
        if self.has(&[
            "ActionNotSupported",
            "DestinationUnreachable",
            "MustUnderstand",
            "VersionMismatch",
        ]) {
            return (
                ErrorClass::Unsupported,
                "there is another service at this address than the one that is configured",
            );
        }
        match self.codes.first().map(String::as_str) {
            Some("Sender" | "DataEncodingUnknown") => {
                (ErrorClass::Rejected, "the service refuses the request")
            }
            _ => (
                effect.lost(),
                match effect {
                    Effect::None => "the service failed",
                    Effect::MayIssue => {
                        "the service failed, and the authority may have issued before it did"
                    }
                },
            ),
        }
    }

    /// What it means.
    pub(super) fn error(&self, effect: Effect) -> Error {
        let (class, meaning) = self.class(effect);
        let mut message = format!("{meaning} (SOAP fault");
        for code in &self.codes {
            message.push(' ');
            message.push_str(code);
        }
        if let Some(code) = self.error_code {
            message.push_str(&format!(", error {code:#010x}"));
        }
        if let Some(id) = &self.request_id {
            message.push_str(&format!(", request {id}"));
        }
        message.push(')');
        if !self.reason.is_empty() {
            message.push_str(&format!("; it says: {}", self.reason));
        }
        Error::new(class, message)
    }
}
