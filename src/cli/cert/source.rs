//! Certificates and revocation lists in files.

use crate::cli::files;
use crate::cli::output::Failure;
use crate::clock::{Clock, SystemClock, parse_rfc3339};
use pki::path::Certificate;
use pki::revocation_list::RevocationList;
use rustls::pki_types::CertificateRevocationListDer;
use rustls::pki_types::pem::PemObject;
use std::path::{Path, PathBuf};

/// The largest file with certificates, in bytes: a system's bundle of roots has a quarter of a megabyte.
const MAX_CERTIFICATES_BYTES: usize = 4 * 1024 * 1024;
/// Most certificates of one file.
const MAX_CERTIFICATES: usize = 1024;
/// The largest file with a revocation list, in bytes.
const MAX_LIST_BYTES: usize = 32 * 1024 * 1024;

/// Every certificate of a file, at least one.
pub(super) fn certificates(path: &Path, what: &str) -> Result<Vec<Certificate>, Failure> {
    let (found, problems) = readable(path, what)?;
    match problems.into_iter().next() {
        Some(problem) => Err(Failure::failed("cert_malformed", problem)),
        None => Ok(found),
    }
}

/// Every certificate of these files that can be read, and sentences about the others: less trust is no danger.
pub(super) fn readable_of(
    paths: &[PathBuf],
    what: &str,
) -> Result<(Vec<Certificate>, Vec<String>), Failure> {
    let (mut all, mut problems) = (Vec::new(), Vec::new());
    for path in paths {
        let (found, more) = readable(path, what)?;
        all.extend(found);
        problems.extend(more);
    }
    match (all.is_empty() && !paths.is_empty(), problems.first()) {
        (true, Some(problem)) => Err(Failure::failed("cert_malformed", problem.clone())),
        _ => Ok((all, problems)),
    }
}

fn readable(path: &Path, what: &str) -> Result<(Vec<Certificate>, Vec<String>), Failure> {
    let bytes = files::read(path, MAX_CERTIFICATES_BYTES, what)?;
    let unusable = |problem: &str| {
        Failure::failed(
            "cert_malformed",
            format!("{what}: {}: {problem}", path.display()),
        )
    };
    let all = files::certificates(&bytes).map_err(|problem| unusable(&problem))?;
    if all.is_empty() {
        return Err(unusable(
            "holds no certificate (-----BEGIN CERTIFICATE-----)",
        ));
    }
    if all.len() > MAX_CERTIFICATES {
        return Err(unusable("holds more than 1024 certificates"));
    }
    let (mut found, mut problems) = (Vec::new(), Vec::new());
    for (place, der) in all.iter().enumerate() {
        match Certificate::read(der) {
            Ok(certificate) => found.push(certificate),
            Err(problem) => problems.push(format!(
                "{what}: {}: certificate {}: {problem}",
                path.display(),
                place.saturating_add(1)
            )),
        }
    }
    Ok((found, problems))
}

/// Every revocation list of these files (PEM or DER).
pub(super) fn lists(paths: &[PathBuf]) -> Result<Vec<RevocationList>, Failure> {
    let mut all = Vec::new();
    for path in paths {
        let bytes = files::read(path, MAX_LIST_BYTES, "the revocation list")?;
        let unusable = |problem: String| {
            Failure::failed("crl_unusable", format!("{} {problem}", path.display()))
        };
        let encoded: Vec<Vec<u8>> = if bytes.first() == Some(&0x30) {
            vec![bytes]
        } else {
            CertificateRevocationListDer::pem_slice_iter(&bytes)
                .map(|block| block.map(|der| der.as_ref().to_vec()))
                .collect::<Result<_, _>>()
                .map_err(|error| unusable(format!("is not whole PEM: {error}")))?
        };
        if encoded.is_empty() {
            return Err(unusable(
                "holds no revocation list, neither in DER nor in PEM (-----BEGIN X509 CRL-----)"
                    .to_owned(),
            ));
        }
        for der in &encoded {
            all.push(RevocationList::read(der).map_err(unusable)?);
        }
    }
    Ok(all)
}

/// The time that is asked about: an RFC 3339 text, or now.
pub(super) fn time(at: Option<&str>) -> Result<[u8; 14], Failure> {
    let now_ms = match at {
        None => SystemClock.now_ms(),
        Some(text) => parse_rfc3339(text).ok_or_else(|| {
            Failure::usage("time", format!("--at {text:?} is no time"))
                .hint("write it as in RFC 3339: 2027-01-31T12:00:00Z")
        })?,
    };
    Ok(pki::time::digits(now_ms))
}
