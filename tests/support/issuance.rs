//! Keys that an engine makes for certificates, and authorities that issue them: OpenSSL, which we did not write.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

use super::openssl::{Authority, Device, Workshop, openssl, text};
use pfx_connector::encoding::Base64Bytes;
use pfx_connector::engine::api::keys::{
    AltName, CsrContent, CsrSignature, KeyType, KeyUsage, MadeKey, MakeKeyRequest, PackRequest,
    Packed,
};
use pfx_connector::engine::api::{CmsFormat, DeviceTarget};

/// A request for a key for Ada.
pub fn key_request(id: &str, key: KeyType) -> MakeKeyRequest {
    MakeKeyRequest {
        request_id: id.to_owned(),
        user: "ada@example.org".to_owned(),
        key,
        signature: CsrSignature::Usual,
        csr: CsrContent {
            subject: "CN=Ada Lovelace,OU=Analysis,O=\"Engines, Inc.\"".to_owned(),
            alt_names: vec![
                AltName::Email("ada@example.org".to_owned()),
                AltName::Upn("ada@corp.example.org".to_owned()),
            ],
            key_usage: vec![KeyUsage::DigitalSignature],
            extended_key_usage: vec![
                // emailProtection and clientAuth (RFC 5280 section 4.2.1.12).
                "1.3.6.1.5.5.7.3.4".to_owned(),
                "1.3.6.1.5.5.7.3.2".to_owned(),
            ],
            ..CsrContent::default()
        },
        custody_key: None,
        recipient: None,
    }
}

/// How a certificate is issued for a CSR.
pub struct Grant<'a> {
    /// Extensions as the CSR asks for them.
    pub as_asked: bool,
    /// Further lines of an OpenSSL extension section.
    pub extensions: &'a str,
    /// Another subject, as OpenSSL's `-subj` takes it.
    pub subject: Option<&'a str>,
    /// `YYYYMMDDHHMMSSZ`.
    pub not_before: &'a str,
    /// `YYYYMMDDHHMMSSZ`.
    pub not_after: &'a str,
    /// Hash of the signature.
    pub digest: &'a str,
}

impl Default for Grant<'_> {
    fn default() -> Self {
        Self {
            as_asked: true,
            extensions: "basicConstraints = critical, CA:FALSE",
            subject: None,
            not_before: "20200101000000Z",
            not_after: "20491231235959Z",
            digest: "sha256",
        }
    }
}

/// The certificate (DER) that `openssl ca` issues for a CSR (DER).
pub fn issue(
    workshop: &Workshop,
    authority: &Authority<'_>,
    csr: &[u8],
    grant: &Grant<'_>,
) -> Vec<u8> {
    let home = workshop.fresh(".issuing");
    std::fs::create_dir(&home).unwrap();
    std::fs::write(home.join("index"), "").unwrap();
    std::fs::write(home.join("index.attr"), "unique_subject = no\n").unwrap();
    let attributes = [
        "commonName",
        "organizationName",
        "organizationalUnitName",
        "countryName",
    ]
    .map(|name| format!("{name} = optional\n"))
    .concat();
    let config = home.join("config");
    let copy = if grant.as_asked { "copyall" } else { "none" };
    std::fs::write(
        &config,
        format!(
            "[ca]\ndefault_ca = a\n[a]\ndatabase = {home}/index\nnew_certs_dir = {home}\nrand_serial = yes\npolicy = p\n\
             email_in_dn = no\npreserve = yes\ncopy_extensions = {copy}\n[p]\n{attributes}[e]\n{extensions}\n",
            home = home.display(),
            extensions = grant.extensions,
        ),
    )
    .unwrap();
    let (request, out) = (workshop.file(csr), home.join("out.pem"));
    let mut arguments = vec![
        "ca",
        "-batch",
        "-notext",
        "-utf8",
        "-config",
        text(&config),
        "-inform",
        "DER",
        "-in",
        text(&request),
        "-out",
        text(&out),
        "-startdate",
        grant.not_before,
        "-enddate",
        grant.not_after,
        "-md",
        grant.digest,
        "-extensions",
        "e",
        "-cert",
        text(&authority.certificate),
        "-keyfile",
        text(&authority.key),
    ];
    if let Some(subject) = grant.subject {
        arguments.extend(["-subj", subject]);
    }
    openssl(&arguments);
    openssl(&["x509", "-in", text(&out), "-outform", "DER"])
}

/// A request to pack what was made with what was issued.
pub fn pack_request(
    id: &str,
    made: &MadeKey,
    certificate: Vec<u8>,
    chain: &[Vec<u8>],
    device: &Device<'_>,
) -> PackRequest {
    PackRequest {
        request_id: id.to_owned(),
        user: "ada@example.org".to_owned(),
        sealed_key: made.sealed_key.clone(),
        csr: made.csr.clone(),
        certificate: Base64Bytes(certificate),
        chain: chain.iter().cloned().map(Base64Bytes).collect(),
        device: DeviceTarget {
            certificate: Base64Bytes(device.der()),
            intermediates: Vec::new(),
        },
        platform: "windows".to_owned(),
        format: CmsFormat::Modern,
        friendly_name: Some("Mail".to_owned()),
        apple_profile: None,
    }
}

/// What `openssl req` says of a CSR (DER) whose signature it has verified.
pub fn verified_csr(workshop: &Workshop, csr: &[u8]) -> String {
    let file = workshop.file(csr);
    let arguments = [
        "req",
        "-inform",
        "DER",
        "-in",
        text(&file),
        "-noout",
        "-verify",
        "-text",
    ];
    // Both are needed: 3.0 says on standard error whether it verifies, and ends with 0 in either case.
    let output = std::process::Command::new("openssl")
        .args(arguments)
        .output()
        .expect("this test needs the program `openssl`");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && errors.contains("self-signature verify OK"),
        "{errors}"
    );
    String::from_utf8(output.stdout).unwrap()
}

/// The PFX that a device gets, and its password: decrypted by OpenSSL with the device's key.
pub fn opened_by_device(device: &Device<'_>, packed: &Packed) -> (Vec<u8>, String) {
    let password = device.decrypt_cms(packed.encrypted_password.as_slice());
    let password = String::from_utf8(password).unwrap();
    assert!(
        password.len() >= 24 && password.bytes().all(|byte| byte.is_ascii_alphanumeric()),
        "a fresh password"
    );
    (
        device.decrypt_cms(packed.encrypted_pfx.as_slice()),
        password,
    )
}

/// What OpenSSL finds in a PFX: everything as PEM.
pub fn pfx_content(workshop: &Workshop, pfx: &[u8], password: &str) -> String {
    let file = workshop.file(pfx);
    let password = format!("pass:{password}");
    let arguments = ["pkcs12", "-in", text(&file), "-noenc", "-passin", &password];
    String::from_utf8(openssl(&arguments)).unwrap()
}

/// The public half (DER) of the first private key in a text of PEM blocks.
pub fn public_of_key(workshop: &Workshop, pem: &str) -> Vec<u8> {
    let file = workshop.file(pem.as_bytes());
    openssl(&["pkey", "-in", text(&file), "-pubout", "-outform", "DER"])
}
