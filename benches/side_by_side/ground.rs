//! What all three ways are measured on: one token with one key, one PFX, one ciphertext, one device.

use super::built::built;
use super::{Args, Fallible, configuration};
use fips::secret::SecretBytes;
use fips::sign::SigningKey;
use pfx_connector::cli::demo::{
    DemoToken, Device, DeviceKind, KEY_LABEL, Person, Stack, StackOptions, TokenKind, find_module,
};
use pfx_connector::encoding::Base64Bytes;
use pfx_connector::engine::api::{CmsFormat, DeviceTarget, RecryptRequest};
use pfx_connector::engine::formats::pfx::{self, PfxLimits};
use pfx_connector::engine::recrypt::importers;
use pfx_connector::record::Record;
use pkcs8::SecretDocument;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use x509_cert::Certificate;
use x509_cert::der::{Decode, Encode};

/// A line of the connector's configuration that the measurements replace.
pub(crate) const CONCURRENCY: &str = "concurrency = 16";

/// Sessions of the engine.
const MOST_THREADS: i64 = 8;

/// More than are ever in flight.
const REQUESTS: usize = 64;

/// Where a token is, for programs that use it themselves.
pub(crate) struct OnToken {
    module: PathBuf,
    label: String,
    pin_file: PathBuf,
    environment: Vec<(String, String)>,
}

impl OnToken {
    pub(crate) fn of(token: &DemoToken) -> Fallible<Self> {
        let section: toml::Table = token.section().parse()?;
        let text = |name: &str| -> Fallible<String> {
            let value = section.get(name).and_then(toml::Value::as_str);
            Ok(value.ok_or("the token's section lacks a key")?.to_owned())
        };
        Ok(Self {
            module: text("module")?.into(),
            label: text("label")?,
            pin_file: text("pin_file")?.into(),
            environment: token.environment(),
        })
    }

    /// Tells a program.
    pub(crate) fn tell<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        let environment = self.environment.iter();
        command
            .arg("--module")
            .arg(&self.module)
            .args(["--token-label", &self.label])
            .arg("--pin-file")
            .arg(&self.pin_file)
            .envs(environment.map(|(name, value)| (name, value)))
    }
}

pub(crate) struct Ground {
    pub(crate) stack: Stack,
    pub(crate) token: OnToken,
    /// The password's ciphertext, for the bare loop.
    pub(crate) ciphertext_file: PathBuf,
    /// In strict mode: the device's public key, to which the bare loop's token encrypts as the engine's does.
    pub(crate) device_spki_file: Option<PathBuf>,
    pub(crate) person: Person,
    pub(crate) device: Device,
    /// The same work as the engine is asked for it: records that differ in their ciphertexts alone. The engine decrypts a ciphertext once
    /// for all who ask for it at the same time, so that two of the same would be less work.
    pub(crate) requests: Vec<RecryptRequest>,
}

