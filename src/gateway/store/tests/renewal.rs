//! What is renewed, and what is not.

use super::pkcs::{certificate, request};
use super::revocations::{Asking, OPEN};
use super::*;
use crate::config::{RetentionConfig, RevocationBrake};
use crate::gateway::api::FailureReport;
use crate::gateway::pkcs_api::{DeviceUpdate, DeviceUpdated, PkcsWorkItem, Progress, Variable};
use crate::gateway::revocation_api::{Reason, RevocationWorkItem};

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

    /// The device gets another certificate, and anna another name.
    fn update(&self, device: &str, certificate: &[u8]) -> DeviceUpdated {
        let update = DeviceUpdate {
            device: DeviceTarget {
                certificate: Base64Bytes(certificate.to_vec()),
                intermediates: Vec::new(),
            },
            user_principal_name: Some("Anna@example.com".to_owned()),
            variables: Some(vec![Variable {
                name: "UserName".to_owned(),
                value: "Anna Married".to_owned(),
            }]),
        };
        self.store.update_device(&actor(), device, &update).unwrap()
    }

    /// The one request that is due, renewed or asked for.
    fn due(&self) -> PkcsWorkItem {
        let [item] = self.lease_pkcs(&contact("a")).try_into().unwrap();
        item
    }

    fn failed(&self, item: &PkcsWorkItem, code: &str) {
        let failure = FailureReport {
            code: code.to_owned(),
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

    fn replaced(&self, id: &str) -> Option<String> {
        let all = self.store.certificates(Some("device"), None).unwrap();
        all.into_iter()
            .find(|one| one.request_id == id)
            .unwrap()
            .replaced_by
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

fn goes_to(item: &PkcsWorkItem) -> (&[u8], &str) {
    (
        item.device.certificate.as_slice(),
        item.variables[0].value.as_str(),
    )
}

#[test]
fn a_renewal_goes_to_the_certificate_of_the_device_that_was_given_last_with_the_names_of_now() {
    let bench = Bench::with_profile();
    bench.issued("anna@example.com");
    bench.issued("berta@example.com");
    let none = DeviceUpdated::default();
    assert_eq!(bench.update("another device", b"OTHER"), none);
    let of_both = DeviceUpdated {
        certificates: 2,
        requests: 0,
    };
    assert_eq!(bench.update("device", b"NEW"), of_both);
    bench.at_day(85);
    assert_eq!(bench.renewed(), 2);
    let work = bench.lease_pkcs(&contact("a"));
    let mut seen: Vec<_> = work.iter().map(goes_to).collect();
    seen.sort_unstable();
    // Variables are those of one user.
    let wanted: [(&[u8], &str); 2] = [(b"NEW", "Anna Married"), (b"NEW", "berta@example.com")];
    assert_eq!(seen, wanted);
}

#[test]
fn what_a_device_has_stays_its_newest_until_the_new_one_is_collected() {
    let bench = Bench::with_profile();
    let first = bench.issued("anna@example.com");
    assert!(bench.store.collect(&first).unwrap().newest);
    bench.at_day(85);
    assert_eq!(bench.renewed(), 1);
    let second = bench.finish(&bench.due(), 300);
    assert_eq!(bench.replaced(&first), None);
    assert!(bench.store.collect(&first).unwrap().newest);
    // One of them is renewed, and not both.
    bench.at_day(99);
    assert_eq!(bench.renewed(), 0);
    assert!(bench.store.collect(&second).unwrap().newest);
    assert_eq!(bench.replaced(&first).as_ref(), Some(&second));
    assert!(!bench.store.collect(&first).unwrap().newest);
    assert!(bench.store.collect(&second).unwrap().newest);
    assert_eq!(bench.replaced(&second), None);
}

#[test]
fn what_was_issued_to_an_old_certificate_and_never_collected_is_asked_for_again() {
    let bench = Bench::with_profile();
    let first = bench.issued("anna@example.com");
    bench.store.collect(&first).unwrap();
    bench.at_day(85);
    assert_eq!(bench.renewed(), 1);
    let lost = bench.finish(&bench.due(), 300);
    bench.update("device", b"NEW");
    assert_eq!(bench.renewed(), 1);
    let again = bench.due();
    assert_eq!(goes_to(&again).0, b"NEW");
    assert_eq!(again.renews.as_ref(), Some(&lost));
    let third = bench.finish(&again, 300);
    // The same once more changes nothing.
    bench.store.collect(&third).unwrap();
    bench.update("device", b"NEW");
    assert_eq!(bench.renewed(), 0);
    assert_eq!(bench.replaced(&first).as_ref(), Some(&third));
    assert_eq!(bench.replaced(&lost).as_ref(), Some(&third));
}

#[test]
fn a_renewal_that_failed_over_the_old_certificate_comes_again_with_the_new_one() {
    let bench = Bench::with_profile();
    bench.issued("anna@example.com");
    bench.at_day(81);
    assert_eq!(bench.renewed(), 1);
    bench.failed(&bench.due(), "deviceCertificateRefused");
    assert_eq!(bench.renewed(), 0, "not before tomorrow");
    bench.update("device", b"NEW");
    assert_eq!(bench.renewed(), 1);
    assert_eq!(goes_to(&bench.due()).0, b"NEW");
}

#[test]
fn an_order_under_way_is_not_changed_and_what_comes_of_it_is_asked_for_again() {
    let bench = Bench::with_profile();
    let asked = request("anna@example.com", None);
    bench.ask_pkcs(&asked).unwrap();
    let begun = bench.due();
    let pending = Progress {
        fence: begun.fence,
        progress: Base64Bytes(b"ordered".to_vec()),
        resume_ms: Some(60_000),
    };
    bench
        .store
        .keep_progress(&contact("a"), &begun.request_id, &pending)
        .unwrap();
    let mut waiting = request("anna@example.com", Some("waits"));
    waiting.device.certificate = Base64Bytes(b"OLD".to_vec());
    bench.ask_pkcs(&waiting).unwrap();
    let of_one = DeviceUpdated {
        certificates: 0,
        requests: 1,
    };
    assert_eq!(bench.update("device", b"NEW"), of_one);
    let waits = bench.due();
    assert_eq!(goes_to(&waits), (&b"NEW"[..], "Anna Married"));
    bench.failed(&waits, "rejected");
    bench.clock.advance_ms(60_001);
    let resumed = bench.due();
    assert_eq!(
        (&resumed.device, &resumed.variables),
        (&asked.device, &asked.variables),
        "another content would be another order"
    );
    let lost = bench.finish(&resumed, 100);
    assert_eq!(bench.renewed(), 1);
    let again = bench.due();
    assert_eq!(again.renews.as_ref(), Some(&lost));
    assert_eq!(goes_to(&again), (&b"NEW"[..], "Anna Married"));
}

#[test]
fn what_is_on_hold_is_not_renewed_until_an_administrator_resumes_it() {
    let bench = Bench::with_profile();
    let id = bench.issued("anna@example.com");
    let named = [NamedCertificate::Request(id.clone())];
    let hold = Asking {
        reason: Reason::CertificateHold,
        ..Asking::of(&named)
    };
    assert!(matches!(
        bench.store.resume_renewal(&actor(), &id),
        Err(StoreError::NotFound)
    ));
    bench.at_day(81);
    bench.revoke(&hold).unwrap();
    assert_eq!(bench.renewed(), 0, "on its way");
    let work = bench.to_revoke();
    bench.revoked(&contact("a"), &work[0]).unwrap();
    let listed = bench.store.certificates(Some("device"), None).unwrap();
    assert!(listed[0].on_hold_date_time.is_some() && listed[0].revoked_date_time.is_none());
    // Also once the request is forgotten.
    bench.at_day(83);
    assert!(bench.store.purge(&SHORT).unwrap().requests > 0);
    bench.at_day(90);
    assert_eq!(bench.renewed(), 0);
    bench.store.resume_renewal(&actor(), &id).unwrap();
    assert_eq!(bench.renewed(), 1);
}

#[test]
fn a_hold_that_the_authority_refused_stops_nothing() {
    let bench = Bench::with_profile();
    let id = bench.issued("anna@example.com");
    let named = [NamedCertificate::Request(id)];
    let hold = Asking {
        reason: Reason::CertificateHold,
        ..Asking::of(&named)
    };
    bench.revoke(&hold).unwrap();
    bench.revokes_nothing();
    bench.at_day(81);
    assert_eq!(bench.renewed(), 1);
}
