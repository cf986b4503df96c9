//! An authority of our own, judged by OpenSSL and by pkilint: roots and authorities beneath them, profiles, lists, OCSP answers.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

#[path = "../../../tests/support/openssl.rs"]
mod openssl;
#[path = "../../../tests/support/pkilint.rs"]
mod pkilint;
mod published;

use fips::ec::Curve;
use fips::sign::{KeyKind, SignatureAlgorithm, SigningKey};
use openssl::{KeyAlgorithm, Workshop, text, try_openssl};
use pki::issue::{
    self, Authority, AuthorityRequest, Certificate, KeyRule, NameKind, Profile, Publication,
    Purpose, Request, SubjectPart,
};
use pki::{KeyAndAlgorithm, Signer};
use pkilint::lint;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::{Duration, SystemTime};
use x509_cert::name::Name;

const DAY: Duration = Duration::from_secs(86_400);
/// mailbox-validated, multipurpose: what an authority that follows the CA/Browser Forum's requirements states.
const MAILBOX: &str = "2.23.140.1.5.1.2";

struct Ca {
    key: SigningKey,
    algorithm: SignatureAlgorithm,
    authority: Authority,
    file: PathBuf,
}

impl Ca {
    fn root(shop: &Workshop, kind: KeyKind, algorithm: SignatureAlgorithm) -> Self {
        let key = SigningKey::generate(kind).unwrap();
        let wanted = AuthorityRequest {
            subject: Name::from_str("CN=Example Root,O=Example").unwrap(),
            path_len: Some(1),
            constraints: None,
        };
        let signer = KeyAndAlgorithm::new(&key, algorithm);
        let serial = issue::new_serial().unwrap();
        let made = issue::root(&wanted, &serial, DAY * 3650, now(), &signer).unwrap();
        Self::of(shop, key, algorithm, &made)
    }

    fn of(
        shop: &Workshop,
        key: SigningKey,
        algorithm: SignatureAlgorithm,
        made: &Certificate,
    ) -> Self {
        Self {
            key,
            algorithm,
            authority: Authority::read(&made.der).unwrap(),
            file: pem(shop, &made.der),
        }
    }

    fn issue(&self, profile: &Profile, csr: &[u8]) -> Result<Certificate, issue::IssueError> {
        issue::issue(
            &self.authority,
            profile,
            &published(),
            &Request::read(csr)?,
            &issue::new_serial().unwrap(),
            now(),
            &self.signer(),
        )
    }

    fn signer(&self) -> impl Signer + '_ {
        KeyAndAlgorithm::new(&self.key, self.algorithm)
    }
}

fn start() {
    fips::start(fips::policy::Policy::STRICT).unwrap();
}

fn now() -> SystemTime {
    SystemTime::now()
}

fn published() -> Publication {
    Publication {
        crl: Some("http://pki.example.com/issuing.crl".to_owned()),
        delta_crl: Some("http://pki.example.com/issuing-delta.crl".to_owned()),
        ocsp: Some("http://pki.example.com/ocsp".to_owned()),
        issuer: Some("http://pki.example.com/issuing.cer".to_owned()),
    }
}

fn profile(purpose: Purpose) -> Profile {
    let is_smime = matches!(purpose, Purpose::SmimeSigning | Purpose::SmimeEncryption);
    Profile {
        name: "test".to_owned(),
        purpose,
        validity: DAY * 365,
        keys: vec![
            KeyRule::Rsa(2048),
            KeyRule::Rsa(3072),
            KeyRule::Ec(Curve::P256),
            KeyRule::Ec(Curve::P384),
        ],
        names: vec![NameKind::Email, NameKind::Upn, NameKind::Dns, NameKind::Uri],
        domains: vec!["example.com".to_owned(), ".example.com".to_owned()],
        subject: vec![SubjectPart::CommonName, SubjectPart::EmailAddress],
        policies: Profile::policy(MAILBOX)
            .filter(|_| is_smime)
            .into_iter()
            .collect(),
        path_len: 0,
        constraints: None,
    }
}

/// A request of OpenSSL's (DER).
fn csr(shop: &Workshop, key: &Path, subject: &str, extensions: &[&str]) -> Vec<u8> {
    let out = shop.fresh(".csr");
    let mut arguments = vec!["req", "-new", "-key", text(key), "-subj", subject];
    for one in extensions {
        arguments.extend(["-addext", one]);
    }
    arguments.extend(["-outform", "DER", "-out", text(&out)]);
    try_openssl(&arguments).unwrap();
    std::fs::read(out).unwrap()
}

fn pem(shop: &Workshop, der: &[u8]) -> PathBuf {
    let (from, to) = (shop.file(der), shop.fresh(".pem"));
    try_openssl(&[
        "x509",
        "-inform",
        "DER",
        "-in",
        text(&from),
        "-out",
        text(&to),
    ])
    .unwrap();
    to
}

