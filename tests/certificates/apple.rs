//! Issued certificates as configuration profiles for Apple's systems.

use super::device::open;
use super::plist::string;
use super::site::Issuing;
use pfx_connector::engine::api::{CmsFormat, Delivery};
use std::process::Command;

#[test]
fn apples_systems_get_a_configuration_profile_and_a_newer_one_takes_its_place() {
    let issuing = Issuing::new();
    let running = issuing.start();
    issuing.enrol();
    let mut names = Vec::new();
    for platform in ["ios", "macOs"] {
        let name = format!("smime-{platform}");
        issuing.add_profile(&name, |profile| {
            profile.platform = platform.to_owned();
            profile.delivery = Delivery::AppleProfile;
        });
        let device = issuing.device(0);
        for key in ["first", "second"] {
            let request = issuing.ask_as("anna@example.com", &device, &name, key);
            let delivery = issuing.delivered(&request);
            assert_eq!(delivery.delivery, Delivery::AppleProfile);
            let opened = open(&device, &delivery, &issuing.local_root());
            assert!(opened.certificate.contains("email:anna@example.com"));
            let profile = opened.profile.unwrap();
            assert_eq!(string(&profile, "/PayloadType"), "Configuration");
            assert_eq!(
                string(&profile, "/0/PayloadType"),
                "com.apple.security.pkcs12"
            );
            let title = string(&profile, "/PayloadDisplayName");
            assert_eq!(title, format!("{name}: anna@example.com"));
            names.push(
                ["/PayloadIdentifier", "/PayloadUUID", "/0/PayloadUUID"]
                    .map(|path| string(&profile, path)),
            );
        }
    }
    let [ios, newer, mac, _] = names.as_slice() else {
        panic!("{names:?}")
    };
    // The same outside, another certificate inside.
    assert_eq!(ios[..2], newer[..2]);
    assert_ne!(ios[2], newer[2]);
    assert_ne!(ios[0], mac[0]);
    assert!(ios[0].starts_with("pfx-connector.issued."), "{ios:?}");
    // Nothing of what is in it is to be read on the way.
    let found = Command::new("grep")
        .args(["-rl", "com.apple.security.pkcs12"])
        .arg(issuing.site.stack.path("gateway"))
        .arg(issuing.site.stack.path("run"))
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&found.stdout), "");
    running.stop();
}

#[test]
fn a_profile_that_no_device_would_read_is_refused_by_the_gateway() {
    let issuing = Issuing::new();
    let running = issuing.start();
    issuing.enrol();
    let said = issuing.refused_profile(|profile| profile.delivery = Delivery::AppleProfile);
    assert!(said.contains("ios and macOs"), "{said}");
    let said = issuing.refused_profile(|profile| profile.delivery = Delivery::Password);
    assert!(said.contains("rewrap or appleProfile"), "{said}");
    let said = issuing.refused_profile(|profile| {
        profile.platform = "ios".to_owned();
        profile.delivery = Delivery::AppleProfile;
        profile.format = CmsFormat::ModernGcm;
    });
    assert!(said.contains("EnvelopedData"), "{said}");
    running.stop();
}
