//! What cargo says about this workspace: its members and the packages that a build on this machine really uses.
#![allow(dead_code, reason = "shared by tests that each use a part of it")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// The answer of `cargo metadata`, restricted to this machine's platform.
pub(crate) struct Metadata {
    answer: Value,
    workspace: Workspace,
}

/// A workspace on this machine, and what cargo may do to answer for it.
struct Workspace {
    folder: PathBuf,
    freedom: &'static str,
}

/// One package of the resolved graph.
#[derive(Debug, Clone)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    /// Where the sources come from; `None` is a folder of this repository.
    pub(crate) source: Option<String>,
    pub(crate) manifest: PathBuf,
    /// The native library that its build script declares.
    pub(crate) links: Option<String>,
}

/// One package that is linked into a program.
#[derive(Debug, Clone)]
pub(crate) struct Linked {
    pub(crate) name: String,
    pub(crate) version: String,
    /// As its manifest says it.
    pub(crate) licence: String,
    /// Names and versions of the linked packages that it depends on directly.
    pub(crate) needs: BTreeSet<(String, String)>,
}

/// One direct dependency of a workspace member.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Dependency {
    pub(crate) member: String,
    pub(crate) name: String,
    /// Only for tests, benches and examples.
    pub(crate) dev: bool,
    /// The member's folder.
    pub(crate) folder: PathBuf,
}

/// Asks the cargo that runs this test. The versions are those of the lock file; sources for other platforms that no
/// build has fetched yet may be fetched now.
pub(crate) fn metadata() -> Metadata {
    metadata_of(Workspace {
        folder: env!("CARGO_MANIFEST_DIR").into(),
        freedom: "--locked",
    })
}

/// The same for a copy of the workspace whose manifests were changed: its lock file follows them, with nothing fetched.
pub(crate) fn metadata_of_copy(folder: &Path) -> Metadata {
    metadata_of(Workspace {
        folder: folder.to_path_buf(),
        freedom: "--offline",
    })
}

fn metadata_of(workspace: Workspace) -> Metadata {
    let version = workspace.cargo(&["-vV"]);
    let host = version
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .expect("cargo -vV names the host");
    let json = workspace.cargo(&[
        "metadata",
        workspace.freedom,
        "--format-version",
        "1",
        "--filter-platform",
        host,
    ]);
    Metadata {
        answer: serde_json::from_str(&json).unwrap(),
        workspace,
    }
}

