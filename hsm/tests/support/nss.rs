//! NSS softoken, from the distribution's packages. Several tokens, each a database of its own.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::tools;

/// Variables that make its databases cheap: their content is encrypted under a key that is derived from the PIN in some ten thousand
/// iterations, for every use of every key. What the tests look at is the same with one.
pub const ENVIRONMENT: [(&str, &str); 2] = [
    ("NSS_MIN_MP_PBE_ITERATION_COUNT", "1"),
    ("NSS_MAX_MP_PBE_ITERATION_COUNT", "1"),
];

pub struct Nss {
    pub module: PathBuf,
    pub init_parameters: String,
    /// Where the databases are.
    pub tokens: PathBuf,
}

/// NSS with so many tokens below `folder`, with the labels `test-0`, `test-1` ... and the same PIN.
pub fn set_up(folder: &Path, tokens: usize, pin: &str) -> Nss {
    let module = tools::module(
        "NSS_MODULE",
        tools::library("libsoftokn3.so"),
        "install the package libnss3",
    );
    let databases = folder.join("nss");
    let first = databases.join("0");
    std::fs::create_dir_all(&first).unwrap();
    let pin_file = folder.join("nss-pin");
    std::fs::write(&pin_file, pin).unwrap();
    // A folder that is named by a text within a text within a text: without anything that would end one of them.
    let text = databases.to_str().unwrap();
    assert!(
        !text.contains(['\'', '"', '\\', '[', ']', '<', '>']),
        "{text}"
    );
    tools::run(
        Command::new("certutil")
            .args(["-N", "-d", &format!("sql:{text}/0"), "-f"])
            .arg(&pin_file)
            .envs(ENVIRONMENT),
        "install the package libnss3-tools",
    );
    // The numbers of slots that NSS leaves to its users begin at 4.
    let mut init_parameters = String::from("configdir='' tokens=<");
    for token in 0..tokens {
        let database = databases.join(token.to_string());
        if token > 0 {
            std::fs::create_dir(&database).unwrap();
            for file in ["cert9.db", "key4.db", "pkcs11.txt"] {
                std::fs::copy(first.join(file), database.join(file)).unwrap();
            }
        }
        write!(
            init_parameters,
            "{}=[configdir='sql:{text}/{token}' tokenDescription='test-{token}'] ",
            token + 4
        )
        .unwrap();
    }
    init_parameters.push('>');
    Nss {
        module,
        init_parameters,
        tokens: databases,
    }
}