fn crl_pem(shop: &Workshop, der: &[u8]) -> PathBuf {
    let (from, to) = (shop.file(der), shop.fresh(".crl.pem"));
    try_openssl(&[
        "crl",
        "-inform",
        "DER",
        "-in",
        text(&from),
        "-out",
        text(&to),
    ])
    .unwrap();
    to
}

const MAIL: &[&str] = &["subjectAltName=email:anna@example.com"];
const ANNA: &str = "/CN=anna@example.com/emailAddress=anna@example.com";

#[test]
fn certificates_of_each_profile_pass_the_linters_and_verify() {
    start();
    let shop = Workshop::new();
    let ca = Ca::root(&shop, KeyKind::EcP384, SignatureAlgorithm::EcdsaP384Sha384);
    let rsa = Ca::root(&shop, KeyKind::Rsa(3072), SignatureAlgorithm::RsaPssSha256);
    lint("lint_pkix_cert", &[], &ca.file);
    lint("lint_pkix_cert", &[], &rsa.file);
    for (ca, key) in [
        (&ca, KeyAlgorithm::Rsa(2048)),
        (&ca, KeyAlgorithm::P256),
        (&rsa, KeyAlgorithm::Rsa(3072)),
    ] {
        let key = shop.key(key);
        for (purpose, openssl) in [
            (Purpose::SmimeSigning, "smimesign"),
            (Purpose::SmimeEncryption, "smimeencrypt"),
        ] {
            let request = csr(&shop, &key, ANNA, MAIL);
            let file = pem(&shop, &ca.issue(&profile(purpose), &request).unwrap().der);
            lint("lint_pkix_cert", &[], &file);
            lint("lint_cabf_smime_cert", &["--detect"], &file);
            let purpose = if openssl == "smimeencrypt" && key_is_ec(&file) {
                // OpenSSL takes keyEncipherment alone for encryption of mail; an EC key agrees (RFC 5753).
                "any"
            } else {
                openssl
            };
            verify(&ca.file, &["-x509_strict", "-purpose", purpose], &file).unwrap();
        }
        let request = csr(
            &shop,
            &key,
            "/CN=laptop-7",
            &[
                "subjectAltName=DNS:laptop-7.example.com,otherName:1.3.6.1.4.1.311.20.2.3;UTF8:anna@example.com",
            ],
        );
        let made = ca
            .issue(&profile(Purpose::ClientAuthentication), &request)
            .unwrap();
        let file = pem(&shop, &made.der);
        lint("lint_pkix_cert", &[], &file);
        verify(&ca.file, &["-x509_strict", "-purpose", "sslclient"], &file).unwrap();
        assert_eq!((made.serial.len(), made.serial[0]), (17, 1));
    }
}

fn key_is_ec(certificate: &Path) -> bool {
    let text = try_openssl(&["x509", "-in", text(certificate), "-noout", "-text"]).unwrap();
    String::from_utf8(text).unwrap().contains("id-ecPublicKey")
}

fn verify(ca: &Path, arguments: &[&str], certificate: &Path) -> Result<(), String> {
    let mut all = vec!["verify", "-CAfile", text(ca)];
    all.extend(arguments);
    all.push(text(certificate));
    try_openssl(&all).map(drop)
}

#[test]
fn an_authority_beneath_a_root_issues_within_its_constraints_and_path_length() {
    start();
    let shop = Workshop::new();
    let root = Ca::root(&shop, KeyKind::EcP256, SignatureAlgorithm::EcdsaP256Sha256);
    let key_file = shop.key(KeyAlgorithm::P256);
    let beneath = Profile {
        constraints: issue::permitted(&["example.com"], &["example.com"]).unwrap(),
        ..profile(Purpose::SubordinateAuthority)
    };
    let request = csr(&shop, &key_file, "/O=Example/CN=Example Issuing", &[]);
    let refused = root.issue(&beneath, &request).unwrap_err().to_string();
    assert!(refused.contains("2.5.4.10"), "{refused}");
    let beneath = Profile {
        subject: SubjectPart::ALL.to_vec(),
        ..beneath
    };
    let made = root.issue(&beneath, &request).unwrap();
    let file = pem(&shop, &made.der);
    lint("lint_pkix_cert", &[], &file);
    verify(&root.file, &["-x509_strict"], &file).unwrap();

    let pkcs8 = shop.fresh(".der");
    try_openssl(&[
        "pkcs8",
        "-topk8",
        "-nocrypt",
        "-in",
        text(&key_file),
        "-outform",
        "DER",
        "-out",
        text(&pkcs8),
    ])
    .unwrap();
    let key = SigningKey::from_pkcs8(&std::fs::read(pkcs8).unwrap()).unwrap();
    let issuing = Ca::of(&shop, key, SignatureAlgorithm::EcdsaP256Sha256, &made);
    let user = shop.key(KeyAlgorithm::P256);
    let mail = profile(Purpose::SmimeSigning);
    let good = issuing
        .issue(&mail, &csr(&shop, &user, ANNA, MAIL))
        .unwrap();
    verify(
        &root.file,
        &["-x509_strict", "-untrusted", text(&issuing.file)],
        &pem(&shop, &good.der),
    )
    .unwrap();
    // The profile would allow it; the authority's own certificate does not.
    let elsewhere = csr(
        &shop,
        &user,
        "/CN=anna",
        &["subjectAltName=email:anna@mail.example.com"],
    );
    let refused = issuing.issue(&mail, &elsewhere).unwrap_err().to_string();
    assert!(refused.contains("name constraints"), "{refused}");
    let refused = issuing
        .issue(&beneath, &csr(&shop, &user, "/CN=Another", &[]))
        .unwrap_err()
        .to_string();
    assert!(refused.contains("path length"), "{refused}");
}

