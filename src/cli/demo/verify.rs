//! The independent reader: OpenSSL decrypts what was delivered, and opens the PFX with the password that came out.

use super::error::DemoError;
use super::pki::{Device, OPENSSL};
use super::process::run;
use super::stack::write_private;
use crate::gateway::api::Delivery;
use std::path::Path;

/// Checks one delivery as the device would use it. Files are left in `folder` under the request's name only while it runs.
///
/// # Errors
/// What OpenSSL said when it could not decrypt the password or open the PFX.
pub fn verify(folder: &Path, device: &Device, delivery: &Delivery) -> Result<(), DemoError> {
    let file = |extension: &str| folder.join(format!("{}.{extension}", delivery.request_id));
    let (cms, pfx, password) = (file("cms"), file("pfx"), file("password"));
    write_private(&cms, delivery.encrypted_password.as_slice())?;
    write_private(&pfx, delivery.pfx.as_slice())?;
    write_private(&password, b"")?;
    let opened = open(device, &cms, &pfx, &password);
    for path in [&cms, &pfx, &password] {
        std::fs::remove_file(path).map_err(|error| DemoError::io("remove", path, error))?;
    }
    opened
}

fn open(device: &Device, cms: &Path, pfx: &Path, password: &Path) -> Result<(), DemoError> {
    let text = |path: &Path| path.display().to_string();
    run(
        Path::new(OPENSSL),
        &[
            "cms",
            "-decrypt",
            "-binary",
            "-inform",
            "DER",
            "-in",
            &text(cms),
            "-recip",
            &text(&device.certificate),
            "-inkey",
            &text(&device.key),
            "-out",
            &text(password),
        ],
        &[],
    )?;
    // Without -noenc and an output OpenSSL checks the MAC alone; this decrypts key and certificates too, and keeps neither.
    run(
        Path::new(OPENSSL),
        &[
            "pkcs12",
            "-in",
            &text(pfx),
            "-passin",
            &format!("file:{}", password.display()),
            "-noenc",
            "-out",
            "/dev/null",
        ],
        &[],
    )?;
    Ok(())
}
