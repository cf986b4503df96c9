//! The components of the bill, each as CycloneDX 1.6 has it.

use super::algorithm::Algorithm;
use crate::engine::api::KeyStatus;
use crate::evidence::bundle::ReportKey;
use crate::evidence::status::{FipsStatus, TokenEvidence};
use crate::evidence::tls::{TlsAlgorithm, TlsEvidence};
use fips::policy::{Performer, Service, Standing};
use serde_json::{Map, Value, json};

/// A `bom-ref`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reference(pub(super) String);

pub(super) fn program_reference() -> Reference {
    Reference(format!(
        "{}@{}",
        env!("CARGO_PKG_NAME"),
        env!("CARGO_PKG_VERSION")
    ))
}

pub(super) fn program() -> Value {
    json!({
        "type": "application",
        "bom-ref": program_reference().0,
        "name": env!("CARGO_PKG_NAME"),
        "version": env!("CARGO_PKG_VERSION"),
        "description": env!("CARGO_PKG_DESCRIPTION"),
    })
}

/// The version at the end of what the module of this program says of itself.
fn module_version() -> &'static str {
    fips::EXPECTED_VERSION
        .rsplit(' ')
        .next()
        .unwrap_or_default()
}

/// The same reference as in the bill of materials of the packages.
pub(super) fn module_reference() -> Reference {
    Reference(format!(
        "pkg:github/aws/aws-lc@AWS-LC-FIPS-{}",
        module_version()
    ))
}

pub(super) fn module(status: &FipsStatus) -> Value {
    let module = &status.module;
    json!({
        "type": "library",
        "bom-ref": module_reference().0,
        "name": "AWS-LC FIPS",
        "version": module_version(),
        "purl": module_reference().0,
        "description": "the cryptographic module, the only cryptographic library of the program",
        "properties": properties([
            ("says-of-itself", module.version.clone()),
            ("cmvp-certificate-of-the-source", module.certificate.clone()),
            ("linkage", module.linkage.clone()),
            ("source-matches-pinned", status.build.matches_pinned.to_string()),
            ("claim", status.claim.module_version.level.to_string()),
            ("environment", status.environment.says.clone()),
        ]),
    })
}

pub(super) fn token_reference(token: &TokenEvidence) -> Reference {
    Reference(format!("token:{}/{}", token.label, token.serial))
}

pub(super) fn token(token: &TokenEvidence) -> Value {
    let stated = token.stated_certificate.as_deref();
    json!({
        "type": "device",
        "bom-ref": token_reference(token).0,
        "name": token.label,
        "version": token.firmware_version,
        "description": "the token behind PKCS#11, as it describes itself",
        "properties": properties([
            ("manufacturer", token.manufacturer.clone()),
            ("model", token.model.clone()),
            ("serial", token.serial.clone()),
            ("hardware-version", token.hardware_version.clone()),
            ("library", format!("{} {}", token.library, token.library_version)),
            (
                "cmvp-certificate-as-the-operator-states",
                stated.unwrap_or("none is stated: not a validated token").to_owned(),
            ),
        ]),
    })
}

/// The reference of an algorithm of a service.
fn algorithm_reference(service: Service, name: &str) -> String {
    format!("crypto:{}/{name}", service.name())
}

pub(super) fn algorithm(service: Service, algorithm: &Algorithm, token_is_open: bool) -> Value {
    let entry = service.entry();
    let mut parts = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            parts.insert(name.to_owned(), value);
        }
    };
    put("primitive", Some(json!(algorithm.primitive)));
    put(
        "parameterSetIdentifier",
        algorithm.parameters.map(Value::from),
    );
    put("curve", algorithm.curve.map(Value::from));
    put("mode", algorithm.mode.map(Value::from));
    put("padding", algorithm.padding.map(Value::from));
    put("cryptoFunctions", Some(json!(algorithm.functions)));
    put(
        "nistQuantumSecurityLevel",
        algorithm.quantum.map(Value::from),
    );
    let (environment, certification) = match entry.performer {
        // A source that a certificate names, built by us: none of the levels that CycloneDX knows says that.
        Performer::Module if entry.standing.is_approved() => ("software-plain-ram", "other"),
        Performer::Module | Performer::Program => ("software-plain-ram", "none"),
        Performer::Token if token_is_open => ("other", "unknown"),
        Performer::Token => ("unknown", "unknown"),
    };
    put("executionEnvironment", Some(json!(environment)));
    put(
        "implementationPlatform",
        Some(json!(platform(entry.performer))),
    );
    put("certificationLevel", Some(json!([certification])));

    let (standing, reason, exception) = match entry.standing {
        Standing::Approved => ("approved", "", ""),
        Standing::NotApproved { reason, exception } => ("not-approved", reason, exception.name()),
        Standing::OffOnly { reason } => ("not-approved", reason, ""),
    };
    let mut crypto = json!({ "assetType": "algorithm", "algorithmProperties": parts });
    if let (Some(oid), Some(crypto)) = (algorithm.oid, crypto.as_object_mut()) {
        crypto.insert("oid".to_owned(), json!(oid));
    }
    json!({
        "type": "cryptographic-asset",
        "bom-ref": algorithm_reference(service, algorithm.name),
        "name": algorithm.name,
        "description": entry.operation,
        "cryptoProperties": crypto,
        "properties": properties([
            ("service", entry.name.to_owned()),
            ("performer", entry.performer.name().to_owned()),
            ("standing", standing.to_owned()),
            ("reason", reason.to_owned()),
            ("exception", exception.to_owned()),
            ("parameters", entry.parameters.to_owned()),
            ("source", entry.source.to_owned()),
        ]),
    })
}