#[test]
fn what_no_profile_allows_is_refused_by_name() {
    start();
    let shop = Workshop::new();
    let ca = Ca::root(&shop, KeyKind::EcP256, SignatureAlgorithm::EcdsaP256Sha256);
    let key = shop.key(KeyAlgorithm::P256);
    let mail = profile(Purpose::SmimeSigning);
    for (subject, extensions, expected) in [
        (
            ANNA,
            vec!["subjectAltName=email:anna@evil.example"],
            "none of the domains",
        ),
        (
            ANNA,
            vec!["subjectAltName=email:anna@notexample.com"],
            "none of the domains",
        ),
        (
            ANNA,
            vec!["subjectAltName=IP:10.0.0.1"],
            "kind that is not issued",
        ),
        (
            ANNA,
            vec![
                "subjectAltName=email:anna@example.com,URI:tag:microsoft.com,2022-09-14:sid:S-1-5-21-1",
            ],
            "Sid",
        ),
        ("/CN=anna", vec![], "needs an e-mail address"),
        (
            "/CN=anna/emailAddress=other@example.com",
            MAIL.to_vec(),
            "none of its alternative names",
        ),
        ("/O=Example/CN=anna", MAIL.to_vec(), "2.5.4.10"),
        (
            ANNA,
            [MAIL, &["basicConstraints=CA:TRUE"]].concat(),
            "asks to be an authority",
        ),
        (
            ANNA,
            [MAIL, &["keyUsage=keyCertSign"]].concat(),
            "key usages",
        ),
        (
            ANNA,
            [MAIL, &["extendedKeyUsage=serverAuth"]].concat(),
            "1.3.6.1.5.5.7.3.1",
        ),
        (
            ANNA,
            [MAIL, &["tlsfeature=status_request"]].concat(),
            "1.3.6.1.5.5.7.1.24",
        ),
        (
            "/CN=anna",
            vec!["subjectAltName=email:an na@example.com"],
            "no e-mail address",
        ),
    ] {
        // A comma within a value would end it.
        let extensions: Vec<String> = extensions.iter().map(|one| one.to_string()).collect();
        let request = request_with(&shop, &key, subject, &extensions);
        let refused = ca.issue(&mail, &request).unwrap_err().to_string();
        assert!(
            refused.contains(expected),
            "{subject} {extensions:?}: {refused}"
        );
    }
    let small = shop.key(KeyAlgorithm::P521);
    let refused = ca
        .issue(&mail, &csr(&shop, &small, ANNA, MAIL))
        .unwrap_err();
    assert!(
        refused.to_string().contains("certifies no key"),
        "{refused}"
    );
    let mut forged = csr(&shop, &key, ANNA, MAIL);
    let end = forged.len() - 1;
    forged[end] ^= 1;
    let refused = Request::read(&forged).unwrap_err().to_string();
    assert!(refused.contains("signature"), "{refused}");
    for cut in 0..forged.len() {
        assert!(Request::read(&forged[..cut]).is_err());
    }
}

fn request_with(shop: &Workshop, key: &Path, subject: &str, extensions: &[String]) -> Vec<u8> {
    let config = shop.fresh(".cnf");
    let mut sections =
        String::from("[req]\ndistinguished_name=dn\nreq_extensions=ext\n[dn]\n[ext]\n");
    let mut names = String::from("[san]\n");
    for one in extensions {
        match one.strip_prefix("subjectAltName=") {
            Some(list) => {
                sections.push_str("subjectAltName=@san\n");
                let list = list.replace("microsoft.com,2022", "microsoft.com;2022");
                for (number, name) in list.split(',').enumerate() {
                    let (kind, value) = name.split_once(':').unwrap();
                    let value = value.replace(';', ",");
                    names.push_str(&format!("{kind}.{number}={value}\n"));
                }
            }
            None => sections.push_str(&format!("{one}\n")),
        }
    }
    std::fs::write(&config, sections + &names).unwrap();
    let out = shop.fresh(".csr");
    try_openssl(&[
        "req",
        "-new",
        "-config",
        text(&config),
        "-key",
        text(key),
        "-subj",
        subject,
        "-outform",
        "DER",
        "-out",
        text(&out),
    ])
    .unwrap();
    std::fs::read(out).unwrap()
}
