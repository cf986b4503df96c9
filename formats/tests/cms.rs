//! CMS messages: what other programs write opens here or is refused by name, what is written here opens there, and hostile ones end cleanly.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

#[path = "cms/hostile.rs"]
mod hostile;
#[path = "cms/opened_from_openssl.rs"]
mod opened_from_openssl;
#[path = "../../tests/support/openssl.rs"]
mod openssl;
#[path = "cms/other_readers.rs"]
mod other_readers;
#[path = "cms/rfc4134.rs"]
mod rfc4134;
#[path = "cms/written.rs"]
mod written;

use fips::secret::SecretBytes;
use formats::cms::{self, CmsError, CmsLimits, Content, Facts, RecipientKey};
use openssl::{Device, Workshop, openssl, text};

const CONTENT: &[u8] = b"correct horse battery staple";

/// The mode of tools for people: nearly every stranger's message needs what is not approved.
fn begin() {
    fips::start(fips::policy::Policy::OFF).unwrap();
}

/// A device's private key (DER PKCS#8).
fn pkcs8(device: &Device<'_>) -> SecretBytes {
    SecretBytes::from_vec(openssl(&[
        "pkcs8",
        "-topk8",
        "-nocrypt",
        "-in",
        text(&device.key),
        "-outform",
        "DER",
    ]))
}

fn open_with(message: &[u8], certificate: &[u8], pkcs8: &SecretBytes) -> Result<Content, CmsError> {
    let key = RecipientKey::new(certificate, pkcs8)?;
    cms::open(message, &key, &CmsLimits::default())
}

fn open(message: &[u8], device: &Device<'_>) -> Result<Content, CmsError> {
    begin();
    open_with(message, &device.der(), &pkcs8(device))
}

/// The refusal of what must not open.
fn refusal(message: &[u8], device: &Device<'_>) -> CmsError {
    match open(message, device) {
        Ok(_) => panic!("it opened"),
        Err(error) => error,
    }
}

fn look(message: &[u8]) -> Facts {
    begin();
    cms::look_at(message, &CmsLimits::default()).unwrap()
}

/// `openssl cms -encrypt` of [`CONTENT`], with these arguments: the cipher, and each recipient with its options.
fn encrypted(workshop: &Workshop, arguments: &[&str]) -> Vec<u8> {
    encrypted_content(workshop, CONTENT, arguments)
}

fn encrypted_content(workshop: &Workshop, content: &[u8], arguments: &[&str]) -> Vec<u8> {
    let content = workshop.file(content);
    let fixed = [
        "cms",
        "-encrypt",
        "-binary",
        "-outform",
        "DER",
        "-in",
        text(&content),
    ];
    openssl(&[&fixed[..], arguments].concat())
}
