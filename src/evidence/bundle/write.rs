//! Writing a bundle: completely or not at all, in a folder that was not there or empty.

use super::manifest::{Entry, Manifest};
use super::signature::{Signature, signer_pem};
use super::{BundleError, MANIFEST, SIGNATURE, SIGNER, SignedBy, Signer, verify};
use crate::encoding::hex;
use fips::secret::file;
use std::collections::BTreeMap;
use std::fs::{DirBuilder, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Everybody may read a bundle: there is no secret in it.
const FILE_MODE: u32 = 0o644;
const FOLDER_MODE: u32 = 0o755;

/// The content of the documents, by name.
pub type Documents = BTreeMap<String, Vec<u8>>;

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The folder.
    pub folder: PathBuf,
    /// The files in it, by name.
    pub files: Vec<String>,
    /// SHA-256 of the manifest: it names the whole bundle.
    pub manifest_sha256: String,
    /// The key that signed. `None`: the bundle holds digests only.
    pub signed_by: Option<SignedBy>,
}

/// Writes a bundle into `folder`, which has to be new or empty. It is put together and verified in a folder beside it, and appears
/// under its name when everything of it is on the disk.
///
/// # Errors
/// [`BundleError`]; nothing is left behind then.
pub fn write(
    folder: &Path,
    documents: Documents,
    signer: Option<&Signer>,
) -> Result<Written, BundleError> {
    check_place(folder)?;
    let mut files = documents;
    let signed_by = signer.map(Signer::signed_by);
    if let Some(signer) = signer {
        let pem = signer_pem(signer.spki_der())?;
        files.insert(SIGNER.to_owned(), pem.into_bytes());
    }
    let entries = files
        .iter()
        .map(|(name, content)| (name.clone(), Entry::of(content)))
        .collect();
    let manifest = Manifest::new(signed_by, entries)?.render().into_bytes();
    if let (Some(signer), Some(by)) = (signer, signed_by) {
        let value = signer.sign(&manifest)?;
        let signature = Signature { by, value }.render();
        files.insert(SIGNATURE.to_owned(), signature.into_bytes());
    }
    files.insert(MANIFEST.to_owned(), manifest);

    let draft = Draft::beside(folder)?;
    for (name, content) in &files {
        draft.write(name, content)?;
    }
    let expected = files.get(SIGNER).map(Vec::as_slice);
    // What would not be accepted is not handed out.
    let verified = verify(&draft.path, expected)?;
    draft.publish(folder)?;
    Ok(Written {
        folder: folder.to_owned(),
        files: files.into_keys().collect(),
        manifest_sha256: verified.manifest_sha256,
        signed_by,
    })
}

/// Whether a bundle can be written there: the folder is new or empty. Asked before anything is done for a bundle.
///
/// # Errors
/// [`BundleError::PlaceTaken`], [`BundleError::Unreadable`].
pub fn check_place(folder: &Path) -> Result<(), BundleError> {
    let taken = || BundleError::PlaceTaken {
        path: folder.to_owned(),
    };
    match std::fs::symlink_metadata(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(BundleError::Unreadable {
            path: folder.to_owned(),
            source,
        }),
        Ok(found) if !found.is_dir() => Err(taken()),
        Ok(_) => match std::fs::read_dir(folder).map(|mut entries| entries.next().is_none()) {
            Ok(true) => Ok(()),
            Ok(false) => Err(taken()),
            Err(source) => Err(BundleError::Unreadable {
                path: folder.to_owned(),
                source,
            }),
        },
    }
}

/// A bundle that is not finished, in a folder beside its place. Removed when dropped.
struct Draft {
    path: PathBuf,
}

impl Draft {
    fn beside(folder: &Path) -> Result<Self, BundleError> {
        let unwritable = |path: &Path, source| BundleError::Unwritable {
            path: path.to_owned(),
            source,
        };
        let Some(name) = folder.file_name() else {
            return Err(unwritable(folder, io::ErrorKind::InvalidFilename.into()));
        };
        let mut draft = std::ffi::OsString::from(".");
        draft.push(name);
        draft.push(format!(".{}", hex(&fips::random::array::<8>()?)));
        let path = folder.with_file_name(draft);
        DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .map_err(|source| unwritable(&path, source))?;
        Ok(Self { path })
    }

    fn write(&self, name: &str, content: &[u8]) -> Result<(), BundleError> {
        let path = self.path.join(name);
        let done = file::create_new_with_mode(&path, FILE_MODE).and_then(|mut file| {
            file.write_all(content)?;
            // Whatever the caller's umask is.
            file.set_permissions(Permissions::from_mode(FILE_MODE))?;
            file.sync_all()
        });
        done.map_err(|source| BundleError::Unwritable { path, source })
    }

    /// Gives the folder its name. An empty one of that name is replaced, another one is not.
    fn publish(self, folder: &Path) -> Result<(), BundleError> {
        let done = std::fs::set_permissions(&self.path, Permissions::from_mode(FOLDER_MODE))
            .and_then(|()| File::open(&self.path)?.sync_all())
            .and_then(|()| std::fs::rename(&self.path, folder));
        match done {
            Ok(()) => {
                let parent = match folder.parent() {
                    Some(parent) if !parent.as_os_str().is_empty() => parent,
                    _ => Path::new("."),
                };
                // The bundle is there already; whether its name survives a power cut is the file system's to say.
                let _ = File::open(parent).and_then(|parent| parent.sync_all());
                Ok(())
            }
            Err(error)
                if [
                    io::ErrorKind::DirectoryNotEmpty,
                    io::ErrorKind::AlreadyExists,
                    io::ErrorKind::NotADirectory,
                ]
                .contains(&error.kind()) =>
            {
                Err(BundleError::PlaceTaken {
                    path: folder.to_owned(),
                })
            }
            Err(source) => Err(BundleError::Unwritable {
                path: folder.to_owned(),
                source,
            }),
        }
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // After `publish` there is nothing of that name any more.
        let _ = std::fs::remove_dir_all(&self.path);
    }
}
