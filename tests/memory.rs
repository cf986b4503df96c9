//! What is left in memory of many deliveries, some of which failed: nothing of a password, a PIN or a private key, in no process, and in no
//! core that somebody forces.
//!
//! ```text
//! MEMORY_DELIVERIES=1000 cargo test --test memory        so many deliveries; `make soak` does a thousand
//! ```
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::cast_possible_truncation,
    clippy::cast_lossless,
    missing_docs
)]

#[path = "memory/needles.rs"]
mod needles;
#[path = "support/plist.rs"]
mod plist;
#[path = "memory/scan.rs"]
mod scan;
#[path = "support/stack.rs"]
mod stack;
#[path = "memory/token_key.rs"]
mod token_key;

use fips::secret::SecretBytes;
use hsm::Padding;
use needles::{Needles, openssl};
use pfx_connector::cli::demo::{Deliveries, Device, DeviceKind, Person, Stack};
use pfx_connector::engine::api::{CmsFormat, Delivery};
use pfx_connector::gateway::api::{Delivery as Collected, State};
use rustix::process::Signal;
use scan::{Found, Search, forced_core};
use stack::{Site, settle, until};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

/// What the engine has to name in strict mode for what is delivered here.
const FIPS: &str = "exceptions = [\"cms-ecdh-static\", \"cms-rsa-pkcs1v15\", \"oaep-unpadding-in-software\", \"pkcs12-legacy-read\", \"pkcs12-kdf-mac-write\"]";
const KINDS: [Delivery; 3] = [Delivery::Password, Delivery::Rewrap, Delivery::AppleProfile];
/// Requests of each user at once.
const DEVICES: usize = 17;
/// Results of each kind that are opened, for the fresh passwords in them.
const OPENED: usize = 10;

