//! The units as systemd's own tools judge them.

use super::*;
use std::collections::BTreeMap;
use std::fs;
use tempfile::TempDir;

/// The most exposure that `systemd-analyze security` may find, in tenths.
const MOST: &str = "15";

/// The units in a folder, with the program that was built in its place, and a drop-in of the engine's.
struct Units(TempDir);

impl Units {
    fn new(profile: Option<&Path>) -> Self {
        Self::changed(profile, |text| text)
    }

    fn changed(profile: Option<&Path>, change: impl Fn(String) -> String) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for unit in files("units") {
            let unit_text = change(fs::read_to_string(&unit).unwrap()).replace(
                "/usr/bin/pfx-connector",
                env!("CARGO_BIN_EXE_pfx-connector"),
            );
            fs::write(folder.path().join(name(&unit)), unit_text).unwrap();
        }
        if let Some(profile) = profile {
            let drop_ins = folder.path().join("pfx-connector-engine.service.d");
            fs::create_dir(&drop_ins).unwrap();
            fs::copy(profile, drop_ins.join(name(profile))).unwrap();
        }
        Self(folder)
    }

    fn analyze(&self, arguments: &[&str], unit: &str) -> Output {
        run("systemd-analyze", |command| {
            command.args(arguments).arg(self.0.path().join(unit));
        })
    }

    fn security(&self, unit: &str) -> Output {
        let threshold = format!("--threshold={MOST}");
        self.analyze(
            &["security", "--no-pager", "--offline=true", &threshold],
            unit,
        )
    }
}

fn units() -> Vec<String> {
    files("units").iter().map(|unit| name(unit)).collect()
}

#[test]
fn there_is_a_unit_for_each_service() {
    assert_eq!(
        units(),
        [
            "pfx-connector-engine.service",
            "pfx-connector-gateway.service",
            "pfx-connector.service"
        ]
    );
}

#[test]
fn every_unit_is_exposed_at_most_1_5() {
    let laid_out = Units::new(None);
    for unit in units() {
        let judged = laid_out.security(&unit);
        let said = text(&judged);
        assert!(judged.status.success(), "{unit}\n{said}");
        assert!(said.contains("Overall exposure level"), "{unit}\n{said}");
    }
}

#[test]
fn the_engine_stays_below_it_with_every_profile() {
    for profile in files("profiles") {
        let laid_out = Units::new(Some(&profile));
        let judged = laid_out.security("pfx-connector-engine.service");
        let said = text(&judged);
        assert!(judged.status.success(), "{profile:?}\n{said}");
        // The drop-in was looked at, and not only the unit.
        let without = text(&Units::new(None).security("pfx-connector-engine.service"));
        assert_ne!(said, without, "{profile:?}");
    }
}

#[test]
fn a_unit_that_lost_its_sandbox_would_be_found() {
    let open = Units::changed(None, |text| {
        text.lines()
            .filter(|line| {
                !["Protect", "Private", "SystemCall", "Restrict", "Capability"]
                    .iter()
                    .any(|prefix| line.starts_with(prefix))
            })
            .map(|line| format!("{line}\n"))
            .collect()
    });
    for unit in units() {
        assert!(!open.security(&unit).status.success(), "{unit}");
    }
}

/// What `systemd-analyze verify` says of a unit that is not about another unit, which this machine may not have.
fn complaints(laid_out: &Units, unit: &str) -> Vec<String> {
    let verified = laid_out.analyze(&["verify", "--man=no", "--recursive-errors=no"], unit);
    text(&verified)
        .lines()
        .filter(|line| line.contains("pfx-connector"))
        .filter(|line| !line.contains("pkcsslotd.service"))
        .map(ToOwned::to_owned)
        .collect()
}

#[test]
fn systemd_understands_every_line() {
    let laid_out = Units::new(None);
    for unit in units() {
        assert_eq!(complaints(&laid_out, &unit), [""; 0], "{unit}");
    }
    for profile in files("profiles") {
        let laid_out = Units::new(Some(&profile));
        let found = complaints(&laid_out, "pfx-connector-engine.service");
        assert_eq!(found, [""; 0], "{profile:?}");
    }
    let misspelt = Units::changed(None, |text| text.replace("ProtectHome=", "ProtectHouse="));
    for unit in units() {
        assert_ne!(complaints(&misspelt, &unit), [""; 0], "{unit}");
    }
}

