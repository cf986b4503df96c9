//! `ca serve`: lists by schedule, and what verifiers fetch.

use super::link::{WhichArgs, stored};
use crate::ca::local;
use crate::cli::gateway::stop_signals;
use crate::cli::output::{Failure, Report};
use clap::Args;
use serde_json::json;
use std::sync::Arc;
use tokio::net::TcpListener;

/// Options of `ca serve`.
#[derive(Debug, Args)]
pub(super) struct ServeArgs {
    #[command(flatten)]
    which: WhichArgs,
}

pub(super) fn run(args: &ServeArgs) -> Result<Report, Failure> {
    args.which.with("ca serve", |ca, section| async move {
        let failed = |error: std::io::Error| Failure::failed("serve", error.to_string());
        let stop = stop_signals().map_err(failed)?;
        ca.publish_certificate().await.map_err(stored)?;
        let ca = Arc::new(ca);
        let serving = match section.listen {
            Some(address) => {
                let listener = TcpListener::bind(address).await.map_err(|error| {
                    Failure::failed("serve", format!("{address} cannot be listened on: {error}"))
                })?;
                let address = listener.local_addr().map_err(failed)?;
                tracing::info!(%address, ca = ca.authority_name(), version = crate::VERSION, "the authority listens");
                Some(listener)
            }
            None => {
                tracing::info!(ca = ca.authority_name(), version = crate::VERSION, "lists are published; nothing is listened on");
                None
            }
        };
        let served = Arc::clone(&ca);
        let answering = async move {
            match serving {
                Some(listener) => local::serve(listener, served).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = stop => {}
            () = answering => {}
            () = ca.keep_lists() => {}
        }
        tracing::info!("the authority stopped");
        Ok(Report::done(json!({"stopped": true}), "stopped"))
    })
}
