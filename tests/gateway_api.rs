//! The gateway's API over real TLS on loopback: records, requests, leases, rights.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

#[path = "support/gateway.rs"]
mod gateway;
#[path = "support/pki.rs"]
mod pki;
#[path = "gateway_api/profiles.rs"]
mod profiles;

use gateway::*;
use pfx_connector::gateway::auth::{Guard, Role};
use pfx_connector::gateway::routes::ROUTES;
use serde_json::{Value, json};

#[tokio::test]
async fn a_record_travels_from_the_importer_to_the_device() {
    let running = Running::start(|_| {}).await;
    let importer = running.bearer(Role::Importer);
    let mdm = running.bearer(Role::Mdm);
    let connector = running.connector("connector-1");

    let made = importer.post(RECORDS, record("Jo@Example.org", 1)).await;
    assert_eq!(made.status, 201, "{:?}", made.body);
    assert_eq!(made.body["encryptedPfxBlob"], "AA==");
    assert_eq!(made.body["encryptedPfxPassword"], "");

    let asked = mdm
        .post("/mdm/v1/deviceRequests", device_request("jo@example.org"))
        .await;
    assert_eq!(asked.status, 202, "{:?}", asked.body);
    let id = asked.body["requests"][0]["requestId"].as_str().unwrap();
    let early = mdm
        .call("POST", &format!("/mdm/v1/requests/{id}/collect"), None)
        .await;
    assert_eq!((early.status, early.code()), (409, "notReady"));

    let leased = connector.post("/connector/v1/lease", lease("one", 0)).await;
    assert_eq!(leased.status, 200, "{:?}", leased.body);
    let item = &leased.body["work"][0];
    assert_eq!(item["requestId"], id);
    assert_eq!(item["record"]["userPrincipalName"], "Jo@Example.org");
    assert_eq!(item["pfx"], "UEZYLUJZVEVT");
    let fence = item["fence"].as_u64().unwrap();

    let path = format!("/connector/v1/requests/{id}");
    let extended = connector
        .post(&format!("{path}/extend"), json!({"fence": fence}))
        .await;
    assert_eq!(extended.body, json!({"leaseMs": 60_000}));
    let stale = connector
        .post(
            &format!("{path}/complete"),
            json!({"fence": fence + 1, "encryptedPassword": "Q01T"}),
        )
        .await;
    assert_eq!((stale.status, stale.code()), (409, "staleLease"));
    let completion = json!({"fence": fence, "encryptedPassword": "Q01T"});
    for outcome in ["accepted", "alreadyAccepted"] {
        let settled = connector
            .post(&format!("{path}/complete"), completion.clone())
            .await;
        assert_eq!(settled.body, json!({"outcome": outcome}));
    }
    let state = mdm.get(&format!("/mdm/v1/requests/{id}")).await;
    assert_eq!(state.body["state"], "completed");
    assert_eq!(state.body["completions"], 1);
    for _ in 0..2 {
        let collected = mdm
            .call("POST", &format!("/mdm/v1/requests/{id}/collect"), None)
            .await;
        assert_eq!(collected.body["encryptedPassword"], "Q01T");
        assert_eq!(collected.body["pfx"], "UEZYLUJZVEVT");
    }
    running.stop().await;
}

#[tokio::test]
async fn a_waiting_connector_gets_work_as_soon_as_there_is_some() {
    let running = Running::start(|_| {}).await;
    let importer = running.bearer(Role::Importer);
    let mdm = running.bearer(Role::Mdm);
    let connector = running.connector("connector-1");
    importer.post(RECORDS, record("a@b.org", 1)).await;
    let waiting = tokio::spawn(async move {
        connector
            .post("/connector/v1/lease", lease("one", 60_000))
            .await
    });
    // The connector shows in the list once its lease was let in.
    let admin = running.bearer(Role::Administrator);
    while admin.get("/admin/v1/connectors").await.body["value"] == json!([]) {
        tokio::task::yield_now().await;
    }
    let asked = mdm
        .post("/mdm/v1/deviceRequests", device_request("a@b.org"))
        .await;
    let leased = waiting.await.unwrap();
    assert_eq!(
        leased.body["work"][0]["requestId"],
        asked.body["requests"][0]["requestId"]
    );
    running.stop().await;
}

