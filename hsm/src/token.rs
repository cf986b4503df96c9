//! What a PKCS#11 library and a token say about themselves.

use std::path::PathBuf;

use serde::Serialize;

/// A version as PKCS#11 gives it (CK_VERSION).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// Major number.
    pub major: u8,
    /// Minor number, in hundredths: 2.40 is 40.
    pub minor: u8,
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl Serialize for Version {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A token and the library that leads to it (CK_INFO, CK_TOKEN_INFO). Texts come from the token: trimmed, and with what is
/// not UTF-8 replaced, but not to be trusted otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TokenInfo {
    /// Canonical path of the PKCS#11 library.
    pub module_path: PathBuf,
    /// `libraryDescription`.
    pub library_description: String,
    /// `manufacturerID` of the library.
    pub library_manufacturer: String,
    /// `libraryVersion`.
    pub library_version: Version,
    /// `cryptokiVersion`: the PKCS#11 version of the library.
    pub cryptoki_version: Version,
    /// The slot's number. Some libraries change it at every start: not for configuration.
    pub slot: u64,
    /// The token's label.
    pub label: String,
    /// `manufacturerID` of the token.
    pub manufacturer: String,
    /// `model`.
    pub model: String,
    /// `serialNumber`.
    pub serial: String,
    /// `hardwareVersion`.
    pub hardware_version: Version,
    /// `firmwareVersion`.
    pub firmware_version: Version,
    /// What the flags say.
    pub flags: TokenFlags,
}

impl TokenInfo {
    /// That of a group of which no token is open: empty texts and zeros.
    pub(crate) fn none() -> Self {
        let version = Version { major: 0, minor: 0 };
        Self {
            module_path: PathBuf::new(),
            library_description: String::new(),
            library_manufacturer: String::new(),
            library_version: version,
            cryptoki_version: version,
            slot: 0,
            label: String::new(),
            manufacturer: String::new(),
            model: String::new(),
            serial: String::new(),
            hardware_version: version,
            firmware_version: version,
            flags: TokenFlags::default(),
        }
    }
}

/// The flags of a token that matter to custody (PKCS#11, section 3.2, CK_TOKEN_INFO).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TokenFlags {
    /// CKF_TOKEN_INITIALIZED.
    pub initialized: bool,
    /// CKF_LOGIN_REQUIRED.
    pub login_required: bool,
    /// CKF_USER_PIN_INITIALIZED.
    pub user_pin_initialized: bool,
    /// CKF_WRITE_PROTECTED.
    pub write_protected: bool,
    /// CKF_PROTECTED_AUTHENTICATION_PATH: the PIN is entered at the token.
    pub protected_authentication_path: bool,
    /// CKF_USER_PIN_COUNT_LOW: a wrong PIN was entered since the last right one.
    pub user_pin_count_low: bool,
    /// CKF_USER_PIN_FINAL_TRY: one more wrong PIN locks the token.
    pub user_pin_final_try: bool,
    /// CKF_USER_PIN_LOCKED.
    pub user_pin_locked: bool,
    /// CKF_ERROR_STATE: the token failed a self-test.
    pub error_state: bool,
}
