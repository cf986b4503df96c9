//! An engine with a software token, asked over its socket.

use super::statistics::Samples;
use super::{Args, Fallible};
use audit::ledger::Release;
use fips::digest::Hash;
use fips::secret::SecretBytes;
use fips::sign::SigningKey;
use hsm::Padding;
use pfx_connector::cli::demo::{
    DeviceKind, KEY_LABEL, Person, Running, Stack, StackOptions, TokenKind,
};
use pfx_connector::encoding::Base64Bytes;
use pfx_connector::engine::api::{
    CmsFormat, DeviceTarget, EngineReply, EngineRequest, FailureCode, OracleReport, OracleRequest,
    RecryptRequest,
};
use pfx_connector::engine::formats::pfx::{self, PfxLimits};
use pfx_connector::engine::ipc::blocking::{Incoming, read_frame, write_frame};
use pfx_connector::engine::ipc::{Frame, Kind};
use pfx_connector::engine::recrypt::importers;
use pfx_connector::record::Record;
use pkcs8::SecretDocument;
use std::fs;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// What is encrypted with, and what records say.
const PADDING: Padding = Padding::OaepSha1;
/// Failing requests of all lanes before an operator lets everybody go: below every budget that can be configured, and below an importer's
/// share of the quarantine.
const BETWEEN_RELEASES: u64 = 384;
const DEADLINE_MS: u32 = 60_000;
const START_LIMIT: Duration = Duration::from_secs(60);

/// What a request comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    Valid,
    BadPadding,
    Random,
    WrongPassword,
}

impl Class {
    const fn name(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::BadPadding => "bad padding",
            Self::Random => "random",
            Self::WrongPassword => "wrong password",
        }
    }
}

/// The engine, and what records for it are made of.
pub(crate) struct Ground {
    stack: Stack,
    custody_key: fips::rsa::PublicKey,
    importer: SigningKey,
    template: RecryptRequest,
    password: SecretBytes,
    _engine: Running,
}

/// One connection.
struct Caller {
    stream: UnixStream,
    next: u64,
}

impl Caller {
    fn connect(stack: &Stack) -> Fallible<Self> {
        let mut stream = UnixStream::connect(stack.path("run/engine.sock"))?;
        write_frame(&mut stream, &Frame::hello())?;
        let mut caller = Self { stream, next: 1 };
        caller.read()?.expect_hello()?;
        Ok(caller)
    }

    fn read(&mut self) -> Fallible<Frame> {
        match read_frame(&mut self.stream)? {
            Incoming::Frame(frame) => Ok(frame),
            _ => Err("the engine closed the connection".into()),
        }
    }

    fn frame(&mut self, request: &EngineRequest) -> Fallible<Frame> {
        self.next = self.next.saturating_add(1);
        let mut frame = Frame::request(self.next, request)?;
        frame.time_left_ms = DEADLINE_MS;
        Ok(frame)
    }

    /// The answer, and the time from the first byte written to the last one read.
    fn ask(&mut self, frame: &Frame) -> Fallible<(EngineReply, Duration)> {
        let begun = Instant::now();
        write_frame(&mut self.stream, frame)?;
        let answer = self.read()?;
        let taken = begun.elapsed();
        if (answer.kind, answer.id) != (Kind::Reply, frame.id) {
            return Err("an answer to another question".into());
        }
        Ok((serde_json::from_slice(&answer.payload)?, taken))
    }

    fn oracle(&mut self, request: OracleRequest) -> Fallible<OracleReport> {
        let frame = self.frame(&EngineRequest::Oracle(request))?;
        match self.ask(&frame)?.0 {
            EngineReply::Oracle(report) => Ok(*report),
            other => Err(format!("not shown: {other:?}").into()),
        }
    }

    fn release(&mut self, release: Release) -> Fallible<OracleReport> {
        self.oracle(OracleRequest::Release {
            release,
            approvals: Vec::new(),
        })
    }

    /// Lets everybody and everything go that failed.
    fn release_all(&mut self) -> Fallible<OracleReport> {
        let report = self.oracle(OracleRequest::Show)?;
        for importer in &report.status.importers {
            let importer = importer.id.as_deref().map(str::parse).transpose()?;
            let release = Release::Importer {
                importer,
                quarantine: true,
            };
            self.release(release)?;
        }
        for caller in &report.status.callers {
            let caller = caller.id.as_deref().map(str::parse).transpose()?;
            let release = Release::Caller { caller };
            self.release(release)?;
        }
        Ok(report)
    }
}

