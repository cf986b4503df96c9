//! Who may issue: basicConstraints, path length, key usage, validity, signatures, critical extensions.

use super::*;

fn leaf() -> String {
    person("email:ada@example.com")
}

#[test]
fn pathlen() {
    let limited = |length: u8| {
        format!(
            "basicConstraints = critical, CA:TRUE, pathlen:{length}\nkeyUsage = critical, keyCertSign\nsubjectKeyIdentifier = hash"
        )
    };
    let (zero, one, two) = (limited(0), limited(1), limited(2));
    let cases: [(&str, Verdict, &str, Vec<&str>); 7] = [
        (
            "ee-with-intermediate-pathlen-0",
            Good,
            AUTHORITY,
            vec![&zero],
        ),
        (
            "ee-with-intermediate-pathlen-1",
            Good,
            AUTHORITY,
            vec![&one],
        ),
        (
            "intermediate-violates-pathlen-0",
            Bad,
            AUTHORITY,
            vec![&zero, &zero],
        ),
        (
            "intermediate-pathlen-may-increase",
            Good,
            AUTHORITY,
            vec![&one, &two],
        ),
        (
            "intermediate-pathlen-too-long",
            Bad,
            AUTHORITY,
            vec![&one, &zero, &zero],
        ),
        ("root-pathlen-0", Bad, &zero, vec![AUTHORITY]),
        ("root-pathlen-1", Good, &one, vec![AUTHORITY]),
    ];
    for (case, verdict, root, between) in cases {
        let problem = chain(case, verdict, root, &between, &leaf(), Purpose::Any);
        if verdict == Bad {
            assert_eq!(problem, Some(Problem::PathLength), "{case}");
        }
    }
}

#[test]
fn who_is_no_authority_issues_nothing() {
    let cases = [
        (
            "without-ca-bit",
            Bad,
            "basicConstraints = critical, CA:FALSE\nkeyUsage = critical, digitalSignature",
        ),
        (
            "keycertsign-without-ca-bit",
            Bad,
            "basicConstraints = critical, CA:FALSE\nkeyUsage = critical, keyCertSign",
        ),
        (
            "missing-basic-constraints",
            Bad,
            "subjectKeyIdentifier = hash\nkeyUsage = critical, digitalSignature",
        ),
        (
            "keycertsign-alone",
            Bad,
            "subjectKeyIdentifier = hash\nkeyUsage = critical, keyCertSign",
        ),
        (
            "without-keycertsign",
            Bad,
            "basicConstraints = critical, CA:TRUE\nkeyUsage = critical, digitalSignature",
        ),
        (
            "not-critical-basic-constraints",
            Good,
            "basicConstraints = CA:TRUE\nkeyUsage = keyCertSign",
        ),
        (
            "without-key-usage",
            Good,
            "basicConstraints = critical, CA:TRUE",
        ),
    ];
    for (case, verdict, between) in cases {
        chain(case, verdict, AUTHORITY, &[between], &leaf(), Purpose::Any);
    }
}

#[test]
fn critical_extensions_that_nobody_understands_are_refused_anywhere() {
    let unknown = "1.2.3.4.5 = critical, DER:0500";
    let known = "1.2.3.4.5 = DER:0500";
    chain(
        "leaf",
        Bad,
        AUTHORITY,
        &[],
        &format!("{}\n{unknown}", leaf()),
        Purpose::Any,
    );
    chain(
        "leaf-not-critical",
        Good,
        AUTHORITY,
        &[],
        &format!("{}\n{known}", leaf()),
        Purpose::Any,
    );
    chain(
        "intermediate",
        Bad,
        AUTHORITY,
        &[&with(unknown)],
        &leaf(),
        Purpose::Any,
    );
    let policies = with("policyConstraints = critical, requireExplicitPolicy:0");
    // Policies are not processed here: so what asks for it is refused.
    let problem = chain(
        "policies",
        Stricter,
        AUTHORITY,
        &[&policies],
        &leaf(),
        Purpose::Any,
    );
    assert!(matches!(problem, Some(Problem::Policies(_))));
    let any = format!("{}\ncertificatePolicies = critical, 1.2.3.4", leaf());
    chain(
        "certificate-policies",
        Good,
        AUTHORITY,
        &[],
        &any,
        Purpose::Any,
    );
}

#[test]
fn validity_is_held_for_every_certificate_of_the_path() {
    let workshop = Workshop::new();
    let root = workshop.authority("R", KEY);
    let past = |extensions: &str| Issuance {
        not_after: "20210101000000Z".to_owned(),
        ..issuance(extensions)
    };
    let future = |extensions: &str| Issuance {
        not_before: "20300101000000Z".to_owned(),
        ..issuance(extensions)
    };
    for made in [past, future] {
        let old = root.device_with("a", KEY, &made(&leaf()));
        let error = hold("leaf", Bad, &old, &[], &root, Purpose::Any).unwrap();
        assert!(matches!(
            error.problem,
            Problem::Expired(_) | Problem::NotYetValid(_)
        ));
        let issuer = root.intermediate_with("I", KEY, &made(AUTHORITY));
        let fresh = issuer.device_with("a", KEY, &issuance(&leaf()));
        let error = hold("intermediate", Bad, &fresh, &[&issuer], &root, Purpose::Any).unwrap();
        assert_eq!(error.subject, "CN=I");
    }
}

