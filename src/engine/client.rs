//! How the connector and the commands speak to a running engine: one connection, any number of requests in flight.

mod one_call;

pub use one_call::sign_tls;

use super::api::{
    AllowRequest, Allowed, DeliverRequest, Delivered, EngineReply, EngineRequest, EngineStatus,
    Failure, IssueRequest, IssuedCertificate, JudgeDeviceRequest, MadeKey, MakeKeyRequest,
    OracleReport, OracleRequest, PackRequest, Packed, RecryptRequest, Recrypted, ReencryptRequest,
    SignClientCsrRequest, SignCrlRequest, SignOcspRequest, SignTlsRequest, SignedClientCsr,
    SignedCrl, SignedOcsp, SignedTls,
};
use super::ipc::asynchronous::{read_frame, write_frame};
use super::ipc::{Caller, Frame, FrameError, Kind};
use crate::record::Record;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixStream;
use tokio::sync::{mpsc, oneshot};

/// How long connecting and greeting may take.
const GREETING_LIMIT: Duration = Duration::from_secs(5);
/// How long a status may take; the engine composes one well within this even while its parts hang.
const STATUS_LIMIT: Duration = Duration::from_secs(5);
/// How much longer than the deadline it waits for the engine to say that the deadline has passed.
const GRACE: Duration = Duration::from_secs(2);
/// Frames that may wait to be written before senders wait.
const WRITE_QUEUE: usize = 32;

/// A client of the engine. Clones share one connection. When the connection is lost, what is in flight ends in
/// [`RecryptError::Unavailable`] and the next call connects again.
#[derive(Debug, Clone)]
pub struct EngineClient {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    next_id: AtomicU64,
    /// What is stated with each request.
    certificate: Mutex<Option<[u8; 32]>>,
    connection: tokio::sync::Mutex<Option<Connection>>,
}

#[derive(Debug, Clone)]
struct Connection {
    outgoing: mpsc::Sender<Frame>,
    waiting: Arc<Waiting>,
}

/// Who waits for which answer; `None` once the connection is over.
#[derive(Debug)]
struct Waiting(Mutex<Option<HashMap<u64, oneshot::Sender<Frame>>>>);

impl Waiting {
    fn lock(&self) -> MutexGuard<'_, Option<HashMap<u64, oneshot::Sender<Frame>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why there is no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecryptError {
    /// The engine answered with a failure; [`super::api::FailureCode::is_transient`] tells whether later may help.
    #[error("{}", .0.message)]
    Failed(Failure),
    /// No answer: the engine is not there, went away or spoke nonsense. Whether it did the work is unknown; asking again is safe.
    #[error("the engine is not available: {0}")]
    Unavailable(String),
}

impl EngineClient {
    /// Connects to the engine that listens at `path` and greets it.
    ///
    /// # Errors
    /// [`RecryptError::Unavailable`] when nothing listens there, the engine does not accept this user, or is another release.
    pub async fn connect(path: &Path) -> Result<Self, RecryptError> {
        let client = Self::unconnected(path);
        client.connection().await?;
        Ok(client)
    }

    /// A client that connects when it is first used.
    #[must_use]
    pub fn unconnected(path: &Path) -> Self {
        Self {
            shared: Arc::new(Shared {
                path: path.to_owned(),
                next_id: AtomicU64::new(1),
                certificate: Mutex::new(None),
                connection: tokio::sync::Mutex::new(None),
            }),
        }
    }

    /// States the client certificate that this process shows to the gateway, by its SHA-256, with each request from now on: the engine
    /// writes it into its receipts, as stated.
    pub fn state_certificate(&self, sha256: Option<[u8; 32]>) {
        *self
            .shared
            .certificate
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = sha256;
    }

    /// Re-encrypts one password. `deadline` is how long it may take, in all, counted from this call.
    ///
    /// # Errors
    /// [`RecryptError::Failed`] with the engine's reason, [`RecryptError::Unavailable`] when there is no answer.
    pub async fn recrypt(
        &self,
        request: RecryptRequest,
        deadline: Duration,
    ) -> Result<Recrypted, RecryptError> {
        let request = EngineRequest::Recrypt(Box::new(request));
        match self.request(&request, deadline).await? {
            EngineReply::Recrypted(recrypted) => Ok(recrypted),
            EngineReply::Failed(failure) => Err(RecryptError::Failed(failure)),
            _ => Err(unavailable("an answer to another question")),
        }
    }

