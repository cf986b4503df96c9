//! The way to the service that the configuration names.

use crate::cli::output::Failure;
use crate::clock::SystemClock;
use crate::config::{ImportConfig, secret_file};
use crate::intune::{GraphError, RetryBudget, UserPfxClient};
use fips::secret::BearerToken;
use std::sync::Arc;

/// A client of the configured service, which trusts nobody but the configured authority.
pub(super) fn client(config: &ImportConfig) -> Result<UserPfxClient, Failure> {
    fips::start(fips::policy::in_force())?;
    let bearer = BearerToken::new(secret_file::read(&config.token_file)?);
    let tls = crate::tls::client_config(&config.gateway_ca, None)?;
    UserPfxClient::new(
        &config.gateway,
        tls,
        &bearer,
        RetryBudget::default(),
        Arc::new(SystemClock),
    )
    .map_err(Failure::from)
}

/// Runs one conversation with the service to its end.
pub(super) fn block_on<T>(
    conversation: impl Future<Output = Result<T, GraphError>>,
) -> Result<T, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::failed("runtime", error.to_string()))?
        .block_on(conversation)
        .map_err(Failure::from)
}

impl From<GraphError> for Failure {
    fn from(error: GraphError) -> Self {
        let code = error.code();
        let mut message = error.to_string();
        if let GraphError::Refused {
            request_id: Some(id),
            ..
        } = &error
        {
            message = format!("{message}, request-id {id}");
        }
        let failure = match error {
            GraphError::Settings(_) => Self::usage(code, message),
            _ => Self::failed(code, message),
        };
        match error.hint() {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}
