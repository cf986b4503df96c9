//! The same file in every encoding that X.690 allows: it opens, and holds the same.

use super::asn1::{der, indefinite, long_length, pieces};
use super::openssl::{KeyAlgorithm, Workshop};
use super::{open, refusal};
use formats::ber::{BerError, Element, Elements, normalise, tag};
use formats::pfx::BerForm;

const PASSWORD: &str = "Passw0rd!";

/// How elements are written again.
#[derive(Clone, Copy, Debug)]
enum Style {
    Indefinite,
    Long,
    Pieces(usize),
    /// Pieces within pieces.
    NestedPieces,
}

/// Every element again in another style, everything that is within it too; OCTET STRINGs stay opaque, unless `into` says otherwise for
/// those that hold an AuthenticatedSafe or a SafeContents.
fn again(element: Element<'_>, style: Style, into: bool) -> Vec<u8> {
    if element.tag == tag::OCTET_STRING {
        let inner = Element::whole(element.content)
            .ok()
            .filter(|inner| into && inner.tag == tag::SEQUENCE && holds_pfx_layers(*inner));
        let content = match inner {
            Some(inner) => again(inner, style, into),
            None => element.content.to_vec(),
        };
        return match style {
            Style::Pieces(size) => pieces(&content, size),
            Style::NestedPieces => {
                let (left, right) = content.split_at(content.len() / 2);
                indefinite(
                    0x24,
                    &[pieces(left, 100), der(0x04, right), der(0x24, &[])].concat(),
                )
            }
            Style::Indefinite => der(0x04, &content),
            Style::Long => long_length(0x04, &content),
        };
    }
    if !element.is_constructed() {
        return match style {
            Style::Long => long_length(element.tag, element.content),
            _ => element.raw.to_vec(),
        };
    }
    let mut content = Vec::new();
    let mut elements = element.elements();
    while let Some(inner) = elements.next_element().unwrap() {
        content.extend(again(inner, style, into));
    }
    match style {
        Style::Indefinite => indefinite(element.tag, &content),
        Style::Long => long_length(element.tag, &content),
        _ => der(element.tag, &content),
    }
}

/// A SEQUENCE of SEQUENCEs that begin with an object identifier of PKCS#7 or PKCS#12: no certificate and no key.
fn holds_pfx_layers(sequence: Element<'_>) -> bool {
    let mut elements = sequence.elements();
    let Ok(Some(first)) = elements.next_element() else {
        return false;
    };
    let pkcs = |id: &[u8]| {
        id.starts_with(b"\x2a\x86\x48\x86\xf7\x0d\x01\x07")
            || id.starts_with(b"\x2a\x86\x48\x86\xf7\x0d\x01\x0c")
    };
    let found = first.within(tag::SEQUENCE).ok().and_then(|mut inner| {
        let id = inner.take_if(tag::OBJECT_IDENTIFIER).ok()??;
        Some(pkcs(id.content))
    });
    found == Some(true)
}

const STYLES: [(Style, BerForm); 5] = [
    (Style::Indefinite, BerForm::IndefiniteLength),
    (Style::Long, BerForm::LongLength),
    (Style::Pieces(1000), BerForm::StringInPieces),
    (Style::Pieces(1), BerForm::StringInPieces),
    (Style::NestedPieces, BerForm::StringInPieces),
];

#[test]
fn the_outer_layer_may_be_in_any_encoding_and_the_mac_is_over_the_joined_octets() {
    let workshop = Workshop::new();
    let root = workshop.authority("Root", KeyAlgorithm::P256);
    let device = root.device("ada", KeyAlgorithm::P256);
    let pfx = device.pfx(PASSWORD, &[]);
    for (style, form) in STYLES {
        let ber = again(Element::whole(&pfx).unwrap(), style, false);
        assert_ne!(ber, pfx);
        let opened = open(&ber, PASSWORD).unwrap_or_else(|error| panic!("{style:?}: {error}"));
        assert_eq!(opened.identity().unwrap().certificate(), device.der());
        let encoding = &opened.survey().encoding;
        assert!(!encoding.der && encoding.ber_forms.contains(&form));
        assert_eq!(refusal(&ber, "wrong").code(), "wrong_password");
        // Without its end it is nothing.
        let cut = refusal(&ber[..ber.len() - 1], PASSWORD);
        assert_eq!(cut.code(), "malformed", "{style:?}");
    }
    assert!(open(&pfx, PASSWORD).unwrap().survey().encoding.der);
}

#[test]
fn every_layer_may_be_in_any_encoding() {
    let workshop = Workshop::new();
    let root = workshop.authority("Root", KeyAlgorithm::P256);
    let device = root.device("ada", KeyAlgorithm::P256);
    for options in [
        &["-nomac", "-keypbe", "NONE", "-certpbe", "NONE"][..],
        &["-nomac", "-keypbe", "AES-256-CBC", "-certpbe", "NONE"],
        // The content of the encrypted part stays as it is, but its IMPLICIT tag comes in pieces below.
        &["-nomac"],
    ] {
        let pfx = device.pfx(PASSWORD, options);
        for (style, _) in STYLES {
            let ber = again(Element::whole(&pfx).unwrap(), style, true);
            let opened = open(&ber, PASSWORD).unwrap_or_else(|error| panic!("{style:?}: {error}"));
            assert_eq!(opened.identity().unwrap().certificate(), device.der());
        }
    }
}

