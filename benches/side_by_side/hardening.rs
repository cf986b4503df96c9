//! What the engine's hardening costs: the same engine with neither receipts nor sandbox, on the same token, in the same rounds.
//!
//! What cannot be turned off stays on in both: the budgets, the grid for failing answers, the secrets' locked memory.

use super::engine_path::EnginePath;
use super::ground::Ground;
use super::{Fallible, configuration};
use pfx_connector::cli::demo::Running;
use toml::Value;

const SOCKET: &str = "run/unhardened.sock";
const CONFIGURATION: &str = "unhardened.toml";

/// The engine without its hardening.
pub(crate) struct Unhardened {
    running: Running,
    /// The way to it.
    pub(crate) path: EnginePath,
}

impl Unhardened {
    pub(crate) fn start(ground: &Ground) -> Fallible<Self> {
        let stack = &ground.stack;
        configuration::change(stack, CONFIGURATION, |engine| {
            let socket = stack.path(SOCKET).display().to_string();
            engine.insert("socket".to_owned(), socket.into());
            engine.insert("sandbox".to_owned(), "off".into());
            let exceptions = vec![Value::from("no-receipts")];
            engine.insert("exceptions".to_owned(), exceptions.into());
            engine.remove("audit");
            Ok(())
        })?;
        let running = Running::start(
            "unhardened engine",
            stack.program(),
            &[
                "engine",
                "--config",
                &stack.path(CONFIGURATION).display().to_string(),
            ],
            &stack.path("logs/unhardened.log"),
        )?;
        let path = EnginePath::until_answered(ground, SOCKET)?;
        Ok(Self { running, path })
    }

    pub(crate) fn stop(self) -> Fallible<()> {
        drop(self.path);
        self.running.stop()?;
        Ok(())
    }
}
