//! SoftHSM's token. SoftHSM writes the token's own file in place at every login; the copy that is kept of it has to be enough at every end.
//!
//! A process opens the token and is killed; what it and SoftHSM did to the files is played up to every moment, and another process opens what
//! is left: with the same PIN it has to find the key and decrypt with it. That process is recorded and played as well, since it may be
//! killed while it puts the file back.

use crate::power::{Disk, End, Files, Random};
use crate::record::{Place, Recording, Steps, files_in, memory_folder};
use crate::replay::write;
use crate::softhsm_token::{SoftHsm, TOKEN_LABEL, module};
use hsm::pin::PinSource;
use hsm::pkcs11::{Pkcs11Custody, TokenConfig};
use hsm::{Custody, Padding};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

const CONFIGURATION: &str = "SOFTHSM2_CONF";
/// The folder with the PIN and the ciphertext.
const GIVEN: &str = "CRASH_GIVEN";
const CIPHERTEXT: &str = "ciphertext";
const PIN_FILE: &str = "pin";
const PASSWORD: &[u8] = b"correct horse battery staple";
/// Of a write that was being done, so many beginnings; after a power cut, so many ways in which un-synced writes may have come.
const CHANCES: u64 = 16;

/// What custody does with a token at its start.
fn open(given: &Path) {
    fips::start(fips::policy::Policy::OFF).unwrap();
    let pin = PinSource::File(given.join(PIN_FILE));
    let custody = Pkcs11Custody::open(TokenConfig {
        token_label: Some(TOKEN_LABEL.to_owned()),
        threads: 1,
        ..TokenConfig::new(module(), pin)
    })
    .unwrap();
    let keys = custody.keys().unwrap();
    let [key] = keys.as_slice() else {
        panic!("not the one key of the token: {keys:?}");
    };
    let ciphertext = std::fs::read(given.join(CIPHERTEXT)).unwrap();
    let password = custody
        .decrypt(&key.fingerprint, Padding::OaepSha1, &ciphertext)
        .unwrap();
    assert_eq!(password.expose(), PASSWORD);
}

#[test]
fn a_token_is_opened_where_this_is_told() {
    if let Some(given) = std::env::var_os(GIVEN) {
        open(Path::new(&given));
    }
}

#[test]
fn a_login_recorded_here() {
    let Some(given) = std::env::var_os(GIVEN) else {
        return;
    };
    let mut steps = Steps::new("none", |_| {});
    open(Path::new(&given));
    steps.killed(0);
}

/// The token, and what somebody has who opens it.
struct Scene {
    token: SoftHsm,
    given: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        let token = SoftHsm::new();
        let given = tempfile::tempdir().unwrap();
        std::fs::copy(token.pin_file(), given.path().join(PIN_FILE)).unwrap();
        let ciphertext = token.encrypt(Padding::OaepSha1, PASSWORD);
        std::fs::write(given.path().join(CIPHERTEXT), ciphertext).unwrap();
        Self { token, given }
    }

    /// SoftHSM's configuration for tokens in this folder.
    fn configuration(&self, tokens: &Path) -> PathBuf {
        let path = self
            .given
            .path()
            .join(tokens.to_str().unwrap().replace('/', "-"));
        let text = format!(
            "directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\n",
            tokens.display()
        );
        std::fs::write(&path, text).unwrap();
        path
    }

    /// What a process does that finds these files.
    fn record(&self, found: &Files) -> Recording {
        let place = Place::new();
        let store = place.store();
        std::fs::remove_dir(&store).unwrap();
        lay_out(&store, found);
        let configuration = self.configuration(&store);
        place.record_with(
            "softhsm::a_login_recorded_here",
            1,
            &[(CONFIGURATION, &configuration), (GIVEN, self.given.path())],
        )
    }

    /// Whether the token is there as it was.
    fn check(&self, tokens: &Path) -> Result<(), String> {
        let ran = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "softhsm::a_token_is_opened_where_this_is_told"])
            .env(CONFIGURATION, self.configuration(tokens))
            .env(GIVEN, self.given.path())
            .output()
            .unwrap();
        if ran.status.success() {
            return Ok(());
        }
        Err(String::from_utf8_lossy(&ran.stdout).into_owned())
    }

    /// Plays every end of a recording; how many there were.
    fn play(&self, name: &str, recording: &Recording) -> usize {
        let ends = ends(recording);
        let folder = memory_folder();
        for (number, files) in ends.iter().enumerate() {
            let tokens = folder.path().join(number.to_string());
            lay_out(&tokens, files);
            if let Err(problem) = self.check(&tokens) {
                let shown: Vec<_> = files
                    .iter()
                    .map(|(name, content)| (name, content.len()))
                    .collect();
                panic!(
                    "{name}: the token is lost or not whole after an end that left {shown:?}: {problem}"
                );
            }
        }
        ends.len()
    }
}

/// Everything that may be found after an end at any moment, each once.
fn ends(recording: &Recording) -> BTreeSet<Files> {
    let mut found = BTreeSet::new();
    let mut disk = Disk::new(&recording.start, &recording.ops);
    loop {
        for seed in 0..CHANCES {
            for end in [End::Kill, End::PowerCut] {
                found.insert(disk.after(end, &mut Random::new(seed)));
            }
        }
        if disk.advance().is_none() {
            return found;
        }
    }
}

/// Writes the files, as old as they are when a service is started again after a crash.
fn lay_out(folder: &Path, files: &Files) {
    write(folder, files);
    let before = SystemTime::now() - Duration::from_secs(60);
    for name in files.keys() {
        let file = std::fs::File::options()
            .write(true)
            .open(folder.join(name))
            .unwrap();
        file.set_modified(before).unwrap();
    }
}

#[test]
fn a_process_killed_at_any_write_never_costs_the_token() {
    let scene = Scene::new();
    let fresh = files_in(&scene.token.tokens());
    let object = fresh
        .keys()
        .find(|name| name.ends_with("/token.object"))
        .unwrap()
        .clone();
    let guard = object.replace(".object", ".guard");

    let first = scene.record(&fresh);
    let mut disk = Disk::new(&first.start, &first.ops);
    let mut emptied = false;
    while disk.advance().is_some() {
        emptied |= disk.now()[&object].is_empty();
    }
    assert!(
        emptied,
        "SoftHSM does not write the file in place any more: is the copy still needed?"
    );
    let mut after = disk.now();
    assert_eq!(after[&guard], fresh[&object]);
    let played = scene.play("the first start", &first);

    // Without the copy it would be lost.
    let lost = Files::from_iter(after.iter().filter(|(name, _)| **name != guard).map(
        |(name, content)| {
            let content = if *name == object { &[][..] } else { content };
            (name.clone(), content.to_vec())
        },
    ));
    let folder = memory_folder();
    lay_out(&folder.path().join("lost"), &lost);
    assert!(scene.check(&folder.path().join("lost")).is_err());

    let second = scene.record(&after);
    let again = scene.play("another start", &second);

    after.insert(object.clone(), Vec::new());
    let third = scene.record(&after);
    let mending = scene.play("the start that puts the file back", &third);
    println!("{played}, {again} and {mending} different ends played, none of which cost the token");
}
