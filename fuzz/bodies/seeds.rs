//! What fuzzing and the mutations begin with: files of the corpora, read in place, and messages as this release writes them.

use fips::digest::Hash;
use fips::secret::{Password, SecretBytes};
use formats::cms::write::{
    ContentEncryption, Form, Recipient, RsaPadding, WriteError, envelop, module_oaep,
};
use formats::cms::{self, CmsLimits, RecipientKey};
use formats::pfx::{self, OpenedCertificate, PfxLimits};
use pfx_connector::encoding::Base64Bytes;
use pfx_connector::engine::api::{
    CmsFormat, DeviceTarget, EngineReply, EngineRequest, Failure, FailureCode, RecryptRequest,
    Recrypted, ReencryptRequest,
};
use pfx_connector::engine::formats::device::DevicePolicy;
use pfx_connector::engine::formats_process::FormatsCall;
use pfx_connector::engine::ipc::blocking::write_frame;
use pfx_connector::engine::ipc::{Frame, Kind};
use pfx_connector::engine::recrypt::layout;
use pfx_connector::gateway::api;
use pfx_connector::gateway::rotation_api::RotationReplacement;
use pfx_connector::record::{ImporterSignature, Record};
use pki::KeyAndAlgorithm;
use pki::csr::{Request, create};
use pki::extension::{Extensions, purpose};
use pki::key::KeySpec;
use pki::san::SanTemplate;
use pki::template::Values;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

#[path = "enrolment_seeds.rs"]
mod enrolment;
#[path = "tpm_seeds.rs"]
mod tpm;

/// An input with the name that a failure tells.
pub(crate) struct Seed {
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
}

/// The inputs of a target. Those that come from the corpora are left out where there are none.
pub(crate) fn of(target: &str, corpora: &Path) -> Vec<Seed> {
    match target {
        "pfx" => pfx_files(corpora),
        "cms" => messages(corpora),
        "cmp_message" => cmp_messages(),
        "certificate" => bare_certificates(corpora),
        "device_certificate" => certificates(corpora),
        "request" => requests(),
        "frame" => frames(),
        "configuration" => configurations(),
        "gateway" => gateway_messages(),
        "certs_only" => enrolment::certificates_alone(),
        "soap_answer" => enrolment::soap_answers(),
        "tpm_attestation" => tpm::attestations(),
        other => panic!("there is no target {other}"),
    }
}

/// Before libFuzzer reads its corpus: the module started, and the inputs of this target in the folder that FUZZ_SEEDS names.
#[allow(dead_code, reason = "the mutations take them from memory")]
pub(crate) fn prepare(target: &str) {
    fips::start(fips::policy::Policy::OFF).unwrap();
    let Some(folder) = std::env::var_os("FUZZ_SEEDS").map(PathBuf::from) else {
        return;
    };
    for (number, seed) in of(target, &corpora()).iter().enumerate() {
        let written = std::fs::write(folder.join(format!("seed-{number}")), &seed.bytes);
        written.unwrap_or_else(|error| panic!("{}: {error}", seed.name));
    }
}

