//! `ca crl` and `ca show`.

use super::link::{WhichArgs, refused, stored};
use crate::cli::output::{Failure, Report};
use crate::clock::rfc3339;
use crate::encoding::{hex, printable};
use clap::Args;
use serde_json::json;
use std::fmt::Write as _;

/// Certificates that are shown.
const SHOWN: u32 = 20;

/// Options of `ca crl`.
#[derive(Debug, Args)]
pub(super) struct CrlArgs {
    #[command(flatten)]
    which: WhichArgs,
}

pub(super) fn crl(args: &CrlArgs) -> Result<Report, Failure> {
    args.which.with("ca crl", |ca, section| async move {
        ca.make_now().await.map_err(refused)?;
        ca.publish_certificate().await.map_err(stored)?;
        let status = ca.status().await.map_err(refused)?;
        let place = section.publish.map_or_else(
            || "in its store".to_owned(),
            |folder| folder.display().to_string(),
        );
        Ok(Report::done(
            json!({"number": status.last_crl, "published": place}),
            format!(
                "Revocation list {} is published: {place}",
                status.last_crl.unwrap_or(0)
            ),
        ))
    })
}

/// Options of `ca show`.
#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    #[command(flatten)]
    which: WhichArgs,
}

pub(super) fn show(args: &ShowArgs) -> Result<Report, Failure> {
    args.which.with("ca show", |ca, _| async move {
        let status = ca.status().await.map_err(refused)?;
        let figures = ca.figures().await.map_err(stored)?;
        let newest = ca.newest(SHOWN).await.map_err(stored)?;
        let mut text = format!(
            "authority    {}: {}\n\
             valid until  {}\n\
             profiles     {}\n\
             certificates {} issued, {} revoked, {} orders open\n\
             last list    {}; {} of at most {} entries{}\n",
            status.name,
            printable(&status.subject),
            rfc3339(status.not_after_ms),
            status.profiles.join(", "),
            figures.issued,
            figures.revoked,
            figures.open,
            status
                .last_crl
                .map_or_else(|| "none".to_owned(), |number| number.to_string()),
            figures.list.entries,
            figures.list.at_most,
            if figures.list.is_nearly_full() {
                ": NEARLY FULL, then nothing more can be revoked. Let another authority issue from now on"
            } else {
                ""
            },
        );
        for one in &newest {
            let _ = writeln!(
                text,
                "issued       {} until {}  {}  order {}",
                hex(&one.serial),
                rfc3339(one.not_after_ms),
                one.profile,
                one.order_id
            );
        }
        let newest: Vec<_> = newest
            .iter()
            .map(|one| {
                json!({
                    "order": one.order_id,
                    "profile": one.profile,
                    "serial": hex(&one.serial),
                    "notAfter": rfc3339(one.not_after_ms),
                })
            })
            .collect();
        Ok(Report::done(
            json!({
                "authority": status,
                "issued": figures.issued,
                "revoked": figures.revoked,
                "listEntries": figures.list.entries,
                "listEntriesAtMost": figures.list.at_most,
                "open": figures.open,
                "newest": newest,
            }),
            text.trim_end(),
        ))
    })
}
