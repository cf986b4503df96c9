//! The first certificate: a one-time token and a request that the engine signs. Whatever is lost on the way, the same token with the same
//! request gets the same certificate, so that the command is simply run again.

use super::folder::{Folder, FolderError, Kept, Order};
use super::renewal::{Then, receive};
use super::sign_request;
use crate::bearer;
use crate::clock::Clock;
use crate::config::ConnectorConfig;
use crate::connector::error::{CallError, CallErrorKind, StartError};
use crate::connector::gateway_client::{GatewayClient, base_of, explain, http_client_with};
use crate::encoding::{Base64Bytes, hex};
use crate::engine::client::EngineClient;
use crate::gateway::api::{ErrorBody, PROTOCOL_VERSION};
use crate::gateway::enrolment_api::{EnrolRequest, Enrolled};
use crate::tls::{self, CallFailure};
use fips::secret::BearerToken;
use reqwest::header::AUTHORIZATION;
use std::path::PathBuf;
use std::time::Duration;

/// The largest answer that is read, in bytes: a chain of certificates.
const MAX_ANSWER_BYTES: usize = 256 * 1024;

/// A connector that is enrolled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Enrolment {
    /// The certificate is there, and the gateway accepts it.
    Done {
        /// SHA-256 of it, hexadecimal.
        certificate: String,
        /// The end of its validity, in milliseconds since 1970.
        not_after_ms: i64,
        /// Where it is.
        file: PathBuf,
    },
    /// The gateway's authority has not decided: the command is run again after so long, with the same token.
    Pending(Duration),
}

/// Why a connector was not enrolled.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnrolError {
    /// The configuration, or what it names.
    #[error(transparent)]
    Start(#[from] StartError),
    /// It has a certificate already.
    #[error(
        "there is a certificate in {}, valid until {until}: the connector renews it by itself; move it away to enrol anew", file.display()
    )]
    Enrolled {
        /// Where.
        file: PathBuf,
        /// Until when (RFC 3339).
        until: String,
    },
    /// The folder.
    #[error("{0}")]
    Folder(String),
    /// The engine does not sign.
    #[error("the engine did not sign the request: {0}")]
    Engine(String),
    /// The key's common name is another one than the instance.
    #[error(
        "the engine's client key is for {common_name:?} and not for {instance:?}: `common_name` in [[engine.client_keys]] has to be `connector.instance`"
    )]
    AnotherName {
        /// What the engine signs.
        common_name: String,
        /// What it has to be.
        instance: String,
    },
    /// The token's file holds no token.
    #[error("the token's file does not hold what a header can carry")]
    Token,
    /// The gateway does not do it.
    #[error("{0}")]
    Gateway(String),
    /// What its authority issued is refused: by this token there will be no certificate.
    #[error("{0}")]
    Over(String),
}

impl From<FolderError> for EnrolError {
    fn from(error: FolderError) -> Self {
        Self::Folder(error.to_string())
    }
}

/// Gets the connector of this configuration its first certificate.
///
/// # Errors
/// [`EnrolError`]; nothing is lost then, and it may be tried again.
pub async fn enrol(
    config: &ConnectorConfig,
    token: &BearerToken,
    clock: &dyn Clock,
) -> Result<Enrolment, EnrolError> {
    let identity = config
        .identity
        .as_ref()
        .ok_or_else(|| StartError::Setting {
            key: "identity",
            problem: "is missing: name the key and the folder of the certificate".to_owned(),
        })?;
    let folder = Folder::open(identity)?;
    if let Some(current) = folder.current()?
        && current.facts.not_after_ms > clock.now_ms()
    {
        return Err(EnrolError::Enrolled {
            file: identity.certificate(),
            until: crate::clock::rfc3339(current.facts.not_after_ms),
        });
    }
    let next = match usable_next(config, &folder, clock.now_ms()).await? {
        Some(next) => next,
        None => {
            let order = order(config, &folder, &identity.client_key).await?;
            let answer = ask(config, token, &order.csr).await?;
            let then = receive(&folder, &order, answer, clock.now_ms())
                .map_err(|trouble| EnrolError::Gateway(trouble.to_string()))?;
            let next = match (then, folder.next()?) {
                (Then::AskAgain(pause), _) => return Ok(Enrolment::Pending(pause)),
                (_, Some(next)) => next,
                (_, None) => return Err(EnrolError::Folder("the certificate is gone".to_owned())),
            };
            let tried = client(config, &next)?.heartbeat(0, true, &[]).await;
            tried.map_err(not_tried)?;
            next
        }
    };
    folder.promote()?;
    Ok(Enrolment::Done {
        certificate: hex(&next.facts.digest),
        not_after_ms: next.facts.not_after_ms,
        file: identity.certificate(),
    })
}

