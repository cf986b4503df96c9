//! The brake against mass revocation, as it shows: health, metrics and one event each time that it begins and ends.

use crate::connector::journal::{BrakeFigures, Permission};
use crate::connector::shared::Shared;
use crate::telemetry::Draft;
use crate::telemetry::catalogue::EventKind;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Revocations in hand, and whether the brake gives some back.
#[derive(Debug, Default)]
pub(in crate::connector) struct Revoking {
    in_hand: AtomicUsize,
    braked: AtomicBool,
}

/// Counts a revocation for as long as it is in hand.
pub(super) struct InHand<'a>(&'a Shared);

impl<'a> InHand<'a> {
    pub(super) fn new(shared: &'a Shared) -> Self {
        shared.revoking.in_hand.fetch_add(1, Ordering::SeqCst);
        Self(shared)
    }
}

impl Drop for InHand<'_> {
    fn drop(&mut self) {
        self.0.revoking.in_hand.fetch_sub(1, Ordering::SeqCst);
        self.0.freed.notify_one();
    }
}

impl Revoking {
    /// How many are in hand.
    pub(in crate::connector) fn in_hand(&self) -> usize {
        self.in_hand.load(Ordering::SeqCst)
    }

    /// Whether requests are given back because of the thresholds.
    pub(in crate::connector) fn is_braked(&self) -> bool {
        self.braked.load(Ordering::SeqCst)
    }

    /// Takes note of what the journal said of a certificate.
    pub(super) async fn note(&self, shared: &Shared, permission: &Permission) {
        let (figures, braked) = match permission {
            Permission::Granted { again: true, .. } => return,
            Permission::Granted { figures, .. } => (figures, false),
            Permission::Refused { figures } => (figures, true),
        };
        shared
            .metrics
            .revoked_last_day
            .set(i64::from(figures.last_day));
        self.set(shared, braked, figures).await;
    }

    /// The operator has released some.
    pub(in crate::connector) async fn released(
        &self,
        shared: &Shared,
        count: u32,
        figures: BrakeFigures,
    ) {
        self.braked.store(false, Ordering::SeqCst);
        shared.metrics.revocation_braked.set(0);
        let draft = draft(
            EventKind::RevokeBrakeReleased,
            "the operator released revocations",
            &figures,
        );
        shared.log.record(draft.field("count", count)).await;
    }

    async fn set(&self, shared: &Shared, braked: bool, figures: &BrakeFigures) {
        if self.braked.swap(braked, Ordering::SeqCst) == braked {
            return;
        }
        shared.metrics.revocation_braked.set(i64::from(braked));
        let draft = if braked {
            draft(
                EventKind::RevokeBraked,
                "more certificates are to be revoked than [connector.revocation] lets through; they are given back",
                figures,
            )
            .field(
                "hint",
                "if that is meant: `revocation release --count N` on this host; if not, find out who asks the gateway",
            )
        } else {
            draft(
                EventKind::RevokeBrakeReleased,
                "the brake against mass revocation lets certificates through again",
                figures,
            )
        };
        shared.log.record(draft).await;
    }
}

fn draft(kind: EventKind, message: &'static str, figures: &BrakeFigures) -> Draft {
    Draft::new(kind, message)
        .field("lastHour", figures.last_hour)
        .field("lastDay", figures.last_day)
        .field("released", figures.released)
}
