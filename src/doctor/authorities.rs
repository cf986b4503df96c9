//! The certification authorities of `[[connector.ca]]`, and that of `[gateway.enrolment]`: asked as the connector would, and nothing is ordered or revoked. What a protocol does not
//! let one ask without doing it is said, not guessed.

use super::catalogue::{
    AUTHORITIES_COLOCATED, AUTHORITIES_ENROLL, AUTHORITIES_REACHABLE, AUTHORITIES_REVOKE,
    AUTHORITIES_STATE,
};
use super::finding::Finding;
use super::service::{self, Running};
use crate::ca::{self, Asked, AuthorityState};
use crate::config::{AuthorityConfig, AuthorityKind, Config, EngineException, LocalCaConfig};
use crate::engine::api::{AuthorityStatus, EngineStatus};
use ::ca::{Capabilities, CertificationAuthority, Error, ErrorClass};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// How long an authority may take, whatever its own deadlines add up to.
const PATIENCE: Duration = Duration::from_secs(30);

/// What an authority whose key is on the engine's token can do.
const LOCAL: Capabilities = Capabilities {
    revokes: true,
    pends: false,
    polls_by_reference: false,
    recovers: true,
};

/// What there is to judge of one authority.
struct Answered {
    can: Capabilities,
    asked: Asked,
}

/// Asks every authority of the configuration, all at once, as of `now_ms`.
#[must_use]
pub fn examine(config: &Config, now_ms: i64) -> Vec<Finding> {
    let engine = config
        .connector
        .as_ref()
        .map(|section| section.engine_socket.clone());
    let issuing = config.connector.iter().flat_map(|section| &section.ca);
    let enrolling = config
        .gateway
        .iter()
        .filter_map(|section| Some(&section.enrolment.as_ref()?.ca));
    let authorities: Vec<(bool, &AuthorityConfig)> = issuing
        .map(|ca| (false, ca))
        .chain(enrolling.map(|ca| (true, ca)))
        .collect();
    if authorities.is_empty() {
        return Vec::new();
    }
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            return vec![AUTHORITIES_REACHABLE.error("", format!("nothing can be asked: {error}"))];
        }
    };
    let findings = runtime.block_on(async {
        let mut asking = JoinSet::new();
        for (place, (enrols, authority)) in authorities.into_iter().enumerate() {
            // Made here: it reads files, and is not waited for.
            let client = match authority.kind {
                AuthorityKind::Local => None,
                _ => Some(
                    // The gateway has no engine.
                    ca::build(
                        authority,
                        &config.local_ca,
                        engine.as_deref().filter(|_| !enrols),
                    )
                    .map_err(|error| error.to_string()),
                ),
            };
            let own = own(authority, &config.local_ca).cloned();
            let authority = authority.clone();
            asking.spawn(async move {
                let found = match client {
                    Some(client) => remote(&authority, client, now_ms).await,
                    None => local(&authority, own.as_ref(), now_ms).await,
                };
                (place, if enrols { of_enrolment(found) } else { found })
            });
        }
        let mut found = asking.join_all().await;
        found.sort_by_key(|(place, _)| *place);
        found
            .into_iter()
            .flat_map(|(_, findings)| findings)
            .collect()
    });
    runtime.shutdown_background();
    findings
}

/// The key of the gateway's authority that connectors' certificates come from.
pub(super) const ENROLMENT: &str = "gateway.enrolment.ca";

/// What is found of the authority that connectors' certificates come from: the gateway has what it refuses revoked there; where the authority's
/// key is used is nothing to a connector.
fn of_enrolment(found: Vec<Finding>) -> Vec<Finding> {
    found
        .into_iter()
        .filter(|found| found.id != AUTHORITIES_COLOCATED)
        .map(|found| Finding {
            subject: ENROLMENT.to_owned(),
            ..found
        })
        .collect()
}

/// What the running connector says of them.
#[must_use]
pub fn running(running: &Running) -> Vec<Finding> {
    running
        .authorities()
        .iter()
        .map(|state| {
            let key = key(&state.name);
            let found = match state.trouble() {
                Some(trouble) => AUTHORITIES_STATE.warning(key, trouble),
                None => AUTHORITIES_STATE.ok(key, figures(state)),
            };
            found.facts(json!(state))
        })
        .collect()
}

