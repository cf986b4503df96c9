//! What the specifications say of requests, and answers in their words.

use base64ct::{Base64, Encoding};
use roxmltree::{Document, Node};
use std::collections::BTreeSet;
use std::path::Path;

use crate::support::openssl::{openssl, text};
use crate::support::{Reply, Request};

const SOAP: &str = "http://www.w3.org/2003/05/soap-envelope";
const WSA: &str = "http://www.w3.org/2005/08/addressing";
const WST: &str = "http://docs.oasis-open.org/ws-sx/ws-trust/200512";
const WSSE: &str =
    "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd";
const WSU: &str =
    "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd";
const WSTEP: &str = "http://schemas.microsoft.com/windows/pki/2009/01/enrollment";
const XCEP: &str = "http://schemas.microsoft.com/windows/pki/2009/01/enrollmentpolicy";
const AUTH: &str = "http://schemas.xmlsoap.org/ws/2006/12/authorization";
const XSI: &str = "http://www.w3.org/2001/XMLSchema-instance";
const X509: &str =
    "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-x509-token-profile-1.0#X509v3";

/// What was asked for.
pub(crate) enum What {
    /// A certificate for this CSR (DER), with this template in the additional context.
    Issue(Vec<u8>, Option<String>),
    /// The state of this request.
    Status(String),
}

pub(crate) struct Asked {
    pub(crate) what: What,
    pub(crate) message_id: String,
    pub(crate) login: Option<(String, String)>,
}

fn names(node: Node<'_, '_>) -> Vec<(String, String)> {
    let elements = node.children().filter(Node::is_element);
    elements
        .map(|child| {
            let tag = child.tag_name();
            (
                tag.namespace().unwrap_or_default().to_owned(),
                tag.name().to_owned(),
            )
        })
        .collect()
}

fn only<'a, 'i>(node: Node<'a, 'i>, namespace: &str, name: &str) -> Node<'a, 'i> {
    let mut found = node
        .children()
        .filter(|child| child.has_tag_name((namespace, name)));
    let only = found.next().unwrap_or_else(|| panic!("no {name}"));
    assert!(found.next().is_none(), "more than one {name}");
    only
}

/// The headers of SOAP 1.2, WS-Addressing and WS-Security; the body's element is given to `body`.
fn envelope<T>(
    seen: &Request,
    action: &str,
    body: impl FnOnce(Node<'_, '_>) -> T,
) -> (T, String, Option<(String, String)>) {
    assert_eq!(seen.method, "POST");
    assert_eq!(
        seen.header("content-type"),
        Some("application/soap+xml; charset=utf-8")
    );
    assert_eq!(seen.header("authorization"), None);
    let xml = std::str::from_utf8(&seen.body).unwrap();
    let document = Document::parse(xml).unwrap();
    let root = document.root_element();
    assert!(root.has_tag_name((SOAP, "Envelope")));
    let part = |name: &str| (SOAP.to_owned(), name.to_owned());
    assert_eq!(names(root), [part("Header"), part("Body")]);

    let header = only(root, SOAP, "Header");
    let understood = |node: Node<'_, '_>| node.attribute((SOAP, "mustUnderstand")) == Some("1");
    let sent = only(header, WSA, "Action");
    assert!(understood(sent));
    assert_eq!(sent.text(), Some(action));
    let to = only(header, WSA, "To");
    assert!(understood(to));
    assert!(to.text().unwrap().ends_with(&seen.path) && to.text().unwrap().starts_with("https://"));
    let reply = only(only(header, WSA, "ReplyTo"), WSA, "Address");
    assert_eq!(reply.text().unwrap(), format!("{WSA}/anonymous"));
    let message_id = only(header, WSA, "MessageID").text().unwrap().to_owned();
    assert!(
        message_id.starts_with("urn:uuid:") && message_id.len() == 45,
        "{message_id}"
    );
    let known = [
        (WSA, "Action"),
        (WSA, "To"),
        (WSA, "ReplyTo"),
        (WSA, "MessageID"),
        (WSSE, "Security"),
    ];
    for (namespace, name) in names(header) {
        assert!(
            known.contains(&(namespace.as_str(), name.as_str())),
            "{name}"
        );
    }
    let security = header
        .children()
        .find(|node| node.has_tag_name((WSSE, "Security")));
    let login = security.map(|security| {
        assert!(understood(security));
        let time = only(security, WSU, "Timestamp");
        let (created, expires) = (
            only(time, WSU, "Created").text().unwrap(),
            only(time, WSU, "Expires").text().unwrap(),
        );
        assert!(created < expires && created.ends_with('Z') && expires.ends_with('Z'));
        let token = only(security, WSSE, "UsernameToken");
        let password = only(token, WSSE, "Password");
        assert!(
            password
                .attribute("Type")
                .unwrap()
                .ends_with("#PasswordText")
        );
        (
            only(token, WSSE, "Username").text().unwrap().to_owned(),
            password.text().unwrap().to_owned(),
        )
    });
    let mut elements = only(root, SOAP, "Body").children().filter(Node::is_element);
    let answer = body(elements.next().unwrap());
    assert!(elements.next().is_none());
    (answer, message_id, login)
}

