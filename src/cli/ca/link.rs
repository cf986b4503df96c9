//! The authority of a configuration, opened for a command.

use crate::ca::local::{LocalCa, Settings, StoreError};
use crate::cli::output::Failure;
use crate::config::{self, LocalCaConfig};
use crate::encoding::printable;
use crate::engine::client::EngineClient;
use crate::tls;
use clap::Args;
use std::future::Future;
use std::path::PathBuf;

/// Which authority is meant.
#[derive(Debug, Clone, Args)]
pub(super) struct WhichArgs {
    /// Configuration with [[local_ca]]; the engine has to run
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Name of the authority, where the configuration has several
    #[arg(long, value_name = "NAME")]
    ca: Option<String>,
}

impl WhichArgs {
    /// Does something with the authority.
    ///
    /// # Errors
    /// [`Failure`].
    pub(super) fn with<T, F: Future<Output = Result<T, Failure>>>(
        &self,
        command: &'static str,
        work: impl FnOnce(LocalCa, LocalCaConfig) -> F,
    ) -> Result<T, Failure> {
        let config = config::load(&self.config)?;
        let section = config
            .checked_local_ca(self.ca.as_deref(), command)?
            .into_inner();
        config.start_module()?;
        let chain = tls::certificates(&section.certificate)?
            .into_iter()
            .map(|der| der.to_vec())
            .collect();
        let settings = Settings {
            name: section.name.clone(),
            folder: section.folder.clone(),
            publish: section.publish.clone(),
            chain,
            profile: section.profile.clone(),
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Failure::failed("runtime", error.to_string()))?;
        runtime.block_on(async {
            let engine = EngineClient::connect(&section.engine_socket)
                .await
                .map_err(|error| Failure::failed("engine", printable(&error.to_string())))?;
            let ca = LocalCa::open(settings, engine).map_err(stored)?;
            work(ca, section).await
        })
    }
}

/// The store cannot be used.
pub(super) fn stored(error: StoreError) -> Failure {
    Failure::failed("ca_store", printable(&error.to_string()))
}

/// The authority did not do it.
pub(super) fn refused(error: ::ca::Error) -> Failure {
    let code = match error.class() {
        ::ca::ErrorClass::Rejected => "refused",
        ::ca::ErrorClass::Unavailable => "unavailable",
        _ => "unknown",
    };
    let failure = Failure::failed(code, printable(&error.to_string()));
    match code {
        "unknown" => failure.hint(
            "whether it was done is not known: the same command again does it or finds it done",
        ),
        _ => failure,
    }
}
