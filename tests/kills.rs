//! SIGKILL under load, again and again: connector, gateway, supervisor, custody and formats in turn and at random. Every request is
//! delivered once and told once, and every result that came out of the engine has its receipt.
//!
//! At the end each is killed a few times more, alone, and what is printed is how long it took until a request that came after the kill was delivered.
//!
//! `KILLS=200` kills more often than the usual 50 (`make soak`); `KILLS_SEED=7` chooses other victims and moments.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::cast_possible_truncation,
    missing_docs
)]

#[path = "support/power.rs"]
mod power;
#[path = "support/stack.rs"]
mod stack;

use audit::{Entry, Event, Hash, Purpose, ResultClass};
use pfx_connector::cli::demo::{
    Deliveries, DeviceKind, Person, Plan, Running, Stack, StackOptions, TokenKind, temporary_folder,
};
use pfx_connector::engine::api::CmsFormat;
use power::Random;
use stack::{Site, until, write_private};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

const KILLS: usize = 50;
/// Requests that come with each kill: more than are done meanwhile, so that there is always work to interrupt.
const LOAD: usize = 3;
/// Enough that no password goes to as many devices as it may in a day, which the engine would refuse.
const PEOPLE: usize = 8;
/// Kills of each whose recovery is timed.
const TIMED: usize = 5;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Victim {
    Connector,
    Gateway,
    Supervisor,
    Custody,
    Formats,
}

const VICTIMS: [Victim; 5] = [
    Victim::Connector,
    Victim::Gateway,
    Victim::Supervisor,
    Victim::Custody,
    Victim::Formats,
];

fn number(name: &str) -> Option<usize> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name} is no number")),
    )
}

fn site() -> Site {
    let stack = Stack::prepare(StackOptions {
        program: PathBuf::from(env!("CARGO_BIN_EXE_pfx-connector")),
        folder: temporary_folder().unwrap(),
        token: TokenKind::Softhsm,
        module: None,
        module_environment: Vec::new(),
        key_bits: 2048,
        connectors: 1,
        lease_ms: 1_000,
        connector_extra: "concurrency = 4\nwait_ms = 300\nretry = { base_ms = 20, max_ms = 200, max_attempts = 50 }\n"
            .to_owned(),
        engine_fips: "exceptions = [\"cms-ecdh-static\", \"oaep-unpadding-in-software\"]".to_owned(),
        // A request may be at hand in more of these deaths than anywhere else.
        engine_extra: "restart = { backoff_ms = 5, backoff_max_ms = 20, max_crashes_per_request = 100 }".to_owned(),
    })
    .unwrap();
    // Small files, so that the log goes on to the next one every few requests, also in the moment of a kill.
    let config = stack.path("engine.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    let small = text.replace(
        "[engine.audit]\n",
        "[engine.audit]\nmax_file_bytes = 8192\n",
    );
    assert_ne!(small, text);
    write_private(&config, small.as_bytes());
    Site { stack }
}

/// The processes that somebody has to start again.
struct Running3 {
    engine: Running,
    gateway: Running,
    connector: Running,
}

impl Running3 {
    fn kill(&mut self, site: &Site, victim: Victim) {
        let stack = &site.stack;
        match victim {
            Victim::Connector => {
                self.connector.kill();
                self.connector = stack.start_connector(0).unwrap();
            }
            Victim::Gateway => {
                self.gateway.kill();
                self.gateway = stack.start_gateway().unwrap();
            }
            Victim::Supervisor => {
                self.engine.kill();
                self.engine = stack.start_engine().unwrap();
            }
            Victim::Custody => site.kill_part("custody"),
            Victim::Formats => site.kill_part("formats"),
        }
    }
}

fn plan(site: &Site, devices: usize) -> Plan {
    let stack = &site.stack;
    let mut plan = Plan::default();
    for index in 0..PEOPLE {
        let person = Person::make(&stack.pki, &stack.path("import"), index * 4).unwrap();
        stack.import(&person).unwrap();
        plan.people.push(person);
    }
    for index in 0..devices {
        let kind = DeviceKind::Ec("P-256");
        plan.devices.push(stack.pki.device(index, kind).unwrap());
    }
    plan
}

