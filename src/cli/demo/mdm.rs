//! The device side: asks the gateway for a user's certificates and collects them, as an MDM server would.

use super::error::DemoError;
use super::pki::Device;
use crate::encoding::Base64Bytes;
use crate::engine::api::{CmsFormat, Delivery, DeviceTarget};
use crate::gateway::api::{self, DeviceRequest, DeviceRequestAccepted, RequestState};
use crate::gateway::pkcs_api::{PkcsRequest, PkcsRequestAccepted};
use crate::tls::CallFailure;
use reqwest::{Client, Method, RequestBuilder};
use serde::de::DeserializeOwned;

/// A client of the gateway's MDM interface.
#[derive(Clone)]
pub struct Mdm {
    client: Client,
    base: String,
    bearer: String,
}

impl Mdm {
    /// A client of the gateway at `base` (`https://host:port`) with an MDM's bearer token.
    #[must_use]
    pub fn new(client: Client, base: String, bearer: String) -> Self {
        Self {
            client,
            base,
            bearer,
        }
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client
            .request(method, format!("{}/mdm/v1/{path}", self.base))
            .bearer_auth(&self.bearer)
    }

    async fn send<T: DeserializeOwned>(
        step: &str,
        request: RequestBuilder,
    ) -> Result<T, DemoError> {
        let response = request
            .send()
            .await
            .map_err(|error| DemoError::step(step, CallFailure::of(error).text))?;
        let status = response.status();
        let body = response
            .bytes()
            .await
            .map_err(|error| DemoError::step(step, CallFailure::of(error).text))?;
        if !status.is_success() {
            return Err(DemoError::step(
                step,
                format!("{status}: {}", String::from_utf8_lossy(&body)),
            ));
        }
        serde_json::from_slice(&body)
            .map_err(|error| DemoError::step(step, format!("unexpected answer: {error}")))
    }

    /// Asks for all certificates of a user on a device.
    ///
    /// # Errors
    /// When the gateway cannot be reached or refuses.
    pub async fn ask(
        &self,
        user: &str,
        device: &Device,
        format: CmsFormat,
        delivery: Delivery,
        idempotency_key: &str,
    ) -> Result<DeviceRequestAccepted, DemoError> {
        let body = DeviceRequest {
            user_principal_name: user.to_owned(),
            device_id: device.id.clone(),
            device: DeviceTarget {
                certificate: Base64Bytes(device.certificate_der.clone()),
                intermediates: Vec::new(),
            },
            format,
            delivery,
            idempotency_key: Some(idempotency_key.to_owned()),
        };
        Self::send(
            "device request",
            self.request(Method::POST, "deviceRequests").json(&body),
        )
        .await
    }

    /// Asks for a certificate to be issued.
    ///
    /// # Errors
    /// When the gateway cannot be reached or refuses.
    pub async fn ask_certificate(
        &self,
        request: &PkcsRequest,
    ) -> Result<PkcsRequestAccepted, DemoError> {
        Self::send(
            "request for a certificate",
            self.request(Method::POST, "pkcsRequests").json(request),
        )
        .await
    }

    /// Where a request stands.
    ///
    /// # Errors
    /// When the gateway cannot be reached or refuses.
    pub async fn state(&self, request_id: &str) -> Result<RequestState, DemoError> {
        Self::send(
            "request state",
            self.request(Method::GET, &format!("requests/{request_id}")),
        )
        .await
    }

    /// Collects a finished request.
    ///
    /// # Errors
    /// When the gateway cannot be reached or has no result.
    pub async fn collect(&self, request_id: &str) -> Result<api::Delivery, DemoError> {
        Self::send(
            "collect",
            self.request(Method::POST, &format!("requests/{request_id}/collect")),
        )
        .await
    }
}