impl Ground {
    pub(crate) fn prepare(args: &Args, folder: PathBuf) -> Fallible<Self> {
        let (module, module_environment) = match args.distance_us {
            Some(distance) => {
                let (module, environment) = distant(distance, args.at_once)?;
                (Some(module), environment)
            }
            None => (None, Vec::new()),
        };
        let stack = Stack::prepare(StackOptions {
            program: PathBuf::from(env!("CARGO_BIN_EXE_pfx-connector")),
            folder,
            token: args.token,
            module,
            module_environment,
            key_bits: args.bits,
            connectors: 1,
            lease_ms: 60_000,
            connector_extra: CONCURRENCY.to_owned(),
            // Few records are asked for very often here.
            engine_extra: "oracle = { uses_per_ciphertext = 1000000000 }\n".to_owned(),
            engine_fips: format!("mode = {:?}", args.fips),
        })?;
        // As many sessions as the bare loop has at most.
        configuration::change(&stack, "engine.toml", |engine| {
            configuration::token(engine)?.insert("threads".to_owned(), MOST_THREADS.into());
            Ok(())
        })?;
        // What SoftHSM does by itself, and what Kryoptic does too.
        if args.token == TokenKind::Softhsm && stack.padding != "oaepSha1" {
            return Err(format!(
                "the bare loop decrypts OAEP with SHA-1, but this token's best is {}",
                stack.padding
            )
            .into());
        }
        let token = OnToken::of(&stack.token)?;
        let person = Person::make(&stack.pki, &stack.path("import"), 0)?;
        let device = stack.pki.device(0, DeviceKind::Rsa(2048))?;
        let requests = requests(&stack, &person, &device)?;
        let ciphertext_file = stack.path("import/ciphertext");
        let first = requests.first().ok_or("no requests")?;
        fs::write(&ciphertext_file, first.record.encrypted_password.as_slice())?;
        let device_spki_file = if args.fips == "strict" {
            let certificate = Certificate::from_der(&device.certificate_der)?;
            let spki = certificate
                .tbs_certificate()
                .subject_public_key_info()
                .to_der()?;
            let file = stack.path("import/device.spki");
            fs::write(&file, spki)?;
            Some(file)
        } else {
            None
        };
        Ok(Self {
            device_spki_file,
            token,
            ciphertext_file,
            person,
            device,
            requests,
            stack,
        })
    }
}

/// The module that makes SoftHSM distant, and what it needs in its environment.
fn distant(microseconds: u32, at_once: u8) -> Fallible<(PathBuf, Vec<(String, String)>)> {
    let module = built(
        "distant_pkcs11",
        &[
            "build",
            "--release",
            "-p",
            "hsm",
            "--example",
            "distant_pkcs11",
        ],
    )?;
    let real = find_module(TokenKind::Softhsm)?;
    let environment = [
        ("DISTANT_MODULE", real.display().to_string()),
        ("DISTANT_MICROSECONDS", microseconds.to_string()),
        ("DISTANT_AT_ONCE", at_once.to_string()),
    ];
    let environment = environment.map(|(name, value)| (name.to_owned(), value));
    Ok((module, environment.into()))
}

/// Records as `import add` makes them, signed by the importer that the engine knows.
fn requests(stack: &Stack, person: &Person, device: &Device) -> Fallible<Vec<RecryptRequest>> {
    let pfx = fs::read(&person.pfx)?;
    let password = SecretBytes::from_vec(fs::read(&person.password_file)?);
    let facts = pfx::read(&pfx, &password, &PfxLimits::default())?
        .identity()?
        .facts()?;
    let public = fs::read_to_string(stack.path("import/custody-public.pem"))?;
    let spki = hsm::public_key::PublicKey::from_spki_pem(&public)?.to_spki_der()?;
    let custody_key = fips::rsa::PublicKey::from_spki(&spki)?;
    let pem = fs::read_to_string(stack.path("import/importer.key"))?;
    let (_, importer) = SecretDocument::from_pem(&pem).map_err(|error| error.to_string())?;
    let importer = SigningKey::from_pkcs8(importer.as_bytes())?;
    let padding = hsm::Padding::OaepSha1;
    let hash = padding.hash().ok_or("OAEP has a hash")?;
    (0..REQUESTS)
        .map(|number| {
            let ciphertext = custody_key.encrypt_oaep(hash, password.expose())?;
            let mut record = Record {
                user_principal_name: person.user.clone(),
                thumbprint: facts.thumbprint.clone(),
                provider_name: "pfx-connector".to_owned(),
                key_name: KEY_LABEL.to_owned(),
                custody_key: Some(stack.custody_fingerprint.clone()),
                padding,
                encrypted_password: Base64Bytes(ciphertext),
                importer_signature: None,
            };
            record.importer_signature = Some(importers::sign(&importer, &record, &pfx)?);
            Ok(RecryptRequest {
                request_id: format!("bench-{number}"),
                record,
                pfx: Base64Bytes(pfx.clone()),
                device: DeviceTarget {
                    certificate: Base64Bytes(device.certificate_der.clone()),
                    intermediates: Vec::new(),
                },
                format: CmsFormat::Modern,
            })
        })
        .collect()
}
