//! Token, disk, gateway and engine that fail and come back: each is told in an event, nothing is lost, nothing is done twice, and nobody
//! has to restart the connector.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]
#![forbid(unsafe_code)]

#[path = "support/stack.rs"]
mod stack;

use pfx_connector::cli::demo::{Deliveries, Device, Plan, Running};
use pfx_connector::gateway::api::State;
use rustix::process::Signal;
use stack::{Site, until, write_private};
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Asks for every person's certificate on these devices.
fn ask(deliveries: &mut Deliveries, plan: &Plan, devices: &[Device]) {
    for person in &plan.people {
        for device in devices {
            deliveries.ask(person, device).unwrap();
        }
    }
}

/// How many requests are not delivered yet, of which none has failed.
fn waiting(deliveries: &mut Deliveries) -> usize {
    deliveries.refresh().unwrap();
    let states: Vec<_> = deliveries
        .asked
        .iter()
        .map(|asked| asked.state.as_ref().unwrap())
        .collect();
    assert!(
        states.iter().all(|state| state.state != State::Failed),
        "{states:?}"
    );
    states
        .iter()
        .filter(|state| state.state != State::Completed)
        .count()
}

/// How many requests are in a connector's hands.
fn leased(deliveries: &mut Deliveries) -> usize {
    deliveries.refresh().unwrap();
    deliveries
        .asked
        .iter()
        .filter(|asked| asked.state.as_ref().unwrap().state == State::Leased)
        .count()
}

#[test]
fn a_token_that_disappears_in_mid_work_is_told_and_everything_is_delivered_once_it_is_back() {
    let site = Site::new();
    let stack = &site.stack;
    let engine = stack.start_engine().unwrap();
    let gateway = stack.start_gateway().unwrap();
    stack.enrol().unwrap();
    let plan = site.plan(3, 6);
    let mut deliveries = Deliveries::new(stack).unwrap();
    let mut connector = stack.start_connector(0).unwrap();

    ask(&mut deliveries, &plan, &plan.devices[..3]);
    until("no delivery", || deliveries.look() > 0);
    let storage = stack.token.storage(stack.folder());
    let away = storage.with_extension("away");
    std::fs::rename(&storage, &away).unwrap();
    ask(&mut deliveries, &plan, &plan.devices[3..]);
    let told = site.wait_for_event(22);
    assert!(told.fields.contains_key("reason"), "{told:?}");
    assert!(waiting(&mut deliveries) > 0);

    std::fs::rename(&away, &storage).unwrap();
    site.wait_for_event(23);
    site.assert_all_delivered_once(&mut deliveries);
    assert!(connector.is_running());
    connector.stop().unwrap();
    let events: Vec<u16> = site
        .admin()
        .iter()
        .map(|event| event.id)
        .filter(|id| matches!(id, 22 | 23))
        .collect();
    assert_eq!(events.last(), Some(&23), "{events:?}");
    gateway.stop().unwrap();
    engine.stop().unwrap();
}

#[test]
fn a_wrong_pin_is_tried_once_and_work_starts_when_the_file_is_corrected() {
    let site = Site::new();
    let stack = &site.stack;
    let pin_file = stack.path("token/user.pin");
    let pin = std::fs::read(&pin_file).unwrap();
    let gateway = stack.start_gateway().unwrap();
    stack.enrol().unwrap();
    let plan = site.plan(1, 2);
    write_private(&pin_file, b"not-the-pin-31415");
    let engine = stack.start_engine().unwrap();
    let mut deliveries = Deliveries::new(stack).unwrap();
    ask(&mut deliveries, &plan, &plan.devices);
    let connector = stack.start_connector(0).unwrap();

    until("the PIN is not told", || {
        site.admin()
            .iter()
            .any(|event| event.id == 22 && event.fields["reason"].as_str().unwrap().contains("PIN"))
    });
    let problem = site.engine_status().token_problem.unwrap();
    assert!(problem.contains("PIN"), "{problem}");
    assert_eq!(waiting(&mut deliveries), 2);

    write_private(&pin_file, &pin);
    site.wait_for_event(23);
    site.assert_all_delivered_once(&mut deliveries);
    let log = site.log("engine");
    let refusals: Vec<&str> = log
        .lines()
        .filter(|line| line.contains("the token cannot be opened"))
        .collect();
    assert_eq!(refusals.len(), 1, "{refusals:?}");
    assert!(refusals[0].contains("PIN"), "{refusals:?}");
    for secret in ["not-the-pin-31415", std::str::from_utf8(&pin).unwrap()] {
        assert!(!log.contains(secret) && !problem.contains(secret));
    }
    connector.stop().unwrap();
    gateway.stop().unwrap();
    engine.stop().unwrap();
}