fn figures(state: &AuthorityState) -> String {
    format!(
        "the running connector has {} of {} calls in flight and {} orders pending there; {} issued, {} failed; its breaker is {}",
        state.in_flight,
        state.concurrency,
        state.pending,
        state.issued,
        state.failed,
        state.breaker.words()
    )
}

fn key(name: &str) -> String {
    format!("connector.ca.{name}")
}

fn own<'a>(authority: &AuthorityConfig, local: &'a [LocalCaConfig]) -> Option<&'a LocalCaConfig> {
    local.iter().find(|own| own.name == authority.name)
}

async fn remote(
    config: &AuthorityConfig,
    client: Result<Arc<dyn CertificationAuthority>, String>,
    now_ms: i64,
) -> Vec<Finding> {
    let client = match client {
        Ok(client) => client,
        Err(problem) => {
            return vec![
                AUTHORITIES_REACHABLE
                    .error(key(&config.name), format!("not tried: {problem}"))
                    .code("configuration")
                    .remedy("put its files and keys right first (groups `configuration`, `files` and `certificates`)"),
            ];
        }
    };
    let answer = tokio::time::timeout(PATIENCE, client.health()).await;
    let answer = answer.unwrap_or_else(|_| {
        let problem = format!("no answer within {} s", PATIENCE.as_secs());
        Err(Error::new(ErrorClass::Unavailable, problem))
    });
    let answered = Answered {
        can: client.capabilities(),
        asked: Asked::of(answer, now_ms),
    };
    judge(config, &answered)
}

/// An authority on this host: the engine is asked. Its store is not opened, which a connector may have in hand.
async fn local(config: &AuthorityConfig, own: Option<&LocalCaConfig>, now_ms: i64) -> Vec<Finding> {
    let subject = key(&config.name);
    let Some(own) = own else {
        return vec![
            AUTHORITIES_REACHABLE
                .error(subject, "there is no `[[local_ca]]` of this name")
                .remedy("add one (docs/local-ca.md)"),
        ];
    };
    let status = match service::ask_engine(&own.engine_socket).await {
        Ok(status) => status,
        Err(error) => {
            return vec![
                colocated(&subject, None),
                AUTHORITIES_REACHABLE
                    .note(subject, format!("its engine does not answer: {error}"))
                    .code("not_running")
                    .remedy("start the engine (`pfx-connector engine --config F`), and ask as a user whom it knows"),
            ];
        }
    };
    let mut findings = vec![colocated(&subject, Some(&status))];
    let known = status
        .authorities
        .iter()
        .find(|one| one.name == config.name);
    let Some(known) = known else {
        findings.push(
            AUTHORITIES_REACHABLE
                .error(subject, "the engine answers, and has no authority of this name")
                .remedy("name it in `[[engine.ca]]` and restart the engine; `status` shows those that it has"),
        );
        return findings;
    };
    findings.extend(judge(config, &of_engine(known, now_ms)));
    findings
}

/// Whoever the engine tells its status to may have it issue and sign lists as well.
fn of_engine(known: &AuthorityStatus, now_ms: i64) -> Answered {
    let issues = !known.profiles.is_empty();
    let note = match (issues, known.last_crl) {
        (false, _) => "it has no profile in `[[engine.ca.profiles]]`".to_owned(),
        (true, None) => format!(
            "profiles {}; it has signed no revocation list yet",
            known.profiles.join(", ")
        ),
        (true, Some(number)) => format!(
            "profiles {}; its last revocation list is number {number}",
            known.profiles.join(", ")
        ),
    };
    Answered {
        can: LOCAL,
        asked: Asked {
            at: crate::clock::rfc3339(now_ms),
            reachable: Some(true),
            may_enroll: Some(issues),
            may_revoke: Some(true),
            problem: (!issues).then(|| note.clone()),
            credential_expires: Some(crate::clock::rfc3339(known.not_after_ms)),
            note,
            ..Asked::default()
        },
    }
}

