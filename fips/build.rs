//! Records what the module is built from and with, for `provenance`: evidence, so only what was really used is written
//! down. The module's own build has just finished, and its folder says which sources and which compiler it took.
//!
//! Nothing here may contain a time or a path of this machine: two builds have to give the same program. And no
//! cryptographic library may be linked into a build script, so digests are made by the program `sha256sum`; where it is
//! not installed the fact is recorded as not computed.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Folders of the module's package whose files are digested: the module's own source, and everything that is compiled.
const DIGESTED: [(&str, &str); 2] = [
    ("MODULE_SOURCE", "aws-lc/crypto/fipsmodule"),
    ("LIBRARY_SOURCE", "aws-lc"),
];

/// Flags that only rename folders and hold their names.
const FLAGS_WITH_PATHS: [&str; 3] = [
    "-ffile-prefix-map",
    "-fdebug-prefix-map",
    "-fmacro-prefix-map",
];

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    toolchain();

    let build = module_build();
    let cache = build
        .as_deref()
        .map(|build| cmake_cache(&build.join("CMakeCache.txt")))
        .unwrap_or_default();
    let source = cache.get("CMAKE_HOME_DIRECTORY").map(PathBuf::from);

    record(
        "CRATE_VERSION",
        source.as_deref().and_then(package_version).as_deref(),
    );
    for (name, folder) in DIGESTED {
        let digest = source
            .as_deref()
            .and_then(|source| digest_of(&source.join(folder)));
        let (files, sha256) = digest.unzip();
        record(
            &format!("{name}_FILES"),
            files.map(|files| files.to_string()).as_deref(),
        );
        record(&format!("{name}_SHA256"), sha256.as_deref());
    }
    // The second folder holds the first.
    if let Some(source) = &source {
        println!("cargo:rerun-if-changed={}", source.join("aws-lc").display());
    }
    tools(build.as_deref(), &cache);
}

/// One fact for the crate's code; an empty text is a fact that is not known.
fn record(name: &str, value: Option<&str>) {
    let value = value.unwrap_or_default();
    let one_line = value.lines().next().unwrap_or_default().trim();
    println!("cargo:rustc-env=FIPS_BUILD_{name}={one_line}");
}

fn toolchain() {
    for name in ["TARGET", "PROFILE", "OPT_LEVEL"] {
        record(name, env::var(name).ok().as_deref());
    }
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = said_by(Path::new(&rustc), &["-vV"]).unwrap_or_default();
    for (name, key) in [
        ("RUSTC_RELEASE", "release: "),
        ("RUSTC_COMMIT", "commit-hash: "),
        ("RUSTC_HOST", "host: "),
        ("RUSTC_LLVM", "LLVM version: "),
    ] {
        record(
            name,
            version.lines().find_map(|line| line.strip_prefix(key)),
        );
    }
}

/// The folder in which CMake built the module. Cargo hands it on, in a variable that is named by the module's version,
/// to the packages that depend on the module directly. Where whoever builds has set another one, nothing is known.
fn module_build() -> Option<PathBuf> {
    let mut roots = env::vars_os().filter(|(name, _)| {
        let name = name.to_string_lossy();
        name.starts_with("DEP_AWS_LC_FIPS_") && name.ends_with("_ROOT")
    });
    match (roots.next(), roots.next()) {
        (Some((_, root)), None) => Some(Path::new(&root).join("build")),
        _ => None,
    }
}

/// The settings that CMake keeps: `NAME:TYPE=VALUE`, one a line.
fn cmake_cache(file: &Path) -> BTreeMap<String, String> {
    println!("cargo:rerun-if-changed={}", file.display());
    let text = fs::read_to_string(file).unwrap_or_default();
    text.lines()
        .filter(|line| !line.starts_with(['#', '/']))
        .filter_map(|line| line.split_once('='))
        .filter_map(|(name, value)| Some((name.split_once(':')?.0.to_owned(), value.to_owned())))
        .collect()
}

/// What CMake found out about the C compiler: `set(NAME "VALUE")`, one a line.
fn compiler_facts(build: &Path) -> Option<BTreeMap<String, String>> {
    let mut files: Vec<_> = fs::read_dir(build.join("CMakeFiles"))
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path().join("CMakeCCompiler.cmake")))
        .filter(|file| file.is_file())
        .collect();
    files.sort();
    let text = fs::read_to_string(files.pop()?).ok()?;
    Some(
        text.lines()
            .filter_map(|line| {
                let inner = line.strip_prefix("set(")?.strip_suffix("\")")?;
                inner.split_once(" \"")
            })
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
    )
}

