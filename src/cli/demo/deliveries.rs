//! Asking for deliveries, waiting for them, and checking each one.

use super::error::DemoError;
use super::mdm::Mdm;
use super::pfx::Person;
use super::pki::Device;
use super::stack::Stack;
use super::verify::verify;
use crate::engine::api::{CmsFormat, Delivery};
use crate::gateway::api::{self, RequestState, State};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

/// Pause between two looks at requests that are not settled.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Who gets what.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// People with their PFX files.
    pub people: Vec<Person>,
    /// Devices.
    pub devices: Vec<Device>,
}

/// One request of a device.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Name of the request at the gateway.
    pub request_id: String,
    /// The device.
    pub device: Device,
    /// The gateway's last word on it.
    pub state: Option<RequestState>,
    /// Whether OpenSSL opened what was delivered.
    pub verified: bool,
}

/// Requests under way.
pub struct Deliveries {
    runtime: Runtime,
    mdm: Mdm,
    /// The requests in the order in which they were asked.
    pub asked: Vec<Asked>,
}

impl Deliveries {
    /// A device side for the stack's gateway.
    ///
    /// # Errors
    /// When the client cannot be made.
    pub fn new(stack: &Stack) -> Result<Self, DemoError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            // Its own thread goes on serving the connection between calls, so that a gateway that stops can say so.
            .worker_threads(1)
            .enable_all()
            .build()
            .map_err(|error| DemoError::step("device side", error.to_string()))?;
        let bearer_file = stack.path("import/mdm.token");
        let bearer = std::fs::read_to_string(&bearer_file)
            .map_err(|error| DemoError::io("read", &bearer_file, error))?;
        let device_side =
            |error: &dyn std::error::Error| DemoError::step("device side", error.to_string());
        let tls = crate::tls::client_config(&stack.pki.tls_ca(), None)
            .map_err(|error| device_side(&error))?;
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .no_proxy()
            .https_only(true)
            .timeout(Duration::from_secs(30))
            .build()
            .map_err(|error| device_side(&error))?;
        Ok(Self {
            runtime,
            mdm: Mdm::new(client, stack.gateway_url()?, bearer.trim().to_owned()),
            asked: Vec::new(),
        })
    }

    /// Asks for a person's certificates on a device. Asking again for the same pair after a fault is safe.
    ///
    /// # Errors
    /// When the gateway cannot be reached or refuses.
    pub fn ask(&mut self, person: &Person, device: &Device) -> Result<(), DemoError> {
        self.ask_in(&person.user, device, CmsFormat::Modern)
    }

    /// As [`Self::ask`], in a chosen form.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub fn ask_in(
        &mut self,
        user: &str,
        device: &Device,
        format: CmsFormat,
    ) -> Result<(), DemoError> {
        self.ask_for(user, device, format, Delivery::Password)
    }

    /// As [`Self::ask_in`], for any delivery.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub fn ask_for(
        &mut self,
        user: &str,
        device: &Device,
        format: CmsFormat,
        delivery: Delivery,
    ) -> Result<(), DemoError> {
        let key = format!("{user}/{}/{format:?}/{}", device.id, delivery.name());
        let accepted = self
            .runtime
            .block_on(self.mdm.ask(user, device, format, delivery, &key))?;
        for request in accepted.requests {
            self.asked.push(Asked {
                request_id: request.request_id,
                device: device.clone(),
                state: None,
                verified: false,
            });
        }
        Ok(())
    }

    /// Looks once at every request that is not settled; a gateway that does not answer leaves the rest as it was.
    ///
    /// Returns how many are settled.
    pub fn look(&mut self) -> usize {
        let mut settled = 0;
        for asked in &mut self.asked {
            if !is_settled(asked) {
                match self.runtime.block_on(self.mdm.state(&asked.request_id)) {
                    Ok(state) => asked.state = Some(state),
                    Err(_) => continue,
                }
            }
            if is_settled(asked) {
                settled += 1;
            }
        }
        settled
    }

    /// Waits until every request is completed or has failed for good.
    ///
    /// # Errors
    /// When the time is up, or `progress` wants to stop.
    pub fn wait(
        &mut self,
        limit: Duration,
        mut progress: impl FnMut(usize) -> Result<(), DemoError>,
    ) -> Result<(), DemoError> {
        let deadline = Instant::now() + limit;
        loop {
            let settled = self.look();
            progress(settled)?;
            if settled == self.asked.len() {
                return Ok(());
            }
            if Instant::now() >= deadline {
                return Err(DemoError::step(
                    "delivery",
                    format!(
                        "{settled} of {} requests are settled after {limit:?}",
                        self.asked.len()
                    ),
                ));
            }
            std::thread::sleep(LOOK_AGAIN);
        }
    }

    /// Collects one finished request as the device management does.
    ///
    /// # Errors
    /// When the gateway cannot be reached or has no result.
    pub fn collect(&self, request_id: &str) -> Result<api::Delivery, DemoError> {
        self.runtime.block_on(self.mdm.collect(request_id))
    }

    /// Collects every completed request and has OpenSSL open it; `each` gets the problem with it, if there is one.
    ///
    /// # Errors
    /// When `each` wants to stop.
    pub fn verify_all(
        &mut self,
        stack: &Stack,
        mut each: impl FnMut(Option<String>) -> Result<(), DemoError>,
    ) -> Result<(), DemoError> {
        let folder = stack.path("import");
        for asked in &mut self.asked {
            let checked = match &asked.state {
                Some(state) if state.state == State::Completed => self
                    .runtime
                    .block_on(self.mdm.collect(&asked.request_id))
                    .and_then(|delivery| verify(&folder, &asked.device, &delivery)),
                Some(RequestState {
                    failure: Some(failure),
                    ..
                }) => Err(DemoError::step(
                    &asked.request_id,
                    format!("{}: {}", failure.code, failure.message),
                )),
                _ => Err(DemoError::step(&asked.request_id, "it was never settled")),
            };
            asked.verified = checked.is_ok();
            each(checked.err().map(|problem| problem.to_string()))?;
        }
        Ok(())
    }

    /// Asks the gateway once more for every request, so that what happened after the settling is seen too.
    ///
    /// # Errors
    /// When the gateway does not answer.
    pub fn refresh(&mut self) -> Result<(), DemoError> {
        for asked in &mut self.asked {
            asked.state = Some(self.runtime.block_on(self.mdm.state(&asked.request_id))?);
        }
        Ok(())
    }

    /// Requests that were completed.
    #[must_use]
    pub fn delivered(&self) -> usize {
        self.count(|state| state.state == State::Completed)
    }

    /// Requests without a result.
    #[must_use]
    pub fn lost(&self) -> usize {
        self.asked.len() - self.delivered()
    }

    /// Requests that OpenSSL opened.
    #[must_use]
    pub fn verified(&self) -> usize {
        self.asked.iter().filter(|asked| asked.verified).count()
    }

    /// Requests that the gateway took more than one result for.
    #[must_use]
    pub fn completed_twice(&self) -> usize {
        self.count(|state| state.completions > 1)
    }

    fn count(&self, holds: impl Fn(&RequestState) -> bool) -> usize {
        self.asked
            .iter()
            .filter(|asked| asked.state.as_ref().is_some_and(&holds))
            .count()
    }
}

fn is_settled(asked: &Asked) -> bool {
    asked
        .state
        .as_ref()
        .is_some_and(|state| matches!(state.state, State::Completed | State::Failed))
}

/// How many final Admin events (2000 or 2001) each request has in a folder of event logs, archives not read.
///
/// # Errors
/// When the log cannot be read or a line of it is not an event.
pub fn admin_events(folder: &Path) -> Result<BTreeMap<String, usize>, DemoError> {
    let path = folder.join("admin.log");
    let text =
        std::fs::read_to_string(&path).map_err(|error| DemoError::io("read", &path, error))?;
    let mut events = BTreeMap::new();
    for line in text.lines() {
        let event: serde_json::Value = serde_json::from_str(line).map_err(|error| {
            DemoError::step("event log", format!("a line is not an event: {error}"))
        })?;
        let id = event.get("id").and_then(serde_json::Value::as_u64);
        let request = event.get("requestId").and_then(serde_json::Value::as_str);
        if let (Some(2000 | 2001), Some(request)) = (id, request) {
            *events.entry(request.to_owned()).or_default() += 1;
        }
    }
    Ok(events)
}
