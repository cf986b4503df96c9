//! The records of one custody key, one after the other: read at the gateway, re-encrypted by the engine, replaced at the gateway.
//!
//! What is done names the new key and is not listed any more: a run that was interrupted is taken up by running it again.

use crate::engine::api::{FailureCode, ReencryptRequest};
use crate::engine::client::{EngineClient, RecryptError};
use crate::gateway::rotation_api::RotationReplacement;
use crate::intune::{GraphError, UserPfxClient};
use hsm::{KeyFingerprint, Padding};
use indicatif::ProgressBar;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// Attempts at one record while the engine or its token is in trouble that may pass.
const ATTEMPTS: u32 = 5;
/// Pause before the second attempt, doubled for each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// How long one record may take in the engine.
const DEADLINE: Duration = Duration::from_secs(60);
/// Refusals for what is asked, before anything was done: then it is the configuration, not the records.
const MAX_REFUSED_AT_FIRST: u64 = 10;
/// Failures that are kept with their ids; further ones are only counted.
const MAX_FAILURES: usize = 10_000;

/// A record that was left as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct FailedRecord {
    /// Its id at the gateway.
    pub(super) id: String,
    /// Stable code: of the engine, or `recordChanged`.
    pub(super) code: String,
    /// The same in words.
    pub(super) message: String,
}

/// What a run did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Outcome {
    /// Records that named the old key when it began.
    pub(super) found: u64,
    /// Records that name the new key now because of this run.
    pub(super) reencrypted: u64,
    /// Records that were deleted meanwhile.
    pub(super) gone: u64,
    /// Records that were left as they are, by code.
    pub(super) failed: BTreeMap<String, u64>,
    /// Those with their ids.
    pub(super) failures: Vec<FailedRecord>,
    /// Why it ended before the last record; null: it came to the end.
    pub(super) stopped: Option<String>,
    /// Records that name the old key at the end; null: the gateway did not say.
    pub(super) remaining: Option<u64>,
}

/// Both sides, and what is wanted of them.
pub(super) struct Rotation {
    pub(super) gateway: UserPfxClient,
    pub(super) engine: EngineClient,
    pub(super) from: KeyFingerprint,
    pub(super) to: KeyFingerprint,
    pub(super) padding: Option<Padding>,
    /// Stop after so many.
    pub(super) limit: Option<u64>,
}

/// How one record fared.
enum Step {
    Done,
    Gone,
    Failed { code: String, message: String },
    Stop(String),
}

impl Rotation {
    /// How many records name the old key.
    pub(super) async fn count(&self) -> Result<u64, GraphError> {
        let page = self.page(None).await?;
        Ok(page.records)
    }

    async fn page(
        &self,
        after: Option<&str>,
    ) -> Result<crate::gateway::rotation_api::RotationPage, GraphError> {
        self.gateway
            .records_of_custody_key(&self.from.to_string(), after)
            .await
    }

