//! What a PKCS#11 library needs of the system: told by the name of its file and by its configuration, before it is loaded.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::softhsm;

/// The kinds of libraries that are told apart by what they need of the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LibraryKind {
    /// SoftHSM 2.
    SoftHsm,
    /// Kryoptic.
    Kryoptic,
    /// NSS softoken.
    Nss,
    /// openCryptoki.
    OpenCryptoki,
    /// tpm2-pkcs11.
    Tpm2,
    /// Any other: taken for the client of an HSM in the network.
    Network,
}

impl LibraryKind {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::SoftHsm,
        Self::Kryoptic,
        Self::Nss,
        Self::OpenCryptoki,
        Self::Tpm2,
        Self::Network,
    ];

    /// Its name in a configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SoftHsm => "softhsm",
            Self::Kryoptic => "kryoptic",
            Self::Nss => "nss",
            Self::OpenCryptoki => "opencryptoki",
            Self::Tpm2 => "tpm2",
            Self::Network => "network",
        }
    }

    /// The kind of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The kind of the library at `module`, by the name of its file, which distributions do not change.
    #[must_use]
    pub fn of(module: &Path) -> Self {
        let name = module
            .file_name()
            .map(|name| name.to_string_lossy().to_lowercase())
            .unwrap_or_default();
        for (word, kind) in [
            ("softhsm", Self::SoftHsm),
            ("kryoptic", Self::Kryoptic),
            ("softokn3", Self::Nss),
            ("opencryptoki", Self::OpenCryptoki),
            ("pkcs11_api", Self::OpenCryptoki),
            ("tpm2_pkcs11", Self::Tpm2),
        ] {
            if name.contains(word) {
                return kind;
            }
        }
        Self::Network
    }
}

/// The paths that depend on a library's configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Footprint {
    /// Read.
    pub read: Vec<PathBuf>,
    /// Written: the token.
    pub write: Vec<PathBuf>,
    /// Whether it speaks TCP, which its kind does not as a rule (a software TPM).
    pub tcp: bool,
}

/// What a library of this kind needs with this environment and these parameters of C_Initialize. Where a variable that says it is missing,
/// what the library takes instead.
#[must_use]
pub fn footprint(
    kind: LibraryKind,
    environment: &BTreeMap<String, String>,
    init_parameters: Option<&str>,
) -> Footprint {
    let mut found = Footprint::default();
    let variable = |name: &str| environment.get(name).map(String::as_str);
    // Whatever it is for, the operator has named it to the library.
    found
        .read
        .extend(environment.values().filter_map(|value| absolute(value)));
    match kind {
        LibraryKind::SoftHsm => {
            let configuration = variable("SOFTHSM2_CONF").unwrap_or(softhsm::USUAL_CONFIGURATION);
            found.read.push(configuration.into());
            found
                .write
                .extend(softhsm::token_folder_of(Path::new(configuration)));
        }
        LibraryKind::Kryoptic => {
            if let Some(configuration) = variable("KRYOPTIC_CONF") {
                found.write.extend(databases(Path::new(configuration)));
            }
            found.write.extend(
                init_parameters
                    .and_then(|text| text.strip_prefix("kryoptic_conf="))
                    .into_iter()
                    .flat_map(|path| databases(Path::new(path))),
            );
        }
        LibraryKind::Nss => {
            found
                .write
                .extend(init_parameters.into_iter().flat_map(nss_folders));
        }
        LibraryKind::OpenCryptoki => {}
        // One that stands in front of another library: the variables say which.
        LibraryKind::Network => {
            for kind in [
                LibraryKind::SoftHsm,
                LibraryKind::Kryoptic,
                LibraryKind::Nss,
                LibraryKind::Tpm2,
            ] {
                let behind = footprint(kind, environment, init_parameters);
                found.read.extend(behind.read);
                found.write.extend(behind.write);
            }
        }
        LibraryKind::Tpm2 => {
            found
                .write
                .extend(variable("TPM2_PKCS11_STORE").and_then(absolute));
            for value in environment.values() {
                found.read.extend(value_after(value, "path="));
                if let Some(device) = value.strip_prefix("device:") {
                    found.write.extend(absolute(device));
                }
            }
            found.tcp = ["TPM2_PKCS11_TCTI", "TCTI", "TPM2TOOLS_TCTI"]
                .into_iter()
                .filter_map(variable)
                .any(|tcti| {
                    (tcti.starts_with("swtpm") || tcti.starts_with("mssim"))
                        && !tcti.contains("path=")
                });
        }
    }
    found
}

fn absolute(value: &str) -> Option<PathBuf> {
    let path = Path::new(value);
    (path.is_absolute() && path != Path::new("/")).then(|| path.to_owned())
}

/// `...path=/a/b,...`: the path.
fn value_after(text: &str, key: &str) -> Option<PathBuf> {
    let (_, rest) = text.split_once(key)?;
    absolute(rest.split([',', ';']).next()?)
}