fn tools(build: Option<&Path>, cache: &BTreeMap<String, String>) {
    let compiler = build.and_then(compiler_facts).and_then(|facts| {
        let name = facts.get("CMAKE_C_COMPILER_ID")?;
        Some(format!("{name} {}", facts.get("CMAKE_C_COMPILER_VERSION")?))
    });
    record("C_COMPILER", compiler.as_deref());
    record("C_FLAGS", c_flags(cache).as_deref());
    record(
        "C_BUILD_TYPE",
        cache.get("CMAKE_BUILD_TYPE").map(String::as_str),
    );
    let cmake: Option<Vec<_>> = ["MAJOR", "MINOR", "PATCH"]
        .iter()
        .map(|part| Some(cache.get(&format!("CMAKE_CACHE_{part}_VERSION"))?.as_str()))
        .collect();
    record("CMAKE", cmake.map(|parts| parts.join(".")).as_deref());
    for (name, setting, arguments) in [
        ("GO", "GO_EXECUTABLE", ["version"].as_slice()),
        ("PERL", "PERL_EXECUTABLE", &["-e", "print $^V"]),
        ("ARCHIVER", "CMAKE_AR", &["--version"]),
    ] {
        let answer = cache
            .get(setting)
            .and_then(|program| said_by(Path::new(program), arguments));
        record(name, answer.as_deref());
    }
}

/// The module's C flags, with those of its build type behind them, as CMake passes them.
fn c_flags(cache: &BTreeMap<String, String>) -> Option<String> {
    let general = cache.get("CMAKE_C_FLAGS")?;
    let kind = cache.get("CMAKE_BUILD_TYPE")?.to_uppercase();
    let of_kind = cache
        .get(&format!("CMAKE_C_FLAGS_{kind}"))
        .map_or("", String::as_str);
    let flags: Vec<_> = words(general)
        .chain(words(of_kind))
        .filter(|flag| !FLAGS_WITH_PATHS.iter().any(|path| flag.starts_with(path)))
        .collect();
    Some(flags.join(" "))
}

/// The words of a command line; what is in double quotes is one.
fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split('"').enumerate().flat_map(|(at, piece)| {
        let quoted = at % 2 == 1;
        let words = (!quoted).then(|| piece.split_whitespace());
        quoted
            .then_some(piece)
            .into_iter()
            .chain(words.into_iter().flatten())
    })
}

fn package_version(source: &Path) -> Option<String> {
    let manifest = fs::read_to_string(source.join("Cargo.toml")).ok()?;
    let package = manifest.split_once("[package]")?.1;
    package.lines().find_map(|line| {
        let value = line.strip_prefix("version = \"")?.strip_suffix('"')?;
        Some(value.to_owned())
    })
}

/// The number of files below `folder`, and the digest over their list: lines `SHA-256, two spaces, path`, sorted by path.
/// In a shell: `find . -type f | sed 's,^\./,,' | LC_ALL=C sort | xargs sha256sum | sha256sum`.
fn digest_of(folder: &Path) -> Option<(usize, String)> {
    let mut files = Vec::new();
    list(folder, "", &mut files)?;
    files.sort();
    let lines = output(
        Command::new("sha256sum")
            .arg("--")
            .args(&files)
            .current_dir(folder),
        &[],
    )?;
    let digest = output(&mut Command::new("sha256sum"), &lines)?;
    let digest = String::from_utf8(digest).ok()?;
    Some((files.len(), digest.split_once(' ')?.0.to_owned()))
}

fn list(folder: &Path, prefix: &str, files: &mut Vec<String>) -> Option<()> {
    for entry in fs::read_dir(folder.join(prefix)).ok()? {
        let entry = entry.ok()?;
        let name = format!("{prefix}{}", entry.file_name().to_str()?);
        if entry.file_type().ok()?.is_dir() {
            list(folder, &format!("{name}/"), files)?;
        } else {
            files.push(name);
        }
    }
    Some(())
}

fn said_by(program: &Path, arguments: &[&str]) -> Option<String> {
    String::from_utf8(output(Command::new(program).args(arguments), &[])?).ok()
}

/// What `command` writes when it is given `input`; `None` when it is not there or fails.
fn output(command: &mut Command, input: &[u8]) -> Option<Vec<u8>> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    // Programs here that are given an input read all of it before they write.
    child.stdin.take()?.write_all(input).ok()?;
    let output = child.wait_with_output().ok()?;
    output.status.success().then_some(output.stdout)
}
