//! What is in a bundle, and what must not be.

use super::softhsm::{KEY_LABEL, TOKEN_LABEL};
use super::world::{PASSWORD, PIN_OF_TOKEN, World, names, report};
use fips::policy::Service;
use pfx_connector::encoding::{Base64Bytes, hex};
use pfx_connector::evidence::bundle;
use pfx_connector::evidence::status::{FipsStatus, Source};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

const EC_P256: [&str; 4] = ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"];

fn json(bundle: &Path, name: &str) -> Value {
    serde_json::from_slice(&fs::read(bundle.join(name)).unwrap()).unwrap()
}

fn service(policy: &Value, service: Service) -> &Value {
    policy["services"]
        .as_array()
        .unwrap()
        .iter()
        .find(|row| row["name"] == service.name())
        .unwrap()
}

#[tokio::test]
async fn it_holds_what_the_running_engine_says() {
    let world = World::new().await;
    let (config, _, _) = world.signed_by_file("key", &EC_P256);
    let (bundle, said) = world.report(&config, "bundle");

    let status: FipsStatus =
        serde_json::from_slice(&fs::read(bundle.join("status.json")).unwrap()).unwrap();
    assert_eq!(status.source, Source::RunningEngine);
    assert_eq!(status.mode, "strict");
    assert_eq!(status.not_approved, 0);
    assert_eq!(status.tokens[0].label, TOKEN_LABEL);
    assert_eq!(said["overall"], json!(status.overall));
    let processes: Vec<_> = status
        .processes
        .iter()
        .map(|process| process.process.as_str())
        .collect();
    assert_eq!(processes, ["supervisor", "custody", "formats"]);

    // Every service of the table, and the delivery in it: by the token at both ends.
    let policy = json(&bundle, "policy.json");
    assert_eq!(
        policy["services"].as_array().unwrap().len(),
        Service::ALL.len()
    );
    for by_token in [Service::TokenOaepDecrypt, Service::TokenOaepEncrypt] {
        let row = service(&policy, by_token);
        assert_eq!(row["approved"], true);
        assert!(row["performed"].as_u64().unwrap() > 0, "{row}");
        assert_eq!(row["processes"][0]["process"], "custody");
    }
    let refused = service(&policy, Service::RsaOaepEncrypt);
    assert_eq!(refused["performed"], 0);
    assert_eq!(refused["exception"], "rsa-key-transport-in-module");
    assert!(refused["source"].as_str().unwrap().contains("table 8"));
    assert_eq!(policy["unknownServices"], json!([]));

    let keys = json(&bundle, "keys.json");
    let key = &keys["keys"][0];
    assert_eq!(key["label"], KEY_LABEL);
    assert_eq!(key["fingerprint"], world.token.fingerprint().as_str());
    assert_eq!(key["attributes"]["sensitive"], true);
    assert_eq!(key["attributes"]["extractable"], false);

    let build = json(&bundle, "build.json");
    assert_eq!(build["matchesPinned"], true);
    let program = fs::read(env!("CARGO_BIN_EXE_pfx-connector")).unwrap();
    let digest = fips::digest::digest(fips::digest::Hash::Sha256, &program);
    assert_eq!(build["program"]["sha256"], hex(digest.as_ref()));
    assert_eq!(json(&bundle, "symbols.json")["verdict"], "one-library");

    let transcript = fs::read_to_string(bundle.join("self-test.txt")).unwrap();
    assert_eq!(transcript.matches("integrity test      passed").count(), 4);
    assert!(!transcript.contains("FAILED"), "{transcript}");
}

