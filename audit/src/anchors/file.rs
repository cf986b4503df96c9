//! Anchors in a file of lines.

use fips::secret::file::{self, Access, Rights};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

/// Adds a line, on one of its own: what a write before left unfinished ends there.
///
/// # Errors
/// Those of the system; [`io::ErrorKind::PermissionDenied`] if a link is in the file's place, or others could write to it: who can take anchors
/// away can cut the log off before them.
pub(crate) fn append(path: &Path, line: &str) -> io::Result<()> {
    let mut file = file::open(path, Access::Append, Rights::GroupReads)?;
    let mut last = [b'\n'];
    if file.metadata()?.len() > 0 {
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
    }
    let begin = if last == *b"\n" { "" } else { "\n" };
    file.write_all(format!("{begin}{line}\n").as_bytes())?;
    file.sync_data()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;

    #[test]
    fn what_an_interrupted_write_left_does_not_spoil_the_next_anchor() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("anchors");
        append(&path, "one").unwrap();
        std::fs::write(&path, "one\ntw").unwrap();
        append(&path, "three").unwrap();
        append(&path, "four").unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text, "one\ntw\nthree\nfour\n");
    }

    #[test]
    fn anchors_go_into_no_file_that_others_can_write_and_through_no_link() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("anchors");
        append(&path, "one").unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o640);
        for loose in [0o660, 0o606] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(loose)).unwrap();
            let refused = append(&path, "two").unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::PermissionDenied);
            assert!(refused.to_string().ends_with("chmod 640"), "{refused}");
        }
        // Everybody may read them.
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        append(&path, "two").unwrap();
        let link = folder.path().join("link");
        symlink(&path, &link).unwrap();
        let refused = append(&link, "three").unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::PermissionDenied);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one\ntwo\n");
    }
}
