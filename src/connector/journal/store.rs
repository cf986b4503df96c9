//! The journal's statements: one function for each transition. Each runs inside a transaction of the journal's thread.

use super::{Admission, Entry, JournalFigures, Kind, Offer, Outcome, State, Subject};
use rusqlite::{Connection, OptionalExtension, Row, params};
use std::collections::BTreeMap;

/// Part of the limit, in per cent, beyond which no new request is taken: what is in flight still needs room for its outcome.
const ADMIT_BELOW_PERCENT: u64 = 85;

/// Size of a probe in bytes: 256 requests with names of some hundred bytes, and their indexes.
const PROBE_BYTES: u64 = 512 * 1024;
/// A probe is this part of the limit at most, so that it fits between [`ADMIT_BELOW_PERCENT`] and the limit.
const PROBE_PART: u64 = 16;

const COLUMNS: &str = "r.request_id, r.state, r.fence, r.attempt, r.failures, r.offered_again, r.user, r.thumbprint, r.device_id, \
                       r.digest, r.code, r.message, r.leased_at_ms, c.cms, r.content, r.kind, r.platform";

fn entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    let code: i64 = row.get(1)?;
    let digest: Option<String> = row.get(9)?;
    let failure: Option<String> = row.get(10)?;
    let outcome = match (digest, failure) {
        (Some(digest), _) => Some(Outcome::Completed {
            cms: row.get(13)?,
            digest,
        }),
        (None, Some(code)) => Some(Outcome::Failed {
            code,
            message: row.get::<_, Option<String>>(11)?.unwrap_or_default(),
        }),
        (None, None) => None,
    };
    let kind: i64 = row.get(15)?;
    Ok(Entry {
        request_id: row.get(0)?,
        kind: Kind::from_code(kind).ok_or(rusqlite::Error::IntegralValueOutOfRange(15, kind))?,
        state: State::from_code(code).ok_or(rusqlite::Error::IntegralValueOutOfRange(1, code))?,
        fence: row.get::<_, i64>(2)?.cast_unsigned(),
        attempt: row.get(3)?,
        failures: row.get(4)?,
        offered_again: row.get(5)?,
        subject: Subject {
            user: row.get(6)?,
            thumbprint: row.get(7)?,
            device_id: row.get(8)?,
            platform: row.get(16)?,
        },
        outcome,
        leased_at_ms: row.get(12)?,
        content: row.get(14)?,
    })
}

/// Everything about one request.
pub(super) fn load(connection: &Connection, request_id: &str) -> rusqlite::Result<Option<Entry>> {
    connection
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM requests r LEFT JOIN results c USING (request_id) WHERE r.request_id = ?1"
        ))?
        .query_row([request_id], entry)
        .optional()
}

/// Requests in a state, oldest first, without their results.
pub(super) fn in_state(
    connection: &Connection,
    state: State,
    limit: u32,
) -> rusqlite::Result<Vec<Entry>> {
    // The number stands in the text so that the partial index is used.
    connection
        .prepare_cached(&format!(
            "SELECT {} FROM requests r WHERE r.state = {} ORDER BY r.updated_at_ms LIMIT ?1",
            COLUMNS.replace("c.cms", "NULL"),
            state.code()
        ))?
        .query_map([limit], entry)?
        .collect()
}