    /// Opens PFX files and makes of them what a device takes. `deadline` as for [`recrypt`](Self::recrypt).
    ///
    /// # Errors
    /// As [`recrypt`](Self::recrypt).
    pub async fn deliver(
        &self,
        request: DeliverRequest,
        deadline: Duration,
    ) -> Result<Delivered, RecryptError> {
        let request = EngineRequest::Deliver(Box::new(request));
        match self.request(&request, deadline).await? {
            EngineReply::Delivered(done) => Ok(*done),
            EngineReply::Failed(failure) => Err(RecryptError::Failed(failure)),
            _ => Err(unavailable("an answer to another question")),
        }
    }

    /// Re-encrypts the password of one record to another custody key: the record for that key, signed anew. Only the engine's own user
    /// may ask. `deadline` as for [`recrypt`](Self::recrypt).
    ///
    /// # Errors
    /// As [`recrypt`](Self::recrypt).
    pub async fn reencrypt(
        &self,
        request: ReencryptRequest,
        deadline: Duration,
    ) -> Result<Record, RecryptError> {
        let request = EngineRequest::Reencrypt(Box::new(request));
        match self.request(&request, deadline).await? {
            EngineReply::Reencrypted(done) => Ok(done.record),
            EngineReply::Failed(failure) => Err(RecryptError::Failed(failure)),
            _ => Err(unavailable("an answer to another question")),
        }
    }

    /// Makes a private key and its CSR. Asked again it makes another one: what the answer holds has to be kept before the CSR is used.
    /// `deadline` as for [`recrypt`](Self::recrypt); an RSA key of 4096 bits may take ten seconds and more.
    ///
    /// # Errors
    /// As [`recrypt`](Self::recrypt).
    pub async fn make_key(
        &self,
        request: MakeKeyRequest,
        deadline: Duration,
    ) -> Result<MadeKey, RecryptError> {
        let request = EngineRequest::MakeKey(Box::new(request));
        match self.request(&request, deadline).await? {
            EngineReply::KeyMade(made) => Ok(*made),
            EngineReply::Failed(failure) => Err(RecryptError::Failed(failure)),
            _ => Err(unavailable("an answer to another question")),
        }
    }

    /// Has an authority on the token issue a certificate. `deadline` as for [`recrypt`](Self::recrypt); asking again for the same order gives
    /// the same certificate.
    ///
    /// # Errors
    /// As [`recrypt`](Self::recrypt).
    pub async fn issue(
        &self,
        request: IssueRequest,
        deadline: Duration,
    ) -> Result<IssuedCertificate, RecryptError> {
        let request = EngineRequest::Issue(Box::new(request));
        match self.request(&request, deadline).await? {
            EngineReply::Issued(issued) => Ok(*issued),
            EngineReply::Failed(failure) => Err(RecryptError::Failed(failure)),
            _ => Err(unavailable("an answer to another question")),
        }
    }

    /// Puts an issued certificate and its key into a PFX for a device. Asking again is safe: it makes another PFX of the same key.
    /// `deadline` as for [`recrypt`](Self::recrypt).
    ///
    /// # Errors
    /// As [`recrypt`](Self::recrypt).
    pub async fn pack(
        &self,
        request: PackRequest,
        deadline: Duration,
    ) -> Result<Packed, RecryptError> {
        let request = EngineRequest::Pack(Box::new(request));
        match self.request(&request, deadline).await? {
            EngineReply::Packed(packed) => Ok(*packed),
            EngineReply::Failed(failure) => Err(RecryptError::Failed(failure)),
            _ => Err(unavailable("an answer to another question")),
        }
    }

    /// Asks whether something can be encrypted to a device now. `deadline` as for [`recrypt`](Self::recrypt).
    ///
    /// # Errors
    /// As [`recrypt`](Self::recrypt): [`DeviceCertificateRefused`](super::api::FailureCode::DeviceCertificateRefused) says why not.
    pub async fn judge_device(
        &self,
        request: JudgeDeviceRequest,
        deadline: Duration,
    ) -> Result<(), RecryptError> {
        let request = EngineRequest::JudgeDevice(Box::new(request));
        match self.request(&request, deadline).await? {
            EngineReply::DeviceJudged => Ok(()),
            EngineReply::Failed(failure) => Err(RecryptError::Failed(failure)),
            _ => Err(unavailable("an answer to another question")),
        }
    }

    /// Has an authority on the token sign a revocation list. `deadline` as for [`recrypt`](Self::recrypt).
    ///
    /// # Errors
    /// As [`recrypt`](Self::recrypt).
    pub async fn sign_crl(
        &self,
        request: SignCrlRequest,
        deadline: Duration,
    ) -> Result<SignedCrl, RecryptError> {
        let request = EngineRequest::SignCrl(Box::new(request));
        match self.request(&request, deadline).await? {
            EngineReply::CrlSigned(signed) => Ok(*signed),
            EngineReply::Failed(failure) => Err(RecryptError::Failed(failure)),
            _ => Err(unavailable("an answer to another question")),
        }
    }

