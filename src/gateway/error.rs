//! Errors: what a caller sees of them, and why a gateway does not start.

use super::api::{ErrorBody, FailureReport};
use super::store::StoreError;
use crate::config::secret_file::SecretFileError;
use crate::tls::TlsError;
use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use std::path::PathBuf;

/// An answer other than success: `{"error":{"code","message"}}` with a stable code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    /// HTTP status.
    pub status: StatusCode,
    /// Stable code.
    pub code: &'static str,
    /// The same in words, with the remedy where there is one. Nothing secret.
    pub message: String,
    /// After how many seconds it is worth another try.
    pub retry_after_s: Option<u32>,
}

impl ApiError {
    pub(super) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            retry_after_s: None,
        }
    }

    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "badRequest", message)
    }

    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "notFound", message)
    }

    fn after(mut self, seconds: u32) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        let conflict =
            |code, message: &str| Self::new(StatusCode::CONFLICT, code, message.to_owned());
        match error {
            StoreError::NotFound => Self::not_found("there is no such object"),
            StoreError::Exists => conflict(
                "alreadyExists",
                "a record of this user and certificate exists: change it with PATCH, or delete it first",
            ),
            StoreError::NoRecords => Self::new(
                StatusCode::NOT_FOUND,
                "userHasNoCertificates",
                "no record was imported for this user",
            ),
            StoreError::QueueFull => Self::new(
                StatusCode::TOO_MANY_REQUESTS,
                "queueFull",
                "too many requests wait for connectors; ask again later",
            )
            .after(30),
            StoreError::TooManyRecords => conflict(
                "tooManyCertificates",
                "the user has more certificates than one profile takes (32): delete those that nobody needs any more",
            ),
            StoreError::NotOffered(delivery) => Self::new(
                StatusCode::CONFLICT,
                "deliveryNotOffered",
                format!(
                    "no connector of this gateway does the delivery {}: allow it in the configuration of their engines (`engine.deliveries`), and wait until they have asked for work",
                    delivery.name()
                ),
            ),
            StoreError::NoProfile => Self::new(
                StatusCode::NOT_FOUND,
                "noSuchProfile",
                "there is no profile of this name",
            ),
            StoreError::ProfileExists => conflict(
                "alreadyExists",
                "a profile of this name exists: replace it, or delete it first",
            ),
            StoreError::NoIssuance => conflict(
                "issuanceNotOffered",
                "no connector of this gateway takes PKCS requests: give them an issuance policy and an authority (`connector.pkcs`, `connector.ca`), and wait until they have asked for work",
            ),
            StoreError::NoRevocation => conflict(
                "revocationNotOffered",
                "no connector of this gateway revokes: give them an authority (`connector.ca`), and wait until they have asked for work",
            ),
            StoreError::NoCertificate(id) => Self::new(
                StatusCode::NOT_FOUND,
                "noSuchCertificate",
                format!(
                    "no certificate was issued for the request {id:?}, or it expired long ago; nothing was queued"
                ),
            ),
            StoreError::OwnRevocation => Self::new(
                StatusCode::FORBIDDEN,
                "ownRevocation",
                "who asked for a revocation does not release it: another administrator has to",
            ),
            StoreError::WrongResult => {
                Self::bad_request("the result is not what the request asks for")
            }
            StoreError::KeyReused => conflict(
                "idempotencyKeyReused",
                "this idempotencyKey was used with another request",
            ),
            StoreError::StaleLease => conflict(
                "staleLease",
                "the fence is not that of the request's current lease, or the lease was answered otherwise; nothing changed",
            ),
            StoreError::NotReady => conflict("notReady", "the request is not completed yet"),
            StoreError::RequestFailed => conflict(
                "requestFailed",
                "the request failed for good; its state says why",
            ),
            StoreError::Retired => Self::new(
                StatusCode::GONE,
                "resultDeleted",
                "the result was deleted: its record was changed or deleted",
            ),
            StoreError::ConnectorRefused(why) => Self::new(
                StatusCode::FORBIDDEN,
                "connectorRefused",
                format!("this connector is refused: {why}"),
            ),
            StoreError::EnrolmentRefused(why) => Self::new(
                StatusCode::FORBIDDEN,
                "enrolmentRefused",
                format!("this connector gets no certificate: {why}"),
            ),
            StoreError::RecordChanged => conflict(
                "recordChanged",
                "the record was changed since it was read; nothing was replaced",
            ),
            StoreError::NotARotation => Self::bad_request(
                "record: user, thumbprint and provider stay, custodyKey names another key, and importerSignature is there",
            ),
            StoreError::SignatureMissing => Self::bad_request(
                "the record is signed: importerSignature must come with a change of what it covers",
            ),
            other => {
                // The outside learns that it was not its fault; the log says what it was.
                tracing::error!(error = %other, "the database does not answer as it should");
                Self::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "storageUnavailable",
                    "the gateway's database does not answer; nothing was changed",
                )
                .after(5)
            }
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = ErrorBody {
            error: FailureReport {
                code: self.code.to_owned(),
                message: self.message,
            },
        };
        let mut response = (self.status, Json(body)).into_response();
        if let Some(seconds) = self.retry_after_s {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static("Bearer realm=\"pfx-connector gateway\""),
            );
        }
        response
    }
}

/// Why a gateway does not start, or stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GatewayError {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file could not be used.
    #[error("{path}: {source}", path = path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The private key's file.
    #[error(transparent)]
    SecretFile(#[from] SecretFileError),
    /// A file with certificates.
    #[error(transparent)]
    Certificates(TlsError),
    /// The TLS configuration is not acceptable, or not in FIPS mode.
    #[error("TLS: {0}")]
    Tls(fips::Error),
    /// The authority of `[gateway.enrolment]`.
    #[error("gateway.enrolment: {0}")]
    Authority(String),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: std::net::SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The runtime or a signal handler could not be set up.
    #[error("{0}")]
    Runtime(std::io::Error),
}

impl From<TlsError> for GatewayError {
    fn from(error: TlsError) -> Self {
        match error {
            TlsError::Secret(error) => Self::SecretFile(error),
            TlsError::Module(problem) => Self::Tls(problem),
            file => Self::Certificates(file),
        }
    }
}
