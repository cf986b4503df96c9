//! The device side of a measurement: it queues requests at the gateway, starts the connector, and waits for the last completion.

use super::Fallible;
use super::processes::{processor_time, resident_bytes};
use super::statistics::per_second;
use pfx_connector::cli::demo::{DemoError, Device, Mdm, Running, Stack, verify};
use pfx_connector::gateway::api::State;
use std::future::Future;
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

/// Requests sent at once.
const ASKING: usize = 8;
/// Pause between two looks at the last request.
pub(crate) const LOOK_AGAIN: Duration = Duration::from_millis(10);
const LIMIT: Duration = Duration::from_secs(120);

pub(crate) struct DeviceSide {
    runtime: Runtime,
    mdm: Mdm,
}

/// What one round measured.
pub(crate) struct Round {
    pub(crate) per_second: f64,
    /// Processor time of the connector, all of its life.
    pub(crate) connector_processor: Duration,
    /// Processor time of the gateway from the connector's start on.
    pub(crate) gateway_processor: Duration,
    /// The connector's memory at the end.
    pub(crate) connector_bytes: u64,
}

/// A client of the stack's gateway.
pub(crate) fn client(stack: &Stack) -> Fallible<reqwest::Client> {
    let tls = pfx_connector::tls::client_config(&stack.pki.tls_ca(), None)?;
    Ok(reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .no_proxy()
        .https_only(true)
        .timeout(Duration::from_secs(30))
        .build()?)
}

/// The token of somebody who is enrolled at it.
pub(crate) fn bearer(stack: &Stack, role: &str) -> Fallible<String> {
    let token = std::fs::read_to_string(stack.path(&format!("import/{role}.token")))?;
    Ok(token.trim().to_owned())
}

impl DeviceSide {
    /// Of a stack that is enrolled and whose gateway runs.
    pub(crate) fn new(stack: &Stack) -> Fallible<Self> {
        Ok(Self {
            runtime: Builder::new_current_thread().enable_all().build()?,
            mdm: Mdm::new(client(stack)?, stack.gateway_url()?, bearer(stack, "mdm")?),
        })
    }

    /// The device opens what it was given.
    pub(crate) fn open(&self, stack: &Stack, device: &Device, request_id: &str) -> Fallible<()> {
        let delivery = self.runtime.block_on(self.mdm.collect(request_id))?;
        Ok(verify(stack.folder(), device, &delivery)?)
    }

    /// Queues what `ask` asks for with each of the numbers; returns the requests' names in the order of the queue, as far as they were not
    /// sent at the same time.
    pub(crate) fn queue<F>(
        &self,
        numbers: impl IntoIterator<Item = u64>,
        ask: impl Fn(Mdm, u64) -> F,
    ) -> Fallible<Vec<String>>
    where
        F: Future<Output = Result<Vec<String>, DemoError>> + Send + 'static,
    {
        let mut names = Vec::new();
        self.runtime.block_on(async {
            let mut tasks = JoinSet::new();
            for number in numbers {
                tasks.spawn(ask(self.mdm.clone(), number));
                if tasks.len() >= ASKING
                    && let Some(accepted) = tasks.join_next().await
                {
                    names.extend(accepted??);
                }
            }
            while let Some(accepted) = tasks.join_next().await {
                names.extend(accepted??);
            }
            Fallible::Ok(())
        })?;
        Ok(names)
    }

    /// Waits until a request is completed. It is looked at rarely, because looking costs the gateway time.
    pub(crate) fn until_completed(&self, request_id: &str, look_again: Duration) -> Fallible<()> {
        let until = Instant::now() + LIMIT;
        loop {
            let state = self.runtime.block_on(self.mdm.state(request_id))?;
            match state.state {
                State::Completed => return Ok(()),
                State::Failed => return Err(format!("{request_id} failed: {state:?}").into()),
                _ if Instant::now() >= until => {
                    return Err("the requests are not completed in time".into());
                }
                _ => std::thread::sleep(look_again),
            }
        }
    }

    /// Starts the connector with this configuration and waits until the `last` of the queued requests are completed, and then for the others.
    /// `gateway`: its process id.
    pub(crate) fn drain(
        &self,
        stack: &Stack,
        config: &Path,
        gateway: u32,
        names: &[String],
        last: usize,
    ) -> Fallible<Round> {
        let gateway_before = processor_time(gateway)?;
        let started = Instant::now();
        let connector = Running::start(
            "connector",
            stack.program(),
            &["run", "--config", &config.display().to_string()],
            &stack.path("logs/connector-bench.log"),
        )?;
        // The queue is first in, first out: when the last are done, the others are, or nearly.
        for name in names.iter().rev().take(last) {
            self.until_completed(name, LOOK_AGAIN)?;
        }
        let elapsed = started.elapsed();
        let gateway_processor = processor_time(gateway)?.saturating_sub(gateway_before);
        for name in names {
            self.until_completed(name, LOOK_AGAIN)?;
        }
        let round = Round {
            per_second: per_second(names.len(), elapsed),
            connector_processor: processor_time(connector.pid())?,
            gateway_processor,
            connector_bytes: resident_bytes(connector.pid())?,
        };
        connector.stop()?;
        Ok(round)
    }
}