    /// Has the OCSP responder of an authority on the token sign an answer. `deadline` as for [`recrypt`](Self::recrypt).
    ///
    /// # Errors
    /// As [`recrypt`](Self::recrypt).
    pub async fn sign_ocsp(
        &self,
        request: SignOcspRequest,
        deadline: Duration,
    ) -> Result<SignedOcsp, RecryptError> {
        let request = EngineRequest::SignOcsp(Box::new(request));
        match self.request(&request, deadline).await? {
            EngineReply::OcspSigned(signed) => Ok(*signed),
            EngineReply::Failed(failure) => Err(RecryptError::Failed(failure)),
            _ => Err(unavailable("an answer to another question")),
        }
    }

    /// Has a client key sign a TLS 1.3 handshake. `deadline` as for [`recrypt`](Self::recrypt).
    ///
    /// # Errors
    /// As [`recrypt`](Self::recrypt).
    pub async fn sign_tls(
        &self,
        request: SignTlsRequest,
        deadline: Duration,
    ) -> Result<SignedTls, RecryptError> {
        let request = EngineRequest::SignTls(Box::new(request));
        match self.request(&request, deadline).await? {
            EngineReply::TlsSigned(signed) => Ok(*signed),
            EngineReply::Failed(failure) => Err(RecryptError::Failed(failure)),
            _ => Err(unavailable("an answer to another question")),
        }
    }

    /// Has a client key sign a request for a certificate of its own. `deadline` as for [`recrypt`](Self::recrypt).
    ///
    /// # Errors
    /// As [`recrypt`](Self::recrypt).
    pub async fn sign_client_csr(
        &self,
        request: SignClientCsrRequest,
        deadline: Duration,
    ) -> Result<SignedClientCsr, RecryptError> {
        let request = EngineRequest::SignClientCsr(Box::new(request));
        match self.request(&request, deadline).await? {
            EngineReply::ClientCsrSigned(signed) => Ok(*signed),
            EngineReply::Failed(failure) => Err(RecryptError::Failed(failure)),
            _ => Err(unavailable("an answer to another question")),
        }
    }

    /// Shows or lifts quarantine and suspensions. Only the engine's own user may ask. `deadline` as for [`recrypt`](Self::recrypt).
    ///
    /// # Errors
    /// As [`recrypt`](Self::recrypt).
    pub async fn oracle(
        &self,
        request: OracleRequest,
        deadline: Duration,
    ) -> Result<OracleReport, RecryptError> {
        let request = EngineRequest::Oracle(request);
        match self.request(&request, deadline).await? {
            EngineReply::Oracle(report) => Ok(*report),
            EngineReply::Failed(failure) => Err(RecryptError::Failed(failure)),
            _ => Err(unavailable("an answer to another question")),
        }
    }

    /// Asks for leave for a dangerous step that a command does itself. Only the engine's own user may ask, and it is given once.
    ///
    /// # Errors
    /// As [`recrypt`](Self::recrypt); [`super::api::FailureCode::ApprovalMissing`] says what is missing.
    pub async fn allow(
        &self,
        request: AllowRequest,
        deadline: Duration,
    ) -> Result<Allowed, RecryptError> {
        let request = EngineRequest::Allow(Box::new(request));
        match self.request(&request, deadline).await? {
            EngineReply::Allowed(allowed) => Ok(allowed),
            EngineReply::Failed(failure) => Err(RecryptError::Failed(failure)),
            _ => Err(unavailable("an answer to another question")),
        }
    }

    /// What the engine reports of itself.
    ///
    /// # Errors
    /// [`RecryptError::Unavailable`] when there is no answer.
    pub async fn status(&self) -> Result<EngineStatus, RecryptError> {
        let id = self.shared.next_id.fetch_add(1, Ordering::Relaxed);
        match self
            .ask(Frame::bare(Kind::Status, id), STATUS_LIMIT)
            .await?
        {
            EngineReply::Status(status) => Ok(*status),
            EngineReply::Failed(failure) => Err(RecryptError::Failed(failure)),
            _ => Err(unavailable("an answer to another question")),
        }
    }

    async fn request(
        &self,
        request: &EngineRequest,
        deadline: Duration,
    ) -> Result<EngineReply, RecryptError> {
        let id = self.shared.next_id.fetch_add(1, Ordering::Relaxed);
        let mut frame = Frame::request(id, request).map_err(too_large)?;
        // 0 would mean «as the engine likes».
        frame.time_left_ms = u32::try_from(deadline.as_millis())
            .unwrap_or(u32::MAX)
            .max(1);
        frame.caller = Caller {
            // The engine knows better.
            uid: None,
            certificate: *self
                .shared
                .certificate
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        };
        self.ask(frame, deadline.saturating_add(GRACE)).await
    }

