//! Certificates on request: queue, progress, results and renewal.

use super::*;
use crate::gateway::pkcs_api::{
    AltNameKind, AltNameTemplate, CertificateType, FEATURE, PkcsProfile, PkcsProfileEntry,
    PkcsRequest, PkcsWorkItem, Progress, Variable,
};
use std::process::Command;

const PROFILE: &str = "smime";

pub(super) fn profile() -> PkcsProfile {
    PkcsProfile {
        platform: "windows".to_owned(),
        certificate_type: CertificateType::User,
        ca: "company".to_owned(),
        ca_profile: None,
        key: crate::engine::api::keys::KeyType::EcP256,
        subject: "CN={{UserName}}".to_owned(),
        alt_names: vec![AltNameTemplate {
            kind: AltNameKind::Email,
            value: "{{EmailAddress}}".to_owned(),
        }],
        key_usage: Vec::new(),
        extended_key_usage: Vec::new(),
        microsoft_template: None,
        security_identifier: None,
        validity_days: 100,
        renewal_percent: 20,
        format: CmsFormat::Modern,
        delivery: Delivery::Rewrap,
    }
}

pub(super) fn request(user: &str, key: Option<&str>) -> PkcsRequest {
    PkcsRequest {
        profile: PROFILE.to_owned(),
        user_principal_name: user.to_owned(),
        device_id: "device".to_owned(),
        device: device_request(user, None).device,
        variables: vec![Variable {
            name: "UserName".to_owned(),
            value: user.to_owned(),
        }],
        idempotency_key: key.map(str::to_owned),
    }
}

/// A certificate that begins today by the bench's clock and lives for `days`, made by OpenSSL.
pub(super) fn certificate(folder: &Path, days: u32) -> Vec<u8> {
    let at = |ms: i64| {
        let text = crate::clock::rfc3339(ms).replace(['-', ':', 'T'], "");
        format!("{}Z", &text[..14])
    };
    let (key, out) = (folder.join("k.pem"), folder.join("c.der"));
    let ran = |command: &mut Command| {
        let output = command.output().expect("openssl (scripts/bootstrap.sh)");
        assert!(output.status.success(), "{output:?}");
    };
    ran(Command::new("openssl")
        .args([
            "genpkey",
            "-algorithm",
            "EC",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-out",
        ])
        .arg(&key));
    let config = folder.join("ca.cnf");
    std::fs::write(
        &config,
        format!(
            "[ca]\ndefault_ca=d\n[d]\nnew_certs_dir={0}\ndatabase={0}/index\nserial={0}/serial\ndefault_md=sha256\npolicy=p\nrand_serial=yes\nunique_subject=no\n[p]\ncommonName=supplied\n",
            folder.display()
        ),
    )
    .unwrap();
    std::fs::write(folder.join("index"), b"").unwrap();
    let csr = folder.join("r.pem");
    ran(Command::new("openssl")
        .args(["req", "-new", "-subj", "/CN=anna", "-key"])
        .arg(&key)
        .arg("-out")
        .arg(&csr));
    let pem = folder.join("c.pem");
    ran(Command::new("openssl")
        .args(["ca", "-batch", "-notext", "-selfsign", "-config"])
        .arg(&config)
        .args([
            "-startdate",
            &at(START_MS),
            "-enddate",
            &at(START_MS + i64::from(days) * DAY_MS),
        ])
        .arg("-keyfile")
        .arg(&key)
        .arg("-in")
        .arg(&csr)
        .arg("-out")
        .arg(&pem));
    ran(Command::new("openssl")
        .args(["x509", "-outform", "DER", "-in"])
        .arg(&pem)
        .arg("-out")
        .arg(&out));
    std::fs::read(out).unwrap()
}

impl Bench {
    pub(super) fn with_profile() -> Self {
        let bench = Self::new();
        let entry = PkcsProfileEntry {
            name: PROFILE.to_owned(),
            profile: profile(),
        };
        bench.store.create_profile(&actor(), &entry).unwrap();
        bench
    }

    pub(super) fn ask_pkcs(&self, message: &PkcsRequest) -> Result<PkcsQueued, StoreError> {
        self.store.create_pkcs_request(&NewPkcsRequest {
            message,
            requested_by: "token",
            max_open: 1000,
        })
    }

