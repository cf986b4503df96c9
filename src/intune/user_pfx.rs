//! Graph beta `/deviceManagement/userPfxCertificates`: create, list, delete.

use super::error::{GraphError, unwrap_message};
use super::retry::{RetryBudget, retry_after};
use crate::clock::Clock;
use crate::gateway::api::{Collection, UserPfxCertificate};
use crate::tls::CallFailure;
use fips::secret::BearerToken;
use fips::tls::PeerProblem;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::{Method, RequestBuilder, Response, StatusCode, Url};
use serde::de::DeserializeOwned;
use std::sync::Arc;
use std::time::Duration;

/// The largest answer that is read, in bytes: a page of records with stub secrets is far smaller.
const MAX_ANSWER_BYTES: usize = 16 * 1024 * 1024;
/// Pages of one list.
const MAX_PAGES: usize = 10_000;
/// Deadline of one call.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Which records to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// Of this user.
    pub user_principal_name: Option<String>,
    /// With this thumbprint.
    pub thumbprint: Option<String>,
}

impl Selection {
    /// The OData filter, as Microsoft's own tool writes it; `'` is doubled in text literals (OData 4.01 URL conventions, 5.1.1.6.1).
    fn filter(&self) -> Option<String> {
        let term = |name: &str, value: &Option<String>| {
            let value = value.as_ref()?.to_lowercase().replace('\'', "''");
            Some(format!("tolower({name}) eq '{value}'"))
        };
        let terms: Vec<_> = [
            term("userPrincipalName", &self.user_principal_name),
            term("thumbprint", &self.thumbprint),
        ]
        .into_iter()
        .flatten()
        .collect();
        (!terms.is_empty()).then(|| terms.join(" and "))
    }
}

/// A client of the service that holds the records.
pub struct UserPfxClient {
    http: reqwest::Client,
    pub(super) records: Url,
    bearer: HeaderValue,
    budget: RetryBudget,
    clock: Arc<dyn Clock>,
}

/// The HTTP client of imports: the same for them and for `doctor`.
pub(crate) fn http_client(tls: rustls::ClientConfig) -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .https_only(true)
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(Duration::from_secs(10))
        .timeout(TIMEOUT)
}

