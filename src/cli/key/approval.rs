//! Leave for the destruction of a key, where the configuration says that it needs approvals: the running engine gives it, once, and records
//! who approved.

use super::destroy::DestroyArgs;
use crate::cli::output::{Failure, Report};
use crate::config::{self, EngineConfig};
use crate::encoding::printable;
use crate::engine::api::{AllowRequest, FailureCode};
use crate::engine::client::{EngineClient, RecryptError};
use audit::Hash;
use audit::approval::Subject;
use hsm::TokenInfo;
use std::time::Duration;

/// How long the engine may take.
const DEADLINE: Duration = Duration::from_secs(30);

/// What the configuration asks for.
pub(super) struct Approval {
    engine: Option<EngineConfig>,
    subject: Subject,
}

impl Approval {
    /// The rule for this key on this token. A token that is named by options alone belongs to no engine.
    pub(super) fn of(args: &DestroyArgs, token: &TokenInfo) -> Result<Self, Failure> {
        let engine = match &args.token.config {
            Some(file) => config::load(file)?.engine,
            None => None,
        };
        Ok(Self {
            engine: engine.filter(|engine| engine.approvals.is_some()),
            subject: Subject::KeyDestroy {
                key: Hash::from_bytes(*args.fingerprint.as_bytes()),
                token_serial: token.serial.clone(),
                last_copy: args.last_copy,
            },
        })
    }

    /// Says in the first step what the second one needs.
    pub(super) fn announce(&self, report: &mut Report) {
        let required = self
            .engine
            .as_ref()
            .and_then(|engine| engine.approvals.as_ref())
            .map_or(0, |approvals| approvals.required);
        if let serde_json::Value::Object(fields) = &mut report.json {
            fields.insert("approvalsRequired".to_owned(), required.into());
        }
        if let (
            1..,
            Subject::KeyDestroy {
                key,
                token_serial,
                last_copy,
            },
        ) = (required, &self.subject)
        {
            let last_copy = if *last_copy { " --last-copy" } else { "" };
            report.text.push_str(&format!(
                "\nIt needs {required} approvals as well, each named by --approval, and the engine has to run. Ask for them by\n  pfx-connector approve \
                 destroy-key --fingerprint {key} --token-serial {token_serial:?}{last_copy} --out FILE"
            ));
        }
    }

    /// Asks the engine, where approvals are required; names of those who approved.
    pub(super) fn ask(&self, args: &DestroyArgs) -> Result<Vec<String>, Failure> {
        let Some(engine) = &self.engine else {
            return Ok(Vec::new());
        };
        let request = AllowRequest {
            subject: self.subject.clone(),
            approvals: args.approvals.read()?,
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Failure::failed("runtime", error.to_string()))?;
        let allowed = runtime.block_on(async {
            let client = EngineClient::connect(&engine.socket).await?;
            client.allow(request, DEADLINE).await
        });
        match allowed {
            Ok(allowed) => Ok(allowed.approved_by),
            Err(RecryptError::Failed(failure)) => {
                let code = match failure.code {
                    FailureCode::ApprovalMissing => "approval_missing",
                    FailureCode::AuditUnavailable => "audit_unavailable",
                    _ => "engine",
                };
                Err(
                    Failure::failed(code, printable(&failure.message)).hint(
                        "nothing was destroyed; the first step (without `--confirm`) says how approvals are asked for",
                    ),
                )
            }
            Err(error @ RecryptError::Unavailable(_)) => Err(Failure::failed(
                "engine_unavailable",
                printable(&error.to_string()),
            )
            .hint(
                "nothing was destroyed: where approvals are required, the engine gives leave; start it, and run this as its user",
            )),
        }
    }
}
