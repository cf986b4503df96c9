//! The cryptographic bill of materials, in the form of CycloneDX 1.6 (ECMA-424): every algorithm of the policy table with who
//! performs it, TLS as a protocol, the module and the tokens that provide them, and the keys.
//!
//! It is made from the table that decides, and from what the processes and tokens report; it says nothing of its own.

mod algorithm;
mod algorithms;
mod component;

use super::bundle::ReportKey;
use super::status::FipsStatus;
use super::tls::TlsEvidence;
use component::{
    Reference, key, module, module_reference, program, program_reference, tls_groups,
    tls_protocols, token, token_reference,
};
use fips::policy::{Performer, Service};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Every asset by its reference, with who provides it.
type Assets = BTreeMap<String, (Option<Reference>, Value)>;

/// The bill of a running service: a CycloneDX 1.6 document. The same service has the same bill at every time; counts are not in it.
#[must_use]
pub fn cbom(status: &FipsStatus, report_key: Option<&ReportKey>) -> Value {
    let mut assets: Assets = BTreeMap::new();
    let mut add = |provider: Option<Reference>, component: Value| {
        let reference = component.get("bom-ref").and_then(Value::as_str);
        let reference = reference.unwrap_or_default().to_owned();
        assets.insert(reference, (provider, component));
    };
    for service in Service::ALL {
        let provider = provider_of(service, status);
        for algorithm in algorithms::of(service) {
            add(
                provider.clone(),
                component::algorithm(service, algorithm, !status.tokens.is_empty()),
            );
        }
    }
    let tls = TlsEvidence::of_this_process();
    for component in tls_protocols(&tls).into_iter().chain(tls_groups(&tls)) {
        add(Some(module_reference()), component);
    }
    let on_token = token_reference_of(status);
    for custody in &status.keys {
        add(on_token.clone(), key(custody));
    }
    if let Some(report_key) = report_key {
        let provider = if report_key.place == "token" {
            on_token
        } else {
            Some(program_reference())
        };
        add(provider, component::report_key(report_key));
    }

    let mut components = vec![module(status)];
    components.extend(status.tokens.iter().map(token));
    components.extend(assets.values().map(|(_, component)| component.clone()));
    json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": { "component": program() },
        "components": components,
        "dependencies": dependencies(status, &assets),
    })
}

/// Who performs a service: the module, the token that is open, or the program itself.
fn provider_of(service: Service, status: &FipsStatus) -> Option<Reference> {
    match service.entry().performer {
        Performer::Module => Some(module_reference()),
        Performer::Token => token_reference_of(status),
        Performer::Program => Some(program_reference()),
    }
}

/// The token that is open; where none is, nobody is known to provide what a token does.
fn token_reference_of(status: &FipsStatus) -> Option<Reference> {
    status.tokens.first().map(token_reference)
}

/// The program uses everything; each provider implements its part.
fn dependencies(status: &FipsStatus, assets: &Assets) -> Vec<Value> {
    let provided_by = |provider: &Reference| -> Vec<&String> {
        assets
            .iter()
            .filter(|(_, (by, _))| by.as_ref() == Some(provider))
            .map(|(reference, _)| reference)
            .collect()
    };
    let providers: Vec<Reference> = std::iter::once(module_reference())
        .chain(status.tokens.iter().map(token_reference))
        .collect();
    let own = program_reference();
    let uses: Vec<&String> = providers
        .iter()
        .map(|provider| &provider.0)
        .chain(assets.keys())
        .collect();
    let mut graph = vec![json!({ "ref": own.0, "dependsOn": uses, "provides": provided_by(&own) })];
    graph.extend(
        providers
            .iter()
            .map(|provider| json!({ "ref": provider.0, "provides": provided_by(provider) })),
    );
    graph
}