impl Metadata {
    fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
        value[key].as_array().map_or(&[], Vec::as_slice)
    }

    fn text(value: &Value, key: &str) -> String {
        value[key]
            .as_str()
            .unwrap_or_else(|| panic!("{key} in {value}"))
            .to_owned()
    }

    fn members(&self) -> impl Iterator<Item = &Value> {
        let members = Self::list(&self.answer, "workspace_members");
        Self::list(&self.answer, "packages")
            .iter()
            .filter(|package| members.contains(&package["id"]))
    }

    /// The root file of every crate of the workspace: libraries, programs, tests, benches, build scripts.
    pub(crate) fn crate_roots(&self) -> Vec<PathBuf> {
        self.members()
            .flat_map(|member| Self::list(member, "targets"))
            .map(|target| Self::text(target, "src_path").into())
            .collect()
    }

    /// The cargo features that the members declare, as `member/feature`.
    pub(crate) fn features_of_members(&self) -> Vec<String> {
        self.members()
            .flat_map(|member| {
                let features = member["features"].as_object().unwrap();
                features
                    .keys()
                    .map(|feature| format!("{}/{feature}", Self::text(member, "name")))
                    .collect::<Vec<_>>()
            })
            .collect()
    }

    /// What the members name in their manifests, without each other.
    pub(crate) fn direct_dependencies(&self) -> BTreeSet<Dependency> {
        let names: BTreeSet<String> = self
            .members()
            .map(|member| Self::text(member, "name"))
            .collect();
        self.members()
            .flat_map(|member| {
                Self::list(member, "dependencies")
                    .iter()
                    .map(|dependency| Dependency {
                        member: Self::text(member, "name"),
                        name: Self::text(dependency, "name"),
                        dev: dependency["kind"] == "dev",
                        folder: PathBuf::from(Self::text(member, "manifest_path"))
                            .parent()
                            .unwrap()
                            .to_path_buf(),
                    })
            })
            .filter(|dependency| !names.contains(&dependency.name))
            .collect()
    }

    /// The packages that a build of the workspace on this machine uses, with `dev` also those of its tests and benches.
    /// What is in the lock file but switched off by features or platform is not among them.
    pub(crate) fn resolved(&self, dev: bool) -> Vec<Package> {
        self.packages_built(dev)
            .map(|package| Package {
                name: Self::text(package, "name"),
                version: Self::text(package, "version"),
                source: package["source"].as_str().map(str::to_owned),
                manifest: Self::text(package, "manifest_path").into(),
                links: package["links"].as_str().map(str::to_owned),
            })
            .collect()
    }

    /// The names of the packages that depend directly on `name` in the resolved graph.
    pub(crate) fn dependents(&self, name: &str) -> BTreeSet<String> {
        let names: BTreeMap<String, String> = self
            .packages_built(true)
            .map(|package| (Self::text(package, "id"), Self::text(package, "name")))
            .collect();
        let name_of = |value: &Value, key: &str| names.get(&Self::text(value, key)).cloned();
        Self::list(&self.answer["resolve"], "nodes")
            .iter()
            .filter(|node| {
                Self::list(node, "deps")
                    .iter()
                    .any(|dep| name_of(dep, "pkg").as_deref() == Some(name))
            })
            .filter_map(|node| name_of(node, "id"))
            .collect()
    }

    /// What is linked into the program for `target`: no tests, no build scripts, no macros, no other platforms. The program
    /// itself is the first.
    pub(crate) fn linked(&self, program: &str, target: &str) -> Vec<Linked> {
        let tree = self.workspace.cargo(&[
            "tree",
            self.workspace.freedom,
            "--package",
            program,
            "--edges",
            "normal,no-proc-macro",
            "--target",
            target,
            "--prefix",
            "depth",
            "--format",
            "|{p}|{l}",
        ]);
        let mut linked: Vec<Linked> = Vec::new();
        // Places in `linked` of the packages on the way from the program to this line.
        let mut way: Vec<usize> = Vec::new();
        for line in tree.lines() {
            let parts: Vec<_> = line.split('|').collect();
            let [depth, package, licence] = parts[..] else {
                panic!("not understood in the answer of cargo tree: {line}");
            };
            let mut words = package.split(' ');
            let (name, version) = (words.next().unwrap(), words.next().unwrap());
            let found = Linked {
                name: name.to_owned(),
                version: version.strip_prefix('v').unwrap().to_owned(),
                // A star says that what it needs was listed before.
                licence: licence.trim_end_matches(" (*)").to_owned(),
                needs: BTreeSet::new(),
            };
            let known = linked
                .iter()
                .position(|known| (&known.name, &known.version) == (&found.name, &found.version));
            way.truncate(depth.parse().unwrap());
            if let Some(&parent) = way.last() {
                linked[parent]
                    .needs
                    .insert((found.name.clone(), found.version.clone()));
            }
            way.push(known.unwrap_or(linked.len()));
            if known.is_none() {
                linked.push(found);
            }
        }
        linked
    }

    /// Names and versions of what cargo builds. The graph in cargo's metadata is too wide: it also holds optional
    /// packages that only a feature nobody asked for would need.
    fn built(&self, dev: bool) -> BTreeSet<(String, String)> {
        let edges = if dev {
            "normal,build,dev"
        } else {
            "normal,build"
        };
        let tree = self.workspace.cargo(&[
            "tree",
            self.workspace.freedom,
            "--workspace",
            "--prefix",
            "none",
            "--edges",
            edges,
        ]);
        let mut built = BTreeSet::new();
        for line in tree.lines().filter(|line| !line.is_empty()) {
            let mut words = line.split(' ');
            let (Some(name), Some(version)) = (
                words.next(),
                words.next().and_then(|word| word.strip_prefix('v')),
            ) else {
                panic!("not understood in the answer of cargo tree: {line}");
            };
            built.insert((name.to_owned(), version.to_owned()));
        }
        assert!(built.len() > 50, "cargo tree lists next to nothing: {tree}");
        built
    }

    fn packages_built(&self, dev: bool) -> impl Iterator<Item = &Value> {
        let built = self.built(dev);
        Self::list(&self.answer, "packages")
            .iter()
            .filter(move |package| {
                built.contains(&(Self::text(package, "name"), Self::text(package, "version")))
            })
    }
}

impl Workspace {
    fn cargo(&self, arguments: &[&str]) -> String {
        let program = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
        let output = Command::new(program)
            .args(arguments)
            .current_dir(&self.folder)
            .output()
            .unwrap_or_else(|error| panic!("this test needs cargo: {error}"));
        assert!(
            output.status.success(),
            "cargo {arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    }
}