/// RequestSecurityToken (MS-WSTEP section 3.1.4.1.3.3).
pub(crate) fn read_request(seen: &Request) -> Asked {
    assert_eq!(seen.path, "/CA_CES/service.svc/CES");
    let action = format!("{WSTEP}/RST/wstep");
    let (what, message_id, login) = envelope(seen, &action, |token| {
        assert!(token.has_tag_name((WST, "RequestSecurityToken")));
        assert_eq!(only(token, WST, "TokenType").text(), Some(X509));
        let id = only(token, WSTEP, "RequestID");
        let kind = only(token, WST, "RequestType").text().unwrap().to_owned();
        let expected: BTreeSet<_> = names(token).into_iter().map(|(_, name)| name).collect();
        let is = |names: &[&str]| expected == names.iter().map(|name| (*name).to_owned()).collect();
        if kind == format!("{WSTEP}/QueryTokenStatus") {
            assert!(
                is(&["TokenType", "RequestType", "RequestID"]),
                "{expected:?}"
            );
            return What::Status(id.text().unwrap().to_owned());
        }
        assert_eq!(kind, format!("{WST}/Issue"));
        assert_eq!(id.attribute((XSI, "nil")), Some("true"));
        let binary = only(token, WSSE, "BinarySecurityToken");
        assert_eq!(
            binary.attribute("ValueType").unwrap(),
            format!("{WSTEP}#PKCS10")
        );
        assert_eq!(
            binary.attribute("EncodingType").unwrap(),
            format!("{WSSE}#base64binary")
        );
        let csr: String = binary.text().unwrap().split_whitespace().collect();
        let csr = Base64::decode_vec(&csr).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("csr");
        std::fs::write(&file, &csr).unwrap();
        openssl(&[
            "req",
            "-inform",
            "DER",
            "-in",
            text(&file),
            "-verify",
            "-noout",
        ]);
        let context = token
            .children()
            .find(|node| node.has_tag_name((AUTH, "AdditionalContext")));
        let template = context.map(|context| {
            let item = only(context, AUTH, "ContextItem");
            assert_eq!(item.attribute("Name"), Some("CertificateTemplate"));
            only(item, AUTH, "Value").text().unwrap().to_owned()
        });
        match template {
            Some(_) => assert!(is(&[
                "TokenType",
                "RequestType",
                "BinarySecurityToken",
                "AdditionalContext",
                "RequestID"
            ])),
            None => assert!(is(&[
                "TokenType",
                "RequestType",
                "BinarySecurityToken",
                "RequestID"
            ])),
        }
        What::Issue(csr, template)
    });
    Asked {
        what,
        message_id,
        login,
    }
}

/// GetPolicies (MS-XCEP section 3.1.4.1.2.1); the request's name.
pub(crate) fn read_policies(seen: &Request) -> String {
    assert_eq!(seen.path, "/CEP/service.svc/CEP");
    let action = format!("{XCEP}/IPolicy/GetPolicies");
    let ((), message_id, _) = envelope(seen, &action, |body| {
        assert!(body.has_tag_name((XCEP, "GetPolicies")));
        let element = |name: &str| (XCEP.to_owned(), name.to_owned());
        assert_eq!(names(body), [element("client"), element("requestFilter")]);
        let client = only(body, XCEP, "client");
        assert_eq!(
            names(client),
            [element("lastUpdate"), element("preferredLanguage")]
        );
    });
    message_id
}

/// An answer with this action and this element, to the request with this name.
pub(crate) fn answer(action: &str, relates_to: &str, body: &str) -> Reply {
    envelope_with(200, action, relates_to, body)
}