#[tokio::test]
async fn a_stop_answers_those_who_wait_at_once_and_closes() {
    let mut running = Running::start(|config| config.limits.drain_ms = 60_000).await;
    let connector = running.connector("connector-1");
    let caller = connector.clone();
    let waiting = tokio::spawn(async move {
        caller
            .post("/connector/v1/lease", lease("one", 60_000))
            .await
    });
    let admin = running.bearer(Role::Administrator);
    while admin.get("/admin/v1/connectors").await.body["value"] == json!([]) {
        tokio::task::yield_now().await;
    }
    running.ask_to_stop();
    let answer = waiting.await.unwrap();
    assert_eq!((answer.status, &answer.body), (200, &json!({"work": []})));
    let refused = connector.client.get(running.url("/healthz")).send().await;
    assert!(refused.is_err());
    running.stop().await;
}

#[tokio::test]
async fn fields_are_checked_and_the_answer_names_the_one_that_is_wrong() {
    let running = Running::start(|_| {}).await;
    let importer = running.bearer(Role::Importer);
    let good = record("a@b.org", 1);
    for (property, value) in [
        ("thumbprint", json!("AB".repeat(20))),
        ("thumbprint", json!("ab")),
        ("thumbprint", json!(5)),
        ("thumbprint", Value::Null),
        ("userPrincipalName", json!("nobody")),
        ("userPrincipalName", json!("a b@c")),
        ("userPrincipalName", json!("a@b@c")),
        ("userPrincipalName", json!(format!("{}@c", "a".repeat(400)))),
        ("startDateTime", json!("yesterday")),
        ("expirationDateTime", json!("2020-01-01T00:00:00Z")),
        ("providerName", json!("")),
        ("keyName", json!("a\u{0}b")),
        ("paddingScheme", json!("pkcs1")),
        ("paddingScheme", json!("none")),
        ("intendedPurpose", json!("everything")),
        ("encryptedPfxBlob", json!("AA==")),
        ("encryptedPfxBlob", json!("")),
        ("encryptedPfxBlob", json!("not base64!")),
        ("encryptedPfxPassword", json!("")),
        ("encryptedPfxPassword", json!("QUI")),
        ("custodyKey", json!("xyz")),
        ("importerSignature", json!({"importer": "ab"})),
        (
            "importerSignature",
            json!({"importer": "ab", "signature": "AQID"}),
        ),
        ("id", json!("somebody-else")),
        ("password", json!("clear")),
    ] {
        let mut body = good.clone();
        body[property] = value.clone();
        let answer = importer.post(RECORDS, body).await;
        assert_eq!(answer.status, 400, "{property}: {value}");
        assert!(
            answer.message().starts_with(property),
            "{property}: {value}: {}",
            answer.message()
        );
    }
    for body in [json!([]), json!("x"), json!(null)] {
        assert_eq!(importer.post(RECORDS, body).await.status, 400);
    }
    let mut shouted = good.clone();
    shouted["paddingScheme"] = json!("OaepSha512");
    shouted["intendedPurpose"] = json!("SmimeEncryption");
    shouted["@odata.type"] = json!("#microsoft.graph.userPFXCertificate");
    shouted["id"] = Value::Null;
    let made = importer.post(RECORDS, shouted).await;
    assert_eq!(made.status, 201, "{:?}", made.body);
    assert_eq!(made.body["paddingScheme"], "oaepSha512");
    let again = importer.post(RECORDS, good).await;
    assert_eq!((again.status, again.code()), (409, "alreadyExists"));
    running.stop().await;
}

