//! What is left in memory when a PFX has been read or written: nothing of the password and nothing of the key, however it ended. (How much
//! memory it takes is in `formats/tests/bounds.rs`.) Here, and not in crate `formats`, because an allocator cannot be written without `unsafe`.
//!
//! What the module allocates itself is none of this allocator's: it overwrites every block that it gives back (OPENSSL_free).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    missing_docs
)]

#[path = "../common/mod.rs"]
mod common;
mod watching;

use common::{Temporary, openssl};
use fips::secret::SecretBytes;
use formats::pfx::write::{Entries, Form, WriteOptions, write};
use formats::pfx::{self, PfxLimits};
use watching::{NOTHING, watch};

#[global_allocator]
static ALLOCATOR: watching::Watching = watching::Watching;

const PASSWORD: &str = "Kk7-never-left-behind-Zz9";
const WRONG: &str = "Kk7-another-never-left-Zz9";

/// The bytes for as long as the process lives, so that they are never given back themselves.
fn forever(bytes: Vec<u8>) -> &'static [u8] {
    Box::leak(bytes.into_boxed_slice())
}

fn bmp(password: &str) -> Vec<u8> {
    password.encode_utf16().flat_map(u16::to_be_bytes).collect()
}

struct Made {
    name: &'static str,
    pfx: Vec<u8>,
}

/// One key in files of every kind of protection, few iterations each, and 16 bytes from the middle of its private half.
fn files(algorithm: &[&str]) -> (Vec<Made>, &'static [u8]) {
    let key = openssl(&[&["genpkey"], algorithm].concat(), b"");
    let key_file = Temporary::new(&key);
    let subject = [
        "req",
        "-x509",
        "-new",
        "-subj",
        "/CN=memory",
        "-key",
        key_file.path(),
    ];
    let certificate = Temporary::new(&openssl(&subject, b""));
    let pkcs8 = openssl(
        &[
            "pkcs8",
            "-topk8",
            "-nocrypt",
            "-outform",
            "DER",
            "-in",
            key_file.path(),
        ],
        b"",
    );
    // An EC private key of 32 bytes begins at 36 of its PKCS#8; the private exponent of RSA 2048 is from about 300 to 550.
    let at = if pkcs8.len() < 200 { 40 } else { 400 };
    let secret = forever(pkcs8[at..at + 16].to_vec());
    let made = |name, options: &[&str]| {
        let password = format!("pass:{PASSWORD}");
        let base = [
            "pkcs12",
            "-export",
            "-inkey",
            key_file.path(),
            "-in",
            certificate.path(),
            "-passout",
            &password,
            "-iter",
            "2",
            "-provider",
            "legacy",
            "-provider",
            "default",
        ];
        Made {
            name,
            pfx: openssl(&[&base, options].concat(), b""),
        }
    };
    let files = vec![
        made("PBES2", &[]),
        made("PBES2 without MAC", &["-nomac"]),
        made(
            "3DES and RC2",
            &["-keypbe", "PBE-SHA1-3DES", "-certpbe", "PBE-SHA1-RC2-40"],
        ),
        made(
            "RC4 without MAC",
            &[
                "-keypbe",
                "PBE-SHA1-RC4-128",
                "-certpbe",
                "PBE-SHA1-RC4-40",
                "-nomac",
            ],
        ),
        made(
            "PBES1",
            &[
                "-keypbe",
                "PBE-MD5-DES",
                "-certpbe",
                "PBE-SHA1-RC2-64",
                "-nomac",
            ],
        ),
        made("key in clear", &["-keypbe", "NONE"]),
        made(
            "key in clear within an encrypted part, without MAC",
            &["-keypbe", "NONE", "-certpbe", "AES-256-CBC", "-nomac"],
        ),
    ];
    (files, secret)
}

/// One test, since allocator and counters are the process'.
#[test]
fn nothing_of_password_and_key_is_left_behind() {
    common::begin();
    let seen = watch(forever_all(vec![forever(PASSWORD.into())]), || {
        drop(PASSWORD.as_bytes().to_vec());
    });
    assert_eq!(seen.blocks, 1, "the allocator would see it");

    for algorithm in [
        &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"][..],
        &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
    ] {
        let (files, key) = files(algorithm);
        let secrets = forever_all(vec![
            forever(PASSWORD.into()),
            forever(bmp(PASSWORD)),
            forever(WRONG.into()),
            forever(bmp(WRONG)),
            key,
        ]);
        for file in &files {
            nothing_is_left(file, secrets);
        }
        nothing_is_left_of_writing(&files[0], secrets);
    }
}

