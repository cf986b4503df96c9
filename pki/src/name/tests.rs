#![allow(clippy::unwrap_used, clippy::panic)]

use super::*;

fn values(pairs: &[(Variable, &str)]) -> Values {
    let mut values = Values::new();
    for (variable, value) in pairs {
        values.set(*variable, value).unwrap();
    }
    values
}

fn fill(template: &str, pairs: &[(Variable, &str)]) -> Result<Name, NameError> {
    SubjectTemplate::parse(template)?.fill(&values(pairs), Lengths::Rfc5280)
}

fn text(template: &str) -> String {
    rfc4514(&fill(template, &[]).unwrap())
}

#[test]
fn escapes_quotes_and_spaces_are_those_of_rfc_4514() {
    for (template, written) in [
        (
            "CN=Ada Lovelace,O=Example,C=DE",
            "CN=Ada Lovelace,O=Example,C=DE",
        ),
        ("  CN = Ada , O =  Example  ", "CN=Ada,O=Example"),
        ("CN=Example\\, Inc.", "CN=Example\\, Inc."),
        (
            "CN=\"Example, Inc. + Co; a=b\"",
            "CN=Example\\, Inc. \\+ Co\\; a=b",
        ),
        ("CN=a=b", "CN=a=b"),
        ("CN=\\#1\\ ", "CN=\\#1\\ "),
        ("CN=\\ x", "CN=\\ x"),
        ("CN=Lu\\C4\\8Di\\C4\\87", "CN=Lučić"),
        (
            "OU=Sales+CN=J.  Smith,DC=example,DC=net",
            "OU=Sales+CN=J.  Smith,DC=example,DC=net",
        ),
        ("2.5.4.3=x", "CN=x"),
        ("OID.2.5.4.3=x", "CN=x"),
        ("CN=\\7B\\7BUserName\\7D\\7D", "CN={{UserName}}"),
        ("", ""),
    ] {
        assert_eq!(text(template), written, "{template}");
    }
}

#[test]
fn what_is_written_is_read_again_as_the_same_name() {
    let hard = "a,b+c\"d\\e<f>g;h=i#j";
    let name = fill(
        "CN={{UserName}},O={{DeviceName}},E={{EmailAddress}}",
        &[
            (Variable::UserName, hard),
            (Variable::DeviceName, " {{x}} "),
            (Variable::EmailAddress, "a@example.com"),
        ],
    )
    .unwrap();
    // Without variables, braces are text.
    let again = fill(
        "{{OnPrem_Distinguished_Name}}",
        &[(Variable::OnPremDistinguishedName, &rfc4514(&name))],
    )
    .unwrap();
    assert_eq!(again, name);
}

#[test]
fn values_never_change_the_structure() {
    let wicked = "x,O=Evil+CN=admin/CN=root\\,\"";
    let name = fill(
        "CN={{UserName}},OU=a {{UserName}} b,O=Good",
        &[(Variable::UserName, wicked)],
    )
    .unwrap();
    assert_eq!(name.iter_rdn().count(), 3);
    let found: Vec<String> = name
        .iter()
        .map(|attribute| value_text(&attribute.value).unwrap())
        .collect();
    assert_eq!(
        found,
        [
            "Good".to_owned(),
            format!("a {wicked} b"),
            wicked.to_owned()
        ]
    );
    // In an attribute a distinguished name is text as well.
    let dn = "CN=Jane,OU=Users,DC=corp,DC=example";
    let one = fill(
        "CN={{OnPrem_Distinguished_Name}}",
        &[(Variable::OnPremDistinguishedName, dn)],
    )
    .unwrap();
    assert_eq!(one.iter_rdn().count(), 1);
    let whole = fill(
        "{{OnPrem_Distinguished_Name}}",
        &[(Variable::OnPremDistinguishedName, dn)],
    )
    .unwrap();
    assert_eq!(rfc4514(&whole), dn);
}

#[test]
fn lengths_are_those_of_rfc_5280_and_counted_in_characters() {
    let long = "é".repeat(64);
    assert!(fill("CN={{UserName}}", &[(Variable::UserName, &long)]).is_ok());
    let longer = "é".repeat(65);
    let error = fill("CN={{UserName}}", &[(Variable::UserName, &longer)]).unwrap_err();
    assert!(error.to_string().contains("CN"), "{error}");
    let template = SubjectTemplate::parse("CN={{UserName}}").unwrap();
    let with_policy = |count: usize| {
        let value = "x".repeat(count);
        template.fill(
            &values(&[(Variable::UserName, &value)]),
            Lengths::LongCommonName,
        )
    };
    assert!(with_policy(256).is_ok());
    assert!(with_policy(257).is_err());
    // The switch is for the common name only.
    let organization = SubjectTemplate::parse("O={{UserName}}").unwrap();
    let filled = organization.fill(
        &values(&[(Variable::UserName, &longer)]),
        Lengths::LongCommonName,
    );
    assert!(filled.is_err());
}

#[test]
fn each_attribute_has_the_string_type_of_rfc_5280() {
    use der::{Tag, Tagged};
    for (template, tag) in [
        ("CN=x", Tag::Utf8String),
        ("O=Ünïcode", Tag::Utf8String),
        ("C=DE", Tag::PrintableString),
        ("serialNumber=A-1", Tag::PrintableString),
        ("E=a@b.example", Tag::Ia5String),
        ("DC=example", Tag::Ia5String),
        ("1.3.6.1.4.1.32473.1=x", Tag::Utf8String),
    ] {
        let name = fill(template, &[]).unwrap();
        let attribute = name.iter().next().unwrap();
        assert_eq!(attribute.value.tag(), tag, "{template}");
    }
    for refused in [
        "C=Germany",
        "C=D1",
        "serialNumber=a_b",
        "E=ü@b.example",
        "DC=ü",
    ] {
        assert!(
            matches!(fill(refused, &[]), Err(NameError::Value { .. })),
            "{refused}"
        );
    }
}

