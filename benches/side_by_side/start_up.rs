//! How long each process takes until it is of use.

use super::Fallible;
use super::engine_path::EnginePath;
use super::ground::Ground;
use super::statistics::Spread;
use pfx_connector::cli::demo::Running;
use serde::Serialize;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Where the engine listens, below the stack's folder.
pub(crate) const SOCKET: &str = "run/engine.sock";
const TIMES: usize = 3;
const VERSION_TIMES: usize = 10;

/// Start-up times in milliseconds.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StartUp {
    /// `version`: the program and the module's self-tests.
    pub(crate) version_ms: Spread,
    /// The gateway until it listens.
    pub(crate) gateway_ms: Spread,
    /// The engine until the first request is answered.
    pub(crate) engine_ms: Spread,
    /// The connector until its control socket answers.
    pub(crate) connector_ms: Spread,
}

/// What is left running.
pub(crate) struct Started {
    pub(crate) figures: StartUp,
    pub(crate) gateway: Running,
    pub(crate) engine: Running,
    pub(crate) path: EnginePath,
    /// Memory of a connector that has nothing to do.
    pub(crate) connector_idle_bytes: u64,
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

pub(crate) fn measure(ground: &Ground) -> Fallible<Started> {
    let stack = &ground.stack;
    let mut version = Vec::new();
    for _ in 0..VERSION_TIMES {
        let begun = Instant::now();
        let status = Command::new(stack.program())
            .arg("version")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .status()?;
        version.push(millis(begun.elapsed()));
        if !status.success() {
            return Err("`version` failed".into());
        }
    }

    let mut gateway_took = Vec::new();
    let mut gateway = None;
    for _ in 0..TIMES {
        if let Some(running) = gateway.take() {
            Running::stop(running)?;
        }
        let begun = Instant::now();
        gateway = Some(stack.start_gateway()?);
        gateway_took.push(millis(begun.elapsed()));
    }
    let gateway = gateway.ok_or("the gateway was not started")?;
    stack.enrol()?;

    let mut engine_took = Vec::new();
    let mut engine: Option<(Running, EnginePath)> = None;
    for _ in 0..TIMES {
        if let Some((running, path)) = engine.take() {
            drop(path);
            running.stop()?;
        }
        let begun = Instant::now();
        let running = Running::start(
            "engine",
            stack.program(),
            &[
                "engine",
                "--config",
                &stack.path("engine.toml").display().to_string(),
            ],
            &stack.path("logs/engine.log"),
        )?;
        let path = EnginePath::until_answered(ground, SOCKET)?;
        engine_took.push(millis(begun.elapsed()));
        engine = Some((running, path));
    }
    let (engine, path) = engine.ok_or("the engine was not started")?;

    let mut connector_took = Vec::new();
    let mut connector_idle_bytes = 0;
    for _ in 0..TIMES {
        let begun = Instant::now();
        let connector = stack.start_connector(0)?;
        connector_took.push(millis(begun.elapsed()));
        connector_idle_bytes = super::processes::resident_bytes(connector.pid())?;
        connector.stop()?;
    }
    Ok(Started {
        figures: StartUp {
            version_ms: Spread::of(version),
            gateway_ms: Spread::of(gateway_took),
            engine_ms: Spread::of(engine_took),
            connector_ms: Spread::of(connector_took),
        },
        gateway,
        engine,
        path,
        connector_idle_bytes,
    })
}
