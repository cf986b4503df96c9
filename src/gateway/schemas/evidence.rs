//! The schema of [`crate::evidence::process::ProcessEvidence`], which the administrators' status carries.

use super::{boolean, list, number, object, one_of, text};
use serde_json::{Value, json};

fn or_null(schema: Value) -> Value {
    json!({"oneOf": [schema, {"type": "null"}]})
}

/// What the gateway's process says of its cryptography.
pub(super) fn process() -> Value {
    object(&[
        ("process", true, text()),
        ("version", true, text()),
        ("since", true, text()),
        ("mode", true, one_of(&["strict", "off"])),
        ("exceptions", true, list(text())),
        ("systemSetting", true, text()),
        ("module", true, module()),
        ("policyTable", true, number()),
        ("services", true, list(service())),
        ("notApproved", true, number()),
        ("tls", true, or_null(tls())),
        ("memory", true, or_null(memory())),
        ("environment", true, or_null(environment())),
        ("fault", true, or_null(fault())),
    ])
}

fn module() -> Value {
    object(&[
        ("version", true, text()),
        ("certificate", true, text()),
        ("staticBuild", true, boolean()),
        ("sourceSha256", true, or_null(text())),
        ("sourceMatchesPinned", true, boolean()),
        ("selfTest", true, or_null(self_test())),
    ])
}

fn self_test() -> Value {
    object(&[
        ("integrityPassed", true, boolean()),
        ("knownAnswersPassed", true, boolean()),
        ("at", true, super::time()),
        ("tookUs", true, number()),
    ])
}

fn service() -> Value {
    object(&[
        ("name", true, text()),
        ("approved", true, boolean()),
        ("performer", true, one_of(&["module", "token", "program"])),
        ("done", true, number()),
        ("failed", true, number()),
        ("refused", true, number()),
        ("disagreed", true, number()),
    ])
}

fn memory() -> Value {
    object(&[
        ("reservedBytes", true, number()),
        ("lockedBytes", true, number()),
        ("hiddenBytes", true, number()),
        ("lockLimitBytes", true, or_null(number())),
        ("inPoolNow", true, number()),
        ("inPool", true, number()),
        ("onHeapTooLong", true, number()),
        ("onHeapNoPlace", true, number()),
        ("problem", true, or_null(text())),
    ])
}

fn fault() -> Value {
    object(&[
        ("code", true, text()),
        ("message", true, text()),
        ("at", true, super::time()),
    ])
}

fn environment() -> Value {
    object(&[
        ("system", true, text()),
        ("systemVersion", true, text()),
        ("systemName", true, text()),
        ("processor", true, text()),
        ("architecture", true, text()),
        ("machine", true, text()),
        ("tested", true, or_null(text())),
        ("says", true, text()),
    ])
}

fn tls() -> Value {
    let algorithm = || {
        object(&[
            ("name", true, text()),
            ("fips", true, boolean()),
            ("declared", true, or_null(text())),
            ("served", true, number()),
        ])
    };
    let refusal = || object(&[("problem", true, text()), ("count", true, number())]);
    object(&[
        ("providerFips", true, boolean()),
        ("versions", true, list(text())),
        ("cipherSuites", true, list(algorithm())),
        ("groups", true, list(algorithm())),
        ("extendedMasterSecretRequired", true, boolean()),
        ("clientConfigurations", true, number()),
        ("serverConfigurations", true, number()),
        ("refusedConfigurations", true, number()),
        ("fullHandshakes", true, number()),
        ("resumedHandshakes", true, number()),
        ("tls12", true, number()),
        ("tls13", true, number()),
        ("refused", true, list(refusal())),
        ("failedCalls", true, list(refusal())),
    ])
}
