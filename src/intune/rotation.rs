//! The gateway's own paths for rotation, which Graph has none of: see [`crate::gateway::rotation_api`].

use super::error::GraphError;
use super::user_pfx::{UserPfxClient, parse};
use crate::gateway::rotation_api::{RotationPage, RotationRecord, RotationReplacement};
use reqwest::{Method, Url};

impl UserPfxClient {
    fn rotation(&self, id: Option<&str>) -> Result<Url, GraphError> {
        let mut url = self.records.clone();
        url.path_segments_mut()
            .map_err(|()| GraphError::Settings("the service's address has no path"))?
            .pop()
            .pop()
            .pop()
            .extend(["rotation", "v1", "records"].into_iter().chain(id));
        Ok(url)
    }

    /// One page of the records that name a custody key, after the record of the id `after`.
    ///
    /// # Errors
    /// [`GraphError`]; code `service_forbidden` when the token's role is not rotation.
    pub async fn records_of_custody_key(
        &self,
        custody_key: &str,
        after: Option<&str>,
    ) -> Result<RotationPage, GraphError> {
        let mut url = self.rotation(None)?;
        url.query_pairs_mut()
            .append_pair("custodyKey", custody_key)
            .extend_pairs(after.map(|after| ("after", after)));
        let body = self.call(|| self.request(Method::GET, url.clone())).await?;
        parse(&body)
    }

    /// A record as it is stored.
    ///
    /// # Errors
    /// [`GraphError`]; code `service_not_found` when there is none of this id.
    pub async fn stored_record(&self, id: &str) -> Result<RotationRecord, GraphError> {
        let url = self.rotation(Some(id))?;
        let body = self.call(|| self.request(Method::GET, url.clone())).await?;
        parse(&body)
    }

    /// Puts a record for another custody key in the place of the one that was read.
    ///
    /// # Errors
    /// [`GraphError`]; code `service_not_found` when there is none of this id, `service_conflict` when it was changed since it was read.
    pub async fn replace_stored_record(
        &self,
        id: &str,
        replacement: &RotationReplacement,
    ) -> Result<(), GraphError> {
        let url = self.rotation(Some(id))?;
        self.call(|| self.request(Method::POST, url.clone()).json(replacement))
            .await
            .map(drop)
    }
}
