//! What this build of the module was made from and with, as `build.rs` found it in the module's own build folder.
//!
//! A certificate names a source, so the source that was compiled is compared with the one that the certificates name.
//! The names of files and folders on the building machine are in none of these facts, nor is the time: they do not
//! change when the same thing is built again elsewhere.

/// A folder of the module's sources: how it was when it was compiled, and how it has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Source {
    /// The folder, in the package of the module.
    pub folder: &'static str,
    /// What it holds.
    pub meaning: &'static str,
    /// The number of files; `None` when it was not computed.
    pub files: Option<u32>,
    /// SHA-256 over the list of its files, one line each: SHA-256 of the file, two spaces, path in the folder; sorted by
    /// path. `None` when it was not computed, because the building machine had no `sha256sum`.
    pub sha256: Option<&'static str>,
    /// What [`sha256`](Self::sha256) has to be.
    pub pinned_sha256: &'static str,
}

impl Source {
    /// Whether the compiled source is the pinned one. What was not computed does not match.
    #[must_use]
    pub fn matches_pinned(&self) -> bool {
        self.sha256 == Some(self.pinned_sha256)
    }
}

/// The source of the module itself: the files of AWS-LC FIPS 3.1.0 (tag `AWS-LC-FIPS-3.1.0`), which certificates 5314 and
/// 5298 name.
pub const MODULE_SOURCE: Source = Source {
    folder: "aws-lc/crypto/fipsmodule",
    meaning: "the source of the module that the certificates name",
    files: number(env!("FIPS_BUILD_MODULE_SOURCE_FILES")),
    sha256: known(env!("FIPS_BUILD_MODULE_SOURCE_SHA256")),
    pinned_sha256: "126a856a47b8404afa33ce869549650464222ac06a16597d10e3898ed5987a9c",
};

/// Everything that is compiled with it: the module's source again, the arithmetic in assembly that it includes from other
/// folders, the tools that place its integrity checksum, and the library around it.
pub const LIBRARY_SOURCE: Source = Source {
    folder: "aws-lc",
    meaning: "everything that the library is compiled from, the module included",
    files: number(env!("FIPS_BUILD_LIBRARY_SOURCE_FILES")),
    sha256: known(env!("FIPS_BUILD_LIBRARY_SOURCE_SHA256")),
    pinned_sha256: "fd25d486f5e7eabc7a05822246210c6db12256d945839f6c39522546971aa6c6",
};

/// The name of the package that holds the module.
pub const CRATE: &str = "aws-lc-fips-sys";

/// Its version, as the compiled sources say it.
pub const CRATE_VERSION: Option<&str> = known(env!("FIPS_BUILD_CRATE_VERSION"));

/// How and with what the module was compiled. Each is `None` where it could not be found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModuleTools {
    /// CMake's build type: `release`, or `debug` in a debug build.
    pub build_type: Option<&'static str>,
    /// The C compiler by CMake's name for it, with its version: `GNU 12.2.0`.
    pub c_compiler: Option<&'static str>,
    /// Its flags, without those that only rename folders.
    pub c_flags: Option<&'static str>,
    /// The version of CMake.
    pub cmake: Option<&'static str>,
    /// What Go says about its version; it places the integrity checksum.
    pub go: Option<&'static str>,
    /// The version of Perl; it writes the assembly code.
    pub perl: Option<&'static str>,
    /// What the archiver says about its version; the assembler is of the same package.
    pub archiver: Option<&'static str>,
}

/// How and with what this module was compiled.
pub const TOOLS: ModuleTools = ModuleTools {
    build_type: known(env!("FIPS_BUILD_C_BUILD_TYPE")),
    c_compiler: known(env!("FIPS_BUILD_C_COMPILER")),
    c_flags: known(env!("FIPS_BUILD_C_FLAGS")),
    cmake: known(env!("FIPS_BUILD_CMAKE")),
    go: known(env!("FIPS_BUILD_GO")),
    perl: known(env!("FIPS_BUILD_PERL")),
    archiver: known(env!("FIPS_BUILD_ARCHIVER")),
};

/// The Rust compiler and what it was told, for this crate and with it for the whole program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RustBuild {
    /// The release of rustc: `1.95.0`.
    pub release: Option<&'static str>,
    /// The commit of rustc's sources.
    pub commit: Option<&'static str>,
    /// The platform that the compiler runs on.
    pub host: Option<&'static str>,
    /// The version of LLVM in it.
    pub llvm: Option<&'static str>,
    /// The platform that the program is for.
    pub target: Option<&'static str>,
    /// Cargo's profile: `release` or `debug`.
    pub profile: Option<&'static str>,
    /// The optimisation level: `0` to `3`, `s` or `z`.
    pub optimisation: Option<&'static str>,
}

/// The Rust compiler of this build.
pub const RUST: RustBuild = RustBuild {
    release: known(env!("FIPS_BUILD_RUSTC_RELEASE")),
    commit: known(env!("FIPS_BUILD_RUSTC_COMMIT")),
    host: known(env!("FIPS_BUILD_RUSTC_HOST")),
    llvm: known(env!("FIPS_BUILD_RUSTC_LLVM")),
    target: known(env!("FIPS_BUILD_TARGET")),
    profile: known(env!("FIPS_BUILD_PROFILE")),
    optimisation: known(env!("FIPS_BUILD_OPT_LEVEL")),
};

const fn known(text: &'static str) -> Option<&'static str> {
    if text.is_empty() { None } else { Some(text) }
}

const fn number(text: &str) -> Option<u32> {
    match u32::from_str_radix(text, 10) {
        Ok(number) => Some(number),
        Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_compiled_sources_are_the_pinned_ones() {
        for source in [MODULE_SOURCE, LIBRARY_SOURCE] {
            assert!(
                source.matches_pinned(),
                "this test needs sha256sum (coreutils) when it is built: {source:?}"
            );
        }
        assert_eq!(MODULE_SOURCE.files, Some(263));
        assert_eq!(CRATE_VERSION, Some("0.13.11"));
    }

    #[test]
    fn a_source_that_was_not_digested_does_not_match() {
        let source = Source {
            sha256: None,
            ..MODULE_SOURCE
        };
        assert!(!source.matches_pinned());
    }

    #[test]
    fn no_fact_names_a_folder_of_the_building_machine() {
        let facts = format!("{TOOLS:?} {RUST:?}");
        let manifest = env!("CARGO_MANIFEST_DIR");
        let out = env!("OUT_DIR");
        for folder in [manifest, out, "/home", "/root", ".cargo"] {
            assert!(!facts.contains(folder), "{folder} in {facts}");
        }
    }
}