#[tokio::test]
async fn lists_are_filtered_and_paged_as_in_graph() {
    let running = Running::start(|_| {}).await;
    let importer = running.bearer(Role::Importer);
    for number in 0..5 {
        importer
            .post(RECORDS, record("O'Neil+x@b.org", number))
            .await;
    }
    importer.post(RECORDS, record("other@b.org", 9)).await;
    assert_eq!(
        importer.get(RECORDS).await.body["value"]
            .as_array()
            .unwrap()
            .len(),
        6
    );
    let filter = "$filter=tolower(userPrincipalName)%20eq%20%27o%27%27neil%2Bx%40b.org%27";
    let mut url = format!("{RECORDS}?{filter}&$top=2");
    let mut found = 0;
    for page in 0..3 {
        let answer = importer.get(&url).await;
        found += answer.body["value"].as_array().unwrap().len();
        let next = answer.body["@odata.nextLink"].as_str();
        assert_eq!(next.is_some(), page < 2);
        if let Some(next) = next {
            url = next.strip_prefix(&importer.base).unwrap().to_owned();
        }
    }
    assert_eq!(found, 5);
    let one = format!(
        "{RECORDS}?{filter}%20and%20tolower(thumbprint)%20eq%20%27{}%27",
        thumbprint(3)
    );
    let answer = importer.get(&one).await;
    let id = answer.body["value"][0]["id"].as_str().unwrap();
    assert_eq!(answer.body["value"].as_array().unwrap().len(), 1);
    for spelling in [format!("/{id}"), format!("({id})"), format!("('{id}')")] {
        assert_eq!(
            importer.get(&format!("{RECORDS}{spelling}")).await.body["id"],
            id
        );
    }
    let bad = importer
        .get(&format!("{RECORDS}?$filter=startswith(id,'a')"))
        .await;
    assert_eq!((bad.status, bad.code()), (400, "badRequest"));
    assert!(bad.message().contains("supported"));
    let patched = importer
        .call(
            "PATCH",
            &format!("{RECORDS}/{id}"),
            Some(json!({"intendedPurpose": "wifi"})),
        )
        .await;
    assert_eq!(
        patched.body["intendedPurpose"], "wifi",
        "{:?}",
        patched.body
    );
    let moved = importer
        .call(
            "PATCH",
            &format!("{RECORDS}/{id}"),
            Some(json!({"thumbprint": thumbprint(4)})),
        )
        .await;
    assert_eq!(moved.status, 400);
    for status in [204, 404] {
        let answer = importer
            .call("DELETE", &format!("{RECORDS}/{id}"), None)
            .await;
        assert_eq!(answer.status, status);
    }
    running.stop().await;
}

#[tokio::test]
async fn every_route_lets_in_whom_its_guard_names_and_nobody_else() {
    let running = Running::start(|_| {}).await;
    let anybody = running.anybody();
    let connector = running.connector("connector-1");
    // An instance uses the certificate, so that answers to leases are let in too.
    connector.post("/connector/v1/lease", lease("one", 0)).await;
    let mut forged = running.anybody();
    forged.token = Some(format!("{}0", running.token(Role::Administrator)));
    let expired = running.bearer(Role::Administrator);
    running.clock.advance_ms(86_400_000);
    let tokens: Vec<_> = Role::ALL.map(|role| (role, running.bearer(role))).into();
    for route in ROUTES.iter() {
        let path = route.path.replace("{id}", "nobody");
        let body = route.body.map(|_| json!({}));
        let call = |caller: &Caller| {
            let (caller, path, body) = (caller.clone(), path.clone(), body.clone());
            async move { caller.call(route.verb.name(), &path, body).await }
        };
        let name = format!("{} {path}", route.verb.name());
        let passed = |answer: &Answer| !matches!(answer.status, 401 | 403 | 405);
        match route.guard {
            Guard::Anybody => assert!(passed(&call(&anybody).await), "{name}"),
            Guard::Connector => {
                assert_eq!(
                    call(&anybody).await.code(),
                    "clientCertificateRequired",
                    "{name}"
                );
                for (_, token) in &tokens {
                    assert_eq!(call(token).await.status, 401, "{name}");
                }
                assert!(passed(&call(&connector).await), "{name}");
            }
            Guard::Bearer(roles) => {
                for caller in [&anybody, &connector, &forged, &expired] {
                    let answer = call(caller).await;
                    assert_eq!(
                        (answer.status, answer.code()),
                        (401, "unauthorized"),
                        "{name}"
                    );
                    assert!(answer.headers.contains_key("www-authenticate"));
                }
                for (role, caller) in &tokens {
                    let answer = call(caller).await;
                    if roles.contains(role) {
                        assert!(passed(&answer), "{name} as {}", role.name());
                    } else {
                        assert_eq!((answer.status, answer.code()), (403, "forbidden"), "{name}");
                    }
                }
            }
        }
    }
    running.stop().await;
}

