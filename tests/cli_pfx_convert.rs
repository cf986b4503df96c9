//! `pfx convert` as people run it: what comes out is opened by OpenSSL and by Python, and nothing is left behind when it fails.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

mod cli_common;
#[path = "support/openssl.rs"]
mod openssl;
#[path = "support/python.rs"]
mod python;

use cli_common::{Ran, program, text, write};
use openssl::{KeyAlgorithm, Workshop};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

const PASSWORD: &str = "the old password";

/// A folder with a PFX of OpenSSL and its password.
struct Desk {
    workshop: Workshop,
}

impl Desk {
    fn new(options: &[&str]) -> Self {
        let workshop = Workshop::new();
        let root = workshop.authority("Root", KeyAlgorithm::P256);
        let device = root.device("Ada", KeyAlgorithm::P256);
        let chain = [
            "-certfile",
            openssl::text(&root.certificate),
            "-name",
            "Ada's",
        ];
        let pfx = device.pfx(PASSWORD, &[&chain, options].concat());
        let desk = Self { workshop };
        write(&desk.path("old.pfx"), pfx, 0o600);
        write(&desk.path("old.pw"), PASSWORD, 0o600);
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.workshop.path().join(name)
    }

    /// Converts with these further arguments.
    fn convert(&self, arguments: &[&str]) -> Ran {
        let [old, pw, out] = ["old.pfx", "old.pw", "new.pfx"].map(|name| self.path(name));
        let own = [
            "pfx",
            "convert",
            text(&old),
            "--password-file",
            text(&pw),
            "--out",
            text(&out),
            "--json",
        ];
        program(&[&own, arguments].concat(), &[])
    }

