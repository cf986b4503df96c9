//! What needs several people's signatures, decided here: a step is recorded as approved before it is done, and a start with another
//! policy before anything is done under it.

use super::CustodyError;
use super::authorise::Leave;
use super::receipts::Book;
use super::refusal::Refusal;
use crate::config::EngineConfig;
use crate::engine::api::{AllowRequest, Allowed, ApprovalFile, EngineReply, FailureCode};
use crate::engine::policy::{EnginePolicy, approvals_folder};
use audit::approval::{
    ApprovalMemory, Granted, MAX_APPROVAL_BYTES, MAX_OFFERED, Offered, PolicyText, Quorum, Subject,
    verify,
};
use audit::event::{Event, Opened};
use audit::{Timestamp, Verb};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The longest name of a file that is repeated in messages.
const MAX_NAME_BYTES: usize = 128;
/// How long a start waits until its approvals are recorded.
const START_LIMIT: Duration = Duration::from_secs(10);

/// Who has to approve, and which approvals were used.
pub(super) struct Approvals {
    quorum: Option<Quorum>,
    memory: Arc<Mutex<ApprovalMemory>>,
}

impl Approvals {
    /// With this memory, which the log feeds.
    pub(super) const fn new(quorum: Option<Quorum>, memory: Arc<Mutex<ApprovalMemory>>) -> Self {
        Self { quorum, memory }
    }

    /// Whether the step may be done; asked by [`super::authorise`] alone, for every dangerous verb: no approvals are required, or these are enough and that is recorded, durably. They are used then,
    /// whatever becomes of the step. Names of those who approved.
    ///
    /// # Errors
    /// The refusal that says what is missing, or that it cannot be recorded.
    pub(super) fn require(
        &self,
        subject: &Subject,
        files: &[ApprovalFile],
        book: &Book,
        until: Instant,
    ) -> Result<Vec<String>, Refusal> {
        let Some(quorum) = &self.quorum else {
            return Ok(Vec::new());
        };
        let offered: Vec<_> = files.iter().take(MAX_OFFERED).map(offered).collect();
        let granted = {
            let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
            verify(&offered, subject, quorum, &mut memory, Timestamp::now())
        };
        let granted = granted.map_err(|missing| {
            Refusal::open(
                FailureCode::ApprovalMissing,
                "approval_missing",
                missing.to_string(),
            )
        })?;
        book.record(Event::Approved(Box::new(granted.entry())), Some(until))?;
        tracing::warn!(by = ?names(&granted), "approved: {subject}");
        Ok(names(&granted))
    }
}

fn names(granted: &Granted) -> Vec<String> {
    let approvers = granted.approvers().iter();
    approvers.map(|(_, name)| name.clone()).collect()
}

fn offered(file: &ApprovalFile) -> Offered {
    let name = file.name.chars().filter(|c| c.is_ascii_graphic());
    Offered {
        name: name.take(MAX_NAME_BYTES).collect(),
        content: file.content.as_slice().to_vec(),
    }
}

/// Whether leave can be asked for what a command does itself.
///
/// # Errors
/// The refusal that says that the engine does it itself.
pub(super) fn may_be_allowed(request: &AllowRequest) -> Result<(), Refusal> {
    if matches!(request.subject, Subject::KeyDestroy { .. }) {
        return Ok(());
    }
    Err(Refusal::bad_request(
        "leave is given for the destruction of keys alone; a quarantine is lifted by the request to lift it",
    ))
}

/// Gives the leave on, to the command that asked for it.
///
/// # Errors
/// As [`Leave::spend`].
pub(super) fn allow(leave: Leave) -> Result<EngineReply, Refusal> {
    let approved_by = leave.spend(Verb::KeyDestroy)?;
    Ok(EngineReply::Allowed(Allowed { approved_by }))
}

/// What this start writes into the log, and the approvals that it needed.
pub(super) struct Start {
    opened: Opened,
    granted: Option<Granted>,
}

impl Start {
    /// Compares the policy with that of the last start. One that changed, where approvals were in force then, needs approvals of those who
    /// could approve then: what the configuration says of approvals is part of what changed. A log without a past says nothing of then: where the
    /// configuration names approvers, they have to approve that it begins, so that nobody ends what was in force by taking the log away.
    ///
    /// # Errors
    /// [`CustodyError::PolicyNotApproved`].
    pub(super) fn admit(
        config: &EngineConfig,
        policy: &EnginePolicy,
        rules: &PolicyText,
        last: Option<&Opened>,
        memory: &Mutex<ApprovalMemory>,
    ) -> Result<Self, CustodyError> {
        let granted = match last {
            Some(last) if last.policy.is_some() => change(config, last, rules, memory)?,
            Some(_) => None,
            None => beginning(config, policy, rules, memory)?,
        };
        Ok(Self {
            opened: Opened {
                program: crate::VERSION.to_owned(),
                policy: Some(rules.digest()),
                rules: rules.clone(),
                approvals: policy.approvals.clone(),
            },
            granted,
        })
    }