    pub(super) fn lease_pkcs(&self, who: &Contact) -> Vec<PkcsWorkItem> {
        self.lease_pkcs_of(who, None)
    }

    /// As a connector with these authorities; `None`: as one of an older release.
    pub(super) fn lease_pkcs_of(
        &self,
        who: &Contact,
        authorities: Option<&[&str]>,
    ) -> Vec<PkcsWorkItem> {
        let named: Option<Vec<String>> =
            authorities.map(|names| names.iter().map(|name| (*name).to_owned()).collect());
        self.store
            .lease_pkcs(who, "instance", named.as_deref(), &TERMS)
            .unwrap()
            .work
    }

    pub(super) fn complete_pkcs(
        &self,
        who: &Contact,
        item: &PkcsWorkItem,
        der: &[u8],
    ) -> Result<Outcome, StoreError> {
        self.store.settle(
            who,
            &item.request_id,
            item.fence,
            &Answer::Completed(Completed::Pkcs {
                password: b"PASSWORD-CMS",
                pfx: b"PFX-CMS",
                certificate: der,
            }),
            &TERMS,
        )
    }

    fn progress(
        &self,
        who: &Contact,
        item: &PkcsWorkItem,
        what: &[u8],
        resume_ms: Option<u64>,
    ) -> Result<Outcome, StoreError> {
        let progress = Progress {
            fence: item.fence,
            progress: Base64Bytes(what.to_vec()),
            resume_ms,
        };
        self.store.keep_progress(who, &item.request_id, &progress)
    }
}

#[test]
fn a_request_for_a_certificate_is_work_of_its_own_kind_and_ends_in_one_result() {
    let bench = Bench::with_profile();
    let who = contact("a");
    let queued = bench
        .ask_pkcs(&request("anna@example.com", Some("k")))
        .unwrap();
    assert!(queued.queued_now);
    let again = bench
        .ask_pkcs(&request("anna@example.com", Some("k")))
        .unwrap();
    assert_eq!(
        (again.queued_now, &again.request_id),
        (false, &queued.request_id)
    );
    assert!(matches!(
        bench.ask_pkcs(&request("ben@example.com", Some("k"))),
        Err(StoreError::KeyReused)
    ));
    assert!(
        bench.lease(&who).is_empty(),
        "no older connector is given it"
    );
    let work = bench.lease_pkcs(&who);
    let [item] = work.as_slice() else {
        panic!("{work:?}")
    };
    assert_eq!(
        (item.request_id.as_str(), item.attempt, item.fence),
        (queued.request_id.as_str(), 1, 1)
    );
    assert_eq!(
        (&item.profile, item.profile_name.as_str()),
        (&profile(), PROFILE)
    );
    assert!(bench.lease_pkcs(&who).is_empty());

    let der = certificate(bench.folder.path(), 100);
    assert!(matches!(
        bench.complete_pkcs(&who, item, b"no certificate"),
        Err(StoreError::WrongResult)
    ));
    let password = Answer::Completed(Completed::Password(b"x"));
    assert!(matches!(
        bench
            .store
            .settle(&who, &item.request_id, item.fence, &password, &TERMS),
        Err(StoreError::WrongResult)
    ));
    assert!(matches!(
        bench.store.collect(&item.request_id),
        Err(StoreError::NotReady)
    ));
    assert_eq!(
        bench.complete_pkcs(&who, item, &der).unwrap(),
        Outcome::Accepted
    );
    assert_eq!(
        bench.complete_pkcs(&who, item, &der).unwrap(),
        Outcome::AlreadyAccepted
    );
    let collected = bench.store.collect(&item.request_id).unwrap();
    assert_eq!(collected.delivery, Delivery::Rewrap);
    assert_eq!(collected.encrypted_pfx.as_slice(), b"PFX-CMS");
    assert_eq!(collected.encrypted_password.as_slice(), b"PASSWORD-CMS");
    assert!(collected.newest && collected.thumbprint.len() == 40);
    let [held] = bench
        .store
        .certificates(Some("device"), None)
        .unwrap()
        .try_into()
        .unwrap();
    assert_eq!(
        (&held.request_id, &held.thumbprint),
        (&item.request_id, &collected.thumbprint)
    );
    assert!(
        bench
            .store
            .certificates(Some("another"), None)
            .unwrap()
            .is_empty()
    );
}

