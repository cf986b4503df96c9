#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use super::*;
use fips::secret::Password;

#[test]
fn a_password_arrives_as_it_is_and_nothing_breaks_out_of_its_element() {
    let login = Login {
        user: "EXAMPLE\\jo<&>\"'".to_owned(),
        password: Password::from_slice("a<b>&\"c'</o:Password>\u{e4}".as_bytes()),
    };
    let envelope = Envelope {
        action: "urn:a&b",
        to: "https://ca.example.org/x?a=1",
        message_id: "urn:uuid:1",
        login: Some(&login),
        now_ms: 1_237_849_131_549,
        body: "<x xmlns=\"urn:x\"/>",
    };
    let bytes = envelope.write();
    let document = parse(bytes.expose()).unwrap();
    let find = |namespace, name| {
        let mut found = document
            .descendants()
            .filter(move |node| node.has_tag_name((namespace, name)));
        let only: Node<'_, '_> = found.next().unwrap();
        assert!(found.next().is_none());
        only.text().unwrap().to_owned()
    };
    assert_eq!(find(SECURITY, "Password"), "a<b>&\"c'</o:Password>\u{e4}");
    assert_eq!(find(SECURITY, "Username"), "EXAMPLE\\jo<&>\"'");
    assert_eq!(find(ADDRESSING, "Action"), "urn:a&b");
    assert_eq!(find(UTILITY, "Created"), "2009-03-23T22:58:51.549Z");
    assert_eq!(find(UTILITY, "Expires"), "2009-03-23T23:03:51.549Z");
}

#[test]
fn document_types_entities_depth_and_size_are_refused() {
    let entity = "<!DOCTYPE a [<!ENTITY b \"x\">]><a>&b;</a>";
    assert!(parse(entity.as_bytes()).unwrap_err().contains("XML"));
    assert!(parse(b"<a>&unknown;</a>").is_err());
    assert!(parse(&[0xff, 0xfe]).unwrap_err().contains("UTF-8"));
    assert!(
        parse(&vec![b' '; MAX_BYTES + 1])
            .unwrap_err()
            .contains("octets")
    );
    let deep = |count: usize| format!("{}{}", "<a>".repeat(count), "</a>".repeat(count));
    assert!(parse(deep(MAX_DEPTH).as_bytes()).is_ok());
    assert!(
        parse(deep(MAX_DEPTH + 1).as_bytes())
            .unwrap_err()
            .contains("within")
    );
    assert!(
        parse(deep(500_000).as_bytes())
            .unwrap_err()
            .contains("within")
    );
    let hidden = |count: usize| {
        format!(
            "{}{}",
            "<a b='/>' c=\"'/>\"><!-- </a> -->".repeat(count),
            "</a>".repeat(count)
        )
    };
    assert!(parse(hidden(MAX_DEPTH).as_bytes()).is_ok());
    assert!(
        parse(hidden(30_000).as_bytes())
            .unwrap_err()
            .contains("within")
    );
    assert!(parse("<a><!--".repeat(50_000).as_bytes()).is_err());
    let wide = format!("<a>{}</a>", "<b/>".repeat(MAX_NODES as usize));
    assert!(parse(wide.as_bytes()).is_err());
    assert!(parse("\u{feff}<?xml version=\"1.0\"?><a/>".as_bytes()).is_ok());
}
