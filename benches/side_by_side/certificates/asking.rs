//! What certificates are asked for with: profiles like the stack's own but for their keys, a policy that allows them, and the questions.

use super::super::Fallible;
use super::super::device_side::{DeviceSide, bearer, client};
use super::super::engine_path;
use super::{KEYS, LOOK_OFTEN};
use pfx_connector::cli::demo::{Device, Stack};
use pfx_connector::encoding::Base64Bytes;
use pfx_connector::engine::api::DeviceTarget;
use pfx_connector::engine::api::keys::KeyType;
use pfx_connector::gateway::pkcs_api::{PkcsProfileEntry, PkcsRequest, Variable};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use toml::{Table, Value};

/// The profile that the stack has: EC P-256, for S/MIME.
const USUAL: &str = "smime-windows";
const START_LIMIT: Duration = Duration::from_secs(30);

/// The name of the profile with such a key.
pub(super) fn profile(key: KeyType) -> String {
    format!("smime-{}", key.name())
}

/// Has the issuance policy allow every kind of key that is measured; connectors read it when they start.
pub(super) fn allow(stack: &Stack) -> Fallible<()> {
    let path = stack.path("issuance.toml");
    let mut policy: Table = std::fs::read_to_string(&path)?.parse()?;
    let rules = policy.get_mut("rule").and_then(Value::as_array_mut);
    for rule in rules.into_iter().flatten() {
        let rule = rule.as_table_mut().ok_or("a rule is no table")?;
        let keys = KEYS.map(|key| Value::from(key.name()));
        rule.insert("keys".to_owned(), keys.to_vec().into());
    }
    // It has its mode already.
    Ok(std::fs::write(path, toml::to_string(&policy)?)?)
}

/// A profile for each kind of key.
pub(super) fn add_profiles(stack: &Stack) -> Fallible<()> {
    let (client, token) = (client(stack)?, bearer(stack, "administrator")?);
    let profiles = format!("{}/admin/v1/pkcsProfiles", stack.gateway_url()?);
    engine_path::runtime()?.block_on(async {
        let usual = client.get(format!("{profiles}/{USUAL}"));
        let usual = usual.bearer_auth(&token).send().await?;
        let usual: PkcsProfileEntry = usual.error_for_status()?.json().await?;
        for key in KEYS {
            let mut entry = usual.clone();
            entry.name = profile(key);
            entry.profile.key = key;
            let added = client.post(&profiles).bearer_auth(&token).json(&entry);
            added.send().await?.error_for_status()?;
        }
        Ok(())
    })
}

/// A person's request for a certificate with such a key.
pub(super) fn request(name: &str, device: &Device, key: KeyType) -> PkcsRequest {
    let user = format!("{name}@example.com");
    let variable = |name: &str, value: &str| Variable {
        name: name.to_owned(),
        value: value.to_owned(),
    };
    PkcsRequest {
        profile: profile(key),
        user_principal_name: user.clone(),
        device_id: device.id.clone(),
        device: DeviceTarget {
            certificate: Base64Bytes(device.certificate_der.clone()),
            intermediates: Vec::new(),
        },
        variables: vec![variable("UserName", name), variable("EmailAddress", &user)],
        idempotency_key: Some(format!("{}/{user}", profile(key))),
    }
}

/// The connector's configuration with so many requests in hand at once, and its usual waits.
pub(super) fn connector(stack: &Stack, in_hand: usize) -> Fallible<PathBuf> {
    stack.write_connector_config(0)?;
    let text = std::fs::read_to_string(stack.connector_config(0))?;
    let mut document: Table = text.parse()?;
    let connector = document.get_mut("connector").and_then(Value::as_table_mut);
    let connector = connector.ok_or("no [connector]")?;
    connector.remove("wait_ms");
    let pkcs = connector.get_mut("pkcs").and_then(Value::as_table_mut);
    let concurrency = i64::try_from(in_hand)?.into();
    pkcs.ok_or("no [connector.pkcs]")?
        .insert("concurrency".to_owned(), concurrency);
    let path = stack.path("connector-bench.toml");
    std::fs::write(&path, toml::to_string(&document)?)?;
    Ok(path)
}

/// One certificate of each kind, which the device opens: what is measured afterwards is the job that was meant. A gateway refuses such requests
/// until a connector has said that it takes them.
pub(super) fn open_one_of_each(stack: &Stack, side: &DeviceSide, device: &Device) -> Fallible<()> {
    let connector = stack.start_connector(0)?;
    let until = Instant::now() + START_LIMIT;
    for key in KEYS {
        let names = loop {
            let asked = side.queue([0], |mdm, _| {
                let request = request("first", device, key);
                async move { Ok(vec![mdm.ask_certificate(&request).await?.request_id]) }
            });
            match asked {
                Ok(names) => break names,
                Err(error) if Instant::now() >= until => return Err(error),
                Err(_) => std::thread::sleep(LOOK_OFTEN),
            }
        };
        for name in &names {
            side.until_completed(name, LOOK_OFTEN)?;
            side.open(stack, device, name)?;
        }
    }
    Ok(connector.stop()?)
}
