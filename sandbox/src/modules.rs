//! What each kind of PKCS#11 module needs of the system, besides what custody needs itself. Data: the paths that depend on a set-up (a
//! token's folder, a database) are added by who knows the configuration.

use crate::calls::{self, Call};
use crate::profile::{Access, Family, Profile};

/// What a kind of module needs.
#[derive(Debug)]
pub struct ModuleNeeds {
    /// Its name, as `sandbox_profile` of a token has it.
    pub name: &'static str,
    /// What it is, for people.
    pub about: &'static str,
    /// Sockets.
    pub families: &'static [Family],
    /// It loads further libraries at C_Initialize.
    pub maps_code: bool,
    /// Lists of system calls.
    pub calls: &'static [&'static [Call]],
    /// Paths that are the same on every system; those that are not there are passed over.
    pub paths: &'static [(&'static str, Access)],
    /// Why, in a sentence.
    pub why: &'static str,
}

/// Where shared libraries are, for modules that load some late.
const LIBRARIES: [(&str, Access); 6] = [
    ("/etc/ld.so.cache", Access::Read),
    ("/lib", Access::Read),
    ("/lib64", Access::Read),
    ("/usr/lib", Access::Read),
    ("/usr/lib64", Access::Read),
    ("/usr/local/lib", Access::Read),
];

/// An HSM in a network, or a module that nobody knows.
pub static NETWORK: &ModuleNeeds = &NETWORK_NEEDS;

const NETWORK_NEEDS: ModuleNeeds = ModuleNeeds {
    name: "network",
    about: "HSMs over a network, and modules that are not known",
    families: &[Family::Unix, Family::Inet],
    maps_code: true,
    calls: &[
        calls::LOADING,
        calls::SOCKETS,
        calls::NETWORK,
        calls::SHARED_MEMORY,
        calls::OTHER_FILES,
        calls::ANY_IOCTL,
    ],
    paths: &[
        LIBRARIES[0],
        LIBRARIES[1],
        LIBRARIES[2],
        LIBRARIES[3],
        LIBRARIES[4],
        LIBRARIES[5],
        ("/etc", Access::Read),
        ("/opt", Access::Read),
        ("/usr/share", Access::Read),
        ("/proc/sys", Access::Read),
        ("/sys/devices/system/cpu", Access::Read),
        ("/dev/null", Access::Use),
        ("/dev/urandom", Access::Read),
    ],
    why: "The module is a client of something else: it resolves names, connects, and reads its own configuration. What it writes (a log, a cache) is named in `sandbox_paths`.",
};

/// All kinds.
pub static ALL: &[ModuleNeeds] = &[
    ModuleNeeds {
        name: "softhsm",
        about: "SoftHSM 2",
        families: &[],
        maps_code: false,
        calls: &[],
        paths: &[
            ("/etc/ssl/openssl.cnf", Access::Read),
            ("/usr/lib/ssl", Access::Read),
        ],
        why: "Its token is files. Its cryptography reads OpenSSL's configuration when it starts.",
    },
    ModuleNeeds {
        name: "kryoptic",
        about: "Kryoptic",
        families: &[],
        maps_code: false,
        calls: &[],
        paths: &[],
        why: "Its token is an SQLite database; its OpenSSL is linked in and reads no configuration.",
    },
    ModuleNeeds {
        name: "nss",
        about: "NSS softoken",
        families: &[],
        maps_code: true,
        calls: &[calls::LOADING],
        paths: &[
            LIBRARIES[0],
            LIBRARIES[1],
            LIBRARIES[2],
            LIBRARIES[3],
            LIBRARIES[4],
            LIBRARIES[5],
            ("/proc/sys/crypto/fips_enabled", Access::Read),
        ],
        why: "Its token is SQLite databases in the folder `configdir`; C_Initialize loads its libraries for cryptography and for databases.",
    },
    ModuleNeeds {
        name: "opencryptoki",
        about: "openCryptoki",
        families: &[Family::Unix],
        maps_code: true,
        calls: &[
            calls::LOADING,
            calls::SOCKETS,
            calls::SHARED_MEMORY,
            calls::OTHER_FILES,
        ],
        paths: &[
            LIBRARIES[0],
            LIBRARIES[1],
            LIBRARIES[2],
            LIBRARIES[3],
            LIBRARIES[4],
            LIBRARIES[5],
            ("/etc/opencryptoki", Access::Read),
            ("/etc/nsswitch.conf", Access::Read),
            ("/etc/passwd", Access::Read),
            ("/etc/group", Access::Read),
            ("/etc/ssl/openssl.cnf", Access::Read),
            ("/var/lib/opencryptoki", Access::Write),
            ("/run/lock/opencryptoki", Access::Write),
            ("/run/opencryptoki", Access::Read),
            ("/dev/shm", Access::Write),
        ],
        why: "C_Initialize talks to its daemon by a unix socket, joins shared memory, loads the token's library, and asks for the group `pkcs11`.",
    },
    ModuleNeeds {
        name: "tpm2",
        about: "tpm2-pkcs11 with a device or the resource manager",
        families: &[Family::Unix],
        maps_code: true,
        calls: &[calls::LOADING, calls::SOCKETS, calls::EVENT_LOOP],
        paths: &[
            LIBRARIES[0],
            LIBRARIES[1],
            LIBRARIES[2],
            LIBRARIES[3],
            LIBRARIES[4],
            LIBRARIES[5],
            ("/etc/ssl/openssl.cnf", Access::Read),
            ("/etc/tpm2_pkcs11", Access::Write),
            ("/dev/tpmrm0", Access::Use),
            ("/run/dbus/system_bus_socket", Access::Read),
        ],
        why: "Its objects are in an SQLite store; the library that speaks to the TPM is loaded when it is first needed. With a TPM over TCP (tests) sockets of the network are added.",
    },
    NETWORK_NEEDS,
];

/// The kind of this name.
#[must_use]
pub fn named(name: &str) -> Option<&'static ModuleNeeds> {
    ALL.iter().find(|needs| needs.name == name)
}

impl ModuleNeeds {
    /// Adds what this kind needs.
    pub fn add_to(&self, profile: &mut Profile) {
        for (path, access) in self.paths {
            // What a system does not have is no news: only paths of the configuration are reported as absent.
            if std::path::Path::new(path).exists() {
                profile.path(path, *access);
            }
        }
        for list in self.calls {
            profile.calls(list);
        }
        for family in self.families {
            profile.family(*family);
        }
        profile.maps_code |= self.maps_code;
    }
}
