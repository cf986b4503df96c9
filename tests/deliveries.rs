//! Every delivery from the device's request to the opened file: gateway, connector, engine and token as they run, with OpenSSL and Python as
//! the device.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

#[path = "support/stack.rs"]
mod stack;

use pfx_connector::cli::demo::Deliveries;
use pfx_connector::engine::api::{CmsFormat, Delivery};
use pfx_connector::gateway::api::State;
use stack::{PATIENCE, Site, until};

/// What the engine has to name in strict mode for the files of these tests, which OpenSSL 3.0 writes and reads.
const FIPS: &str =
    "exceptions = [\"cms-rsa-pkcs1v15\", \"pkcs12-legacy-read\", \"pkcs12-kdf-mac-write\"]";

fn all_allowed() -> Site {
    Site::with_engine(
        FIPS,
        "deliveries = [\"password\", \"rewrap\", \"apple-profile\"]\npfx = { form = \"compatible\" }\n",
    )
}

#[test]
fn each_delivery_reaches_its_device_once_and_a_restarted_connector_delivers_what_it_had() {
    let site = all_allowed();
    let stack = &site.stack;
    let engine = stack.start_engine().unwrap();
    let gateway = stack.start_gateway().unwrap();
    stack.enrol().unwrap();
    let mut connector = stack.start_connector(0).unwrap();
    let plan = site.plan(2, 1);
    let device = &plan.devices[0];
    let mut deliveries = Deliveries::new(stack).unwrap();
    for person in &plan.people {
        for (delivery, format) in [
            (Delivery::Password, CmsFormat::Modern),
            (Delivery::Rewrap, CmsFormat::Modern),
            (Delivery::AppleProfile, CmsFormat::Compatible),
        ] {
            until("the gateway takes the request", || {
                deliveries
                    .ask_for(&person.user, device, format, delivery)
                    .is_ok()
            });
        }
    }
    assert_eq!(deliveries.asked.len(), 6);
    site.assert_all_delivered_once(&mut deliveries);
    let done: Vec<_> = site.operational().into_iter().collect();
    let text = serde_json::to_string(&done).unwrap();
    assert!(text.contains("rewrap") && text.contains("appleProfile"));

    // The connector is killed as results are under way: its journal has those, of two parts too.
    connector.kill();
    let mut more = Deliveries::new(stack).unwrap();
    let second = &stack
        .pki
        .device(7, pfx_connector::cli::demo::DeviceKind::Rsa(2048))
        .unwrap();
    for person in &plan.people {
        for delivery in [Delivery::Rewrap, Delivery::AppleProfile] {
            more.ask_for(&person.user, second, CmsFormat::Modern, delivery)
                .unwrap();
        }
    }
    let mut connector = stack.start_connector(0).unwrap();
    until("a first result", || more.look() > 0);
    connector.kill();
    let connector = stack.start_connector(0).unwrap();
    more.wait(PATIENCE, |_| Ok(())).unwrap();
    let mut problems = Vec::new();
    more.verify_all(stack, |problem| {
        problems.extend(problem);
        Ok(())
    })
    .unwrap();
    assert_eq!(problems, Vec::<String>::new());
    assert_eq!((more.lost(), more.completed_twice()), (0, 0));
    connector.stop().unwrap();
    gateway.stop().unwrap();
    engine.stop().unwrap();
}

#[test]
fn what_the_engine_does_not_allow_is_refused_to_the_device_management_by_name() {
    let site = Site::new();
    let stack = &site.stack;
    let engine = stack.start_engine().unwrap();
    let gateway = stack.start_gateway().unwrap();
    stack.enrol().unwrap();
    let connector = stack.start_connector(0).unwrap();
    let plan = site.plan(1, 1);
    let (person, device) = (&plan.people[0], &plan.devices[0]);
    let mut deliveries = Deliveries::new(stack).unwrap();
    // Its first delivery shows that the connector is known to the gateway.
    deliveries.ask(person, device).unwrap();
    deliveries.wait(PATIENCE, |_| Ok(())).unwrap();
    assert_eq!(
        deliveries.asked[0].state.as_ref().unwrap().state,
        State::Completed
    );
    let refused = deliveries
        .ask_for(&person.user, device, CmsFormat::Modern, Delivery::Rewrap)
        .unwrap_err()
        .to_string();
    assert!(refused.contains("deliveryNotOffered"), "{refused}");
    assert!(refused.contains("engine.deliveries"), "{refused}");
    connector.stop().unwrap();
    gateway.stop().unwrap();
    engine.stop().unwrap();
}
