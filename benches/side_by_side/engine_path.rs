//! The engine over its unix socket, as the connector asks it.

use super::Fallible;
use super::ground::Ground;
use super::processes::Watched;
use super::statistics::{Percentiles, per_second};
use pfx_connector::engine::api::RecryptRequest;
use pfx_connector::engine::client::{EngineClient, RecryptError};
use std::path::PathBuf;
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

const DEADLINE: Duration = Duration::from_secs(30);
/// Requests of each thread before latencies are noted.
const WARM_UP: usize = 20;
/// Pause between two attempts to reach an engine that starts.
const LOOK_AGAIN: Duration = Duration::from_millis(2);
const START_LIMIT: Duration = Duration::from_secs(60);

pub(crate) struct EnginePath {
    socket: PathBuf,
    requests: Vec<RecryptRequest>,
    runtime: Runtime,
    client: EngineClient,
}

pub(crate) fn runtime() -> Fallible<Runtime> {
    Ok(Builder::new_current_thread().enable_all().build()?)
}

/// The processes of an engine.
pub(crate) async fn processes_of(client: &EngineClient) -> Fallible<Watched> {
    let status = client.status().await?;
    let mut watched = Watched::default();
    for part in &status.parts {
        if let Some(pid) = part.pid {
            watched.add(&part.name, pid);
        }
    }
    Ok(watched)
}

impl EnginePath {
    /// Waits until the engine answers a request; that is also what its start-up time ends with.
    pub(crate) fn until_answered(ground: &Ground, socket: &str) -> Fallible<Self> {
        let socket = ground.stack.path(socket);
        let request = ground.requests.first().ok_or("no requests")?;
        let runtime = runtime()?;
        let until = Instant::now() + START_LIMIT;
        loop {
            let answer = runtime.block_on(async {
                let client = EngineClient::connect(&socket).await?;
                client.recrypt(request.clone(), DEADLINE).await?;
                Ok(client)
            });
            match answer {
                Ok(client) => {
                    return Ok(Self {
                        socket,
                        requests: ground.requests.clone(),
                        runtime,
                        client,
                    });
                }
                Err(RecryptError::Failed(failure)) if !failure.code.is_transient() => {
                    return Err(format!("{:?}: {}", failure.code, failure.message).into());
                }
                Err(error) if Instant::now() >= until => return Err(error.into()),
                Err(_) => std::thread::sleep(LOOK_AGAIN),
            }
        }
    }

    /// The engine's processes.
    pub(crate) fn processes(&self) -> Fallible<Watched> {
        self.runtime.block_on(processes_of(&self.client))
    }

    /// Requests per second with `in_flight` of them under way on one connection.
    pub(crate) fn throughput(&self, in_flight: usize, requests: usize) -> Fallible<f64> {
        self.throughput_with(&self.requests, in_flight, requests)
    }

    /// The same, as if one password was asked for by so many devices.
    pub(crate) fn throughput_of_one(&self, in_flight: usize, requests: usize) -> Fallible<f64> {
        let one = self.requests.get(..1).ok_or("no requests")?;
        self.throughput_with(one, in_flight, requests)
    }

    fn throughput_with(
        &self,
        work: &[RecryptRequest],
        in_flight: usize,
        requests: usize,
    ) -> Fallible<f64> {
        let each = requests.div_ceil(in_flight);
        self.runtime.block_on(async {
            let started = Instant::now();
            let mut tasks = JoinSet::new();
            for request in work.iter().cycle().take(in_flight) {
                let (client, request) = (self.client.clone(), request.clone());
                tasks.spawn(async move {
                    for _ in 0..each {
                        client.recrypt(request.clone(), DEADLINE).await?;
                    }
                    Ok::<(), RecryptError>(())
                });
            }
            while let Some(ended) = tasks.join_next().await {
                ended??;
            }
            Ok(per_second(each * in_flight, started.elapsed()))
        })
    }

    /// How long a request takes at a given rate: each of `threads` has a connection of its own and asks at its own times, as
    /// the bare loop's threads do, so that no two wait for each other here.
    #[expect(clippy::cast_precision_loss, reason = "a few threads")]
    pub(crate) fn latency(
        &self,
        threads: usize,
        requests: usize,
        rate: f64,
    ) -> Fallible<Percentiles> {
        let period = Duration::try_from_secs_f64(threads as f64 / rate)?;
        let each = requests.div_ceil(threads);
        let barrier = Arc::new(Barrier::new(threads));
        let running: Vec<_> = (0..threads)
            .map(|number| {
                let first = period.mul_f64(number as f64 / threads as f64);
                let socket = self.socket.clone();
                // One for each thread: no two ask for the same at the same time.
                let request = self.requests.iter().cycle().nth(number).cloned();
                let barrier = Arc::clone(&barrier);
                std::thread::spawn(move || {
                    let request = request.ok_or("no requests")?;
                    let prepared = prepare(&socket, &request);
                    // Even a thread that failed comes here: the others wait for it.
                    barrier.wait();
                    let (runtime, client) = prepared?;
                    let mut took = Vec::with_capacity(each);
                    let mut due = Instant::now() + first;
                    for _ in 0..each {
                        std::thread::sleep(due.saturating_duration_since(Instant::now()));
                        due += period;
                        let request = request.clone();
                        let begun = Instant::now();
                        runtime.block_on(client.recrypt(request, DEADLINE))?;
                        took.push(begun.elapsed());
                    }
                    Fallible::Ok(took)
                })
            })
            .collect();
        let mut took = Vec::new();
        for thread in running {
            took.extend(thread.join().map_err(|_| "a thread ended by a fault")??);
        }
        Ok(Percentiles::of(took))
    }
}

fn prepare(
    socket: &std::path::Path,
    request: &RecryptRequest,
) -> Fallible<(Runtime, EngineClient)> {
    let runtime = runtime()?;
    let client = runtime.block_on(async {
        let client = EngineClient::connect(socket).await?;
        for _ in 0..WARM_UP {
            client.recrypt(request.clone(), DEADLINE).await?;
        }
        Ok::<_, RecryptError>(client)
    })?;
    Ok((runtime, client))
}
