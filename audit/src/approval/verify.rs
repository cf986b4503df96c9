//! Whether what was handed in is enough.

use super::approver::Quorum;
use super::memory::ApprovalMemory;
use super::statement::{Approval, ApprovalFileError, Nonce, Statement};
use super::subject::Subject;
use crate::event::Approved;
use crate::text::{Hash, Timestamp};
use std::collections::BTreeMap;
use std::fmt;

/// Files that are looked at for one step, at most.
pub const MAX_OFFERED: usize = 64;

/// A file that is handed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offered {
    /// What it is called, for messages.
    pub name: String,
    /// Its content.
    pub content: Vec<u8>,
}

/// Why one file does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// It is no approval.
    #[error("{0}")]
    File(#[from] ApprovalFileError),
    /// It is about another verb.
    #[error("it approves `{0}`")]
    OtherVerb(&'static str),
    /// It is about something else: another key, another policy, another token.
    #[error("it approves something else: {0}")]
    OtherSubject(String),
    /// Too early.
    #[error("it is good from {0} on")]
    NotYet(Timestamp),
    /// Too late.
    #[error("it was good until {0}")]
    Expired(Timestamp),
    /// It was used.
    #[error("it was used already: each decision needs approvals of its own")]
    Used,
    /// Nobody who can approve.
    #[error("{0} is no approver's key")]
    UnknownApprover(Hash),
    /// Not signed by whom it names, or changed since.
    #[error("the signature is not {0}'s over this")]
    Signature(String),
}

/// Why a step is not approved. Shown, it says what is missing and what is wrong with each file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotApproved {
    /// What was wanted.
    pub wanted: Subject,
    /// How many approvals it takes.
    pub required: u32,
    /// How many distinct approvers signed the statement that most signed.
    pub good: usize,
    /// What is wrong with the others, by their names.
    pub problems: Vec<(String, Problem)>,
    /// No more decisions can be remembered this week.
    pub is_full: bool,
}

impl fmt::Display for NotApproved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "to {}, approvals of {} different approvers about one request are needed; there are {}",
            self.wanted, self.required, self.good
        )?;
        for (name, problem) in &self.problems {
            write!(f, "; {name}: {problem}")?;
        }
        if self.is_full {
            f.write_str("; more decisions were made within seven days than can be remembered")?;
        }
        Ok(())
    }
}

impl std::error::Error for NotApproved {}

/// A step that is approved; there is no other way to get one than [`verify`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Granted {
    statement: Statement,
    approvers: Vec<(Hash, String)>,
}

impl Granted {
    /// What was approved.
    #[must_use]
    pub const fn statement(&self) -> &Statement {
        &self.statement
    }

    /// Who did: fingerprints and names, in the order of the fingerprints.
    #[must_use]
    pub fn approvers(&self) -> &[(Hash, String)] {
        &self.approvers
    }

    /// The entry that has to be durable before the step is done.
    #[must_use]
    pub fn entry(&self) -> Approved {
        Approved {
            verb: self.statement.subject.verb().name().to_owned(),
            subject: self.statement.subject.digest(),
            nonces: vec![self.statement.nonce.to_string()],
            approvers: self.approvers.iter().map(|(key, _)| *key).collect(),
            expires_ms: self.statement.expires.as_ms(),
        }
    }
}

/// Whether the files approve exactly `wanted`: enough distinct approvers of the quorum signed one and the same statement about it, which is
/// good now and whose nonce was never used. From then on the nonce counts as used. Of more than [`MAX_OFFERED`] files the rest is not read.
///
/// # Errors
/// [`NotApproved`], which is for operators and callers alike: nothing in it is secret.
pub fn verify(
    offered: &[Offered],
    wanted: &Subject,
    quorum: &Quorum,
    memory: &mut ApprovalMemory,
    now: Timestamp,
) -> Result<Granted, NotApproved> {
    let now = memory.not_before(now);
    let mut problems = Vec::new();
    // By the nonce and everything else that was signed: approvals of two requests never count together.
    let mut decisions: BTreeMap<(Nonce, Vec<u8>), Decision> = BTreeMap::new();
    for file in offered.iter().take(MAX_OFFERED) {
        match look(&file.content, wanted, quorum, memory, now) {
            Ok((statement, key, name)) => {
                let decision = decisions
                    .entry((statement.nonce, statement.signed_bytes()))
                    .or_insert_with(|| Decision {
                        statement,
                        approvers: BTreeMap::new(),
                    });
                // The same person twice is one person.
                decision.approvers.insert(key, name);
            }
            Err(problem) => problems.push((file.name.clone(), problem)),
        }
    }
    let required = usize::try_from(quorum.required()).unwrap_or(usize::MAX);
    let most = decisions
        .into_values()
        .max_by_key(|decision| decision.approvers.len());
    let good = most.as_ref().map_or(0, |most| most.approvers.len());
    match most {
        Some(decision) if good >= required && memory.has_room() => {
            memory.reserve(decision.statement.nonce);
            Ok(Granted {
                statement: decision.statement,
                approvers: decision.approvers.into_iter().collect(),
            })
        }
        _ => Err(NotApproved {
            wanted: wanted.clone(),
            required: quorum.required(),
            good,
            problems,
            is_full: good >= required,
        }),
    }
}

struct Decision {
    statement: Statement,
    approvers: BTreeMap<Hash, String>,
}

fn look(
    content: &[u8],
    wanted: &Subject,
    quorum: &Quorum,
    memory: &ApprovalMemory,
    now: Timestamp,
) -> Result<(Statement, Hash, String), Problem> {
    let approval = Approval::read(content)?;
    let statement = &approval.statement;
    if statement.subject.verb() != wanted.verb() {
        return Err(Problem::OtherVerb(statement.subject.verb().name()));
    }
    if statement.subject != *wanted {
        return Err(Problem::OtherSubject(statement.subject.to_string()));
    }
    if memory.is_used(&statement.nonce) {
        return Err(Problem::Used);
    }
    if statement.not_before > now {
        return Err(Problem::NotYet(statement.not_before));
    }
    if statement.expires <= now {
        return Err(Problem::Expired(statement.expires));
    }
    let approver = quorum
        .find(&approval.approver)
        .ok_or(Problem::UnknownApprover(approval.approver))?;
    if !approval.is_signed_by(approver.spki_der()) {
        return Err(Problem::Signature(approver.name().to_owned()));
    }
    Ok((
        approval.statement,
        approver.fingerprint(),
        approver.name().to_owned(),
    ))
}
