//! Certificates on request, with the real processes: gateway, connector and engine, and an authority whose key (EC P-256) is on the engine's
//! SoftHSM token. How many there are in a second from the gateway's queue back to it, and where the time goes: the engine's verbs one after
//! the other, within them key generation in the module and the authority's signature on the token, and what is left for journal, store of the
//! authority, gateway and events.
//!
//! The stack is that of `tests/certificates.rs`. Before anything is measured, OpenSSL opens one certificate of each kind of key.

mod asking;
mod parts;
mod report;
#[allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "the stack of a test: what a measurement does not need is left out, and what fails there ends it"
)]
#[path = "../../../tests/certificates/site.rs"]
mod site;
#[path = "../../../tests/support/stack.rs"]
mod stack;

use super::bare::BareLoop;
use super::device_side::DeviceSide;
use super::engine_path;
use super::processes::{Watched, load_average};
use super::statistics::{Percentiles, micros};
use super::{Args, Fallible};
use fips::secret::SecretBytes;
use parts::Parts;
use pfx_connector::cli::demo::{DemoError, Device, Running, Stack};
use pfx_connector::engine::api::keys::KeyType;
use pfx_connector::engine::client::EngineClient;
use pkcs8::SecretDocument;
pub(crate) use report::Figures;
use site::Issuing;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

/// No round is begun after this time.
const TIME_LIMIT: Duration = Duration::from_secs(180);
const KEYS: [KeyType; 3] = [KeyType::EcP256, KeyType::Rsa2048, KeyType::Rsa3072];
/// Requests in hand at once: one, and the connector's usual number.
const ONE: usize = 1;
const MANY: usize = 8;
/// Requests to a connector that has nothing else to do, each after the one before is done.
const SINGLE: u64 = 10;
/// Pause between two looks at one of them.
const LOOK_OFTEN: Duration = Duration::from_millis(2);

/// What one round measured with one kind of key.
struct Sample {
    key: KeyType,
    /// A second, with [`MANY`] in hand.
    many: f64,
    /// A second, with [`ONE`].
    one: f64,
    /// From the question to the result at the gateway, with nothing else to do.
    single: Percentiles,
    /// Processor time of one of the [`MANY`], by process, in microseconds.
    processor_us: Vec<(String, f64)>,
    parts: Parts,
}

/// What is measured on.
struct Ground<'a> {
    stack: &'a Stack,
    device: Device,
    side: DeviceSide,
    gateway: &'a Running,
    runtime: Runtime,
    engine: EngineClient,
    /// The engine's processes.
    watched: Watched,
    bare: BareLoop,
    /// Of which a PFX is written.
    identity: Identity,
}

/// How many are made of a kind of key: of those that take long, fewer.
fn of_kind(key: KeyType, count: u64) -> u64 {
    if key.is_rsa() {
        count.div_ceil(4)
    } else {
        count
    }
}

/// Measures `count` certificates for EC keys in each round, and fewer for RSA keys.
pub(crate) fn measure(args: &Args, count: u32) -> Fallible<Figures> {
    let bare = BareLoop::build()?;
    eprintln!("Preparing token, authority and certificates ...");
    let issuing = Issuing::new();
    let stack = &issuing.site.stack;
    let load_before = load_average()?;
    let running = stack.start_engine()?;
    let gateway = stack.start_gateway()?;
    issuing.enrol();
    let device = issuing.device(0);
    asking::allow(stack)?;
    asking::add_profiles(stack)?;
    let side = DeviceSide::new(stack)?;
    asking::open_one_of_each(stack, &side, &device)?;

    let runtime = engine_path::runtime()?;
    let (engine, watched) = runtime.block_on(async {
        let engine = EngineClient::connect(&stack.path("run/engine.sock")).await?;
        let watched = engine_path::processes_of(&engine).await?;
        Fallible::Ok((engine, watched))
    })?;
    let ground = Ground {
        stack,
        device,
        side,
        gateway: &gateway,
        runtime,
        engine,
        watched,
        bare,
        identity: Identity::make(stack)?,
    };
    let mut samples = Vec::new();
    let until = Instant::now() + TIME_LIMIT;
    let mut rounds = 0;
    while rounds < args.rounds && Instant::now() < until {
        eprintln!("Round {} of {} ...", rounds + 1, args.rounds);
        for key in KEYS {
            let round = u64::from(rounds);
            samples.push(ground.sample(key, round, u64::from(count))?);
        }
        rounds += 1;
    }
    let durable_us = parts::durable_write(&stack.path("run"))?;
    drop(ground);
    gateway.stop()?;
    running.stop()?;
    Figures::of(
        &samples,
        &report::Run {
            load_before,
            rounds,
            count,
            durable_us,
        },
    )
}

