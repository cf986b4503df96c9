//! Messages by which connectors get their certificates.

use pfx_connector::encoding::Base64Bytes;
use pfx_connector::gateway::api::ConnectorIdentity;
use pfx_connector::gateway::enrolment_api::{EnrolRequest, Enrolled, RenewRequest};
use serde_json::{Value, to_value};
use std::collections::BTreeMap;

pub(crate) fn samples(identity: &ConnectorIdentity) -> BTreeMap<&'static str, Vec<Value>> {
    let bytes = || Base64Bytes(vec![1, 2, 3]);
    let enrolled = Enrolled {
        certificate: Some(bytes()),
        chain: vec![bytes()],
        ask_again_ms: None,
    };
    let pending = Enrolled {
        certificate: None,
        chain: Vec::new(),
        ask_again_ms: Some(1),
    };
    let enrol = EnrolRequest {
        protocol: 1,
        instance: "i".to_owned(),
        csr: bytes(),
    };
    let renew = RenewRequest {
        connector: identity.clone(),
        csr: bytes(),
    };
    BTreeMap::from([
        (
            "Enrolled",
            vec![to_value(enrolled).unwrap(), to_value(pending).unwrap()],
        ),
        ("EnrolRequest", vec![to_value(enrol).unwrap()]),
        ("RenewRequest", vec![to_value(renew).unwrap()]),
    ])
}
