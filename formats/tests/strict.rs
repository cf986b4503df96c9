//! What the readers do in strict FIPS mode: open what is approved, refuse the rest by the algorithm's name before it is used, and open it, counted,
//! where the exception is named.
//!
//! The policy is a process', so each test runs its other half in a process of its own.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

#[path = "support/asn1.rs"]
mod asn1;
#[path = "../../tests/support/openssl.rs"]
mod openssl;

use asn1::{bag, certificate, der, pfx as file, sequence};
use fips::policy::{self, Exception, Policy, Service};
use fips::secret::SecretBytes;
use formats::cms::{self, CmsError, CmsLimits, RecipientKey};
use formats::pfx::write::{Entries, Form, WriteOptions, write};
use formats::pfx::{self, OpenedPfx, PfxError, PfxLimits};
use openssl::{Device, KeyAlgorithm, Workshop, openssl, text};

const PASSWORD: &str = "a password of 14 bytes or more";
const CONTENT: &[u8] = b"correct horse battery staple";

/// Runs the ignored test `name` of this file in a process of its own, and fails as it does.
fn elsewhere(name: &str) {
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--ignored", "--nocapture"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn under(exceptions: impl IntoIterator<Item = Exception>) {
    fips::start(Policy::strict_except(exceptions)).unwrap();
}

/// How often a service was performed in this process.
fn performed(service: Service) -> u64 {
    let counts = policy::counts();
    let count = counts.iter().find(|count| count.service == service);
    count.unwrap().performed()
}

fn read(file: &[u8]) -> Result<OpenedPfx, PfxError> {
    let password = SecretBytes::from_slice(PASSWORD.as_bytes());
    pfx::read(file, &password, &PfxLimits::default())
}

fn pkcs8(device: &Device<'_>) -> Vec<u8> {
    let key = text(&device.key);
    openssl(&["pkcs8", "-topk8", "-nocrypt", "-outform", "DER", "-in", key])
}

