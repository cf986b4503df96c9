//! Files of which one thing is not known, or not what it looks like: it is said so, with the password and without.

use super::asn1::{bag, certificate, data, der, pfx, sequence};
use super::bench::{Bench, PASSWORD, report, verdict};
use crate::cli_common::{openssl, program, text, write};
use formats::ber::Element;
use serde_json::Value;
use std::fs;

/// Attributes with the local key id 1.
fn id() -> Vec<u8> {
    let attribute = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x09\x15";
    der(0x31, &sequence(&[attribute, &der(0x31, &[4, 1, 1])]))
}

fn entries(report: &Value, kind: &str) -> Vec<Value> {
    let entries = report["entries"].as_array().unwrap().iter();
    entries
        .filter(|entry| entry["kind"] == kind)
        .cloned()
        .collect()
}

#[test]
fn a_local_key_id_alone_shows_neither_that_they_match_nor_that_they_do_not() {
    let bench = Bench::new();
    let key = bench.path("ed448.der");
    openssl(&[
        "genpkey",
        "-algorithm",
        "ED448",
        "-outform",
        "DER",
        "-out",
        text(&key),
    ]);
    let key = fs::read(key).unwrap();
    // Somebody else's.
    let ada = openssl(&[
        "x509",
        "-in",
        text(&bench.path("ada.pem")),
        "-outform",
        "DER",
    ]);
    for attributes in [id(), Vec::new()] {
        let file = pfx(&sequence(&[
            &bag(1, &key, &attributes),
            &bag(3, &certificate(&ada), &id()),
        ]));
        write(&bench.path("file.pfx"), file, 0o600);
        let (code, seen) = bench.report(text(&bench.path("file.pfx")), &[]);
        assert_eq!((code, &seen["opens"]), (0, &Value::Bool(true)));
        assert_eq!(seen["key_matches_certificate"], Value::Null, "{seen}");
        let key = &entries(&seen, "private_key")[0];
        assert_eq!(key["matches_certificate"], Value::Null);
        let certificate = &entries(&seen, "certificate")[0];
        assert_eq!(certificate["has_private_key"], Value::Null);
        let page = bench.inspect(text(&bench.path("file.pfx")), &[]).text();
        assert!(!page.contains("Key matches"), "{page}");
        // What is joined by it is shown as that.
        let joined = !attributes.is_empty();
        assert_eq!(page.contains("by the local key id only"), joined, "{page}");
        assert_eq!(page.contains("S/MIME"), joined, "{page}");
    }
}

#[test]
fn every_certificate_of_a_key_that_was_renewed_has_it() {
    let bench = Bench::new();
    let renewed = bench.path("renewed.pem");
    openssl(&[
        "x509",
        "-req",
        "-in",
        text(&bench.path("ada.csr")),
        "-CA",
        text(&bench.path("root.pem")),
        "-CAkey",
        text(&bench.path("root.key")),
        "-days",
        "19",
        "-extfile",
        text(&bench.path("person.ext")),
        "-out",
        text(&renewed),
    ]);
    let file = bench.pfx("both.pfx", &["-certfile", text(&renewed)]);
    let (_, seen) = bench.report(text(&file), &[]);
    let has: Vec<Value> = entries(&seen, "certificate")
        .iter()
        .map(|entry| entry["has_private_key"].clone())
        .collect();
    assert_eq!(has, [true, true], "{seen}");
    assert_eq!(seen["key_matches_certificate"], true);
    let page = bench
        .inspect(text(&file), &["--password-file", text(&bench.path("pw"))])
        .text();
    assert_eq!(page.matches("S/MIME").count(), 2, "{page}");
    let with_root = bench.pfx("root.pfx", &[]);
    let (_, seen) = bench.report(text(&with_root), &[]);
    assert_eq!(entries(&seen, "certificate")[1]["has_private_key"], false);
}

/// The parts of a PFX.
fn parts(pfx: &[u8]) -> Vec<Vec<u8>> {
    let mut outer = Element::whole(pfx).unwrap().elements();
    outer.take().unwrap();
    let mut content = outer.take().unwrap().elements();
    content.take().unwrap();
    let octets = content.take().unwrap().elements().take().unwrap();
    let mut list = Element::whole(octets.content).unwrap().elements();
    let mut parts = Vec::new();
    while let Some(part) = list.next_element().unwrap() {
        parts.push(part.raw.to_vec());
    }
    parts
}