#[test]
fn another_root_of_the_same_name_and_a_missing_intermediate_are_refused() {
    let workshop = Workshop::new();
    let (root, same_name, other) = (
        workshop.authority("R", KEY),
        workshop.authority("R", KEY),
        workshop.authority("S", KEY),
    );
    let issuer = root.intermediate("I", KEY);
    let person = issuer.device_with("a", KEY, &issuance(&leaf()));
    hold("whole", Good, &person, &[&issuer], &root, Purpose::Any);
    let missing = hold("missing", Bad, &person, &[], &root, Purpose::Any).unwrap();
    assert_eq!(missing.problem, Problem::NoIssuer);
    hold("other", Bad, &person, &[&issuer], &other, Purpose::Any);
    let direct = root.device_with("a", KEY, &issuance(&leaf()));
    hold("same name", Bad, &direct, &[], &same_name, Purpose::Any);
}

/// Two authorities of one name, of which one is expired: the path is found over the other, in whatever order they are given.
#[test]
fn a_path_is_found_among_several_authorities_of_one_name() {
    let workshop = Workshop::new();
    let root = workshop.authority("R", KEY);
    let old = root.intermediate_with(
        "I",
        KEY,
        &Issuance {
            not_after: "20210101000000Z".to_owned(),
            ..issuance("basicConstraints = critical, CA:TRUE\nkeyUsage = critical, keyCertSign")
        },
    );
    let new = root.device_with_key(
        "I",
        old.key.clone(),
        &issuance("basicConstraints = critical, CA:TRUE\nkeyUsage = critical, keyCertSign"),
    );
    let new = workshop.authority_of(new.certificate.clone(), old.key.clone());
    let person = new.device_with("a", KEY, &issuance(&leaf()));
    for order in [[&old, &new], [&new, &old]] {
        hold("order", Good, &person, &order, &root, Purpose::Any);
    }
}

#[test]
fn signature_algorithms() {
    let workshop = Workshop::new();
    for (algorithm, digest, verdict) in [
        (KeyAlgorithm::Rsa(2048), "sha256", Good),
        (KeyAlgorithm::Rsa(2048), "sha512", Good),
        (KeyAlgorithm::P256, "sha512", Good),
        (KeyAlgorithm::P384, "sha384", Good),
        (KeyAlgorithm::P521, "sha256", Good),
        // OpenSSL's command accepts it at its default security level.
        (KeyAlgorithm::Rsa(2048), "sha1", Stricter),
    ] {
        let root = workshop.authority("R", algorithm);
        let issuance = Issuance {
            digest: digest.to_owned(),
            ..issuance(&leaf())
        };
        let person = root.device_with("a", KEY, &issuance);
        hold(digest, verdict, &person, &[], &root, Purpose::Any);
    }
    let root = workshop.authority("R", KeyAlgorithm::Rsa(2048));
    let pss = Issuance {
        pss_salt: Some("digest"),
        ..issuance(&leaf())
    };
    hold(
        "pss",
        Good,
        &root.device_with("a", KEY, &pss),
        &[],
        &root,
        Purpose::Any,
    );
}

#[test]
fn a_changed_octet_anywhere_in_a_certificate_is_refused() {
    fips::start(Policy::STRICT).unwrap();
    let workshop = Workshop::new();
    let root = workshop.authority("R", KEY);
    let person = root.device_with("a", KEY, &issuance(&leaf()));
    let roots = [certificate(&root.certificate)];
    let der = person.der();
    let verification = Verification {
        roots: &roots,
        at: AT,
        ..Verification::default()
    };
    verification
        .verify(&Certificate::read(&der).unwrap())
        .unwrap();
    for at in 0..der.len() {
        for change in [0x01, 0x80] {
            let mut changed = der.clone();
            changed[at] ^= change;
            if let Ok(read) = Certificate::read(&changed) {
                assert!(
                    Verification {
                        roots: &roots,
                        at: AT,
                        ..Verification::default()
                    }
                    .verify(&read)
                    .is_err(),
                    "octet {at}"
                );
            }
        }
        assert!(Certificate::read(&der[..at]).is_err());
    }
}

/// Authorities that issue to each other without end, and long chains: the search ends within its bounds.
#[test]
fn loops_and_endless_chains_end() {
    fips::start(Policy::STRICT).unwrap();
    let workshop = Workshop::new();
    let root = workshop.authority("R", KEY);
    let mut issuers = vec![root.intermediate("I0", KEY)];
    for number in 1..11 {
        let next = issuers
            .last()
            .unwrap()
            .intermediate(&format!("I{number}"), KEY);
        issuers.push(next);
    }
    let person = issuers
        .last()
        .unwrap()
        .device_with("a", KEY, &issuance(&leaf()));
    let all: Vec<&Authority<'_>> = issuers.iter().collect();
    let error = hold("twelve", Stricter, &person, &all, &root, Purpose::Any).unwrap();
    assert_eq!(error.problem, Problem::TooLong);
    // X issues to Y and Y to X; neither to anybody who is trusted.
    let (x, y) = (workshop.authority("X", KEY), workshop.authority("Y", KEY));
    let ca = issuance(AUTHORITY);
    let x_by_y = y.device_with_key("X", x.key.clone(), &ca);
    let y_by_x = x.device_with_key("Y", y.key.clone(), &ca);
    let person = x.device_with("a", KEY, &issuance(&leaf()));
    let x_by_y = workshop.authority_of(x_by_y.certificate.clone(), x.key.clone());
    let y_by_x = workshop.authority_of(y_by_x.certificate.clone(), y.key.clone());
    hold(
        "loop",
        Bad,
        &person,
        &[&x_by_y, &y_by_x],
        &root,
        Purpose::Any,
    );
}
