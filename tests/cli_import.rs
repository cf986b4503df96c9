//! `import` against a real gateway, with a password encrypted on a SoftHSM token and in the module.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

mod cli_common;

use cli_common::{Ran, Token, openssl, program, text, write};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const USER: &str = "ada@example.com";
/// Files of other programs are opened, and the module encrypts where there is no token.
const FIPS: &str = "[fips]|exceptions = [\"pkcs12-legacy-read\", \"rsa-key-transport-in-module\"]|";
const PASSWORD: &str = "Xy7-long-enough-password";

/// A token with a custody key, a gateway that runs, and an importer's configuration.
struct Bench {
    token: Token,
    fingerprint: String,
    padding: String,
    gateway: Child,
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = self.gateway.kill();
        let _ = self.gateway.wait();
    }
}

impl Bench {
    fn new() -> Self {
        let token = Token::new();
        let key = token.generate("custody", "2048");
        let public = token.path("custody.pem");
        token
            .run(&["key", "export-public", "--out", text(&public), "--json"])
            .json();
        tls(&token);
        let signer = |name: &str| token.path(name).to_str().unwrap().to_owned();
        program(
            &[
                "import",
                "signer",
                "--out-key",
                &signer("signer.key"),
                "--out-public",
                &signer("signer.pem"),
                "--json",
            ],
            &[],
        )
        .json();
        let gateway = start_gateway(&token);
        let bench = Self {
            fingerprint: key["fingerprint"].as_str().unwrap().to_owned(),
            padding: key["bestPadding"].as_str().unwrap().to_owned(),
            token,
            gateway,
        };
        let created = program(
            &[
                "gateway",
                "token",
                "create",
                "--config",
                text(&bench.path("gateway.toml")),
                "--role",
                "importer",
                "--name",
                "test",
                "--json",
            ],
            &[],
        )
        .json();
        write(
            &bench.path("bearer"),
            created["token"].as_str().unwrap(),
            0o600,
        );
        bench.configure(&bench.fingerprint, true);
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.token.path(name)
    }

    fn configure(&self, fingerprint: &str, with_token: bool) {
        let address = fs::read_to_string(self.path("ready")).unwrap();
        let token = if with_token {
            format!("[import.token]\n{}", self.token.section())
        } else {
            String::new()
        };
        let config = format!(
            "{}[import]\ngateway = \"https://{}\"\ngateway_ca = \"tls.pem\"\ntoken_file = \"bearer\"\ncustody_public_key = \"custody.pem\"\n\
             custody_fingerprint = \"{fingerprint}\"\nkey_name = \"custody\"\npadding = \"{}\"\nsigning_key = \"signer.key\"\n{token}",
            FIPS.replace('|', "\n"),
            address.trim(),
            self.padding
        );
        write(&self.path("import.toml"), config, 0o600);
    }

    /// A PFX of a self-made certificate, by OpenSSL.
    fn pfx(&self, password: &str) -> (PathBuf, PathBuf) {
        let (key, cert) = (self.path("user.key"), self.path("user.pem"));
        openssl(&[
            "req",
            "-x509",
            "-nodes",
            "-newkey",
            "rsa:2048",
            "-days",
            "5",
            "-subj",
            "/CN=Ada",
            "-keyout",
            text(&key),
            "-out",
            text(&cert),
        ]);
        let (pfx, file) = (self.path("user.pfx"), self.path("user.password"));
        write(&file, password, 0o600);
        let pass = format!("file:{}", file.display());
        openssl(&[
            "pkcs12",
            "-export",
            "-inkey",
            text(&key),
            "-in",
            text(&cert),
            "-certpbe",
            "AES-256-CBC",
            "-keypbe",
            "AES-256-CBC",
            "-macalg",
            "sha256",
            "-out",
            text(&pfx),
            "-passout",
            &pass,
        ]);
        (pfx, file)
    }

    fn add(&self, pfx: &std::path::Path, password: &std::path::Path, more: &[&str]) -> Ran {
        let config = self.path("import.toml");
        let args = [
            "import",
            "add",
            "--config",
            text(&config),
            "--user",
            USER,
            "--pfx",
            text(pfx),
            "--password-file",
            text(password),
            "--json",
        ];
        program(&[&args, more].concat(), &[])
    }

