//! The second step: what one section says is held against itself and against the files it names, by the process that uses it.
//!
//! Not done while loading, because each process can read its own files only: the connector need not see the engine's PIN file.

mod client_keys;
mod connector;
mod engine;
mod engine_ca;
mod files;
mod fips;
mod gateway;

use super::error::{ConfigError, Problem};
use super::{
    Config, ConnectorConfig, EngineConfig, FipsConfig, GatewayConfig, ImportConfig, LocalCaConfig,
    named,
};
use std::ops::Deref;
use std::path::Path;

/// A section whose values fit together and whose files exist with the right permissions. Only the checks here make one.
#[derive(Debug, Clone, PartialEq)]
pub struct Checked<T>(T);

impl<T> Checked<T> {
    /// The section itself.
    #[must_use]
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> Deref for Checked<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// Who gives the PIN where a token section names neither a file nor a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PinPolicy {
    /// Nobody: a service has no terminal.
    Service,
    /// The person at the terminal.
    Person,
}

/// What was found, with the section's name before it.
#[derive(Debug, Default)]
struct Findings(Vec<Problem>);

impl Findings {
    fn add(&mut self, text: impl Into<String>) {
        self.0.push(Problem {
            line: None,
            text: text.into(),
        });
    }

    fn finish<T>(self, file: &Path, section: &T) -> Result<Checked<T>, ConfigError>
    where
        T: Clone,
    {
        if self.0.is_empty() {
            Ok(Checked(section.clone()))
        } else {
            Err(ConfigError::Invalid {
                path: file.to_owned(),
                problems: self.0,
            })
        }
    }
}

impl Config {
    /// `[fips]`, whose values fit together.
    ///
    /// # Errors
    /// [`ConfigError`] when they do not.
    pub fn checked_fips(&self) -> Result<Checked<FipsConfig>, ConfigError> {
        self.findings().finish(&self.file, &self.fips)
    }

    /// `[engine]` for `command`, held against its files.
    ///
    /// # Errors
    /// [`ConfigError`] when the section is missing or something in it cannot be used.
    pub fn checked_engine(
        &self,
        command: &'static str,
        pin: PinPolicy,
    ) -> Result<Checked<EngineConfig>, ConfigError> {
        let section = self.section(self.engine.as_ref(), "engine", command)?;
        let mut findings = self.findings();
        engine::consistent(section, &mut findings);
        engine::pkcs1_keys(section, &self.fips, &mut findings);
        for (path, token) in section.token_paths() {
            engine::token(token, &path, pin, &mut findings);
        }
        files::all(&named::engine(section), &mut findings);
        findings.finish(&self.file, section)
    }

    /// `[engine]` for a command that uses nothing of it but the token.
    ///
    /// # Errors
    /// [`ConfigError`] when the section is missing or its token cannot be used.
    pub fn checked_engine_token(
        &self,
        command: &'static str,
    ) -> Result<Checked<EngineConfig>, ConfigError> {
        let section = self.section(self.engine.as_ref(), "engine", command)?;
        let mut findings = self.findings();
        engine::tokens(section, &mut findings);
        for (path, token) in section.token_paths() {
            engine::token(token, &path, PinPolicy::Person, &mut findings);
        }
        findings.finish(&self.file, section)
    }

    /// `[connector]` for `command`, held against its files.
    ///
    /// # Errors
    /// [`ConfigError`] when the section is missing or something in it cannot be used.
    pub fn checked_connector(
        &self,
        command: &'static str,
    ) -> Result<Checked<ConnectorConfig>, ConfigError> {
        let section = self.section(self.connector.as_ref(), "connector", command)?;
        let mut findings = self.findings();
        connector::consistent(section, &mut findings);
        files::all(&named::connector(section), &mut findings);
        findings.finish(&self.file, section)
    }

    /// `[connector]` for a command that only speaks to the running connector: its files are not looked at.
    ///
    /// # Errors
    /// [`ConfigError`] when the section is missing.
    pub fn connector_for_control(
        &self,
        command: &'static str,
    ) -> Result<&ConnectorConfig, ConfigError> {
        self.section(self.connector.as_ref(), "connector", command)
    }

    /// `[gateway]` for `command`, held against its files.
    ///
    /// # Errors
    /// [`ConfigError`] when the section is missing or something in it cannot be used.
    pub fn checked_gateway(
        &self,
        command: &'static str,
    ) -> Result<Checked<GatewayConfig>, ConfigError> {
        let section = self.section(self.gateway.as_ref(), "gateway", command)?;
        let mut findings = self.findings();
        gateway::consistent(section, &self.local_ca, &mut findings);
        files::all(&named::gateway(section), &mut findings);
        findings.finish(&self.file, section)
    }

    /// `[import]` for `command`, held against its files.
    ///
    /// # Errors
    /// [`ConfigError`] when the section is missing or something in it cannot be used.
    pub fn checked_import(
        &self,
        command: &'static str,
    ) -> Result<Checked<ImportConfig>, ConfigError> {
        let section = self.section(self.import.as_ref(), "import", command)?;
        let mut findings = self.findings();
        if let Some(token) = &section.token {
            engine::pin(token, "import.token", PinPolicy::Person, &mut findings);
        }
        files::all(&named::import(section), &mut findings);
        findings.finish(&self.file, section)
    }

    /// `[[local_ca]]` of this name, or the only one, held against its files.
    ///
    /// # Errors
    /// [`ConfigError`] when it is missing or something in it cannot be used.
    pub fn checked_local_ca(
        &self,
        name: Option<&str>,
        command: &'static str,
    ) -> Result<Checked<LocalCaConfig>, ConfigError> {
        let mut fitting = self
            .local_ca
            .iter()
            .filter(|one| name.is_none_or(|name| name == one.name));
        let section = fitting.next().filter(|_| fitting.next().is_none());
        let section = self.section(section, "local_ca (one of this name)", command)?;
        let mut findings = self.findings();
        files::all(&named::local_ca(section), &mut findings);
        findings.finish(&self.file, section)
    }

    /// Everything that can be said of the values alone, without looking at any file: for `config check` on another machine.
    #[must_use]
    pub fn inconsistencies(&self) -> Vec<Problem> {
        let mut findings = self.findings();
        if let Some(section) = &self.engine {
            engine::consistent(section, &mut findings);
            engine::pkcs1_keys(section, &self.fips, &mut findings);
            for (path, token) in section.token_paths() {
                engine::pin(token, &path, PinPolicy::Service, &mut findings);
            }
        }
        if let Some(section) = &self.connector {
            connector::consistent(section, &mut findings);
        }
        if let Some(section) = &self.gateway {
            gateway::consistent(section, &self.local_ca, &mut findings);
        }
        if let Some(token) = self.import.as_ref().and_then(|s| s.token.as_ref()) {
            engine::pin(token, "import.token", PinPolicy::Person, &mut findings);
        }
        findings.0
    }

    /// What is wrong with what every process reads.
    fn findings(&self) -> Findings {
        let mut findings = Findings::default();
        fips::consistent(&self.fips, &mut findings);
        findings
    }

    fn section<'a, T>(
        &self,
        section: Option<&'a T>,
        name: &'static str,
        command: &'static str,
    ) -> Result<&'a T, ConfigError> {
        section.ok_or_else(|| ConfigError::MissingSection {
            path: self.file.clone(),
            section: name,
            command,
        })
    }
}
