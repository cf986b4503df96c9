//! Every key, algorithm and kind of name.

use super::openssl;
use der::flagset::FlagSet;
use fips::policy::Policy;
use fips::secret::Password;
use pki::KeyAndAlgorithm;
use pki::csr::{Csr, Request, create};
use pki::extension::{self, Extensions, Template};
use pki::key::KeySpec;
use pki::name::{Lengths, SubjectTemplate, rfc4514};
use pki::san::{SanTemplate, SubjectAltName};
use pki::template::Values;
use x509_cert::ext::pkix::KeyUsages;

/// Each kind of name, and what OpenSSL prints of it.
const NAMES: [(&str, &str); 7] = [
    ("email:ada@example.com", "email:ada@example.com"),
    ("email:jürgen@example.com", "SmtpUTF8Mailbox"),
    ("upn:ada@corp.example", "ada@corp.example"),
    ("dns:host.example.com", "DNS:host.example.com"),
    (
        "uri:urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6",
        "URI:urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6",
    ),
    (
        "sid:S-1-5-21-1-2-3-1105",
        "URI:tag:microsoft.com,2022-09-14:sid:S-1-5-21-1-2-3-1105",
    ),
    (
        "uri:https://example.com/a?b=c",
        "URI:https://example.com/a?b=c",
    ),
];

const SUBJECT: &str = "CN=Ada Lovelace\\, Countess,OU=R\\+D,O=\"Example; Inc.\",C=GB";

fn name(text: &str) -> SubjectAltName {
    text.parse::<SanTemplate>()
        .unwrap()
        .fill(&Values::new())
        .unwrap()
}

fn subject(text: &str) -> x509_cert::name::Name {
    let template = SubjectTemplate::parse(text).unwrap();
    template.fill(&Values::new(), Lengths::Rfc5280).unwrap()
}

fn check(der: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("r.der"), der).unwrap();
    openssl(
        folder.path(),
        &[
            "req",
            "-inform",
            "DER",
            "-in",
            "r.der",
            "-verify",
            "-noout",
            "-text",
            "-nameopt",
            "RFC2253,-esc_msb,utf8",
        ],
    )
}

#[test]
fn every_request_verifies_with_openssl() {
    fips::start(Policy::STRICT).unwrap();
    for kind in KeySpec::ALL {
        let key = kind.generate().unwrap();
        for algorithm in kind.algorithms() {
            let signer = KeyAndAlgorithm::new(&key, *algorithm);
            // One by one, and all together; the larger keys only with all together.
            let small = matches!(kind, KeySpec::EcP256 | KeySpec::Rsa2048);
            let mut lists: Vec<Vec<(&str, &str)>> = vec![Vec::new(), NAMES.to_vec()];
            if small {
                lists.extend(NAMES.iter().map(|name| vec![*name]));
            }
            for names in lists {
                let request = Request {
                    subject: subject(SUBJECT),
                    extensions: Extensions {
                        alt_names: names.iter().map(|(text, _)| name(text)).collect(),
                        ..Extensions::default()
                    },
                    challenge_password: None,
                };
                let der = create(&request, &signer).unwrap();
                let printed = check(&der);
                assert!(
                    printed.contains("verify OK"),
                    "{kind:?} {algorithm:?}: {printed}"
                );
                for (text, expected) in &names {
                    // How much of an otherName is shown depends on the version.
                    let other = printed.contains("othername");
                    assert!(
                        printed.contains(expected)
                            || (other && (text.starts_with("upn") || text.contains('ü'))),
                        "{text}: {printed}"
                    );
                }
                let read = Csr::read(&der).unwrap();
                assert_eq!(read.subject(), &request.subject);
                assert_eq!(read.extensions(), &request.extensions);
                assert_eq!(read.algorithm(), *algorithm);
                assert_eq!(read.spki_der(), key.spki_der());
            }
        }
    }
}

