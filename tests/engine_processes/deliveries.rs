//! PFX files that the engine opens: what the device gets, and what is refused.

use super::engine::{Engine, FIPS_EXCEPTIONS, Options};
use super::openssl::{Authority, DEVICE, Device, Issuance, KeyAlgorithm, Workshop, openssl, text};
use super::plist;
use super::requests::DEADLINE;
use super::softhsm::SoftHsm;
use hsm::Padding;
use pfx_connector::encoding::{Base64Bytes, hex};
use pfx_connector::engine::api::{
    CmsFormat, DeliverRequest, Delivered, Delivery, FailureCode, StoredPfx,
};
use pfx_connector::engine::client::{EngineClient, RecryptError};

/// What opens the files of these tests.
pub(crate) const OPENS: &str = "the password of the file";

/// An engine that opens what OpenSSL writes, and writes what it reads.
pub(crate) fn options(pfx: &str) -> Options {
    let mut exceptions = FIPS_EXCEPTIONS.to_vec();
    exceptions.extend(["pkcs12-legacy-read", "pkcs12-kdf-mac-write"]);
    Options {
        fips: Some(format!("exceptions = {exceptions:?}")),
        engine: format!(
            "deliveries = [\"password\", \"rewrap\", \"apple-profile\"]\npfx = {{ form = \"compatible\"{pfx} }}\n"
        ),
        ..Options::default()
    }
}

/// Somebody's certificate for mail.
pub(crate) fn person<'a>(authority: &Authority<'a>, address: &str, from: &str) -> Device<'a> {
    let issuance = Issuance {
        extensions: format!("{DEVICE}\nsubjectAltName = email:{address}"),
        not_before: from.to_owned(),
        ..Issuance::default()
    };
    authority.device_with(address, KeyAlgorithm::Rsa(2048), &issuance)
}

fn sha1(der: &[u8]) -> String {
    hex(fips::digest::digest(fips::digest::Hash::Sha1, der).as_ref())
}

/// A signed record of a file, with the password that it is said to have.
pub(crate) fn stored(
    engine: &Engine,
    token: &SoftHsm,
    person: &Device<'_>,
    password: &str,
) -> StoredPfx {
    let mut request = engine.request("unused", token, Vec::new());
    request.pfx = Base64Bytes(person.pfx(OPENS, &["-name", "a name of the file's own"]));
    request.record.thumbprint = sha1(&person.der());
    request.record.padding = Padding::OaepSha1;
    request.record.encrypted_password =
        Base64Bytes(token.encrypt(Padding::OaepSha1, password.as_bytes()));
    engine.sign(&mut request);
    StoredPfx {
        record: request.record,
        pfx: request.pfx,
    }
}

pub(crate) fn request(
    delivery: Delivery,
    certificates: Vec<StoredPfx>,
    device: &Device<'_>,
) -> DeliverRequest {
    use pfx_connector::engine::api::DeviceTarget;
    DeliverRequest {
        request_id: format!("{}-1", delivery.name()),
        delivery,
        certificates,
        device: DeviceTarget {
            certificate: Base64Bytes(device.der()),
            intermediates: Vec::new(),
        },
        format: CmsFormat::Modern,
    }
}

async fn refused(client: &EngineClient, request: DeliverRequest) -> (FailureCode, String) {
    match client.deliver(request, DEADLINE).await {
        Err(RecryptError::Failed(failure)) => (failure.code, failure.message),
        other => panic!("not refused: {other:?}"),
    }
}

/// What OpenSSL finds in a PFX, as PEM: certificates and the key.
fn opened(workshop: &Workshop, pfx: &[u8], password: &str) -> String {
    let file = workshop.file(pfx);
    let password = format!("pass:{password}");
    let arguments = ["pkcs12", "-in", text(&file), "-noenc", "-passin", &password];
    String::from_utf8(openssl(&arguments)).unwrap()
}

/// Asserts that a PFX holds the person's key and certificate, and nothing with another name.
fn assert_holds(workshop: &Workshop, pfx: &[u8], password: &str, person: &Device<'_>) {
    let said = opened(workshop, pfx, password);
    let file = workshop.file(said.as_bytes());
    let key = openssl(&["pkey", "-in", text(&file), "-outform", "DER"]);
    let own = openssl(&["pkey", "-in", text(&person.key), "-outform", "DER"]);
    assert_eq!(key, own, "it is the person's key");
    let certificate = openssl(&["x509", "-in", text(&file), "-outform", "DER"]);
    assert_eq!(certificate, person.der());
    assert!(said.contains("friendlyName: ada@example.org"), "{said}");
    assert!(!said.contains("a name of the file's own"), "{said}");
}

