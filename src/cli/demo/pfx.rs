//! People's PFX files, made by OpenSSL and GnuTLS with different algorithms.

use super::error::DemoError;
use super::pki::{OPENSSL, Pki};
use super::process::run;
use super::stack::write_private;
use std::path::{Path, PathBuf};

/// A person with a PFX file and its password, as an administrator would have them.
#[derive(Debug, Clone)]
pub struct Person {
    /// User principal name.
    pub user: String,
    /// The PFX file.
    pub pfx: PathBuf,
    /// The certificate in it (PEM), as the authority issued it.
    pub certificate: PathBuf,
    /// File with its password.
    pub password_file: PathBuf,
    /// How the PFX was made, for people.
    pub made_by: &'static str,
}

/// Who makes a PFX, and with which options.
enum Maker {
    OpenSsl(&'static [&'static str]),
    GnuTls(&'static str),
}

const MAKERS: [(&str, Maker); 4] = [
    ("OpenSSL, AES-256, HMAC SHA-256", Maker::OpenSsl(&[])),
    (
        "OpenSSL, AES-128, HMAC SHA-1 MAC",
        Maker::OpenSsl(&[
            "-keypbe",
            "AES-128-CBC",
            "-certpbe",
            "AES-128-CBC",
            "-macalg",
            "sha1",
        ]),
    ),
    (
        "OpenSSL, AES-256, 100,000 iterations, SHA-512 MAC",
        Maker::OpenSsl(&["-macalg", "sha512", "-iter", "100000"]),
    ),
    ("GnuTLS, AES-256", Maker::GnuTls("aes-256")),
];

impl Person {
    /// Makes key, certificate and PFX of person number `index` below `folder`, with a random password.
    ///
    /// # Errors
    /// What OpenSSL or GnuTLS said.
    pub fn make(pki: &Pki, folder: &Path, index: usize) -> Result<Self, DemoError> {
        let user = format!("person{index}@demo.example");
        let (key, certificate_file) = pki.person(index, &user)?;
        let pfx = folder.join(format!("person-{index}.pfx"));
        let password_file = folder.join(format!("person-{index}.password"));
        let password = fips::random::alphanumeric(24)
            .map_err(|error| DemoError::step("password", error.to_string()))?;
        write_private(&password_file, password.expose())?;
        let maker = index % MAKERS.len();
        let Some((made_by, maker)) = MAKERS.get(maker) else {
            return Err(DemoError::step("PFX", "no maker"));
        };
        let (key, certificate, out) = (
            key.display().to_string(),
            certificate_file.display().to_string(),
            pfx.display().to_string(),
        );
        match maker {
            Maker::OpenSsl(options) => {
                let password_source = format!("file:{}", password_file.display());
                let mut arguments = vec![
                    "pkcs12",
                    "-export",
                    "-name",
                    user.as_str(),
                    "-inkey",
                    &key,
                    "-in",
                    &certificate,
                    "-out",
                    &out,
                    "-passout",
                    &password_source,
                ];
                arguments.extend(*options);
                run(Path::new(OPENSSL), &arguments, &[])?;
            }
            Maker::GnuTls(cipher) => {
                // certtool takes the password from a template file, so that it is no argument.
                let template = folder.join(format!("person-{index}.template"));
                let mut text = format!("pkcs12_key_name = \"{user}\"\npassword = \"").into_bytes();
                text.extend_from_slice(password.expose());
                text.extend_from_slice(b"\"\n");
                write_private(&template, &text)?;
                zeroize::Zeroize::zeroize(&mut text);
                run(
                    Path::new("certtool"),
                    &[
                        "--to-p12",
                        "--outder",
                        "--load-privkey",
                        &key,
                        "--load-certificate",
                        &certificate,
                        "--pkcs-cipher",
                        cipher,
                        "--template",
                        &template.display().to_string(),
                        "--outfile",
                        &out,
                    ],
                    &[],
                )?;
                std::fs::remove_file(&template)
                    .map_err(|error| DemoError::io("remove", &template, error))?;
            }
        }
        Ok(Self {
            user,
            pfx,
            certificate: certificate_file,
            password_file,
            made_by,
        })
    }
}