#[test]
fn killed_again_and_again_every_request_is_delivered_once_and_none_without_a_receipt() {
    let kills = number("KILLS").unwrap_or(KILLS);
    let mut random = Random::new(number("KILLS_SEED").unwrap_or(1) as u64);
    let site = site();
    let stack = &site.stack;
    let engine = stack.start_engine().unwrap();
    let gateway = stack.start_gateway().unwrap();
    stack.enrol().unwrap();
    let wanted = kills * LOAD + TIMED * VICTIMS.len();
    let plan = plan(&site, wanted.div_ceil(PEOPLE));
    let mut requests = plan
        .devices
        .iter()
        .flat_map(|device| plan.people.iter().map(move |person| (person, device)));
    let mut deliveries = Deliveries::new(stack).unwrap();
    let mut running = Running3 {
        engine,
        gateway,
        connector: stack.start_connector(0).unwrap(),
    };
    let mut killed: BTreeMap<Victim, usize> = BTreeMap::new();
    for round in 0..kills {
        let before = deliveries.look();
        for _ in 0..LOAD {
            let (person, device) = requests.next().unwrap();
            until("the gateway takes no request", || {
                deliveries
                    .ask_in(&person.user, device, CmsFormat::Modern)
                    .is_ok()
            });
        }
        // Something gets through, or there would be nothing to interrupt; then any moment may come.
        until("nothing is delivered", || deliveries.look() > before);
        std::thread::sleep(Duration::from_millis(random.below(60) as u64));
        let victim = VICTIMS[if round < VICTIMS.len() {
            round
        } else {
            random.below(VICTIMS.len())
        }];
        *killed.entry(victim).or_default() += 1;
        running.kill(&site, victim);
    }
    site.assert_all_delivered_once(&mut deliveries);
    for victim in VICTIMS {
        let mut took: Vec<Duration> = (0..TIMED)
            .map(|_| {
                let (person, device) = requests.next().unwrap();
                let before = deliveries.look();
                let began = Instant::now();
                running.kill(&site, victim);
                until("the gateway takes no request", || {
                    deliveries
                        .ask_in(&person.user, device, CmsFormat::Modern)
                        .is_ok()
                });
                until("nothing is delivered after a kill", || {
                    deliveries.look() > before
                });
                began.elapsed()
            })
            .collect();
        took.sort_unstable();
        println!(
            "{victim:?} killed: the next request was delivered after {:.2} s (median of {TIMED}; at most {:.2} s)",
            took[TIMED / 2].as_secs_f64(),
            took[TIMED - 1].as_secs_f64()
        );
    }
    site.assert_all_delivered_once(&mut deliveries);
    running.connector.stop().unwrap();
    running.gateway.stop().unwrap();
    running.engine.stop().unwrap();
    let (entries, files) = verified_entries(&site);
    assert_recorded(&deliveries, &entries);
    println!(
        "killed {killed:?}: {} requests delivered, {} entries in {files} files of the audit log",
        deliveries.asked.len(),
        entries.len()
    );
}

/// What `audit verify` finds sound, as anybody with the public key would; all entries, and in how many files they are.
fn verified_entries(site: &Site) -> (Vec<Entry>, usize) {
    let folder = site.stack.path("audit");
    let key = site.stack.path("audit-public.pem");
    let verified = Command::new(site.stack.program())
        .args(["audit", "verify", "--public-key"])
        .arg(&key)
        .arg(&folder)
        .arg("--json")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&verified.stdout);
    assert!(verified.status.success(), "{said}");
    let report: serde_json::Value = serde_json::from_slice(&verified.stdout).unwrap();
    assert_eq!(report["sound"], true, "{said}");
    assert_eq!(report["unsealed"], 0, "{said}");
    let mut files: Vec<PathBuf> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|kind| kind == "receipts"))
        .collect();
    files.sort();
    let entries = files
        .iter()
        .flat_map(|file| {
            let text = std::fs::read_to_string(file).unwrap();
            text.lines()
                .map(|line| Entry::from_line(line).unwrap())
                .collect::<Vec<_>>()
        })
        .collect();
    (entries, files.len())
}

/// Each delivered request has a receipt of a decryption for it and its device.
fn assert_recorded(deliveries: &Deliveries, entries: &[Entry]) {
    let recorded: BTreeSet<(&str, Hash)> = entries
        .iter()
        .filter_map(|entry| match &entry.event {
            Event::KeyUse(of) | Event::Shared(of) if of.result == ResultClass::Decrypted => {
                match &of.purpose {
                    Purpose::Device(device) => Some((of.request.as_str(), *device)),
                    _ => None,
                }
            }
            _ => None,
        })
        .collect();
    for asked in &deliveries.asked {
        let device = Hash::of(&asked.device.certificate_der);
        assert!(
            recorded.contains(&(asked.request_id.as_str(), device)),
            "{} came to its device without a receipt",
            asked.request_id
        );
    }
}
