//! Connectors' own keys on the token: each signs TLS 1.3 handshakes as a client, and requests for its own certificate. The content of a
//! handshake's signature is told apart from everything else by its form, and the request is built here, so that whoever may ask for
//! either cannot have anything else signed.
//!
//! the user may -> the content is one of the two -> not too often -> the token signs -> the receipt is durable -> the answer leaves

mod content;

use super::Shared;
use super::authority::{RECEIPT_LIMIT, TokenKey};
use super::queue::Job;
use super::refusal::Refusal;
use super::usage::caller;
use crate::config::ClientKeyConfig;
use crate::encoding::{Base64Bytes, hex};
use crate::engine::api::{
    EngineReply, FailureCode, SignClientCsrRequest, SignTlsRequest, SignedClientCsr, SignedTls,
};
use audit::Hash;
use audit::event::{ClientAct, ClientKeyUse, Event};
use content::CertificateVerify;
use fips::sign::SignatureAlgorithm;
use hsm::SigningKeyName;
use pki::Signer;
use pki::csr::{self, CsrError};
use pki::name::{Lengths, SubjectTemplate};
use pki::template::Values;
use std::time::Instant;

/// What such a key is asked for.
pub(super) enum Asked {
    /// A signature of a handshake.
    Handshake(Box<SignTlsRequest>),
    /// A request for a certificate.
    Request(Box<SignClientCsrRequest>),
}

/// The request's name, and its answer.
pub(super) fn sign(
    shared: &Shared,
    job: &Job,
    asked: Asked,
) -> (String, Result<EngineReply, Refusal>) {
    match asked {
        Asked::Handshake(request) => {
            let outcome =
                handshake(shared, job, &request).map(|done| EngineReply::TlsSigned(Box::new(done)));
            (request.request_id, outcome)
        }
        Asked::Request(request) => {
            let outcome = certification_request(shared, job, &request)
                .map(|done| EngineReply::ClientCsrSigned(Box::new(done)));
            (request.request_id, outcome)
        }
    }
}

fn handshake(shared: &Shared, job: &Job, request: &SignTlsRequest) -> Result<SignedTls, Refusal> {
    let config = find(shared, job, &request.key)?;
    let content = CertificateVerify::read(request.content.as_slice()).ok_or_else(|| {
        Refusal::bad_request(
            "a client key signs the client's CertificateVerify of TLS 1.3 (RFC 8446, section 4.4.3) and its own certification request, and nothing else",
        )
    })?;
    let key = ready(shared, job, config)?;
    let signature = key
        .sign(content.bytes())
        .map_err(|error| unsigned(&key, &CsrError::Signer(error)))?;
    let transcript = hex(content.transcript());
    record(
        shared,
        job,
        config,
        &request.request_id,
        &key,
        ClientAct::Handshake { transcript },
    )?;
    Ok(SignedTls {
        signature: Base64Bytes(signature),
        public_key: Base64Bytes(key.spki_der().to_vec()),
    })
}

fn certification_request(
    shared: &Shared,
    job: &Job,
    request: &SignClientCsrRequest,
) -> Result<SignedClientCsr, Refusal> {
    let config = find(shared, job, &request.key)?;
    let no_subject = || {
        Refusal::bad_request(&format!(
            "`engine.client_keys.{}.common_name` is no common name",
            config.name
        ))
    };
    let subject = SubjectTemplate::parse(&format!("CN={}", config.common_name))
        .map_err(|_| no_subject())?
        .fill(&Values::new(), Lengths::Rfc5280)
        .map_err(|_| no_subject())?;
    let key = ready(shared, job, config)?;
    let wanted = csr::Request {
        subject,
        ..csr::Request::default()
    };
    let csr = csr::create(&wanted, &key).map_err(|error| unsigned(&key, &error))?;
    record(
        shared,
        job,
        config,
        &request.request_id,
        &key,
        ClientAct::Request {
            common_name: config.common_name.clone(),
            csr: Hash::of(&csr),
        },
    )?;
    tracing::info!(request_id = %request.request_id, key = %config.name, "a request for a connector's certificate was signed");
    Ok(SignedClientCsr {
        csr: Base64Bytes(csr),
        public_key: Base64Bytes(key.spki_der().to_vec()),
        common_name: config.common_name.clone(),
    })
}

/// The key of this name, if who asks may have it sign. One that is not theirs looks like one that is not there.
fn find<'a>(shared: &'a Shared, job: &Job, name: &str) -> Result<&'a ClientKeyConfig, Refusal> {
    let is_engine = job.caller.uid == Some(rustix::process::geteuid().as_raw());
    shared
        .config
        .client_keys
        .iter()
        .find(|key| key.name == name)
        .filter(|key| {
            is_engine
                || key.uids.is_empty()
                || job.caller.uid.is_some_and(|uid| key.uids.contains(&uid))
        })
        .ok_or_else(|| {
            Refusal::bad_request(
                "this engine has no client key of this name for this user: see [[engine.client_keys]] and its `uids`",
            )
        })
}

/// The key on its token, once it may be used and the use can be recorded.
fn ready<'a>(
    shared: &'a Shared,
    job: &Job,
    config: &'a ClientKeyConfig,
) -> Result<TokenKey<'a>, Refusal> {
    if !shared
        .client_keys
        .admit(&config.name, config.per_minute, Instant::now())
    {
        return Err(Refusal::open(
            FailureCode::Busy,
            "client_key_pace",
            format!(
                "the client key `{0}` has signed {1} times within a minute, which is `engine.client_keys.{0}.per_minute`: ask again later",
                config.name, config.per_minute
            ),
        ));
    }
    shared.oracle.book().ready()?;
    let key = TokenKey::of_section(
        shared,
        &SigningKeyName::Label(config.signing_key.clone()),
        job.deadline,
        format!("engine.client_keys.{}", config.name),
    )?;
    match key.algorithm() {
        SignatureAlgorithm::EcdsaP256Sha256
        | SignatureAlgorithm::EcdsaP384Sha384
        | SignatureAlgorithm::RsaPssSha256 => Ok(key),
        other => Err(Refusal::bad_request(&format!(
            "`engine.client_keys.{}`: a client's key is EC on P-256 or P-384, or RSA; this one signs {}",
            config.name,
            other.name()
        ))),
    }
}

/// Records what was signed; returns when that is durable.
fn record(
    shared: &Shared,
    job: &Job,
    config: &ClientKeyConfig,
    request: &str,
    key: &TokenKey<'_>,
    signed: ClientAct,
) -> Result<(), Refusal> {
    let event = Event::ClientKeyUse(Box::new(ClientKeyUse {
        request: request.to_owned(),
        caller: caller(job),
        name: config.name.clone(),
        key: Hash::of(key.spki_der()),
        signed,
        policy: shared.policy_digest,
    }));
    let until = job.deadline.max(Instant::now() + RECEIPT_LIMIT);
    shared.oracle.book().record(event, Some(until))
}

fn unsigned(key: &TokenKey<'_>, error: &CsrError) -> Refusal {
    match error {
        CsrError::Signer(_) => key.refusal().unwrap_or_else(|| {
            Refusal::fault("signing", "the client key does not sign".to_owned())
        }),
        other => Refusal::fault("client_csr", other.to_string()),
    }
}