    /// Records it: the approvals first, durably.
    ///
    /// # Errors
    /// [`CustodyError::Unrecorded`] when they cannot be.
    pub(super) fn record(self, book: &Book) -> Result<(), CustodyError> {
        let unrecorded = |refusal: Refusal| CustodyError::Unrecorded(refusal.detail);
        let mut until = None;
        if let Some(granted) = &self.granted {
            until = Some(Instant::now() + START_LIMIT);
            book.record(Event::Approved(Box::new(granted.entry())), until)
                .map_err(unrecorded)?;
            tracing::warn!(by = ?names(granted), "approved: {}", granted.statement().subject);
        }
        // Without approvals nobody waits: it is before every use of the key in any case.
        book.record(Event::Opened(Box::new(self.opened)), until)
            .map_err(unrecorded)
    }
}

fn change(
    config: &EngineConfig,
    last: &Opened,
    rules: &PolicyText,
    memory: &Mutex<ApprovalMemory>,
) -> Result<Option<Granted>, CustodyError> {
    let changes = last.rules.changes(rules);
    if changes.is_empty() {
        return Ok(None);
    }
    for change in &changes {
        tracing::warn!("the policy is another one than at the last start: {change}");
    }
    let Some(quorum) = &last.approvals else {
        return Ok(None);
    };
    let subject = Subject::PolicyChange {
        from: last.rules.digest(),
        to: rules.digest(),
    };
    approved(
        config,
        &subject,
        quorum,
        memory,
        "the policy was changed, and that is not approved",
    )
}

/// The first start with a log.
fn beginning(
    config: &EngineConfig,
    policy: &EnginePolicy,
    rules: &PolicyText,
    memory: &Mutex<ApprovalMemory>,
) -> Result<Option<Granted>, CustodyError> {
    let Some(quorum) = &policy.approvals else {
        return Ok(None);
    };
    let subject = Subject::PolicyChange {
        from: PolicyText::default().digest(),
        to: rules.digest(),
    };
    approved(
        config,
        &subject,
        quorum,
        memory,
        "the audit log has no past, and that it begins with this policy is not approved (where there was a log, put it back; where there never was one, start \
         once without `engine.approvals`, or have this start approved)",
    )
}

/// Looks for enough approvals of the start in the folder for them.
fn approved(
    config: &EngineConfig,
    subject: &Subject,
    quorum: &Quorum,
    memory: &Mutex<ApprovalMemory>,
    what: &str,
) -> Result<Option<Granted>, CustodyError> {
    let folder = approvals_folder(config).ok_or_else(|| {
        CustodyError::PolicyNotApproved(
            "the log says that a change of policy needs approvals, and no folder for them is known: name `engine.audit`".to_owned(),
        )
    })?;
    let offered = read(&folder);
    let mut memory = memory.lock().unwrap_or_else(PoisonError::into_inner);
    verify(&offered, subject, quorum, &mut memory, Timestamp::now())
        .map(Some)
        .map_err(|missing| {
            CustodyError::PolicyNotApproved(format!(
                "{what}: {missing}. `pfx-connector approve policy --config FILE --out REQUEST` shows what changed and makes the request; approvals of it belong into {}",
                folder.display()
            ))
        })
}

/// The files of the folder, in the order of their names; what cannot be read is no approval.
fn read(folder: &Path) -> Vec<Offered> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        // Many files do no harm: only so many are named and read.
        .take(1024)
        .collect();
    paths.sort();
    let mut offered = Vec::new();
    for path in paths {
        let Ok(file) = crate::config::open_file(&path) else {
            continue;
        };
        let mut content = Vec::new();
        let limit = u64::try_from(MAX_APPROVAL_BYTES).unwrap_or(u64::MAX);
        if file.take(limit + 1).read_to_end(&mut content).is_err() {
            continue;
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        offered.push(Offered {
            name: name
                .chars()
                .filter(|c| c.is_ascii_graphic())
                .take(MAX_NAME_BYTES)
                .collect(),
            content,
        });
        if offered.len() >= MAX_OFFERED {
            break;
        }
    }
    offered
}