#[test]
fn a_missing_or_empty_value_names_the_variable_or_the_attribute() {
    let error = fill("CN={{UserName}}", &[]).unwrap_err().to_string();
    assert!(error.contains("{{UserName}}"), "{error}");
    let error = fill("OU={{DeviceName}}", &[(Variable::DeviceName, "  ")])
        .unwrap_err()
        .to_string();
    assert!(error.contains("OU"), "{error}");
}

#[test]
fn what_is_no_template_is_refused_with_its_place() {
    for (wrong, at) in [
        ("CN", 1),
        ("CN=a,", 6),
        ("CN=a,,O=b", 6),
        ("CN=a;O=b", 5),
        ("CN=", 4),
        ("CN=\"a", 4),
        ("CN=\"a\"b", 7),
        ("CN=a\\x", 7),
        ("CN=a\\4", 7),
        ("CN=#0401", 4),
        ("XY=a", 1),
        ("CN=a+CN=b", 10),
        ("{{UserName}}", 1),
        ("CN={{UserName", 4),
        ("CN=<a>", 4),
    ] {
        match SubjectTemplate::parse(wrong) {
            Err(TemplateError::Syntax { at: found, .. }) => assert_eq!(found, at, "{wrong}"),
            other => panic!("{wrong}: {other:?}"),
        }
    }
    assert!(SubjectTemplate::parse("CN=\\00").is_err());
    assert!(SubjectTemplate::parse("CN=\\FF").is_err());
    assert!(SubjectTemplate::parse(&"CN=x,".repeat(1000)).is_err());
}

#[test]
fn a_directory_name_that_is_none_or_too_long_is_refused() {
    for value in ["no name", "CN=a,,", &"DC=a,".repeat(40)] {
        let filled = fill(
            "{{OnPrem_Distinguished_Name}}",
            &[(Variable::OnPremDistinguishedName, value)],
        );
        assert!(
            matches!(filled, Err(NameError::DistinguishedName(_))),
            "{value}"
        );
    }
    let dn = ["DC=a"; 32].join(",");
    let filled = fill(
        "CN=x,{{OnPrem_Distinguished_Name}}",
        &[(Variable::OnPremDistinguishedName, &dn)],
    );
    assert_eq!(filled, Err(NameError::TooLarge));
}

/// Whatever characters the text is made of, reading it ends in a template or in a refusal.
#[test]
fn no_text_of_special_characters_panics_and_every_accepted_one_survives_writing() {
    let alphabet: Vec<char> = "CN=,+\\\"{}#; aé0F".chars().collect();
    let mut state: u64 = 7;
    let mut accepted = 0;
    for _ in 0..20_000 {
        let mut text = String::from("CN=");
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        for step in 0..(state >> 60) {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(step);
            let place = usize::try_from(state >> 33).unwrap() % alphabet.len();
            text.push(*alphabet.get(place).unwrap());
        }
        let Ok(name) = fill(&text, &[]) else { continue };
        accepted += 1;
        let written = rfc4514(&name);
        let again = fill(
            "{{OnPrem_Distinguished_Name}}",
            &[(Variable::OnPremDistinguishedName, &written)],
        );
        assert_eq!(again, Ok(name), "{text:?} {written:?}");
    }
    assert!(accepted > 500, "{accepted}");
}

/// A name of one attribute, whose value has this tag and these octets.
fn of_value(oid: &str, tag: der::Tag, value: &[u8]) -> Name {
    let mut set = der::asn1::SetOfVec::new();
    set.insert(x509_cert::attr::AttributeTypeAndValue {
        oid: const_oid::ObjectIdentifier::new_unwrap(oid),
        value: der::Any::new(tag, value).unwrap(),
    })
    .unwrap();
    let der = RdnSequence::from(vec![set.into()]).to_der().unwrap();
    Name::from_der(&der).unwrap()
}

#[test]
fn names_are_compared_as_texts_whatever_their_type_and_as_octets_where_they_are_none() {
    use der::Tag;
    let (organization, unit) = ("2.5.4.10", "2.5.4.11");
    let same = |one: &Name, other: &Name| Comparable::of(one) == Comparable::of(other);
    let usual = of_value(organization, Tag::Utf8String, b"Muster AG");
    for (tag, value) in [
        (Tag::PrintableString, &b"MUSTER  ag "[..]),
        (Tag::TeletexString, b" muster AG"),
        (Tag::BmpString, b"\0M\0u\0s\0t\0e\0r\0 \0A\0G"),
    ] {
        assert!(same(&usual, &of_value(organization, tag, value)), "{tag}");
        assert!(!same(&usual, &of_value(unit, tag, value)), "{tag}");
    }
    for other in [&b"MusterAG"[..], b"Muster", b"", b"Muster AG."] {
        assert!(!same(
            &usual,
            &of_value(organization, Tag::Utf8String, other)
        ));
    }
    let octets = of_value(organization, Tag::OctetString, b"Muster AG");
    assert!(!same(&usual, &octets));
    assert!(same(&octets, &octets));
    let other = of_value(organization, Tag::OctetString, b"muster AG");
    assert!(!same(&octets, &other));
}
