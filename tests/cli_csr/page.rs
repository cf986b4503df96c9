//! The page for people: its commands are run as they stand there.

use super::cli_common::{Token, openssl, text, write};
use super::support::{KeyAlgorithm, Workshop};
use super::{PASSWORD, engine};
use std::fs;
use std::path::Path;
use std::process::Command;

/// The commands of a page, each in one line.
fn commands(page: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut inside = false;
    let mut line = String::new();
    for text in page.lines() {
        if text.starts_with("```") {
            inside = text == "```bash";
            continue;
        }
        if inside {
            match text.strip_suffix('\\') {
                Some(part) => line.push_str(part),
                None => found.push(std::mem::take(&mut line) + text),
            }
        }
    }
    found
}

/// In the order of the page, in one folder, by a shell: with a token for the one that has a key on it, and OpenSSL as the authority.
#[test]
fn every_command_of_the_page_does_what_it_says() {
    let page =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/certificates.md"))
            .unwrap();
    let commands = commands(&page);
    assert!(commands.len() >= 10, "{commands:?}");
    let token = Token::new();
    engine(&token);
    token
        .run(&[
            "key",
            "generate-signing",
            "--key-label",
            "requests",
            "--json",
        ])
        .json();
    let folder = token.folder.path();
    write(&token.path("ada.pw"), PASSWORD, 0o600);
    let binaries = Path::new(env!("CARGO_BIN_EXE_pfx-connector"))
        .parent()
        .unwrap();
    let path = format!("{}:{}", binaries.display(), std::env::var("PATH").unwrap());
    for command in &commands {
        if command.contains(" cert ") && !token.path("ada.pem").exists() {
            issue(folder);
        }
        let output = Command::new("sh")
            .args(["-c", command])
            .current_dir(folder)
            .env("PATH", &path)
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{command}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

/// The authority of the page: a root, an issuing authority with its list, and a certificate for the page's request with what it asks for.
fn issue(folder: &Path) {
    let workshop = Workshop::new();
    let root = workshop.authority("Example Root", KeyAlgorithm::P256);
    let issuing = root.intermediate("Example Issuing", KeyAlgorithm::P256);
    let list = issuing.revocation_list(&[], ("20260101000000Z", "20491231000000Z"), "");
    for (from, to) in [
        (&root.certificate, "root.pem"),
        (&issuing.certificate, "issuing.pem"),
        (&list, "issuing.crl"),
    ] {
        fs::copy(from, folder.join(to)).unwrap();
    }
    let (request, out) = (folder.join("ada.csr"), folder.join("ada.pem"));
    openssl(&[
        "x509",
        "-req",
        "-in",
        text(&request),
        "-copy_extensions",
        "copyall",
        "-CA",
        text(&issuing.certificate),
        "-CAkey",
        text(&issuing.key),
        "-days",
        "365",
        "-out",
        text(&out),
    ]);
}
