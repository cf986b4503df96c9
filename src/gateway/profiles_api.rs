//! Profiles: what administrators store under a name, and the device management asks by. Those of certificates on request are
//! [`PkcsProfile`](super::pkcs_api::PkcsProfile)s; those of stored PFX files are here.
//!
//! | who | method and path | body -> answer |
//! |---|---|---|
//! | administrator | `POST /admin/v1/importProfiles` | [`ImportProfileEntry`] -> the same, 201 |
//! | | `GET /admin/v1/importProfiles`, `GET`, `POST`, `DELETE .../{id}` | -> list, one; replaces it; ends it |
//! | MDM | `POST /mdm/v1/importRequests` | [`ImportRequest`] -> [`DeviceRequestAccepted`](super::api::DeviceRequestAccepted), 202 |

use crate::engine::api::{CmsFormat, Delivery, DeviceTarget};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// A kind of profile: where it is stored, and what its end ends.
pub trait StoredProfile: Clone + Serialize + DeserializeOwned + Send + 'static {
    /// The table.
    const TABLE: &'static str;
    /// Whether something of it is renewed, and not any more when it ends.
    const IS_RENEWED: bool;
}

/// A profile with its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProfileEntry<P> {
    /// Its name: letters, digits, `-`, `_` and `.`.
    pub name: String,
    /// What it says.
    pub profile: P,
}

/// How devices of one platform get the PFX files that were stored for their users.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ImportProfile {
    /// What the devices run: the name of a [`Platform`](crate::engine::api::keys::Platform).
    pub platform: String,
    /// The form that they understand.
    pub format: CmsFormat,
    /// What they get; left out: the stored PFX and its password.
    #[serde(default, skip_serializing_if = "Delivery::is_password")]
    pub delivery: Delivery,
}

impl StoredProfile for ImportProfile {
    const TABLE: &'static str = "import_profiles";
    const IS_RENEWED: bool = false;
}

/// An [`ImportProfile`] with its name.
pub type ImportProfileEntry = ProfileEntry<ImportProfile>;

/// A device asks for all certificates of its user, by a profile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ImportRequest {
    /// The profile.
    pub profile: String,
    /// The user.
    pub user_principal_name: String,
    /// The MDM's name of the device.
    pub device_id: String,
    /// The device's certificate and what may lie between it and an anchor.
    pub device: DeviceTarget,
    /// Repeating a request with the same key answers the same requests instead of queueing new ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
}
