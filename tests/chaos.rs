//! Kill -9 at random moments, of every process there is: nothing lost, nothing delivered twice, nothing secret left behind.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]
#![forbid(unsafe_code)]

use pfx_connector::cli::demo::{
    Deliveries, DeviceKind, Person, Plan, Running, Stack, StackOptions, TokenKind, admin_events,
    temporary_folder,
};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const PEOPLE: usize = 25;
const DEVICES: usize = 20;
const KILLS: usize = 60;
/// Everything has to be settled this long after the last kill.
const SETTLE_LIMIT: Duration = Duration::from_secs(180);

/// A small generator of its own (xorshift64*), so that a failing run can be repeated from the seed that it prints.
struct Random(u64);

impl Random {
    fn new() -> Self {
        let seed = match std::env::var("CHAOS_SEED") {
            Ok(text) => text.parse().expect("CHAOS_SEED is a number"),
            Err(_) => u64::from_be_bytes(fips::random::array::<8>().unwrap()) | 1,
        };
        println!("CHAOS_SEED={seed}");
        Self(seed)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % limit
    }
}

#[test]
fn nothing_is_lost_or_doubled_when_every_part_is_killed_with_one_connector() {
    survive_kills(1);
}

#[test]
fn nothing_is_lost_or_doubled_when_every_part_is_killed_with_three_connectors() {
    survive_kills(3);
}

fn survive_kills(connectors: usize) {
    let folder = temporary_folder().unwrap();
    let stack = Stack::prepare(StackOptions {
        program: PathBuf::from(env!("CARGO_BIN_EXE_pfx-connector")),
        folder: folder.clone(),
        token: TokenKind::Softhsm,
        module: None,
        key_bits: 2048,
        connectors,
        lease_ms: 4_000,
        connector_extra: "concurrency = 4\nwait_ms = 1000\nretry = { base_ms = 20, max_ms = 500, max_attempts = 1000 }\n"
            .to_owned(),
        engine_extra: "restart = { backoff_ms = 10, backoff_max_ms = 100, max_crashes_per_request = 50 }\n".to_owned(),
    })
    .unwrap();
    let mut random = Random::new();
    let mut engine = stack.start_engine().unwrap();
    let mut gateway = stack.start_gateway().unwrap();
    stack.enrol().unwrap();
    let mut running: Vec<Running> = (0..connectors)
        .map(|index| stack.start_connector(index).unwrap())
        .collect();

    let mut plan = Plan::default();
    for index in 0..PEOPLE {
        // Only every fourth maker: OpenSSL's default, whose key derivation is quick to repeat 500 times.
        plan.people
            .push(Person::make(&stack.pki, &stack.path("import"), index * 4).unwrap());
    }
    for index in 0..DEVICES {
        let kind = if index % 5 == 4 {
            DeviceKind::Ec("P-256")
        } else {
            DeviceKind::Rsa(2048)
        };
        plan.devices.push(stack.pki.device(index, kind).unwrap());
    }
    for person in &plan.people {
        stack
            .import(&person.user, &person.pfx, &person.password_file)
            .unwrap();
    }

    let mut pairs = plan
        .people
        .iter()
        .flat_map(|person| plan.devices.iter().map(move |device| (person, device)))
        .peekable();
    let mut deliveries = Deliveries::new(&stack).unwrap();
    let mut killed: BTreeMap<&str, usize> = BTreeMap::new();
    let mut kills = 0;
    while pairs.peek().is_some() || kills < KILLS {
        for (person, device) in pairs.by_ref().take(9) {
            ask(&mut deliveries, person, device);
        }
        // Not a wait for anything: the moment of the kill is to be a random one.
        std::thread::sleep(Duration::from_millis(random.below(120)));
        let victim = match random.below(5) {
            0 => {
                let index = usize::try_from(random.below(connectors as u64)).unwrap();
                running[index].kill();
                running[index] = stack.start_connector(index).unwrap();
                "connector"
            }
            1 => {
                gateway.kill();
                gateway = stack.start_gateway().unwrap();
                "gateway"
            }
            2 => {
                engine.kill();
                engine = stack.start_engine().unwrap();
                "supervisor"
            }
            3 => kill_part(&engine, "engine-custody"),
            _ => kill_part(&engine, "engine-formats"),
        };
        *killed.entry(victim).or_default() += 1;
        kills += 1;
    }
    println!("killed: {killed:?}");
    assert!(kills >= 50);

    let outcome = deliveries.wait(SETTLE_LIMIT, |_| Ok(()));
    assert!(outcome.is_ok(), "{outcome:?}");
    for connector in running {
        connector.stop().unwrap();
    }
    deliveries.refresh().unwrap();
    let mut problems = Vec::new();
    deliveries
        .verify_all(&stack, |problem| {
            problems.extend(problem);
            Ok(())
        })
        .unwrap();
    gateway.stop().unwrap();
    engine.stop().unwrap();

    assert_eq!(problems, Vec::<String>::new());
    assert_eq!(deliveries.asked.len(), PEOPLE * DEVICES);
    assert_eq!((deliveries.lost(), deliveries.completed_twice()), (0, 0));
    assert_eq!(deliveries.verified(), PEOPLE * DEVICES);
    let mut events: BTreeMap<String, usize> = BTreeMap::new();
    for index in 0..connectors {
        for (request, count) in admin_events(&stack.event_log(index)).unwrap() {
            *events.entry(request).or_default() += count;
        }
    }
    let wrong: Vec<_> = deliveries
        .asked
        .iter()
        .map(|asked| {
            (
                &asked.request_id,
                events.get(&asked.request_id).copied().unwrap_or(0),
            )
        })
        .filter(|(_, count)| *count != 1)
        .collect();
    assert_eq!(
        wrong,
        Vec::new(),
        "requests without exactly one Admin event"
    );
    assert_eq!(
        events.len(),
        PEOPLE * DEVICES,
        "an Admin event for a request that nobody asked for"
    );
    for person in &plan.people {
        let password = std::fs::read(&person.password_file).unwrap();
        assert_eq!(
            files_with(&folder, &password, &person.password_file),
            Vec::<PathBuf>::new()
        );
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

/// Asks until the gateway answers: it may just be starting again. The idempotency key makes asking twice safe.
fn ask(deliveries: &mut Deliveries, person: &Person, device: &pfx_connector::cli::demo::Device) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while let Err(problem) = deliveries.ask(person, device) {
        assert!(Instant::now() < deadline, "{problem}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Kills the supervisor's child with this sub-command, if it is there just now.
fn kill_part(engine: &Running, part: &'static str) -> &'static str {
    let children = format!("/proc/{0}/task", engine.pid());
    for task in std::fs::read_dir(children).into_iter().flatten().flatten() {
        let children = std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
        for child in children.split_whitespace() {
            let command = std::fs::read(format!("/proc/{child}/cmdline")).unwrap_or_default();
            if command
                .split(|byte| *byte == 0)
                .any(|argument| argument == part.as_bytes())
            {
                let pid = child
                    .parse()
                    .ok()
                    .and_then(rustix::process::Pid::from_raw)
                    .unwrap();
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
        }
    }
    part
}

/// Files below `folder` that hold the marker, apart from the one that the administrator put it in.
fn files_with(folder: &Path, marker: &[u8], except: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_file() && path != except {
                let content = std::fs::read(&path).unwrap();
                if content.windows(marker.len()).any(|window| window == marker) {
                    found.push(path);
                }
            }
        }
    }
    found
}