fn envelope_with(status: u16, action: &str, relates_to: &str, body: &str) -> Reply {
    let xml = format!(
        "<s:Envelope xmlns:s=\"{SOAP}\" xmlns:a=\"{WSA}\"><s:Header><a:Action s:mustUnderstand=\"1\">\r\n{action}</a:Action><ActivityId \
         CorrelationId=\"a0f231a3-ccf2-4b9c-99a6-bc353a59b5d0\" xmlns=\"http://schemas.microsoft.com/2004/09/ServiceModel/Diagnostics\">\
         95427c83-902c-48db-9529-f61cc1d8c035</ActivityId><a:RelatesTo>{relates_to}</a:RelatesTo></s:Header><s:Body>{body}</s:Body>\
         </s:Envelope>"
    );
    Reply::Answer(
        status,
        vec![(
            "content-type",
            "application/soap+xml; charset=utf-8".to_owned(),
        )],
        xml.into_bytes(),
    )
}

/// Base64 with the ends of lines that Windows writes, as a reference to a character.
fn wrapped(bytes: &[u8]) -> String {
    let text = Base64::encode_string(bytes);
    let lines: Vec<_> = text
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).unwrap())
        .collect();
    lines.join("&#xD;\n")
}

pub(crate) fn rstrc() -> String {
    format!("{WSTEP}/RSTRC/wstep")
}

/// What a collection of responses has in it (MS-WSTEP section 3.1.4.1.3.4).
pub(crate) fn response(
    disposition: &str,
    message: Option<&[u8]>,
    requested: &str,
    id: &str,
) -> String {
    let message = message.map_or_else(String::new, |message| {
        format!(
            "<BinarySecurityToken ValueType=\"{WSSE}#PKCS7\" EncodingType=\"{WSSE}#base64binary\" xmlns=\"{WSSE}\">{}</BinarySecurityToken>",
            wrapped(message)
        )
    });
    format!(
        "<RequestSecurityTokenResponse><TokenType>{X509}</TokenType><DispositionMessage xml:lang=\"en-US\" xmlns=\"{WSTEP}\">{disposition}\
         </DispositionMessage>{message}<RequestedSecurityToken>{requested}</RequestedSecurityToken><RequestID xmlns=\"{WSTEP}\">{id}\
         </RequestID></RequestSecurityTokenResponse>"
    )
}

pub(crate) fn collection(responses: &str) -> String {
    format!(
        "<RequestSecurityTokenResponseCollection xmlns=\"{WST}\">{responses}</RequestSecurityTokenResponseCollection>"
    )
}

pub(crate) fn certificate_token(der: &[u8]) -> String {
    format!(
        "<BinarySecurityToken ValueType=\"{X509}\" EncodingType=\"{WSSE}#base64binary\" xmlns=\"{WSSE}\">{}</BinarySecurityToken>",
        wrapped(der)
    )
}

pub(crate) fn issued(asked: &Asked, certificate: &[u8], message: &[u8]) -> Reply {
    let response = response(
        "Issued",
        Some(message),
        &certificate_token(certificate),
        "65",
    );
    answer(&rstrc(), &asked.message_id, &collection(&response))
}

pub(crate) fn pending(asked: &Asked, id: &str, message: Option<&[u8]>) -> Reply {
    let reference = format!(
        "<SecurityTokenReference xmlns=\"{WSSE}\"><Reference URI=\"https://elsewhere.example/service.svc/CES\"/></SecurityTokenReference>"
    );
    let response = response("Taken Under Submission", message, &reference, id);
    answer(&rstrc(), &asked.message_id, &collection(&response))
}

/// A fault (SOAP 1.2, MS-WSTEP section 3.1.4.1.3.7).
#[derive(Clone, Copy)]
pub(crate) struct Fault {
    pub(crate) code: &'static str,
    pub(crate) subcode: &'static str,
    /// HRESULT and InvalidRequest.
    pub(crate) detail: Option<(i32, bool)>,
}

