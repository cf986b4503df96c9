//! OpenSSL with its default provider, Java's key store and NSS, asked to open files.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

/// What a program did with a file.
#[derive(Debug)]
pub enum Outcome {
    /// It opened it.
    Opened {
        /// How many private keys it has now: none at all is what Java makes of what it passes over.
        keys: usize,
        /// How many certificates it has now by themselves; where there are keys it need not be told.
        certificates: usize,
        /// The certificate that it joined to each key, in hexadecimal; `None` for a program that hands out keys and certificates as they are.
        joined: Option<Vec<String>>,
    },
    /// It did not.
    Refused(#[allow(dead_code)] String),
}

pub struct Programs {
    folder: TempDir,
}

impl Programs {
    pub fn new() -> Self {
        Self {
            folder: TempDir::new().unwrap(),
        }
    }

    /// Writes file and password, each under its number.
    fn places(&self, files: &[(&[u8], &[u8])]) -> Vec<(PathBuf, PathBuf)> {
        files
            .iter()
            .enumerate()
            .map(|(number, (pfx, password))| {
                let file = self.folder.path().join(format!("{number}.p12"));
                let secret = self.folder.path().join(format!("{number}.password"));
                std::fs::write(&file, pfx).unwrap();
                // The programs read a line; they take an empty file for none.
                std::fs::write(&secret, [password, b"\n".as_slice()].concat()).unwrap();
                (file, secret)
            })
            .collect()
    }

    pub fn openssl(&self, files: &[(&[u8], &[u8])]) -> Vec<Outcome> {
        self.places(files)
            .iter()
            .map(|(file, password)| {
                let from = format!("file:{}", password.display());
                let output = run(
                    "openssl",
                    Command::new("openssl")
                        .args(["pkcs12", "-nodes", "-passin", &from, "-in"])
                        .arg(file),
                );
                if !output.status.success() {
                    return refused(&output);
                }
                let text = String::from_utf8_lossy(&output.stdout);
                let keys = text.matches("PRIVATE KEY-----").count() / 2;
                let certificates = text.matches("BEGIN CERTIFICATE-----").count();
                Outcome::Opened {
                    keys,
                    certificates,
                    joined: None,
                }
            })
            .collect()
    }

    /// One virtual machine opens all of them.
    pub fn java(&self, files: &[(&[u8], &[u8])]) -> Vec<Outcome> {
        let list = self.folder.path().join("list");
        let lines: Vec<String> = self
            .places(files)
            .iter()
            .map(|(file, password)| format!("{}\t{}", file.display(), password.display()))
            .collect();
        std::fs::write(&list, lines.join("\n")).unwrap();
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/verdicts/Opens.java");
        let output = run(
            "java (of a JDK)",
            Command::new("java").arg(source).arg(&list),
        );
        assert!(output.status.success(), "{output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        let outcomes: Vec<Outcome> = text
            .lines()
            .map(
                |line| match line.split('\t').collect::<Vec<_>>().as_slice() {
                    [_, "opened", keys, certificates, joined] => Outcome::Opened {
                        keys: keys.parse().unwrap(),
                        certificates: certificates.parse().unwrap(),
                        joined: Some(joined.split(' ').map(str::to_owned).collect()),
                    },
                    _ => Outcome::Refused(line.to_owned()),
                },
            )
            .collect();
        assert_eq!(outcomes.len(), files.len());
        outcomes
    }

    /// Each file into a database of its own: NSS refuses what it has already.
    pub fn nss(&self, files: &[(&[u8], &[u8])]) -> Vec<Outcome> {
        self.places(files)
            .iter()
            .enumerate()
            .map(|(number, (file, password))| {
                let database = self.folder.path().join(format!("nss-{number}"));
                std::fs::create_dir(&database).unwrap();
                let database = format!("sql:{}", database.display());
                let made = run(
                    "certutil (libnss3-tools)",
                    Command::new("certutil").args(["-N", "--empty-password", "-d", &database]),
                );
                assert!(made.status.success(), "{made:?}");
                let output = run(
                    "pk12util (libnss3-tools)",
                    Command::new("pk12util")
                        .args(["-d", &database, "-K", "", "-w"])
                        .arg(password)
                        .arg("-i")
                        .arg(file),
                );
                if !output.status.success() {
                    return refused(&output);
                }
                let listed = |what: &str| {
                    let output = run(
                        "certutil (libnss3-tools)",
                        Command::new("certutil").args([what, "-d", &database]),
                    );
                    String::from_utf8_lossy(&output.stdout).into_owned()
                };
                let keys = listed("-K");
                let certificates = listed("-L");
                Outcome::Opened {
                    keys: keys.lines().filter(|line| line.starts_with('<')).count(),
                    certificates: certificates
                        .lines()
                        .skip_while(|line| !line.contains("SSL,S/MIME"))
                        .skip(1)
                        .filter(|line| !line.trim().is_empty())
                        .count(),
                    // It imports no key without the certificate that it joins to it.
                    joined: None,
                }
            })
            .collect()
    }
}

fn refused(output: &Output) -> Outcome {
    let text = String::from_utf8_lossy(&output.stderr).into_owned()
        + &String::from_utf8_lossy(&output.stdout);
    Outcome::Refused(text.chars().take(300).collect())
}

fn run(name: &str, command: &mut Command) -> Output {
    command
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("this test needs {name}: {error}"))
}