#[tokio::test]
async fn a_record_is_replaced_for_another_key_only_as_it_was_read_and_it_is_recorded() {
    const ROTATION: &str = "/rotation/v1/records";
    let running = Running::start(|_| {}).await;
    let importer = running.bearer(Role::Importer);
    let rotation = running.bearer(Role::Rotation);
    let (old, new) = ("ab".repeat(32), "ef".repeat(32));
    let created = importer.post(RECORDS, record("a@b.org", 1)).await;
    let id = created.body["id"].as_str().unwrap().to_owned();
    let other = record("c@b.org", 2);
    importer.post(RECORDS, other).await;
    let list = rotation.get(&format!("{ROTATION}?custodyKey={old}")).await;
    assert_eq!(
        (&list.body["records"], &list.body["more"]),
        (&json!(2), &json!(false))
    );
    let after = list.body["ids"][0].as_str().unwrap();
    let rest = format!("{ROTATION}?custodyKey={old}&after={after}");
    assert_eq!(
        rotation.get(&rest).await.body["ids"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    for query in ["", "?custodyKey=ab", "?after=x", "?custodyKey=&more=1"] {
        let refused = rotation.get(&format!("{ROTATION}{query}")).await;
        assert_eq!(refused.code(), "badRequest", "{query}");
    }

    let path = format!("{ROTATION}/{id}");
    let read = rotation.get(&path).await.body;
    assert_eq!(read["pfx"], "UEZYLUJZVEVT");
    assert_eq!(read["record"]["encryptedPassword"], "Q0lQSEVSVEVYVA==");
    let mut replacement = json!({"revision": read["revision"], "record": read["record"]});
    let same_key = rotation.post(&path, replacement.clone()).await;
    assert_eq!((same_key.status, same_key.code()), (400, "badRequest"));
    replacement["record"]["custodyKey"] = json!(new);
    replacement["record"]["encryptedPassword"] = json!("TkVX");
    for (field, value) in [
        ("userPrincipalName", json!("c@b.org")),
        ("thumbprint", json!(thumbprint(2))),
        ("importerSignature", json!(null)),
        ("keyName", json!("")),
    ] {
        let mut wrong = replacement.clone();
        wrong["record"][field] = value;
        assert_eq!(
            rotation.post(&path, wrong).await.code(),
            "badRequest",
            "{field}"
        );
    }
    let again = json!({"encryptedPfxPassword": "QUdBSU4=", "importerSignature": {"importer": "cd".repeat(32), "signature": "BAUG"}});
    let patched = importer
        .call("PATCH", &format!("{RECORDS}/{id}"), Some(again))
        .await;
    assert_eq!(patched.status, 200);
    let stale = rotation.post(&path, replacement.clone()).await;
    assert_eq!((stale.status, stale.code()), (409, "recordChanged"));
    let read = rotation.get(&path).await.body;
    assert_eq!(read["record"]["encryptedPassword"], "QUdBSU4=");

    replacement["revision"] = read["revision"].clone();
    assert_eq!(rotation.post(&path, replacement).await.status, 204);
    let read = rotation.get(&path).await.body;
    assert_eq!(read["record"]["encryptedPassword"], "TkVX");
    assert_eq!(read["record"]["custodyKey"], json!(new));
    let audit = running
        .bearer(Role::Administrator)
        .get("/admin/v1/audit")
        .await;
    let deeds: Vec<_> = audit.body["value"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|entry| entry["action"] == "replaceRotationRecord")
        .map(|entry| entry["outcome"].as_str().unwrap())
        .collect();
    assert_eq!(deeds[deeds.len() - 2..], ["recordChanged", "done"]);
    running.stop().await;
}

#[tokio::test]
async fn administrators_see_and_end_tokens_and_connectors_and_it_is_recorded() {
    let running = Running::start(|_| {}).await;
    let admin = running.bearer(Role::Administrator);
    let importer = running.bearer(Role::Importer);
    let connector = running.connector("connector-1");
    let beat = json!({"connector": identity("one"), "inFlight": 3, "engineHealthy": true});
    assert_eq!(
        connector
            .post("/connector/v1/heartbeat", beat.clone())
            .await
            .status,
        204
    );
    let seen = admin.get("/admin/v1/connectors").await;
    let row = &seen.body["value"][0];
    assert_eq!(row["instance"], "one");
    assert_eq!(row["inFlight"], 3);
    assert!(row["subject"].as_str().unwrap().contains("connector-1"));

    // Another certificate of the same authority does not get the name.
    let other = running.connector("connector-2");
    let refused = other.post("/connector/v1/heartbeat", beat.clone()).await;
    assert_eq!((refused.status, refused.code()), (403, "connectorRefused"));

    let revoked = admin
        .call("POST", "/admin/v1/connectors/one/revoke", None)
        .await;
    assert_eq!(revoked.status, 204);
    let refused = connector.post("/connector/v1/lease", lease("two", 0)).await;
    assert_eq!((refused.status, refused.code()), (403, "connectorRefused"));

    importer.post(RECORDS, record("a@b.org", 1)).await;
    importer.post(RECORDS, record("a@b.org", 1)).await;
    let tokens = admin.get("/admin/v1/tokens").await;
    let id = tokens.body["value"]
        .as_array()
        .unwrap()
        .iter()
        .find(|token| token["role"] == "importer")
        .unwrap()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let path = format!("/admin/v1/tokens/{id}/revoke");
    assert_eq!(importer.call("POST", &path, None).await.status, 403);
    assert_eq!(admin.call("POST", &path, None).await.status, 204);
    assert_eq!(importer.get(RECORDS).await.status, 401);

    let trail = admin.get("/admin/v1/audit").await;
    let entries: Vec<(String, String)> = trail.body["value"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| {
            (
                entry["action"].as_str().unwrap().to_owned(),
                entry["outcome"].as_str().unwrap().to_owned(),
            )
        })
        .collect();
    for expected in [
        ("revokeConnector", "done"),
        ("createRecord", "done"),
        ("createRecord", "alreadyExists"),
        ("revokeToken", "forbidden"),
        ("revokeToken", "done"),
    ] {
        assert!(
            entries
                .iter()
                .any(|(action, outcome)| (action.as_str(), outcome.as_str()) == expected),
            "{expected:?} in {entries:?}"
        );
    }
    let status = admin.get("/admin/v1/status").await;
    assert_eq!(status.body["records"], 1);
    running.stop().await;
}

#[tokio::test]
async fn device_requests_are_bounded_and_repeated_by_key_only() {
    let running = Running::start(|config| config.max_queued = 2).await;
    let importer = running.bearer(Role::Importer);
    let mdm = running.bearer(Role::Mdm);
    let path = "/mdm/v1/deviceRequests";
    let unknown = mdm.post(path, device_request("a@b.org")).await;
    assert_eq!(
        (unknown.status, unknown.code()),
        (404, "userHasNoCertificates")
    );
    importer.post(RECORDS, record("a@b.org", 1)).await;
    let mut keyed = device_request("a@b.org");
    keyed["idempotencyKey"] = json!("key-1");
    let first = mdm.post(path, keyed.clone()).await;
    let again = mdm.post(path, keyed.clone()).await;
    assert_eq!((again.status, &again.body), (202, &first.body));
    keyed["deviceId"] = json!("another");
    let reused = mdm.post(path, keyed).await;
    assert_eq!(
        (reused.status, reused.code()),
        (409, "idempotencyKeyReused")
    );
    assert_eq!(mdm.post(path, device_request("a@b.org")).await.status, 202);
    let full = mdm.post(path, device_request("a@b.org")).await;
    assert_eq!((full.status, full.code()), (429, "queueFull"));
    assert!(full.headers.contains_key("retry-after"));
    let mut wrong = device_request("a@b.org");
    wrong["surprise"] = json!(1);
    let answer = mdm.post(path, wrong).await;
    assert_eq!(answer.status, 400);
    assert!(answer.message().contains("surprise"));
    let mut profile = device_request("a@b.org");
    profile["delivery"] = json!("appleProfile");
    profile["format"] = json!("modernGcm");
    let answer = mdm.post(path, profile).await;
    assert_eq!(answer.status, 400);
    assert!(answer.message().contains("EnvelopedData"));
    running.stop().await;
}

#[tokio::test]
async fn another_protocol_version_is_refused_by_name() {
    let running = Running::start(|_| {}).await;
    let connector = running.connector("connector-1");
    let mut body = lease("one", 0);
    body["connector"]["protocol"] = json!(2);
    let answer = connector.post("/connector/v1/lease", body).await;
    assert_eq!((answer.status, answer.code()), (400, "protocolVersion"));
    running.stop().await;
}