#[test]
fn everything_at_once_is_what_openssl_prints_and_what_is_read_again() {
    fips::start(Policy::STRICT).unwrap();
    let key = KeySpec::EcP384.generate().unwrap();
    let extensions = Extensions {
        alt_names: NAMES.iter().map(|(text, _)| name(text)).collect(),
        key_usage: Some(
            FlagSet::from(KeyUsages::DigitalSignature)
                | KeyUsages::KeyAgreement
                | KeyUsages::DecipherOnly,
        ),
        purposes: [
            "clientAuth",
            "emailProtection",
            "smartcardLogon",
            "1.3.6.1.4.1.32473.1",
        ]
        .map(|name| extension::purpose(name).unwrap())
        .to_vec(),
        template_name: Some("DeviceUser".to_owned()),
        template: Some(Template {
            id: "1.3.6.1.4.1.311.21.8.1.2.3".parse().unwrap(),
            major: Some(100),
            minor: Some(3),
        }),
        sid: Some("S-1-5-21-1-2-3-1105".parse().unwrap()),
        ..Extensions::default()
    };
    let request = Request {
        subject: subject(SUBJECT),
        extensions,
        challenge_password: Some(Password::from_slice("pä55".as_bytes())),
    };
    let der = create(&request, &KeyAndAlgorithm::new(&key, key.algorithm())).unwrap();
    let printed = check(&der);
    for expected in [
        "verify OK",
        "Subject: CN=Ada Lovelace\\, Countess,OU=R\\+D,O=Example\\; Inc.,C=GB",
        "challengePassword",
        "Digital Signature, Key Agreement, Decipher Only",
        "TLS Web Client Authentication, E-mail Protection, Microsoft Smartcard Login, 1.3.6.1.4.1.32473.1",
        "1.3.6.1.4.1.311.20.2",
        "1.3.6.1.4.1.311.21.7",
        "1.3.6.1.4.1.311.25.2",
    ] {
        assert!(printed.contains(expected), "{expected}: {printed}");
    }
    let read = Csr::read(&der).unwrap();
    assert_eq!(read.extensions(), &request.extensions);
    assert_eq!(
        rfc4514(read.subject()),
        "CN=Ada Lovelace\\, Countess,OU=R\\+D,O=Example\\; Inc.,C=GB"
    );
    assert_eq!(
        read.challenge_password().unwrap().expose(),
        "pä55".as_bytes()
    );
    assert!(!format!("{read:?}").contains("pä55"));
}

/// MS-WCCE section 2.2.2.7.7: the extension in octets, as Windows' own authorities write it.
#[test]
fn the_security_identifier_is_encoded_as_windows_does() {
    let sid = "S-1-5-21-1-2-3-500".parse().unwrap();
    let extension = extension::sid_extension(&sid).unwrap();
    let mut expected = vec![
        0x30, 0x24, 0xa0, 0x22, 0x06, 0x0a, 0x2b, 0x06, 0x01, 0x04, 0x01, 0x82, 0x37, 0x19, 0x02,
        0x01, 0xa0, 0x14, 0x04, 0x12,
    ];
    expected.extend(b"S-1-5-21-1-2-3-500");
    assert_eq!(extension.extn_value.as_bytes(), expected);
    assert!(!extension.critical);
}

#[test]
fn a_request_without_a_subject_has_its_alternative_names_critical_and_one_without_both_is_refused()
{
    fips::start(Policy::STRICT).unwrap();
    let key = KeySpec::EcP256.generate().unwrap();
    let signer = KeyAndAlgorithm::new(&key, key.algorithm());
    let request = Request {
        extensions: Extensions {
            alt_names: vec![name("email:a@b.example")],
            ..Extensions::default()
        },
        ..Request::default()
    };
    let printed = check(&create(&request, &signer).unwrap());
    assert!(
        printed.contains("Subject Alternative Name: critical"),
        "{printed}"
    );
    assert_eq!(
        create(&Request::default(), &signer),
        Err(pki::csr::CsrError::Nobody)
    );
    for password in [&b""[..], b"a\0b", b"\xff", "x".repeat(256).as_bytes()] {
        let request = Request {
            subject: subject("CN=x"),
            challenge_password: Some(Password::from_slice(password)),
            ..Request::default()
        };
        assert_eq!(
            create(&request, &signer),
            Err(pki::csr::CsrError::ChallengePassword)
        );
    }
}
