//! Fitness for S/MIME, and chains, on certificates that OpenSSL makes.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    unreachable_pub,
    missing_docs
)]

use fips::policy::Policy;
use fips::secret::SecretBytes;
use formats::certificate::SmimeFitness;
use formats::pfx::{CertificateFacts, OtherFormat, PfxLimits, read};
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

struct Bench {
    folder: TempDir,
}

impl Bench {
    fn new() -> Self {
        fips::start(Policy::OFF).unwrap();
        Self {
            folder: TempDir::new().unwrap(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A self-signed certificate with these extensions.
    fn certificate(&self, key: &[&str], extensions: &[&str]) -> Vec<u8> {
        let (out, secret) = (self.path("certificate.der"), self.path("key.pem"));
        let mut arguments = vec![
            "req", "-x509", "-nodes", "-days", "9", "-subj", "/CN=Ada", "-outform", "DER",
        ];
        arguments.extend(["-out", text(&out), "-keyout", text(&secret), "-newkey"]);
        arguments.extend(key);
        // What the configuration of the system adds is left out.
        let config = self.path("config");
        std::fs::write(&config, "[req]\ndistinguished_name=n\n[n]\n").unwrap();
        arguments.extend(["-config", text(&config)]);
        for extension in extensions {
            arguments.extend(["-addext", extension]);
        }
        openssl(&arguments);
        std::fs::read(out).unwrap()
    }
}

impl Bench {
    /// A certificate for a key of this kind, which need not be able to sign, changed as told.
    fn issued(
        &self,
        kind: &str,
        usage: Option<&str>,
        change: impl FnOnce(Vec<u8>) -> Vec<u8>,
    ) -> Vec<u8> {
        let path = |name: &str| text(&self.path(name)).to_owned();
        let usage = usage.map(|usage| format!("keyUsage={usage}\n"));
        let extensions = format!("{MAIL}\n{FOR_MAIL}\n{}", usage.unwrap_or_default());
        std::fs::write(self.path("extensions"), extensions).unwrap();
        openssl(&["genpkey", "-algorithm", kind, "-out", &path("subject.key")]);
        openssl(&[
            "pkey",
            "-in",
            &path("subject.key"),
            "-pubout",
            "-out",
            &path("subject.pub"),
        ]);
        openssl(&[
            "req",
            "-x509",
            "-nodes",
            "-newkey",
            "rsa:2048",
            "-subj",
            "/CN=Root",
            "-keyout",
            &path("root.key"),
            "-out",
            &path("root.pem"),
        ]);
        openssl(&[
            "req",
            "-new",
            "-key",
            &path("root.key"),
            "-subj",
            "/CN=Ada",
            "-out",
            &path("request"),
        ]);
        openssl(&[
            "x509",
            "-req",
            "-in",
            &path("request"),
            "-force_pubkey",
            &path("subject.pub"),
            "-CA",
            &path("root.pem"),
            "-CAkey",
            &path("root.key"),
            "-extfile",
            &path("extensions"),
            "-outform",
            "DER",
            "-out",
            &path("issued.der"),
        ]);
        change(std::fs::read(self.path("issued.der")).unwrap())
    }
}

const RSA: &[&str] = &["rsa:2048"];
const EC: &[&str] = &["ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
const MAIL: &str = "subjectAltName=email:ada@example.com";
const FOR_MAIL: &str = "extendedKeyUsage=emailProtection";

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn openssl(arguments: &[&str]) {
    let output = Command::new("openssl")
        .args(arguments)
        .output()
        .unwrap_or_else(|error| panic!("this test needs openssl: {error}"));
    assert!(output.status.success(), "openssl {arguments:?}: {output:?}");
}

fn fitness(der: &[u8]) -> SmimeFitness {
    let facts = CertificateFacts::of_certificate(der).unwrap();
    SmimeFitness::of(der, &facts.email_addresses).unwrap()
}

#[test]
fn key_usage_decides_between_signing_and_encryption() {
    let bench = Bench::new();
    for (key, usage, signing, encryption) in [
        (RSA, "keyUsage=digitalSignature,keyEncipherment", true, true),
        (RSA, "keyUsage=keyEncipherment", false, true),
        (RSA, "keyUsage=digitalSignature", true, false),
        // Keys on curves agree on a key, they do not encipher one.
        (EC, "keyUsage=keyAgreement", false, true),
        (EC, "keyUsage=keyEncipherment", false, false),
        (EC, "keyUsage=nonRepudiation", true, false),
    ] {
        let found = fitness(&bench.certificate(key, &[MAIL, FOR_MAIL, usage]));
        assert_eq!(
            (found.signing, found.encryption),
            (signing, encryption),
            "{usage}: {found:?}"
        );
        assert_eq!(
            found.problems.is_empty(),
            signing || encryption,
            "{usage}: {found:?}"
        );
    }
    let silent = fitness(&bench.certificate(RSA, &[MAIL]));
    assert!(
        silent.signing && silent.encryption && silent.problems.is_empty(),
        "{silent:?}"
    );
    assert_eq!((silent.key_usage, silent.extended_key_usage), (None, None));
}

#[test]
fn what_a_kind_of_key_cannot_do_no_key_usage_permits() {
    let bench = Bench::new();
    let parameters = bench.path("dsa.parameters");
    openssl(&["dsaparam", "-out", text(&parameters), "1024"]);
    let dsa = format!("dsa:{}", text(&parameters));
    let agreement = "keyUsage=keyAgreement,digitalSignature";
    for (key, usage, signing, encryption) in [
        (&["ed25519"][..], None, true, false),
        (&["ed448"], None, true, false),
        (&["ed25519"], Some(agreement), true, false),
        (&[&dsa], None, true, false),
        (&["rsa-pss"], None, true, false),
        (&["rsa:2048"], None, true, true),
    ] {
        let extensions: Vec<&str> = [MAIL, FOR_MAIL].into_iter().chain(usage).collect();
        let found = fitness(&bench.certificate(key, &extensions));
        assert_eq!(
            (found.signing, found.encryption),
            (signing, encryption),
            "{key:?}: {found:?}"
        );
    }
    // Keys that sign nothing cannot ask for a certificate themselves.
    for (key, usage, encryption) in [
        ("X25519", None, true),
        ("X448", Some("keyAgreement"), true),
        ("X25519", Some("keyEncipherment"), false),
    ] {
        let found = fitness(&bench.issued(key, usage, |der| der));
        assert_eq!(
            (found.signing, found.encryption),
            (false, encryption),
            "{found:?}"
        );
        assert_eq!(found.problems.is_empty(), encryption, "{found:?}");
    }
    // rsaEncryption made id-RSAES-OAEP.
    for (usage, encryption) in [
        (None, true),
        (Some("keyEncipherment"), true),
        (Some("digitalSignature"), false),
    ] {
        let oaep = |mut der: Vec<u8>| {
            const RSA: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01";
            let place = der.windows(RSA.len()).position(|part| part == RSA).unwrap();
            der[place + RSA.len() - 1] = 7;
            der
        };
        let found = fitness(&bench.issued("RSA", usage, oaep));
        assert_eq!(
            (found.signing, found.encryption),
            (false, encryption),
            "{found:?}"
        );
    }
}

#[test]
fn an_address_beyond_ascii_is_an_address() {
    let bench = Bench::new();
    // OpenSSL takes the argument for ISO-8859-1, so the letter is put in afterwards.
    let mailbox = "subjectAltName=otherName:1.3.6.1.5.5.7.8.9;UTF8:@@da@example.com";
    let mut der = bench.certificate(EC, &[mailbox, FOR_MAIL]);
    let place = der.windows(4).position(|part| part == b"@@da").unwrap();
    der[place..place + 2].copy_from_slice("\u{e5}".as_bytes());
    let facts = CertificateFacts::of_certificate(&der).unwrap();
    assert_eq!(facts.email_addresses, ["\u{e5}da@example.com"]);
    assert_eq!(fitness(&der).problems, Vec::<String>::new());
    // Another name of that form is none.
    let upn = "subjectAltName=otherName:1.3.6.1.4.1.311.20.2.3;UTF8:ada@example.com";
    let facts = CertificateFacts::of_certificate(&bench.certificate(EC, &[upn])).unwrap();
    assert_eq!(facts.email_addresses, Vec::<String>::new());
}

#[test]
fn what_is_in_the_way_of_mail_is_said() {
    let bench = Bench::new();
    let usage = "keyUsage=digitalSignature,keyEncipherment";
    let server = fitness(&bench.certificate(RSA, &[MAIL, usage, "extendedKeyUsage=serverAuth"]));
    assert!(!server.signing && !server.encryption);
    assert!(
        server.problems[0].contains("e-mail protection"),
        "{server:?}"
    );
    let nobody = fitness(&bench.certificate(RSA, &[usage, FOR_MAIL]));
    assert!(
        nobody.problems[0].contains("no e-mail address"),
        "{nobody:?}"
    );
    let any =
        fitness(&bench.certificate(RSA, &[MAIL, usage, "extendedKeyUsage=anyExtendedKeyUsage"]));
    assert!(any.signing && any.problems.is_empty(), "{any:?}");
    let authority = fitness(&bench.certificate(RSA, &[MAIL, "basicConstraints=critical,CA:TRUE"]));
    assert!(
        !authority.signing && authority.problems[0].contains("authority"),
        "{authority:?}"
    );
    assert_eq!(SmimeFitness::of(b"\x30\x03\x02\x01\x00", &[]), None);
}

#[test]
fn a_chain_is_found_whatever_the_order_and_what_is_missing_is_named() {
    let bench = Bench::new();
    let path = |name: &str| text(&bench.path(name)).to_owned();
    std::fs::write(bench.path("ca.ext"), "basicConstraints=critical,CA:TRUE\n").unwrap();
    openssl(&[
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "9",
        "-subj",
        "/CN=Root",
        "-keyout",
        &path("root.key"),
        "-out",
        &path("root.pem"),
    ]);
    let issue = |subject: &str, issuer: &str, name: &str| {
        openssl(&[
            "req",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-subj",
            subject,
            "-keyout",
            &path(&format!("{name}.key")),
            "-out",
            &path("request"),
        ]);
        openssl(&[
            "x509",
            "-req",
            "-in",
            &path("request"),
            "-CA",
            &path(&format!("{issuer}.pem")),
            "-CAkey",
            &path(&format!("{issuer}.key")),
            "-days",
            "9",
            "-extfile",
            &path("ca.ext"),
            "-out",
            &path(&format!("{name}.pem")),
        ]);
    };
    issue("/CN=Middle", "root", "middle");
    issue("/CN=Leaf", "middle", "leaf");
    let open = |certificates: &[&str]| {
        let all: String = certificates
            .iter()
            .map(|name| std::fs::read_to_string(bench.path(&format!("{name}.pem"))).unwrap())
            .collect();
        std::fs::write(bench.path("all.pem"), all).unwrap();
        openssl(&[
            "pkcs12",
            "-export",
            "-inkey",
            &path("leaf.key"),
            "-in",
            &path("leaf.pem"),
            "-certfile",
            &path("all.pem"),
            "-passout",
            "pass:x",
            "-out",
            &path("file.p12"),
        ]);
        let bytes = std::fs::read(bench.path("file.p12")).unwrap();
        let opened = read(
            &bytes,
            &SecretBytes::from_slice(b"x"),
            &PfxLimits::default(),
        )
        .unwrap();
        let leaf = opened.keys()[0].certificate().unwrap();
        opened.chain_of(leaf).unwrap()
    };
    let straight = open(&["middle", "root"]);
    assert_eq!(straight.issuers.len(), 2);
    assert!(straight.complete && straight.in_order && straight.missing_issuer.is_none());
    let turned = open(&["root", "middle"]);
    assert_eq!(turned.issuers.len(), 2);
    assert!(turned.complete && !turned.in_order);
    let open_end = open(&["middle"]);
    assert!(!open_end.complete);
    assert_eq!(open_end.missing_issuer.as_deref(), Some("CN=Root"));
    assert!(open(&["root"]).missing_issuer.unwrap().contains("Middle"));
}

#[test]
fn what_may_be_a_pfx_is_never_taken_for_something_else() {
    // DER and BER, whole and cut off; and what is nothing at all.
    for bytes in [
        &b"\x30\x82\x09\xd1\x02\x01\x03\x30\x82"[..],
        b"\x30\x80\x02\x01\x03\x30\x80\x06\x09",
        b"\x30\x05\x02\x01\x03\x30\x00",
        b"\x30",
        b"\x00\x01\x02\x03 garbage \xff",
    ] {
        assert_eq!(OtherFormat::of(bytes), None, "{bytes:02x?}");
    }
}