    fn list(&self) -> Vec<Value> {
        let listed = program(
            &[
                "import",
                "list",
                "--config",
                text(&self.path("import.toml")),
                "--user",
                USER,
                "--json",
            ],
            &[],
        );
        listed.json()["records"].as_array().unwrap().clone()
    }
}

fn tls(token: &Token) {
    openssl(&[
        "req",
        "-x509",
        "-nodes",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-days",
        "2",
        "-subj",
        "/CN=gateway",
        "-addext",
        "subjectAltName=IP:127.0.0.1",
        "-addext",
        "basicConstraints=critical,CA:FALSE",
        "-keyout",
        text(&token.path("tls.key")),
        "-out",
        text(&token.path("tls.pem")),
    ]);
    fs::set_permissions(token.path("tls.key"), fs::Permissions::from_mode(0o600)).unwrap();
}

fn start_gateway(token: &Token) -> Child {
    write(
        &token.path("gateway.toml"),
        "[gateway]\nlisten = \"127.0.0.1:0\"\ncertificate = \"tls.pem\"\nprivate_key = \"tls.key\"\nconnector_ca = \"tls.pem\"\n\
         database = \"gateway.db\"\nready_file = \"ready\"\n",
        0o600,
    );
    let log = fs::File::create(token.path("gateway.log")).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_pfx-connector"))
        .args(["gateway", "--config", text(&token.path("gateway.toml"))])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while fs::read_to_string(token.path("ready")).map_or(true, |text| text.is_empty()) {
        let said = || fs::read_to_string(token.path("gateway.log")).unwrap_or_default();
        assert!(child.try_wait().unwrap().is_none(), "ended: {}", said());
        assert!(Instant::now() < deadline, "not ready: {}", said());
        std::thread::sleep(Duration::from_millis(5));
    }
    child
}

#[test]
fn a_pfx_is_imported_listed_replaced_and_removed() {
    let bench = Bench::new();
    let (pfx, password) = bench.pfx(PASSWORD);
    let said = bench.add(&pfx, &password, &[]).json();
    assert_eq!(said["encryptedBy"], "token");
    assert_eq!(said["signed"], true);
    assert_eq!(said["custodyKey"], bench.fingerprint.as_str());
    let notes = said["notes"].as_array().unwrap();
    assert_eq!(notes.len(), 1, "{said}");
    // OpenSSL's PFX has a salt of 8 bytes and the classic MAC.
    assert!(
        notes[0].as_str().unwrap().contains("pkcs12-kdf-read"),
        "{said}"
    );
    let thumbprint = openssl(&[
        "x509",
        "-in",
        text(&bench.path("user.pem")),
        "-noout",
        "-fingerprint",
        "-sha1",
    ]);
    let thumbprint = String::from_utf8(thumbprint).unwrap();
    let thumbprint = thumbprint
        .trim()
        .split_once('=')
        .unwrap()
        .1
        .replace(':', "")
        .to_lowercase();
    assert_eq!(said["thumbprint"], thumbprint.as_str());

    let listed = bench.list();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0]["thumbprint"], thumbprint.as_str());
    assert_eq!(listed[0]["intendedPurpose"], "smimeEncryption");
    assert!(listed[0].get("encryptedPfxBlob").is_none());

    let again = bench.add(&pfx, &password, &[]);
    assert_eq!(
        (again.code, &again.error()["code"]),
        (1, &"service_conflict".into())
    );
    let replaced = bench
        .add(&pfx, &password, &["--replace", "--purpose", "vpn"])
        .json();
    assert_eq!(replaced["id"], said["id"]);
    let listed = bench.list();
    assert_eq!(
        (listed.len(), &listed[0]["intendedPurpose"]),
        (1, &"vpn".into())
    );

    let remove = || {
        program(
            &[
                "import",
                "remove",
                "--config",
                text(&bench.path("import.toml")),
                "--user",
                USER,
                "--thumbprint",
                &thumbprint,
                "--json",
            ],
            &[],
        )
    };
    assert_eq!(remove().json()["removed"][0], said["id"]);
    assert_eq!(bench.list().len(), 0);
    let gone = remove();
    assert_eq!(
        (gone.code, &gone.error()["code"]),
        (1, &"record_not_found".into())
    );
}