    /// Does them all. A signal to interrupt (SIGINT) ends it after what is being done, and what it did is told.
    pub(super) async fn run(&self, bar: &ProgressBar) -> Result<Outcome, GraphError> {
        let mut outcome = Outcome::default();
        let mut interrupted = std::pin::pin!(tokio::signal::ctrl_c());
        let mut page = self.page(None).await?;
        outcome.found = page.records;
        bar.set_length(page.records);
        'pages: loop {
            for id in &page.ids {
                if self.limit.is_some_and(|limit| outcome.reencrypted >= limit) {
                    outcome.stopped = Some("the limit is reached".to_owned());
                    break 'pages;
                }
                let step = tokio::select! {
                    biased;
                    _ = &mut interrupted => Step::Stop("it was interrupted".to_owned()),
                    step = self.one(id) => step,
                };
                outcome.take(id, step);
                bar.inc(1);
                if outcome.stopped.is_some() {
                    break 'pages;
                }
            }
            let Some(last) = page.ids.last().filter(|_| page.more) else {
                break;
            };
            match self.page(Some(last)).await {
                Ok(next) => page = next,
                Err(error) => {
                    outcome.stopped = Some(format!("gateway: {error}"));
                    break;
                }
            }
        }
        bar.finish_and_clear();
        outcome.remaining = self.count().await.ok();
        Ok(outcome)
    }

    async fn one(&self, id: &str) -> Step {
        let stored = match self.gateway.stored_record(id).await {
            Ok(stored) => stored,
            Err(error) => return of_gateway(&error),
        };
        let request = ReencryptRequest {
            // 1 to 128 printable characters, whatever the gateway calls its records.
            request_id: format!(
                "rotate-{}",
                id.chars()
                    .filter(char::is_ascii_alphanumeric)
                    .take(100)
                    .collect::<String>()
            ),
            record: stored.record,
            pfx: stored.pfx,
            to: self.to.to_string(),
            padding: self.padding,
        };
        let record = match self.reencrypt(request).await {
            Ok(record) => record,
            Err(step) => return step,
        };
        let replacement = RotationReplacement {
            revision: stored.revision,
            record,
        };
        match self.gateway.replace_stored_record(id, &replacement).await {
            Ok(()) => Step::Done,
            Err(error) => of_gateway(&error),
        }
    }

    /// Asks the engine, again while its trouble may pass.
    async fn reencrypt(&self, request: ReencryptRequest) -> Result<crate::record::Record, Step> {
        let mut pause = FIRST_PAUSE;
        let mut attempt = 1;
        loop {
            let problem = match self.engine.reencrypt(request.clone(), DEADLINE).await {
                Ok(record) => return Ok(record),
                Err(RecryptError::Failed(failure)) if !failure.code.is_transient() => {
                    return Err(Step::Failed {
                        code: code_name(failure.code),
                        message: failure.message,
                    });
                }
                Err(error) => error.to_string(),
            };
            if attempt >= ATTEMPTS {
                return Err(Step::Stop(format!("engine: {problem}")));
            }
            tracing::info!(attempt, "the engine is asked again: {problem}");
            tokio::time::sleep(pause).await;
            pause = pause.saturating_mul(2);
            attempt += 1;
        }
    }
}

/// What the gateway's refusal means for one record; anything but its being gone or changed concerns all of them.
fn of_gateway(error: &GraphError) -> Step {
    match error {
        GraphError::Refused { status: 404, .. } => Step::Gone,
        GraphError::Refused {
            status: 400 | 409,
            code,
            message,
            ..
        } => Step::Failed {
            code: code.clone(),
            message: message.clone(),
        },
        error => Step::Stop(format!("gateway: {error}")),
    }
}

/// Its name on the wire.
fn code_name(code: FailureCode) -> String {
    serde_json::to_value(code)
        .ok()
        .and_then(|name| name.as_str().map(str::to_owned))
        .unwrap_or_default()
}

impl Outcome {
    fn take(&mut self, id: &str, step: Step) {
        match step {
            Step::Done => self.reencrypted += 1,
            Step::Gone => self.gone += 1,
            Step::Stop(why) => self.stopped = Some(why),
            Step::Failed { code, message } => {
                let count = self.failed.entry(code.clone()).or_default();
                *count += 1;
                if self.reencrypted == 0
                    && code == code_name(FailureCode::BadRequest)
                    && *count >= MAX_REFUSED_AT_FIRST
                {
                    self.stopped = Some(format!(
                        "nothing works, every record is refused alike: {message}"
                    ));
                }
                if self.failures.len() < MAX_FAILURES {
                    self.failures.push(FailedRecord {
                        id: id.to_owned(),
                        code,
                        message,
                    });
                }
            }
        }
    }

    /// Records that were left as they are.
    pub(super) fn failed_records(&self) -> u64 {
        self.failed.values().sum()
    }
}