fn platform(performer: Performer) -> &'static str {
    match (performer, std::env::consts::ARCH) {
        (Performer::Token, _) => "unknown",
        (_, "x86_64") => "x86_64",
        (_, "aarch64") => "armv8-a",
        _ => "other",
    }
}

/// TLS 1.2 and 1.3 with what every configuration offers.
pub(super) fn tls_protocols(tls: &TlsEvidence) -> Vec<Value> {
    let entry = Service::Tls.entry();
    let protocol = |version: &str, suites: Vec<&TlsAlgorithm>| {
        let suites: Vec<Value> = suites
            .into_iter()
            .map(|suite| json!({ "name": suite.name }))
            .collect();
        json!({
            "type": "cryptographic-asset",
            "bom-ref": format!("crypto:tls/TLS-{version}"),
            "name": format!("TLS {version}"),
            "version": version,
            "description": entry.operation,
            "cryptoProperties": {
                "assetType": "protocol",
                "protocolProperties": { "type": "tls", "version": version, "cipherSuites": suites },
            },
            "properties": properties([
                ("service", entry.name.to_owned()),
                ("performer", entry.performer.name().to_owned()),
                ("standing", "approved".to_owned()),
                ("parameters", entry.parameters.to_owned()),
                ("source", entry.source.to_owned()),
            ]),
        })
    };
    let of_13 = |suite: &&TlsAlgorithm| !suite.name.contains("_WITH_");
    vec![
        protocol(
            "1.2",
            tls.cipher_suites
                .iter()
                .filter(|suite| !of_13(suite))
                .collect(),
        ),
        protocol("1.3", tls.cipher_suites.iter().filter(of_13).collect()),
    ]
}

/// The key exchange of TLS.
pub(super) fn tls_groups(tls: &TlsEvidence) -> Vec<Value> {
    tls.groups
        .iter()
        .map(|group| {
            let post_quantum = group.name.contains("MLKEM");
            json!({
                "type": "cryptographic-asset",
                "bom-ref": format!("crypto:tls/{}", group.name),
                "name": group.name,
                "description": "key exchange of TLS",
                "cryptoProperties": {
                    "assetType": "algorithm",
                    "algorithmProperties": {
                        "primitive": if post_quantum { "combiner" } else { "key-agree" },
                        "cryptoFunctions": ["keygen", "other"],
                        // ML-KEM-768 is of category 3; what is on curves alone, of none.
                        "nistQuantumSecurityLevel": if post_quantum { 3 } else { 0 },
                        "executionEnvironment": "software-plain-ram",
                        "implementationPlatform": platform(Performer::Module),
                        "certificationLevel": ["other"],
                    },
                },
                "properties": properties([
                    ("service", Service::Tls.name().to_owned()),
                    ("performer", Performer::Module.name().to_owned()),
                    ("standing", if group.fips { "approved" } else { "not-approved" }.to_owned()),
                    ("declared", group.declared.clone().unwrap_or_default()),
                ]),
            })
        })
        .collect()
}

/// A custody key. Its public half is known by its digest; nothing of the private half is.
pub(super) fn key(key: &KeyStatus) -> Value {
    let usable = key.problems.is_empty();
    json!({
        "type": "cryptographic-asset",
        "bom-ref": format!("key:{}", key.fingerprint),
        "name": key.label,
        "description": "custody key: decrypts imported passwords",
        "cryptoProperties": {
            "assetType": "related-crypto-material",
            "relatedCryptoMaterialProperties": {
                "type": "private-key",
                "id": key.fingerprint,
                "state": if usable { "active" } else { "suspended" },
                "size": key.modulus_bits,
                "algorithmRef": algorithm_reference(Service::TokenOaepDecrypt, "RSAES-OAEP"),
                "securedBy": { "mechanism": "PKCS#11 token" },
            },
        },
        "properties": properties([("refused-because", key.problems.join("; "))]),
    })
}

/// The key that signs the bundle.
pub(super) fn report_key(key: &ReportKey) -> Value {
    let service = if key.place == "token" {
        Service::TokenSignature
    } else {
        Service::SignatureGeneration
    };
    let name = match key.algorithm {
        "ecdsa-p256-sha256" => "ECDSA-P256-SHA256",
        "ecdsa-p384-sha384" => "ECDSA-P384-SHA384",
        "ecdsa-p521-sha512" => "ECDSA-P521-SHA512",
        _ => "RSASSA-PSS",
    };
    let mechanism = if key.place == "token" {
        "PKCS#11 token"
    } else {
        "file that only its owner may read"
    };
    json!({
        "type": "cryptographic-asset",
        "bom-ref": format!("key:{}", key.fingerprint),
        "name": key.label.as_deref().unwrap_or("report key"),
        "description": "report key: signs evidence bundles",
        "cryptoProperties": {
            "assetType": "related-crypto-material",
            "relatedCryptoMaterialProperties": {
                "type": "private-key",
                "id": key.fingerprint,
                "state": "active",
                "algorithmRef": algorithm_reference(service, name),
                "securedBy": { "mechanism": mechanism },
            },
        },
    })
}

/// Facts for which CycloneDX has no field. What is empty is left out.
fn properties<const N: usize>(facts: [(&str, String); N]) -> Vec<Value> {
    facts
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| json!({ "name": format!("pfx-connector:{name}"), "value": value }))
        .collect()
}
