//! The engine against somebody who asks it for decryptions that fail.

use super::engine::{Engine, FIPS_EXCEPTIONS, Options, crash, part};
use super::openssl::{Authority, Device, KeyAlgorithm, Workshop};
use super::requests::DEADLINE;
use super::softhsm::SoftHsm;
use audit::Hash;
use audit::ledger::Release;
use fips::sign::{KeyKind, SigningKey};
use hsm::Padding;
use pfx_connector::encoding::Base64Bytes;
use pfx_connector::engine::api::{
    EngineRequest, EngineStatus, FailureCode, OracleRequest, OracleStatus, RecryptRequest,
};
use pfx_connector::engine::client::{EngineClient, RecryptError};
use pfx_connector::engine::ipc::asynchronous::{read_frame, write_frame};
use pfx_connector::engine::ipc::{Frame, Kind};
use pfx_connector::engine::recrypt::importers::sign;
use rustix::process::Signal;
use tempfile::TempDir;

/// A token, an engine with two importers, and a device.
struct Scene<'a> {
    token: SoftHsm,
    engine: Engine,
    authority: Authority<'a>,
    device: Device<'a>,
    second: SigningKey,
    _folder: TempDir,
}

impl<'a> Scene<'a> {
    fn start(workshop: &'a Workshop, options: Options) -> Self {
        let authority = workshop.authority("Devices", KeyAlgorithm::P256);
        let token = SoftHsm::new();
        let folder = TempDir::new().unwrap();
        let second = SigningKey::generate(KeyKind::EcP256).unwrap();
        let pem = folder.path().join("second.pem");
        let text =
            der::pem::encode_string("PUBLIC KEY", der::pem::LineEnding::LF, second.spki_der());
        std::fs::write(&pem, text.unwrap()).unwrap();
        let options = Options {
            importers: format!("[[engine.importers]]\nname = \"bob\"\npublic_key = {pem:?}\n"),
            ..options
        };
        let engine = Engine::start(&token, &authority, &options);
        let device = authority.device("phone", KeyAlgorithm::P256);
        Self {
            token,
            engine,
            authority,
            device,
            second,
            _folder: folder,
        }
    }

    fn good(&self, id: &str) -> RecryptRequest {
        self.engine.request(id, &self.token, self.device.der())
    }

    /// A signed request whose ciphertext decrypts to no padding: another ciphertext for each.
    fn bad(&self) -> RecryptRequest {
        let mut request = self.good("bad");
        let bytes = &mut request.record.encrypted_password.0;
        *bytes.last_mut().unwrap() ^= 1;
        self.engine.sign(&mut request);
        request
    }

    fn of_second(&self, mut request: RecryptRequest) -> RecryptRequest {
        let signature = sign(&self.second, &request.record, request.pfx.as_slice());
        request.record.importer_signature = Some(signature.unwrap());
        request
    }
}

/// What came of it: nothing, or the code of the failure.
pub(super) async fn ask(client: &EngineClient, request: RecryptRequest) -> Option<FailureCode> {
    match client.recrypt(request, DEADLINE).await {
        Ok(_) => None,
        Err(RecryptError::Failed(failure)) => Some(failure.code),
        Err(error) => panic!("{error}"),
    }
}

pub(super) async fn status(client: &EngineClient) -> (u64, OracleStatus) {
    let EngineStatus {
        key_uses, oracle, ..
    } = client.status().await.unwrap();
    (key_uses, oracle.unwrap())
}

const FAILED: Option<FailureCode> = Some(FailureCode::DecryptionFailed);
const SUSPENDED: Option<FailureCode> = Some(FailureCode::ImporterSuspended);