/// A key on P-256 (PKCS#8) and its certificate (DER).
struct Identity {
    key: SecretBytes,
    certificate: Vec<u8>,
}

impl Identity {
    /// As the demo's third person has it.
    fn make(stack: &Stack) -> Fallible<Self> {
        let (key, certificate) = stack.pki.person(2, "third@example.com")?;
        let read = |path| -> Fallible<SecretDocument> {
            let pem = std::fs::read_to_string(path)?;
            let (_, document) =
                SecretDocument::from_pem(&pem).map_err(|error| error.to_string())?;
            Ok(document)
        };
        Ok(Self {
            key: SecretBytes::from_slice(read(key)?.as_bytes()),
            certificate: read(certificate)?.as_bytes().to_vec(),
        })
    }
}

impl Ground<'_> {
    fn sample(&self, key: KeyType, round: u64, count: u64) -> Fallible<Sample> {
        let many = of_kind(key, count);
        let before = self.watched.processor()?;
        let whole = self.whole(key, &format!("many-{round}"), MANY, many)?;
        let mut processor_us = super::spent(&self.watched, &before, usize::try_from(many)?)?;
        let each = f64::from(u32::try_from(many)?);
        for (process, spent) in [
            ("gateway", whole.gateway_processor),
            ("connector", whole.connector_processor),
        ] {
            processor_us.push((process.to_owned(), micros(spent) / each));
        }
        let one = self.whole(key, &format!("one-{round}"), ONE, many.div_ceil(2))?;
        Ok(Sample {
            key,
            many: whole.per_second,
            one: one.per_second,
            single: self.single(key, round)?,
            processor_us,
            parts: Parts::measure(self, key, round)?,
        })
    }

    /// Queues requests and drains the queue.
    fn whole(
        &self,
        key: KeyType,
        name: &str,
        in_hand: usize,
        count: u64,
    ) -> Fallible<super::device_side::Round> {
        let config = asking::connector(self.stack, in_hand)?;
        let names = self.queue(key, name, 0..count)?;
        let last = in_hand.min(names.len());
        self.side
            .drain(self.stack, &config, self.gateway.pid(), &names, last)
    }

    fn queue(
        &self,
        key: KeyType,
        name: &str,
        numbers: std::ops::Range<u64>,
    ) -> Fallible<Vec<String>> {
        self.side.queue(numbers, |mdm, number| {
            let name = format!("{}-{name}-{number}", key.name().to_lowercase());
            let request = asking::request(&name, &self.device, key);
            async move { Ok::<_, DemoError>(vec![mdm.ask_certificate(&request).await?.request_id]) }
        })
    }

    /// How long one takes while there is nothing else to do.
    fn single(&self, key: KeyType, round: u64) -> Fallible<Percentiles> {
        let config = asking::connector(self.stack, MANY)?;
        let connector = Running::start(
            "connector",
            self.stack.program(),
            &["run", "--config", &config.display().to_string()],
            &self.stack.path("logs/connector-bench.log"),
        )?;
        let mut took = Vec::new();
        for number in 0..=of_kind(key, SINGLE) {
            let begun = Instant::now();
            let names = self.queue(key, &format!("single-{round}"), number..number + 1)?;
            for name in &names {
                self.side.until_completed(name, LOOK_OFTEN)?;
            }
            // The first finds a connector that has just been started.
            if number > 0 {
                took.push(begun.elapsed());
            }
        }
        connector.stop()?;
        Ok(Percentiles::of(took))
    }
}
