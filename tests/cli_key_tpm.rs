//! `key attest` on a software TPM: keys of tpm2-pkcs11 that the TPM certifies, one that was imported, and whatever does not fit.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

#[path = "../hsm/tests/support/children.rs"]
#[allow(dead_code, unreachable_pub)]
mod children;
mod cli_common;
#[path = "cli_key_tpm/site.rs"]
mod site;
#[path = "../hsm/tests/support/tools.rs"]
#[allow(dead_code, unreachable_pub)]
mod tools;
#[path = "../hsm/tests/support/tpm2.rs"]
#[allow(dead_code, unreachable_pub)]
mod tpm2;

use cli_common::{openssl, text};
use serde_json::Value;
use site::{Attested, Site, site};
use std::path::Path;

fn names(value: &Value) -> Vec<&str> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|name| name.as_str().unwrap())
        .collect()
}

/// Its code and message, of a command that has to fail.
fn refusal(site: &Site, arguments: &[&str]) -> (String, String) {
    let ran = site.attest(arguments);
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    let error = ran.error();
    let word = |name: &str| error[name].as_str().unwrap().to_owned();
    (word("code"), word("message"))
}

#[test]
fn a_key_of_the_token_is_shown_to_be_made_in_the_tpm_and_to_stay_there() {
    let site = site();
    let key = &site.key;
    let ak = &site.attestation_keys[0];
    let report = site
        .attest(&[&key.arguments()[..], &ak.arguments()].concat())
        .json();
    assert_eq!(report["verified"], true);
    assert_eq!(report["form"], "tpm");
    assert_eq!(report["root"], Value::Null);
    assert_eq!(report["fips"]["mode"], "strict");
    assert_eq!(report["fips"]["notApproved"], 0);
    let statement = &report["statement"];
    assert_eq!(statement["verdict"], "madeHere");
    let attributes = names(&statement["attributes"]);
    for wanted in [
        "fixedTPM",
        "fixedParent",
        "sensitiveDataOrigin",
        "userWithAuth",
        "decrypt",
    ] {
        assert!(attributes.contains(&wanted), "{attributes:?}");
    }
    assert!(!attributes.contains(&"restricted"), "{attributes:?}");
    assert_eq!(statement["vouched"]["name"], ak.name.as_str());
    assert_eq!(statement["attestation"]["extraData"], "00ff55aa");
    assert_eq!(statement["place"], Value::Null);
    let stands_on = statement["standsOn"].as_str().unwrap();
    assert!(stands_on.contains("tpm2_activatecredential"), "{stands_on}");

    // For people, the same; and with the parents, where it is.
    let with_parents = [
        &key.arguments()[..],
        &ak.arguments(),
        &["--tpm-parent", text(&site.storage_root)],
        &["--tpm-parent", text(&site.endorsement)],
    ]
    .concat();
    let ran = site.attest_in_words(&with_parents);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let said = ran.text();
    for wanted in [
        "made in this TPM, and cannot leave it",
        "in the owner hierarchy",
        "That was not done here",
        "fixedTPM, fixedParent",
    ] {
        assert!(said.contains(wanted), "{wanted}: {said}");
    }
    let place = site.attest(&with_parents).json()["statement"].clone();
    assert_eq!(place["place"]["hierarchy"], "owner");
    assert_eq!(place["attestationKeyPlace"]["hierarchy"], "endorsement");
    assert_eq!(place["place"]["above"].as_array().unwrap().len(), 1);
}

#[test]
fn every_scheme_of_the_attestation_key_is_verified() {
    let site = site();
    let [p256, p384, rsassa, rsapss] = &site.attestation_keys;
    for (ak, wanted) in [
        (p256, "ECDSA with SHA-256"),
        (p384, "ECDSA with SHA-384"),
        (rsassa, "RSA PKCS#1 v1.5 with SHA-256"),
        (rsapss, "RSA-PSS with SHA-256"),
    ] {
        let attested = site.certify(&site.key, ak, wanted);
        let report = site
            .attest(&[&attested.arguments()[..], &ak.arguments()].concat())
            .json();
        assert_eq!(report["statement"]["algorithm"], wanted);
        assert_eq!(report["statement"]["verdict"], "madeHere");
    }
}