#[tokio::test]
async fn the_bills_of_materials_name_what_there_is() {
    let world = World::new().await;
    let (bundle, _) = world.report(&world.configuration("c.toml", ""), "bundle");
    let sbom = json(&bundle, "sbom.cdx.json");
    assert_eq!(
        (&sbom["bomFormat"], &sbom["specVersion"]),
        (&json!("CycloneDX"), &json!("1.6"))
    );
    let cbom = json(&bundle, "cbom.cdx.json");
    assert_eq!(
        (&cbom["bomFormat"], &cbom["specVersion"]),
        (&json!("CycloneDX"), &json!("1.6"))
    );
    let components = cbom["components"].as_array().unwrap();
    let references: Vec<_> = std::iter::once(&cbom["metadata"]["component"])
        .chain(components)
        .map(|component| component["bom-ref"].as_str().unwrap())
        .collect();
    let mut unique = references.clone();
    unique.sort_unstable();
    unique.dedup();
    assert_eq!(unique.len(), references.len());
    for wanted in [
        "crypto:aes-cbc/AES-256-CBC",
        "crypto:token-oaep-decrypt/RSAES-OAEP",
        "crypto:rsa-oaep-encrypt/RSAES-OAEP",
        "crypto:tls/TLS-1.3",
    ] {
        assert!(references.contains(&wanted), "{wanted}");
    }
    let key = format!("key:{}", world.token.fingerprint());
    assert!(references.contains(&key.as_str()));
    // Every service is in it, and the graph names nothing else.
    for service in Service::ALL {
        let prefix = format!("crypto:{}/", service.name());
        assert!(
            references.iter().any(|name| name.starts_with(&prefix)),
            "{prefix}"
        );
    }
    for node in cbom["dependencies"].as_array().unwrap() {
        let lists = ["dependsOn", "provides"].map(|list| node[list].as_array());
        let named = lists.into_iter().flatten().flatten().chain([&node["ref"]]);
        for name in named {
            assert!(references.contains(&name.as_str().unwrap()), "{name}");
        }
    }
}

/// Comments, values of the environment, the PIN, passwords and private keys.
#[tokio::test]
async fn there_is_no_secret_in_it() {
    let world = World::new().await;
    let (config, key, _) = world.signed_by_file("key", &EC_P256);
    let text = fs::read_to_string(&config).unwrap();
    let with_comment = format!("# the old PIN was a-secret-in-a-comment\n{text}");
    fs::write(&config, with_comment).unwrap();
    let (bundle, _) = world.report(&config, "bundle");

    let pem = fs::read_to_string(&key).unwrap();
    let body: String = pem.lines().filter(|line| !line.starts_with("--")).collect();
    let private = Base64Bytes::decode(&body).unwrap();
    // The scalar of a P-256 key: SEC 1 (RFC 5915) has it behind version and OCTET STRING of 32 bytes.
    let at = private
        .0
        .windows(5)
        .position(|w| w == [2, 1, 1, 4, 32])
        .unwrap()
        + 5;
    let scalar = &private.0[at..at + 32];
    let mut secrets: Vec<Vec<u8>> = vec![
        b"a-secret-in-a-comment".to_vec(),
        PASSWORD.to_vec(),
        b"PRIVATE KEY".to_vec(),
        b"softhsm2.conf".to_vec(),
        hex(PASSWORD).into_bytes(),
        Base64Bytes(PASSWORD.to_vec()).encode().into_bytes(),
        scalar.to_vec(),
        hex(scalar).into_bytes(),
        hex(scalar).to_uppercase().into_bytes(),
    ];
    secrets.extend(
        body.as_bytes()
            .chunks(20)
            .take(4)
            .map(<[u8]>::to_vec)
            .skip(1),
    );
    for name in names(&bundle) {
        let content = fs::read(bundle.join(&name)).unwrap();
        for secret in &secrets {
            assert!(
                !content.windows(secret.len()).any(|window| window == secret),
                "{name} holds {:?}",
                String::from_utf8_lossy(secret)
            );
        }
        assert!(!holds_pin(&content), "{name} holds the PIN");
    }
    let configuration = fs::read_to_string(bundle.join("configuration.toml")).unwrap();
    assert!(
        configuration.contains("SOFTHSM2_CONF = \"(removed)\""),
        "{configuration}"
    );
    assert!(configuration.contains("pin_file = "), "{configuration}");
}

/// The PIN, but not its digits somewhere in a longer number or digest.
fn holds_pin(content: &[u8]) -> bool {
    let pin = PIN_OF_TOKEN.as_bytes();
    let in_a_number = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_hexdigit);
    content.windows(pin.len()).enumerate().any(|(at, window)| {
        window == pin
            && !in_a_number(at.checked_sub(1).and_then(|before| content.get(before)))
            && !in_a_number(content.get(at + pin.len()))
    })
}

