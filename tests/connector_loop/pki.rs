//! Certificates for both ends, made with openssl.

use std::path::{Path, PathBuf};
use std::process::Command;

pub(crate) struct Pki {
    pub(crate) folder: PathBuf,
}

fn openssl(folder: &Path, args: &str) {
    let output = Command::new("openssl")
        .args(args.split(' '))
        .current_dir(folder)
        .output()
        .expect("these tests need the program `openssl`");
    assert!(
        output.status.success(),
        "openssl {args}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

impl Pki {
    /// `ca.pem`, `server.pem`/`server.key` for 127.0.0.1, `client.pem`/`client.key`.
    pub(crate) fn new(folder: &Path) -> Self {
        let ec = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
        openssl(
            folder,
            &format!("req -x509 {ec} -keyout ca.key -out ca.pem -subj /CN=test-ca -days 2"),
        );
        std::fs::write(folder.join("server.ext"), "subjectAltName=IP:127.0.0.1\n").unwrap();
        std::fs::write(folder.join("client.ext"), "extendedKeyUsage=clientAuth\n").unwrap();
        for name in ["server", "client"] {
            openssl(
                folder,
                &format!("req -new {ec} -keyout {name}.key -out {name}.csr -subj /CN={name}"),
            );
            openssl(
                folder,
                &format!(
                    "x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out {name}.pem -days 2 -extfile {name}.ext"
                ),
            );
            use std::os::unix::fs::PermissionsExt;
            std::fs::set_permissions(
                folder.join(format!("{name}.key")),
                std::fs::Permissions::from_mode(0o600),
            )
            .unwrap();
        }
        Self {
            folder: folder.to_owned(),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}