#[test]
fn a_gateway_that_is_killed_goes_on_from_its_database() {
    let site = Site::new();
    let stack = &site.stack;
    let engine = stack.start_engine().unwrap();
    let mut gateway = stack.start_gateway().unwrap();
    stack.enrol().unwrap();
    let plan = site.plan(3, 4);
    let mut deliveries = Deliveries::new(stack).unwrap();
    let mut connector = stack.start_connector(0).unwrap();

    // Four are at the engine when the gateway dies, the others in its queue; the results come while it is away.
    let formats = site.formats_pid();
    Site::signal(formats, Signal::STOP);
    ask(&mut deliveries, &plan, &plan.devices);
    until("too few are leased", || leased(&mut deliveries) == 4);
    gateway.kill();
    Site::signal(formats, Signal::CONT);
    until("nobody tells that the service is away", || {
        let events = site.operational();
        [30, 2101]
            .iter()
            .all(|id| events.iter().any(|event| event.id == *id))
    });
    let gateway = stack.start_gateway().unwrap();
    site.assert_all_delivered_once(&mut deliveries);
    assert!(connector.is_running());
    connector.stop().unwrap();
    assert!(site.operational().iter().any(|event| event.id == 31));
    gateway.stop().unwrap();
    engine.stop().unwrap();
}

#[test]
fn a_connector_that_starts_before_the_engine_waits_for_it() {
    let site = Site::new();
    let stack = &site.stack;
    let gateway = stack.start_gateway().unwrap();
    stack.enrol().unwrap();
    let plan = site.plan(1, 2);
    let mut deliveries = Deliveries::new(stack).unwrap();
    ask(&mut deliveries, &plan, &plan.devices);
    let connector = stack.start_connector(0).unwrap();
    site.wait_for_event(21);
    assert_eq!(waiting(&mut deliveries), 2);
    // It leases nothing that it could not finish: another connector might.
    assert!(
        deliveries
            .asked
            .iter()
            .all(|asked| asked.state.as_ref().unwrap().attempts == 0)
    );

    let engine = stack.start_engine().unwrap();
    site.assert_all_delivered_once(&mut deliveries);
    connector.stop().unwrap();
    assert!(site.operational().iter().any(|event| event.id == 20));
    gateway.stop().unwrap();
    engine.stop().unwrap();
}

#[test]
fn a_full_journal_is_told_and_everything_is_delivered_once_there_is_room() {
    let site = Site::with("journal_max_bytes = 1048576");
    let stack = &site.stack;
    let engine = stack.start_engine().unwrap();
    let gateway = stack.start_gateway().unwrap();
    stack.enrol().unwrap();
    let plan = site.plan(2, 3);
    let mut deliveries = Deliveries::new(stack).unwrap();
    let mut connector = stack.start_connector(0).unwrap();
    ask(&mut deliveries, &plan, &plan.devices[..1]);
    site.assert_all_delivered_once(&mut deliveries);

    // A finished request with a name so long that there is no room for any other.
    let journal = rusqlite::Connection::open(stack.path("run/journal-0.db")).unwrap();
    journal
        .execute(
            "INSERT INTO requests (request_id, state, fence, attempt, user, thumbprint, device_id, code, leased_at_ms, updated_at_ms)
             VALUES ('ballast', 5, 1, 1, ?1, '', '', 'x', 4000000000000, 4000000000000)",
            ["x".repeat(1_000_000)],
        )
        .unwrap();
    ask(&mut deliveries, &plan, &plan.devices[1..]);
    let told = site.wait_for_event(40);
    assert!(
        told.fields["reason"]
            .as_str()
            .unwrap()
            .contains("journal_max_bytes"),
        "{told:?}"
    );
    assert_eq!(waiting(&mut deliveries), 4);

    journal
        .execute("DELETE FROM requests WHERE request_id = 'ballast'", [])
        .unwrap();
    site.assert_all_delivered_once(&mut deliveries);
    assert!(connector.is_running());
    connector.stop().unwrap();
    assert_eq!((site.count(40), site.count(41)), (1, 1));
    gateway.stop().unwrap();
    engine.stop().unwrap();
}