/// The key of an authority beside the connector: whoever takes the host over has both.
fn colocated(subject: &str, engine: Option<&EngineStatus>) -> Finding {
    let name = EngineException::CoLocatedCa.name();
    let acknowledged = engine.map(|status| status.exceptions.iter().any(|one| one == name));
    let said = match acknowledged {
        Some(true) => format!("acknowledged by `{name}` in engine.exceptions"),
        Some(false) => {
            format!("the engine that answers does not name the acknowledgement `{name}`")
        }
        None => format!("`engine.exceptions` has to acknowledge it by `{name}`"),
    };
    AUTHORITIES_COLOCATED
        .warning(
            subject,
            format!(
                "its key is used on the connector's own host ({said}): whoever takes the host over can have issued what its profiles allow, \
                 and hold revocations back. Its store is on this host: no second connector may have it with another store, since each would issue for \
                 the same request and revoke what it issued itself alone"
            ),
        )
        .code(name)
        .facts(json!({"acknowledgement": name, "acknowledged": acknowledged}))
}

/// What was answered: there, and each of both rights.
fn judge(config: &AuthorityConfig, answered: &Answered) -> Vec<Finding> {
    let subject = key(&config.name);
    let kind = config.kind.name();
    let Answered { can, asked } = answered;
    let facts =
        json!({"kind": kind, "revokes": can.revokes, "recovers": can.recovers, "asked": asked});
    let problem = asked.problem.as_deref().unwrap_or_default();
    if asked.reachable == Some(false) {
        return vec![
            AUTHORITIES_REACHABLE
                .error(subject, format!("{kind}: {problem}"))
                .code("unreachable")
                .facts(facts),
        ];
    }
    let note = if asked.note.is_empty() {
        problem
    } else {
        &asked.note
    };
    let there = if asked.reachable.is_some() {
        AUTHORITIES_REACHABLE.ok(&subject, format!("{kind}: it answers: {note}"))
    } else {
        AUTHORITIES_REACHABLE
            .note(&subject, format!("not known: {note}"))
            .code("cannot_be_asked")
            .remedy("name its policy service as `policy_url`, which can be asked")
    };
    vec![
        there.facts(facts),
        enroll(&subject, kind, asked, note),
        revoke(&subject, config.kind, can, asked, note),
    ]
}

fn enroll(subject: &str, kind: &str, asked: &Asked, note: &str) -> Finding {
    match asked.may_enroll {
        Some(true) => AUTHORITIES_ENROLL.ok(subject, "the credential may enrol"),
        Some(false) => AUTHORITIES_ENROLL
            .error(subject, format!("the credential may not enrol: {note}"))
            .code("right_missing"),
        None => AUTHORITIES_ENROLL
            .note(
                subject,
                format!("not known: with {kind} it cannot be asked whether the credential may enrol, only done"),
            )
            .code("cannot_be_asked"),
    }
}

