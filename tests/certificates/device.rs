//! What a device does with what it is given: OpenSSL decrypts it and opens the PFX, and plistlib reads configuration profiles.

use super::openssl::{openssl, text, try_openssl};
use super::{plist, python};
use pfx_connector::cli::demo::Device;
use pfx_connector::encoding::Base64Bytes;
use pfx_connector::engine::api::Delivery as DeliveryKind;
use pfx_connector::gateway::api::Delivery;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Has the MAC of a PFX verified, and key and certificate decrypted, by an OpenSSL that knows PBMAC1 (RFC 9579).
const OPEN: &str = "
import sys
from cryptography.hazmat.primitives.serialization import pkcs12
key, certificate, others = pkcs12.load_key_and_certificates(open(sys.argv[1], 'rb').read(), open(sys.argv[2], 'rb').read())
assert key.public_key() == certificate.public_key()
";

/// A PFX that a device has opened, in a folder that is gone with it.
pub(crate) struct Opened {
    folder: TempDir,
    /// What OpenSSL says of the certificate.
    pub(crate) certificate: String,
    /// The content of a configuration profile, where it came in one.
    pub(crate) profile: Option<Leaves>,
}

type Leaves = std::collections::BTreeMap<String, (String, Vec<u8>)>;

impl Opened {
    /// The private key (PEM).
    pub(crate) fn key(&self) -> PathBuf {
        self.folder.path().join("key")
    }

    /// The certificate (PEM).
    pub(crate) fn pem(&self) -> PathBuf {
        self.folder.path().join("pem")
    }
}

/// Opens what the device was given; the key has to be the certificate's, and the certificate to chain to `roots`.
pub(crate) fn open(device: &Device, delivery: &Delivery, roots: &Path) -> Opened {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let mut profile = None;
    match delivery.delivery {
        DeliveryKind::AppleProfile => {
            assert!(delivery.encrypted_pfx.is_empty() && delivery.encrypted_password.is_empty());
            let outer = plist::leaves(delivery.profile.as_slice());
            let sealed = plist::data(&outer, "/EncryptedPayloadContent");
            decrypt(device, &Base64Bytes(sealed), &file("content"));
            let inner = plist::leaves(&std::fs::read(file("content")).unwrap());
            std::fs::write(file("pfx"), plist::data(&inner, "/0/PayloadContent")).unwrap();
            std::fs::write(file("password"), plist::string(&inner, "/0/Password")).unwrap();
            profile = Some(outer.into_iter().chain(inner).collect());
        }
        _ => {
            decrypt(device, &delivery.encrypted_pfx, &file("pfx"));
            decrypt(device, &delivery.encrypted_password, &file("password"));
        }
    }
    let password = format!("file:{}", file("password").display());
    let pfx = file("pfx");
    let arguments = ["pkcs12", "-in", text(&pfx), "-passin", &password];
    let with = |more: &[&'static str]| [&arguments[..], more].concat();
    // OpenSSL 3.0 decrypts what is under PBMAC1 and cannot verify it; another one does that.
    let mac: &[&str] = match try_openssl(&with(&["-noout"])) {
        Ok(_) => &[],
        Err(_) => {
            let password = file("password");
            let opened = python::interpreter()
                .args(["-c", OPEN, text(&pfx), text(&password)])
                .output()
                .unwrap();
            assert!(opened.status.success(), "{opened:?}");
            &["-nomacver"]
        }
    };
    let certificate = openssl(&[&with(&["-nokeys", "-clcerts"])[..], mac].concat());
    std::fs::write(file("pem"), certificate).unwrap();
    let key = openssl(&[&with(&["-nocerts", "-noenc"])[..], mac].concat());
    std::fs::write(file("key"), key).unwrap();
    let (pem, key) = (file("pem"), file("key"));
    assert_eq!(
        openssl(&["x509", "-in", text(&pem), "-noout", "-pubkey"]),
        openssl(&["pkey", "-in", text(&key), "-pubout"]),
        "the key is not the certificate's"
    );
    openssl(&["verify", "-CAfile", text(roots), text(&pem)]);
    let shown = openssl(&["x509", "-in", text(&pem), "-noout", "-text"]);
    Opened {
        certificate: String::from_utf8(shown).unwrap(),
        folder,
        profile,
    }
}

fn decrypt(device: &Device, cms: &Base64Bytes, out: &Path) {
    let file = out.with_extension("cms");
    std::fs::write(&file, cms.as_slice()).unwrap();
    openssl(&[
        "cms",
        "-decrypt",
        "-binary",
        "-inform",
        "DER",
        "-in",
        text(&file),
        "-recip",
        text(&device.certificate),
        "-inkey",
        text(&device.key),
        "-out",
        text(out),
    ]);
}
