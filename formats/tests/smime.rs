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
