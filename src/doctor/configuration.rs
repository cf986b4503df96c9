//! What the file itself says.

use super::catalogue::{CONFIGURATION_EXCEPTION, CONFIGURATION_FILE, CONFIGURATION_VALUES};
use super::finding::Finding;
use crate::config::{Config, EngineConfig, EngineException};
use std::os::unix::fs::MetadataExt;

/// Looks at a file that was read: unknown keys and wrong types have been refused before.
#[must_use]
pub fn examine(config: &Config) -> Vec<Finding> {
    let mut findings = vec![file(config)];
    let problems = config.inconsistencies();
    if problems.is_empty() {
        findings.push(CONFIGURATION_VALUES.ok("", "no value contradicts another"));
    }
    for problem in problems {
        findings.push(
            CONFIGURATION_VALUES
                .error("", problem.to_string())
                .code("config_invalid"),
        );
    }
    if let Some(engine) = &config.engine {
        let exceptions = engine.exceptions.iter();
        findings.extend(exceptions.map(|exception| excepted(*exception, engine)));
    }
    findings
}

fn file(config: &Config) -> Finding {
    let path = config.file.display().to_string();
    let sections: Vec<&str> = [
        ("engine", config.engine.is_some()),
        ("connector", config.connector.is_some()),
        ("gateway", config.gateway.is_some()),
        ("import", config.import.is_some()),
    ]
    .into_iter()
    .filter(|(_, there)| *there)
    .map(|(name, _)| name)
    .collect();
    if sections.is_empty() {
        return CONFIGURATION_FILE
            .warning(
                path,
                "has none of the sections [engine], [connector], [gateway] and [import]: there is nothing to run with it",
            )
            .remedy("`pfx-connector config example` prints a whole file");
    }
    let sections = sections.join(", ");
    match std::fs::metadata(&config.file) {
        Err(error) => CONFIGURATION_FILE.error(path, format!("cannot be looked at: {error}")),
        Ok(found) => {
            let mode = found.mode() & 0o7777;
            let ours = [0, rustix::process::geteuid().as_raw()].contains(&found.uid());
            if mode & 0o022 != 0 {
                CONFIGURATION_FILE.warning(
                    path,
                    format!("others than its owner may change it (mode {mode:04o}): it names the module that is loaded and those who are trusted"),
                )
            } else if !ours {
                CONFIGURATION_FILE.warning(
                    path,
                    format!(
                        "belongs to user {}, who may change whom we trust",
                        found.uid()
                    ),
                )
            } else {
                CONFIGURATION_FILE.ok(path, format!("read; sections: {sections}"))
            }
        }
    }
}

fn excepted(exception: EngineException, engine: &EngineConfig) -> Finding {
    let name = exception.name();
    match exception {
        EngineException::ExtractableKeys => CONFIGURATION_EXCEPTION.warning(
            name,
            "keys that can leave the token are used: for development only",
        ),
        EngineException::NoDeviceAnchors => CONFIGURATION_EXCEPTION.note(
            name,
            "whoever controls the service can have passwords encrypted to a key of their own",
        ),
        EngineException::UnsignedRecords => CONFIGURATION_EXCEPTION.note(
            name,
            "whoever controls the service can mix users, PFX files and passwords",
        ),
        EngineException::NoReceipts => CONFIGURATION_EXCEPTION.warning(
            name,
            "uses of the key are not recorded: nobody can say afterwards what was decrypted",
        ),
        EngineException::CoLocatedCa => {
            let names: Vec<_> = engine.ca.iter().map(|ca| ca.name.as_str()).collect();
            CONFIGURATION_EXCEPTION.warning(
                name,
                format!(
                    "keys of certification authorities ({}) are used on the connector's own host: whoever takes it over can have issued what \
                     their profiles allow, and hold revocations back",
                    names.join(", ")
                ),
            )
        }
        EngineException::CmsDesEde3 => CONFIGURATION_EXCEPTION.note(
            name,
            "Triple DES and RSA PKCS#1 v1.5 may be asked for: for devices that know nothing newer",
        ),
    }
}
