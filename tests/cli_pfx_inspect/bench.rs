//! A person's mail certificate with its authority, PFX files of it, and the command under test.

use crate::cli_common::{Ran, openssl, program, text, write};
use serde_json::Value;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use tempfile::TempDir;

pub const PASSWORD: &str = "correct horse battery staple";
pub const MAIL: &str = "ada@example.com";

/// A root, a person's certificate for mail, and the person's key.
pub struct Bench {
    pub folder: TempDir,
}

impl Bench {
    pub fn new() -> Self {
        let bench = Self {
            folder: TempDir::new().unwrap(),
        };
        write(&bench.path("pw"), format!("{PASSWORD}\n"), 0o600);
        write(
            &bench.path("person.ext"),
            format!(
                "keyUsage=critical,digitalSignature,keyEncipherment\nextendedKeyUsage=emailProtection\nsubjectAltName=email:{MAIL}\n"
            ),
            0o600,
        );
        let path = |name: &str| text(&bench.path(name)).to_owned();
        openssl(&[
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "30",
            "-subj",
            "/CN=Example Root",
            "-keyout",
            &path("root.key"),
            "-out",
            &path("root.pem"),
        ]);
        openssl(&[
            "req",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-subj",
            "/CN=Ada",
            "-keyout",
            &path("ada.key"),
            "-out",
            &path("ada.csr"),
        ]);
        openssl(&[
            "x509",
            "-req",
            "-in",
            &path("ada.csr"),
            "-CA",
            &path("root.pem"),
            "-CAkey",
            &path("root.key"),
            "-days",
            "20",
            "-extfile",
            &path("person.ext"),
            "-out",
            &path("ada.pem"),
        ]);
        bench
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A PFX with key, certificate and root, by OpenSSL.
    pub fn pfx(&self, name: &str, options: &[&str]) -> PathBuf {
        let out = self.path(name);
        let from = format!("file:{}", self.path("pw").display());
        let (key, certificate, root) = (
            self.path("ada.key"),
            self.path("ada.pem"),
            self.path("root.pem"),
        );
        let mut arguments = vec![
            "pkcs12",
            "-export",
            "-inkey",
            text(&key),
            "-in",
            text(&certificate),
            "-certfile",
            text(&root),
            "-name",
            "Ada's mail",
            "-passout",
            &from,
            "-out",
            text(&out),
        ];
        arguments.extend(options);
        openssl(&arguments);
        out
    }

    pub fn inspect(&self, file: &str, more: &[&str]) -> Ran {
        let mut arguments = vec!["pfx", "inspect", file];
        arguments.extend(more);
        program(&arguments, &[])
    }

    /// The report in JSON, under the right password.
    pub fn report(&self, file: &str, more: &[&str]) -> (i32, Value) {
        let password = self.path("pw");
        let mut arguments = vec!["--json", "--password-file", text(&password)];
        arguments.extend(more);
        report(&self.inspect(file, &arguments))
    }

    pub fn run(&self, name: &str, arguments: &[&str]) {
        let output = Command::new(name)
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .unwrap_or_else(|error| panic!("this test needs {name}: {error}"));
        assert!(output.status.success(), "{name} {arguments:?}: {output:?}");
    }
}

/// Exit code and report; what failed says so in both places in the same words.
pub fn report(ran: &Ran) -> (i32, Value) {
    let report: Value = serde_json::from_slice(&ran.stdout)
        .unwrap_or_else(|error| panic!("{error}: {:?} {}", ran.text(), ran.stderr));
    if ran.code != 0 {
        let line = ran.stderr.lines().last().expect("a line on standard error");
        let failure: Value = serde_json::from_str(line).expect("JSON on standard error");
        assert_eq!(failure["error"], report["error"]);
        assert!(report["error"]["message"].as_str().unwrap().len() > 10);
    }
    (ran.code, report)
}

pub fn verdict<'a>(report: &'a Value, target: &str) -> &'a str {
    report["verdicts"]
        .as_array()
        .unwrap()
        .iter()
        .find(|verdict| verdict["target"] == target)
        .unwrap_or_else(|| panic!("no verdict on {target}"))["opens"]
        .as_str()
        .unwrap()
}
