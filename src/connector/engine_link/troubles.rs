//! What is wrong with the engine's audit log although it is written: told when it comes, and when it is over.

use crate::telemetry::Draft;
use crate::telemetry::catalogue::EventKind;
use audit::{Status, Trouble};

/// What was told and is not over.
#[derive(Debug, Default)]
pub(super) struct Troubles(Vec<Trouble>);

impl Troubles {
    /// The events that are due. An engine that does not answer says nothing of its log, and nothing is forgotten.
    pub(super) fn tell(&mut self, log: Option<&Status>) -> Vec<Draft> {
        let Some(log) = log else {
            return Vec::new();
        };
        let now = log.troubles();
        let before = std::mem::replace(&mut self.0, now.clone());
        let new = now
            .iter()
            .filter(|trouble| !before.contains(trouble))
            .map(|trouble| {
                Draft::new(EventKind::AuditImpaired, trouble.words(log))
                    .field("what", trouble.name())
            });
        // What was lost does not come back: the engine's process is another one, and counts anew.
        let over = before
            .iter()
            .filter(|trouble| !now.contains(trouble) && **trouble != Trouble::Lost)
            .map(|trouble| {
                Draft::new(EventKind::AuditUnimpaired, trouble.over()).field("what", trouble.name())
            });
        new.chain(over).collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(missing_docs)]
    use super::*;

    const NOTHING: [u16; 0] = [];

    fn told(troubles: &mut Troubles, log: Option<&Status>) -> Vec<u16> {
        let drafts = troubles.tell(log);
        drafts.iter().map(|draft| draft.kind().id()).collect()
    }

    #[test]
    fn that_seals_stop_is_told_once_and_so_is_that_they_are_made_again() {
        let well = Status::default();
        let unsealed = |why: &str| Status {
            seal_problem: Some(why.to_owned()),
            seal_overdue: true,
            ..Status::default()
        };
        let mut troubles = Troubles::default();
        assert_eq!(told(&mut troubles, Some(&well)), NOTHING);
        assert_eq!(told(&mut troubles, Some(&unsealed("a"))), [28]);
        assert_eq!(told(&mut troubles, Some(&unsealed("b"))), NOTHING);
        assert_eq!(told(&mut troubles, None), NOTHING);
        let also_lost = Status {
            lost: 1,
            ..unsealed("b")
        };
        assert_eq!(told(&mut troubles, Some(&also_lost)), [28]);
        assert_eq!(told(&mut troubles, Some(&well)), [29]);
        assert_eq!(told(&mut troubles, Some(&well)), NOTHING);
    }
}
