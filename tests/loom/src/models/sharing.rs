//! Single flight: who comes while a ciphertext is decrypted has that outcome, who comes later begins anew, and nobody waits for nothing.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use loom::sync::atomic::{AtomicU64, Ordering};
use loom::thread::spawn;

use super::refusal::Refusal;
use super::sharing::{Ciphertext, Sharing};
use crate::model::{Model, panic_silently};
use crate::stand_ins::FailureCode;
use crate::{KeyFingerprint, Padding, secret::Password};

pub(crate) const MODELS: &[Model] = &[
    Model {
        name: "single flight: three with the same ciphertext all have the password, and one decryption runs at a time",
        preemptions: Some(2),
        cases: &[
            "decrypted 1 times",
            "decrypted 2 times",
            "decrypted 3 times",
        ],
        run: three,
    },
    Model {
        name: "single flight: a bad ciphertext is told to all who wait",
        preemptions: Some(3),
        cases: &["decrypted 1 times", "decrypted 2 times"],
        run: bad_ciphertext,
    },
    Model {
        name: "single flight: what one had no time for is tried again by who waits",
        preemptions: Some(3),
        cases: &["decrypted 2 times"],
        run: no_time,
    },
    Model {
        name: "single flight: a decryption that panics leaves nobody waiting, and who comes later begins anew",
        preemptions: Some(3),
        cases: &["decrypted 1 times", "decrypted 2 times"],
        run: panicking,
    },
];

struct World {
    sharing: Sharing,
    running: AtomicU64,
    decryptions: AtomicU64,
}

type Came = Option<Result<Vec<u8>, FailureCode>>;

impl World {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            sharing: Sharing::default(),
            running: AtomicU64::new(0),
            decryptions: AtomicU64::new(0),
        })
    }

    /// Asks for the password; `decrypt` gets how many decryptions there were before. `None`: it panicked. Besides, whether it was this
    /// one's own decryption.
    fn ask(&self, decrypt: fn(u64) -> Result<Password, Refusal>) -> (Came, bool) {
        let same = Ciphertext {
            key: KeyFingerprint::from_bytes([1; 32]),
            padding: Padding::OaepSha256,
            bytes: vec![1, 2, 3],
        };
        // Never over while a model runs: loom's conditions know no time.
        let deadline = Instant::now() + Duration::from_secs(24 * 60 * 60);
        let asked = AssertUnwindSafe(|| {
            self.sharing.decrypt(&same, deadline, || {
                assert_eq!(self.running.fetch_add(1, Ordering::SeqCst), 0);
                let before = self.decryptions.fetch_add(1, Ordering::SeqCst);
                // Not running any more when it ends; the flight lands after that.
                self.running.fetch_sub(1, Ordering::SeqCst);
                decrypt(before)
            })
        });
        match catch_unwind(asked) {
            Ok((Ok(password), own)) => (Some(Ok(password.expose().to_vec())), own),
            Ok((Err(refusal), own)) => (Some(Err(refusal.told.code)), own),
            Err(_) => (None, true),
        }
    }

    fn several<const OTHERS: usize>(
        decrypt: fn(u64) -> Result<Password, Refusal>,
    ) -> (Vec<Came>, u64) {
        let world = Self::new();
        let others = [(); OTHERS].map(|()| {
            let world = Arc::clone(&world);
            spawn(move || world.ask(decrypt))
        });
        let mut all = vec![world.ask(decrypt)];
        all.extend(others.map(|other| other.join().unwrap()));
        let decryptions = world.decryptions.load(Ordering::SeqCst);
        let own = all.iter().filter(|(_, own)| *own).count() as u64;
        assert_eq!(own, decryptions, "each decryption is somebody's own");
        assert_eq!(own + world.sharing.count(), 1 + OTHERS as u64);
        // Nothing is kept: the next one begins anew.
        let (_, own) = world.ask(|_| Ok(password()));
        assert!(own);
        (all.into_iter().map(|(came, _)| came).collect(), decryptions)
    }
}

fn password() -> Password {
    Password::from_slice(b"secret")
}

fn refusal(code: FailureCode) -> Refusal {
    Refusal::open(code, "model", String::new())
}

fn is_the_password(came: &Came) -> bool {
    matches!(came, Some(Ok(password)) if password == b"secret")
}

fn times(decryptions: u64) -> &'static str {
    match decryptions {
        1 => "decrypted 1 times",
        2 => "decrypted 2 times",
        3 => "decrypted 3 times",
        _ => panic!("decrypted {decryptions} times"),
    }
}

fn three() -> &'static str {
    let (all, decryptions) = World::several::<2>(|_| Ok(password()));
    assert!(all.iter().all(is_the_password), "{all:?}");
    times(decryptions)
}

fn bad_ciphertext() -> &'static str {
    let (all, decryptions) = World::several::<1>(|_| Err(refusal(FailureCode::DecryptionFailed)));
    let bad = Some(Err(FailureCode::DecryptionFailed));
    assert!(all.iter().all(|came| *came == bad), "{all:?}");
    times(decryptions)
}

fn no_time() -> &'static str {
    let (all, decryptions) = World::several::<1>(|before| {
        if before == 0 {
            Err(refusal(FailureCode::TokenUnavailable))
        } else {
            Ok(password())
        }
    });
    let unavailable = Some(Err(FailureCode::TokenUnavailable));
    assert_eq!(all.iter().filter(|came| **came == unavailable).count(), 1);
    assert_eq!(all.iter().filter(|came| is_the_password(came)).count(), 1);
    times(decryptions)
}

fn panicking() -> &'static str {
    let (all, decryptions) = World::several::<1>(|before| {
        if before == 0 {
            panic_silently();
        }
        Ok(password())
    });
    assert_eq!(all.iter().filter(|came| came.is_none()).count(), 1);
    let fault = Some(Err(FailureCode::EngineFault));
    if decryptions == 1 {
        assert!(all.contains(&fault), "{all:?}");
    } else {
        assert!(all.iter().any(is_the_password), "{all:?}");
    }
    times(decryptions)
}