#[test]
fn a_certificate_in_a_configuration_profile_is_taken_where_that_was_asked_for_and_nowhere_else() {
    let bench = Bench::new();
    for (name, delivery) in [
        ("pfx", Delivery::Rewrap),
        ("profile", Delivery::AppleProfile),
    ] {
        let profile = PkcsProfile {
            platform: "ios".to_owned(),
            delivery,
            ..profile()
        };
        let entry = PkcsProfileEntry {
            name: name.to_owned(),
            profile,
        };
        bench.store.create_profile(&actor(), &entry).unwrap();
        let asked = PkcsRequest {
            profile: name.to_owned(),
            ..request("anna@example.com", None)
        };
        bench.ask_pkcs(&asked).unwrap();
    }
    let who = contact("a");
    for item in bench.lease_pkcs(&who) {
        let der = certificate(bench.folder.path(), 100);
        let wants_profile = item.profile.delivery == Delivery::AppleProfile;
        let profile = Answer::Completed(Completed::PkcsProfile {
            profile: b"<plist>",
            certificate: &der,
        });
        let in_profile = |bench: &Bench| {
            bench
                .store
                .settle(&who, &item.request_id, item.fence, &profile, &TERMS)
        };
        let (first, second) = if wants_profile {
            (bench.complete_pkcs(&who, &item, &der), in_profile(&bench))
        } else {
            (in_profile(&bench), bench.complete_pkcs(&who, &item, &der))
        };
        assert!(matches!(first, Err(StoreError::WrongResult)), "{first:?}");
        assert_eq!(second.unwrap(), Outcome::Accepted);
        let collected = bench.store.collect(&item.request_id).unwrap();
        assert_eq!(collected.delivery, item.profile.delivery);
        assert_eq!(collected.profile.as_slice() == b"<plist>", wants_profile);
        assert_eq!(collected.encrypted_pfx.is_empty(), wants_profile);
        assert_eq!(collected.encrypted_password.is_empty(), wants_profile);
    }
}

#[test]
fn progress_is_kept_under_its_fence_and_waiting_is_no_attempt() {
    let bench = Bench::with_profile();
    let (one, other) = (contact("a"), contact("b"));
    bench.ask_pkcs(&request("anna@example.com", None)).unwrap();
    let first = bench.lease_pkcs(&one).remove(0);
    assert!(matches!(
        bench.progress(&other, &first, b"theirs", None),
        Err(StoreError::StaleLease)
    ));
    assert_eq!(
        bench.progress(&one, &first, b"key made", None).unwrap(),
        Outcome::Accepted
    );
    // A connector that is gone for good: another one goes on from there.
    bench.clock.advance_ms(60_001);
    let second = bench.lease_pkcs(&other).remove(0);
    assert_eq!(
        (second.progress.as_slice(), second.attempt),
        (&b"key made"[..], 2)
    );
    assert!(matches!(
        bench.progress(&one, &first, b"late", None),
        Err(StoreError::StaleLease)
    ));
    for _ in 0..10 {
        let item = bench
            .lease_pkcs(&other)
            .pop()
            .unwrap_or_else(|| second.clone());
        assert_eq!(item.attempt, 2, "waiting for an authority is no attempt");
        assert_eq!(
            bench
                .progress(&other, &item, b"pending", Some(3_600_000))
                .unwrap(),
            Outcome::Requeued
        );
        assert!(bench.lease_pkcs(&other).is_empty());
        bench.clock.advance_ms(3_600_000);
    }
    assert_eq!(
        bench.lease_pkcs(&one).remove(0).progress.as_slice(),
        b"pending"
    );
}

#[test]
fn progress_is_of_pkcs_requests_alone() {
    let bench = Bench::new();
    bench.queued("anna@example.com");
    let who = contact("a");
    let item = bench.lease(&who).remove(0);
    let progress = Progress {
        fence: item.fence,
        progress: Base64Bytes(b"x".to_vec()),
        resume_ms: None,
    };
    assert!(matches!(
        bench.store.keep_progress(&who, &item.request_id, &progress),
        Err(StoreError::WrongResult)
    ));
}