fn deliveries_wanted() -> usize {
    match std::env::var("MEMORY_DELIVERIES") {
        Ok(number) => number.parse().expect("MEMORY_DELIVERIES is a number"),
        // Two people: about half a minute. A thousand are `make soak`.
        Err(_) => 2 * DEVICES * KINDS.len(),
    }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[test]
fn after_many_deliveries_no_process_and_no_core_has_a_secret() {
    assert!(
        is_root(),
        "this test needs root: it reads the memory of processes that forbid it to everybody else"
    );
    let wanted = deliveries_wanted();
    let people = wanted.div_ceil(DEVICES * KINDS.len());
    let site = Site::with_engine(
        FIPS,
        "deliveries = [\"password\", \"rewrap\", \"apple-profile\"]\npfx = { form = \"compatible\" }\n\
         oracle = { importer_failures_per_hour = 500, importer_failures_per_day = 500 }\n",
    );
    let stack = &site.stack;
    let engine = stack.start_engine().unwrap();
    let gateway = stack.start_gateway().unwrap();
    stack.enrol().unwrap();
    let connector = stack.start_connector(0).unwrap();
    let plan = site.plan(people, 2);
    let devices: Vec<Device> = (0..DEVICES)
        .map(|index| {
            // One of seven has an RSA key, which OpenSSL takes longer to make.
            let kind = match index % 7 {
                0 => DeviceKind::Rsa(2048),
                _ => DeviceKind::Ec("P-256"),
            };
            stack.pki.device(index, kind).unwrap()
        })
        .collect();
    let wrong_password = with_wrong_password(&site);
    let bad_padding: Vec<String> = (0..DEVICES as u8)
        .map(|number| with_bad_padding(&site, &plan.people[0], number))
        .collect();

    let began = Instant::now();
    let mut deliveries = Deliveries::new(stack).unwrap();
    for device in &devices {
        for kind in KINDS {
            for person in &plan.people {
                ask(&mut deliveries, &person.user, device, kind);
            }
        }
    }
    let mut failing = Deliveries::new(stack).unwrap();
    // A ciphertext that has failed is not decrypted again: so there is one for each device.
    for (device, bad_padding) in devices.iter().zip(&bad_padding) {
        ask(&mut failing, &wrong_password.0, device, Delivery::Rewrap);
        ask(
            &mut failing,
            &wrong_password.0,
            device,
            Delivery::AppleProfile,
        );
        ask(&mut failing, bad_padding, device, Delivery::Password);
        ask(&mut failing, bad_padding, device, Delivery::Rewrap);
    }
    settle(&mut deliveries);
    settle(&mut failing);
    assert_eq!(deliveries.delivered(), deliveries.asked.len());
    assert_eq!(failing.delivered(), 0, "all of these have to fail");
    println!(
        "{} delivered and {} failed in {:.1} s",
        deliveries.delivered(),
        failing.asked.len(),
        began.elapsed().as_secs_f64()
    );

    let mut needles = Needles::default();
    for (number, person) in plan.people.iter().enumerate() {
        let password = std::fs::read_to_string(&person.password_file).unwrap();
        needles.add_text(&format!("password of person {number}"), password.trim());
        let key = person.certificate.with_extension("key");
        needles.add_key(&format!("private key of person {number}"), &key);
    }
    needles.add_text("a password that opens nothing", &wrong_password.1);
    add_fresh_passwords(&mut needles, &deliveries);
    for name in ["user", "so"] {
        let pin = std::fs::read_to_string(stack.path(&format!("token/{name}.pin"))).unwrap();
        needles.add_text(&format!("PIN ({name})"), pin.trim());
    }
    add_what_is_worked_with(&mut needles, stack);
    println!("{} things are looked for", needles.0.len());

    let search = Search::new(&needles);
    search_finds_what_is_there(&search, &plan.people[0]);
    let status = site.engine_status();
    let part = |name: &str| {
        let part = status.parts.iter().find(|part| part.name == name);
        part.unwrap().pid.unwrap()
    };
    let mut problems = Vec::new();
    let mut examine = |name: &str, pid| {
        let began = Instant::now();
        let memory = search.process(pid);
        assert!(memory.bytes > 1 << 20, "{name}: there was nothing to read");
        let core = forced_core(pid, stack.folder());
        let dumped = search.file(&core);
        std::fs::remove_file(&core).unwrap();
        assert!(dumped.bytes > 1 << 20, "{name}: an empty core");
        let may_have = |found: &Found| found.holder == Some(name);
        let (own, others): (Vec<_>, Vec<_>) = memory.found.into_iter().partition(may_have);
        let (own_in_core, others_in_core): (Vec<_>, Vec<_>) =
            dumped.found.into_iter().partition(may_have);
        println!(
            "{name}: {} MiB of memory, {} MiB of core, {:.1} s: found {} and {}; of the keys that it works with {} and {}{}",
            memory.bytes >> 20,
            dumped.bytes >> 20,
            began.elapsed().as_secs_f64(),
            others.len(),
            others_in_core.len(),
            own.len(),
            own_in_core.len(),
            listed(&own)
        );
        for found in others.into_iter().chain(others_in_core) {
            problems.push(format!("{name}: {found}"));
        }
    };
    for (name, pid) in [
        ("supervisor", part("supervisor")),
        ("custody", part("custody")),
        ("formats", part("formats")),
        ("connector", connector.pid()),
        ("gateway", gateway.pid()),
    ] {
        examine(name, pid);
    }
    Site::signal(gateway.pid(), Signal::STOP);
    let mut tool = import_again(&site, &plan.people[0]);
    until("the importing tool calls the gateway", || {
        assert!(tool.try_wait().unwrap().is_none(), "it ended");
        has_a_socket(tool.id())
    });
    examine("importing tool", tool.id());
    Site::signal(gateway.pid(), Signal::CONT);
    assert!(tool.wait().unwrap().success());
    assert!(
        problems.is_empty(),
        "{} secrets are left:\n{}",
        problems.len(),
        problems.join("\n")
    );
    connector.stop().unwrap();
    gateway.stop().unwrap();
    engine.stop().unwrap();
}

/// The keys that a process cannot work without. A software token has the custody key in its library's memory, which is custody's.
fn add_what_is_worked_with(needles: &mut Needles, stack: &Stack) {
    let key = token_key::of_softhsm(stack);
    needles.held_by("custody", |needles| {
        let numbers = std::array::from_fn(|index| key[index].as_slice());
        needles.add_rsa("custody key of the software token", numbers);
        needles.add_key("audit key", &stack.path("audit-key.pem"));
    });
    for (holder, what, file) in [
        ("connector", "TLS key", stack.pki.connector_key(0)),
        ("gateway", "TLS key", stack.pki.gateway_key()),
        (
            "importing tool",
            "importer's key",
            stack.path("import/importer.key"),
        ),
    ] {
        needles.held_by(holder, |needles| {
            needles.add_key(&format!("{holder}: {what}"), &file);
        });
    }
}

/// What was found, each thing once, with where it is mapped.
fn listed(found: &[Found]) -> String {
    let each: std::collections::BTreeSet<_> = found
        .iter()
        .map(|found| format!("\n    {} in {}", found.what, found.mapping))
        .collect();
    each.into_iter().collect()
}

/// `import add`, started. It calls the gateway when the password is encrypted: at its first socket it has to have forgotten it.
fn import_again(site: &Site, person: &Person) -> Child {
    let stack = &site.stack;
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    Command::new(stack.program())
        .args(["import", "add", "--replace", "--user", &person.user])
        .args(["--config", &text(&stack.path("import.toml"))])
        .args(["--pfx", &text(&person.pfx)])
        .args(["--certificate", &text(&person.certificate)])
        .args(["--password-file", &text(&person.password_file)])
        .envs(stack.token.environment())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

fn has_a_socket(pid: u32) -> bool {
    let Ok(descriptors) = std::fs::read_dir(format!("/proc/{pid}/fd")) else {
        return false;
    };
    descriptors
        .flatten()
        .filter_map(|entry| std::fs::read_link(entry.path()).ok())
        .any(|target| target.to_string_lossy().starts_with("socket:"))
}

fn ask(deliveries: &mut Deliveries, user: &str, device: &Device, kind: Delivery) {
    until("the gateway takes the request", || {
        deliveries
            .ask_for(user, device, CmsFormat::Modern, kind)
            .is_ok()
    });
}

/// Somebody whose record has another password than the file: the user, and that password.
fn with_wrong_password(site: &Site) -> (String, String) {
    let folder = site.stack.path("import");
    let mut person = Person::make(&site.stack.pki, &folder, 400).unwrap();
    let wrong = "Wq3xYh8LrT5nVb2KcZ7m".to_owned();
    person.password_file = folder.join("wrong.password");
    stack::write_private(&person.password_file, wrong.as_bytes());
    site.stack.import(&person).unwrap();
    (person.user, wrong)
}

/// A user with a record whose ciphertext no padding comes out of.
fn with_bad_padding(site: &Site, person: &Person, number: u8) -> String {
    let user = format!("nobody{number}@demo.example");
    let pfx = std::fs::read(&person.pfx).unwrap();
    let mut ciphertext = vec![number; 256];
    // Less than any modulus.
    ciphertext[0] = 0;
    ciphertext[255] = 0x5a;
    let record = site.signed(site.record(&user, Padding::OaepSha1, ciphertext), &pfx);
    site.put(&record, &pfx);
    user
}

/// The passwords that the engine made, out of what devices got.
fn add_fresh_passwords(needles: &mut Needles, deliveries: &Deliveries) {
    let mut left = [OPENED; 2];
    for asked in &deliveries.asked {
        if left == [0; 2] {
            break;
        }
        assert_eq!(asked.state.as_ref().unwrap().state, State::Completed);
        let got = deliveries.collect(&asked.request_id).unwrap();
        match got.delivery {
            Delivery::Rewrap if left[0] > 0 => {
                left[0] -= 1;
                let password = decrypted(&asked.device, got.encrypted_password.as_slice());
                add_fresh(needles, &password);
            }
            Delivery::AppleProfile if left[1] > 0 => {
                left[1] -= 1;
                for password in passwords_of_profile(&asked.device, &got) {
                    add_fresh(needles, password.as_bytes());
                }
            }
            _ => {}
        }
    }
    assert_eq!(left, [0; 2], "too few results to open");
}

fn add_fresh(needles: &mut Needles, password: &[u8]) {
    let password = std::str::from_utf8(password).unwrap();
    needles.add_text("a fresh password", password);
}

fn passwords_of_profile(device: &Device, got: &Collected) -> Vec<String> {
    let profile = plist::leaves(got.profile.as_slice());
    let sealed = plist::data(&profile, "/EncryptedPayloadContent");
    let content = plist::leaves(&decrypted(device, &sealed));
    let passwords = content
        .iter()
        .filter(|(path, _)| path.ends_with("/Password"));
    passwords
        .map(|(path, _)| plist::string(&content, path))
        .collect()
}

fn decrypted(device: &Device, cms: &[u8]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("cms");
    std::fs::write(&file, cms).unwrap();
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    openssl(&[
        "cms",
        "-decrypt",
        "-binary",
        "-inform",
        "DER",
        "-in",
        &text(&file),
        "-recip",
        &text(&device.certificate),
        "-inkey",
        &text(&device.key),
    ])
}

/// A secret that this process holds is found where it is, as long as it is held, and in no core even then.
fn search_finds_what_is_there(search: &Search<'_>, person: &Person) {
    let password = std::fs::read(&person.password_file).unwrap();
    let secret = SecretBytes::from_slice(password.trim_ascii());
    let at = secret.expose().as_ptr().addr() as u64;
    let is_there = |found: &[Found]| found.iter().any(|found| found.at == at);
    let held = search.process(std::process::id()).found;
    assert!(is_there(&held), "a secret that is held is found");
    let mapping = &held.iter().find(|found| found.at == at).unwrap().mapping;
    for flag in ["lo", "dd", "wf"] {
        assert!(
            mapping.contains(flag),
            "{mapping}: locked, not dumped, not inherited"
        );
    }
    drop(secret);
    assert!(
        !is_there(&search.process(std::process::id()).found),
        "a secret that is no longer held is gone"
    );
}
