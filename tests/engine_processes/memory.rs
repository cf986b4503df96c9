//! Secrets of an opened PFX, looked for in the memory of every process of the engine afterwards.

use super::deliveries::{OPENS, options, person, request, stored};
use super::engine::{Engine, part};
use super::openssl::{KeyAlgorithm, Workshop, openssl, text};
use super::requests::DEADLINE;
use super::softhsm::SoftHsm;
use pfx_connector::engine::api::Delivery;
use std::fs::File;
use std::os::unix::fs::FileExt;

/// Everything that a process may write to, without the pages that are empty.
fn memory_of(pid: u32) -> Vec<Vec<u8>> {
    const PAGE: usize = 4096;
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let memory = File::open(format!("/proc/{pid}/mem")).unwrap();
    let mut runs: Vec<Vec<u8>> = Vec::new();
    for line in maps.lines() {
        let mut fields = line.split_whitespace();
        let (range, rights) = (fields.next().unwrap(), fields.next().unwrap());
        if !rights.starts_with("rw") {
            continue;
        }
        let (start, end) = range.split_once('-').unwrap();
        let start = u64::from_str_radix(start, 16).unwrap();
        let end = u64::from_str_radix(end, 16).unwrap();
        let mut bytes = vec![0; usize::try_from(end - start).unwrap()];
        // Guard pages and the like cannot be read.
        if memory.read_exact_at(&mut bytes, start).is_ok() {
            runs.push(Vec::new());
            for page in bytes.chunks(PAGE) {
                if page == &[0; PAGE][..page.len()] {
                    runs.push(Vec::new());
                } else {
                    runs.last_mut().unwrap().extend_from_slice(page);
                }
            }
        }
    }
    runs
}

/// How often a secret is in it.
fn found(memory: &[Vec<u8>], secret: &[u8]) -> usize {
    let first = secret[0];
    let of_run = |run: &Vec<u8>| {
        run.iter()
            .enumerate()
            .filter(|(at, byte)| **byte == first && run[*at..].starts_with(secret))
            .count()
    };
    memory.iter().map(of_run).sum()
}

#[tokio::test]
async fn neither_passwords_nor_keys_are_left_in_any_process() {
    assert!(
        rustix::process::geteuid().is_root(),
        "this test needs root: it reads the memory of processes that forbid it to everybody else"
    );
    let workshop = Workshop::new();
    let authority = workshop.authority("Devices", KeyAlgorithm::P256);
    let token = SoftHsm::new();
    let engine = Engine::start(&token, &authority, &options(""));
    let client = engine.ready_client().await;
    let device = authority.device("phone", KeyAlgorithm::Rsa(2048));
    let person = person(&authority, "ada@example.org", "20240101000000Z");
    let good = stored(&engine, &token, &person, OPENS);
    let wrong = stored(&engine, &token, &person, "a wrong one, not the file's");
    let mut fresh = Vec::new();
    for _ in 0..5 {
        let asked = request(Delivery::Rewrap, vec![good.clone()], &device);
        let done = client.deliver(asked, DEADLINE).await.unwrap();
        fresh.push(device.decrypt_cms(done.encrypted_password.unwrap().as_slice()));
        let asked = request(Delivery::AppleProfile, vec![good.clone()], &device);
        client.deliver(asked, DEADLINE).await.unwrap();
        let asked = request(Delivery::Rewrap, vec![wrong.clone()], &device);
        assert!(client.deliver(asked, DEADLINE).await.is_err());
    }
    let key = openssl(&["pkey", "-in", text(&person.key), "-outform", "DER"]);
    // The first prime and a piece of it: nothing public has these bytes.
    let private = &key[key.len() - 200..key.len() - 168];
    let status = client.status().await.unwrap();
    for name in ["supervisor", "custody", "formats"] {
        let memory = memory_of(part(&status, name).pid.unwrap());
        let mut secrets: Vec<(&str, &[u8])> = vec![
            ("the file's password", OPENS.as_bytes()),
            ("a wrong password", b"a wrong one, not the file's"),
            ("the private key", private),
        ];
        secrets.extend(fresh.iter().map(|one| ("a fresh password", one.as_slice())));
        for (what, secret) in secrets {
            assert_eq!(found(&memory, secret), 0, "{what} in {name}");
        }
        // That the search finds what is there: the name of the configuration's token.
        assert!(found(&memory, b"engine") > 0, "{name}");
    }
}
