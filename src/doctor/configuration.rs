//! What the file itself says.

use super::catalogue::{
    CONFIGURATION_EXCEPTION, CONFIGURATION_FILE, CONFIGURATION_PKCS1, CONFIGURATION_VALUES,
};
use super::finding::Finding;
use crate::clock::{Clock, SystemClock};
use crate::config::{Config, EngineConfig, EngineException, Pkcs1KeyConfig};
use crate::engine::api::PKCS1_WARN_DAYS;
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
    if let (Some(engine), Some(connector)) = (&config.engine, &config.connector)
        && let Some(problem) = engine.restart.too_little_time(connector.engine_timeout_ms)
    {
        findings.push(
            CONFIGURATION_VALUES
                .warning("connector.engine_timeout_ms", problem)
                .code("engine_timeout_short")
                .remedy("raise `connector.engine_timeout_ms`, or lower `engine.restart.call_limit_ms` as far as the token's slowest call allows"),
        );
    }
    if let Some(engine) = &config.engine {
        let exceptions = engine.exceptions.iter();
        findings.extend(exceptions.map(|exception| excepted(*exception, engine)));
    }
    let keys = config.engine.iter().flat_map(|engine| &engine.pkcs1_keys);
    findings.extend(keys.map(|key| pkcs1_key(key, SystemClock.now_ms())));
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

fn pkcs1_key(key: &Pkcs1KeyConfig, now_ms: i64) -> Finding {
    let (name, until) = (key.fingerprint.to_string(), &key.until);
    match key.until.days_left(now_ms) {
        None => CONFIGURATION_PKCS1.warning(
            name,
            format!("decrypted PKCS#1 v1.5 until {until}, which is over: records with that padding are refused"),
        ),
        Some(days) if days <= PKCS1_WARN_DAYS => CONFIGURATION_PKCS1.warning(
            name,
            format!("decrypts PKCS#1 v1.5 until {until}: {days} days are left"),
        ),
        Some(days) => CONFIGURATION_PKCS1.note(
            name,
            format!("decrypts PKCS#1 v1.5, the padding of old imports, until {until}: {days} days are left"),
        ),
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;
    use crate::clock::parse_rfc3339;
    use crate::doctor::finding::Severity;

    #[test]
    fn a_key_for_pkcs1_is_noted_and_warned_of_from_thirty_days_before_its_end() {
        let key = Pkcs1KeyConfig {
            fingerprint: hsm::KeyFingerprint::from_bytes([1; 32]),
            until: "2027-03-31".parse().unwrap(),
        };
        for (day, severity, text) in [
            ("2027-02-28", Severity::Note, "31 days are left"),
            ("2027-03-01", Severity::Warning, "30 days are left"),
            ("2027-03-31", Severity::Warning, "0 days are left"),
            ("2027-04-01", Severity::Warning, "is over"),
        ] {
            let now = parse_rfc3339(&format!("{day}T12:00:00Z")).unwrap();
            let finding = pkcs1_key(&key, now);
            assert_eq!(finding.severity, severity, "{day}");
            assert!(finding.found.contains(text), "{}", finding.found);
        }
    }
}