#[test]
fn an_imported_key_is_called_imported_and_one_that_may_leave() {
    let site = site();
    let ak = &site.attestation_keys[0];
    let report = site
        .attest(&[&site.imported.arguments()[..], &ak.arguments()].concat())
        .json();
    assert_eq!(report["verified"], true);
    let statement = &report["statement"];
    assert_eq!(statement["verdict"], "importedDuplicable");
    let attributes = names(&statement["attributes"]);
    for missing in ["fixedTPM", "fixedParent", "sensitiveDataOrigin"] {
        assert!(!attributes.contains(&missing), "{attributes:?}");
    }
    let remarks = report["remarks"].to_string();
    for wanted in ["sensitiveDataOrigin is clear", "may be duplicated"] {
        assert!(remarks.contains(wanted), "{remarks}");
    }
}

#[test]
fn a_certificate_of_the_attestation_key_vouches_for_it_if_it_is_one_and_chains() {
    let site = site();
    let key = &site.key;
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path(), "authority");
    let other = Authority::new(folder.path(), "other");
    let ak = &site.attestation_keys[0];
    let good = authority.certify(&ak.pem, "extendedKeyUsage=2.23.133.8.3", "good");
    let with = |certificate: &Path, root: &Path| {
        let arguments = [
            &key.arguments()[..],
            &["--certificates", text(certificate), "--root", text(root)],
        ]
        .concat();
        site.attest(&arguments)
    };
    let report = with(&good, &authority.certificate).json();
    assert_eq!(report["verified"], true);
    assert_eq!(report["statement"]["vouched"]["certificate"], "CN=good");
    assert_eq!(report["root"].as_str().unwrap().len(), 64);
    assert!(
        report["statement"]["standsOn"]
            .as_str()
            .unwrap()
            .contains("issuer")
    );

    let plain = authority.certify(&ak.pem, "extendedKeyUsage=clientAuth", "plain");
    let wrong = authority.certify(
        &site.attestation_keys[1].pem,
        "extendedKeyUsage=2.23.133.8.3",
        "wrong",
    );
    for (certificate, root, wanted) in [
        (&good, &other.certificate, "does not chain to the root"),
        (&plain, &authority.certificate, "2.23.133.8.3"),
        (&wrong, &authority.certificate, "does not verify"),
    ] {
        let ran = with(certificate, root);
        assert_eq!(ran.code, 1, "{}", ran.stderr);
        let message = ran.error()["message"].as_str().unwrap().to_owned();
        assert!(message.contains(wanted), "{wanted}: {message}");
    }
}

#[test]
fn what_does_not_fit_is_refused_by_name() {
    let site = site();
    let (key, imported) = (&site.key, &site.imported);
    let ak = &site.attestation_keys[0];
    let refused = |attested: &Attested, more: &[&str], code: &str, wanted: &str| {
        let found = refusal(site, &[&attested.arguments()[..], more].concat());
        assert_eq!(found.0, code, "{found:?}");
        assert!(found.1.contains(wanted), "{wanted}: {found:?}");
    };
    let not = "attestation_not_verified";

    // The attestation of the other key, for the fingerprint of this one.
    let crossed = Attested {
        fingerprint: key.fingerprint.clone(),
        ..imported.clone()
    };
    refused(
        &crossed,
        &ak.arguments(),
        "attestation_of_another_key",
        &imported.fingerprint,
    );
    let crossed = Attested {
        public: imported.public.clone(),
        ..key.clone()
    };
    refused(&crossed, &ak.arguments(), not, "is of the object");
    let crossed = Attested {
        signature: imported.signature.clone(),
        ..key.clone()
    };
    refused(&crossed, &ak.arguments(), not, "does not verify");
    let crossed = Attested {
        attestation: key.signature.clone(),
        ..key.clone()
    };
    refused(&crossed, &ak.arguments(), not, "TPM_GENERATED");

    // Another name, another key, and what is no attestation key.
    let other = &site.attestation_keys[2];
    let renamed = ["--tpm-ak", text(&ak.public), "--tpm-ak-name", &other.name];
    refused(key, &renamed, not, "not the one that was named");
    refused(key, &other.arguments(), not, "does not belong");
    let free = &site.unrestricted;
    let attested = site.certify(key, free, "unrestricted");
    refused(&attested, &free.arguments(), not, "restricted is clear");

    let question = [&ak.arguments()[..], &["--tpm-qualification", "0102"]].concat();
    refused(key, &question, not, "00ff55aa");
    let stranger = [
        &ak.arguments()[..],
        &["--tpm-parent", text(&imported.public)],
    ]
    .concat();
    refused(key, &stranger, not, "above neither");
}

