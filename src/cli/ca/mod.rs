//! `ca`: certification authorities whose keys are on the engine's token.

mod create;
mod link;
mod manage;
mod serve;
mod work;

use super::Context;
use super::output::{Failure, Report};
use clap::{Args, Subcommand};

/// `ca`.
#[derive(Debug, Args)]
pub struct CaArgs {
    #[command(subcommand)]
    command: CaCommand,
}

#[derive(Debug, Subcommand)]
enum CaCommand {
    /// Make an authority's key on the token, and its certificate: self-signed, or a request to an authority above it
    Create(create::CreateArgs),
    /// Have the running engine issue a certificate for a request
    Issue(work::IssueArgs),
    /// Revoke a certificate, hold it, or take a hold back; the new revocation list is published at once
    Revoke(work::RevokeArgs),
    /// Make and publish new revocation lists now
    Crl(manage::CrlArgs),
    /// Publish lists by schedule, and answer verifiers: lists and OCSP over HTTP
    Serve(serve::ServeArgs),
    /// What an authority is and has done
    Show(manage::ShowArgs),
}

impl CaArgs {
    /// Whether it runs until it is told to stop.
    pub(super) const fn is_service(&self) -> bool {
        matches!(self.command, CaCommand::Serve(_))
    }
}

/// Does it.
///
/// # Errors
/// [`Failure`].
pub fn run(args: &CaArgs, context: &Context) -> Result<Report, Failure> {
    match &args.command {
        CaCommand::Create(args) => create::run(args, context),
        CaCommand::Issue(args) => work::issue(args),
        CaCommand::Revoke(args) => work::revoke(args),
        CaCommand::Crl(args) => manage::crl(args),
        CaCommand::Serve(args) => serve::run(args),
        CaCommand::Show(args) => manage::show(args),
    }
}
