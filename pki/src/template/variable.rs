//! The variables that profiles have, and their values for one person or device.

use super::{MAX_VALUE_CHARACTERS, TemplateError, refuse_controls};
use std::collections::BTreeMap;

/// A variable of certificate profiles. Its names are those of Intune's documentation, where several mean the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Variable {
    /// The name of the account, without its domain.
    UserName,
    /// User principal name.
    UserPrincipalName,
    /// Primary e-mail address.
    EmailAddress,
    /// The distinguished name in the company's own directory. Alone between two commas of a subject it is a whole name; elsewhere it is text.
    OnPremDistinguishedName,
    /// sAMAccountName.
    OnPremisesSamAccountName,
    /// First name.
    GivenName,
    /// Family name.
    SurName,
    /// The account's security identifier.
    OnPremisesSecurityIdentifier,
    /// Identifier of the device in the directory.
    AzureAdDeviceId,
    /// Identifier of the device at the service.
    DeviceId,
    /// Serial number of the device.
    SerialNumber,
    /// International Mobile Equipment Identity.
    Imei,
    /// Mobile Equipment Identifier.
    Meid,
    /// Address of its wireless interface.
    WifiMacAddress,
    /// Name of the device.
    DeviceName,
    /// Name of the device in the domain that it is joined to.
    FullyQualifiedDomainName,
}

impl Variable {
    /// Every variable.
    pub const ALL: [Self; 16] = [
        Self::UserName,
        Self::UserPrincipalName,
        Self::EmailAddress,
        Self::OnPremDistinguishedName,
        Self::OnPremisesSamAccountName,
        Self::GivenName,
        Self::SurName,
        Self::OnPremisesSecurityIdentifier,
        Self::AzureAdDeviceId,
        Self::DeviceId,
        Self::SerialNumber,
        Self::Imei,
        Self::Meid,
        Self::WifiMacAddress,
        Self::DeviceName,
        Self::FullyQualifiedDomainName,
    ];

    /// Its names; the first is the one in messages.
    #[must_use]
    pub const fn names(self) -> &'static [&'static str] {
        match self {
            Self::UserName => &["UserName"],
            Self::UserPrincipalName => &["UserPrincipalName"],
            Self::EmailAddress => &["EmailAddress"],
            Self::OnPremDistinguishedName => &["OnPrem_Distinguished_Name"],
            Self::OnPremisesSamAccountName => &["onPremisesSamAccountName"],
            Self::GivenName => &["GivenName"],
            Self::SurName => &["SurName"],
            Self::OnPremisesSecurityIdentifier => &["OnPremisesSecurityIdentifier"],
            Self::AzureAdDeviceId => &["AAD_Device_ID", "AzureADDeviceId"],
            Self::DeviceId => &["DeviceId"],
            Self::SerialNumber => &["SerialNumber", "Device_Serial"],
            Self::Imei => &["IMEI", "Device_IMEI", "IMEINumber"],
            Self::Meid => &["MEID"],
            Self::WifiMacAddress => &["WiFiMacAddress"],
            Self::DeviceName => &["DeviceName"],
            Self::FullyQualifiedDomainName => &["FullyQualifiedDomainName"],
        }
    }

    /// The name in messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.names().first().copied().unwrap_or_default()
    }

    /// Whether a device says it of itself: whoever holds the device can make it say something else.
    #[must_use]
    pub const fn is_of_device(self) -> bool {
        matches!(
            self,
            Self::AzureAdDeviceId
                | Self::DeviceId
                | Self::SerialNumber
                | Self::Imei
                | Self::Meid
                | Self::WifiMacAddress
                | Self::DeviceName
                | Self::FullyQualifiedDomainName
        )
    }

    /// The variable of a name, in upper or lower case.
    ///
    /// # Errors
    /// [`TemplateError::UnknownVariable`].
    pub fn named(name: &str) -> Result<Self, TemplateError> {
        Self::ALL
            .into_iter()
            .find(|variable| {
                let mut names = variable.names().iter();
                names.any(|known| known.eq_ignore_ascii_case(name))
            })
            .ok_or_else(|| TemplateError::UnknownVariable {
                name: name.chars().take(40).collect(),
            })
    }

    pub(super) fn list() -> String {
        let names: Vec<&str> = Self::ALL
            .iter()
            .flat_map(|variable| variable.names())
            .copied()
            .collect();
        names.join(", ")
    }
}

/// What the variables are for one person or device.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Values(BTreeMap<Variable, String>);

impl Values {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives a variable its value; an empty one counts as none.
    ///
    /// # Errors
    /// [`TemplateError::Character`] for control characters, [`TemplateError::TooLong`] above [`MAX_VALUE_CHARACTERS`].
    pub fn set(&mut self, variable: Variable, value: &str) -> Result<(), TemplateError> {
        let what = || format!("the value of {{{{{}}}}}", variable.name());
        refuse_controls(value, what)?;
        if value.chars().count() > MAX_VALUE_CHARACTERS {
            return Err(TemplateError::TooLong {
                what: what(),
                most: MAX_VALUE_CHARACTERS,
            });
        }
        self.0.insert(variable, value.to_owned());
        Ok(())
    }

    /// The value of a variable.
    ///
    /// # Errors
    /// [`TemplateError::MissingVariable`].
    pub fn get(&self, variable: Variable) -> Result<&str, TemplateError> {
        self.0
            .get(&variable)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
            .ok_or(TemplateError::MissingVariable {
                name: variable.name(),
            })
    }
}
