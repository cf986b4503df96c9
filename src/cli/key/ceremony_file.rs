//! The reviewed file of a key ceremony.

use super::PublicFormat;
use super::copies::OtherToken;
use crate::cli::files;
use crate::cli::output::Failure;
use crate::encoding::{hex, is_printable};
use fips::digest::{Hash, digest};
use hsm::Padding;
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// The largest file, in bytes.
const MAX_BYTES: usize = 64 * 1024;
/// Most witnesses, exports and replications: each list.
const MAX_ENTRIES: usize = 32;

/// Everything that a ceremony does, as it was reviewed. Relative paths are relative to the file's folder.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ceremony {
    version: u32,
    /// What it is for, in words.
    pub(super) title: String,
    /// Who has to be there, in words.
    #[serde(default)]
    pub(super) witnesses: Vec<String>,
    pub(super) token: CeremonyToken,
    pub(super) key: CeremonyKey,
    #[serde(default)]
    pub(super) export: Vec<Export>,
    #[serde(default)]
    pub(super) replicate: Vec<Target>,
    pub(super) transcript: TranscriptFile,
}

/// Where the key is generated.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CeremonyToken {
    pub(super) module: PathBuf,
    /// What the module is told at C_Initialize, where it needs that (NSS softoken).
    init_parameters: Option<String>,
    pub(super) label: String,
    /// If it is given, only the token of this serial number will do.
    pub(super) serial: Option<String>,
    pub(super) pin_file: PathBuf,
}

/// The key.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CeremonyKey {
    pub(super) label: String,
    pub(super) bits: u32,
    /// Extractable until it is sealed.
    #[serde(default)]
    pub(super) replicable: bool,
    /// Paddings that the token has to remove by itself.
    #[serde(default)]
    pub(super) paddings: Vec<Padding>,
}

/// A file with the public half.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Export {
    pub(super) file: PathBuf,
    #[serde(default)]
    pub(super) format: ExportFormat,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum ExportFormat {
    #[default]
    Pem,
    RsaPublicBlob,
}

impl From<ExportFormat> for PublicFormat {
    fn from(format: ExportFormat) -> Self {
        match format {
            ExportFormat::Pem => Self::Pem,
            ExportFormat::RsaPublicBlob => Self::Rsapublicblob,
        }
    }
}

/// A token that gets a copy.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Target {
    module: PathBuf,
    /// What the module is told at C_Initialize, where it needs that (NSS softoken).
    init_parameters: Option<String>,
    label: String,
    /// If it is given, only the token of this serial number will do.
    pub(super) serial: Option<String>,
    pin_file: PathBuf,
    /// Label of the copy; without it that of the key.
    pub(super) key_label: Option<String>,
}

impl CeremonyToken {
    pub(super) fn token(&self) -> OtherToken {
        OtherToken::new(
            self.module.clone(),
            self.label.clone(),
            self.pin_file.clone(),
        )
        .told(self.init_parameters.clone())
    }
}

impl Target {
    pub(super) fn token(&self) -> OtherToken {
        OtherToken::new(
            self.module.clone(),
            self.label.clone(),
            self.pin_file.clone(),
        )
        .told(self.init_parameters.clone())
    }
}

/// Where the transcript goes, and who signs it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TranscriptFile {
    pub(super) file: PathBuf,
    /// Label of a signing key on the token; its signature is written next to the file, with `.sig` at the end.
    pub(super) signing_key: Option<String>,
}

impl Ceremony {
    /// Reads the file; gives what it says and the digest of its bytes.
    pub(super) fn read(path: &Path) -> Result<(Self, String), Failure> {
        let bytes = files::read(path, MAX_BYTES, "the ceremony")?;
        let refused = |reason: &str| {
            Failure::usage("ceremony", format!("{}: {reason}", path.display()))
                .hint("docs/keys.md has a whole one")
        };
        let text = std::str::from_utf8(&bytes).map_err(|_| refused("not UTF-8"))?;
        let mut ceremony: Self =
            toml::from_str(text).map_err(|error| refused(&error.to_string()))?;
        ceremony.check().map_err(|reason| refused(&reason))?;
        let folder = path.parent().map(Path::to_owned).unwrap_or_default();
        ceremony.resolve(&std::path::absolute(&folder).unwrap_or(folder));
        ceremony.check_files().map_err(|reason| refused(&reason))?;
        Ok((ceremony, hex(digest(Hash::Sha256, &bytes).as_ref())))
    }

    fn check(&self) -> Result<(), String> {
        if self.version != 1 {
            return Err(format!("version {} is not 1", self.version));
        }
        if !matches!(self.key.bits, 2048 | 3072 | 4096) {
            return Err(format!(
                "`key.bits`: {} is not 2048, 3072 or 4096",
                self.key.bits
            ));
        }
        if !self.replicate.is_empty() && !self.key.replicable {
            return Err("[[replicate]] needs `key.replicable = true`".to_owned());
        }
        if [
            self.witnesses.len(),
            self.export.len(),
            self.replicate.len(),
        ]
        .iter()
        .any(|len| *len > MAX_ENTRIES)
        {
            return Err(format!("a list has more than {MAX_ENTRIES} entries"));
        }
        let labels = self
            .replicate
            .iter()
            .filter_map(|target| target.key_label.as_ref())
            .chain([&self.key.label]);
        for label in labels {
            if label.is_empty() || !label.chars().all(is_printable) {
                return Err("the label of a key is printable text".to_owned());
            }
        }
        let words = self.witnesses.iter().chain([&self.title]);
        if words
            .into_iter()
            .any(|text| text.is_empty() || !text.chars().all(is_printable))
        {
            return Err("title and witnesses are printable text".to_owned());
        }
        Ok(())
    }

    /// Found out before a key is made: no file is written twice, and no name shows itself as another one.
    fn check_files(&self) -> Result<(), String> {
        let mut seen = Vec::new();
        for file in self.files() {
            let shown = file.display().to_string();
            if !shown.chars().all(is_printable) {
                return Err(format!("{shown:?}: the name of a file is printable text"));
            }
            if seen.contains(&file) {
                return Err(format!("{shown} is named twice"));
            }
            seen.push(file);
        }
        Ok(())
    }

    fn resolve(&mut self, folder: &Path) {
        let paths = [&mut self.token.pin_file, &mut self.transcript.file]
            .into_iter()
            .chain(self.export.iter_mut().map(|export| &mut export.file))
            .chain(self.replicate.iter_mut().map(|target| &mut target.pin_file));
        for path in paths {
            *path = folder.join(&*path);
        }
    }

    /// Where the signature goes.
    pub(super) fn signature_file(&self) -> PathBuf {
        let mut name = self.transcript.file.clone().into_os_string();
        name.push(".sig");
        name.into()
    }

    /// Every file that it writes.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        let mut files: Vec<_> = self
            .export
            .iter()
            .map(|export| export.file.clone())
            .collect();
        files.push(self.transcript.file.clone());
        if self.transcript.signing_key.is_some() {
            files.push(self.signature_file());
        }
        files
    }
}
