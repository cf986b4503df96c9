//! What a certificate is for, and whom it names.

use super::*;

fn leaf(usage: &str, purposes: &str) -> String {
    format!(
        "basicConstraints = CA:FALSE\nkeyUsage = critical, {usage}\nextendedKeyUsage = {purposes}\nsubjectAltName = email:ada@example.com"
    )
}

#[test]
fn smime_and_client() {
    for (case, verdict, extensions, purpose) in [
        (
            "smime",
            Good,
            leaf("digitalSignature", "emailProtection"),
            Purpose::Smime,
        ),
        (
            "client for smime",
            Bad,
            leaf("digitalSignature", "clientAuth"),
            Purpose::Smime,
        ),
        (
            "server for client",
            Bad,
            leaf("digitalSignature", "serverAuth"),
            Purpose::Client,
        ),
        (
            "client",
            Good,
            leaf("digitalSignature", "clientAuth"),
            Purpose::Client,
        ),
        (
            "smime for client",
            Bad,
            leaf("digitalSignature", "emailProtection"),
            Purpose::Client,
        ),
        (
            "signs certificates only",
            Bad,
            leaf("cRLSign", "emailProtection"),
            Purpose::Smime,
        ),
        (
            "any purpose",
            Stricter,
            leaf("digitalSignature", "anyExtendedKeyUsage"),
            Purpose::Any,
        ),
    ] {
        // anyExtendedKeyUsage means any here and at OpenSSL's `any`.
        let verdict = if case == "any purpose" { Good } else { verdict };
        chain(case, verdict, AUTHORITY, &[], &extensions, purpose);
    }
    let no_email = "basicConstraints = CA:FALSE\nkeyUsage = digitalSignature\nextendedKeyUsage = emailProtection";
    let problem = chain(
        "names no address",
        Stricter,
        AUTHORITY,
        &[],
        no_email,
        Purpose::Smime,
    );
    assert!(matches!(problem, Some(Problem::Purpose(_))));
}

#[test]
fn an_authority_limits_the_purposes_below_it() {
    let servers = with("extendedKeyUsage = serverAuth");
    let mail = with("extendedKeyUsage = emailProtection, clientAuth");
    let person = leaf("digitalSignature", "emailProtection");
    chain(
        "servers",
        Bad,
        AUTHORITY,
        &[&servers],
        &person,
        Purpose::Smime,
    );
    chain("mail", Good, AUTHORITY, &[&mail], &person, Purpose::Smime);
    chain("any", Good, AUTHORITY, &[&servers], &person, Purpose::Any);
}

#[test]
fn the_address_is_held_as_openssl_holds_it() {
    fips::start(Policy::STRICT).unwrap();
    let workshop = Workshop::new();
    let root = workshop.authority("R", KEY);
    let leaf = root.device_with("a", KEY, &issuance(&person("email:Ada@Example.com")));
    let roots = [certificate(&root.certificate)];
    let read = Certificate::read(&leaf.der()).unwrap();
    for (email, named) in [
        ("Ada@Example.com", true),
        ("Ada@example.COM", true),
        ("ada@example.com", false),
        ("bob@example.com", false),
        ("Ada", false),
    ] {
        let arguments = [
            "verify",
            "-attime",
            AT_SECONDS,
            "-CAfile",
            text(&root.certificate),
            "-verify_email",
            email,
            text(&leaf.certificate),
        ];
        assert_eq!(try_openssl(&arguments).is_ok(), named, "{email}");
        let ours = Verification {
            roots: &roots,
            email: Some(email),
            at: AT,
            ..Verification::default()
        }
        .verify(&read);
        assert_eq!(ours.is_ok(), named, "{email}");
    }
}

#[test]
fn short_rsa_keys_and_authorities_are_no_persons() {
    let workshop = Workshop::new();
    let root = workshop.authority("R", KEY);
    let short = root.device_with(
        "a",
        KeyAlgorithm::Rsa(1024),
        &issuance(&person("email:a@b.example")),
    );
    hold("rsa-1024", Stricter, &short, &[], &root, Purpose::Any);
    let authority = root.device_with(
        "I",
        KEY,
        &issuance(&with("subjectAltName = email:a@b.example")),
    );
    hold(
        "an authority's as any",
        Good,
        &authority,
        &[],
        &root,
        Purpose::Any,
    );
    hold(
        "an authority's for mail",
        Bad,
        &authority,
        &[],
        &root,
        Purpose::Smime,
    );
}

#[test]
fn a_root_verifies_as_itself_and_a_self_signed_stranger_does_not() {
    let workshop = Workshop::new();
    let (root, other) = (workshop.authority("R", KEY), workshop.authority("S", KEY));
    let as_device = |authority: &Authority<'_>| {
        Device::of(
            Box::leak(Box::new(Workshop::new())),
            authority.certificate.clone(),
            authority.key.clone(),
        )
    };
    hold("itself", Good, &as_device(&root), &[], &root, Purpose::Any);
    hold(
        "stranger",
        Bad,
        &as_device(&other),
        &[],
        &root,
        Purpose::Any,
    );
    hold(
        "stranger among the intermediates",
        Bad,
        &as_device(&other),
        &[&other],
        &root,
        Purpose::Any,
    );
}