/// Takes an offer or says that it was finished before.
pub(super) fn admit(
    connection: &Connection,
    offer: &Offer,
    now_ms: i64,
) -> rusqlite::Result<Admission> {
    let fence = offer.fence.cast_signed();
    let Some(known) = load(connection, &offer.request_id)? else {
        connection
            .prepare_cached(
                "INSERT INTO requests (request_id, state, fence, attempt, user, thumbprint, device_id, leased_at_ms, updated_at_ms, content, kind, platform)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8, ?9, ?10, ?11)",
            )?
            .execute(params![
                offer.request_id,
                State::Leased.code(),
                fence,
                offer.attempt,
                offer.subject.user,
                offer.subject.thumbprint,
                offer.subject.device_id,
                now_ms,
                offer.content,
                offer.kind.code(),
                offer.subject.platform
            ])?;
        return Ok(Admission::Work { failures: 0 });
    };
    let settled = matches!(known.state, State::Settled | State::Reported);
    let changed = !known.content.is_empty() && known.content != offer.content;
    if known.outcome.is_none() || (changed && !settled) {
        // The password of an old PFX must not travel with the new one: what was made from the old content is dropped.
        let failures = if changed { 0 } else { known.failures };
        connection
            .prepare_cached(
                "UPDATE requests SET state = ?2, fence = ?3, attempt = max(attempt, ?4), updated_at_ms = ?5, content = ?6, failures = ?7, platform = ?8,
                   digest = NULL, code = NULL, message = NULL WHERE request_id = ?1",
            )?
            .execute(params![
                offer.request_id,
                State::Leased.code(),
                fence,
                offer.attempt,
                now_ms,
                offer.content,
                failures,
                offer.subject.platform
            ])?;
        connection
            .prepare_cached("DELETE FROM results WHERE request_id = ?1")?
            .execute([&offer.request_id])?;
        if changed {
            forget_order(connection, &offer.request_id)?;
        }
        return Ok(Admission::Work { failures });
    }
    // An outcome that the gateway has not taken is due again, also after a crash in the middle of its next upload.
    let state = if settled { known.state } else { State::Outcome };
    let outcome = match known.outcome {
        // Only a gateway that lost what it had taken (a restored one) offers this; whoever asked has to ask anew.
        Some(Outcome::Completed { digest, .. }) if changed => {
            Some(Outcome::Completed { cms: None, digest })
        }
        outcome => outcome,
    };
    // The time stays: what is offered again and again must not be remembered for ever.
    connection
        .prepare_cached("UPDATE requests SET state = ?3, fence = ?2, offered_again = offered_again + 1 WHERE request_id = ?1")?
        .execute(params![offer.request_id, fence, state.code()])?;
    Ok(Admission::Finished(Box::new(Entry {
        state,
        fence: offer.fence,
        offered_again: known.offered_again.saturating_add(1),
        outcome,
        ..known
    })))
}

/// The same request came under a newer fence while it is being worked on.
pub(super) fn refence(
    connection: &Connection,
    request_id: &str,
    fence: u64,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE requests SET fence = ?2 WHERE request_id = ?1")?
        .execute(params![request_id, fence.cast_signed()])
        .map(drop)
}

/// Counts a failed attempt and returns how many there were.
pub(super) fn blame(connection: &Connection, request_id: &str) -> rusqlite::Result<u32> {
    connection
        .prepare_cached(
            "UPDATE requests SET failures = failures + 1 WHERE request_id = ?1 RETURNING failures",
        )?
        .query_row([request_id], |row| row.get(0))
}

/// Stores how a request ended.
pub(super) fn record_outcome(
    connection: &Connection,
    request_id: &str,
    outcome: &Outcome,
    now_ms: i64,
) -> rusqlite::Result<()> {
    let (digest, code, message) = match outcome {
        Outcome::Completed { digest, .. } => (Some(digest), None, None),
        Outcome::Failed { code, message } => (None, Some(code), Some(message)),
    };
    connection
        .prepare_cached(
            "UPDATE requests SET state = ?2, digest = ?3, code = ?4, message = ?5, updated_at_ms = ?6 WHERE request_id = ?1",
        )?
        .execute(params![request_id, State::Outcome.code(), digest, code, message, now_ms])?;
    if let Outcome::Completed { cms: Some(cms), .. } = outcome {
        connection
            .prepare_cached("INSERT OR REPLACE INTO results (request_id, cms) VALUES (?1, ?2)")?
            .execute(params![request_id, cms])?;
    }
    forget_order(connection, request_id)
}

/// Keeps how far an order got, also for as long as nothing else happens with its request.
pub(super) fn keep_order(
    connection: &Connection,
    request_id: &str,
    progress: &[u8],
    now_ms: i64,
) -> rusqlite::Result<()> {
    ensure_room(connection)?;
    connection
        .prepare_cached("INSERT OR REPLACE INTO orders (request_id, progress) VALUES (?1, ?2)")?
        .execute(params![request_id, progress])?;
    connection
        .prepare_cached("UPDATE requests SET updated_at_ms = ?2 WHERE request_id = ?1")?
        .execute(params![request_id, now_ms])
        .map(drop)
}

/// How far an order got.
pub(super) fn order(
    connection: &Connection,
    request_id: &str,
) -> rusqlite::Result<Option<Vec<u8>>> {
    connection
        .prepare_cached("SELECT progress FROM orders WHERE request_id = ?1")?
        .query_row([request_id], |row| row.get(0))
        .optional()
}

/// How many orders there are of each name that `of` gives; those of which it gives none are not counted.
pub(super) fn count_orders(
    connection: &Connection,
    of: fn(&[u8]) -> Option<String>,
) -> rusqlite::Result<BTreeMap<String, u64>> {
    let mut statement = connection.prepare_cached("SELECT progress FROM orders")?;
    let mut rows = statement.query([])?;
    let mut counts = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let progress = row.get_ref(0)?.as_blob().unwrap_or_default();
        if let Some(name) = of(progress) {
            let count: &mut u64 = counts.entry(name).or_default();
            *count = count.saturating_add(1);
        }
    }
    Ok(counts)
}

