//! A token as it describes itself, with what the operator states of it.

use crate::engine::api::EngineStatus;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A token. Its texts are its own and prove nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TokenEvidence {
    /// Its label.
    pub label: String,
    /// Who made it.
    pub manufacturer: String,
    /// Its model.
    pub model: String,
    /// Its serial number.
    pub serial: String,
    /// Version of its hardware.
    pub hardware_version: String,
    /// Version of its firmware.
    pub firmware_version: String,
    /// The PKCS#11 library before it.
    pub library: String,
    /// Version of that library.
    pub library_version: String,
    /// The CMVP certificate that the operator states; null: none is stated. Nobody here has verified it.
    pub stated_certificate: Option<String>,
    /// What it was seen to do.
    pub capabilities: Value,
}

impl TokenEvidence {
    /// The engine's token, while it is open.
    pub(super) fn of_engine(engine: &EngineStatus) -> Option<Self> {
        let token = engine.token.as_ref()?;
        let text = |name: &str| {
            let value = token.get(name).and_then(Value::as_str);
            value.unwrap_or_default().to_owned()
        };
        Some(Self {
            label: text("label"),
            manufacturer: text("manufacturer"),
            model: text("model"),
            serial: text("serial"),
            hardware_version: text("hardwareVersion"),
            firmware_version: text("firmwareVersion"),
            library: text("libraryDescription"),
            library_version: text("libraryVersion"),
            stated_certificate: engine.token_certificate.clone(),
            capabilities: engine.capabilities.clone().unwrap_or_default(),
        })
    }

    /// Label and model in a few words.
    #[must_use]
    pub fn describe(&self) -> String {
        let model = match (self.manufacturer.as_str(), self.model.as_str()) {
            ("", "") => "of an unknown model".to_owned(),
            ("", model) => model.to_owned(),
            (manufacturer, "") => manufacturer.to_owned(),
            (manufacturer, model) => format!("{manufacturer} {model}"),
        };
        format!("{} ({model})", self.label)
    }
}
