//! Kill -9 at random moments, of every process there is: nothing lost, nothing delivered twice, nothing secret left behind.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    missing_docs
)]
#![forbid(unsafe_code)]

use pfx_connector::cli::demo::{
    Deliveries, DeviceKind, Person, Plan, Running, Stack, StackOptions, TokenKind, admin_events,
    temporary_folder,
};
use pfx_connector::encoding;
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
        module_environment: Vec::new(),
        key_bits: 2048,
        connectors,
        lease_ms: 4_000,
        connector_extra: "concurrency = 4\nwait_ms = 1000\nretry = { base_ms = 20, max_ms = 500, max_attempts = 1000 }\n"
            .to_owned(),
        engine_fips: "exceptions = [\"cms-ecdh-static\"]".to_owned(),
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
        stack.import(person).unwrap();
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

/// The marker as it may stand in a file: as it is, in hexadecimal, and in Base64 at each of the three places in a group of bytes.
fn forms(marker: &[u8]) -> Vec<Vec<u8>> {
    let mut forms = vec![marker.to_vec(), encoding::hex(marker).into_bytes()];
    forms.push(encoding::hex(marker).to_uppercase().into_bytes());
    for before in 0..3 {
        let mut bytes = vec![0; before];
        bytes.extend_from_slice(marker);
        // Only whole characters of the marker's own: its neighbours decide the first and the last one.
        let whole = bytes.len() / 3 * 4;
        let text = encoding::Base64Bytes(bytes).encode().into_bytes();
        forms.push(text[(before * 8).div_ceil(6)..whole].to_vec());
    }
    forms
}

/// Files below `folder` that hold the marker in any form, apart from the one that the administrator put it in.
fn files_with(folder: &Path, marker: &[u8], except: &Path) -> Vec<PathBuf> {
    let forms: Vec<String> = forms(marker)
        .into_iter()
        .map(|form| String::from_utf8(form).expect("the marker is ASCII"))
        .collect();
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_file() && path != except {
                // Whatever is not UTF-8 is replaced, which leaves ASCII where it is.
                let content = std::fs::read(&path).unwrap();
                let content = String::from_utf8_lossy(&content);
                if forms.iter().any(|form| content.contains(form)) {
                    found.push(path);
                }
            }
        }
    }
    found
}

#[test]
fn the_search_for_passwords_finds_one_wherever_it_is_planted() {
    const MARKER: &[u8] = b"k2Jx9QvTz7Lw4RbN8mYd3HcP";
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    std::fs::create_dir_all(root.join("a/b/c")).unwrap();
    let entered = root.join("entered");
    std::fs::write(&entered, MARKER).unwrap();
    // All but its last byte, all but its first, and nothing.
    std::fs::write(root.join("a/most"), &MARKER[..MARKER.len() - 1]).unwrap();
    std::fs::write(root.join("a/rest"), &MARKER[1..]).unwrap();
    std::fs::write(root.join("a/empty"), b"").unwrap();
    assert_eq!(files_with(root, MARKER, &entered), Vec::<PathBuf>::new());

    let between = |before: &[u8], after: &[u8]| [before, MARKER, after].concat();
    let base64 = |bytes: Vec<u8>| encoding::Base64Bytes(bytes).encode().into_bytes();
    let planted: Vec<(&str, Vec<u8>)> = vec![
        ("alone", MARKER.to_vec()),
        ("a/at the start", between(b"", &[0xff; 9])),
        ("a/b/at the end", between(&[0xfe, 0x00, 0x80], b"")),
        (
            "a/b/c/in text",
            between("name=\u{e9}\u{20ac} ".as_bytes(), b"\n"),
        ),
        // The first bytes of a longer character, cut off by the marker.
        ("a/after half a character", between(&[0xf0, 0x9f], &[0x92])),
        ("hexadecimal", encoding::hex(MARKER).into_bytes()),
        (
            "capitals",
            encoding::hex(MARKER).to_uppercase().into_bytes(),
        ),
        ("base64", base64(MARKER.to_vec())),
        ("base64 of more", base64(between(b"p", b"q"))),
        ("base64 of still more", base64(between(b"pq", b"rst"))),
        (
            "base64 in a text",
            base64(between(b"{\"password\":\"", b"\"}")),
        ),
    ];
    for (name, content) in planted {
        let path = root.join(name);
        std::fs::write(&path, content).unwrap();
        assert_eq!(
            files_with(root, MARKER, &entered),
            std::slice::from_ref(&path),
            "{name}"
        );
        std::fs::remove_file(path).unwrap();
    }

    // In a database, where a write-ahead log holds it first.
    let path = root.join("journal.db");
    let database = rusqlite::Connection::open(&path).unwrap();
    database
        .execute_batch("PRAGMA journal_mode = wal; CREATE TABLE t (v BLOB);")
        .unwrap();
    database
        .execute("INSERT INTO t VALUES (?1)", [MARKER])
        .unwrap();
    assert_eq!(
        files_with(root, MARKER, &entered),
        [root.join("journal.db-wal")]
    );
    drop(database);
    assert_eq!(files_with(root, MARKER, &entered), [path]);
}