#[test]
fn a_certificate_is_asked_for_again_when_a_fifth_of_its_life_is_left_and_only_once() {
    let bench = Bench::with_profile();
    let who = contact("a");
    let message = request("anna@example.com", None);
    bench.ask_pkcs(&message).unwrap();
    let first = bench.lease_pkcs(&who).remove(0);
    let der = certificate(bench.folder.path(), 100);
    bench.complete_pkcs(&who, &first, &der).unwrap();
    bench.clock.advance_ms(79 * DAY_MS);
    assert_eq!(bench.store.renew_certificates().unwrap(), 0);
    bench.clock.advance_ms(DAY_MS);
    assert_eq!(bench.store.renew_certificates().unwrap(), 1);
    assert_eq!(bench.store.renew_certificates().unwrap(), 0);
    // Still under way the next day: not asked for twice.
    bench.clock.advance_ms(DAY_MS + 1);
    assert_eq!(bench.store.renew_certificates().unwrap(), 0);
    let renewal = bench.lease_pkcs(&who).remove(0);
    assert_eq!(renewal.renews.as_deref(), Some(first.request_id.as_str()));
    assert_eq!(
        (&renewal.variables, &renewal.device),
        (&message.variables, &message.device)
    );
    // It fails for good: asked for again later, long before the certificate expires.
    let failure = crate::gateway::api::FailureReport {
        code: "rejected".to_owned(),
        message: "no".to_owned(),
    };
    let failed = Answer::Failed {
        failure: &failure,
        retry: false,
    };
    bench
        .store
        .settle(&who, &renewal.request_id, renewal.fence, &failed, &TERMS)
        .unwrap();
    bench.clock.advance_ms(DAY_MS + 1);
    assert_eq!(bench.store.renew_certificates().unwrap(), 1);
    let renewal = bench.lease_pkcs(&who).remove(0);
    let folder = tempfile::tempdir().unwrap();
    let newer = certificate(folder.path(), 300);
    bench.complete_pkcs(&who, &renewal, &newer).unwrap();
    assert!(bench.store.collect(&renewal.request_id).unwrap().newest);
    let held = bench
        .store
        .certificates(None, Some("Anna@example.com"))
        .unwrap();
    let [new, old] = held.as_slice() else {
        panic!("{held:?}")
    };
    assert_eq!(old.replaced_by.as_deref(), Some(new.request_id.as_str()));
    assert_eq!(
        (old.renewal_date_time.as_ref(), old.renewed_by.as_deref()),
        (None, Some(new.request_id.as_str()))
    );
    assert!(!bench.store.collect(&first.request_id).unwrap().newest);
    bench.clock.advance_ms(10 * DAY_MS);
    assert_eq!(
        bench.store.renew_certificates().unwrap(),
        0,
        "the old one is replaced"
    );
}

#[test]
fn nothing_of_an_ended_profile_is_asked_for_or_renewed() {
    let bench = Bench::with_profile();
    let who = contact("a");
    bench.ask_pkcs(&request("anna@example.com", None)).unwrap();
    let item = bench.lease_pkcs(&who).remove(0);
    bench
        .complete_pkcs(&who, &item, &certificate(bench.folder.path(), 100))
        .unwrap();
    bench
        .store
        .delete_profile::<PkcsProfile>(&actor(), PROFILE)
        .unwrap();
    bench.clock.advance_ms(90 * DAY_MS);
    assert_eq!(bench.store.renew_certificates().unwrap(), 0);
    assert!(matches!(
        bench.ask_pkcs(&request("anna@example.com", None)),
        Err(StoreError::NoProfile)
    ));
}

#[test]
fn requests_are_refused_where_no_connector_would_ever_take_them() {
    let bench = Bench::with_profile();
    let who = contact("a");
    let message = request("anna@example.com", None);
    bench
        .store
        .admit(&who, &identity("old"), Some((0, true)))
        .unwrap();
    assert!(matches!(
        bench.ask_pkcs(&message),
        Err(StoreError::NoIssuance)
    ));
    let mut newer = identity("new");
    newer.features.push(FEATURE.to_owned());
    bench.store.admit(&who, &newer, Some((0, true))).unwrap();
    bench.ask_pkcs(&message).unwrap();
}
