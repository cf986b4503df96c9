//! `import list`, `import remove`.

use super::{ListArgs, RemoveArgs, service};
use crate::cli::output::{Failure, Report};
use crate::config;
use crate::gateway::api::UserPfxCertificate;
use crate::intune::{GraphError, Selection};
use serde_json::{Value, json};
use std::fmt::Write;

pub(super) fn list(args: &ListArgs) -> Result<Report, Failure> {
    let whole = config::load(&args.config)?;
    let config = whole.checked_import("import list")?;
    whole.start_module()?;
    let client = service::client(&config)?;
    let selection = Selection {
        user_principal_name: args.user.clone(),
        thumbprint: None,
    };
    let records = service::block_on(client.list(&selection))?;
    let mut text = match records.len() {
        1 => "1 record".to_owned(),
        count => format!("{count} records"),
    };
    for record in &records {
        let _ = write!(
            text,
            "\n{}  {}  until {}  {}",
            record.thumbprint,
            printable(&record.user_principal_name),
            printable(&record.expiration_date_time),
            printable(record.id.as_deref().unwrap_or_default()),
        );
    }
    let records: Vec<_> = records.iter().map(to_json).collect();
    Ok(Report::done(json!({ "records": records }), text))
}

/// Everything but the stubs that stand for the secrets.
fn to_json(record: &UserPfxCertificate) -> Value {
    let mut json = json!(record);
    if let Value::Object(fields) = &mut json {
        fields.remove("encryptedPfxBlob");
        fields.remove("encryptedPfxPassword");
    }
    json
}

pub(super) fn remove(args: &RemoveArgs) -> Result<Report, Failure> {
    let whole = config::load(&args.config)?;
    let config = whole.checked_import("import remove")?;
    whole.start_module()?;
    let client = service::client(&config)?;
    let removed = service::block_on(async {
        let ids = match &args.id {
            Some(id) => vec![id.clone()],
            None => {
                let selection = Selection {
                    user_principal_name: args.user.clone(),
                    thumbprint: args.thumbprint.clone(),
                };
                let found = client.list(&selection).await?;
                found.into_iter().filter_map(|record| record.id).collect()
            }
        };
        for id in &ids {
            client.delete(id).await?;
        }
        Ok::<_, GraphError>(ids)
    })?;
    if removed.is_empty() {
        return Err(Failure::failed(
            "record_not_found",
            "there is no such record",
        ));
    }
    let text = format!("Removed {}.", removed.join(", "));
    Ok(Report::done(json!({ "removed": removed }), text))
}

/// A service's text for a terminal.
fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}