#[test]
fn an_attestation_without_anybody_who_vouches_is_a_mistake_of_usage() {
    let site = site();
    let ran = site.attest(&site.key.arguments());
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    assert_eq!(ran.error()["code"], "tpm_attestation_key");
    for (name, code) in [("xyz", "not_hexadecimal"), ("000b00", "tpm_name")] {
        let ak = &site.attestation_keys[0];
        let named = ["--tpm-ak", text(&ak.public), "--tpm-ak-name", name];
        let ran = site.attest(&[&site.key.arguments()[..], &named].concat());
        assert_eq!(ran.code, 2, "{}", ran.stderr);
        assert_eq!(ran.error()["code"], code);
    }
}

/// What docs/tpm.md tells: the secret comes back only where the attestation key with that name is, beside the endorsement key.
#[test]
fn the_name_that_is_trusted_is_the_one_that_credential_activation_is_about() {
    let site = site();
    let [ak, other, ..] = &site.attestation_keys;
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("secret"), b"known to the verifier").unwrap();
    // By the verifier, without a TPM: the endorsement key of the certificate, and the name.
    site.tool(
        "tpm2_makecredential",
        &[
            "--tcti=none",
            "--public",
            text(&site.endorsement),
            "--secret",
            text(&path("secret")),
            "--name",
            &ak.name,
            "--credential-blob",
            text(&path("blob")),
        ],
    );
    let activate = |ak: &site::AttestationKey, to: &Path| {
        let session = path("session");
        site.tool(
            "tpm2_startauthsession",
            &["--policy-session", "-S", text(&session)],
        );
        site.tool(
            "tpm2_policysecret",
            &["-S", text(&session), "-c", "endorsement"],
        );
        let authorization = format!("session:{}", session.display());
        let done = site.try_tool(
            "tpm2_activatecredential",
            &[
                "-c",
                text(&ak.context),
                "-C",
                text(&site.endorsement_context),
                "-i",
                text(&path("blob")),
                "-o",
                text(to),
                "-P",
                &authorization,
            ],
        );
        site.try_tool("tpm2_flushcontext", &[text(&session)]);
        done
    };
    assert!(activate(ak, &path("returned")));
    assert_eq!(
        std::fs::read(path("returned")).unwrap(),
        b"known to the verifier"
    );
    assert!(!activate(other, &path("not")));
}

/// An authority of OpenSSL's.
struct Authority {
    folder: std::path::PathBuf,
    certificate: std::path::PathBuf,
    key: std::path::PathBuf,
}

impl Authority {
    fn new(folder: &Path, name: &str) -> Self {
        let path = |end: &str| folder.join(format!("{name}.{end}"));
        let (certificate, key) = (path("pem"), path("key"));
        openssl(&[
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-subj",
            &format!("/CN={name}"),
            "-addext",
            "keyUsage=critical,keyCertSign",
            "-keyout",
            text(&key),
            "-out",
            text(&certificate),
        ]);
        Self {
            folder: folder.to_owned(),
            certificate,
            key,
        }
    }

    /// A certificate for a key that signs no request.
    fn certify(&self, public: &Path, extension: &str, name: &str) -> std::path::PathBuf {
        let path = |end: &str| self.folder.join(format!("{name}.{end}"));
        std::fs::write(
            path("ext"),
            format!("basicConstraints=critical,CA:FALSE\nkeyUsage=digitalSignature\n{extension}\n"),
        )
        .unwrap();
        openssl(&[
            "x509",
            "-new",
            "-force_pubkey",
            text(public),
            "-subj",
            &format!("/CN={name}"),
            "-CA",
            text(&self.certificate),
            "-CAkey",
            text(&self.key),
            "-set_serial",
            "7",
            "-days",
            "2",
            "-extfile",
            text(&path("ext")),
            "-out",
            text(&path("pem")),
        ]);
        path("pem")
    }
}