fn revoke(
    subject: &str,
    kind: AuthorityKind,
    can: &Capabilities,
    asked: &Asked,
    note: &str,
) -> Finding {
    if !can.revokes {
        let found = AUTHORITIES_REVOKE
            .warning(
                subject,
                "it cannot be asked to revoke: requests for that end in a final failure, and a certificate that is not what was asked stays valid",
            )
            .code("no_revocation");
        return match kind {
            AuthorityKind::Adcs => found.remedy("name the program that revokes as `revoke_command` (docs/adcs.md)"),
            AuthorityKind::Est => found.remedy(
                "EST has no revocation (RFC 7030): speak CMP to the authority where it does, or revoke by its own means and tell whoever asks",
            ),
            AuthorityKind::Cmp | AuthorityKind::Local => found,
        };
    }
    match asked.may_revoke {
        Some(true) => AUTHORITIES_REVOKE.ok(subject, "the credential may revoke"),
        Some(false) => AUTHORITIES_REVOKE
            .error(subject, format!("the credential may not revoke: {note}"))
            .code("right_missing"),
        None => AUTHORITIES_REVOKE
            .note(
                subject,
                match kind {
                    AuthorityKind::Adcs => "not known: whether `revoke_command` may revoke shows only when it does".to_owned(),
                    kind => format!(
                        "not known: with {} it cannot be asked whether the credential may revoke, only done",
                        kind.name()
                    ),
                },
            )
            .code("cannot_be_asked"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;
    use crate::doctor::finding::Severity;

    fn config(kind: &str) -> AuthorityConfig {
        toml::from_str(&format!(
            "name = \"company\"\nkind = \"{kind}\"\nroots = \"/r\"\n"
        ))
        .unwrap()
    }

    fn judged(
        kind: &str,
        revokes: bool,
        asked: Asked,
    ) -> Vec<(&'static str, Severity, Option<String>)> {
        let can = Capabilities { revokes, ..LOCAL };
        judge(&config(kind), &Answered { can, asked })
            .into_iter()
            .map(|found| (found.id.name(), found.severity, found.code))
            .collect()
    }

    fn asked(reachable: Option<bool>, may_enroll: Option<bool>, may_revoke: Option<bool>) -> Asked {
        Asked {
            reachable,
            may_enroll,
            may_revoke,
            note: "so it said".to_owned(),
            ..Asked::default()
        }
    }

    #[test]
    fn an_authority_that_is_away_is_an_error_and_its_rights_are_not_guessed() {
        let found = judged("cmp", true, asked(Some(false), None, None));
        assert_eq!(
            found,
            [("reachable", Severity::Error, Some("unreachable".to_owned()))]
        );
    }

    #[test]
    fn both_rights_are_told_and_what_cannot_be_asked_is_a_note() {
        let severities = |found: Vec<(&'static str, Severity, Option<String>)>| -> Vec<_> {
            found.into_iter().map(|(_, severity, _)| severity).collect()
        };
        use Severity::{Error, Note, Ok, Warning};
        for (kind, revokes, rights, expected) in [
            ("cmp", true, (None, None), [Ok, Note, Note]),
            ("cmp", true, (Some(false), Some(false)), [Ok, Error, Error]),
            ("est", false, (None, Some(false)), [Ok, Note, Warning]),
            ("adcs", false, (Some(true), Some(false)), [Ok, Ok, Warning]),
            ("adcs", true, (Some(true), None), [Ok, Ok, Note]),
            ("local", true, (Some(true), Some(true)), [Ok, Ok, Ok]),
        ] {
            let found = judged(kind, revokes, asked(Some(true), rights.0, rights.1));
            assert_eq!(severities(found), expected, "{kind} {rights:?}");
        }
        let silent = judged("adcs", true, asked(None, None, None));
        assert_eq!(severities(silent), [Note, Note, Note]);
    }

    #[test]
    fn of_the_authority_of_the_gateway_the_rights_are_told_and_not_where_its_key_is() {
        let can = Capabilities {
            revokes: false,
            ..LOCAL
        };
        let answered = Answered {
            can,
            asked: asked(Some(true), None, Some(false)),
        };
        let mut found = judge(&config("est"), &answered);
        found.push(colocated("connector.ca.company", None));
        let found = of_enrolment(found);
        let found: Vec<_> = found
            .iter()
            .map(|found| (found.id.name(), found.subject.as_str()))
            .collect();
        let told = ["reachable", "enroll", "revoke"];
        assert_eq!(found, told.map(|name| (name, ENROLMENT)));
    }

    #[test]
    fn an_authority_on_this_host_is_warned_of_with_the_name_of_the_acknowledgement() {
        let found = colocated("connector.ca.company", None);
        assert_eq!(found.severity, Severity::Warning);
        assert_eq!(found.code.as_deref(), Some("co-located-ca"));
        assert!(found.found.contains("`co-located-ca`"));
        assert!(found.found.contains("no second connector"));
    }

    #[test]
    fn an_authority_without_profiles_issues_nothing() {
        let mut known = AuthorityStatus {
            name: "company".to_owned(),
            subject: String::new(),
            not_after_ms: 0,
            profiles: Vec::new(),
            deltas: false,
            last_crl: None,
            responder_not_after_ms: None,
        };
        assert_eq!(of_engine(&known, 0).asked.may_enroll, Some(false));
        known.profiles.push("smime".to_owned());
        assert_eq!(of_engine(&known, 0).asked.may_enroll, Some(true));
    }
}