    async fn ask(&self, frame: Frame, limit: Duration) -> Result<EngineReply, RecryptError> {
        let id = frame.id;
        let connection = tokio::time::timeout(limit, self.connection())
            .await
            .map_err(|_| unavailable("it does not answer"))??;
        let (sender, receiver) = oneshot::channel();
        match connection.waiting.lock().as_mut() {
            Some(waiting) => waiting.insert(id, sender),
            None => return Err(unavailable("the connection is lost")),
        };
        // Removes the entry also when this future is dropped half-way.
        let _entry = Entry {
            waiting: Arc::clone(&connection.waiting),
            id,
        };
        let answer = async {
            connection
                .outgoing
                .send(frame)
                .await
                .map_err(|_| unavailable("the connection is lost"))?;
            receiver
                .await
                .map_err(|_| unavailable("the connection was lost before the answer"))
        };
        let frame = tokio::time::timeout(limit, answer)
            .await
            .map_err(|_| unavailable("it does not answer"))??;
        serde_json::from_slice(&frame.payload)
            .map_err(|_| unavailable("an answer that is none of this release"))
    }

    async fn connection(&self) -> Result<Connection, RecryptError> {
        let mut slot = self.shared.connection.lock().await;
        if let Some(connection) = slot.as_ref()
            && connection.waiting.lock().is_some()
        {
            return Ok(connection.clone());
        }
        let connection = tokio::time::timeout(GREETING_LIMIT, open(&self.shared.path))
            .await
            .map_err(|_| unavailable("it does not greet"))?
            .map_err(|error| unavailable(&format!("{}: {error}", self.shared.path.display())))?;
        *slot = Some(connection.clone());
        Ok(connection)
    }
}

async fn open(path: &Path) -> Result<Connection, FrameError> {
    let (mut reading, mut writing) = UnixStream::connect(path).await?.into_split();
    // Whoever is sent away may find the connection closed before it has greeted; the reason is there to be read all the same.
    let written = write_frame(&mut writing, &Frame::hello()).await;
    let greeting = match (read_frame(&mut reading).await, written) {
        (Ok(Some(frame)), _) => frame,
        (_, Err(error)) | (Err(error), _) => return Err(error),
        (Ok(None), Ok(())) => return Err(FrameError::Truncated),
    };
    if greeting.kind == Kind::Refused {
        let reason: String = String::from_utf8_lossy(&greeting.payload)
            .chars()
            .filter(|c| !c.is_control())
            .take(200)
            .collect();
        return Err(FrameError::Refused(reason));
    }
    greeting.expect_hello()?;
    let (outgoing, frames) = mpsc::channel(WRITE_QUEUE);
    let waiting = Arc::new(Waiting(Mutex::new(Some(HashMap::new()))));
    // The writer ends when every clone of the client is gone; its half of the stream then closes, and the engine closes the other.
    tokio::spawn(write_frames(writing, frames));
    tokio::spawn(read_frames(reading, Arc::clone(&waiting)));
    Ok(Connection { outgoing, waiting })
}

async fn write_frames(mut stream: impl AsyncWrite + Unpin, mut frames: mpsc::Receiver<Frame>) {
    while let Some(frame) = frames.recv().await {
        if write_frame(&mut stream, &frame).await.is_err() {
            break;
        }
    }
}

async fn read_frames(mut stream: impl AsyncRead + Unpin, waiting: Arc<Waiting>) {
    while let Ok(Some(frame)) = read_frame(&mut stream).await {
        if frame.kind != Kind::Reply {
            break;
        }
        let sender = waiting
            .lock()
            .as_mut()
            .and_then(|map| map.remove(&frame.id));
        if let Some(sender) = sender {
            // Who asked may have given up.
            let _ = sender.send(frame);
        }
    }
    // Dropping the senders tells everybody who waits.
    waiting.lock().take();
}

struct Entry {
    waiting: Arc<Waiting>,
    id: u64,
}

impl Drop for Entry {
    fn drop(&mut self) {
        if let Some(map) = self.waiting.lock().as_mut() {
            map.remove(&self.id);
        }
    }
}

fn unavailable(reason: &str) -> RecryptError {
    RecryptError::Unavailable(reason.to_owned())
}

fn too_large(error: FrameError) -> RecryptError {
    RecryptError::Failed(Failure {
        code: super::api::FailureCode::BadRequest,
        message: format!("the request is too large for the engine: {error}"),
    })
}