/// The folders of the databases that Kryoptic's configuration names: SQLite makes its journal beside the database. A configuration that ends
/// in `.sql` or `.sqlite3` is itself the database.
fn databases(configuration: &Path) -> Vec<PathBuf> {
    let is_database = configuration
        .extension()
        .is_some_and(|extension| extension == "sql" || extension == "sqlite3");
    if is_database {
        return configuration
            .parent()
            .map(Path::to_owned)
            .into_iter()
            .collect();
    }
    let text = softhsm::read_configuration(configuration).unwrap_or_default();
    text.lines()
        .filter_map(|line| {
            let (key, value) = line.split_once('=')?;
            (key.trim() == "dbargs")
                .then(|| absolute(value.trim().trim_matches(['"', '\''])))
                .flatten()
        })
        .filter_map(|database| database.parent().map(Path::to_owned))
        .collect()
}

/// The folders of NSS' databases: `configdir='sql:/folder'`, at the top or inside of `tokens=<...>`.
fn nss_folders(parameters: &str) -> Vec<PathBuf> {
    parameters
        .split("configdir=")
        .skip(1)
        .filter_map(|rest| {
            let quote = rest.chars().next().filter(|first| "'\"".contains(*first));
            let value = match quote {
                Some(quote) => rest.get(1..)?.split(quote).next()?,
                None => rest.split_whitespace().next()?,
            };
            absolute(value.strip_prefix("sql:").unwrap_or(value))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn libraries_are_known_by_the_names_of_their_files() {
        for (file, kind) in [
            ("/usr/lib/softhsm/libsofthsm2.so", LibraryKind::SoftHsm),
            ("/opt/libkryoptic_pkcs11.so", LibraryKind::Kryoptic),
            ("/usr/lib/x86_64-linux-gnu/libsoftokn3.so", LibraryKind::Nss),
            (
                "/usr/lib/opencryptoki/libopencryptoki.so.0",
                LibraryKind::OpenCryptoki,
            ),
            ("/usr/lib/pkcs11/PKCS11_API.so", LibraryKind::OpenCryptoki),
            ("/usr/lib/libtpm2_pkcs11.so.1", LibraryKind::Tpm2),
            (
                "/opt/nfast/toolkits/pkcs11/libcknfast.so",
                LibraryKind::Network,
            ),
        ] {
            assert_eq!(LibraryKind::of(Path::new(file)), kind, "{file}");
            assert_eq!(LibraryKind::named(kind.name()), Some(kind));
        }
    }

    #[test]
    fn softhsm_writes_its_token_folder_and_reads_its_configuration() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("softhsm2.conf");
        std::fs::write(
            &file,
            "log.level = ERROR\ndirectories.tokendir = /srv/tokens\n",
        )
        .unwrap();
        let variables = environment(&[("SOFTHSM2_CONF", file.to_str().unwrap())]);
        let found = footprint(LibraryKind::SoftHsm, &variables, None);
        assert!(found.read.contains(&file));
        assert_eq!(found.write, [Path::new("/srv/tokens")]);
    }

    #[test]
    fn kryoptics_databases_and_their_journals_share_a_folder() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("kryoptic.toml");
        std::fs::write(&file, "[[slots]]\nslot = 0\ndbargs = \"/srv/k/0.sqlite\"\n").unwrap();
        let variables = environment(&[("KRYOPTIC_CONF", file.to_str().unwrap())]);
        let found = footprint(LibraryKind::Kryoptic, &variables, None);
        assert_eq!(found.write, [Path::new("/srv/k")]);
        let direct = footprint(
            LibraryKind::Kryoptic,
            &environment(&[]),
            Some("kryoptic_conf=/srv/j/token.sql"),
        );
        assert_eq!(direct.write, [Path::new("/srv/j")]);
    }

    #[test]
    fn nss_folders_are_found_at_the_top_and_inside_of_tokens() {
        for (parameters, folders) in [
            (
                "configdir='sql:/srv/nss' tokenDescription='x'",
                vec!["/srv/nss"],
            ),
            (
                "configdir='' tokens=<4=[configdir='sql:/srv/0' a='b'] 5=[configdir='sql:/srv/1'] >",
                vec!["/srv/0", "/srv/1"],
            ),
            ("", vec![]),
        ] {
            let found = footprint(LibraryKind::Nss, &environment(&[]), Some(parameters));
            let expected: Vec<PathBuf> = folders.into_iter().map(PathBuf::from).collect();
            assert_eq!(found.write, expected, "{parameters}");
        }
    }

    #[test]
    fn a_tpm_is_a_device_a_socket_or_tcp() {
        let of = |tcti: &str| {
            let variables = environment(&[
                ("TPM2_PKCS11_TCTI", tcti),
                ("TPM2_PKCS11_STORE", "/srv/tpm"),
            ]);
            footprint(LibraryKind::Tpm2, &variables, None)
        };
        assert!(of("swtpm:host=localhost,port=2321").tcp);
        assert!(!of("swtpm:path=/run/swtpm/sock").tcp);
        assert!(
            of("swtpm:path=/run/swtpm/sock")
                .read
                .contains(&PathBuf::from("/run/swtpm/sock"))
        );
        assert!(
            of("device:/dev/tpmrm1")
                .write
                .contains(&PathBuf::from("/dev/tpmrm1"))
        );
        assert!(of("tabrmd").write.contains(&PathBuf::from("/srv/tpm")));
    }
}