/// PBES2 with PBKDF2 (HMAC-SHA-256, 2048 iterations, a salt of 16 bytes) and this cipher with its vector.
fn pbes2(cipher: &[u8], vector: &[u8]) -> Vec<u8> {
    let null = [5, 0];
    let prf = sequence(&[b"\x06\x08\x2a\x86\x48\x86\xf7\x0d\x02\x09", &null]);
    let parameters = sequence(&[&der(4, &[7; 16]), b"\x02\x02\x08\x00", &prf]);
    let kdf = sequence(&[b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x05\x0c", &parameters]);
    let cipher = sequence(&[cipher, &der(4, vector)]);
    sequence(&[
        b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x05\x0d",
        &sequence(&[&kdf, &cipher]),
    ])
}

const AES_256_CBC: &[u8] = b"\x06\x09\x60\x86\x48\x01\x65\x03\x04\x01\x2a";
const DES_EDE3_CBC: &[u8] = b"\x06\x08\x2a\x86\x48\x86\xf7\x0d\x03\x07";

/// The device's key and certificate, without a MAC, the key encrypted by OpenSSL with approved algorithms alone.
fn approved_by_openssl(workshop: &Workshop, device: &Device<'_>) -> Vec<u8> {
    let derived = openssl(&[
        "kdf",
        "-keylen",
        "32",
        "-kdfopt",
        "digest:SHA256",
        "-kdfopt",
        &format!("pass:{PASSWORD}"),
        "-kdfopt",
        &format!("hexsalt:{}", "07".repeat(16)),
        "-kdfopt",
        "iter:2048",
        "PBKDF2",
    ]);
    let key = String::from_utf8(derived).unwrap().trim().replace(':', "");
    let plain = workshop.file(&pkcs8(device));
    let vector = "09".repeat(16);
    let encrypted = openssl(&[
        "enc",
        "-aes-256-cbc",
        "-K",
        &key,
        "-iv",
        &vector,
        "-in",
        text(&plain),
    ]);
    with_key(device, &pbes2(AES_256_CBC, &[9; 16]), &encrypted)
}

fn with_key(device: &Device<'_>, algorithm: &[u8], ciphertext: &[u8]) -> Vec<u8> {
    let shrouded = sequence(&[algorithm, &der(4, ciphertext)]);
    file(&sequence(&[
        &bag(2, &shrouded, &[]),
        &bag(3, &certificate(&device.der()), &[]),
    ]))
}

/// What OpenSSL writes with these options.
fn old_file(device: &Device<'_>, options: &[&str]) -> Vec<u8> {
    let legacy = ["-provider", "legacy", "-provider", "default"];
    device.pfx(PASSWORD, &[&legacy[..], options].concat())
}

#[test]
fn strict_mode_opens_what_is_approved_and_refuses_the_rest_by_name() {
    elsewhere("strict_without_exceptions");
}

#[test]
#[ignore = "the other half of strict_mode_opens_what_is_approved_and_refuses_the_rest_by_name"]
fn strict_without_exceptions() {
    under([]);
    let workshop = Workshop::new();
    let root = workshop.authority("Root", KeyAlgorithm::P256);
    let ada = root.device("ada", KeyAlgorithm::Rsa(2048));

    let by_others = approved_by_openssl(&workshop, &ada);
    let key = SecretBytes::from_vec(pkcs8(&ada));
    let chain = [root.der()];
    let chain: Vec<&[u8]> = chain.iter().map(Vec::as_slice).collect();
    let der = ada.der();
    let entries = Entries::identity(&key, &der, &chain, Some("Ada"));
    let ours = write(
        &entries,
        &SecretBytes::from_slice(PASSWORD.as_bytes()),
        &WriteOptions::new(Form::Approved),
    )
    .unwrap();
    for approved in [by_others, ours] {
        let opened = read(&approved).unwrap();
        assert_eq!(opened.identity().unwrap().certificate(), der);
        assert!(opened.survey().algorithms().all(|used| used.approved));
    }
    assert!(performed(Service::Pbkdf2) > 0 && performed(Service::AesCbc) > 0);

    let clear = ["-keypbe", "NONE", "-certpbe", "NONE"];
    let without_mac = |key: &'static str| ["-nomac", "-certpbe", "NONE", "-keypbe", key];
    let junk = with_key(&ada, &pbes2(DES_EDE3_CBC, &[9; 8]), &[0; 64]);
    for (named, old) in [
        (
            "key derivation from a password (PKCS#12)",
            old_file(&ada, &clear),
        ),
        (
            "key derivation from a password (PKCS#12)",
            old_file(&ada, &without_mac("PBE-SHA1-3DES")),
        ),
        (
            "key derivation from a password (PBKDF1)",
            old_file(&ada, &without_mac("PBE-MD5-DES")),
        ),
        // OpenSSL 3.0 takes a salt of 8 bytes.
        (
            "key derivation from a password (PBKDF2) out of bounds",
            old_file(&ada, &without_mac("AES-256-CBC")),
        ),
        ("decryption with Triple DES", junk),
    ] {
        let error = read(&old).err().expect(named);
        assert_eq!(error.code(), "not_approved", "{named}: {error}");
        let message = error.to_string();
        assert!(message.contains(named), "{named}: {message}");
        assert!(message.contains("pkcs12-legacy-read"), "{message}");
    }
    assert_eq!(policy::not_approved(), 0, "nothing of it was done");

    // Messages: the module may neither decrypt with RSA nor agree on keys with EC, so that none opens.
    let phone = root.device("phone", KeyAlgorithm::P256);
    for (exception, message, device) in [
        (
            "rsa-key-transport-in-module",
            oaep(&workshop, "-aes-256-cbc", &ada),
            &ada,
        ),
        (
            "cms-rsa-pkcs1v15",
            message(&workshop, "-aes-256-cbc", &ada, &[]),
            &ada,
        ),
        (
            "cms-ecdh-static",
            message(&workshop, "-aes-256-cbc", &phone, &[]),
            &phone,
        ),
    ] {
        let error = open(&message, device).expect_err(exception);
        assert_eq!(error.code(), "not_approved", "{error}");
        assert!(error.to_string().contains(exception), "{error}");
        // What it is can be said nevertheless.
        assert!(cms::look_at(&message, &CmsLimits::default()).is_ok());
    }
    assert_eq!(policy::not_approved(), 0, "nothing of it was done");
}

#[test]
fn the_exception_for_old_files_opens_them_and_each_use_is_counted() {
    elsewhere("strict_with_the_exception_for_old_files");
}

#[test]
#[ignore = "the other half of the_exception_for_old_files_opens_them_and_each_use_is_counted"]
fn strict_with_the_exception_for_old_files() {
    under([Exception::Pkcs12LegacyRead]);
    let workshop = Workshop::new();
    let root = workshop.authority("Root", KeyAlgorithm::P256);
    let ada = root.device("ada", KeyAlgorithm::Rsa(2048));
    for (options, services) in [
        (
            &[
                "-keypbe",
                "PBE-SHA1-3DES",
                "-certpbe",
                "PBE-SHA1-RC2-40",
                "-macalg",
                "sha1",
            ][..],
            &[
                Service::Pkcs12KdfRead,
                Service::TripleDesDecrypt,
                Service::Rc2Decrypt,
            ][..],
        ),
        (
            &[
                "-nomac",
                "-certpbe",
                "PBE-SHA1-RC4-128",
                "-keypbe",
                "PBE-MD5-DES",
            ],
            &[
                Service::Rc4Decrypt,
                Service::Pbkdf1,
                Service::DesDecrypt,
                Service::Pkcs12KdfRead,
            ],
        ),
        (
            &["-keypbe", "AES-256-CBC", "-certpbe", "AES-256-CBC"],
            &[Service::Pbkdf2OutOfBounds, Service::Pkcs12KdfRead],
        ),
    ] {
        let old = old_file(&ada, options);
        let before: Vec<u64> = services.iter().map(|used| performed(*used)).collect();
        let opened = read(&old).unwrap();
        assert_eq!(opened.identity().unwrap().certificate(), ada.der());
        for (service, before) in services.iter().zip(before) {
            let now = performed(*service);
            assert!(
                now > before,
                "{options:?}: {} is not counted",
                service.name()
            );
        }
    }
    // It is for files: messages keep their own exceptions.
    let error = open(&oaep(&workshop, "-aes-256-cbc", &ada), &ada)
        .err()
        .unwrap();
    assert!(
        error.to_string().contains("rsa-key-transport-in-module"),
        "{error}"
    );
}

#[test]
fn messages_open_where_their_exceptions_are_named_and_old_ciphers_take_one_of_their_own() {
    elsewhere("strict_with_the_exceptions_for_messages");
    elsewhere("strict_with_those_and_the_one_for_old_ciphers");
}

const FOR_MESSAGES: [Exception; 3] = [
    Exception::RsaKeyTransportInModule,
    Exception::CmsRsaPkcs1v15,
    Exception::CmsEcdhStatic,
];

#[test]
#[ignore = "a half of messages_open_where_their_exceptions_are_named_and_old_ciphers_take_one_of_their_own"]
fn strict_with_the_exceptions_for_messages() {
    under(FOR_MESSAGES);
    let workshop = Workshop::new();
    let root = workshop.authority("Root", KeyAlgorithm::P256);
    let ada = root.device("ada", KeyAlgorithm::Rsa(2048));
    let phone = root.device("phone", KeyAlgorithm::P256);
    for (service, message, device) in [
        (
            Service::RsaOaepDecrypt,
            oaep(&workshop, "-aes-256-cbc", &ada),
            &ada,
        ),
        (
            Service::RsaPkcs1v15Decrypt,
            message(&workshop, "-aes-256-gcm", &ada, &[]),
            &ada,
        ),
        (
            Service::Ecdh,
            message(&workshop, "-aes-256-cbc", &phone, &["-aes256-wrap"]),
            &phone,
        ),
    ] {
        let before = performed(service);
        assert_eq!(open(&message, device).unwrap(), CONTENT);
        assert!(performed(service) > before, "{}", service.name());
    }
    let error = open(&oaep(&workshop, "-des3", &ada), &ada).err().unwrap();
    assert_eq!(error.code(), "not_approved");
    for named in ["Triple DES", "pkcs12-legacy-read"] {
        assert!(error.to_string().contains(named), "{error}");
    }
    assert_eq!(performed(Service::TripleDesDecrypt), 0);
}

#[test]
#[ignore = "a half of messages_open_where_their_exceptions_are_named_and_old_ciphers_take_one_of_their_own"]
fn strict_with_those_and_the_one_for_old_ciphers() {
    under(
        FOR_MESSAGES
            .into_iter()
            .chain([Exception::Pkcs12LegacyRead]),
    );
    let workshop = Workshop::new();
    let root = workshop.authority("Root", KeyAlgorithm::P256);
    let ada = root.device("ada", KeyAlgorithm::Rsa(2048));
    assert_eq!(
        open(&oaep(&workshop, "-des3", &ada), &ada).unwrap(),
        CONTENT
    );
    assert_eq!(performed(Service::TripleDesDecrypt), 1);
}

/// `openssl cms -encrypt` of [`CONTENT`] to a device.
fn message(workshop: &Workshop, cipher: &str, device: &Device<'_>, options: &[&str]) -> Vec<u8> {
    let content = workshop.file(CONTENT);
    let fixed = [
        "cms",
        "-encrypt",
        "-binary",
        "-outform",
        "DER",
        "-in",
        text(&content),
        cipher,
    ];
    let recipient = ["-recip", text(&device.certificate)];
    // OpenSSL wants the wrap before the recipient and its key's options behind it.
    let (before, behind): (Vec<&str>, Vec<&str>) =
        options.iter().partition(|option| option.ends_with("-wrap"));
    openssl(&[&fixed[..], &before, &recipient, &behind].concat())
}

fn oaep(workshop: &Workshop, cipher: &str, device: &Device<'_>) -> Vec<u8> {
    let options = [
        "-keyopt",
        "rsa_padding_mode:oaep",
        "-keyopt",
        "rsa_oaep_md:sha256",
        "-keyopt",
        "rsa_mgf1_md:sha256",
    ];
    message(workshop, cipher, device, &options)
}

fn open(message: &[u8], device: &Device<'_>) -> Result<Vec<u8>, CmsError> {
    let key = SecretBytes::from_vec(pkcs8(device));
    let key = RecipientKey::new(&device.der(), &key)?;
    let content = cms::open(message, &key, &CmsLimits::default())?;
    Ok(content.bytes.expose().to_vec())
}
