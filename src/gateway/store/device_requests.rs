//! The device's side: a request for all certificates of a user, where it stands, and what came of it.

use super::{Store, StoreError};
use crate::encoding::Base64Bytes;
use crate::engine::api::{CmsFormat, Delivery, DeviceTarget, MAX_CERTIFICATES};
use crate::gateway::api::{
    self, AcceptedRequest, DeviceRequest, FailureReport, RequestState, State,
};
use crate::gateway::profiles_api::{ImportProfile, ImportRequest};
use rusqlite::{OptionalExtension, Transaction, params};

/// A checked device request on its way into the queue: one that says itself what the device gets, or one by a profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDeviceRequest<'a, M = DeviceRequest> {
    /// The message.
    pub message: &'a M,
    /// The token that asks.
    pub requested_by: &'a str,
    /// Requests that may be open at once.
    pub max_open: u32,
}

/// What a device request became.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// One for each certificate.
    pub requests: Vec<AcceptedRequest>,
    /// Whether they were queued now (or had been before, under the same idempotency key).
    pub queued_now: bool,
}

/// A result.
pub type Collected = api::Delivery;

/// How many requests there are in each state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QueueCounts {
    /// Waiting, those with an expired lease included.
    pub queued: u64,
    /// With a connector.
    pub leased: u64,
    /// Completed and not retired.
    pub completed: u64,
    /// Failed and not retired.
    pub failed: u64,
    /// Stored records.
    pub records: u64,
}

pub(super) fn format_name(format: CmsFormat) -> &'static str {
    match format {
        CmsFormat::Modern => "modern",
        CmsFormat::ModernGcm => "modernGcm",
        CmsFormat::Compatible => "compatible",
        CmsFormat::CompatibleDesEde3 => "compatibleDesEde3",
    }
}

pub(super) fn format_of(name: &str) -> Result<CmsFormat, StoreError> {
    match name {
        "modern" => Ok(CmsFormat::Modern),
        "modernGcm" => Ok(CmsFormat::ModernGcm),
        "compatible" => Ok(CmsFormat::Compatible),
        "compatibleDesEde3" => Ok(CmsFormat::CompatibleDesEde3),
        _ => Err(StoreError::Unreadable("format")),
    }
}

pub(super) fn target_of(json: &str) -> Result<DeviceTarget, StoreError> {
    serde_json::from_str(json).map_err(|_| StoreError::Unreadable("device"))
}

/// What the idempotency key stands for.
fn digest_of(message: &DeviceRequest, user_key: &str) -> Vec<u8> {
    let mut parts: Vec<&[u8]> = vec![
        b"device request v1",
        user_key.as_bytes(),
        message.device_id.as_bytes(),
        format_name(message.format).as_bytes(),
        message.device.certificate.as_slice(),
    ];
    parts.extend(
        message
            .device
            .intermediates
            .iter()
            .map(Base64Bytes::as_slice),
    );
    // As an older release made it, where that knew the request.
    if !message.delivery.is_password() {
        parts.push(b"delivery");
        parts.push(message.delivery.name().as_bytes());
    }
    super::sha256(&parts)
}

/// The same of a request by a profile, whatever that says at the time.
fn digest_by_profile(message: &ImportRequest, user_key: &str) -> Vec<u8> {
    let mut parts: Vec<&[u8]> = vec![
        b"device request by profile v1",
        message.profile.as_bytes(),
        user_key.as_bytes(),
        message.device_id.as_bytes(),
        message.device.certificate.as_slice(),
    ];
    let intermediates = &message.device.intermediates;
    parts.extend(intermediates.iter().map(Base64Bytes::as_slice));
    super::sha256(&parts)
}

/// What both kinds of requests say.
struct Asked<'a> {
    user_key: &'a str,
    device_id: &'a str,
    device: &'a DeviceTarget,
    idempotency_key: Option<&'a str>,
    digest: &'a [u8],
    requested_by: &'a str,
    max_open: u32,
}