#[test]
fn an_implicit_octet_string_in_pieces_is_joined() {
    let whole =
        Element::whole(&[0x80, 3, 1, 2, 3]).map(|element| element.octets().unwrap().into_owned());
    assert_eq!(whole.unwrap(), [1, 2, 3]);
    for content in [
        &b"\x04\x01\x01\x04\x02\x02\x03"[..],
        b"\x04\x00\x04\x03\x01\x02\x03\x04\x00",
        b"\x04\x03\x01\x02\x03",
    ] {
        let element = der(0xa0, content);
        let octets = Element::whole(&element).unwrap().octets().unwrap();
        assert_eq!(*octets, [1, 2, 3]);
    }
    let other = der(0xa0, b"\x04\x01\x01\x02\x01\x02");
    assert_eq!(
        Element::whole(&other).unwrap().octets().err(),
        Some(BerError::Malformed)
    );
}

#[test]
fn what_no_rule_allows_is_malformed() {
    for (what, bytes) in [
        ("nothing", &b""[..]),
        ("a tag alone", b"\x30"),
        ("a length that is cut off", b"\x30\x82\x01"),
        ("a content that is cut off", b"\x30\x02\x05"),
        ("a reserved length", b"\x30\xff\x00"),
        ("a primitive element without length", b"\x04\x80\x00\x00"),
        ("an end marker that is missing", b"\x30\x80\x05\x00"),
        (
            "an end marker with a content",
            b"\x30\x80\x05\x00\x00\x01\x00",
        ),
        ("an end marker on its own", b"\x00\x00"),
        (
            "an end marker within a definite length",
            b"\x30\x02\x00\x00",
        ),
        ("a child beyond its parent", b"\x30\x02\x04\x01\x01"),
        (
            "a child beyond the definite end around it",
            b"\x30\x04\x30\x80\x04\x01\x01\x00\x00",
        ),
        (
            "an end marker beyond the definite end around it",
            b"\x30\x03\x30\x80\x00\x00",
        ),
        (
            "an OCTET STRING in pieces of another type",
            b"\x24\x03\x02\x01\x01",
        ),
        (
            "a length beyond all memory",
            b"\x30\x89\x01\x00\x00\x00\x00\x00\x00\x00\x00",
        ),
        ("an endless tag", b"\x1f\xff\xff\xff\xff\xff\xff\x01\x00"),
    ] {
        assert_eq!(
            normalise(bytes, 32).err(),
            Some(BerError::Malformed),
            "{what}"
        );
    }
}

#[test]
fn der_is_borrowed_and_ber_is_rewritten() {
    let der_bytes = b"\x30\x07\x04\x01\x07\xbf\x81\x01\x00";
    let same = normalise(&[der_bytes.as_slice(), b"rest"].concat(), 32)
        .map(|it| (it.bytes().to_vec(), it.used, it.forms.any()));
    assert_eq!(same.unwrap(), (der_bytes.to_vec(), 9, false));
    let long = [7; 200];
    let ber = indefinite(
        0x30,
        &[pieces(&long, 7), long_length(0xa0, b"\x05\x00")].concat(),
    );
    let normal = normalise(&ber, 32).unwrap();
    let wanted = der(0x30, &[der(0x04, &long), der(0xa0, b"\x05\x00")].concat());
    assert_eq!(normal.bytes(), wanted);
    assert_eq!(normal.used, ber.len());
    // What is normal already stays as it is.
    assert!(!normalise(&wanted, 32).unwrap().forms.any());
}

#[test]
fn depth_is_limited_and_costs_nothing_beyond() {
    for tag in [0x30, 0x24, 0xa0] {
        for (header, end) in [
            (&[tag, 0x80][..], &[0, 0][..]),
            (&[tag, 0x84, 0, 0, 0, 0], &[]),
        ] {
            let deep = |depth: usize| [header.repeat(depth), end.repeat(depth)].concat();
            assert!(normalise(&deep(1), 32).is_ok());
            if end.is_empty() {
                continue;
            }
            assert!(normalise(&deep(32), 32).is_ok());
            assert_eq!(
                normalise(&deep(33), 32).err(),
                Some(BerError::TooDeep { limit: 32 })
            );
            assert_eq!(
                normalise(&deep(200_000), 32).err(),
                Some(BerError::TooDeep { limit: 32 })
            );
        }
    }
}

#[test]
fn elements_are_taken_one_by_one() {
    let bytes = b"\x02\x01\x05\x30\x03\x02\x01\x06\xa0\x00";
    let mut elements = Elements::new(bytes);
    assert!(elements.take_if(tag::SEQUENCE).unwrap().is_none());
    assert_eq!(elements.take_tag(tag::INTEGER).unwrap().content, [5]);
    assert!(elements.finish().is_err());
    assert!(elements.take().unwrap().within(tag::SET).is_err());
    assert!(elements.clone().take_tag(tag::INTEGER).is_err());
    assert!(elements.take_if(tag::CONTEXT_0).unwrap().is_some());
    assert!(elements.finish().is_ok());
    assert!(elements.next_element().unwrap().is_none());
    assert!(elements.take().is_err());
}
