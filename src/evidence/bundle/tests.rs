//! A small bundle, changed in every way.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

use super::*;
use fips::sign::{KeyKind, SigningKey};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

fn documents() -> Documents {
    DOCUMENTS
        .iter()
        .map(|document| {
            let content = format!("This is {}.\n", document.name).into_bytes();
            (document.name.to_owned(), content)
        })
        .collect()
}

fn key(kind: KeyKind) -> Signer {
    Signer::File(SigningKey::generate(kind).unwrap())
}

struct Bundle {
    _home: TempDir,
    path: PathBuf,
}

impl Bundle {
    fn new(signer: Option<&Signer>) -> Self {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("bundle");
        write(&path, documents(), signer).unwrap();
        verify(&path, None).unwrap();
        Self { _home: home, path }
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(&self.path)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// What verification says while `name` has this content.
    fn with(&self, name: &str, content: &[u8]) -> Result<Verified, BundleError> {
        let path = self.file(name);
        let before = fs::read(&path).unwrap();
        fs::write(&path, content).unwrap();
        let verified = verify(&self.path, None);
        fs::write(&path, before).unwrap();
        verified
    }
}

fn signers() -> Vec<Option<Signer>> {
    vec![
        None,
        Some(key(KeyKind::EcP256)),
        Some(key(KeyKind::EcP384)),
        Some(key(KeyKind::Rsa(2048))),
    ]
}

#[test]
fn a_bundle_is_verified_and_says_who_signed_it() {
    for signer in signers() {
        let bundle = Bundle::new(signer.as_ref());
        let verified = verify(&bundle.path, None).unwrap();
        assert_eq!(
            verified.signature.map(|signature| signature.by),
            signer.as_ref().map(Signer::signed_by)
        );
        assert_eq!(
            verified.files,
            DOCUMENTS.len() + usize::from(signer.is_some())
        );
        let Some(signer) = signer else { continue };
        assert!(!verified.signature.unwrap().expected);
        let pem = fs::read(bundle.file(SIGNER)).unwrap();
        let verified = verify(&bundle.path, Some(&pem)).unwrap();
        assert!(verified.signature.unwrap().expected);
        assert_ne!(
            signer.signed_by().algorithm.name(),
            "rsa-pkcs1-sha256",
            "RSA signs with PSS"
        );
    }
}

/// One bit of each byte, a different one from byte to byte; and the case of letters, where that could be taken for the same.
fn change_every_byte(bundle: &Bundle, name: &str) {
    let content = fs::read(bundle.file(name)).unwrap();
    for at in 0..content.len() {
        let case = content[at].is_ascii_alphabetic().then_some(0x20);
        for change in case.into_iter().chain([1 << (at % 8)]) {
            let mut changed = content.clone();
            changed[at] ^= change;
            let verified = bundle.with(name, &changed);
            assert!(verified.is_err(), "{name}, byte {at} ^ {change:02x}");
        }
    }
}

#[test]
fn every_single_byte_of_every_file_counts() {
    let bundle = Bundle::new(Some(&key(KeyKind::EcP256)));
    for name in bundle.names() {
        change_every_byte(&bundle, &name);
    }
    change_every_byte(&Bundle::new(None), MANIFEST);
    for kind in [KeyKind::EcP384, KeyKind::Rsa(2048)] {
        let bundle = Bundle::new(Some(&key(kind)));
        change_every_byte(&bundle, SIGNATURE);
        change_every_byte(&bundle, SIGNER);
    }
}

#[test]
fn what_is_cut_or_longer_is_refused() {
    let bundle = Bundle::new(Some(&key(KeyKind::EcP256)));
    for name in bundle.names() {
        let content = fs::read(bundle.file(&name)).unwrap();
        for length in 0..content.len() {
            assert!(
                bundle.with(&name, &content[..length]).is_err(),
                "{name} cut to {length}"
            );
        }
        for more in [&b"\n"[..], b" ", b"\0", b"more\n"] {
            assert!(
                bundle.with(&name, &[&content, more].concat()).is_err(),
                "{name}"
            );
            assert!(
                bundle.with(&name, &[more, &content].concat()).is_err(),
                "{name}"
            );
        }
    }
}

#[test]
fn a_file_that_is_missing_is_named() {
    for signer in signers() {
        let bundle = Bundle::new(signer.as_ref());
        for name in bundle.names() {
            let away = bundle.path.with_file_name("away");
            fs::rename(bundle.file(&name), &away).unwrap();
            let error = verify(&bundle.path, None).unwrap_err();
            assert!(
                matches!(&error, BundleError::Missing { name: missing } if *missing == name),
                "{name}: {error}"
            );
            fs::rename(&away, bundle.file(&name)).unwrap();
        }
    }
}

#[test]
fn a_file_too_many_is_named_and_cannot_move_the_cursor() {
    let bundle = Bundle::new(None);
    for (name, shown) in [
        ("notes.txt", "notes.txt"),
        (".hidden", ".hidden"),
        (SIGNATURE, SIGNATURE),
        (SIGNER, SIGNER),
        ("a\u{1b}[2J", "a\u{fffd}[2J"),
    ] {
        fs::write(bundle.file(name), "").unwrap();
        let error = verify(&bundle.path, None).unwrap_err();
        assert!(
            matches!(&error, BundleError::Unknown { name } if name == shown),
            "{error}"
        );
        fs::remove_file(bundle.file(name)).unwrap();
    }
    fs::create_dir(bundle.file("folder")).unwrap();
    assert!(matches!(
        verify(&bundle.path, None),
        Err(BundleError::Unknown { .. })
    ));
    for number in 0..100 {
        fs::write(bundle.file(&number.to_string()), "").unwrap();
    }
    assert!(matches!(
        verify(&bundle.path, None),
        Err(BundleError::TooManyFiles { .. })
    ));
}

#[test]
fn links_pipes_and_folders_are_not_read() {
    let bundle = Bundle::new(Some(&key(KeyKind::EcP256)));
    for name in bundle.names() {
        let (file, away) = (bundle.file(&name), bundle.path.with_file_name("away"));
        fs::rename(&file, &away).unwrap();
        let refused = || {
            let error = verify(&bundle.path, None).unwrap_err();
            assert!(
                matches!(&error, BundleError::NotAFile { name: named } if *named == name),
                "{error}"
            );
        };
        // With the very content that is right.
        symlink(&away, &file).unwrap();
        refused();
        fs::remove_file(&file).unwrap();
        fs::create_dir(&file).unwrap();
        refused();
        fs::remove_dir(&file).unwrap();
        let pipe = rustix::fs::CWD;
        rustix::fs::mknodat(
            pipe,
            &file,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::from_raw_mode(0o600),
            0,
        )
        .unwrap();
        refused();
        fs::remove_file(&file).unwrap();
        fs::rename(&away, &file).unwrap();
    }
}

#[test]
fn files_that_change_places_are_seen() {
    for signer in signers() {
        let bundle = Bundle::new(signer.as_ref());
        let names = bundle.names();
        for (at, one) in names.iter().enumerate() {
            for other in &names[at + 1..] {
                let (a, b) = (bundle.file(one), bundle.file(other));
                let swap = || {
                    let (left, right) = (fs::read(&a).unwrap(), fs::read(&b).unwrap());
                    fs::write(&a, right).unwrap();
                    fs::write(&b, left).unwrap();
                };
                swap();
                assert!(verify(&bundle.path, None).is_err(), "{one} and {other}");
                swap();
            }
        }
    }
}

#[test]
fn a_file_that_grew_out_of_all_bounds_is_not_read_to_its_end() {
    let bundle = Bundle::new(None);
    for name in bundle.names() {
        let file = fs::OpenOptions::new()
            .write(true)
            .open(bundle.file(&name))
            .unwrap();
        let length = file.metadata().unwrap().len();
        // A hole: takes no space, and reading it would take long.
        file.set_len(1 << 40).unwrap();
        let error = verify(&bundle.path, None).unwrap_err();
        assert!(matches!(error, BundleError::TooLarge { .. }), "{error}");
        file.set_len(length).unwrap();
    }
}

/// Whoever changes a file can write the manifest anew; with a signature that needs the key.
#[test]
fn a_manifest_written_anew_does_not_carry_the_old_signature() {
    let (right, wrong) = (key(KeyKind::EcP256), key(KeyKind::EcP256));
    let bundle = Bundle::new(Some(&right));
    let forged = Bundle::new(Some(&wrong));
    let pem = fs::read(bundle.file(SIGNER)).unwrap();
    let error = verify(&forged.path, Some(&pem)).unwrap_err();
    assert!(
        matches!(error, BundleError::OtherKey { found, .. } if found == wrong.signed_by().fingerprint),
        "{error}"
    );
    let error = verify(&Bundle::new(None).path, Some(&pem)).unwrap_err();
    assert!(matches!(error, BundleError::NotSigned), "{error}");

    // Manifest and key of one, signature of the other.
    let signature = fs::read(forged.file(SIGNATURE)).unwrap();
    let own = String::from_utf8(fs::read(bundle.file(SIGNATURE)).unwrap()).unwrap();
    let value = |text: &str| text.lines().last().unwrap().to_owned();
    let mixed = own.replace(
        &value(&own),
        &value(&String::from_utf8(signature.clone()).unwrap()),
    );
    assert!(matches!(
        bundle.with(SIGNATURE, mixed.as_bytes()),
        Err(BundleError::WrongSignature)
    ));
    assert!(matches!(
        bundle.with(SIGNATURE, &signature),
        Err(BundleError::Malformed { .. })
    ));
}

#[test]
fn a_manifest_has_one_form() {
    let bundle = Bundle::new(None);
    let text = fs::read_to_string(bundle.file(MANIFEST)).unwrap();
    assert_eq!(Manifest::parse(text.as_bytes()).unwrap().render(), text);
    let lines: Vec<_> = text.lines().collect();
    let turned: String = lines[..2]
        .iter()
        .chain(lines[2..].iter().rev())
        .map(|line| format!("{line}\n"))
        .collect();
    let twice = format!("{text}{}\n", lines[2]);
    let absolute = text.replace("README.txt", "/etc/passwd");
    let above = text.replace("README.txt", "../README.txt");
    for other in [
        turned,
        twice,
        absolute,
        above,
        text.replace('\n', "\r\n"),
        text.replace("version 1", "version 2"),
        text.replacen("  ", "  0", 1),
        text.replacen("  ", "  +", 1),
        text.to_uppercase(),
        String::new(),
    ] {
        assert!(Manifest::parse(other.as_bytes()).is_err(), "{other}");
    }
}

#[test]
fn nothing_is_overwritten_and_nothing_is_left_behind() {
    let home = tempfile::tempdir().unwrap();
    let place = home.path().join("bundle");
    let entries = || fs::read_dir(home.path()).unwrap().count();

    // Empty is as good as new.
    fs::create_dir(&place).unwrap();
    write(&place, documents(), None).unwrap();
    let before = fs::read(place.join(MANIFEST)).unwrap();
    let again = write(&place, documents(), Some(&key(KeyKind::EcP256)));
    assert!(matches!(again, Err(BundleError::PlaceTaken { .. })));
    assert_eq!(fs::read(place.join(MANIFEST)).unwrap(), before);

    let file = home.path().join("file");
    fs::write(&file, "mine").unwrap();
    let link = home.path().join("link");
    symlink(home.path().join("nowhere"), &link).unwrap();
    for taken in [&file, &link] {
        assert!(matches!(
            write(taken, documents(), None),
            Err(BundleError::PlaceTaken { .. })
        ));
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
    assert!(matches!(
        write(&home.path().join("no/where"), documents(), None),
        Err(BundleError::Unwritable { .. })
    ));
    let mut incomplete = documents();
    incomplete.remove("status.json");
    assert!(matches!(
        write(&home.path().join("other"), incomplete, None),
        Err(BundleError::Incomplete { name }) if name == "status.json"
    ));
    assert_eq!(entries(), 3);
}

#[test]
fn everybody_may_read_it_and_nobody_else_may_write() {
    let bundle = Bundle::new(Some(&key(KeyKind::EcP256)));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(&bundle.path), 0o755);
    for name in bundle.names() {
        assert_eq!(mode(&bundle.file(&name)), 0o644, "{name}");
    }
}

#[test]
fn what_is_no_public_key_is_not_taken_for_one() {
    let bundle = Bundle::new(Some(&key(KeyKind::EcP256)));
    let pem = fs::read_to_string(bundle.file(SIGNER)).unwrap();
    for other in [
        String::new(),
        "a key".to_owned(),
        pem.replace("PUBLIC KEY", "CERTIFICATE"),
        pem.replace("PUBLIC KEY", "PRIVATE KEY"),
    ] {
        assert!(matches!(
            verify(&bundle.path, Some(other.as_bytes())),
            Err(BundleError::Malformed { .. })
        ));
    }
}