/// A small file system that only the connector has; the test sees it through the root of the process that keeps it.
struct SmallDisk {
    keeper: Running,
    folder: PathBuf,
}

impl SmallDisk {
    /// Mounts 8 MiB at a folder; nothing where mounting is not allowed.
    fn mount(site: &Site) -> Option<Self> {
        let folder = site.stack.path("disk");
        std::fs::create_dir(&folder).unwrap();
        let at = folder.to_str().unwrap();
        let tried = std::process::Command::new("unshare")
            .args(["--mount", "mount", "-t", "tmpfs", "tmpfs", at])
            .output()
            .unwrap_or_else(|error| panic!("this test needs the program `unshare`: {error}"));
        if !tried.status.success() {
            return None;
        }
        let keep = "mount -t tmpfs -o size=8m,mode=700 tmpfs \"$1\" && touch \"$1/mounted\" && exec sleep 600";
        let arguments = ["--mount", "sh", "-c", keep, "sh", at];
        let log = site.stack.path("logs/disk.log");
        let keeper = Running::start("disk", Path::new("unshare"), &arguments, &log).unwrap();
        let disk = Self { keeper, folder };
        until("the file system is not mounted", || {
            disk.inside("mounted").exists()
        });
        Some(disk)
    }

    /// A file on it.
    fn inside(&self, name: &str) -> PathBuf {
        let root = format!("/proc/{}/root", self.keeper.pid());
        PathBuf::from(format!("{root}{}", self.folder.display())).join(name)
    }

    /// Starts a process that sees it.
    fn start(&self, site: &Site, name: &str, command: &str, config: &Path) -> Running {
        let mounts = format!("--mount=/proc/{}/ns/mnt", self.keeper.pid());
        let arguments = [
            mounts.as_str(),
            site.stack.program().to_str().unwrap(),
            command,
            "--config",
            config.to_str().unwrap(),
        ];
        let log = site.stack.path(&format!("logs/{name}.log"));
        Running::start(name, Path::new("nsenter"), &arguments, &log).unwrap()
    }

    /// Starts the connector with its journal on it.
    fn start_connector(&self, site: &Site) -> Running {
        self.start(site, "connector-0", "run", &site.stack.connector_config(0))
    }

    /// Writes until it is full.
    fn fill(&self) {
        let mut file = std::fs::File::create(self.inside("ballast")).unwrap();
        for size in [65_536, 512, 1] {
            let block = vec![0x55; size];
            while file.write_all(&block).is_ok() {}
        }
    }

    fn make_room(&self) {
        std::fs::remove_file(self.inside("ballast")).unwrap();
    }
}

/// A stack whose connector has its journal on a small disk; nothing, and plainly said, where mounting is not allowed.
fn site_with_small_disk() -> Option<(Site, SmallDisk)> {
    let site = Site::new();
    let disk = SmallDisk::mount(&site);
    if disk.is_none() {
        // Past the capture of the test's output: nobody may take it for tested.
        let _ = writeln!(
            std::io::stderr(),
            "NOT RUN: mounting a file system is not allowed here; of a full journal only its own limit was tested"
        );
    }
    Some((site, disk?))
}

fn journal_on_disk(site: &Site) {
    site.stack.write_connector_config(0).unwrap();
    let config = site.stack.connector_config(0);
    change(&config, "run/journal-0.db", "disk/journal.db");
}

