//! What is renewed, and what is not.

use super::pkcs::{certificate, request};
use super::revocations::{Asking, OPEN};
use super::*;
use crate::config::{RetentionConfig, RevocationBrake};
use crate::gateway::api::FailureReport;
use crate::gateway::pkcs_api::PkcsWorkItem;
use crate::gateway::revocation_api::RevocationWorkItem;

impl Bench {
    /// A certificate of 100 days for a user's device; the request's name.
    fn issued(&self, user: &str) -> String {
        self.ask_pkcs(&request(user, None)).unwrap();
        let item = self.lease_pkcs(&contact("a")).remove(0);
        self.finish(&item, 100)
    }

    /// Answers with a certificate that lives for so many days from the bench's start.
    fn finish(&self, item: &PkcsWorkItem, days: u32) -> String {
        let folder = tempfile::tempdir().unwrap();
        let der = certificate(folder.path(), days);
        self.complete_pkcs(&contact("a"), item, &der).unwrap();
        item.request_id.clone()
    }

    /// What there is to revoke: every certificate of these tests has the same issuer.
    fn to_revoke(&self) -> Vec<RevocationWorkItem> {
        let issuer = self.store.read(|transaction, _| {
            Ok(transaction.query_row(
                "SELECT issuer FROM pkcs_certificates LIMIT 1",
                [],
                |row| row.get::<_, Vec<u8>>(0),
            )?)
        });
        self.lease_of(&contact("a"), &issuer.unwrap())
    }

    /// As an authority that does not revoke (EST).
    fn revokes_nothing(&self) {
        for item in self.to_revoke() {
            let failure = FailureReport {
                code: "revocationUnsupported".to_owned(),
                message: String::new(),
            };
            let failed = Answer::Failed {
                failure: &failure,
                retry: false,
            };
            self.store
                .settle(&contact("a"), &item.request_id, item.fence, &failed, &TERMS)
                .unwrap();
        }
    }

    fn at_day(&self, day: i64) {
        let now = self.store.now_ms();
        self.clock.advance_ms(START_MS + day * DAY_MS - now);
    }

    fn renewed(&self) -> usize {
        self.store.renew_certificates().unwrap()
    }
}

/// The requests are forgotten long before the certificates.
const SHORT: RetentionConfig = RetentionConfig {
    results_hours: 1,
    records_days: 3_650,
    audit_days: 3_650,
};

#[test]
fn a_retired_device_gets_no_new_certificates_also_where_its_old_ones_could_not_be_revoked() {
    let bench = Bench::with_profile();
    bench.issued("anna@example.com");
    bench.ask_pkcs(&request("berta@example.com", None)).unwrap();
    let begun = bench.lease_pkcs(&contact("a")).remove(0);
    bench.at_day(1);
    bench.retire("device");
    bench.at_day(2);
    bench.finish(&begun, 100);
    bench.revokes_nothing();
    let open = bench.store.certificates(Some("device"), None).unwrap();
    assert_eq!(open.len(), 2);
    assert!(
        open.iter()
            .all(|one| one.revoked_date_time.is_none() && one.renewal_date_time.is_none())
    );
    bench.at_day(3);
    assert!(bench.store.purge(&SHORT).unwrap().requests > 0);
    bench.at_day(85);
    assert_eq!(bench.renewed(), 0);

    // Once it asks again it begins anew.
    bench.ask_pkcs(&request("anna@example.com", None)).unwrap();
    let again = bench.lease_pkcs(&contact("a")).remove(0);
    bench.finish(&again, 300);
    bench.at_day(241);
    assert_eq!(bench.renewed(), 1);
}

#[test]
fn certificates_of_devices_that_an_older_release_retired_are_not_renewed() {
    let bench = Bench::with_profile();
    bench.issued("anna@example.com");
    let (device, now) = ("device", bench.store.now_ms());
    bench
        .store
        .write(|transaction, _| {
            transaction.execute(
                "INSERT INTO retired_devices VALUES (?, ?)",
                rusqlite::params![device, now],
            )?;
            Ok(())
        })
        .unwrap();
    bench.at_day(85);
    assert_eq!(bench.renewed(), 0);
}

#[test]
fn what_was_to_be_revoked_and_could_not_be_is_not_renewed_and_what_was_dropped_is() {
    let bench = Bench::with_profile();
    let names = ["anna", "berta", "carla"].map(|user| {
        let id = bench.issued(&format!("{user}@example.com"));
        NamedCertificate::Request(id)
    });
    let brake = RevocationBrake {
        per_hour: 1,
        ..OPEN
    };
    let asked = bench
        .revoke(&Asking {
            brake,
            ..Asking::of(&names)
        })
        .unwrap();
    assert_eq!((asked.queued, asked.held), (1, 2));
    let [_, berta, carla] = asked.revocations.as_slice() else {
        panic!("{asked:?}")
    };
    // While it is held nothing is decided: it is not renewed, and looked at again.
    bench.at_day(81);
    assert_eq!(bench.renewed(), 0);
    let dropped = [berta.request_id.clone()];
    bench.store.drop_revocations(&actor(), &dropped).unwrap();
    let released = [carla.request_id.clone()];
    bench
        .store
        .release_revocations(&actor(), None, &released)
        .unwrap();
    bench.revokes_nothing();
    bench.at_day(82);
    assert!(bench.store.purge(&SHORT).unwrap().requests > 0);
    bench.at_day(85);
    assert_eq!(bench.renewed(), 1);
    let renewal = bench.lease_pkcs(&contact("a")).remove(0);
    assert_eq!(renewal.user_principal_name, "berta@example.com");
}
