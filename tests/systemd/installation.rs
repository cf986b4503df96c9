//! `make install` into a folder, and the users and folders that systemd's tools make of what it puts there.

use super::*;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

fn make(target: &str, root: &Path, prefix: &str) -> Output {
    run("make", |command| {
        command
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .args(["--no-print-directory", target])
            .arg(format!("DESTDIR={}", root.display()))
            .arg(format!("PREFIX={prefix}"))
            .arg(format!("PROGRAM={}", env!("CARGO_BIN_EXE_pfx-connector")));
    })
}

/// Every file below a folder, as a path from there.
fn tree(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                found.push(path.strip_prefix(folder).unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

#[test]
fn what_is_installed_belongs_together_wherever_it_is_put() {
    let root = tempfile::tempdir().unwrap();
    let made = make("install", root.path(), "/opt/pfx");
    assert!(made.status.success(), "{}", text(&made));
    let at = |path: &str| root.path().join("opt/pfx").join(path);
    for (path, mode) in [
        ("bin/pfx-connector", 0o755),
        ("lib/systemd/system/pfx-connector.service", 0o644),
        ("lib/systemd/system/pfx-connector-engine.service", 0o644),
        ("lib/systemd/system/pfx-connector-gateway.service", 0o644),
        ("lib/sysusers.d/pfx-connector.conf", 0o644),
        ("lib/tmpfiles.d/pfx-connector.conf", 0o644),
        ("share/pfx-connector/systemd-profiles/tpm2.conf", 0o644),
        ("share/doc/pfx-connector/deployment.md", 0o644),
        ("share/doc/pfx-connector/fips/README.md", 0o644),
        ("share/doc/pfx-connector/SECURITY.md", 0o644),
    ] {
        let found = fs::metadata(at(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
        assert_eq!(found.permissions().mode() & 0o7777, mode, "{path}");
    }
    for unit in files("units") {
        let installed = fs::read_to_string(at("lib/systemd/system").join(name(&unit))).unwrap();
        let line = |key: &str| {
            let found = installed.lines().find(|line| line.starts_with(key));
            found.unwrap().to_owned()
        };
        assert!(line("ExecStart=").starts_with("ExecStart=/opt/pfx/bin/pfx-connector "));
        assert!(line("ExecPaths=").starts_with("ExecPaths=/opt/pfx/bin/pfx-connector "));
        assert!(!installed.contains("/usr/bin/pfx-connector"));
        let document = line("Documentation=");
        let document = document.strip_prefix("Documentation=file:/").unwrap();
        assert!(root.path().join(document).is_file(), "{document}");
    }
    // Nothing is put anywhere else, and nothing of it is left afterwards.
    let outside: Vec<_> = tree(root.path())
        .into_iter()
        .filter(|path| !path.starts_with("opt/pfx"))
        .collect();
    assert!(outside.is_empty(), "{outside:?}");
    let unmade = make("uninstall", root.path(), "/opt/pfx");
    assert!(unmade.status.success(), "{}", text(&unmade));
    assert!(tree(root.path()).is_empty());
}

#[test]
fn nothing_is_installed_when_there_is_no_program_or_no_place() {
    let root = tempfile::tempdir().unwrap();
    let refused = run("make", |command| {
        command
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .args([
                "--no-print-directory",
                "install",
                "PROGRAM=/nowhere/program",
            ])
            .arg(format!("DESTDIR={}", root.path().display()));
    });
    assert!(!refused.status.success());
    assert!(
        text(&refused).contains("build it first"),
        "{}",
        text(&refused)
    );
    let refused = make("install", root.path(), "usr");
    assert!(
        text(&refused).contains("absolute path"),
        "{}",
        text(&refused)
    );
    assert!(tree(root.path()).is_empty());
}

#[test]
fn systemd_makes_the_users_and_the_folders_with_their_modes() {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("etc")).unwrap();
    let option = format!("--root={}", root.path().display());
    let made = run("systemd-sysusers", |command| {
        command.arg(&option).arg(packaging().join("sysusers.conf"));
    });
    assert!(made.status.success(), "{}", text(&made));
    let passwd = fs::read_to_string(root.path().join("etc/passwd")).unwrap();
    let group = fs::read_to_string(root.path().join("etc/group")).unwrap();
    let id_in = |file: &str, name: &str| -> u32 {
        let line = file
            .lines()
            .find(|line| line.starts_with(&format!("{name}:")));
        line.unwrap_or_else(|| panic!("{name}"))
            .split(':')
            .nth(2)
            .unwrap()
            .parse()
            .unwrap()
    };
    for user in ["pfx-engine", "pfx-connector", "pfx-gateway"] {
        assert_ne!(id_in(&passwd, user), 0);
        let line = passwd
            .lines()
            .find(|line| line.starts_with(&format!("{user}:")));
        assert!(line.unwrap().ends_with("nologin"), "{line:?}");
    }
    let callers = group.lines().find(|line| line.starts_with("pfx-callers:"));
    let members: Vec<_> = callers
        .unwrap()
        .rsplit(':')
        .next()
        .unwrap()
        .split(',')
        .collect();
    assert_eq!(members, ["pfx-connector", "pfx-engine"]);
    if !rustix::process::geteuid().is_root() {
        // Only root can give folders to others.
        return;
    }
    let loose = root.path().join("etc/pfx-engine");
    fs::create_dir(&loose).unwrap();
    fs::write(loose.join("engine.toml"), "[engine]\n").unwrap();
    fs::set_permissions(&loose, fs::Permissions::from_mode(0o777)).unwrap();
    fs::set_permissions(loose.join("engine.toml"), fs::Permissions::from_mode(0o666)).unwrap();
    let made = run("systemd-tmpfiles", |command| {
        command
            .arg("--create")
            .arg(&option)
            .arg(packaging().join("tmpfiles.conf"));
    });
    assert!(made.status.success(), "{}", text(&made));
    for user in ["pfx-engine", "pfx-connector", "pfx-gateway"] {
        let found = fs::metadata(root.path().join("etc").join(user)).unwrap();
        let expected = (0o750, 0, id_in(&group, user));
        assert_eq!((found.mode() & 0o7777, found.uid(), found.gid()), expected);
    }
    let file = fs::metadata(loose.join("engine.toml")).unwrap();
    assert_eq!(file.mode() & 0o7777, 0o640);
    assert_eq!(file.gid(), id_in(&group, "pfx-engine"));
}