impl Fault {
    pub(crate) fn reply(self, relates_to: &str) -> Reply {
        let detail = self.detail.map_or_else(String::new, |(error, invalid)| {
            format!(
                "<s:Detail><CertificateEnrollmentWSDetail xmlns=\"{WSTEP}\" xmlns:xsi=\"{XSI}\"><BinaryResponse xsi:nil=\"true\"/><ErrorCode>\
                 {error}</ErrorCode><InvalidRequest>{invalid}</InvalidRequest><RequestID>77</RequestID></CertificateEnrollmentWSDetail>\
                 </s:Detail>"
            )
        });
        let body = format!(
            "<s:Fault><s:Code><s:Value>s:{}</s:Value><s:Subcode><s:Value xmlns:q=\"urn:q\">q:{}</s:Value></s:Subcode></s:Code><s:Reason>\
             <s:Text xml:lang=\"en-US\">words of the\r\n authority</s:Text></s:Reason>{detail}</s:Fault>",
            self.code, self.subcode
        );
        let status = match self.code {
            "Sender" => 400,
            _ => 500,
        };
        let action = "http://schemas.microsoft.com/net/2005/12/windowscommunicationfoundation/dispatcher/fault";
        envelope_with(status, action, relates_to, &body)
    }
}

/// What the policy service says.
pub(crate) struct Policy {
    pub(crate) template: &'static str,
    pub(crate) may_enroll: bool,
    pub(crate) service: String,
    pub(crate) certificates: Vec<Vec<u8>>,
}

impl Policy {
    /// As the example of MS-XCEP section 4.1.1.2 has it.
    pub(crate) fn reply(&self, relates_to: &str) -> Reply {
        let nil = |name: &str| format!("<{name} xsi:nil=\"true\"/>");
        let authorities: String = self
            .certificates
            .iter()
            .enumerate()
            .map(|(number, certificate)| {
                format!(
                    "<cA><uris><cAURI><clientAuthentication>8</clientAuthentication><uri>{}</uri><priority>1</priority><renewalOnly>false\
                     </renewalOnly></cAURI></uris><certificate>{}</certificate><enrollPermission>true</enrollPermission><cAReferenceID>\
                     {number}</cAReferenceID></cA>",
                    self.service,
                    wrapped(certificate)
                )
            })
            .collect();
        let body = format!(
            "<GetPoliciesResponse xmlns=\"{XCEP}\" xmlns:xsi=\"{XSI}\"><response><policyID>{{083C7011-1D0A-4855-885D-AC945184658C}}\
             </policyID><policyFriendlyName>Policy</policyFriendlyName><nextUpdateHours>8</nextUpdateHours>{}<policies><policy>\
             <policyOIDReference>9</policyOIDReference><cAs><cAReference>0</cAReference></cAs><attributes><commonName>{}</commonName>\
             <policySchema>1</policySchema><certificateValidity><validityPeriodSeconds>31536000</validityPeriodSeconds>\
             <renewalPeriodSeconds>3628800</renewalPeriodSeconds></certificateValidity><permission><enroll>{}</enroll><autoEnroll>false\
             </autoEnroll></permission><privateKeyAttributes><minimalKeyLength>2048</minimalKeyLength>{}</privateKeyAttributes>\
             </attributes></policy></policies></response><cAs>{authorities}</cAs>{}</GetPoliciesResponse>",
            nil("policiesNotChanged"),
            self.template,
            self.may_enroll,
            nil("keySpec"),
            nil("oIDs"),
        );
        answer(
            &format!("{XCEP}/IPolicy/GetPoliciesResponse"),
            relates_to,
            &body,
        )
    }
}

/// A full response of CMC (RFC 5272 section 3.2) as far as this client looks: content signed by `signer` (certificate and key, PEM), with the
/// certificate (DER) in it.
pub(crate) fn full_response(signer: (&Path, &Path), certificate: &[u8]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let (der, pem) = (folder.path().join("der"), folder.path().join("pem"));
    std::fs::write(&der, certificate).unwrap();
    std::fs::write(
        &pem,
        openssl(&["x509", "-inform", "DER", "-in", text(&der)]),
    )
    .unwrap();
    let content = folder.path().join("content");
    std::fs::write(&content, [0x30, 0x06, 0x30, 0x00, 0x30, 0x00, 0x30, 0x00]).unwrap();
    openssl(&[
        "cms",
        "-sign",
        "-nodetach",
        "-binary",
        "-outform",
        "DER",
        "-econtent_type",
        "1.3.6.1.5.5.7.12.3",
        "-in",
        text(&content),
        "-signer",
        text(signer.0),
        "-inkey",
        text(signer.1),
        "-certfile",
        text(&pem),
    ])
}