/// The settings of a unit; of one that is given several times all values, with spaces between.
fn settings(unit: &str) -> BTreeMap<String, String> {
    let text = fs::read_to_string(packaging().join("units").join(unit)).unwrap();
    let mut settings: BTreeMap<String, String> = BTreeMap::new();
    for (key, value) in text.lines().filter_map(|line| line.split_once('=')) {
        if !key.starts_with('#') {
            let all = settings.entry(key.to_owned()).or_default();
            *all = format!("{all} {value}").trim().to_owned();
        }
    }
    settings
}

#[test]
fn no_service_can_gain_rights_write_code_or_dump_its_memory() {
    for unit in units() {
        let settings = settings(&unit);
        for (key, value) in [
            ("AmbientCapabilities", ""),
            ("CapabilityBoundingSet", ""),
            ("LimitCORE", "0"),
            ("LockPersonality", "yes"),
            ("MemoryDenyWriteExecute", "yes"),
            ("NoExecPaths", "/"),
            ("NoNewPrivileges", "yes"),
            ("PrivateDevices", "yes"),
            ("ProtectHome", "yes"),
            ("ProtectProc", "invisible"),
            ("ProtectSystem", "strict"),
            ("RestrictNamespaces", "yes"),
            ("RestrictSUIDSGID", "yes"),
            ("StateDirectoryMode", "0700"),
            ("SystemCallArchitectures", "native"),
            ("UMask", "0077"),
        ] {
            assert_eq!(settings.get(key).unwrap(), value, "{unit}: {key}");
        }
    }
}

#[test]
fn the_engine_has_no_network_and_may_do_what_its_parts_need() {
    let engine = settings("pfx-connector-engine.service");
    assert_eq!(engine["PrivateNetwork"], "yes");
    assert_eq!(engine["RestrictAddressFamilies"], "AF_UNIX");
    assert_eq!(engine["IPAddressDeny"], "any");
    assert_eq!(engine["LimitMEMLOCK"], "infinity");
    for call in ["landlock_restrict_self", "seccomp", "@system-service"] {
        assert!(engine["SystemCallFilter"].contains(call), "{call}");
    }
    // Callers would all be the same nobody.
    assert!(!engine.contains_key("PrivateUsers"));
    // A start must not forget which PIN was refused.
    assert_eq!(engine["RuntimeDirectoryPreserve"], "yes");
}

#[test]
fn every_service_is_watched_and_told_from_a_configuration_that_cannot_be_used() {
    for unit in units() {
        let settings = settings(&unit);
        assert_eq!(settings["Type"], "notify", "{unit}");
        assert_eq!(settings["NotifyAccess"], "main", "{unit}");
        assert!(settings["WatchdogSec"].ends_with('s'), "{unit}");
        assert_eq!(settings["Restart"], "on-failure", "{unit}");
        assert_eq!(settings["RestartPreventExitStatus"], "2", "{unit}");
    }
}

#[test]
fn each_service_has_a_user_and_folders_of_its_own() {
    let users = fs::read_to_string(packaging().join("sysusers.conf")).unwrap();
    let mut seen = Vec::new();
    for unit in units() {
        let settings = settings(&unit);
        let user = settings["User"].clone();
        assert!(users.contains(&format!("u {user} ")), "{user}");
        for folder in ["Configuration", "Runtime", "State"] {
            assert_eq!(settings[&format!("{folder}Directory")], user, "{unit}");
        }
        assert!(!seen.contains(&user), "{user}");
        seen.push(user);
    }
    // Only the group of callers is shared, and only by the two who need it.
    let groups: Vec<_> = users
        .lines()
        .filter(|line| line.starts_with("m "))
        .collect();
    assert_eq!(
        groups,
        ["m pfx-engine    pfx-callers", "m pfx-connector pfx-callers"]
    );
}