    /// As [`Self::convert`], with a password that is made.
    fn convert_fresh(&self, arguments: &[&str]) -> Ran {
        let out = self.path("new.pw");
        let fresh = ["--new-password-out", text(&out)];
        self.convert(&[&fresh, arguments].concat())
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.workshop.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

/// The certificates that OpenSSL finds in a PFX, with the key.
fn by_openssl(pfx: &Path, password: &Path) -> String {
    let password = format!("file:{}", text(password));
    let arguments = [
        "pkcs12",
        "-nodes",
        "-in",
        text(pfx),
        "-passin",
        password.as_str(),
    ];
    String::from_utf8(openssl::openssl(&arguments)).unwrap()
}

/// The subject of the certificate that Python finds beside the key.
fn by_python(pfx: &Path, password: &Path) -> String {
    let script = "
import sys
from cryptography.hazmat.primitives.serialization import pkcs12
read = lambda path: open(path, 'rb').read()
found = pkcs12.load_pkcs12(read(sys.argv[1]), read(sys.argv[2]))
assert found.key.public_key() == found.cert.certificate.public_key()
print(found.cert.friendly_name.decode(), len(found.additional_certs))
";
    let output = python::interpreter()
        .args(["-c", script, text(pfx), text(password)])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    String::from_utf8(output.stdout).unwrap()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn every_target_gets_a_form_that_it_reads_under_a_fresh_password() {
    let desk = Desk::new(&[]);
    for (target, form) in [
        ("windows-server-2016", "legacy-3des"),
        ("windows-2019", "compatible"),
        ("openssl3", "compatible"),
        ("java", "compatible"),
        ("nss", "compatible"),
        ("fips-strict", "approved"),
    ] {
        let ran = desk.convert_fresh(&["--for", target]);
        let report = ran.json();
        assert_eq!(report["form"], form, "{target}: {report}");
        assert_ne!(report["verdict"]["opens"], "no", "{target}: {report}");
        assert_eq!(report["keys"], 1);
        assert_eq!(report["certificates"], 2);
        let (pfx, password) = (desk.path("new.pfx"), desk.path("new.pw"));
        let secret = fs::read_to_string(&password).unwrap();
        assert!(secret.len() >= 24 && secret.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        assert_eq!((mode(&pfx), mode(&password)), (0o600, 0o600));
        // Neither the report nor a message has it.
        assert!(!ran.text().contains(&secret) && !ran.stderr.contains(&secret));
        assert_eq!(by_python(&pfx, &password), "Ada's 1\n", "{target}");
        if form != "approved" {
            let found = by_openssl(&pfx, &password);
            assert!(found.contains("PRIVATE KEY") && found.matches("BEGIN CERT").count() == 2);
        }
        fs::remove_file(pfx).unwrap();
        fs::remove_file(password).unwrap();
    }
}

#[test]
fn what_was_not_approved_is_named() {
    let desk = Desk::new(&["-legacy"]);
    let report = desk
        .convert_fresh(&["--for", "windows-server-2016", "--form", "legacy-3des"])
        .json();
    let named = report["not_approved"].to_string();
    for service in [
        "pkcs12-kdf-read",
        "pkcs12-kdf-write",
        "triple-des-encrypt",
        "rc2-decrypt",
    ] {
        assert!(named.contains(service), "{service}: {named}");
    }
}

#[test]
fn strict_mode_refuses_what_is_not_approved_and_leaves_nothing() {
    // The classic MAC of the file, and the form.
    let desk = Desk::new(&[]);
    let before = desk.names();
    for target in ["fips-strict", "windows-2019"] {
        let ran = desk.convert_fresh(&["--for", target, "--fips", "strict"]);
        assert_eq!(ran.code, 1, "{}", ran.stderr);
        assert_eq!(ran.error()["code"], "not_approved", "{target}");
        assert_eq!(desk.names(), before);
    }
}

#[test]
fn in_strict_mode_an_approved_file_is_converted_and_a_short_password_refused() {
    let desk = Desk::new(&[]);
    desk.convert_fresh(&["--for", "fips-strict"]).json();
    fs::rename(desk.path("new.pfx"), desk.path("old.pfx")).unwrap();
    fs::rename(desk.path("new.pw"), desk.path("old.pw")).unwrap();
    let report = desk
        .convert_fresh(&["--for", "fips-strict", "--fips", "strict"])
        .json();
    assert_eq!(report["not_approved"], serde_json::json!([]));
    assert_eq!(report["fips"]["mode"], "strict");
    by_python(&desk.path("new.pfx"), &desk.path("new.pw"));

    fs::remove_file(desk.path("new.pfx")).unwrap();
    let before = desk.names();
    let strict = ["--fips", "strict"];
    let other = desk.convert_fresh(&[&["--for", "windows-2019"], &strict[..]].concat());
    assert_eq!(other.code, 2, "the password file is there already");
    fs::remove_file(desk.path("new.pw")).unwrap();
    // What reads the approved form alone can be written for; what does not is refused for that reason.
    let other = desk.convert_fresh(&[&["--for", "windows-server-2016"], &strict[..]].concat());
    assert_eq!(other.error()["code"], "not_approved");
    write(&desk.path("short.pw"), "thirteen char", 0o600);
    let short = desk.path("short.pw");
    let arguments = ["--for", "fips-strict", "--new-password-file", text(&short)];
    let refused = desk.convert(&[&arguments, &strict[..]].concat());
    assert_eq!(refused.error()["code"], "not_approved");
    assert!(refused.stderr.contains("14 bytes"), "{}", refused.stderr);
    assert_eq!(before.len(), desk.names().len());
}

#[test]
fn a_form_that_the_target_does_not_read_is_refused_unless_insisted_on() {
    let desk = Desk::new(&[]);
    let before = desk.names();
    let asked = ["--for", "windows-server-2016", "--form", "approved"];
    let refused = desk.convert_fresh(&asked);
    assert_eq!(refused.code, 1);
    assert_eq!(refused.error()["code"], "target_cannot_read");
    assert!(refused.stderr.contains("PBES2"), "{}", refused.stderr);
    assert_eq!(desk.names(), before);
    let forced = desk.convert_fresh(&[&asked[..], &["--force-form"]].concat());
    let report = forced.json();
    assert_eq!(report["verdict"]["opens"], "no");
    assert!(
        report["notes"].to_string().contains("Windows Server 2016"),
        "{report}"
    );
    by_python(&desk.path("new.pfx"), &desk.path("new.pw"));
}

#[test]
fn a_given_password_is_used_and_its_traps_are_told() {
    let desk = Desk::new(&[]);
    let given = desk.path("given.pw");
    write(&given, "a<b \u{1f511}", 0o600);
    let arguments = ["--for", "openssl3", "--new-password-file", text(&given)];
    let ran = desk.convert(&arguments);
    let notes = ran.json()["notes"].to_string();
    for told in ["fewer than 14", "XML", "printable ASCII", "emoji"] {
        assert!(notes.contains(told), "{told}: {notes}");
    }
    by_openssl(&desk.path("new.pfx"), &given);

    fs::remove_file(desk.path("new.pfx")).unwrap();
    let arguments = ["--for", "java", "--new-password-file", text(&given)];
    let refused = desk.convert(&arguments);
    assert_eq!(refused.error()["code"], "target_cannot_read");
}

#[test]
fn long_names_are_kept_and_what_is_cut_is_told() {
    for (length, kept) in [(300, 300), (1030, 1024)] {
        let desk = Desk::new(&["-name", &"n".repeat(length)]);
        let report = desk.convert_fresh(&["--for", "java"]).json();
        let name = by_python(&desk.path("new.pfx"), &desk.path("new.pw"));
        assert_eq!(name, format!("{} 1\n", "n".repeat(kept)));
        let notes = report["notes"].to_string();
        assert_eq!(notes.contains("1024 characters"), kept < length, "{notes}");
    }
}

#[test]
fn nothing_that_exists_is_overwritten() {
    let desk = Desk::new(&[]);
    for there in ["new.pfx", "new.pw"] {
        fs::write(desk.path(there), "mine").unwrap();
        let before = desk.names();
        let refused = desk.convert_fresh(&["--for", "openssl3"]);
        assert_eq!(refused.code, 2);
        assert_eq!(refused.error()["code"], "file_exists");
        assert_eq!(desk.names(), before);
        assert_eq!(fs::read(desk.path(there)).unwrap(), b"mine");
        fs::remove_file(desk.path(there)).unwrap();
    }
}

#[test]
fn refusals_of_the_reader_keep_their_codes_and_leave_nothing() {
    let desk = Desk::new(&[]);
    write(&desk.path("old.pw"), "another password", 0o600);
    let before = desk.names();
    let wrong = desk.convert_fresh(&["--for", "openssl3"]);
    assert_eq!(wrong.code, 1);
    assert_eq!(wrong.error()["code"], "wrong_password");
    write(&desk.path("old.pfx"), "no PFX at all", 0o600);
    let broken = desk.convert_fresh(&["--for", "openssl3"]);
    assert_eq!(broken.error()["code"], "malformed");
    assert_eq!(desk.names(), before);
}

#[test]
fn wrong_usage_is_told_before_anything_is_read() {
    let desk = Desk::new(&[]);
    let neither = desk.convert(&["--for", "openssl3"]);
    assert_eq!(neither.code, 2);
    assert!(
        neither.stderr.contains("--new-password-out"),
        "{}",
        neither.stderr
    );
    let unknown = desk.convert_fresh(&["--for", "windows"]);
    assert_eq!(unknown.code, 2);
    assert!(
        unknown.stderr.contains("windows-2019"),
        "{}",
        unknown.stderr
    );
    let few = desk.convert_fresh(&["--for", "openssl3", "--iterations", "999"]);
    assert_eq!(few.code, 2);
    assert_eq!(few.error()["code"], "limit_exceeded");
    let same = desk.path("new.pfx");
    let twice = desk.convert(&["--for", "openssl3", "--new-password-out", text(&same)]);
    assert_eq!(twice.error()["code"], "same_file");
}

#[test]
fn a_password_file_that_others_can_read_is_used_and_told() {
    let desk = Desk::new(&[]);
    write(&desk.path("old.pw"), format!("{PASSWORD}\n"), 0o644);
    let ran = desk.convert_fresh(&["--for", "openssl3"]);
    ran.json();
    assert!(ran.stderr.contains("0644"), "{}", ran.stderr);
}

#[test]
fn that_java_s_mark_of_trust_is_left_out_is_said() {
    let desk = Desk::new(&[]);
    write(&desk.path("old.pw"), "changeit", 0o600);
    let root = desk.workshop.authority("Trusted", KeyAlgorithm::P256);
    fs::remove_file(desk.path("old.pfx")).unwrap();
    let keytool = |arguments: &[&str]| {
        let output = std::process::Command::new("keytool")
            .args(arguments)
            .args([
                "-noprompt",
                "-storetype",
                "PKCS12",
                "-storepass",
                "changeit",
            ])
            .args(["-keystore", text(&desk.path("old.pfx"))])
            .output()
            .expect("this test needs keytool (of a JDK)");
        assert!(output.status.success(), "{output:?}");
    };
    let certificate = text(&root.certificate);
    keytool(&["-importcert", "-alias", "trusted", "-file", certificate]);
    // Nothing but certificates that Java would pass over.
    let before = desk.names();
    let refused = desk.convert_fresh(&["--for", "java"]);
    assert_eq!(refused.error()["code"], "target_cannot_read");
    let hint = refused.error()["hint"].to_string();
    assert!(
        hint.contains("keytool -importcert") && !hint.contains("leave --form away"),
        "{hint}"
    );
    assert_eq!(desk.names(), before);
    // Beside a key it is a note.
    keytool(&[
        "-genkeypair",
        "-alias",
        "own",
        "-keyalg",
        "RSA",
        "-dname",
        "CN=own",
    ]);
    let report = desk.convert_fresh(&["--for", "java"]).json();
    assert_eq!(
        (&report["keys"], &report["certificates"]),
        (&1.into(), &2.into())
    );
    let notes = report["notes"].to_string();
    assert!(notes.contains("mark of trust on 1 certificate"), "{notes}");
}