fn requests_of(
    transaction: &Transaction<'_>,
    device_request: &str,
) -> Result<Vec<AcceptedRequest>, StoreError> {
    let mut statement = transaction.prepare_cached(
        "SELECT id, thumbprint FROM requests WHERE device_request = ? ORDER BY seq",
    )?;
    let rows = statement.query_map(params![device_request], |row| {
        Ok(AcceptedRequest {
            request_id: row.get(0)?,
            thumbprint: row.get(1)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Why there is no result.
pub(super) fn missing(state: &str) -> StoreError {
    match state {
        "completed" => StoreError::Retired,
        "failed" => StoreError::RequestFailed,
        _ => StoreError::NotReady,
    }
}

/// How many requests are not settled.
pub(super) fn open(transaction: &Transaction<'_>) -> Result<u64, StoreError> {
    Ok(transaction
        .prepare_cached("SELECT count(*) FROM requests WHERE state IN ('queued', 'leased')")?
        .query_row([], |row| super::count(row, 0))?)
}

/// Whether a connector that may ask for work has this feature, as it last said. While none is known, one may come.
pub(super) fn is_offered(transaction: &Transaction<'_>, feature: &str) -> Result<bool, StoreError> {
    Ok(transaction
        .prepare_cached(
            "SELECT NOT EXISTS (SELECT 1 FROM connectors WHERE revoked_ms IS NULL)
               OR EXISTS (SELECT 1 FROM connectors c, json_each(c.features) f WHERE c.revoked_ms IS NULL AND f.value = ?)",
        )?
        .query_row(params![feature], |row| row.get(0))?)
}

impl Store {
    /// Queues one request for each certificate of the user, or one for all of them in a profile.
    ///
    /// # Errors
    /// [`StoreError::NoRecords`], [`StoreError::TooManyRecords`], [`StoreError::NotOffered`], [`StoreError::QueueFull`], [`StoreError::KeyReused`], or the database's own failure.
    pub fn create_device_request(
        &self,
        new: &NewDeviceRequest<'_>,
    ) -> Result<Accepted, StoreError> {
        let message = new.message;
        let user_key = super::records::user_key(&message.user_principal_name);
        let asked = Asked {
            user_key: &user_key,
            device_id: &message.device_id,
            device: &message.device,
            idempotency_key: message.idempotency_key.as_deref(),
            digest: &digest_of(message, &user_key),
            requested_by: new.requested_by,
            max_open: new.max_open,
        };
        self.queue_records(&asked, |_| Ok((message.format, message.delivery)))
    }

    /// The same, where a profile says what the device gets.
    ///
    /// # Errors
    /// [`StoreError::NoProfile`], or as [`Self::create_device_request`].
    pub fn create_import_request(
        &self,
        new: &NewDeviceRequest<'_, ImportRequest>,
    ) -> Result<Accepted, StoreError> {
        let message = new.message;
        let user_key = super::records::user_key(&message.user_principal_name);
        let asked = Asked {
            user_key: &user_key,
            device_id: &message.device_id,
            device: &message.device,
            idempotency_key: message.idempotency_key.as_deref(),
            digest: &digest_by_profile(message, &user_key),
            requested_by: new.requested_by,
            max_open: new.max_open,
        };
        self.queue_records(&asked, |transaction| {
            let profile: ImportProfile = super::profiles::profile(transaction, &message.profile)?
                .ok_or(StoreError::NoProfile)?;
            Ok((profile.format, profile.delivery))
        })
    }

    /// Queues what is asked, in the form that `form` says once it is known that it is no repetition.
    fn queue_records(
        &self,
        asked: &Asked<'_>,
        form: impl FnOnce(&Transaction<'_>) -> Result<(CmsFormat, Delivery), StoreError>,
    ) -> Result<Accepted, StoreError> {
        let target =
            serde_json::to_string(asked.device).map_err(|_| StoreError::Unreadable("device"))?;
        self.write(|transaction, now| {
            if let Some(key) = asked.idempotency_key {
                let earlier: Option<(String, Vec<u8>)> = transaction
                    .prepare_cached(
                        "SELECT id, body_digest FROM device_requests WHERE idempotency_key = ?",
                    )?
                    .query_row(params![key], |row| Ok((row.get(0)?, row.get(1)?)))
                    .optional()?;
                if let Some((id, earlier)) = earlier {
                    if earlier != asked.digest {
                        return Err(StoreError::KeyReused);
                    }
                    let requests = requests_of(transaction, &id)?;
                    return Ok(Accepted { requests, queued_now: false });
                }
            }
            let (format, delivery) = form(transaction)?;
            let mut records: Vec<(String, String)> = transaction
                .prepare_cached("SELECT id, thumbprint FROM records WHERE user_key = ? ORDER BY starts_ms, id")?
                .query_map(params![asked.user_key], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect::<Result<_, _>>()?;
            if records.is_empty() {
                return Err(StoreError::NoRecords);
            }
            if !delivery.is_password() && !is_offered(transaction, delivery.name())? {
                return Err(StoreError::NotOffered(delivery));
            }
            if delivery == Delivery::AppleProfile {
                if records.len() > MAX_CERTIFICATES {
                    return Err(StoreError::TooManyRecords);
                }
                // One request, in the name of the newest.
                records.drain(..records.len().saturating_sub(1));
            }
            let open = open(transaction)?;
            let wanted = u64::try_from(records.len()).unwrap_or(u64::MAX);
            if open.saturating_add(wanted) > u64::from(asked.max_open) {
                return Err(StoreError::QueueFull);
            }
            let id = fips::random::uuid_v4()?;
            transaction
                .prepare_cached(
                    "INSERT INTO device_requests (id, user_key, device_id, target, format, delivery, idempotency_key, body_digest, requested_by, created_ms)
                     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                )?
                .execute(params![
                    id,
                    asked.user_key,
                    asked.device_id,
                    target,
                    format_name(format),
                    delivery.name(),
                    asked.idempotency_key,
                    asked.digest,
                    asked.requested_by,
                    now
                ])?;
            let mut insert = transaction.prepare_cached(
                "INSERT INTO requests (id, device_request, record, thumbprint, state, due_ms, created_ms)
                 VALUES (?1, ?2, ?3, ?4, 'queued', ?5, ?5)",
            )?;
            for (record, thumbprint) in &records {
                insert.execute(params![fips::random::uuid_v4()?, id, record, thumbprint, now])?;
            }
            let requests = requests_of(transaction, &id)?;
            Ok(Accepted { requests, queued_now: true })
        })
    }

    /// Where a request stands. A request whose lease has run out waits again.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], or the database's own failure.
    pub fn request_state(&self, id: &str) -> Result<RequestState, StoreError> {
        self.read(|transaction, now| {
            let (state, due_ms, code, message, attempts, completions) = transaction
                .prepare_cached(
                    "SELECT state, due_ms, failure_code, failure_message, attempts, completions FROM requests WHERE id = ?",
                )?
                .query_row(params![id], |row| {
                    Ok((
                        row.get::<_, String>(0)?,
                        row.get::<_, i64>(1)?,
                        row.get::<_, Option<String>>(2)?,
                        row.get::<_, Option<String>>(3)?,
                        row.get(4)?,
                        row.get(5)?,
                    ))
                })
                .optional()?
                .ok_or(StoreError::NotFound)?;
            let state = match state.as_str() {
                "leased" if due_ms > now => State::Leased,
                "queued" | "leased" => State::Queued,
                "completed" => State::Completed,
                "failed" => State::Failed,
                _ => return Err(StoreError::Unreadable("state")),
            };
            let failure = code.filter(|_| state == State::Failed).map(|code| FailureReport {
                code,
                message: message.unwrap_or_default(),
            });
            Ok(RequestState {
                request_id: id.to_owned(),
                state,
                failure,
                attempts,
                completions,
            })
        })
    }

    /// The result of a request. May be asked for again until retention or a change of the record takes it. A certificate that is collected for
    /// the first time takes the place of the one before.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::NotReady`], [`StoreError::RequestFailed`], [`StoreError::Retired`], or the
    /// database's own failure.
    pub fn collect(&self, id: &str) -> Result<Collected, StoreError> {
        let (collected, is_first) = self.read(|transaction, _| {
            let (state, thumbprint, delivery, newest, first, second, stored) = transaction
                .prepare_cached(
                    "SELECT q.state, q.thumbprint, d.delivery,
                       NOT EXISTS (SELECT 1 FROM records n WHERE n.user_key = r.user_key AND n.intended_purpose = r.intended_purpose
                                     AND (n.starts_ms, n.id) > (r.starts_ms, r.id)),
                       o.cms, o.pfx, r.pfx
                     FROM requests q JOIN device_requests d ON d.id = q.device_request
                     LEFT JOIN results o ON o.request = q.seq LEFT JOIN records r ON r.id = q.record WHERE q.id = ?",
                )?
                .query_row(params![id], |row| {
                    Ok((
                        row.get::<_, String>(0)?,
                        row.get::<_, String>(1)?,
                        row.get::<_, String>(2)?,
                        row.get::<_, bool>(3)?,
                        row.get::<_, Option<Vec<u8>>>(4)?,
                        row.get::<_, Option<Vec<u8>>>(5)?,
                        row.get::<_, Option<Vec<u8>>>(6)?,
                    ))
                })
                .optional()?
                .ok_or(StoreError::NotFound)?;
            if delivery == super::pkcs::DELIVERY {
                return super::pkcs::collected(transaction, id, &state, thumbprint, first, second);
            }
            if delivery == super::revocations::DELIVERY {
                // Nothing of it goes to a device.
                return Err(StoreError::NotFound);
            }
            let (Some(first), Some(stored)) = (first, stored) else {
                return Err(missing(&state));
            };
            let delivery = Delivery::of_name(&delivery).ok_or(StoreError::Unreadable("delivery"))?;
            let mut collected = Collected {
                request_id: id.to_owned(),
                thumbprint,
                delivery,
                newest,
                pfx: Base64Bytes::default(),
                encrypted_pfx: Base64Bytes::default(),
                encrypted_password: Base64Bytes::default(),
                profile: Base64Bytes::default(),
            };
            match delivery {
                Delivery::Password => {
                    collected.pfx = Base64Bytes(stored);
                    collected.encrypted_password = Base64Bytes(first);
                }
                Delivery::Rewrap => {
                    collected.encrypted_pfx =
                        Base64Bytes(second.ok_or(StoreError::Unreadable("result"))?);
                    collected.encrypted_password = Base64Bytes(first);
                }
                Delivery::AppleProfile => collected.profile = Base64Bytes(first),
            }
            Ok((collected, false))
        })?;
        if is_first {
            self.write(|transaction, now| super::pkcs::note_collected(transaction, id, now))?;
        }
        Ok(collected)
    }

    /// How many requests are in each state.
    ///
    /// # Errors
    /// The database's own failure.
    pub fn counts(&self) -> Result<QueueCounts, StoreError> {
        self.read(|transaction, now| {
            let mut counts = QueueCounts::default();
            let mut statement = transaction.prepare_cached(
                "SELECT CASE WHEN state = 'leased' AND due_ms <= ? THEN 'queued' ELSE state END, count(*) FROM requests GROUP BY 1",
            )?;
            let mut rows = statement.query(params![now])?;
            while let Some(row) = rows.next()? {
                let state: String = row.get(0)?;
                let count = super::count(row, 1)?;
                match state.as_str() {
                    "queued" => counts.queued = count,
                    "leased" => counts.leased = count,
                    "completed" => counts.completed = count,
                    _ => counts.failed = count,
                }
            }
            counts.records = transaction
                .query_row("SELECT count(*) FROM records", [], |row| super::count(row, 0))?;
            Ok(counts)
        })
    }
}
