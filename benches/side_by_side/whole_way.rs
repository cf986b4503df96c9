//! The whole way: requests that wait at the gateway, from the connector's start to the last completion.

use super::Fallible;
use super::ground::{CONCURRENCY, Ground};
use super::processes::{processor_time, resident_bytes};
use super::statistics::per_second;
use pfx_connector::cli::demo::{Device, Mdm, Running};
use pfx_connector::engine::api::{CmsFormat, Delivery};
use pfx_connector::gateway::api::State;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

/// Device requests sent at once.
const ASKING: usize = 8;
/// Pause between two looks at the last request.
const LOOK_AGAIN: Duration = Duration::from_millis(10);
const LIMIT: Duration = Duration::from_secs(120);

pub(crate) struct WholeWay {
    runtime: Runtime,
    mdm: Mdm,
    user: String,
    device: Device,
    asked: u64,
}

/// What one round measured.
pub(crate) struct WholeFigures {
    pub(crate) per_second: f64,
    /// Processor time of the connector, all of its life.
    pub(crate) connector_processor: Duration,
    /// Processor time of the gateway from the connector's start on.
    pub(crate) gateway_processor: Duration,
    /// Its memory at the end.
    pub(crate) connector_bytes: u64,
}

impl WholeWay {
    pub(crate) fn new(ground: &Ground) -> Fallible<Self> {
        let stack = &ground.stack;
        stack.import(&ground.person)?;
        let bearer = std::fs::read_to_string(stack.path("import/mdm.token"))?;
        let tls = pfx_connector::tls::client_config(&stack.pki.tls_ca(), None)?;
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .no_proxy()
            .https_only(true)
            .timeout(Duration::from_secs(30))
            .build()?;
        Ok(Self {
            runtime: Builder::new_current_thread().enable_all().build()?,
            mdm: Mdm::new(client, stack.gateway_url()?, bearer.trim().to_owned()),
            user: ground.person.user.clone(),
            device: ground.device.clone(),
            asked: 0,
        })
    }

    /// Queues requests; returns their names in the order of the queue, as far as they were not sent at the same time.
    fn queue(&mut self, requests: usize) -> Fallible<Vec<String>> {
        let mut names = Vec::with_capacity(requests);
        self.runtime.block_on(async {
            let mut tasks = JoinSet::new();
            for _ in 0..requests {
                self.asked += 1;
                let key = format!("bench-{}", self.asked);
                let (mdm, user, device) =
                    (self.mdm.clone(), self.user.clone(), self.device.clone());
                tasks.spawn(async move {
                    mdm.ask(&user, &device, CmsFormat::Modern, Delivery::Password, &key)
                        .await
                });
                if tasks.len() >= ASKING
                    && let Some(accepted) = tasks.join_next().await
                {
                    names.extend(accepted??.requests.into_iter().map(|one| one.request_id));
                }
            }
            while let Some(accepted) = tasks.join_next().await {
                names.extend(accepted??.requests.into_iter().map(|one| one.request_id));
            }
            Fallible::Ok(())
        })?;
        Ok(names)
    }

    /// Waits until a request is completed. It is looked at rarely, because looking costs the gateway time.
    fn until_completed(&self, request_id: &str) -> Fallible<()> {
        let until = Instant::now() + LIMIT;
        loop {
            let state = self.runtime.block_on(self.mdm.state(request_id))?;
            match state.state {
                State::Completed => return Ok(()),
                State::Failed => return Err(format!("{request_id} failed: {state:?}").into()),
                _ if Instant::now() >= until => {
                    return Err("the requests are not completed in time".into());
                }
                _ => std::thread::sleep(LOOK_AGAIN),
            }
        }
    }

    /// Queues requests, starts the connector with this concurrency, and waits for the last completion. `gateway`: its process id.
    pub(crate) fn round(
        &mut self,
        ground: &Ground,
        gateway: u32,
        concurrency: usize,
        requests: usize,
    ) -> Fallible<WholeFigures> {
        let config = configuration(ground, concurrency)?;
        let names = self.queue(requests)?;
        let gateway_before = processor_time(gateway)?;
        let started = Instant::now();
        let connector = Running::start(
            "connector",
            ground.stack.program(),
            &["run", "--config", &config.display().to_string()],
            &ground.stack.path("logs/connector-bench.log"),
        )?;
        // The queue is first in, first out: when the last is done, the others are, or nearly.
        for name in names.iter().rev().take(1) {
            self.until_completed(name)?;
        }
        let elapsed = started.elapsed();
        let gateway_processor = processor_time(gateway)?.saturating_sub(gateway_before);
        for name in &names {
            self.until_completed(name)?;
        }
        let figures = WholeFigures {
            per_second: per_second(names.len(), elapsed),
            connector_processor: processor_time(connector.pid())?,
            gateway_processor,
            connector_bytes: resident_bytes(connector.pid())?,
        };
        connector.stop()?;
        Ok(figures)
    }
}

/// The connector's configuration with another concurrency.
fn configuration(ground: &Ground, concurrency: usize) -> Fallible<PathBuf> {
    let text = std::fs::read_to_string(ground.stack.connector_config(0))?;
    let changed = text.replace(CONCURRENCY, &format!("concurrency = {concurrency}"));
    let path = ground
        .stack
        .path(&format!("connector-bench-{concurrency}.toml"));
    std::fs::write(&path, changed)?;
    Ok(path)
}
