//! Signed by a key in a file, by a key on the token, and not at all; verified by this program and as README.txt says.

use super::openssl::{openssl, text};
use super::world::{World, commands, names, shell, verify};
use pfx_connector::evidence::bundle::DOCUMENTS;
use serde_json::Value;
use std::fs;
use std::path::Path;

const EC_P256: [&str; 4] = ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"];
const EC_P384: [&str; 4] = ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"];
const RSA: [&str; 4] = ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:3072"];

fn fingerprint(public: &Path) -> String {
    let der = openssl(&["pkey", "-pubin", "-in", text(public), "-outform", "DER"]);
    let digest = fips::digest::digest(fips::digest::Hash::Sha256, &der);
    pfx_connector::encoding::hex(digest.as_ref())
}

/// Everything that a good bundle with this signature has to pass.
fn is_signed_by(bundle: &Path, said: &Value, public: &Path, other: &Path, algorithm: &str) {
    let key = fingerprint(public);
    assert_eq!(said["signature"]["fingerprint"], key.as_str());
    assert_eq!(said["signature"]["algorithm"], algorithm);

    let verified = verify(bundle, None).json();
    assert_eq!(verified["manifestSha256"], said["manifestSha256"]);
    assert_eq!(verified["signature"]["fingerprint"], key.as_str());
    assert_eq!(verified["signature"]["expectedKey"], false);
    let says = verified["says"].as_str().unwrap();
    assert!(says.contains("only if you compare it"), "{says}");

    let verified = verify(bundle, Some(public)).json();
    assert_eq!(verified["signature"]["expectedKey"], true);
    let refused = verify(bundle, Some(other));
    assert_eq!(refused.code, 1);
    assert_eq!(refused.error()["code"], "bundle_other_key");

    let steps = commands(bundle);
    let said: Vec<_> = steps.iter().map(|step| shell(bundle, step)).collect();
    assert_eq!(steps.len(), 4, "{steps:?}");
    for (step, (good, said)) in steps.iter().zip(&said) {
        assert!(*good, "{step}: {said}");
    }
    assert_eq!(said[0].1.matches(": OK").count(), DOCUMENTS.len() + 1);
    assert!(said[2].1.contains("Verified OK"), "{}", said[2].1);
    assert!(said[3].1.starts_with(&key), "{}", said[3].1);
    fs::remove_file(bundle.with_file_name("MANIFEST.signature")).unwrap();
}

#[tokio::test]
async fn a_key_in_a_file_signs_and_openssl_verifies_it() {
    let world = World::new().await;
    let (_, _, other) = world.signed_by_file("other", &EC_P256);
    for (name, generate, algorithm) in [
        ("p256", EC_P256, "ecdsa-p256-sha256"),
        ("p384", EC_P384, "ecdsa-p384-sha384"),
        ("rsa", RSA, "rsa-pss-sha256"),
    ] {
        let (config, _, public) = world.signed_by_file(name, &generate);
        let (bundle, said) = world.report(&config, name);
        is_signed_by(&bundle, &said, &public, &other, algorithm);
    }
}

#[tokio::test]
async fn a_key_on_the_token_signs_and_openssl_verifies_it() {
    let world = World::new().await;
    let (_, _, other) = world.signed_by_file("other", &EC_P256);
    for (kind, algorithm) in [
        ("p256", "ecdsa-p256-sha256"),
        ("p384", "ecdsa-p384-sha384"),
        ("rsa3072", "rsa-pss-sha256"),
    ] {
        let (config, made, public) = world.signed_by_token(&format!("report-{kind}"), kind);
        assert_eq!(made["fingerprint"], fingerprint(&public).as_str());
        assert_eq!(made["attributes"]["sensitive"], true);
        assert_eq!(made["attributes"]["extractable"], false);
        let (bundle, said) = world.report(&config, kind);
        is_signed_by(&bundle, &said, &public, &other, algorithm);

        let keys: Value =
            serde_json::from_slice(&fs::read(bundle.join("keys.json")).unwrap()).unwrap();
        let key = &keys["reportKey"];
        assert_eq!(key["place"], "token");
        assert_eq!(key["fingerprint"], made["fingerprint"]);
        assert_eq!(key["attributes"], made["attributes"]);
    }
}

#[tokio::test]
async fn without_a_key_it_holds_digests_only_and_says_so_everywhere() {
    let world = World::new().await;
    let config = world.configuration("unsigned.toml", "");
    let (bundle, said) = world.report(&config, "unsigned");
    assert_eq!(said["signature"], Value::Null);
    assert!(!names(&bundle).contains(&"MANIFEST.sig".to_owned()));
    assert!(!names(&bundle).contains(&"SIGNER.pem".to_owned()));
    for (file, words) in [
        ("MANIFEST", "not signed, digests only"),
        ("README.txt", "NOT SIGNED: it holds digests only"),
        ("report.html", "NOT SIGNED. The bundle holds digests only"),
        ("status.json", "\"signed\": false"),
        ("keys.json", "\"reportKey\": null"),
    ] {
        let content = fs::read_to_string(bundle.join(file)).unwrap();
        assert!(content.contains(words), "{file}");
    }
    let verified = verify(&bundle, None).json();
    assert_eq!(verified["signature"], Value::Null);
    assert!(verified["says"].as_str().unwrap().contains("NOT SIGNED"));
    let steps = commands(&bundle);
    assert_eq!(steps.len(), 1, "{steps:?}");
    let (good, said) = shell(&bundle, &steps[0]);
    assert!(good, "{said}");
    assert_eq!(said.matches(": OK").count(), DOCUMENTS.len());

    // Who expects a key is not content with digests.
    let (_, _, public) = world.signed_by_file("key", &EC_P256);
    let refused = verify(&bundle, Some(&public));
    assert_eq!(refused.code, 1);
    assert_eq!(refused.error()["code"], "bundle_not_signed");
}

/// What the commands of README.txt are worth: they see what the program sees.
#[tokio::test]
async fn the_commands_of_the_readme_see_a_change() {
    let world = World::new().await;
    let (config, _, _) = world.signed_by_file("key", &EC_P256);
    let (bundle, _) = world.report(&config, "bundle");
    let steps = commands(&bundle);
    let change = |name: &str| {
        let path = bundle.join(name);
        let before = fs::read(&path).unwrap();
        let mut after = before.clone();
        let at = after.len() - 2;
        after[at] ^= 1;
        fs::write(&path, after).unwrap();
        before
    };
    let before = change("status.json");
    let (good, said) = shell(&bundle, &steps[0]);
    assert!(!good && said.contains("status.json: FAILED"), "{said}");
    fs::write(bundle.join("status.json"), before).unwrap();

    change("MANIFEST");
    assert!(shell(&bundle, &steps[1]).0);
    let (good, said) = shell(&bundle, &steps[2]);
    assert!(!good && !said.contains("Verified OK"), "{said}");
}