#[test]
fn without_a_token_the_module_encrypts_and_that_is_said() {
    let bench = Bench::new();
    bench.configure(&bench.fingerprint, false);
    let (pfx, password) = bench.pfx(PASSWORD);
    let said = bench.add(&pfx, &password, &[]).json();
    assert_eq!(said["encryptedBy"], "module");
    let note = said["notes"][0].as_str().unwrap();
    assert!(note.contains("rsa-oaep-encrypt"), "{note}");
    assert!(said["fips"]["notApproved"].as_u64().unwrap() > 0);
}

/// The importer's configuration in strict mode without exceptions.
fn strictly(bench: &Bench) {
    let path = bench.path("import.toml");
    let config = fs::read_to_string(&path).unwrap();
    let (_, rest) = config.split_once("[import]").unwrap();
    write(&path, format!("[import]{rest}"), 0o600);
}

#[test]
fn in_strict_mode_a_pfx_is_passed_on_unopened_with_its_certificate_beside_it() {
    let bench = Bench::new();
    strictly(&bench);
    let (pfx, password) = bench.pfx(PASSWORD);
    let refused = bench.add(&pfx, &password, &[]);
    let error = refused.error();
    assert_eq!((refused.code, &error["code"]), (1, &"not_approved".into()));
    for part in [
        "PKCS#12",
        "pkcs12-kdf-read",
        "--certificate",
        "pkcs12-legacy-read",
    ] {
        assert!(error["message"].as_str().unwrap().contains(part), "{error}");
    }
    assert_eq!(bench.list().len(), 0);

    let certificate = bench.path("user.pem");
    let said = bench
        .add(&pfx, &password, &["--certificate", text(&certificate)])
        .json();
    assert_eq!(
        (&said["opened"], &said["encryptedBy"]),
        (&false.into(), &"token".into())
    );
    assert_eq!(said["fips"]["mode"], "strict");
    assert_eq!(said["fips"]["exceptions"], serde_json::json!([]));
    assert_eq!(said["fips"]["notApproved"], 0, "{said}");
    assert!(said["notes"][0].as_str().unwrap().contains("not opened"));
    assert_eq!(bench.list()[0]["thumbprint"], said["thumbprint"]);

    for (content, why) in [
        (&b"nonsense"[..], "certificate_malformed"),
        (b"", "certificate_malformed"),
        (
            b"-----BEGIN CERTIFICATE-----\nAAAA\n",
            "certificate_malformed",
        ),
    ] {
        let broken = bench.path("broken.pem");
        fs::write(&broken, content).unwrap();
        let ran = bench.add(&pfx, &password, &["--certificate", text(&broken)]);
        assert_eq!((ran.code, &ran.error()["code"]), (1, &why.into()));
    }
    fs::write(&pfx, b"no PFX at all").unwrap();
    let ran = bench.add(
        &pfx,
        &password,
        &["--certificate", text(&certificate), "--replace"],
    );
    assert_eq!((ran.code, &ran.error()["code"]), (1, &"malformed".into()));
}

#[test]
fn in_strict_mode_without_a_token_nothing_is_encrypted_in_the_module() {
    let bench = Bench::new();
    bench.configure(&bench.fingerprint, false);
    strictly(&bench);
    let (pfx, password) = bench.pfx(PASSWORD);
    let certificate = bench.path("user.pem");
    let refused = bench.add(&pfx, &password, &["--certificate", text(&certificate)]);
    let error = refused.error();
    assert_eq!((refused.code, &error["code"]), (1, &"not_approved".into()));
    for part in [
        "rsa-oaep-encrypt",
        "[import.token]",
        "rsa-key-transport-in-module",
    ] {
        assert!(error["message"].as_str().unwrap().contains(part), "{error}");
    }
    assert_eq!(bench.list().len(), 0);
}

#[test]
fn without_a_padding_the_token_says_the_best_or_it_has_to_be_named() {
    let bench = Bench::new();
    let without = |with_token: bool| {
        bench.configure(&bench.fingerprint, with_token);
        let path = bench.path("import.toml");
        let config = fs::read_to_string(&path).unwrap();
        let line = format!("padding = \"{}\"\n", bench.padding);
        assert!(config.contains(&line));
        write(&path, config.replace(&line, ""), 0o600);
    };
    let (pfx, password) = bench.pfx(PASSWORD);
    without(true);
    let added = bench.add(&pfx, &password, &[]).json();
    assert_eq!(added["padding"], bench.padding.as_str());
    assert_eq!(added["encryptedBy"], "token");

    without(false);
    let refused = bench.add(&pfx, &password, &["--replace"]);
    assert_eq!(refused.code, 2);
    assert_eq!(refused.error()["code"], "padding");
}