fn change(config: &Path, from: &str, to: &str) {
    let text = std::fs::read_to_string(config).unwrap();
    let changed = text.replace(from, to);
    assert_ne!(changed, text);
    write_private(config, changed.as_bytes());
}

/// Requests that are at the engine when the disk gets full, so that their results cannot be journaled, and some that come after.
fn fill_in_mid_work(site: &Site, disk: &SmallDisk, deliveries: &mut Deliveries, plan: &Plan) {
    let formats = site.formats_pid();
    Site::signal(formats, Signal::STOP);
    ask(deliveries, plan, &plan.devices[1..2]);
    until("too few are leased", || leased(deliveries) == 2);
    until("too few are at the engine", || {
        site.engine_status().in_flight == 2
    });
    disk.fill();
    Site::signal(formats, Signal::CONT);
    ask(deliveries, plan, &plan.devices[2..]);
    let told = site.wait_for_event(40);
    let reason = told.fields["reason"].as_str().unwrap();
    assert!(reason.contains("full"), "{reason}");
    assert_eq!(waiting(deliveries), 4);
}

#[test]
fn a_full_disk_is_told_and_everything_is_delivered_once_there_is_room() {
    let Some((site, disk)) = site_with_small_disk() else {
        return;
    };
    let stack = &site.stack;
    let engine = stack.start_engine().unwrap();
    let gateway = stack.start_gateway().unwrap();
    stack.enrol().unwrap();
    let plan = site.plan(2, 3);
    let mut deliveries = Deliveries::new(stack).unwrap();
    journal_on_disk(&site);
    let mut connector = disk.start_connector(&site);
    ask(&mut deliveries, &plan, &plan.devices[..1]);
    site.assert_all_delivered_once(&mut deliveries);
    assert!(disk.inside("journal.db").exists());

    fill_in_mid_work(&site, &disk, &mut deliveries, &plan);
    disk.make_room();
    site.wait_for_event(41);
    site.assert_all_delivered_once(&mut deliveries);
    assert!(connector.is_running());
    connector.stop().unwrap();
    assert_eq!(site.count(40), site.count(41));
    gateway.stop().unwrap();
    engine.stop().unwrap();
}

#[test]
fn a_connector_killed_while_the_disk_is_full_loses_nothing() {
    let Some((site, disk)) = site_with_small_disk() else {
        return;
    };
    let stack = &site.stack;
    let engine = stack.start_engine().unwrap();
    let gateway = stack.start_gateway().unwrap();
    stack.enrol().unwrap();
    let plan = site.plan(2, 3);
    let mut deliveries = Deliveries::new(stack).unwrap();
    journal_on_disk(&site);
    let mut connector = disk.start_connector(&site);
    ask(&mut deliveries, &plan, &plan.devices[..1]);
    site.assert_all_delivered_once(&mut deliveries);

    fill_in_mid_work(&site, &disk, &mut deliveries, &plan);
    connector.kill();
    let mut connector = disk.start_connector(&site);
    until("it does not tell that the disk is still full", || {
        site.count(40) == 2
    });
    assert_eq!(waiting(&mut deliveries), 4);
    disk.make_room();
    site.assert_all_delivered_once(&mut deliveries);
    assert!(connector.is_running());
    connector.stop().unwrap();
    gateway.stop().unwrap();
    engine.stop().unwrap();
}

#[test]
fn a_connector_does_not_start_where_its_journal_has_no_room_and_says_why() {
    let Some((site, disk)) = site_with_small_disk() else {
        return;
    };
    let gateway = site.stack.start_gateway().unwrap();
    journal_on_disk(&site);
    disk.fill();
    let mut connector = disk.start_connector(&site);
    until("it runs", || !connector.is_running());
    let log = site.log("connector-0");
    assert!(log.contains("journal") && log.contains("full"), "{log}");

    disk.make_room();
    let connector = disk.start_connector(&site);
    site.wait_for_event(1);
    connector.stop().unwrap();
    gateway.stop().unwrap();
}

