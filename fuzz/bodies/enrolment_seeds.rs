//! What EST servers and the enrolment services of AD CS answer.

use super::{Seed, identities};
use pfx_connector::encoding::Base64Bytes;

/// A message with the identities' certificates, and the attributes of RFC 7030 section 4.5.2.
pub(super) fn certificates_alone() -> Vec<Seed> {
    let all: Vec<_> = identities().iter().map(|one| &one.certificate).collect();
    let attributes = "MEEGCSqGSIb3DQEJBzASBgcqhkjOPQIBMQcGBSuBBAAiMBYGCSqGSIb3DQEJDjEJBgcrBgEBAQEWBggqhkjOPQQDAw==";
    vec![
        Seed {
            name: "certificates".to_owned(),
            bytes: pki::certs_only::write(&all).unwrap(),
        },
        Seed {
            name: "attributes".to_owned(),
            bytes: Base64Bytes::decode(attributes).unwrap().0,
        },
    ]
}

/// One of each kind, as MS-WSTEP and MS-XCEP show them.
pub(super) fn soap_answers() -> Vec<Seed> {
    const POLICY: &str = "http://schemas.microsoft.com/windows/pki/2009/01/enrollmentpolicy";
    const ENROLLMENT: &str = "http://schemas.microsoft.com/windows/pki/2009/01/enrollment";
    const TRUST: &str = "http://docs.oasis-open.org/ws-sx/ws-trust/200512";
    const SECURITY: &str =
        "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd";
    let certificate = identities()
        .first()
        .map(|one| Base64Bytes(one.certificate.clone()).encode())
        .unwrap_or_default();
    let envelope = |name: &str, action: &str, body: &str| {
        Seed {
        name: name.to_owned(),
        bytes: format!(
            "<s:Envelope xmlns:s=\"http://www.w3.org/2003/05/soap-envelope\" xmlns:a=\"http://www.w3.org/2005/08/addressing\"><s:Header>\
             <a:Action s:mustUnderstand=\"1\">{action}</a:Action></s:Header><s:Body>{body}</s:Body></s:Envelope>"
        )
        .into_bytes(),
    }
    };
    let response = |requested: &str| {
        format!(
            "<RequestSecurityTokenResponseCollection xmlns=\"{TRUST}\"><RequestSecurityTokenResponse><DispositionMessage xmlns=\"{ENROLLMENT}\"\
             >x</DispositionMessage><RequestedSecurityToken>{requested}</RequestedSecurityToken><RequestID xmlns=\"{ENROLLMENT}\">65\
             </RequestID></RequestSecurityTokenResponse></RequestSecurityTokenResponseCollection>"
        )
    };
    let token =
        format!("<BinarySecurityToken xmlns=\"{SECURITY}\">{certificate}</BinarySecurityToken>");
    vec![
        envelope(
            "issued",
            &format!("{ENROLLMENT}/RSTRC/wstep"),
            &response(&token),
        ),
        envelope(
            "pending",
            &format!("{ENROLLMENT}/RSTRC/wstep"),
            &response(""),
        ),
        envelope(
            "policies",
            &format!("{POLICY}/IPolicy/GetPoliciesResponse"),
            &format!(
                "<GetPoliciesResponse xmlns=\"{POLICY}\"><response><policies><policy><attributes><commonName>User</commonName><permission>\
                 <enroll>true</enroll></permission></attributes></policy></policies></response><cAs><cA><uris><cAURI><clientAuthentication>8\
                 </clientAuthentication><uri>https://x/</uri></cAURI></uris><certificate>{certificate}</certificate></cA></cAs>\
                 </GetPoliciesResponse>"
            ),
        ),
        envelope(
            "fault",
            "urn:fault",
            &format!(
                "<s:Fault><s:Code><s:Value>s:Receiver</s:Value></s:Code><s:Reason><s:Text xml:lang=\"en\">x</s:Text></s:Reason><s:Detail>\
                 <CertificateEnrollmentWSDetail xmlns=\"{ENROLLMENT}\"><ErrorCode>-2146877420</ErrorCode><InvalidRequest>true\
                 </InvalidRequest></CertificateEnrollmentWSDetail></s:Detail></s:Fault>"
            ),
        ),
    ]
}
