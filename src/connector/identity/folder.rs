//! What the connector keeps of its identity on disk. Each file is replaced as a whole and is durable before the next step begins, so that
//! whatever moment a crash takes, the files say where to go on.
//!
//! | file | |
//! |---|---|
//! | `certificate.pem` | the certificate in use, and those above it |
//! | `order.json` | the request for the next one: the same request is sent until there is an answer |
//! | `next.pem` | the next one, not yet shown to the gateway with success |

use crate::config::IdentityConfig;
use crate::encoding::Base64Bytes;
use crate::identity::Facts;
use der::pem::{LineEnding, encode_string};
use fips::secret::file::{self, Rights};
use serde::{Deserialize, Serialize};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// The largest file, in bytes: a chain of ten certificates with the largest keys is a third of that.
const MAX_FILE_BYTES: u64 = 256 * 1024;
/// Version of `order.json`.
const VERSION: u32 = 1;

/// Why a file of the folder cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{}: {problem}", path.display())]
pub(crate) struct FolderError {
    pub(crate) path: PathBuf,
    pub(crate) problem: String,
}

/// A request that was made for the next certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Order {
    version: u32,
    /// SHA-256 of the certificate that is to be replaced, hexadecimal; empty: there is none yet.
    pub(crate) replaces: String,
    /// The request (PKCS#10, DER).
    pub(crate) csr: Base64Bytes,
    /// Its key (DER SubjectPublicKeyInfo).
    pub(crate) public_key: Base64Bytes,
    /// The common name in its subject.
    pub(crate) common_name: String,
}

impl Order {
    pub(crate) fn new(
        replaces: String,
        csr: Base64Bytes,
        public_key: Base64Bytes,
        common_name: String,
    ) -> Self {
        Self {
            version: VERSION,
            replaces,
            csr,
            public_key,
            common_name,
        }
    }
}

/// A certificate of the folder, with those above it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) facts: Facts,
    /// DER, its own first.
    pub(crate) chain: Vec<Vec<u8>>,
}

/// The folder.
#[derive(Debug, Clone)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// Opens it, or makes it: others may look into it, and must not write to it.
    ///
    /// # Errors
    /// [`FolderError`].
    pub(crate) fn open(config: &IdentityConfig) -> Result<Self, FolderError> {
        let folder = Self(config.folder.clone());
        file::create_folder(&folder.0, Rights::AllRead)
            .map_err(|error| folder.unusable("", &error))?;
        Ok(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn unusable(&self, name: &str, problem: &dyn ToString) -> FolderError {
        FolderError {
            path: if name.is_empty() {
                self.0.clone()
            } else {
                self.path(name)
            },
            problem: problem.to_string(),
        }
    }

    /// Where the next certificate is, while there is one.
    pub(crate) fn next_path(&self) -> PathBuf {
        self.path("next.pem")
    }

    /// The certificate in use; `None` before the first.
    ///
    /// # Errors
    /// [`FolderError`], also for one that cannot be read.
    pub(crate) fn current(&self) -> Result<Option<Kept>, FolderError> {
        self.certificate("certificate.pem")
    }

    /// The next certificate.
    ///
    /// # Errors
    /// As [`current`](Self::current).
    pub(crate) fn next(&self) -> Result<Option<Kept>, FolderError> {
        self.certificate("next.pem")
    }

    fn certificate(&self, name: &str) -> Result<Option<Kept>, FolderError> {
        let Some(pem) = self.read(name)? else {
            return Ok(None);
        };
        let chain: Vec<Vec<u8>> = {
            use rustls::pki_types::{CertificateDer, pem::PemObject};
            CertificateDer::pem_slice_iter(&pem)
                .map(|one| one.map(|der| der.to_vec()))
                .collect::<Result<_, _>>()
                .map_err(|error| self.unusable(name, &error))?
        };
        let own = chain
            .first()
            .ok_or_else(|| self.unusable(name, &"no certificate in PEM form"))?;
        let facts = Facts::of(own).map_err(|problem| self.unusable(name, &problem))?;
        Ok(Some(Kept { facts, chain }))
    }

    /// The order that is under way; one of an unknown form is none, and is made anew.
    ///
    /// # Errors
    /// [`FolderError`] when the file is there and cannot be read.
    pub(crate) fn order(&self) -> Result<Option<Order>, FolderError> {
        let read = self.read("order.json")?;
        Ok(read
            .and_then(|json| serde_json::from_slice::<Order>(&json).ok())
            .filter(|order| order.version == VERSION))
    }

    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, FolderError> {
        let path = self.path(name);
        let mut bytes = Vec::new();
        match crate::config::open_file(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.unusable(name, &error)),
            Ok(file) => file
                .take(MAX_FILE_BYTES + 1)
                .read_to_end(&mut bytes)
                .map_err(|error| self.unusable(name, &error))?,
        };
        if u64::try_from(bytes.len()).is_ok_and(|length| length > MAX_FILE_BYTES) {
            return Err(self.unusable(name, &"more than 256 KiB"));
        }
        Ok(Some(bytes))
    }

    /// Keeps the order; durable when it returns.
    ///
    /// # Errors
    /// [`FolderError`].
    pub(crate) fn keep_order(&self, order: &Order) -> Result<(), FolderError> {
        let json =
            serde_json::to_vec(order).map_err(|error| self.unusable("order.json", &error))?;
        self.replace("order.json", &json)
    }

    /// Keeps the next certificate and those above it; durable when it returns.
    ///
    /// # Errors
    /// [`FolderError`].
    pub(crate) fn keep_next(&self, chain: &[Vec<u8>]) -> Result<(), FolderError> {
        let mut pem = String::new();
        for der in chain {
            let block = encode_string("CERTIFICATE", LineEnding::LF, der)
                .map_err(|error| self.unusable("next.pem", &error))?;
            pem.push_str(&block);
        }
        self.replace("next.pem", pem.as_bytes())
    }

    fn replace(&self, name: &str, content: &[u8]) -> Result<(), FolderError> {
        file::replace(&self.path(name), content, Rights::AllRead)
            .map_err(|error| self.unusable(name, &error))
    }

    /// The next certificate is the one in use from now on, and the order is over; durable when it returns.
    ///
    /// # Errors
    /// [`FolderError`].
    pub(crate) fn promote(&self) -> Result<(), FolderError> {
        let current = self.path("certificate.pem");
        std::fs::rename(self.next_path(), &current)
            .and_then(|()| file::sync_folder_of(&current))
            .map_err(|error| self.unusable("certificate.pem", &error))?;
        self.forget_order()
    }

    /// Forgets an order that is over.
    ///
    /// # Errors
    /// [`FolderError`].
    pub(crate) fn forget_order(&self) -> Result<(), FolderError> {
        self.forget("order.json")
    }

    /// Forgets a next certificate that is of no use.
    ///
    /// # Errors
    /// [`FolderError`].
    pub(crate) fn forget_next(&self) -> Result<(), FolderError> {
        self.forget("next.pem")
    }

    fn forget(&self, name: &str) -> Result<(), FolderError> {
        let path: &Path = &self.path(name);
        file::remove_if_there(path)
            .and_then(|()| file::sync_folder_of(path))
            .map_err(|error| self.unusable(name, &error))
    }
}