impl Ground {
    pub(crate) fn prepare(args: &Args, folder: PathBuf, release: &str) -> Fallible<Self> {
        let stack = Stack::prepare(StackOptions {
            program: PathBuf::from(env!("CARGO_BIN_EXE_pfx-connector")),
            folder,
            token: TokenKind::Softhsm,
            module: None,
            module_environment: Vec::new(),
            key_bits: 2048,
            connectors: 1,
            lease_ms: 60_000,
            connector_extra: String::new(),
            engine_extra: format!(
                "oracle = {{ importer_failures_per_hour = 1000, importer_failures_per_day = 1000, caller_failures_per_hour = 1000, grid_ms = {}, release = {release:?}, check_password = \"always\" }}",
                args.grid_ms
            ),
            engine_fips: "mode = \"off\"".to_owned(),
        })?;
        let person = Person::make(&stack.pki, &stack.path("import"), 0)?;
        let device = stack.pki.device(0, DeviceKind::Rsa(2048))?;
        let pfx = fs::read(&person.pfx)?;
        let password = SecretBytes::from_vec(fs::read(&person.password_file)?);
        let facts = pfx::read(&pfx, &password, &PfxLimits::default())?
            .identity()?
            .facts()?;
        let public = fs::read_to_string(stack.path("import/custody-public.pem"))?;
        let spki = hsm::public_key::PublicKey::from_spki_pem(&public)?.to_spki_der()?;
        let pem = fs::read_to_string(stack.path("import/importer.key"))?;
        let (_, importer) = SecretDocument::from_pem(&pem).map_err(|error| error.to_string())?;
        let template = RecryptRequest {
            request_id: "timing".to_owned(),
            record: Record {
                user_principal_name: person.user.clone(),
                thumbprint: facts.thumbprint.clone(),
                provider_name: "pfx-connector".to_owned(),
                key_name: KEY_LABEL.to_owned(),
                custody_key: Some(stack.custody_fingerprint.clone()),
                padding: PADDING,
                encrypted_password: Base64Bytes::default(),
                importer_signature: None,
            },
            pfx: Base64Bytes(pfx),
            device: DeviceTarget {
                certificate: Base64Bytes(device.certificate_der.clone()),
                intermediates: Vec::new(),
            },
            format: CmsFormat::Modern,
        };
        let engine = stack.start_engine()?;
        let ground = Self {
            custody_key: fips::rsa::PublicKey::from_spki(&spki)?,
            importer: SigningKey::from_pkcs8(importer.as_bytes())?,
            stack,
            template,
            password,
            _engine: engine,
        };
        ground.until_it_works()?;
        Ok(ground)
    }

    fn until_it_works(&self) -> Fallible<()> {
        let until = Instant::now() + START_LIMIT;
        loop {
            let answer = Caller::connect(&self.stack).and_then(|mut caller| {
                let frame = caller.frame(&self.request(Class::Valid)?)?;
                caller.ask(&frame)
            });
            match answer {
                Ok((EngineReply::Recrypted(_), _)) => return Ok(()),
                other if Instant::now() >= until => {
                    return Err(format!("the engine does not work: {other:?}").into());
                }
                _ => std::thread::sleep(Duration::from_millis(20)),
            }
        }
    }

    /// A fresh record, of the same size whatever its class. What is done here is the same for every class too: a thread that computed less
    /// before it asks is woken sooner by the scheduler when the answer comes.
    fn request(&self, class: Class) -> Fallible<EngineRequest> {
        let another = fips::random::alphanumeric(self.password.len())?;
        let (hash, password) = match class {
            Class::Valid | Class::Random => (Hash::Sha1, self.password.expose()),
            Class::WrongPassword => (Hash::Sha1, another.expose()),
            Class::BadPadding => (Hash::Sha256, self.password.expose()),
        };
        let encrypted = self.custody_key.encrypt_oaep(hash, password)?;
        let mut random = fips::random::array::<256>()?;
        // Below every modulus of this length.
        if let Some(first) = random.first_mut() {
            *first &= 0x7f;
        }
        let ciphertext = match class {
            Class::Random => random.to_vec(),
            _ => encrypted,
        };
        let mut request = self.template.clone();
        request.record.encrypted_password = Base64Bytes(ciphertext);
        let signature = importers::sign(&self.importer, &request.record, request.pfx.as_slice())?;
        request.record.importer_signature = Some(signature);
        Ok(EngineRequest::Recrypt(Box::new(request)))
    }

    /// Microseconds of each request, and how many answers missed the first multiple of the grid.
    pub(crate) fn measure(
        &self,
        args: &Args,
        classes: &[Class],
    ) -> Fallible<(Vec<(&'static str, Samples)>, u64)> {
        let lanes = u64::from(args.lanes);
        let each = args.samples.div_ceil(lanes);
        let mut all: Vec<_> = classes
            .iter()
            .map(|class| (class.name(), Samples::default()))
            .collect();
        std::thread::scope(|scope| {
            let lanes: Vec<_> = (0..lanes)
                .map(|_| scope.spawn(|| self.lane(classes, each, BETWEEN_RELEASES / lanes.max(1))))
                .collect();
            for lane in lanes {
                let samples = lane.join().map_err(|_| "a lane panicked")??;
                for ((_, all), one) in all.iter_mut().zip(samples) {
                    all.extend(one);
                }
            }
            Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
        })?;
        let report = Caller::connect(&self.stack)?.release_all()?;
        Ok((all, report.status.late_answers))
    }

    fn lane(&self, classes: &[Class], each: u64, between_releases: u64) -> Fallible<Vec<Samples>> {
        let mut caller = Caller::connect(&self.stack)?;
        let mut taken = vec![Samples::default(); classes.len()];
        let mut left = vec![each; classes.len()];
        let mut failed = 0_u64;
        while left.iter().any(|left| *left > 0) {
            let [random] = fips::random::array()?;
            let place = usize::from(random) % classes.len();
            let (Some(class), Some(samples), Some(left)) = (
                classes.get(place),
                taken.get_mut(place),
                left.get_mut(place),
            ) else {
                continue;
            };
            if *left == 0 {
                continue;
            }
            if failed >= between_releases {
                caller.release_all()?;
                failed = 0;
            }
            let frame = caller.frame(&self.request(*class)?)?;
            let (reply, time) = caller.ask(&frame)?;
            match (reply, class) {
                (EngineReply::Recrypted(_), Class::Valid) => {}
                (EngineReply::Failed(failure), _)
                    if failure.code == FailureCode::DecryptionFailed && *class != Class::Valid =>
                {
                    failed += 1;
                }
                (other, class) => return Err(format!("{class:?}: {other:?}").into()),
            }
            *left -= 1;
            samples.add(time.as_secs_f64() * 1e6);
        }
        Ok(taken)
    }
}
