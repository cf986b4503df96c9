//! What may be enrolled for, and where (MS-XCEP section 3.1.4.1).

use super::soap::{child, children, no_answer, text};
use crate::Error;
use crate::text::decode;
use roxmltree::Node;

/// The action of requests.
pub(super) const REQUEST: &str =
    "http://schemas.microsoft.com/windows/pki/2009/01/enrollmentpolicy/IPolicy/GetPolicies";
/// The action of answers.
pub(super) const ANSWER: &str =
    "http://schemas.microsoft.com/windows/pki/2009/01/enrollmentpolicy/IPolicy/GetPoliciesResponse";
/// The protocol's own namespace.
pub(super) const POLICY: &str = "http://schemas.microsoft.com/windows/pki/2009/01/enrollmentpolicy";

/// The most templates and authorities that are kept.
const MAX_KEPT: usize = 1024;

/// GetPolicies without a filter: all that the credential may see.
pub(super) fn get_policies() -> String {
    format!(
        "<GetPolicies xmlns=\"{POLICY}\"><client><lastUpdate xsi:nil=\"true\"/><preferredLanguage xsi:nil=\"true\"/></client>\
         <requestFilter xsi:nil=\"true\"/></GetPolicies>"
    )
}

/// The policies of a service.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Policies {
    /// The templates.
    pub templates: Vec<Template>,
    /// The authorities.
    pub authorities: Vec<Authority>,
}

/// A template (CertificateEnrollmentPolicy).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// Its common name.
    pub name: String,
    /// Whether the credential may enrol.
    pub may_enroll: bool,
    /// The smallest key, in bits.
    pub minimal_key_bits: Option<u32>,
    /// How long its certificates are valid, in seconds.
    pub validity_s: Option<u64>,
}

/// An authority (CA).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authority {
    /// Its certificate (DER), as the service gives it.
    pub certificate_der: Vec<u8>,
    /// Whether the credential may ask it.
    pub may_enroll: bool,
    /// Where its enrolment services are, with what they take: 1 nothing, 2 Kerberos, 4 a user name, 8 a certificate.
    pub services: Vec<(u32, String)>,
}

/// Reads GetPoliciesResponse.
pub(super) fn read(response: Node<'_, '_>) -> Result<Policies, Error> {
    if response.tag_name().name() != "GetPoliciesResponse"
        || response.tag_name().namespace() != Some(POLICY)
    {
        return Err(no_answer("no response with policies"));
    }
    let inner = child(response, POLICY, "response")
        .ok_or_else(|| no_answer("no response with policies"))?;
    let mut read = Policies::default();
    let policies = child(inner, POLICY, "policies")
        .into_iter()
        .flat_map(|policies| children(policies, POLICY, "policy"));
    for policy in policies.take(MAX_KEPT) {
        let attributes = child(policy, POLICY, "attributes")
            .ok_or_else(|| no_answer("a policy without attributes"))?;
        let name = child(attributes, POLICY, "commonName")
            .map(text)
            .unwrap_or_default();
        let within = |outer: &str, name: &str| {
            child(attributes, POLICY, outer)
                .and_then(|node| child(node, POLICY, name))
                .map(text)
        };
        read.templates.push(Template {
            name: name.to_owned(),
            may_enroll: within("permission", "enroll").is_some_and(truth),
            minimal_key_bits: within("privateKeyAttributes", "minimalKeyLength")
                .and_then(|bits| bits.parse().ok()),
            validity_s: within("certificateValidity", "validityPeriodSeconds")
                .and_then(|text| text.parse().ok()),
        });
    }
    let authorities = child(response, POLICY, "cAs")
        .into_iter()
        .flat_map(|all| children(all, POLICY, "cA"));
    for authority in authorities.take(MAX_KEPT) {
        let certificate = child(authority, POLICY, "certificate")
            .map(text)
            .unwrap_or_default();
        let certificate_der = decode(certificate.as_bytes())
            .ok_or_else(|| no_answer("an authority whose certificate is no base64"))?;
        let services = child(authority, POLICY, "uris")
            .into_iter()
            .flat_map(|uris| children(uris, POLICY, "cAURI"))
            .take(MAX_KEPT)
            .filter_map(|uri| {
                let kind = child(uri, POLICY, "clientAuthentication")
                    .map(text)?
                    .parse()
                    .ok()?;
                Some((kind, child(uri, POLICY, "uri").map(text)?.to_owned()))
            })
            .collect();
        read.authorities.push(Authority {
            certificate_der,
            may_enroll: child(authority, POLICY, "enrollPermission")
                .map(text)
                .is_some_and(truth),
            services,
        });
    }
    Ok(read)
}

/// xs:boolean.
fn truth(text: &str) -> bool {
    matches!(text, "true" | "1")
}