/// Every file of a folder and of the folders in it, in a fixed order.
fn walk(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let Ok(entries) = std::fs::read_dir(folder) else {
        return found;
    };
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.is_dir() {
            found.extend(walk(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn files(folder: &Path, extension: &str) -> Vec<Seed> {
    walk(folder)
        .into_iter()
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .filter_map(|path| {
            Some(Seed {
                bytes: std::fs::read(&path).ok()?,
                name: path.display().to_string(),
            })
        })
        .collect()
}

/// What OpenSSL wrote (tests/data/README.md).
fn cmp_messages() -> Vec<Seed> {
    macro_rules! seeds {
        ($($name:literal),+) => {
            vec![$(Seed {
                name: $name.to_owned(),
                bytes: include_bytes!(concat!("../../tests/data/cmp/", $name, ".der")).to_vec(),
            }),+]
        };
    }
    seeds![
        "cp-implicit",
        "cp-password-based-mac",
        "cp-rejected",
        "cp-waiting",
        "error",
        "genp",
        "ip",
        "ir",
        "kup",
        "kur",
        "pkiconf",
        "poll-rep",
        "rp"
    ]
}

/// The certificates that [`identities`] found, and the lists of the corpora.
fn bare_certificates(corpora: &Path) -> Vec<Seed> {
    let found = identities().iter().enumerate();
    let mut seeds: Vec<Seed> = found
        .map(|(number, identity)| Seed {
            name: format!("certificate {number}"),
            bytes: identity.certificate.clone(),
        })
        .collect();
    seeds.extend(files(corpora, "crl"));
    seeds
}

/// Requests with everything in them, and subjects.
fn requests() -> Vec<Seed> {
    let made = |kind: KeySpec| {
        let key = kind.generate().unwrap();
        let extensions = Extensions {
            alt_names: [
                "email:a@example.com",
                "upn:a@corp",
                "dns:x.example",
                "sid:S-1-5-21-1",
            ]
            .map(|text| {
                text.parse::<SanTemplate>()
                    .unwrap()
                    .fill(&Values::new())
                    .unwrap()
            })
            .to_vec(),
            purposes: vec![purpose("clientAuth").unwrap()],
            template_name: Some("User".to_owned()),
            ..Extensions::default()
        };
        let request = Request {
            extensions,
            challenge_password: Some(Password::from_slice(b"challenge")),
            ..Request::default()
        };
        create(&request, &KeyAndAlgorithm::new(&key, key.algorithm())).unwrap()
    };
    let mut seeds: Vec<Seed> = [KeySpec::EcP256, KeySpec::Rsa2048]
        .into_iter()
        .map(|kind| Seed {
            name: kind.name().to_owned(),
            bytes: made(kind),
        })
        .collect();
    for subject in [
        "CN=Ada\\, Countess,OU=\"R+D; a=b\",O=Example+L=London,C=GB",
        "CN={{UserName}},{{OnPrem_Distinguished_Name}},E=a@b.example,DC=x",
        "1.2.3.4=\\C4\\8D,CN=\\#x\\ ",
    ] {
        seeds.push(Seed {
            name: subject.to_owned(),
            bytes: subject.as_bytes().to_vec(),
        });
    }
    seeds
}

fn pfx_files(corpora: &Path) -> Vec<Seed> {
    /// What is longer says nothing new, and takes all the time.
    const LONGEST: usize = 16 * 1024;
    let folder = corpora.join("pfx");
    ["p12", "pfx"]
        .into_iter()
        .flat_map(|extension| files(&folder, extension))
        .filter(|seed| seed.bytes.len() <= LONGEST)
        .collect()
}

/// The examples of RFC 4134, and messages of ours to the keys that [`identities`] found.
fn messages(corpora: &Path) -> Vec<Seed> {
    let mut seeds = files(&corpora.join("cms/rfc4134"), "bin");
    let content = SecretBytes::from_slice(b"what the message holds");
    for (number, identity) in identities().iter().enumerate() {
        let Ok(recipient) = Recipient::of_certificate(&identity.certificate) else {
            continue;
        };
        for encryption in [ContentEncryption::Aes256Cbc, ContentEncryption::Aes256Gcm] {
            let form = Form {
                content: encryption,
                rsa: RsaPadding::Oaep,
            };
            let oaep = module_oaep::<WriteError>(Hash::Sha256);
            let message = envelop(form, std::slice::from_ref(&recipient), &content, oaep).unwrap();
            // One that does not open would lead nowhere.
            let key = RecipientKey::new(&identity.certificate, &identity.pkcs8).unwrap();
            cms::open(&message, &key, &CmsLimits::default()).unwrap();
            seeds.push(Seed {
                name: format!("{encryption:?} to key {number}"),
                bytes: message,
            });
        }
    }
    seeds
}

/// A certificate with its key.
pub(crate) struct Identity {
    pub(crate) certificate: Vec<u8>,
    pub(crate) pkcs8: SecretBytes,
}

/// The first identities of the corpora, of different kinds of key: who reads the messages.
pub(crate) fn identities() -> &'static [Identity] {
    static FOUND: OnceLock<Vec<Identity>> = OnceLock::new();
    FOUND.get_or_init(|| {
        let mut found: Vec<(usize, Identity)> = Vec::new();
        for file in pfx_files(&corpora()) {
            for password in ["", "password", "1234", "testcertificate"] {
                let password = SecretBytes::from_slice(password.as_bytes());
                let Ok(opened) = pfx::read(&file.bytes, &password, &few_iterations()) else {
                    continue;
                };
                let Ok(identity) = opened.identity() else {
                    continue;
                };
                // Keys of one kind and size are as long as each other, more or less.
                let kind = identity.pkcs8().len() / 64;
                if found.len() < 4 && found.iter().all(|(other, _)| *other != kind) {
                    let identity = Identity {
                        certificate: identity.certificate().to_vec(),
                        pkcs8: SecretBytes::from_slice(identity.pkcs8().expose()),
                    };
                    found.push((kind, identity));
                }
            }
        }
        found.into_iter().map(|(_, identity)| identity).collect()
    })
}

/// The folder of the corpora: CORPORA_DIR, or beside the project.
pub(crate) fn corpora() -> PathBuf {
    std::env::var_os("CORPORA_DIR").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/corpora"),
        PathBuf::from,
    )
}

fn few_iterations() -> PfxLimits {
    PfxLimits {
        max_iterations: 10_000,
        ..PfxLimits::default()
    }
}

/// The certificates of PFX files that open, each with the next one of its file.
fn certificates(corpora: &Path) -> Vec<Seed> {
    let mut seeds = Vec::new();
    for file in pfx_files(corpora) {
        for password in ["", "password", "1234", "testcertificate"] {
            let password = SecretBytes::from_slice(password.as_bytes());
            let Ok(opened) = pfx::read(&file.bytes, &password, &few_iterations()) else {
                continue;
            };
            let all: Vec<&[u8]> = opened
                .certificates()
                .iter()
                .map(OpenedCertificate::der)
                .collect();
            for (place, device) in all.iter().enumerate() {
                let issuer = all[(place + 1) % all.len()];
                seeds.extend(certificate_pair(&file.name, device, issuer));
            }
            break;
        }
    }
    seeds
}

fn certificate_pair(name: &str, device: &[u8], issuer: &[u8]) -> Option<Seed> {
    let year = layout::read(device).and_then(|layout| {
        std::str::from_utf8(&layout.not_after)
            .ok()?
            .get(..4)?
            .parse::<u32>()
            .ok()
    })?;
    // In the last year of the certificate, more or less.
    let hours = year.checked_sub(1971)? * 8766;
    let [_, h0, h1, h2] = hours.to_be_bytes();
    let [l0, l1] = u16::try_from(device.len()).ok()?.to_be_bytes();
    Some(Seed {
        name: name.to_owned(),
        bytes: [&[l0, l1, h0, h1, h2], device, issuer].concat(),
    })
}

fn record() -> Record {
    Record {
        user_principal_name: "jo@example.org".to_owned(),
        thumbprint: "0123456789abcdef0123456789abcdef01234567".to_owned(),
        provider_name: "provider".to_owned(),
        key_name: "custody".to_owned(),
        custody_key: Some("ab".repeat(32)),
        padding: hsm::Padding::OaepSha256,
        encrypted_password: Base64Bytes(vec![7; 256]),
        importer_signature: Some(ImporterSignature {
            importer: "ef".repeat(32),
            signature: Base64Bytes(vec![9; 70]),
        }),
    }
}

fn device() -> DeviceTarget {
    DeviceTarget {
        certificate: Base64Bytes(vec![0x30, 0x03, 0x02, 0x01, 0x01]),
        intermediates: vec![Base64Bytes(vec![0x30, 0x00])],
    }
}

fn json(name: &str, message: &impl Serialize) -> Seed {
    Seed {
        name: name.to_owned(),
        bytes: serde_json::to_vec(message).unwrap(),
    }
}

fn frames() -> Vec<Seed> {
    let recrypt = EngineRequest::Recrypt(Box::new(RecryptRequest {
        request_id: "request-1".to_owned(),
        record: record(),
        pfx: Base64Bytes(vec![0x30, 0x00]),
        device: device(),
        format: CmsFormat::Modern,
    }));
    let reencrypt = EngineRequest::Reencrypt(Box::new(ReencryptRequest {
        request_id: "request-2".to_owned(),
        record: record(),
        pfx: Base64Bytes(vec![0x30, 0x00]),
        to: "cd".repeat(32),
        padding: Some(hsm::Padding::OaepSha1),
    }));
    let call = FormatsCall::CheckDevice {
        device: device(),
        policy: DevicePolicy {
            anchors: vec![Base64Bytes(vec![0x30, 0x00])],
            require_anchor: true,
            now_ms: 1_767_225_600_000,
        },
    };
    let done = EngineReply::Recrypted(Recrypted {
        cms: Base64Bytes(vec![0x30, 0x00]),
        custody_key: "ab".repeat(32),
    });
    let failed = EngineReply::Failed(Failure {
        code: FailureCode::DecryptionFailed,
        message: "the password cannot be decrypted".to_owned(),
    });
    let stream = [
        Frame::hello(),
        Frame::bare(Kind::Ready, 0),
        Frame::bare(Kind::Ping, 3),
        Frame::request(4, &recrypt).unwrap(),
        Frame::json(Kind::Call, 5, &call).unwrap(),
        Frame::json(Kind::Reply, 4, &done).unwrap(),
    ];
    let mut bytes = Vec::new();
    for frame in &stream {
        write_frame(&mut bytes, frame).unwrap();
    }
    vec![
        Seed {
            name: "a stream of frames".to_owned(),
            bytes,
        },
        json("recrypt", &recrypt),
        json("reencrypt", &reencrypt),
        json("status", &EngineRequest::Status),
        json("call", &call),
        json("recrypted", &done),
        json("failed", &failed),
    ]
}

fn configurations() -> Vec<Seed> {
    let example = pfx_connector::config::example();
    // With every key that is commented out in it as well.
    let whole: String = example
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(rest) if !rest.starts_with([' ', '#']) => format!("{rest}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    [("the example", example), ("every key", whole)]
        .into_iter()
        .map(|(name, text)| Seed {
            name: name.to_owned(),
            bytes: text.into_bytes(),
        })
        .collect()
}

fn gateway_messages() -> Vec<Seed> {
    let identity = || api::ConnectorIdentity {
        protocol: api::PROTOCOL_VERSION,
        instance: "connector-1".to_owned(),
        version: pfx_connector::VERSION.to_owned(),
        features: vec!["pfxImport".to_owned()],
    };
    let new_record = serde_json::json!({
        "thumbprint": record().thumbprint,
        "intendedPurpose": "smimeEncryption",
        "userPrincipalName": record().user_principal_name,
        "startDateTime": "2026-01-01T00:00:00Z",
        "expirationDateTime": "2027-01-01T00:00:00.5+02:00",
        "providerName": "provider",
        "keyName": "custody",
        "paddingScheme": "oaepSha512",
        "encryptedPfxBlob": "MAA=",
        "encryptedPfxPassword": Base64Bytes(vec![7; 256]),
        "custodyKey": "ab".repeat(32),
        "importerSignature": record().importer_signature,
    });
    let work = api::WorkItem {
        request_id: "request-1".to_owned(),
        fence: 1,
        attempt: 1,
        lease_ms: 60_000,
        device_id: "phone".to_owned(),
        record: record(),
        pfx: Base64Bytes(vec![0x30, 0x00]),
        device: device(),
        format: CmsFormat::Modern,
        delivery: Default::default(),
        others: Vec::new(),
    };
    vec![
        json("new record", &new_record),
        json(
            "patch",
            &serde_json::json!({ "intendedPurpose": "smimeSigning", "keyName": "custody" }),
        ),
        Seed {
            name: "query".to_owned(),
            bytes: b"$filter=tolower(userPrincipalName)%20eq%20'jo%40example.org'&$top=5".to_vec(),
        },
        json(
            "device request",
            &api::DeviceRequest {
                user_principal_name: record().user_principal_name,
                device_id: "phone".to_owned(),
                device: device(),
                format: CmsFormat::Compatible,
                delivery: Default::default(),
                idempotency_key: Some("once".to_owned()),
            },
        ),
        json(
            "lease",
            &api::LeaseRequest {
                connector: identity(),
                max: 8,
                wait_ms: 1000,
            },
        ),
        json(
            "answer to a lease",
            &api::LeaseResponse { work: vec![work] },
        ),
        json("fence", &api::Fence { fence: 7 }),
        json(
            "completion",
            &api::Completion {
                fence: 7,
                encrypted_password: Base64Bytes(vec![0x30, 0x03, 0x02, 0x01, 0x01]),
                encrypted_pfx: Base64Bytes::default(),
                profile: Base64Bytes::default(),
                certificate: Base64Bytes::default(),
                revocation: None,
            },
        ),
        json(
            "failure",
            &api::RequestFailure {
                fence: 7,
                failure: api::FailureReport {
                    code: "recordRefused".to_owned(),
                    message: "the record is not signed".to_owned(),
                },
                retry: false,
                resume_ms: None,
            },
        ),
        json(
            "revocations",
            &pfx_connector::gateway::revocation_api::RevocationRequest {
                certificates: vec![pfx_connector::gateway::revocation_api::CertificateName {
                    request_id: Some("a-request".to_owned()),
                    ..Default::default()
                }],
                reason: pfx_connector::gateway::revocation_api::Reason::KeyCompromise,
                idempotency_key: Some("key".to_owned()),
            },
        ),
        json(
            "heartbeat",
            &api::Heartbeat {
                connector: identity(),
                in_flight: 3,
                engine_healthy: true,
            },
        ),
        json(
            "rotation",
            &RotationReplacement {
                revision: "cd".repeat(32),
                record: record(),
            },
        ),
    ]
}
