//! The renewal as a row of steps, each of which does one durable thing. What is on disk says which comes next, so that a crash between any two of
//! them, or a lost answer, repeats a step at most: the same request is sent again, and the gateway answers it with the same certificate.
//!
//! ```text
//!   wait for two thirds of the life
//!     -> the engine signs a request            order.json
//!     -> the gateway has it certified          next.pem         (the gateway takes the old and the new one now)
//!     -> a call with the new one works         certificate.pem  (the gateway refuses the old one soon)
//!     -> the loop goes on with it
//! ```

use super::folder::{Folder, FolderError, Kept, Order};
use crate::connector::error::{CallError, CallErrorKind};
use crate::encoding::{Base64Bytes, hex};
use crate::engine::api::SignedClientCsr;
use crate::gateway::enrolment_api::Enrolled;
use crate::identity::{self, Expected};
use std::time::Duration;

/// The longest validity that is taken, in days: a gateway's authority says how long, within reason.
const MAX_DAYS: u32 = 3_650;
/// The shortest and longest time after which a pending order is asked about again.
const ASK_AGAIN_MS: (u64, u64) = (1_000, 3_600_000);

/// What a renewal needs of the world.
pub(super) trait World {
    /// A request for the next certificate, signed by the key.
    async fn sign_request(&self) -> Result<SignedClientCsr, String>;
    /// Asks the gateway for the next certificate, with the one in use.
    async fn renew(&self, csr: &Base64Bytes) -> Result<Enrolled, CallError>;
    /// Makes a call with the next certificate.
    async fn try_next(&self, next: &Kept) -> Result<(), CallError>;
    /// The certificate in use is this one now.
    async fn take(&self, current: &Kept);
}

/// What comes after a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    /// The next step.
    Go,
    /// Nothing until this time, in milliseconds since 1970.
    WaitUntil(i64),
    /// The gateway's authority decides later: this is asked again after so long.
    AskAgain(Duration),
    /// There is a new certificate, and it is in use.
    Renewed,
}

/// Why a step did not work. It is tried again.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    /// Nobody is enrolled.
    #[error(
        "there is no certificate in {0}: run `pfx-connector enroll` with a token of the gateway's"
    )]
    NotEnrolled(String),
    /// The folder.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The engine.
    #[error("the engine did not sign the request for the next certificate: {0}")]
    Engine(String),
    /// The gateway.
    #[error("the gateway did not renew the certificate: {0}")]
    Gateway(CallError),
    /// What the gateway answered.
    #[error("the gateway answered with a certificate that is refused: {0}")]
    Certificate(String),
    /// The new certificate does not work.
    #[error("the gateway has issued a certificate and does not accept it: {0}")]
    NextRefused(CallError),
}

/// When a certificate is renewed: at two thirds of its life, and up to a thirtieth of it later, so that connectors that were set up together
/// do not all come at once. The same for the same certificate, whenever it is asked.
pub(super) fn due_at_ms(current: &Kept) -> i64 {
    let facts = &current.facts;
    let spread = facts.not_after_ms.saturating_sub(facts.not_before_ms) / 30;
    let [a, b, ..] = facts.digest;
    let part = i64::from(u16::from_be_bytes([a, b]));
    facts
        .renew_at_ms()
        .saturating_add(spread.saturating_mul(part) / (i64::from(u16::MAX) + 1))
}

/// Does the next step.
///
/// # Errors
/// [`Trouble`]: nothing is lost, and the same step comes again.
pub(super) async fn step(
    folder: &Folder,
    world: &impl World,
    now_ms: i64,
) -> Result<Then, Trouble> {
    let current = folder
        .current()?
        .ok_or_else(|| Trouble::NotEnrolled(folder.next_path().display().to_string()))?;
    if let Some(next) = folder.next()? {
        return try_next(folder, world, &current, &next, now_ms).await;
    }
    let due = due_at_ms(&current);
    if now_ms < due {
        // Left over where a crash came after the last step of a renewal.
        if folder.order()?.is_some() {
            folder.forget_order()?;
        }
        return Ok(Then::WaitUntil(due));
    }
    let replaces = hex(&current.facts.digest);
    let order = folder.order()?.filter(|order| order.replaces == replaces);
    let Some(order) = order else {
        let signed = world.sign_request().await.map_err(Trouble::Engine)?;
        folder.keep_order(&Order::new(
            replaces,
            signed.csr,
            signed.public_key,
            signed.common_name,
        ))?;
        return Ok(Then::Go);
    };
    let answer = world.renew(&order.csr).await.map_err(Trouble::Gateway)?;
    receive(folder, &order, answer, now_ms)
}

/// Keeps what the gateway answered to an order, once it is what was asked.
///
/// # Errors
/// [`Trouble`].
pub(super) fn receive(
    folder: &Folder,
    order: &Order,
    answer: Enrolled,
    now_ms: i64,
) -> Result<Then, Trouble> {
    let Some(certificate) = answer.certificate else {
        let (shortest, longest) = ASK_AGAIN_MS;
        let pause = answer.ask_again_ms.unwrap_or(longest);
        let pause = Duration::from_millis(pause.clamp(shortest, longest));
        return Ok(Then::AskAgain(pause));
    };
    let others: Vec<Vec<u8>> = answer
        .chain
        .into_iter()
        .take(identity::MAX_OTHERS)
        .map(|one| one.0)
        .collect();
    let expected = Expected {
        common_name: &order.common_name,
        spki: order.public_key.as_slice(),
        max_days: MAX_DAYS,
        // The gateway is who has to accept it.
        roots: None,
        now_ms,
    };
    let checked = identity::check(certificate.as_slice(), &others, &expected)
        .map_err(Trouble::Certificate)?;
    if hex(&checked.facts.digest) == order.replaces {
        // To take it would be to begin anew at once, without end.
        let problem = "it is the one that is in use".to_owned();
        return Err(Trouble::Certificate(problem));
    }
    let chain: Vec<Vec<u8>> = std::iter::once(certificate.0).chain(others).collect();
    folder.keep_next(&chain)?;
    Ok(Then::Go)
}

async fn try_next(
    folder: &Folder,
    world: &impl World,
    current: &Kept,
    next: &Kept,
    now_ms: i64,
) -> Result<Then, Trouble> {
    if next.facts.digest == current.facts.digest || next.facts.not_after_ms <= now_ms {
        folder.forget_next()?;
        return Ok(Then::Go);
    }
    match world.try_next(next).await {
        Ok(()) => {
            folder.promote()?;
            world.take(next).await;
            Ok(Then::Renewed)
        }
        Err(error) if error.kind == CallErrorKind::Unavailable => Err(Trouble::Gateway(error)),
        Err(error) => {
            // Where the gateway's database was put back to a time before, the same request makes it known there again.
            if let Some(order) = folder.order()? {
                match world.renew(&order.csr).await {
                    Ok(answer) => drop(receive(folder, &order, answer, now_ms)?),
                    Err(error) => {
                        tracing::debug!(%error, "the next certificate was not asked for again")
                    }
                }
            }
            Err(Trouble::NextRefused(error))
        }
    }
}