#[tokio::test]
async fn the_sixth_distinct_bad_ciphertext_is_refused_without_the_token_and_stops_one_importer() {
    let workshop = Workshop::new();
    let scene = Scene::start(&workshop, Options::default());
    let client = scene.engine.ready_client().await;
    assert_eq!(ask(&client, scene.good("before")).await, None);
    let first = scene.bad();
    assert_eq!(ask(&client, first.clone()).await, FAILED);
    // A repeated one costs nothing: no use of the key, no part of the budget.
    let (used, _) = status(&client).await;
    for _ in 0..20 {
        assert_eq!(ask(&client, first.clone()).await, FAILED);
    }
    assert_eq!(status(&client).await.0, used);
    for _ in 1..5 {
        assert_eq!(ask(&client, scene.bad()).await, FAILED);
    }
    let (used, oracle) = status(&client).await;
    assert_eq!(oracle.importers[0].failures_hour, 5);
    assert_eq!(oracle.importers[0].name.as_deref(), Some("ada"));
    assert!(oracle.importers[0].suspended_until.is_some());
    assert_eq!((oracle.alarms, oracle.quarantined), (1, 5));
    assert_eq!(ask(&client, scene.bad()).await, SUSPENDED);
    assert_eq!(ask(&client, scene.good("after")).await, SUSPENDED);
    assert_eq!(ask(&client, first.clone()).await, FAILED);
    assert_eq!(status(&client).await.0, used, "the token was asked");
    // Another importer is not affected, by its own records or those of the first.
    let other = scene.of_second(scene.good("other"));
    assert_eq!(ask(&client, other).await, None);
    let log = scene.engine.log();
    assert_eq!(log.matches("ALARM").count(), 1, "{log}");

    // An operator lets it go.
    let report = client.oracle(OracleRequest::Show, DEADLINE).await.unwrap();
    assert_eq!(report.quarantine.len(), 5);
    let importer: Hash = report.quarantine[0]
        .importer
        .as_deref()
        .unwrap()
        .parse()
        .unwrap();
    let release = Release::Importer {
        importer: Some(importer),
        quarantine: false,
    };
    let request = OracleRequest::Release {
        release,
        approvals: Vec::new(),
    };
    let report = client.oracle(request, DEADLINE).await.unwrap();
    assert!(report.status.importers.is_empty());
    assert_eq!(ask(&client, scene.good("again")).await, None);
    let (used, _) = status(&client).await;
    assert_eq!(ask(&client, first.clone()).await, FAILED);
    assert_eq!(status(&client).await.0, used, "it is still quarantined");
    let ciphertext = Hash::of(first.record.encrypted_password.as_slice());
    let release = Release::Ciphertext { ciphertext };
    let request = OracleRequest::Release {
        release,
        approvals: Vec::new(),
    };
    let report = client.oracle(request, DEADLINE).await.unwrap();
    assert_eq!(report.quarantine.len(), 4);
    assert_eq!(ask(&client, first).await, FAILED);
    assert_eq!(status(&client).await.0, used + 1);
}

#[tokio::test]
async fn parallel_bad_ciphertexts_pass_no_budget_together() {
    let workshop = Workshop::new();
    let scene = Scene::start(&workshop, Options::default());
    let client = scene.engine.ready_client().await;
    let requests: Vec<_> = (0..24).map(|_| scene.bad()).collect();
    let mut tasks = tokio::task::JoinSet::new();
    for request in requests {
        let client = client.clone();
        tasks.spawn(async move { ask(&client, request).await });
    }
    let codes = tasks.join_all().await;
    let failed = codes.iter().filter(|code| **code == FAILED).count();
    // Some had no room to wait in: they are told to come again.
    let may_come = [SUSPENDED, Some(FailureCode::Busy)];
    let others = codes.iter().filter(|code| may_come.contains(code)).count();
    assert_eq!(failed + others, 24, "{codes:?}");
    let (used, oracle) = status(&client).await;
    assert!(failed <= 5, "{codes:?}");
    assert!(used <= 10, "a failure may be tried twice: {used}");
    assert_eq!(
        oracle.importers[0].failures_hour,
        u32::try_from(failed).unwrap()
    );
}

#[tokio::test]
async fn every_failing_answer_is_the_same_bytes_whatever_failed() {
    let workshop = Workshop::new();
    let scene = Scene::start(
        &workshop,
        Options {
            engine: "[engine.oracle]\ncheck_password = \"always\"\n".to_owned(),
            fips: Some(format!("exceptions = {:?}", with_legacy_pfx())),
            ..Options::default()
        },
    );
    let client = scene.engine.ready_client().await;
    let pfx = scene.device.pfx("right", &[]);
    let with = |mut request: RecryptRequest, password: Option<&[u8]>| {
        request.pfx = Base64Bytes(pfx.clone());
        if let Some(password) = password {
            request.record.encrypted_password =
                Base64Bytes(scene.token.encrypt(Padding::OaepSha512, password));
        }
        scene.engine.sign(&mut request);
        request
    };
    let right = with(scene.good("r"), Some(b"right"));
    assert_eq!(ask(&client, right).await, None);
    let bad_padding = with(scene.bad(), None);
    let wrong_password = with(scene.good("r"), Some(b"wrong"));
    let mut too_short = scene.good("r");
    too_short.record.encrypted_password.0.pop();
    let too_short = with(too_short, None);
    let mut answers = Vec::new();
    for request in [&bad_padding, &wrong_password, &too_short, &bad_padding] {
        answers.push(raw_answer(&scene.engine, request).await);
    }
    assert!(
        answers.windows(2).all(|pair| pair[0] == pair[1]),
        "{answers:?}"
    );
    let (_, oracle) = status(&client).await;
    assert_eq!(oracle.importers[0].failures_hour, 3);
}