/// The order that is on disk, if it is for the key that the engine has now, or a new one.
async fn order(config: &ConnectorConfig, folder: &Folder, key: &str) -> Result<Order, EnrolError> {
    let engine = EngineClient::unconnected(&config.engine_socket);
    let deadline = Duration::from_millis(config.engine_timeout_ms);
    let signed = sign_request(&engine, key, deadline)
        .await
        .map_err(EnrolError::Engine)?;
    if signed.common_name != config.instance {
        return Err(EnrolError::AnotherName {
            common_name: signed.common_name,
            instance: config.instance.clone(),
        });
    }
    // The same request as before: another signature of it would be another request.
    let kept = folder.order()?.filter(|order| {
        order.replaces.is_empty()
            && order.public_key == signed.public_key
            && order.common_name == signed.common_name
    });
    if let Some(order) = kept {
        return Ok(order);
    }
    let order = Order::new(
        String::new(),
        signed.csr,
        signed.public_key,
        signed.common_name,
    );
    folder.keep_order(&order)?;
    Ok(order)
}

/// Asks the gateway, by the token.
async fn ask(
    config: &ConnectorConfig,
    token: &BearerToken,
    csr: &Base64Bytes,
) -> Result<Enrolled, EnrolError> {
    let tls = tls::client_config(&config.gateway_ca, None)
        .map_err(|error| StartError::Module(error.to_string()))?;
    let client = http_client_with(config, tls)?
        .build()
        .map_err(|error| StartError::Module(error.to_string()))?;
    let url = base_of(config)?
        .join("enrolment/v1/connectors")
        .map_err(|error| EnrolError::Gateway(error.to_string()))?;
    let body = EnrolRequest {
        protocol: PROTOCOL_VERSION,
        instance: config.instance.clone(),
        csr: csr.clone(),
    };
    let header = bearer::header(token).ok_or(EnrolError::Token)?;
    // The authority may take longer than a call of the loop.
    let limit = Duration::from_millis(config.http_timeout_ms).saturating_mul(2);
    let mut response = client
        .post(url)
        .header(AUTHORIZATION, header)
        .json(&body)
        .timeout(limit)
        .send()
        .await
        .map_err(|error| EnrolError::Gateway(CallFailure::of(error).text))?;
    let bytes = body_of(&mut response).await.map_err(EnrolError::Gateway)?;
    if !response.status().is_success() {
        let (_, message) = explain(response.status(), &bytes);
        let is_over = serde_json::from_slice::<ErrorBody>(&bytes)
            .is_ok_and(|body| body.error.code == "certificateRefused");
        return Err(match is_over {
            true => EnrolError::Over(message),
            false => EnrolError::Gateway(message),
        });
    }
    serde_json::from_slice(&bytes).map_err(|_| {
        EnrolError::Gateway("the service's answer is none of this protocol".to_owned())
    })
}

/// An answer's body, with a bound.
async fn body_of(response: &mut reqwest::Response) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(|error| CallFailure::of(error).text)?
    {
        if bytes.len() + chunk.len() > MAX_ANSWER_BYTES {
            return Err(format!(
                "the service's answer is larger than {MAX_ANSWER_BYTES} bytes"
            ));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// The certificate that an earlier run of the command got, where the gateway takes it now. One that it does not take is of no use any more: it
/// expired, or its instance was revoked since.
async fn usable_next(
    config: &ConnectorConfig,
    folder: &Folder,
    now_ms: i64,
) -> Result<Option<Kept>, EnrolError> {
    let Some(next) = folder.next()? else {
        return Ok(None);
    };
    if next.facts.not_after_ms > now_ms {
        match client(config, &next)?.heartbeat(0, true, &[]).await {
            Ok(()) => return Ok(Some(next)),
            Err(error) if error.kind == CallErrorKind::Refused => {}
            Err(error) => return Err(not_tried(error)),
        }
    }
    folder.forget_next()?;
    Ok(None)
}

/// What makes a first call with the new certificate: an enrolment that does not work is found here and not by the service.
fn client(config: &ConnectorConfig, next: &Kept) -> Result<GatewayClient, EnrolError> {
    Ok(GatewayClient::with_certificate(config, &next.chain)?)
}

fn not_tried(error: CallError) -> EnrolError {
    let what = match error.kind {
        CallErrorKind::Refused => {
            "the gateway has issued a certificate and does not accept it; run the command again once that is mended"
        }
        _ => "the certificate is there; run the command again to try it",
    };
    EnrolError::Gateway(format!("{what}: {error}"))
}
