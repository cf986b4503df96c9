//! Profiles, devices that ask by them, and what becomes of their renewals.

use super::gateway::{RECORDS, Running, device_request, identity, record};
use pfx_connector::gateway::auth::Role;
use serde_json::{Value, json};

fn by_profile(profile: &str) -> Value {
    let mut asked = device_request("a@b.org");
    let fields = asked.as_object_mut().unwrap();
    fields.remove("format");
    fields.insert("profile".to_owned(), profile.into());
    asked
}

fn pkcs_lease(instance: &str, authorities: Value) -> Value {
    let mut connector = identity(instance);
    connector["features"] = json!(["pfxImport", "pkcs"]);
    json!({"connector": connector, "max": 10, "waitMs": 0, "authorities": authorities})
}

#[tokio::test]
async fn a_device_asks_by_a_profile_of_its_platform_for_what_was_stored() {
    let running = Running::start(|_| {}).await;
    let admin = running.bearer(Role::Administrator);
    let mdm = running.bearer(Role::Mdm);
    running
        .bearer(Role::Importer)
        .post(RECORDS, record("a@b.org", 1))
        .await;
    let missing = mdm
        .post("/mdm/v1/importRequests", by_profile("phones"))
        .await;
    assert_eq!((missing.status, missing.code()), (404, "noSuchProfile"));
    let entry = |platform: &str, delivery: &str| json!({"name": "phones", "profile": {"platform": platform, "format": "compatible", "delivery": delivery}});
    for (platform, delivery, named) in [
        ("symbian", "password", "profile.platform"),
        ("windows", "appleProfile", "profile.delivery"),
    ] {
        let refused = admin
            .post("/admin/v1/importProfiles", entry(platform, delivery))
            .await;
        assert_eq!(refused.status, 400);
        assert!(refused.message().contains(named), "{}", refused.message());
    }
    let ios = entry("ios", "password");
    assert_eq!(
        mdm.post("/admin/v1/importProfiles", ios.clone())
            .await
            .status,
        403
    );
    let stored = admin.post("/admin/v1/importProfiles", ios).await;
    assert_eq!(stored.status, 201, "{}", stored.body);
    let listed = admin.get("/admin/v1/importProfiles").await;
    assert_eq!(listed.body["value"][0]["profile"]["platform"], "ios");

    let asked = mdm
        .post("/mdm/v1/importRequests", by_profile("phones"))
        .await;
    assert_eq!(asked.status, 202, "{}", asked.body);
    let leased = running
        .connector("connector-1")
        .post("/connector/v1/lease", super::gateway::lease("one", 0))
        .await;
    let work = &leased.body["work"][0];
    assert_eq!(work["requestId"], asked.body["requests"][0]["requestId"]);
    assert_eq!(work["format"], "compatible");
    let ended = admin
        .call("DELETE", "/admin/v1/importProfiles/phones", None)
        .await;
    assert_eq!(ended.status, 204);
    running.stop().await;
}

#[tokio::test]
async fn a_certificate_is_asked_of_a_connector_with_its_authority_for_the_device_as_it_is_now() {
    let running = Running::start(|_| {}).await;
    let admin = running.bearer(Role::Administrator);
    let mdm = running.bearer(Role::Mdm);
    let connector = running.connector("connector-1");
    let profile = json!({"platform": "windows", "certificateType": "user", "ca": "company", "key": "ecP256", "subject": "CN={{UserName}}",
        "validityDays": 100, "format": "modern"});
    let stored = admin
        .post(
            "/admin/v1/pkcsProfiles",
            json!({"name": "smime", "profile": profile}),
        )
        .await;
    assert_eq!(stored.status, 201, "{}", stored.body);
    let asked = mdm.post("/mdm/v1/pkcsRequests", by_profile("smime")).await;
    assert_eq!(asked.status, 202, "{}", asked.body);

    let device = asked_device();
    let update = json!({"device": {"certificate": "TkVX", "intermediates": []}});
    let alone = json!({"device": {"certificate": "TkVX", "intermediates": []}, "variables": []});
    let path = format!("/mdm/v1/devices/{device}/update");
    let refused = mdm.post(&path, alone).await;
    assert_eq!(refused.status, 400);
    assert!(refused.message().contains("userPrincipalName"));
    assert_eq!(admin.post(&path, update.clone()).await.status, 403);
    let told = mdm.post(&path, update).await;
    assert_eq!(told.body, json!({"certificates": 0, "requests": 1}));

    let lease = async |authorities| {
        let path = "/connector/v1/pkcs/lease";
        connector.post(path, pkcs_lease("one", authorities)).await
    };
    assert_eq!(lease(json!(["a b"])).await.status, 400);
    assert_eq!(lease(json!(["partner"])).await.body, json!({"work": []}));
    let leased = lease(json!(["partner", "company"])).await;
    let work = &leased.body["work"][0];
    assert_eq!(work["requestId"], asked.body["requestId"]);
    assert_eq!(work["device"]["certificate"], "TkVX");

    // Nothing was issued yet that could be on hold.
    let resumed = admin
        .call("POST", "/admin/v1/pkcsCertificates/none/resume", None)
        .await;
    assert_eq!((resumed.status, resumed.code()), (404, "notFound"));
    let audit = admin.get("/admin/v1/audit").await;
    let deeds = audit.body.to_string();
    for deed in ["updateDevice", "resumeRenewal"] {
        assert!(deeds.contains(deed), "{deeds}");
    }
    running.stop().await;
}

/// The device of [`device_request`].
fn asked_device() -> String {
    let asked = device_request("a@b.org");
    asked["deviceId"].as_str().unwrap().to_owned()
}
