//! SIGKILL of every process while an authority is slow, busy, silent and undecided: each request gets one certificate, and no private key is
//! left anywhere in clear.

use super::device::open;
use super::needles::Needles;
use super::openssl::{KeyAlgorithm, Workshop, openssl, text};
use super::partner::{Fault, Partner, Plan};
use super::power::Random;
use super::scan::Search;
use super::site::{Issuing, Setup};
use super::stack::{PATIENCE, until};
use super::world::World;
use pfx_connector::engine::api::keys::KeyType;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Requests that come with each kill.
const LOAD: usize = 3;

/// Says how to repeat a run that fails.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- KILLS_SEED={}", self.0);
        }
    }
}

fn number(name: &str, usual: usize) -> usize {
    std::env::var(name).map_or(usual, |text| {
        text.parse()
            .unwrap_or_else(|_| panic!("{name} is no number"))
    })
}

/// Of twenty messages sixteen fare well, and every third order has to wait. With more faults than that the connectors would, rightly, leave the
/// authority alone for most of the time.
fn plan(random: &mut Random) -> Plan {
    let fault = match random.below(20) {
        0 => Fault::Late(Duration::from_millis(random.below(600) as u64)),
        1 => Fault::Busy,
        2 => Fault::Cut,
        3 => Fault::Lost,
        _ => Fault::None,
    };
    let polls = match random.below(3) {
        0 => 1 + random.below(2),
        _ => 0,
    };
    Plan {
        fault,
        polls,
        ..Plan::default()
    }
}

#[test]
fn killed_again_and_again_each_request_gets_one_certificate() {
    let wanted = number("CERTIFICATES", 24);
    let seed = Seed(number("KILLS_SEED", 1) as u64);
    let mut random = Random::new(seed.0);
    let workshop = Workshop::new();
    let world = World::new(&workshop, KeyAlgorithm::P256);
    let network = Mutex::new(Random::new(random.next()));
    let partner = Partner::start(&world, move |_, _| plan(&mut network.lock().unwrap()));
    let issuing = Issuing::with(Setup {
        connectors: 2,
        // This authority remembers transactions: to ask again is to ask for the same.
        authorities: format!(
            "[[connector.ca]]\nname = \"partner\"\n{}when_unknown = \"ask-again\"\n",
            partner.settings()
        ),
        ..Setup::default()
    });
    let mut running = issuing.start();
    issuing.enrol();
    issuing.add_profile("smime-partner", |profile| {
        profile.ca = "partner".to_owned();
        profile.key = KeyType::Rsa2048;
    });
    let device = issuing.device(0);
    let mut requests = BTreeMap::new();
    let mut kills = BTreeMap::<&str, usize>::new();
    while requests.len() < wanted {
        for _ in 0..LOAD.min(wanted - requests.len()) {
            let of = ["windows", "windows", "partner"][requests.len() % 3];
            let user = format!("user{}@example.com", requests.len());
            requests.insert(issuing.ask(&user, &device, of), of);
        }
        std::thread::sleep(Duration::from_millis(random.below(400) as u64));
        let victim = match random.below(6) {
            0 => {
                running.kill_connector_at(0);
                "connector 0"
            }
            1 => {
                running.kill_connector_at(1);
                "connector 1"
            }
            2 => {
                running.kill_engine();
                "engine"
            }
            3 => {
                issuing.site.kill_part("custody");
                "custody"
            }
            4 => {
                issuing.site.kill_part("formats");
                "formats"
            }
            _ => {
                running.kill_gateway();
                "gateway"
            }
        };
        *kills.entry(victim).or_default() += 1;
    }
    assert_eq!(requests.len(), wanted, "each request is one of its own");
    settle(&issuing, wanted);
    let mut serials = BTreeSet::new();
    let mut keys = Needles::default();
    for (request, of) in &requests {
        let delivery = issuing.delivered(request);
        let root = match *of {
            "partner" => world.root.certificate.clone(),
            _ => issuing.local_root(),
        };
        let opened = open(&device, &delivery, &root);
        let pem = opened.pem();
        let names = ["x509", "-in", text(&pem), "-noout", "-serial", "-issuer"];
        serials.insert(openssl(&names));
        keys.add_key(request, &opened.key());
    }
    assert_eq!(serials.len(), wanted, "each its own certificate");
    let partners = requests.values().filter(|of| **of == "partner").count();
    assert_eq!(issuing.issued(), wanted - partners, "local");
    assert_eq!(partner.issued(), partners, "the partner");
    assert_eq!((partner.confirmed(), partner.revoked()), ((partners, 0), 0));
    until("an Admin event for each", || {
        issuing.events("admin", 1000).len() == wanted
    });
    assert!(issuing.events("admin", 1001).is_empty());
    assert!(issuing.events("admin", 1060).is_empty());
    assert_no_key_on_disk(issuing.site.stack.folder(), &keys);
    running.stop();
    println!(
        "{wanted} certificates through the death of {kills:?}, and {} messages to the partner",
        partner.messages()
    );
}

/// Waits until all are settled, for as long as some are.
fn settle(issuing: &Issuing, wanted: usize) {
    let mut last = (0, Instant::now());
    loop {
        let said = issuing.site.stack.gateway_status().unwrap();
        let count = |name| said["service"][name].as_u64().unwrap();
        let settled = count("completed") + count("failed");
        if settled == wanted as u64 {
            return;
        }
        if settled != last.0 {
            last = (settled, Instant::now());
        }
        assert!(
            last.1.elapsed() < PATIENCE,
            "{settled} requests are settled, and none was for {PATIENCE:?}"
        );
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// Every file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            found.extend(files(&entry.path()));
        } else if kind.is_file() {
            found.push(entry.path());
        }
    }
    found
}

fn assert_no_key_on_disk(folder: &Path, keys: &Needles) {
    let search = Search::new(keys);
    let all = files(folder);
    assert!(all.len() > 10, "{all:?}");
    let found: Vec<String> = all
        .iter()
        .flat_map(|file| search.file(file).found)
        .map(|found| found.to_string())
        .collect();
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn a_key_that_is_left_on_disk_is_found_in_every_form() {
    let workshop = Workshop::new();
    for algorithm in [KeyAlgorithm::P256, KeyAlgorithm::Rsa(2048)] {
        let key = workshop.key(algorithm);
        let mut keys = Needles::default();
        keys.add_key("key", &key);
        let search = Search::new(&keys);
        let der = openssl(&["pkey", "-in", text(&key), "-outform", "DER"]);
        let hex = base16ct::lower::encode_string(&der);
        for form in [std::fs::read(&key).unwrap(), der, hex.into_bytes()] {
            let file = workshop.file(&[b"something before", &form[..], b"and after"].concat());
            assert!(!search.file(&file).found.is_empty(), "{algorithm:?}");
        }
        let other = workshop.key(algorithm);
        assert!(search.file(&other).found.is_empty());
    }
}
