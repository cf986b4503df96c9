//! What is linked into a program, read from its file: the symbols of the validated module, and those of any other
//! cryptographic library, of which there must be none.
//!
//! What this shows is what is in the file. A PKCS#11 module is loaded by the engine when it runs and brings its own
//! cryptography: that is the token, not this program. And the absence of names is evidence only where there are names:
//! nothing is concluded from a program whose symbols were removed.

use super::mangling;
use super::markers::{self, FAMILIES, MODULE_PREFIX};
use super::program;
use object::elf;
use object::read::elf::{DynamicTable, FileHeader};
use object::{File, Object, ObjectSection, ObjectSymbol, SymbolKind};
use serde::Serialize;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// The largest file that is read: many times the size of the program, debug builds included.
pub const MAX_FILE_BYTES: u64 = 1 << 30;

/// One named function or variable of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Symbol<'a> {
    pub(super) name: &'a str,
    /// Not visible outside of the file that it was compiled from, or hidden by the linker.
    pub(super) local: bool,
    /// Defined here, not wanted from elsewhere.
    pub(super) defined: bool,
}

/// What the symbols of a file say about the cryptography in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SymbolReport {
    /// What follows from the rest.
    pub verdict: Verdict,
    /// Whether the file has no symbol table any more. Then only what it takes from shared libraries has names.
    pub stripped: bool,
    /// The number of named functions and variables.
    pub symbols: usize,
    /// The validated module.
    pub module: ModuleSymbols,
    /// Every other cryptographic library that was looked for, also those that were not found.
    pub others: Vec<OtherLibrary>,
    /// The shared libraries that the file asks for (`DT_NEEDED`).
    pub needed: Vec<NeededLibrary>,
    /// The compilers and the linker, in their own words (the section `.comment`).
    pub producers: Vec<String>,
}

/// What the symbols of a file prove.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The validated module is in it, and nothing of any other cryptographic library that was looked for.
    OneLibrary,
    /// Something of another cryptographic library is in it, or it asks for one.
    OtherLibrary,
    /// It has symbols, and none of the validated module.
    ModuleNotFound,
    /// Its symbols were removed: nothing can be concluded.
    Stripped,
}

/// The symbols of the validated module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ModuleSymbols {
    /// What their names begin with.
    pub prefix: &'static str,
    /// Their number.
    pub symbols: usize,
}

/// Another cryptographic library, as far as it was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OtherLibrary {
    /// The library, or what is common to several.
    pub library: String,
    /// The number of its symbols. Has to be 0.
    pub symbols: usize,
    /// One of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub example: Option<String>,
}

/// A shared library that the file asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NeededLibrary {
    /// Its file name.
    pub name: String,
    /// Whether it is known as a cryptographic one. Has to be false.
    pub cryptographic: bool,
}