fn forget_order(connection: &Connection, request_id: &str) -> rusqlite::Result<()> {
    connection
        .prepare_cached("DELETE FROM orders WHERE request_id = ?1")?
        .execute([request_id])
        .map(drop)
}

/// Moves a request on.
pub(super) fn set_state(
    connection: &Connection,
    request_id: &str,
    state: State,
    now_ms: i64,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE requests SET state = ?2, updated_at_ms = ?3 WHERE request_id = ?1")?
        .execute(params![request_id, state.code(), now_ms])
        .map(drop)
}

/// Forgets what was last touched before `before_ms`, except what still has to be reported.
pub(super) fn prune(connection: &Connection, before_ms: i64) -> rusqlite::Result<usize> {
    connection.execute(
        "DELETE FROM requests WHERE updated_at_ms < ?1 AND state <> ?2",
        params![before_ms, State::Settled.code()],
    )
}

/// Drops the results of the oldest reported requests, at most `count`; that they were finished stays known.
pub(super) fn shed(connection: &Connection, count: u32) -> rusqlite::Result<usize> {
    connection.execute(
        "DELETE FROM results WHERE request_id IN
           (SELECT r.request_id FROM requests r JOIN results USING (request_id) WHERE r.state = ?1 ORDER BY r.updated_at_ms LIMIT ?2)",
        params![State::Reported.code(), count],
    )
}

/// Whether there is room for more requests, as (bytes in use, limit in bytes).
pub(super) fn room(connection: &Connection) -> rusqlite::Result<(u64, u64)> {
    let pragma = |name: &str| -> rusqlite::Result<u64> {
        connection
            .pragma_query_value(None, name, |row| row.get::<_, i64>(0))
            .map(i64::unsigned_abs)
    };
    let page_size = pragma("page_size")?;
    let used = pragma("page_count")?.saturating_sub(pragma("freelist_count")?);
    Ok((
        used.saturating_mul(page_size),
        pragma("max_page_count")?.saturating_mul(page_size),
    ))
}

/// Makes room by dropping old results where it must, and fails as a full disk does when there is none.
pub(super) fn ensure_room(connection: &Connection) -> rusqlite::Result<()> {
    let is_full = || -> rusqlite::Result<bool> {
        let (used, limit) = room(connection)?;
        Ok(used.saturating_mul(100) > limit.saturating_mul(ADMIT_BELOW_PERCENT))
    };
    while is_full()? {
        if shed(connection, 256)? == 0 {
            return Err(rusqlite::Error::SqliteFailure(
                rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_FULL),
                Some("journal_max_bytes is reached".to_owned()),
            ));
        }
    }
    Ok(())
}

/// Writes as much as a full batch of new requests needs, to see whether it can be written: with less, a nearly full disk would take
/// the probe and refuse the next batch, over and over. Random, because some file systems keep nothing of anything else.
pub(super) fn fill_probe(connection: &Connection, now_ms: i64) -> rusqlite::Result<()> {
    ensure_room(connection)?;
    let (_, limit) = room(connection)?;
    let bytes = (limit / PROBE_PART).min(PROBE_BYTES);
    connection
        .execute(
            "UPDATE probe SET at_ms = ?1, filler = randomblob(?2) WHERE id = 1",
            params![now_ms, bytes.cast_signed()],
        )
        .map(drop)
}

/// Gives the probe's room back, for those that it was written for.
pub(super) fn empty_probe(connection: &Connection) -> rusqlite::Result<()> {
    connection
        .execute("UPDATE probe SET filler = NULL WHERE id = 1", [])
        .map(drop)
}

/// Figures for the status.
pub(super) fn figures(connection: &Connection) -> rusqlite::Result<JournalFigures> {
    let count = |condition: &str| -> rusqlite::Result<u64> {
        connection
            .prepare_cached(&format!("SELECT count(*) FROM requests {condition}"))?
            .query_row([], |row| row.get::<_, i64>(0))
            .map(i64::unsigned_abs)
    };
    let (bytes, max_bytes) = room(connection)?;
    Ok(JournalFigures {
        bytes,
        max_bytes,
        outcomes: count("WHERE state = 2")?,
        unreported: count("WHERE state = 4")?,
        remembered: count("")?,
    })
}
