//! Connectors' certificates: the first one by a one-time token, the next ones by the one before.

use crate::encoding::hex;
use crate::gateway::api::PROTOCOL_VERSION;
use crate::gateway::auth::Caller;
use crate::gateway::enrolment::{Asked, By, certificate, not_offered};
use crate::gateway::enrolment_api::{EnrolRequest, RenewRequest};
use crate::gateway::error::ApiError;
use crate::gateway::http::{Call, Reply, ok};
use crate::gateway::store::order_of_token;
use crate::gateway::validate;
use axum::http::StatusCode;
use fips::digest::{Hash, digest};

fn configured(call: &Call) -> Result<(), ApiError> {
    match call.app.enrolment {
        Some(_) => Ok(()),
        None => Err(not_offered()),
    }
}

/// The first certificate.
pub(crate) async fn enrol(call: Call) -> Result<Reply, ApiError> {
    let message: EnrolRequest = call.message()?;
    if message.protocol != PROTOCOL_VERSION {
        return Err(ApiError {
            code: "protocolVersion",
            ..ApiError::bad_request(format!(
                "the connector speaks version {} of the protocol, this gateway version {PROTOCOL_VERSION}",
                message.protocol
            ))
        });
    }
    configured(&call)?;
    let Caller::Token { id: token, .. } = &call.caller else {
        return Err(ApiError::bad_request(
            "a token of the role `enrolment` is needed",
        ));
    };
    let id = token.clone();
    let instance = call
        .app
        .stored(move |store| store.enrolment_instance(&id))
        .await?;
    if instance != message.instance {
        return Err(ApiError::new(
            StatusCode::FORBIDDEN,
            "enrolmentRefused",
            "the token is for another instance than `connector.instance`",
        ));
    }
    let asked = Asked {
        order_id: order_of_token(token),
        instance,
        csr: message.csr.0,
        by: By::Token(token.clone()),
        actor: call.actor(),
    };
    ok(&certificate(&call.app, asked).await?)
}

/// The next certificate.
pub(crate) async fn renew(call: Call) -> Result<Reply, ApiError> {
    let message: RenewRequest = call.message()?;
    validate::connector(&message.connector)?;
    configured(&call)?;
    let contact = call.contact()?;
    // One request, one order, whoever sends it again.
    let csr = hex(digest(Hash::Sha256, message.csr.as_slice()).as_ref());
    let asked = Asked {
        order_id: format!("renew-{}", csr.get(..48).unwrap_or_default()),
        instance: message.connector.instance,
        csr: message.csr.0,
        by: By::Connector(contact),
        actor: call.actor(),
    };
    ok(&certificate(&call.app, asked).await?)
}