#[tokio::test]
async fn the_page_says_the_claim_first_and_refers_to_nothing_outside() {
    let world = World::new().await;
    let (bundle, said) = world.report(&world.configuration("c.toml", ""), "bundle");
    let page = fs::read_to_string(bundle.join("report.html")).unwrap();
    let place = |what: &str| page.find(what).unwrap_or_else(|| panic!("no {what}"));
    assert!(place("What can be claimed") < place("What is not claimed"));
    assert!(place("What is not claimed") < place("Part by part"));
    let claim = said["overall"]["says"].as_str().unwrap();
    assert!(
        claim.starts_with("unvalidated, because of tokens"),
        "{claim}"
    );
    assert!(page.contains("<p class=\"level\">Unvalidated</p>"));
    assert!(page.contains("Because of tokens: nothing may be claimed of the whole."));
    assert!(page.contains("not a validated token"));
    for service in Service::ALL {
        assert!(page.contains(&format!("<code>{}</code>", service.name())));
    }
    let lower = page.to_lowercase();
    for outside in [
        "<script", "http://", "https://", "src=", "href=", "url(", "@import", "<img", "<link",
    ] {
        assert!(!lower.contains(outside), "{outside}");
    }
}

#[tokio::test]
async fn two_bundles_differ_in_times_and_counts_alone() {
    let world = World::new().await;
    let (config, _, _) = world.signed_by_file("key", &EC_P256);
    let (one, _) = world.report(&config, "one");
    let (two, _) = world.report(&config, "two");
    let mut same = Vec::new();
    for name in names(&one) {
        if fs::read(one.join(&name)).unwrap() == fs::read(two.join(&name)).unwrap() {
            same.push(name);
        }
    }
    for expected in [
        "SIGNER.pem",
        "build.json",
        "cbom.cdx.json",
        "configuration.toml",
        "keys.json",
        "sbom.cdx.json",
        "symbols.json",
    ] {
        assert!(same.contains(&expected.to_owned()), "{expected} differs");
    }
}

#[test]
fn the_documentation_names_every_file_in_the_words_of_the_bundle() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/fips/report.md");
    let page = fs::read_to_string(path).unwrap();
    for document in bundle::DOCUMENTS {
        let row = format!("| `{}` | {} |", document.name, document.holds);
        assert!(page.contains(&row), "docs/fips/report.md lacks: {row}");
    }
}

/// As for `fips status`: a report of what is not well is a report nevertheless.
#[tokio::test]
async fn an_engine_whose_module_failed_is_reported_about_with_exit_code_3() {
    let (world, delivered) = World::delivering("PFX_FIPS_TEST_FAULT = \"aes-cbc\"").await;
    delivered.unwrap_err();
    let client = world.engine.client().await;
    world
        .engine
        .wait_for(&client, "fault", |status| status.module_fault.is_some())
        .await;
    let out = world.path("bundle");
    let ran = report(&world.configuration("c.toml", ""), &out);
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    let said: Value = serde_json::from_slice(&ran.stdout).unwrap();
    assert_eq!(said["healthy"], false);
    bundle::verify(&out, None).unwrap();
    let faults = &json(&out, "status.json")["faults"];
    assert_eq!(faults[0]["code"], "indicator_disagrees", "{faults}");
    let page = fs::read_to_string(out.join("report.html")).unwrap();
    assert!(page.contains("Something is wrong"));
}

#[tokio::test]
async fn without_a_configuration_it_speaks_of_the_program_alone() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("bundle");
    let ran = super::cli_common::program(
        &["fips", "report", "--out", out.to_str().unwrap(), "--json"],
        &[],
    );
    let said = ran.json();
    assert_eq!(said["overall"]["level"], "unvalidated");
    let status = json(&out, "status.json");
    assert_eq!(status["source"], "this-command-only");
    let keys = json(&out, "keys.json");
    assert_eq!(keys["readBy"], "this-command-only");
    // The folder is there now, and nothing is overwritten.
    let config = folder.path().join("none.toml");
    fs::write(&config, "").unwrap();
    let again = report(&config, &out);
    assert_eq!(
        (again.code, &again.error()["code"]),
        (2, &json!("bundle_place_taken"))
    );
}