#[test]
fn strict_mode_says_the_same_of_what_stays_closed_with_the_password_and_without() {
    let bench = Bench::new();
    let (approved, password) = (bench.path("approved.pfx"), bench.path("approved.pw"));
    let made = program(
        &[
            "pfx",
            "convert",
            text(&bench.pfx("ada.pfx", &[])),
            "--password-file",
            text(&bench.path("pw")),
            "--for",
            "fips-strict",
            "--out",
            text(&approved),
            "--new-password-out",
            text(&password),
        ],
        &[],
    );
    assert_eq!(made.code, 0, "{}", made.stderr);
    const SHROUDED_KEY: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x0c\x0a\x01\x02";
    let has_key = |part: &Vec<u8>| part.windows(11).any(|octets| octets == SHROUDED_KEY);
    let mut key = parts(&fs::read(approved).unwrap());
    key.retain(has_key);
    // OpenSSL takes `-nomac` for no encryption of certificates, unless it comes first.
    let closed = ["-nomac", "-certpbe", "CAMELLIA-256-CBC"];
    let mut certificates = parts(&fs::read(bench.pfx("closed.pfx", &closed)).unwrap());
    certificates.retain(|part| !has_key(part));
    let whole = sequence(&[
        &[2, 1, 3],
        &data(&sequence(&[&certificates.concat(), &key.concat()])),
    ]);
    let file = bench.path("file.pfx");
    write(&file, whole, 0o600);
    let strict = ["--json", "--fips", "strict"];
    let with = ["--password-file", text(&password)];
    let (code, outside) = report(&bench.inspect(text(&file), &strict));
    assert_eq!((code, &outside["opens"]), (0, &Value::Null), "{outside}");
    let (code, opened) = report(&bench.inspect(text(&file), &[&strict[..], &with].concat()));
    assert_eq!(
        (code, &opened["opens"]),
        (0, &Value::Bool(true)),
        "{opened}"
    );
    for seen in [outside, opened] {
        assert_eq!(verdict(&seen, "fips-strict"), "with_condition", "{seen}");
        assert_eq!(seen["closed_parts"].as_array().unwrap().len(), 1);
    }

    // Alone it is refused for what it is, not for what is not approved.
    let alone = sequence(&[&[2, 1, 3], &data(&sequence(&[&certificates.concat()]))]);
    write(&file, alone, 0o600);
    for arguments in [strict.to_vec(), [&strict[..], &with].concat()] {
        let (code, seen) = report(&bench.inspect(text(&file), &arguments));
        assert_eq!((code, &seen["opens"]), (1, &Value::Bool(false)));
        assert_eq!(seen["error"]["code"], "unsupported_algorithm", "{seen}");
        assert_eq!(verdict(&seen, "fips-strict"), "no");
    }
}

#[test]
fn a_broken_file_with_two_passwords_is_broken_under_the_right_ones() {
    let bench = Bench::new();
    let file = bench.pfx("two.pfx", &["-nomac", "-certpbe", "AES-256-CBC"]);
    let mut broken = fs::read(&file).unwrap();
    // The type of the key's bag, which stands in the part that is not encrypted.
    const SHROUDED_KEY: &[u8] = b"\x06\x0b\x2a\x86\x48\x86\xf7\x0d\x01\x0c\x0a\x01\x02";
    let place = broken
        .windows(SHROUDED_KEY.len())
        .position(|part| part == SHROUDED_KEY)
        .unwrap();
    broken[place] = 5;
    write(&file, broken, 0o600);
    write(&bench.path("contents"), PASSWORD, 0o600);
    write(&bench.path("pw"), "of the integrity check", 0o600);
    let (code, one) = bench.report(text(&file), &[]);
    assert_eq!((code, &one["error"]["code"]), (1, &"wrong_password".into()));
    let contents = bench.path("contents");
    let (code, both) = bench.report(text(&file), &["--contents-password-file", text(&contents)]);
    assert_eq!(
        (code, &both["error"]["code"]),
        (1, &"malformed".into()),
        "{both}"
    );
}