/// Why a file's symbols could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SymbolsError {
    /// The file could not be read.
    #[error("{path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is larger than any build of this program.
    #[error("{path}: larger than {MAX_FILE_BYTES} bytes")]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// The file is no program or shared library of Linux (ELF), or a broken one.
    #[error("{path}: not a readable ELF file: {reason}")]
    NotElf {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

impl SymbolReport {
    /// Reads the file of the running program, also when another one has meanwhile been put in its place.
    ///
    /// # Errors
    /// [`SymbolsError`]; on systems without ELF files, [`SymbolsError::NotElf`].
    pub fn of_this_program() -> Result<Self, SymbolsError> {
        let path = program::path().map_err(|source| SymbolsError::Read {
            path: PathBuf::new(),
            source,
        })?;
        Self::of(&path)
    }

    /// Reads the file at `path`.
    ///
    /// # Errors
    /// [`SymbolsError`].
    pub fn of(path: &Path) -> Result<Self, SymbolsError> {
        let bytes = read(path)?;
        Self::of_bytes(&bytes).map_err(|error| SymbolsError::NotElf {
            path: path.to_path_buf(),
            reason: error.to_string(),
        })
    }

    fn of_bytes(bytes: &[u8]) -> Result<Self, object::Error> {
        let file = File::parse(bytes)?;
        let stripped = file.symbol_table().is_none();
        let needed = needed(&file)?;
        let producers = producers(&file)?;

        let banned = markers::banned_crates();
        let mut symbols = 0;
        let mut module = 0;
        let mut native: Vec<_> = FAMILIES
            .iter()
            .map(|family| OtherLibrary::not_found(family.library))
            .collect();
        let mut rust =
            OtherLibrary::not_found("Rust crates with cryptography, banned by deny.toml");

        let entries = file.symbols().chain(file.dynamic_symbols());
        for entry in entries.filter(is_code_or_data) {
            let Ok(name) = entry.name() else { continue };
            let symbol = Symbol {
                // Linkers write the version that is wanted behind the name: memcpy@GLIBC_2.14.
                name: name.split('@').next().unwrap_or(name),
                local: entry.is_local(),
                defined: !entry.is_undefined(),
            };
            if symbol.name.is_empty() {
                continue;
            }
            symbols += 1;
            if symbol.name.starts_with(MODULE_PREFIX) && symbol.defined {
                module += 1;
            }
            for (family, found) in FAMILIES.iter().zip(&mut native) {
                if family.has(symbol) {
                    found.count(symbol.name);
                }
            }
            let crates = mangling::crates_in(symbol.name);
            if crates.iter().any(|name| banned.contains(*name)) {
                rust.count(symbol.name);
            }
        }

        let mut others = native;
        others.push(rust);
        let mut report = Self {
            verdict: Verdict::Stripped,
            stripped,
            symbols,
            module: ModuleSymbols {
                prefix: MODULE_PREFIX,
                symbols: module,
            },
            others,
            needed,
            producers,
        };
        report.verdict = report.decide();
        Ok(report)
    }

    /// Another library is one even where the symbols were removed: what is taken from a shared library keeps its name.
    fn decide(&self) -> Verdict {
        if self.others.iter().any(|library| library.symbols > 0)
            || self.needed.iter().any(|library| library.cryptographic)
        {
            Verdict::OtherLibrary
        } else if self.stripped {
            Verdict::Stripped
        } else if self.module.symbols == 0 {
            Verdict::ModuleNotFound
        } else {
            Verdict::OneLibrary
        }
    }
}

impl OtherLibrary {
    fn not_found(library: &str) -> Self {
        Self {
            library: library.to_owned(),
            symbols: 0,
            example: None,
        }
    }

    fn count(&mut self, name: &str) {
        self.symbols += 1;
        self.example.get_or_insert_with(|| name.to_owned());
    }
}

fn read(path: &Path) -> Result<Vec<u8>, SymbolsError> {
    let failed = |source| SymbolsError::Read {
        path: path.to_path_buf(),
        source,
    };
    let file = std::fs::File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    file.take(MAX_FILE_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length <= MAX_FILE_BYTES) {
        Ok(bytes)
    } else {
        Err(SymbolsError::TooLarge {
            path: path.to_path_buf(),
        })
    }
}

/// Functions and variables, and what has no kind because it is wanted from elsewhere; no names of files and sections.
fn is_code_or_data<'data>(symbol: &impl ObjectSymbol<'data>) -> bool {
    !matches!(symbol.kind(), SymbolKind::File | SymbolKind::Section)
}

fn needed(file: &File<'_>) -> Result<Vec<NeededLibrary>, object::Error> {
    let names = match file {
        File::Elf32(elf) => names_of_needed(&elf.elf_dynamic_table()?)?,
        File::Elf64(elf) => names_of_needed(&elf.elf_dynamic_table()?)?,
        _ => Vec::new(),
    };
    Ok(names
        .into_iter()
        .map(|name| NeededLibrary {
            cryptographic: markers::is_cryptographic_library(&name),
            name,
        })
        .collect())
}

fn names_of_needed<Elf: FileHeader>(
    table: &DynamicTable<'_, Elf>,
) -> Result<Vec<String>, object::Error> {
    table
        .iter()
        .filter(|entry| entry.tag == elf::DT_NEEDED)
        .map(|entry| Ok(String::from_utf8_lossy(table.string(entry)?).into_owned()))
        .collect()
}

fn producers(file: &File<'_>) -> Result<Vec<String>, object::Error> {
    let Some(section) = file.section_by_name(".comment") else {
        return Ok(Vec::new());
    };
    let text = String::from_utf8_lossy(section.data()?).into_owned();
    let mut producers: Vec<_> = text
        .split('\0')
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect();
    producers.sort();
    producers.dedup();
    Ok(producers)
}