fn forever_all(secrets: Vec<&'static [u8]>) -> &'static [&'static [u8]] {
    Box::leak(secrets.into_boxed_slice())
}

fn nothing_is_left(file: &Made, secrets: &'static [&'static [u8]]) {
    let limits = PfxLimits::default();
    let name = file.name;
    let read = |bytes: &[u8], password: &str| {
        let password = SecretBytes::from_slice(password.as_bytes());
        pfx::read(bytes, &password, &limits).map(|opened| {
            let identity = opened.identity().map(|identity| identity.facts().is_ok());
            assert!(identity.is_ok() || bytes != file.pfx);
        })
    };
    let password = SecretBytes::from_slice(PASSWORD.as_bytes());
    let key = pfx::read(&file.pfx, &password, &limits).expect(name);
    let (pkcs8, part) = (key.keys()[0].pkcs8().expose(), secrets[secrets.len() - 1]);
    assert!(
        pkcs8.windows(part.len()).any(|window| window == part),
        "{name}: what is looked for is not in the key"
    );
    drop(key);
    let opened = watch(secrets, || read(&file.pfx, PASSWORD).expect(name));
    assert_eq!(opened, NOTHING, "{name}: opened");
    let refused = watch(secrets, || {
        // With a key in clear and no MAC there is nothing that would refuse.
        let _ = read(&file.pfx, WRONG);
    });
    assert_eq!(refused, NOTHING, "{name}: a wrong password");
    let mut changed = file.pfx.clone();
    let (mut failed, mut tried) = (0, 0);
    // A key in clear in the file itself is in no secret's place before it is read: the copy that is changed here is not watched.
    for at in (0..file.pfx.len()).step_by(5) {
        for bit in [1, 0x80] {
            changed[at] ^= bit;
            let left = watch(secrets, || {
                tried += 1;
                failed += usize::from(read(&changed, PASSWORD).is_err());
            });
            assert_eq!(left, NOTHING, "{name}: with octet {at} changed by {bit}");
            changed[at] ^= bit;
        }
    }
    for end in (0..file.pfx.len()).step_by(61) {
        let left = watch(secrets, || drop(read(&file.pfx[..end], PASSWORD)));
        assert_eq!(left, NOTHING, "{name}: cut off at {end}");
    }
    println!("{name}: {failed} of {tried} changed files refused");
    assert!(failed > 0, "{name}: no change was refused");
}

/// The writer, for every form and for what it refuses; the result itself is not secret.
fn nothing_is_left_of_writing(file: &Made, secrets: &'static [&'static [u8]]) {
    let password = SecretBytes::from_slice(PASSWORD.as_bytes());
    let opened = pfx::read(&file.pfx, &password, &PfxLimits::default()).expect(file.name);
    let certificate = opened.certificates()[0].der();
    let pkcs8 = opened.keys()[0].pkcs8();
    let entries = Entries::identity(pkcs8, certificate, &[], Some("memory"));
    for form in [Form::Approved, Form::Compatible, Form::Legacy3Des] {
        let options = WriteOptions::new(form);
        let mut written = Vec::new();
        let left = watch(secrets, || {
            let password = SecretBytes::from_slice(PASSWORD.as_bytes());
            written = write(&entries, &password, &options).unwrap();
        });
        assert_eq!(left, NOTHING, "{form}: written");
        let again = pfx::read(&written, &password, &PfxLimits::default()).unwrap();
        assert!(again.keys()[0].pkcs8().ct_eq(pkcs8.expose()), "{form}");
    }
    // A key that is none, with the secret in it.
    let mut broken = SecretBytes::from_slice(pkcs8.expose());
    broken.expose_mut()[0] ^= 1;
    let entries = Entries::identity(&broken, certificate, &[], None);
    let left = watch(secrets, || {
        assert!(write(&entries, &password, &WriteOptions::new(Form::Compatible)).is_err());
    });
    assert_eq!(left, NOTHING, "a key that is refused");
}