fn with_legacy_pfx() -> Vec<&'static str> {
    let mut exceptions = FIPS_EXCEPTIONS.to_vec();
    exceptions.push("pkcs12-legacy-read");
    exceptions
}

#[tokio::test]
async fn in_strict_mode_a_password_is_checked_where_that_is_approved_or_its_pfx_is_refused() {
    let workshop = Workshop::new();
    for (check, expected) in [
        ("where-approved", None),
        ("always", Some(FailureCode::PfxRefused)),
    ] {
        let options = Options {
            engine: format!("[engine.oracle]\ncheck_password = {check:?}\n"),
            ..Options::default()
        };
        let scene = Scene::start(&workshop, options);
        let client = scene.engine.ready_client().await;
        // The classic MAC, whose key derivation is not approved: a wrong password is not noticed.
        let mut request = scene.good("r");
        request.pfx = Base64Bytes(scene.device.pfx("another", &[]));
        scene.engine.sign(&mut request);
        assert_eq!(ask(&client, request).await, expected, "{check}");
        let used = u64::from(expected.is_none());
        assert_eq!(status(&client).await.0, used, "{check}");
    }
}

/// The payload of the answer, as it comes over the socket.
pub(super) async fn raw_answer(engine: &Engine, request: &RecryptRequest) -> Vec<u8> {
    let stream = tokio::net::UnixStream::connect(engine.socket())
        .await
        .unwrap();
    let (mut reading, mut writing) = stream.into_split();
    write_frame(&mut writing, &Frame::hello()).await.unwrap();
    read_frame(&mut reading).await.unwrap().unwrap();
    let request = EngineRequest::Recrypt(Box::new(request.clone()));
    let frame = Frame::request(7, &request).unwrap();
    write_frame(&mut writing, &frame).await.unwrap();
    let answer = read_frame(&mut reading).await.unwrap().unwrap();
    assert_eq!((answer.kind, answer.id), (Kind::Reply, 7));
    answer.payload.to_vec()
}

#[tokio::test]
async fn a_ciphertext_goes_to_so_many_devices_and_no_more() {
    let workshop = Workshop::new();
    let scene = Scene::start(
        &workshop,
        Options {
            engine: "[engine.oracle]\ndevices_per_ciphertext = 2\nuses_per_ciphertext = 4\n"
                .to_owned(),
            ..Options::default()
        },
    );
    let client = scene.engine.ready_client().await;
    let request = scene.good("r");
    assert_eq!(ask(&client, request.clone()).await, None);
    let exceeded = Some(FailureCode::BudgetExceeded);
    for (name, expected) in [("b", None), ("c", exceeded)] {
        let device = scene.authority.device(name, KeyAlgorithm::P256);
        let mut other = request.clone();
        other.device.certificate = Base64Bytes(device.der());
        assert_eq!(ask(&client, other).await, expected, "{name}");
    }
    for expected in [None, None, exceeded] {
        assert_eq!(ask(&client, request.clone()).await, expected);
    }
    assert_eq!(status(&client).await.0, 4);
}

#[tokio::test]
async fn neither_a_killed_custody_nor_a_killed_engine_forgets_what_failed() {
    let workshop = Workshop::new();
    let mut scene = Scene::start(&workshop, Options::default());
    let client = scene.engine.ready_client().await;
    let first = scene.bad();
    assert_eq!(ask(&client, first.clone()).await, FAILED);
    for _ in 1..3 {
        assert_eq!(ask(&client, scene.bad()).await, FAILED);
    }
    let before = client.status().await.unwrap();
    crash(part(&before, "custody").pid.unwrap(), Signal::KILL);
    scene
        .engine
        .wait_for(&client, "custody again", |status| {
            part(status, "custody").restarts == 1 && status.token.is_some()
        })
        .await;
    let (used, oracle) = status(&client).await;
    assert_eq!(used, 0);
    assert_eq!(oracle.importers[0].failures_hour, 3);
    assert_eq!(ask(&client, first.clone()).await, FAILED);
    assert_eq!(status(&client).await.0, 0, "it is still quarantined");
    for _ in 3..5 {
        assert_eq!(ask(&client, scene.bad()).await, FAILED);
    }
    scene.engine.signal(Signal::KILL);
    scene.engine.wait();
    scene.engine.launch();
    let client = scene.engine.ready_client().await;
    assert_eq!(ask(&client, scene.bad()).await, SUSPENDED);
    assert_eq!(ask(&client, first).await, FAILED);
    let (used, oracle) = status(&client).await;
    assert_eq!((used, oracle.quarantined), (0, 5));
    let other = scene.of_second(scene.good("other"));
    assert_eq!(ask(&client, other).await, None);
}