impl UserPfxClient {
    /// A client of the service at `base` (`https://host[:port]`) that trusts what `tls` trusts and shows `bearer` (RFC 6750).
    /// The environment's proxy variables are not read.
    ///
    /// # Errors
    /// [`GraphError::Settings`] when the address is not an https one or the token holds characters that a header cannot.
    pub fn new(
        base: &str,
        tls: rustls::ClientConfig,
        bearer: &BearerToken,
        budget: RetryBudget,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, GraphError> {
        let base = format!(
            "{}/beta/deviceManagement/userPfxCertificates",
            base.trim_end_matches('/')
        );
        let records = Url::parse(&base)
            .ok()
            .filter(|url| url.scheme() == "https")
            .ok_or(GraphError::Settings(
                "the service's address must be an https:// URL",
            ))?;
        let http = http_client(tls)
            .build()
            .map_err(|_| GraphError::Settings("the HTTP client refuses the TLS configuration"))?;
        let bearer = crate::bearer::header(bearer).ok_or(GraphError::Settings(
            "the bearer token holds control characters",
        ))?;
        Ok(Self {
            http,
            records,
            bearer,
            budget,
            clock,
        })
    }

    /// Creates a record and returns it as the service has it.
    ///
    /// # Errors
    /// [`GraphError`]; code `service_conflict` when there is one for this user and certificate.
    pub async fn create(
        &self,
        record: &UserPfxCertificate,
    ) -> Result<UserPfxCertificate, GraphError> {
        let body = self
            .call(|| {
                self.request(Method::POST, self.records.clone())
                    .json(record)
            })
            .await?;
        parse(&body)
    }

    /// The selected records, all pages of them. Their secrets are stubs: the service does not give them back.
    ///
    /// # Errors
    /// [`GraphError`].
    pub async fn list(&self, selection: &Selection) -> Result<Vec<UserPfxCertificate>, GraphError> {
        let mut url = self.records.clone();
        if let Some(filter) = selection.filter() {
            url.query_pairs_mut().append_pair("$filter", &filter);
        }
        let mut found = Vec::new();
        for _ in 0..MAX_PAGES {
            let body = self.call(|| self.request(Method::GET, url.clone())).await?;
            let page: Collection<UserPfxCertificate> = parse(&body)?;
            found.extend(page.value);
            let Some(next) = page.next_link else {
                return Ok(found);
            };
            url = self.same_service(&next)?;
        }
        Err(GraphError::Answer("the list has no end"))
    }

    /// Puts `record` in the place of the one of this id and returns it as the service has it then.
    ///
    /// # Errors
    /// [`GraphError`]; code `service_not_found` when there is none of this id.
    pub async fn update(
        &self,
        id: &str,
        record: &UserPfxCertificate,
    ) -> Result<UserPfxCertificate, GraphError> {
        let url = self.one(id)?;
        let body = self
            .call(|| self.request(Method::PATCH, url.clone()).json(record))
            .await?;
        parse(&body)
    }

    /// Deletes a record.
    ///
    /// # Errors
    /// [`GraphError`]; code `service_not_found` when there is none of this id.
    pub async fn delete(&self, id: &str) -> Result<(), GraphError> {
        let url = self.one(id)?;
        self.call(|| self.request(Method::DELETE, url.clone()))
            .await
            .map(drop)
    }

    fn one(&self, id: &str) -> Result<Url, GraphError> {
        let mut url = self.records.clone();
        url.path_segments_mut()
            .map_err(|()| GraphError::Settings("the service's address has no path"))?
            .push(id);
        Ok(url)
    }

    /// The bearer token must not be carried elsewhere by a link in an answer.
    fn same_service(&self, link: &str) -> Result<Url, GraphError> {
        Url::parse(link)
            .ok()
            .filter(|url| url.origin() == self.records.origin())
            .ok_or(GraphError::Answer(
                "the link to the next page leads to another service",
            ))
    }

    pub(super) fn request(&self, method: Method, url: Url) -> RequestBuilder {
        self.http
            .request(method, url)
            .header(AUTHORIZATION, self.bearer.clone())
    }

    /// Sends, and again while the service asks to wait or cannot be connected to. A request that may have arrived is not repeated.
    pub(super) async fn call(
        &self,
        request: impl Fn() -> RequestBuilder,
    ) -> Result<Vec<u8>, GraphError> {
        let mut attempt = 1;
        loop {
            let last = attempt >= self.budget.attempts;
            let wait = match request().send().await {
                Ok(answer) if is_busy(answer.status()) => {
                    let wait = retry_after(answer.headers(), self.clock.now_ms())
                        .unwrap_or(self.budget.usual_wait);
                    if last || wait > self.budget.longest_wait {
                        return Err(GraphError::Busy {
                            status: answer.status().as_u16(),
                            wait,
                        });
                    }
                    wait
                }
                Ok(answer) => return finish(answer).await,
                Err(error)
                    if error.is_connect()
                        && !PeerProblem::in_chain(&error).is_some_and(PeerProblem::is_refusal)
                        && !last =>
                {
                    self.budget.usual_wait
                }
                Err(error) => return Err(unreachable(error)),
            };
            tracing::info!(
                attempt,
                wait_ms = wait.as_millis(),
                "the service asks to wait"
            );
            tokio::time::sleep(wait).await;
            attempt += 1;
        }
    }
}

fn is_busy(status: StatusCode) -> bool {
    status == StatusCode::TOO_MANY_REQUESTS || status == StatusCode::SERVICE_UNAVAILABLE
}

fn unreachable(error: reqwest::Error) -> GraphError {
    let too_late = error.is_timeout();
    let failure = CallFailure::of(error);
    GraphError::Unreachable {
        reason: if too_late {
            format!("it took too long: {}", failure.text)
        } else {
            failure.text
        },
        tls: failure.problem,
    }
}

async fn finish(mut answer: Response) -> Result<Vec<u8>, GraphError> {
    let status = answer.status();
    let request_id = answer
        .headers()
        .get("request-id")
        .and_then(|id| id.to_str().ok())
        .map(str::to_owned);
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(unreachable)? {
        if body.len() + chunk.len() > MAX_ANSWER_BYTES {
            return Err(GraphError::Answer("it is too long"));
        }
        body.extend_from_slice(&chunk);
    }
    if status.is_success() {
        return Ok(body);
    }
    let (code, message) = unwrap_message(&body);
    Err(GraphError::Refused {
        status: status.as_u16(),
        code,
        message,
        request_id,
    })
}

pub(super) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, GraphError> {
    serde_json::from_slice(body).map_err(|_| GraphError::Answer("it is not the JSON of this API"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;

    #[test]
    fn filters_are_those_of_graph_and_quotes_are_doubled() {
        let both = Selection {
            user_principal_name: Some("O'Neill@Example.com".to_owned()),
            thumbprint: Some("AB12".to_owned()),
        };
        assert_eq!(
            both.filter().unwrap(),
            "tolower(userPrincipalName) eq 'o''neill@example.com' and tolower(thumbprint) eq 'ab12'"
        );
        assert_eq!(Selection::default().filter(), None);
    }
}
