//! Revocation lists: made at once when something is revoked, and by schedule when half of their life is over.

use super::authority::{DEADLINE, failed, not_stored};
use super::store::{Draft, ListKind};
use super::{LocalCa, StoreError};
use crate::clock::{Clock, SystemClock};
use crate::encoding::Base64Bytes;
use crate::engine::api::{FailureCode, SignCrlRequest, SignedCrl};
use crate::engine::client::RecryptError;
use ca::{Error, ErrorClass};
use fips::secret::file::{self, Rights};
use std::time::Duration;

/// How often it is looked whether a list is due.
const LOOK: Duration = Duration::from_secs(30);
/// How often a number that is too low is corrected.
const NUMBER_TRIES: usize = 3;

impl LocalCa {
    /// Makes lists by schedule, until it is dropped. Failures are logged and tried again.
    pub async fn keep_lists(&self) {
        loop {
            if let Err(error) = self.make_due().await {
                tracing::error!(ca = %self.settings.name, "no revocation list: {error}");
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Makes what is due: nothing is published yet, half of a list's life is over, or a revocation is not in it.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn make_due(&self) -> Result<(), Error> {
        let deltas = self.status().await?.deltas;
        let now = SystemClock.now_ms();
        let (base, delta, published) = self
            .with(|store| {
                Ok((
                    store.base()?,
                    store.list(ListKind::Delta)?,
                    store.published()?,
                ))
            })
            .await
            .map_err(not_stored)?;
        let over = |made: &Option<super::store::Made>| {
            made.as_ref().is_none_or(|made| {
                let life = made.next_update_ms.saturating_sub(made.this_update_ms);
                now.saturating_sub(made.this_update_ms) > life / 2
            })
        };
        let _one = self.lists.lock().await;
        if over(&base) {
            self.make(ListKind::Full, true).await?;
        } else if !published.full {
            self.make(ListKind::Full, false).await?;
        } else if !(deltas && (over(&delta) || !published.delta)) {
            return Ok(());
        }
        if deltas {
            self.make(ListKind::Delta, true).await?;
        }
        Ok(())
    }

    /// Makes new lists now: a full one, and a delta where the authority has them.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn make_now(&self) -> Result<(), Error> {
        let deltas = self.status().await?.deltas;
        let _one = self.lists.lock().await;
        self.make(ListKind::Full, true).await?;
        if deltas {
            self.make(ListKind::Delta, true).await?;
        }
        Ok(())
    }

    /// Publishes what was revoked and is in no list yet. Full list and delta: verifiers that keep the list by schedule fetch the delta alone.
    pub(super) async fn publish_changes(&self) -> Result<(), Error> {
        let _one = self.lists.lock().await;
        let known = self.with(|store| Ok((store.published()?, store.base()?.is_some())));
        let (published, has_base) = known.await.map_err(not_stored)?;
        if published.full && published.delta {
            return Ok(());
        }
        if !published.full {
            self.make(ListKind::Full, !has_base).await?;
        }
        // Also where the full list was made before, and the delta was not.
        if !published.delta && self.status().await?.deltas {
            self.make(ListKind::Delta, false).await?;
        }
        Ok(())
    }

    async fn make(&self, kind: ListKind, by_schedule: bool) -> Result<(), Error> {
        for _ in 0..NUMBER_TRIES {
            let draft = self.with(move |store| store.draft(kind)).await;
            let Some(draft) = draft.map_err(not_stored)? else {
                return Ok(());
            };
            match self.sign(&draft).await {
                Ok(signed) => return self.keep(kind, draft, signed, by_schedule).await,
                Err(RecryptError::Failed(failure)) if failure.code == FailureCode::BadRequest => {
                    // The log knows of lists that this store does not: it was restored, or another process was quicker.
                    let last = self.status().await?.last_crl.unwrap_or(0);
                    if last < draft.number {
                        return Err(failed(RecryptError::Failed(failure)));
                    }
                    self.with(move |store| store.number_above(last))
                        .await
                        .map_err(not_stored)?;
                }
                Err(error) => return Err(failed(error)),
            }
        }
        Err(Error::new(
            ErrorClass::Unavailable,
            "other processes of this authority make revocation lists all the time: ask again later",
        ))
    }

    async fn sign(&self, draft: &Draft) -> Result<SignedCrl, RecryptError> {
        let request = SignCrlRequest {
            request_id: format!("{}-crl-{}", self.settings.name, draft.number),
            ca: self.settings.name.clone(),
            number: draft.number,
            base: draft.base,
            entries: draft.entries.clone(),
        };
        self.engine.sign_crl(request, DEADLINE).await
    }

    async fn keep(
        &self,
        kind: ListKind,
        draft: Draft,
        signed: SignedCrl,
        by_schedule: bool,
    ) -> Result<(), Error> {
        let path = self.settings.publish.as_ref().map(|folder| {
            let end = match kind {
                ListKind::Full => ".crl",
                ListKind::Delta => "-delta.crl",
            };
            folder.join(format!("{}{end}", self.settings.name))
        });
        let number = draft.number;
        self.with(move |store| {
            store.made(kind, &draft, &signed, by_schedule, |der| match path {
                Some(path) => file::replace(&path, der, Rights::AllRead),
                None => Ok(()),
            })
        })
        .await
        .map_err(not_stored)?;
        tracing::info!(ca = %self.settings.name, number, ?kind, "a revocation list was published");
        let room = self.with(|store| store.room()).await.map_err(not_stored)?;
        if room.is_nearly_full() {
            tracing::warn!(
                ca = %self.settings.name,
                entries = room.entries,
                at_most = room.at_most,
                "the revocation list is nearly full: once it is, nothing more can be revoked. Let another authority issue from now on, and this one publish until enough of its revoked certificates have ended"
            );
        }
        Ok(())
    }
}

impl LocalCa {
    /// Writes the authority's certificate (DER) beside its lists, for those who look it up.
    ///
    /// # Errors
    /// [`StoreError`] when the folder cannot be written.
    pub async fn publish_certificate(&self) -> Result<(), StoreError> {
        let Some(folder) = &self.settings.publish else {
            return Ok(());
        };
        let path = folder.join(format!("{}.cer", self.settings.name));
        let content = Base64Bytes(self.certificate_der().to_vec());
        self.with(move |_| Ok(file::replace(&path, content.as_slice(), Rights::AllRead)?))
            .await
    }
}