fn is_fresh(password: &str) -> bool {
    password.len() >= 24 && password.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

#[tokio::test]
async fn a_rewrapped_pfx_has_the_same_key_under_a_password_that_nobody_knew() {
    let workshop = Workshop::new();
    let authority = workshop.authority("Devices", KeyAlgorithm::P256);
    let token = SoftHsm::new();
    let engine = Engine::start(&token, &authority, &options(""));
    let client = engine.ready_client().await;
    let person = person(&authority, "ada@example.org", "20240101000000Z");
    let file = stored(&engine, &token, &person, OPENS);
    let mut passwords = Vec::new();
    for device in [
        authority.device("phone", KeyAlgorithm::Rsa(2048)),
        authority.device("tablet", KeyAlgorithm::P256),
    ] {
        let asked = request(Delivery::Rewrap, vec![file.clone()], &device);
        let done = client.deliver(asked, DEADLINE).await.unwrap();
        assert_eq!(done.certificates, [sha1(&person.der())]);
        assert_eq!(done.custody_keys, [token.fingerprint()]);
        assert!(done.profile.is_none());
        let password = device.decrypt_cms(done.encrypted_password.unwrap().as_slice());
        let password = String::from_utf8(password).unwrap();
        assert!(is_fresh(&password));
        let pfx = device.decrypt_cms(done.encrypted_pfx.unwrap().as_slice());
        assert_holds(&workshop, &pfx, &password, &person);
        passwords.push(password);
    }
    assert_ne!(passwords[0], passwords[1]);
    let status = client.status().await.unwrap();
    assert_eq!(status.deliveries, Delivery::ALL);
    assert_eq!(status.key_uses, 2);
    let log = engine.log();
    assert!(!log.contains(OPENS) && !passwords.iter().any(|one| log.contains(one)));
}

#[tokio::test]
async fn a_profile_has_all_of_a_users_certificates_and_says_which_is_the_newest() {
    let workshop = Workshop::new();
    let authority = workshop.authority("Devices", KeyAlgorithm::P256);
    let token = SoftHsm::new();
    let engine = Engine::start(&token, &authority, &options(""));
    let client = engine.ready_client().await;
    let device = authority.device("phone", KeyAlgorithm::Rsa(2048));
    // In no order, and one of them expired long ago: what was encrypted to it is still to be read.
    let people: Vec<_> = ["20240101000000Z", "20250101000000Z", "20200601000000Z"]
        .map(|from| person(&authority, "ada@example.org", from))
        .into();
    let files = people
        .iter()
        .map(|person| stored(&engine, &token, person, OPENS))
        .collect();
    let mut asked = request(Delivery::AppleProfile, files, &device);
    asked.format = CmsFormat::Compatible;
    let done: Delivered = client.deliver(asked, DEADLINE).await.unwrap();
    let order = [&people[1], &people[0], &people[2]];
    assert_eq!(
        done.certificates,
        order.map(|person| sha1(&person.der())),
        "the newest first"
    );

    let profile = plist::leaves(done.profile.unwrap().as_slice());
    assert_eq!(plist::string(&profile, "/PayloadType"), "Configuration");
    let sealed = plist::data(&profile, "/EncryptedPayloadContent");
    let content = plist::leaves(&device.decrypt_cms(&sealed));
    for (number, person) in order.into_iter().enumerate() {
        let at = |key: &str| format!("/{number}/{key}");
        let password = plist::string(&content, &at("Password"));
        assert!(is_fresh(&password));
        let pfx = plist::data(&content, &at("PayloadContent"));
        assert_holds(&workshop, &pfx, &password, person);
        let name = plist::string(&content, &at("PayloadDisplayName"));
        assert_eq!(name.contains("(current, 2025-01-01"), number == 0, "{name}");
    }
    assert!(!content.contains_key("/3/PayloadType"));
    assert_eq!(client.status().await.unwrap().key_uses, 3);
}

#[tokio::test]
async fn a_password_that_does_not_open_the_file_is_told_as_a_failed_decryption_is() {
    let workshop = Workshop::new();
    let authority = workshop.authority("Devices", KeyAlgorithm::P256);
    let token = SoftHsm::new();
    let engine = Engine::start(&token, &authority, &options(""));
    let client = engine.ready_client().await;
    let device = authority.device("phone", KeyAlgorithm::Rsa(2048));
    let person = person(&authority, "ada@example.org", "20240101000000Z");
    let wrong = stored(&engine, &token, &person, "another password");
    let mut undecryptable = engine.request("unused", &token, Vec::new());
    undecryptable.pfx = wrong.pfx.clone();
    undecryptable.record = wrong.record.clone();
    undecryptable.record.encrypted_password = Base64Bytes(vec![0x11; 256]);
    engine.sign(&mut undecryptable);
    let undecryptable = StoredPfx {
        record: undecryptable.record,
        pfx: undecryptable.pfx,
    };
    let told = [
        refused(&client, request(Delivery::Rewrap, vec![wrong], &device)).await,
        refused(
            &client,
            request(Delivery::Rewrap, vec![undecryptable], &device),
        )
        .await,
    ];
    assert_eq!(told[0].0, FailureCode::DecryptionFailed);
    assert_eq!(told[0], told[1]);
    assert!(
        engine.log().contains("wrong_password"),
        "the operator is told"
    );
}

#[tokio::test]
async fn what_is_no_pfx_of_the_users_certificate_is_refused_by_what_it_is() {
    let workshop = Workshop::new();
    let authority = workshop.authority("Devices", KeyAlgorithm::P256);
    let token = SoftHsm::new();
    let engine = Engine::start(
        &token,
        &authority,
        &options(", user_in_certificate = \"always\""),
    );
    let client = engine.ready_client().await;
    let device = authority.device("phone", KeyAlgorithm::Rsa(2048));
    let ada = person(&authority, "Ada@Example.org", "20240101000000Z");
    let eve = person(&authority, "eve@example.org", "20240101000000Z");
    let good = stored(&engine, &token, &ada, OPENS);
    let resign = |change: &dyn Fn(&mut StoredPfx)| {
        let mut changed = good.clone();
        change(&mut changed);
        let mut request = engine.request("unused", &token, Vec::new());
        request.record = changed.record;
        request.pfx = changed.pfx;
        engine.sign(&mut request);
        StoredPfx {
            record: request.record,
            pfx: request.pfx,
        }
    };
    let rewrap = |file: StoredPfx| request(Delivery::Rewrap, vec![file], &device);

    // Before the key is used.
    let garbage = resign(&|file| file.pfx = Base64Bytes(b"no PFX at all".to_vec()));
    assert_eq!(
        refused(&client, rewrap(garbage)).await.0,
        FailureCode::PfxRefused
    );
    let mut unsigned = good.clone();
    unsigned.record.importer_signature = None;
    assert_eq!(
        refused(&client, rewrap(unsigned)).await.0,
        FailureCode::RecordRefused
    );
    let many = request(Delivery::Rewrap, vec![good.clone(), good.clone()], &device);
    assert_eq!(refused(&client, many).await.0, FailureCode::BadRequest);
    let password = request(Delivery::Password, vec![good.clone()], &device);
    assert_eq!(refused(&client, password).await.0, FailureCode::BadRequest);
    let of_eve = resign(&|file| file.record.user_principal_name = "eve@example.org".to_owned());
    let mixed = request(
        Delivery::AppleProfile,
        vec![good.clone(), of_eve.clone()],
        &device,
    );
    assert_eq!(refused(&client, mixed).await.0, FailureCode::BadRequest);
    let mut authenticated = request(Delivery::AppleProfile, vec![good.clone()], &device);
    authenticated.format = CmsFormat::ModernGcm;
    let (code, message) = refused(&client, authenticated).await;
    assert_eq!(code, FailureCode::FormatRefused);
    assert!(message.contains("EnvelopedData"), "{message}");
    assert_eq!(client.status().await.unwrap().key_uses, 0);

    // What only the opened file shows.
    let other = resign(&|file| file.record.thumbprint = "ab".repeat(20));
    let (code, message) = refused(&client, rewrap(other)).await;
    assert_eq!(code, FailureCode::PfxRefused);
    assert!(message.contains("the record names"), "{message}");
    for file in [of_eve, stored(&engine, &token, &eve, OPENS)] {
        let (code, message) = refused(&client, rewrap(file)).await;
        assert_eq!(code, FailureCode::PfxRefused);
        assert!(message.contains("user_in_certificate"), "{message}");
    }
    assert!(client.deliver(rewrap(good), DEADLINE).await.is_ok());
}

#[tokio::test]
async fn nothing_but_passwords_is_delivered_where_the_operator_did_not_say_so() {
    let workshop = Workshop::new();
    let authority = workshop.authority("Devices", KeyAlgorithm::P256);
    let token = SoftHsm::new();
    let engine = Engine::start(&token, &authority, &Options::default());
    let client = engine.ready_client().await;
    let device = authority.device("phone", KeyAlgorithm::Rsa(2048));
    let person = person(&authority, "ada@example.org", "20240101000000Z");
    let file = stored(&engine, &token, &person, OPENS);
    let (code, message) = refused(&client, request(Delivery::Rewrap, vec![file], &device)).await;
    assert_eq!(code, FailureCode::DeliveryRefused);
    assert!(message.contains("engine.deliveries"), "{message}");
    let status = client.status().await.unwrap();
    assert_eq!(status.deliveries, [Delivery::Password]);
    assert_eq!(status.key_uses, 0);
}

#[tokio::test]
async fn in_strict_mode_legacy_files_and_forms_need_their_exceptions_and_say_which() {
    let workshop = Workshop::new();
    let authority = workshop.authority("Devices", KeyAlgorithm::P256);
    let token = SoftHsm::new();
    let cases = [
        ("compatible", "pkcs12-kdf-mac-write"),
        ("approved", "pkcs12-legacy-read"),
    ];
    for (form, exception) in cases {
        let options = Options {
            engine: format!("deliveries = [\"rewrap\"]\npfx = {{ form = \"{form}\" }}\n"),
            ..Options::default()
        };
        let engine = Engine::start(&token, &authority, &options);
        let client = engine.ready_client().await;
        let device = authority.device("phone", KeyAlgorithm::Rsa(2048));
        let person = person(&authority, "ada@example.org", "20240101000000Z");
        let file = stored(&engine, &token, &person, OPENS);
        let asked = request(Delivery::Rewrap, vec![file], &device);
        let (_, message) = refused(&client, asked).await;
        assert!(message.contains(exception), "{form}: {message}");
    }
}

#[tokio::test]
async fn the_approved_form_is_written_without_an_exception_and_opened_by_python() {
    const READER: &str = "import sys
from cryptography.hazmat.primitives.serialization import Encoding, pkcs12
key, certificate, more = pkcs12.load_key_and_certificates(open(sys.argv[1], 'rb').read(), sys.argv[2].encode())
assert key.public_key() == certificate.public_key()
print(certificate.public_bytes(Encoding.DER).hex())";
    let workshop = Workshop::new();
    let authority = workshop.authority("Devices", KeyAlgorithm::P256);
    let token = SoftHsm::new();
    let mut exceptions = FIPS_EXCEPTIONS.to_vec();
    exceptions.push("pkcs12-legacy-read");
    let options = Options {
        fips: Some(format!("exceptions = {exceptions:?}")),
        engine: "deliveries = [\"rewrap\"]\n".to_owned(),
        ..Options::default()
    };
    let engine = Engine::start(&token, &authority, &options);
    let client = engine.ready_client().await;
    let device = authority.device("phone", KeyAlgorithm::Rsa(2048));
    let person = person(&authority, "ada@example.org", "20240101000000Z");
    let file = stored(&engine, &token, &person, OPENS);
    let asked = request(Delivery::Rewrap, vec![file], &device);
    let done = client.deliver(asked, DEADLINE).await.unwrap();
    let pfx = device.decrypt_cms(done.encrypted_pfx.unwrap().as_slice());
    let password = device.decrypt_cms(done.encrypted_password.unwrap().as_slice());
    let output = std::process::Command::new("python3")
        .args(["-c", READER, text(&workshop.file(&pfx))])
        .arg(String::from_utf8(password).unwrap())
        .output()
        .unwrap_or_else(|error| panic!("this test needs the program `python3`: {error}"));
    assert!(
        output.status.success(),
        "this test needs Python's package `cryptography` (45 or newer reads PBMAC1): {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let read = String::from_utf8(output.stdout).unwrap();
    assert_eq!(read.trim(), hex(&person.der()));
}
