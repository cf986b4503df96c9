//! Configuration profiles as Python's plistlib reads them.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

#[path = "../../tests/support/plist.rs"]
mod plist;

use fips::secret::SecretBytes;
use formats::profile::{Certificate, Kind, Profile, Validity};
use plist::{data, leaves, string};

const VALIDITY: Validity = Validity {
    not_before: *b"20260131120000",
    not_after: *b"20280131120000",
};

fn certificate<'a>(digit: &str, pfx: &'a [u8], password: &'a SecretBytes) -> Certificate<'a> {
    Certificate {
        thumbprint: digit.repeat(40),
        validity: VALIDITY,
        pfx,
        password,
    }
}

#[test]
fn the_content_is_one_payload_for_each_certificate_and_the_first_is_called_current() {
    let password = SecretBytes::from_slice(b"a<b>&\"'c");
    let pfx: Vec<u8> = (0..=255).cycle().take(3001).collect();
    let profile = Profile {
        user: "ada@example.org",
        kind: Kind::Mail,
        certificates: vec![
            certificate("a", &pfx, &password),
            certificate("b", b"", &password),
        ],
    };
    let content = profile.content();
    let read = leaves(content.expose());
    assert_eq!(read.len(), 16, "{:?}", read.keys());
    for (number, (digit, which)) in [("a", "current"), ("b", "earlier")].into_iter().enumerate() {
        let at = |key: &str| format!("/{number}/{key}");
        let thumbprint = digit.repeat(40);
        assert_eq!(
            string(&read, &at("PayloadType")),
            "com.apple.security.pkcs12"
        );
        assert_eq!(read[&at("PayloadVersion")], ("int".to_owned(), b"1".into()));
        assert_eq!(string(&read, &at("Password")), "a<b>&\"'c");
        assert_eq!(
            string(&read, &at("PayloadCertificateFileName")),
            format!("{thumbprint}.p12")
        );
        assert_eq!(
            string(&read, &at("PayloadDisplayName")),
            format!("S/MIME: ada@example.org ({which}, 2026-01-31 to 2028-01-31)")
        );
        assert!(string(&read, &at("PayloadIdentifier")).ends_with(&thumbprint));
    }
    assert_eq!(data(&read, "/0/PayloadContent"), pfx);
    assert_eq!(data(&read, "/1/PayloadContent"), b"");
}

#[test]
fn the_profile_says_whose_it_is_and_carries_the_sealed_content_alone() {
    let password = SecretBytes::from_slice(b"secret-of-the-test");
    let profile = Profile {
        user: "<ada> & \"bob\"\u{1}@example.org",
        kind: Kind::Mail,
        certificates: vec![certificate("a", b"pfx", &password)],
    };
    let whole = profile.with_content(b"sealed");
    let read = leaves(&whole);
    assert_eq!(data(&read, "/EncryptedPayloadContent"), b"sealed");
    assert_eq!(string(&read, "/PayloadType"), "Configuration");
    assert_eq!(
        string(&read, "/PayloadDisplayName"),
        "S/MIME: <ada> & \"bob\"\u{fffd}@example.org"
    );
    assert!(!read.contains_key("/PayloadContent"));
    assert!(!String::from_utf8(whole).unwrap().contains("secret-of"));
}

#[test]
fn identifiers_stay_the_same_for_a_user_and_a_certificate_and_differ_for_others() {
    let password = SecretBytes::from_slice(b"secret");
    let of_kind = |kind, user, digit: &str| {
        let profile = Profile {
            user,
            kind,
            certificates: vec![certificate(digit, b"pfx", &password)],
        };
        let outer = leaves(&profile.with_content(b"sealed"));
        let inner = leaves(profile.content().expose());
        [
            string(&outer, "/PayloadIdentifier"),
            string(&outer, "/PayloadUUID"),
            string(&inner, "/0/PayloadIdentifier"),
            string(&inner, "/0/PayloadUUID"),
        ]
    };
    let of = |user, digit: &str| of_kind(Kind::Mail, user, digit);
    let one = of("ada@example.org", "a");
    assert_eq!(one, of("Ada@Example.ORG", "a"));
    let renewed = of("ada@example.org", "b");
    assert_eq!(
        one[..2],
        renewed[..2],
        "the newer profile replaces the older"
    );
    assert_ne!(one[2], renewed[2]);
    assert_ne!(one[3], renewed[3]);
    let other = of("bob@example.org", "a");
    // What was issued stays beside the imported certificates, and by its name beside others.
    let issued = of_kind(Kind::Issued("smime-ios"), "ada@example.org", "a");
    let wifi = of_kind(Kind::Issued("wifi-ios"), "ada@example.org", "a");
    for different in [[&one, &other], [&one, &issued], [&issued, &wifi]] {
        for (mine, theirs) in different[0].iter().zip(different[1]) {
            assert_ne!(mine, theirs);
        }
    }
    for uuid in [&one[1], &one[3]] {
        let shape: Vec<usize> = uuid.split('-').map(str::len).collect();
        assert_eq!(shape, [8, 4, 4, 4, 12], "{uuid}");
        assert_eq!(&uuid[14..15], "8", "{uuid}");
        assert!("89AB".contains(&uuid[19..20]), "{uuid}");
    }
}

#[test]
fn an_issued_certificate_is_called_by_what_it_was_issued_under() {
    let password = SecretBytes::from_slice(b"secret");
    let profile = Profile {
        user: "ada@example.org",
        kind: Kind::Issued("wifi & vpn"),
        certificates: vec![certificate("a", b"pfx", &password)],
    };
    let outer = leaves(&profile.with_content(b"sealed"));
    assert_eq!(
        string(&outer, "/PayloadDisplayName"),
        "wifi & vpn: ada@example.org"
    );
    assert!(!string(&outer, "/PayloadDescription").contains("mail"));
    let inner = leaves(profile.content().expose());
    assert_eq!(
        string(&inner, "/0/PayloadDisplayName"),
        "wifi & vpn: ada@example.org (current, 2026-01-31 to 2028-01-31)"
    );
}
