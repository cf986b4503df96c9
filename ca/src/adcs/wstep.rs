//! Requests for certificates and their answers (MS-WSTEP sections 3.1.4.1.3.3 and 3.1.4.1.3.4).

use super::soap::{SECURITY, child, children, escape, joined, no_answer, text};
use crate::certificate::{Parts, issued_among};
use crate::text::{decode, encode_lines, words};
use crate::{Error, Issued};
use pki::certs_only;
use roxmltree::Node;

/// The action of requests.
pub(super) const REQUEST: &str =
    "http://schemas.microsoft.com/windows/pki/2009/01/enrollment/RST/wstep";
/// The action of answers.
pub(super) const ANSWER: &str =
    "http://schemas.microsoft.com/windows/pki/2009/01/enrollment/RSTRC/wstep";
/// The protocol's own namespace.
pub(super) const ENROLLMENT: &str = "http://schemas.microsoft.com/windows/pki/2009/01/enrollment";
const TRUST: &str = "http://docs.oasis-open.org/ws-sx/ws-trust/200512";
const AUTHORIZATION: &str = "http://schemas.xmlsoap.org/ws/2006/12/authorization";
const TOKEN_TYPE: &str =
    "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-x509-token-profile-1.0#X509v3";

/// The longest name of a request that is kept.
const MAX_REQUEST_ID: usize = 256;

/// A request to issue; `template`: checked by [`check_template`].
pub(super) fn issue(csr_der: &[u8], template: Option<&str>) -> String {
    let context = template.map_or_else(String::new, |template| {
        format!(
            "<AdditionalContext xmlns=\"{AUTHORIZATION}\"><ContextItem Name=\"CertificateTemplate\"><Value>{}</Value></ContextItem>\
             </AdditionalContext>",
            escape(template)
        )
    });
    format!(
        "<RequestSecurityToken xmlns=\"{TRUST}\"><TokenType>{TOKEN_TYPE}</TokenType><RequestType>{TRUST}/Issue</RequestType>\
         <BinarySecurityToken ValueType=\"{ENROLLMENT}#PKCS10\" EncodingType=\"{SECURITY}#base64binary\" xmlns=\"{SECURITY}\">{}\
         </BinarySecurityToken>{context}<RequestID xsi:nil=\"true\" xmlns=\"{ENROLLMENT}\"/></RequestSecurityToken>",
        encode_lines(csr_der),
    )
}

/// A question for a request that is pending (section 3.1.4.2.1.2).
pub(super) fn status(request_id: &str) -> String {
    format!(
        "<RequestSecurityToken xmlns=\"{TRUST}\"><TokenType>{TOKEN_TYPE}</TokenType><RequestType>{ENROLLMENT}/QueryTokenStatus\
         </RequestType><RequestID xmlns=\"{ENROLLMENT}\">{}</RequestID></RequestSecurityToken>",
        escape(request_id)
    )
}

/// That a template's name is a name: the service writes it into a list of lines, `name:value`, where another line would be another
/// attribute of the request.
pub(super) fn check_template(name: &str) -> Result<(), &'static str> {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | ' ');
    match name.is_empty() || name.chars().count() > 64 || !name.chars().all(plain) {
        false => Ok(()),
        true => Err("is no name of a template: 1 to 64 letters, digits, spaces, '-', '_' and '.'"),
    }
}

/// How a request stands.
#[derive(Debug)]
pub(super) enum Standing {
    Issued(Issued),
    Pending { request_id: String },
}

/// Reads RequestSecurityTokenResponseCollection; `spki`: the key that the request is for.
pub(super) fn read(collection: Node<'_, '_>, spki: &[u8]) -> Result<Standing, Error> {
    if collection.tag_name().name() != "RequestSecurityTokenResponseCollection"
        || collection.tag_name().namespace() != Some(TRUST)
    {
        return Err(no_answer("no collection of responses"));
    }
    let mut responses = children(collection, TRUST, "RequestSecurityTokenResponse");
    let response = responses.next().ok_or_else(|| no_answer("no response"))?;
    if responses.next().is_some() {
        return Err(no_answer(
            "more than one response (MS-WSTEP section 3.1.4.1.3.5)",
        ));
    }
    let kind = child(response, TRUST, "TokenType").map(|node| joined(text(node)));
    if kind.is_some_and(|kind| kind != TOKEN_TYPE) {
        return Err(no_answer("a token of another type than X.509"));
    }
    let requested = child(response, TRUST, "RequestedSecurityToken");
    let certificate = requested
        .and_then(|node| child(node, SECURITY, "BinarySecurityToken"))
        .map(token)
        .transpose()?;
    let message = child(response, SECURITY, "BinarySecurityToken")
        .map(token)
        .transpose()?;
    let mut others = match &message {
        Some(message) => {
            certs_only::read(message).map_err(|error| no_answer(&error.to_string()))?
        }
        None => Vec::new(),
    };
    if let Some(certificate_der) = certificate {
        if Parts::of(&certificate_der).is_err() {
            return Err(no_answer("the token is no certificate"));
        }
        others.retain(|other| *other != certificate_der);
        return Ok(Standing::Issued(Issued {
            certificate_der,
            others,
        }));
    }
    // Older services give the certificate in the message alone; with a pending request the authority's own are in it.
    let has_key = |der: &Vec<u8>| Parts::of(der).is_ok_and(|parts| parts.spki == spki);
    if others.iter().any(has_key)
        && let Some((certificate_der, others)) = issued_among(others, spki)
    {
        return Ok(Standing::Issued(Issued {
            certificate_der,
            others,
        }));
    }
    let request_id = child(response, ENROLLMENT, "RequestID")
        .map(text)
        .unwrap_or_default();
    let plain = |c: char| formats::text::is_printable(c) && !c.is_whitespace();
    if request_id.is_empty() || request_id.len() > MAX_REQUEST_ID || !request_id.chars().all(plain)
    {
        let disposition = child(response, ENROLLMENT, "DispositionMessage")
            .map(text)
            .unwrap_or_default();
        return Err(no_answer(&format!(
            "neither a certificate nor the name of a pending request; its disposition: {}",
            words(disposition.as_bytes())
        )));
    }
    Ok(Standing::Pending {
        request_id: request_id.to_owned(),
    })
}

fn token(node: Node<'_, '_>) -> Result<Vec<u8>, Error> {
    decode(text(node).as_bytes()).ok_or_else(|| no_answer("a token that is no base64"))
}
