//! A whole bundle of a running engine, changed byte by byte. (Every byte of a small one, and every way to change its folder, is
//! tried where the format is defined: `evidence::bundle`.)

use super::world::{World, names, verify};
use pfx_connector::evidence::bundle::{self, MANIFEST, SIGNATURE, SIGNER};
use std::fs;
use std::path::Path;

/// As many places of a large file are changed.
const PLACES: usize = 150;

fn places(name: &str, length: usize) -> Box<dyn Iterator<Item = usize>> {
    if [MANIFEST, SIGNATURE, SIGNER].contains(&name) || length <= PLACES {
        Box::new(0..length)
    } else {
        // Both ends, and places all over it that are on no regular grid of the content.
        let step = length / PLACES;
        Box::new(
            (0..8)
                .chain((8..length - 8).step_by(step))
                .chain(length - 8..length),
        )
    }
}

fn change_it(bundle: &Path) {
    for name in names(bundle) {
        let path = bundle.join(&name);
        let content = fs::read(&path).unwrap();
        for at in places(&name, content.len()) {
            let mut changed = content.clone();
            changed[at] ^= 1 << (at % 8);
            fs::write(&path, &changed).unwrap();
            assert!(bundle::verify(bundle, None).is_err(), "{name}, byte {at}");
        }
        fs::write(&path, &content).unwrap();
    }
    bundle::verify(bundle, None).unwrap();
}

#[tokio::test]
async fn a_change_of_any_byte_of_any_file_is_seen() {
    let world = World::new().await;
    let generate = ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"];
    let (config, _, _) = world.signed_by_file("key", &generate);
    change_it(&world.report(&config, "signed").0);
    let config = world.configuration("unsigned.toml", "");
    change_it(&world.report(&config, "unsigned").0);
}

#[tokio::test]
async fn the_command_names_the_file_and_ends_with_1() {
    let world = World::new().await;
    let (bundle, _) = world.report(&world.configuration("unsigned.toml", ""), "bundle");
    let refused = |code: &str, name: &str| {
        let ran = verify(&bundle, None);
        assert_eq!(ran.code, 1, "{}", ran.stderr);
        let error = ran.error();
        assert_eq!(error["code"], code);
        let message = error["message"].as_str().unwrap();
        assert!(message.starts_with(name), "{message}");
    };
    let file = bundle.join("policy.json");
    let content = fs::read(&file).unwrap();
    fs::write(&file, [&content[..], b"\n"].concat()).unwrap();
    refused("bundle_file_too_large", "policy.json");
    fs::write(&file, &content[1..]).unwrap();
    refused("bundle_file_changed", "policy.json");
    fs::remove_file(&file).unwrap();
    refused("bundle_file_missing", "policy.json");
    std::os::unix::fs::symlink("status.json", &file).unwrap();
    refused("bundle_not_a_file", "policy.json");
    fs::remove_file(&file).unwrap();
    fs::write(&file, content).unwrap();
    fs::write(bundle.join("more.txt"), "").unwrap();
    refused("bundle_file_unknown", "more.txt");
    fs::remove_file(bundle.join("more.txt")).unwrap();
    assert_eq!(verify(&bundle, None).code, 0);
    let nowhere = verify(&bundle.join("nowhere"), None);
    assert_eq!(nowhere.error()["code"], "bundle_unreadable");
}
