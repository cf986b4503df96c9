//! Beside a running engine.

use super::engine::{crash, part};
use super::softhsm::PIN;
use super::token::Site;
use rustix::process::Signal;

#[tokio::test]
async fn beside_a_running_engine_nothing_is_measured_and_its_restarts_are_told() {
    let mut site = Site::new();
    site.engine.launch();
    let client = site.engine.ready_client().await;
    let examined = site.examine(&["--only", "service", "--only", "token", "--only", "fips"]);
    examined.nothing_fails();
    assert_eq!(examined.finding("service.engine")["severity"], "ok");
    assert_eq!(examined.finding("service.restarts")["severity"], "ok");
    // The token is looked at, but its time is for requests.
    assert_eq!(examined.finding("token.login")["severity"], "ok");
    assert_eq!(examined.finding("token.round-trip")["severity"], "note");
    assert!(examined.findings("token.concurrency").is_empty());
    assert_eq!(
        examined.finding("fips.claim")["facts"]["source"],
        "running-engine"
    );

    let status = client.status().await.unwrap();
    crash(part(&status, "formats").pid.unwrap(), Signal::KILL);
    site.engine
        .wait_for(&client, "restarted part", |status| {
            let formats = part(status, "formats");
            formats.restarts == 1 && formats.pid.is_some() && status.fips.len() == 3
        })
        .await;
    let examined = site.examine(&["--only", "service"]);
    examined.nothing_fails();
    let found = examined.about("service.restarts", "formats");
    assert_eq!(
        (&found["severity"], &found["facts"]["restarts"]),
        (&"warning".into(), &1.into())
    );
}

#[tokio::test]
async fn an_engine_without_its_token_is_an_error() {
    let mut site = Site::new();
    site.token.write_pin("000000");
    site.engine.launch();
    let client = site.engine.client().await;
    site.engine
        .wait_for(&client, "refused PIN", |status| {
            status
                .token_problem
                .as_ref()
                .is_some_and(|problem| problem.contains("PIN"))
        })
        .await;
    let examined = site.examine(&["--only", "service"]);
    examined.fails_of("service.engine");
    assert_eq!(examined.finding("service.engine")["code"], "token");
    // It has tried; nobody tries again beside it.
    let examined = site.examine(&["--only", "token"]);
    examined.nothing_fails();
    assert_eq!(examined.finding("token.login")["severity"], "note");
    site.token.write_pin(PIN);
}