#[test]
fn another_key_than_the_pinned_one_is_refused_before_the_password_is_read() {
    let bench = Bench::new();
    bench.configure(&"ab".repeat(32), true);
    let ran = bench.add(&bench.path("no.pfx"), &bench.path("no.password"), &[]);
    assert_eq!(
        (ran.code, &ran.error()["code"]),
        (2, &"custody_key_mismatch".into())
    );
}

#[test]
fn passwords_that_would_not_arrive_are_refused_with_the_reason() {
    let bench = Bench::new();
    let (pfx, password) = bench.pfx(PASSWORD);
    write(&password, "Gr\u{fc}\u{df}e-aus-K\u{f6}ln", 0o600);
    let ran = bench.add(&pfx, &password, &[]);
    assert_eq!(
        (ran.code, &ran.error()["code"]),
        (1, &"password_not_ascii".into())
    );
    assert!(ran.error()["message"].as_str().unwrap().contains("UTF-16"));
    write(&password, "x".repeat(2000), 0o600);
    let ran = bench.add(&pfx, &password, &[]);
    assert_eq!(
        (ran.code, &ran.error()["code"]),
        (1, &"password_too_long".into())
    );
    write(&password, "another password", 0o600);
    let ran = bench.add(&pfx, &password, &[]);
    assert_eq!(
        (ran.code, &ran.error()["code"]),
        (1, &"wrong_password".into())
    );
    assert!(!ran.stderr.contains("another password"));
    write(&password, PASSWORD, 0o644);
    let ran = bench.add(&pfx, &password, &[]);
    assert_eq!(
        (ran.code, &ran.error()["code"]),
        (2, &"secret_file_exposed".into())
    );
    assert_eq!(bench.list().len(), 0);
}

#[test]
fn a_short_password_is_imported_with_a_note() {
    let bench = Bench::new();
    let (pfx, password) = bench.pfx("short");
    let said = bench.add(&pfx, &password, &[]).json();
    assert!(said["notes"][0].as_str().unwrap().contains("fewer than 14"));
}

#[test]
fn an_unknown_bearer_token_is_a_clear_error() {
    let bench = Bench::new();
    write(&bench.path("bearer"), "not-a-token", 0o600);
    let ran = program(
        &[
            "import",
            "list",
            "--config",
            text(&bench.path("import.toml")),
            "--json",
        ],
        &[],
    );
    assert_eq!(
        (ran.code, &ran.error()["code"]),
        (1, &"service_unauthorized".into())
    );
    assert!(!ran.stderr.contains("not-a-token"));
}

#[test]
fn a_service_with_another_certificate_is_not_spoken_to() {
    let bench = Bench::new();
    tls(&bench.token);
    let ran = program(
        &[
            "import",
            "list",
            "--config",
            text(&bench.path("import.toml")),
            "--log",
            "off",
            "--json",
        ],
        &[],
    );
    assert_eq!(
        (ran.code, &ran.error()["code"]),
        (1, &"tls_certificate_bad_signature".into()),
        "{}",
        ran.stderr
    );
    let message = ran.error()["message"].as_str().unwrap().to_owned();
    assert!(message.contains("certificate"), "{message}");
}

#[test]
fn the_signer_makes_a_key_that_openssl_reads_and_never_overwrites() {
    let folder = tempfile::tempdir().unwrap();
    let (key, public) = (folder.path().join("s.key"), folder.path().join("s.pem"));
    let make = || {
        program(
            &[
                "import",
                "signer",
                "--out-key",
                text(&key),
                "--out-public",
                text(&public),
                "--json",
            ],
            &[],
        )
    };
    let said = make().json();
    let mode = fs::metadata(&key).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let derived = openssl(&["pkey", "-in", text(&key), "-pubout"]);
    assert_eq!(derived, fs::read(&public).unwrap());
    let der = folder.path().join("s.der");
    fs::write(
        &der,
        openssl(&["pkey", "-in", text(&key), "-pubout", "-outform", "DER"]),
    )
    .unwrap();
    let digest = String::from_utf8(openssl(&["dgst", "-sha256", "-r", text(&der)])).unwrap();
    assert!(digest.starts_with(said["fingerprint"].as_str().unwrap()));
    let again = make();
    assert_eq!(
        (again.code, &again.error()["code"]),
        (2, &"file_exists".into())
    );
}
