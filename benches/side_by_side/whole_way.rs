//! The whole way: requests that wait at the gateway, from the connector's start to the last completion.

use super::Fallible;
use super::device_side::{DeviceSide, Round};
use super::ground::{CONCURRENCY, Ground};
use pfx_connector::cli::demo::{DemoError, Device, Person};
use pfx_connector::engine::api::{CmsFormat, Delivery};
use std::path::PathBuf;

/// People whose certificates are asked for in turn: as many as requests are in flight at most. The engine decrypts a ciphertext once for all
/// who ask for it at the same time, which would be less work than the job has.
const PEOPLE: usize = 16;
/// Every fourth of the demo's people has a PFX of OpenSSL's usual form.
const MAKERS: usize = 4;

pub(crate) struct WholeWay {
    side: DeviceSide,
    users: Vec<String>,
    device: Device,
    asked: u64,
}

impl WholeWay {
    /// Imports everybody's PFX; the gateway must be running, and everybody enrolled.
    pub(crate) fn new(ground: &Ground) -> Fallible<Self> {
        let stack = &ground.stack;
        stack.import(&ground.person)?;
        let mut users = vec![ground.person.user.clone()];
        for number in 1..PEOPLE {
            let person = Person::make(&stack.pki, &stack.path("import"), number * MAKERS)?;
            stack.import(&person)?;
            users.push(person.user);
        }
        Ok(Self {
            side: DeviceSide::new(stack)?,
            users,
            device: ground.device.clone(),
            asked: 0,
        })
    }

    /// Queues requests, starts the connector with this concurrency on the engine that listens at `engine` (below the stack's folder), and waits
    /// for the last completion. `gateway`: its process id.
    pub(crate) fn round(
        &mut self,
        ground: &Ground,
        gateway: u32,
        engine: &str,
        concurrency: usize,
        requests: usize,
    ) -> Fallible<Round> {
        let config = configuration(ground, engine, concurrency)?;
        let first = self.asked;
        self.asked = first.saturating_add(u64::try_from(requests)?);
        let names = self.side.queue(first..self.asked, |mdm, number| {
            let at = usize::try_from(number).unwrap_or_default() % self.users.len().max(1);
            let user = self.users.get(at).cloned().unwrap_or_default();
            let device = self.device.clone();
            let key = format!("bench-{number}");
            async move {
                let accepted = mdm
                    .ask(&user, &device, CmsFormat::Modern, Delivery::Password, &key)
                    .await?;
                let requests = accepted.requests.into_iter();
                Ok::<_, DemoError>(requests.map(|one| one.request_id).collect())
            }
        })?;
        self.side.drain(&ground.stack, &config, gateway, &names, 1)
    }
}

/// The connector's configuration with another engine and concurrency.
fn configuration(ground: &Ground, engine: &str, concurrency: usize) -> Fallible<PathBuf> {
    let stack = &ground.stack;
    stack.write_connector_config(0)?;
    let text = std::fs::read_to_string(stack.connector_config(0))?;
    let mut document: toml::Table = text
        .replace(CONCURRENCY, &format!("concurrency = {concurrency}"))
        .parse()?;
    let connector = document
        .get_mut("connector")
        .and_then(toml::Value::as_table_mut)
        .ok_or("no [connector]")?;
    let socket = stack.path(engine).display().to_string();
    connector.insert("engine_socket".to_owned(), socket.into());
    let path = stack.path("connector-bench.toml");
    std::fs::write(&path, toml::to_string(&document)?)?;
    Ok(path)
}
