#![allow(clippy::unwrap_used, clippy::panic)]

use super::*;
use crate::template::Variable;
use der::{Decode, Encode};

fn name(text: &str) -> Result<SubjectAltName, SanError> {
    text.parse::<SanTemplate>()?.fill(&Values::new())
}

#[test]
fn every_kind_is_encoded_in_its_own_choice_and_read_again() {
    for (text, head) in [
        ("email:a.b+c@example.com", 0x81),
        ("email:jürgen@example.com", 0xa0),
        ("upn:jane@corp.example", 0xa0),
        ("upn:Jané Doe@corp.example", 0xa0),
        ("dns:host.example.com", 0x82),
        ("dns:*.example.com", 0x82),
        ("uri:urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6", 0x86),
        ("sid:S-1-5-21-1-2-3-1105", 0x86),
        (
            "URI:tag:microsoft.com,2022-09-14:sid:S-1-5-21-1-2-3-1105",
            0x86,
        ),
    ] {
        let asked = name(text).unwrap();
        let der = asked.to_general_name().unwrap().to_der().unwrap();
        assert_eq!(der.first(), Some(&head), "{text}");
        let again = SubjectAltName::of(&GeneralName::from_der(&der).unwrap());
        assert_eq!(again, Some(asked), "{text}");
    }
}

#[test]
fn the_sid_is_in_the_uri_that_windows_reads() {
    let GeneralName::UniformResourceIdentifier(uri) = name("sid:S-1-5-21-10-20-30-500")
        .unwrap()
        .to_general_name()
        .unwrap()
    else {
        panic!("no URI");
    };
    assert_eq!(
        uri.as_str(),
        "tag:microsoft.com,2022-09-14:sid:S-1-5-21-10-20-30-500"
    );
}

#[test]
fn what_is_not_what_its_kind_has_to_be_is_refused() {
    for wrong in [
        "email:",
        "email:a",
        "email:a@",
        "email:@b",
        "email:a@b@c d",
        "email:a..b@c",
        "email:a b@c",
        "email:a@ü.example",
        "email:a@-b.example",
        "email:<a@b.example>",
        "email:a,b@c.example",
        "upn:a",
        "upn:a@b@c",
        "upn:@b",
        "dns:a..b",
        "dns:-a.b",
        "dns:a_b.c",
        "dns:*.com",
        "dns:a.*.com",
        "dns:ü.com",
        "dns:a.b:443",
        "uri:nothing",
        "uri:ht tp://a",
        "uri:http://a%2",
        "uri:http://ü",
        "uri:1a:b",
        "sid:S-1-5",
        "sid:S-1-5-",
        "sid:S-1-5-21-4294967296",
        "sid:S-2-5-21-1",
        "sid:S-1-5-021",
        "sid:s-1-5-21-1",
        "sid:S-1-5-21-1-2-3-4-5-6-7-8-9-10-11-12-13-14-15",
        "uri:tag:microsoft.com,2022-09-14:sid:S-1-x",
        "ip:1.2.3.4",
        "nothing",
        "email:a\nb@c.example",
    ] {
        assert!(name(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn a_value_stays_in_its_name() {
    let mut values = Values::new();
    values
        .set(Variable::EmailAddress, "a@b.example,DNS:evil.example")
        .unwrap();
    let template: SanTemplate = "email:{{EmailAddress}}".parse().unwrap();
    assert!(template.fill(&values).is_err());
}

/// RFC 9598 section 3: an address in ASCII is an rfc822Name, and only that.
#[test]
fn an_ascii_address_in_the_name_for_others_is_not_taken() {
    let value = Any::encode_from(&Utf8StringRef::new("a@b.example").unwrap()).unwrap();
    let other = GeneralName::OtherName(OtherName {
        type_id: SMTP_UTF8_MAILBOX,
        value,
    });
    assert_eq!(SubjectAltName::of(&other), None);
}
