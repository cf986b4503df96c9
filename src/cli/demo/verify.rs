//! The independent reader: OpenSSL decrypts what was delivered, and opens the PFX with the password that came out.

use super::error::DemoError;
use super::pki::{Device, OPENSSL};
use super::process::run;
use super::stack::write_private;
use crate::engine::api::Delivery as DeliveryKind;
use crate::gateway::api::Delivery;
use std::path::{Path, PathBuf};

/// Has Python take a property list apart: each line of what it prints is a value as hexadecimal digits.
const PYTHON: &str = "python3";
const PROFILE_CONTENT: &str = "import plistlib,sys; print(plistlib.load(open(sys.argv[1],'rb'))['EncryptedPayloadContent'].hex())";
const PAYLOADS: &str = "import plistlib,sys
for p in plistlib.load(open(sys.argv[1],'rb')): print(p['PayloadContent'].hex()); print(p['Password'].encode().hex())";

/// Checks one delivery as the device would use it. Files are left in `folder` under the request's name only while it runs.
///
/// # Errors
/// What OpenSSL said when it could not decrypt the password or open the PFX, or Python of a profile.
pub fn verify(folder: &Path, device: &Device, delivery: &Delivery) -> Result<(), DemoError> {
    let mut files = Files {
        folder,
        name: &delivery.request_id,
        made: Vec::new(),
    };
    let opened = files.open_all(device, delivery);
    for path in &files.made {
        std::fs::remove_file(path).map_err(|error| DemoError::io("remove", path, error))?;
    }
    opened
}

struct Files<'a> {
    folder: &'a Path,
    name: &'a str,
    made: Vec<PathBuf>,
}

impl Files<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<PathBuf, DemoError> {
        let path = self
            .folder
            .join(format!("{}.{}", self.name, self.made.len()));
        write_private(&path, bytes)?;
        self.made.push(path.clone());
        Ok(path)
    }

    fn open_all(&mut self, device: &Device, delivery: &Delivery) -> Result<(), DemoError> {
        match delivery.delivery {
            DeliveryKind::Password => {
                let pfx = self.write(delivery.pfx.as_slice())?;
                let password = self.decrypt(device, delivery.encrypted_password.as_slice())?;
                open(&pfx, &password)
            }
            DeliveryKind::Rewrap => {
                let pfx = self.decrypt(device, delivery.encrypted_pfx.as_slice())?;
                let password = self.decrypt(device, delivery.encrypted_password.as_slice())?;
                open(&pfx, &password)
            }
            DeliveryKind::AppleProfile => {
                let profile = self.write(delivery.profile.as_slice())?;
                let sealed = self.values(PROFILE_CONTENT, &profile)?;
                let [sealed] = sealed.as_slice() else {
                    return Err(DemoError::step(self.name, "the profile has no content"));
                };
                let content = self.decrypt(device, sealed)?;
                let values = self.values(PAYLOADS, &content)?;
                let (payloads, []) = values.as_chunks::<2>() else {
                    return Err(DemoError::step(self.name, "a payload without a password"));
                };
                if payloads.is_empty() {
                    return Err(DemoError::step(self.name, "the profile has no certificate"));
                }
                for [pfx, password] in payloads {
                    let (pfx, password) = (self.write(pfx)?, self.write(password)?);
                    open(&pfx, &password)?;
                }
                Ok(())
            }
        }
    }

    /// What Python prints of a property list.
    fn values(&self, script: &str, list: &Path) -> Result<Vec<Vec<u8>>, DemoError> {
        let list = list.display().to_string();
        let printed = run(Path::new(PYTHON), &["-c", script, &list], &[])?;
        String::from_utf8_lossy(&printed.stdout)
            .lines()
            .map(|line| {
                crate::encoding::from_hex(line)
                    .ok_or_else(|| DemoError::step(self.name, "not what was to be printed"))
            })
            .collect()
    }

    /// Has OpenSSL decrypt a CMS message, as the device.
    fn decrypt(&mut self, device: &Device, cms: &[u8]) -> Result<PathBuf, DemoError> {
        let text = |path: &Path| path.display().to_string();
        let cms = self.write(cms)?;
        let clear = self.write(b"")?;
        run(
            Path::new(OPENSSL),
            &[
                "cms",
                "-decrypt",
                "-binary",
                "-inform",
                "DER",
                "-in",
                &text(&cms),
                "-recip",
                &text(&device.certificate),
                "-inkey",
                &text(&device.key),
                "-out",
                &text(&clear),
            ],
            &[],
        )?;
        Ok(clear)
    }
}

/// Has OpenSSL open a PFX. Without -noenc and an output it checks the MAC alone; this decrypts key and certificates too, and keeps neither.
fn open(pfx: &Path, password: &Path) -> Result<(), DemoError> {
    run(
        Path::new(OPENSSL),
        &[
            "pkcs12",
            "-in",
            &pfx.display().to_string(),
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
