//! A session of ours: closed when it is dropped, unless the library has forgotten it since.

use std::ops::Deref;
use std::sync::Arc;

use cryptoki::session::Session;
use cryptoki::slot::Slot;

use super::module::{Loaded, Module, Pass};
use crate::Error;

/// A session that knows of which generation of the library it is. Dereferences to cryptoki's, for use inside of the library only.
pub(super) struct OwnSession {
    session: Session,
    generation: u64,
    loaded: Arc<Loaded>,
}

impl OwnSession {
    /// C_OpenSession.
    ///
    /// # Errors
    /// [`Error::Token`] if the token gives none.
    pub(super) fn open(
        module: &Module,
        pass: &Pass,
        slot: Slot,
        read_write: bool,
    ) -> Result<Self, Error> {
        // cryptoki closes by the number alone when it drops a session; after C_Finalize that may be another one's.
        let session = if read_write {
            module.context().open_rw_session_no_drop(slot)
        } else {
            module.context().open_ro_session_no_drop(slot)
        }
        .map_err(|error| module.error(error))?;
        Ok(Self {
            session,
            generation: pass.generation(),
            loaded: Arc::clone(module.loaded()),
        })
    }

    /// Does what has to be done before it is closed, unless the library has forgotten it.
    pub(super) fn before_the_end(&self, action: impl FnOnce(&Session)) {
        self.loaded
            .at_the_end_of(self.generation, || action(&self.session));
    }

    /// The generation of the library's state in which it was opened.
    pub(super) const fn generation(&self) -> u64 {
        self.generation
    }
}

impl Deref for OwnSession {
    type Target = Session;

    fn deref(&self) -> &Session {
        &self.session
    }
}

impl Drop for OwnSession {
    fn drop(&mut self) {
        self.loaded.close(self.session.handle(), self.generation);
    }
}