#[test]
fn an_audit_log_without_room_stops_custody_and_goes_on_where_it_was_once_there_is_room() {
    let Some((site, disk)) = site_with_small_disk() else {
        return;
    };
    let stack = &site.stack;
    let config = stack.path("engine.toml");
    change(&config, "/audit\"\n", "/disk/audit\"\n");
    let mut engine = disk.start(&site, "engine", "engine", &config);
    let socket = stack.path("run/engine.sock");
    until("the engine does not listen", || {
        std::os::unix::net::UnixStream::connect(&socket).is_ok()
    });
    let gateway = stack.start_gateway().unwrap();
    stack.enrol().unwrap();
    // What is left of the file's last block still takes a few entries.
    let plan = site.plan(2, 8);
    let mut deliveries = Deliveries::new(stack).unwrap();
    let connector = stack.start_connector(0).unwrap();
    ask(&mut deliveries, &plan, &plan.devices[..1]);
    site.assert_all_delivered_once(&mut deliveries);

    disk.fill();
    ask(&mut deliveries, &plan, &plan.devices[1..]);
    let problem = || site.engine_status().audit.and_then(|log| log.problem);
    until("nobody tells that nothing can be recorded", || {
        problem().is_some()
    });
    let told = problem().unwrap();
    assert!(told.contains("space"), "{told}");
    let stopped = waiting(&mut deliveries);
    assert!(stopped > 0);

    disk.make_room();
    site.assert_all_delivered_once(&mut deliveries);
    assert!(engine.is_running());
    assert_eq!(problem(), None);
    connector.stop().unwrap();
    gateway.stop().unwrap();
    engine.stop().unwrap();
    let verified = std::process::Command::new(stack.program())
        .args(["audit", "verify", "--json", "--public-key"])
        .arg(stack.path("audit-public.pem"))
        .arg(disk.inside("audit"))
        .output()
        .unwrap();
    let report: serde_json::Value = serde_json::from_slice(&verified.stdout).unwrap();
    assert_eq!(report["sound"], true, "{report}");
    // Six deliveries; what was under way as the disk was full is there as well, and how it came to be late.
    assert!(
        report["events"]["keyUse"].as_u64().unwrap() >= 6,
        "{report}"
    );
    assert_eq!(report["events"]["recovered"], 1, "{report}");
}

#[test]
fn a_gateway_without_room_says_so_and_loses_nothing() {
    let Some((site, disk)) = site_with_small_disk() else {
        return;
    };
    let stack = &site.stack;
    let engine = stack.start_engine().unwrap();
    let gateway = stack.start_gateway().unwrap();
    stack.enrol().unwrap();
    let plan = site.plan(2, 40);
    gateway.stop().unwrap();
    // The same port again; then its database moves to the small disk.
    stack.start_gateway().unwrap().stop().unwrap();
    let small = disk.inside("gateway.db");
    std::fs::copy(stack.path("gateway/gateway.db"), &small).unwrap();
    let config = stack.path("gateway.toml");
    change(&config, "gateway/gateway.db", "disk/gateway.db");
    let mut gateway = disk.start(&site, "gateway", "gateway", &config);
    let mut deliveries = Deliveries::new(stack).unwrap();
    let connector = stack.start_connector(0).unwrap();
    until("the gateway does not answer", || {
        deliveries.ask(&plan.people[0], &plan.devices[0]).is_ok()
    });
    site.assert_all_delivered_once(&mut deliveries);

    disk.fill();
    let mut refused = None;
    for device in &plan.devices[1..] {
        if let Err(error) = deliveries.ask(&plan.people[1], device) {
            refused = Some((device, error));
            break;
        }
    }
    let (device, error) = refused.expect("the disk was meant to be too small");
    assert!(error.to_string().contains("50"), "{error}");
    until("nobody tells why", || site.log("gateway").contains("full"));

    disk.make_room();
    assert!(gateway.is_running());
    deliveries.ask(&plan.people[1], device).unwrap();
    site.assert_all_delivered_once(&mut deliveries);
    connector.stop().unwrap();
    gateway.stop().unwrap();
    engine.stop().unwrap();
    let database = rusqlite::Connection::open(&small).unwrap();
    let verdict: String = database
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(verdict, "ok");
}
