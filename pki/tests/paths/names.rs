//! Name constraints, kind by kind.

use super::*;

/// A constraint of an intermediate authority, and a leaf with these names.
fn case(constraints: &str, names: &str, verdict: Verdict) {
    let between = with(&format!("nameConstraints = critical, {constraints}"));
    let name = format!("{constraints} | {names}");
    let problem = chain(
        &name,
        verdict,
        AUTHORITY,
        &[&between],
        &person(names),
        Purpose::Any,
    );
    if verdict != Good {
        assert!(
            matches!(problem, Some(Problem::NameConstraints(_))),
            "{name}: {problem:?}"
        );
    }
}

#[test]
fn dns() {
    for (constraints, names, verdict) in [
        ("permitted;DNS:example.com", "DNS:example.com", Good),
        ("permitted;DNS:example.com", "DNS:a.b.example.com", Good),
        ("permitted;DNS:example.com", "DNS:EXAMPLE.com", Good),
        ("permitted;DNS:example.com", "DNS:badexample.com", Bad),
        ("permitted;DNS:example.com", "DNS:example.org", Bad),
        (
            "permitted;DNS:example.com",
            "DNS:a.example.com, DNS:example.org",
            Bad,
        ),
        ("permitted;DNS:.example.com", "DNS:a.example.com", Good),
        ("permitted;DNS:.example.com", "DNS:example.com", Bad),
        ("excluded;DNS:example.com", "DNS:a.example.com", Bad),
        ("excluded;DNS:example.com", "DNS:example.org", Good),
        (
            "permitted;DNS:example.com, excluded;DNS:secret.example.com",
            "DNS:a.secret.example.com",
            Bad,
        ),
        ("permitted;DNS:example.com", "DNS:*.example.com", Good),
        // The wildcard stands for the host that is excluded.
        (
            "excluded;DNS:secret.example.com",
            "DNS:*.example.com",
            Stricter,
        ),
        // Names of other kinds are not constrained.
        ("permitted;DNS:example.com", "email:a@example.org", Good),
    ] {
        case(constraints, names, verdict);
    }
}

#[test]
fn email() {
    for (constraints, names, verdict) in [
        ("permitted;email:example.com", "email:ada@example.com", Good),
        ("permitted;email:example.com", "email:ada@EXAMPLE.com", Good),
        (
            "permitted;email:example.com",
            "email:ada@mail.example.com",
            Bad,
        ),
        (
            "permitted;email:.example.com",
            "email:ada@mail.example.com",
            Good,
        ),
        ("permitted;email:.example.com", "email:ada@example.com", Bad),
        (
            "permitted;email:ada@example.com",
            "email:ada@example.com",
            Good,
        ),
        (
            "permitted;email:ada@example.com",
            "email:bob@example.com",
            Bad,
        ),
        (
            "permitted;email:ada@example.com",
            "email:Ada@example.com",
            Bad,
        ),
        ("excluded;email:example.com", "email:ada@example.com", Bad),
        (
            "excluded;email:ada@example.com",
            "email:bob@example.com",
            Good,
        ),
        (
            "permitted;email:example.com",
            "email:ada@example.com, email:ada@example.org",
            Bad,
        ),
        (
            "permitted;email:example.com",
            "otherName:1.3.6.1.5.5.7.8.9;UTF8:jürgen@example.com",
            Good,
        ),
        (
            "permitted;email:example.com",
            "otherName:1.3.6.1.5.5.7.8.9;UTF8:jürgen@example.org",
            Bad,
        ),
    ] {
        case(constraints, names, verdict);
    }
}

#[test]
fn uri_and_ip() {
    for (constraints, names, verdict) in [
        (
            "permitted;URI:example.com",
            "URI:https://example.com/a",
            Good,
        ),
        (
            "permitted;URI:example.com",
            "URI:https://a.example.com/",
            Bad,
        ),
        (
            "permitted;URI:.example.com",
            "URI:https://a.example.com:8443/x",
            Good,
        ),
        (
            "permitted;URI:example.com",
            "URI:https://user@example.com/",
            Bad,
        ),
        ("excluded;URI:example.com", "URI:https://example.com/", Bad),
        // No host: RFC 5280 has it refused where URIs are constrained.
        ("permitted;URI:example.com", "URI:urn:x:y", Bad),
        ("permitted;IP:10.0.0.0/255.0.0.0", "IP:10.1.2.3", Good),
        ("permitted;IP:10.0.0.0/255.0.0.0", "IP:11.1.2.3", Bad),
        ("excluded;IP:10.0.0.0/255.0.0.0", "IP:10.1.2.3", Bad),
        ("excluded;IP:10.0.0.0/255.0.0.0", "IP:2001:db8::1", Good),
        (
            "permitted;IP:2001:db8:0:0:0:0:0:0/ffff:ffff:0:0:0:0:0:0",
            "IP:2001:db8::1",
            Good,
        ),
        (
            "permitted;IP:2001:db8:0:0:0:0:0:0/ffff:ffff:0:0:0:0:0:0",
            "IP:2001:db9::1",
            Bad,
        ),
    ] {
        case(constraints, names, verdict);
    }
}

#[test]
fn directory_names() {
    let constrained = |kind: &str, name: &str| {
        with(&format!(
            "nameConstraints = critical, {kind};dirName:dn\n[dn]\nCN = {name}"
        ))
    };
    for (kind, name, subject, verdict) in [
        ("permitted", "Ada", "Ada", Good),
        ("permitted", "ada", "ADA", Good),
        ("permitted", "Ada", "Bob", Bad),
        ("excluded", "Ada", "Ada", Bad),
        ("excluded", "Ada", "Bob", Good),
    ] {
        let between = constrained(kind, name);
        let case = format!("{kind} {name} {subject}");
        chain_named(
            &case,
            verdict,
            AUTHORITY,
            &[&between],
            (subject, &person("email:a@b.example")),
            Purpose::Any,
        );
    }
}

#[test]
fn constraints_of_the_root_and_of_every_authority_hold_together() {
    let permits = |domain: &str| {
        with(&format!(
            "nameConstraints = critical, permitted;DNS:{domain}"
        ))
    };
    let (wide, narrow, other) = (
        permits("example.com"),
        permits("a.example.com"),
        permits("example.org"),
    );
    let name = person("DNS:x.a.example.com");
    chain("both", Good, &wide, &[&narrow], &name, Purpose::Any);
    chain("narrow first", Good, &narrow, &[&wide], &name, Purpose::Any);
    chain(
        "wider below",
        Bad,
        &narrow,
        &[&wide],
        &person("DNS:x.example.com"),
        Purpose::Any,
    );
    chain(
        "nothing in common",
        Bad,
        &wide,
        &[&other],
        &name,
        Purpose::Any,
    );
    chain(
        "not critical",
        Bad,
        AUTHORITY,
        &[&with("nameConstraints = permitted;DNS:example.org")],
        &name,
        Purpose::Any,
    );
}

#[test]
fn what_is_not_processed_is_refused() {
    let upn = "permitted;otherName:1.3.6.1.4.1.311.20.2.3;UTF8:@corp.example";
    let between = with(&format!("nameConstraints = critical, {upn}"));
    chain(
        "upn",
        Bad,
        AUTHORITY,
        &[&between],
        &person("otherName:1.3.6.1.4.1.311.20.2.3;UTF8:a@corp.example"),
        Purpose::Any,
    );
    // A leaf has no business constraining names.
    let leaf = format!(
        "{}\nnameConstraints = permitted;DNS:example.com",
        person("email:a@b.example")
    );
    chain("leaf", Stricter, AUTHORITY, &[], &leaf, Purpose::Any);
}

#[test]
fn a_common_name_that_looks_like_a_host_is_constrained_where_there_is_no_other_one() {
    let between = with("nameConstraints = critical, permitted;DNS:example.com");
    let names = person("email:a@b.example");
    chain_named(
        "outside",
        Bad,
        AUTHORITY,
        &[&between],
        ("host.example.org", &names),
        Purpose::Any,
    );
    chain_named(
        "inside",
        Good,
        AUTHORITY,
        &[&between],
        ("host.example.com", &names),
        Purpose::Any,
    );
}

/// RFC 5280 section 7.1: an issuer is named in upper or lower case and with any spaces, in certificates and in revocation lists.
#[test]
fn an_issuers_name_is_compared_without_regard_to_case_and_spaces() {
    let workshop = Workshop::new();
    let key = workshop.key(KEY);
    let as_named = workshop.authority_with_key("Example  Root CA", &key);
    for (name, verdict) in [
        ("Example  Root CA", Good),
        ("EXAMPLE root  Ca", Good),
        ("Example RootCA", Bad),
        ("Example Root CAs", Bad),
    ] {
        let issuer = workshop.authority_with_key(name, &key);
        let leaf = issuer.device_with("Ada", KEY, &issuance(&person("email:ada@example.com")));
        let problem = hold(name, verdict, &leaf, &[], &as_named, Purpose::Any);
        let expected = (verdict == Bad).then_some(Problem::NoIssuer);
        assert_eq!(problem.map(|error| error.problem), expected, "{name}");

        let list = issuer.revocation_list(&[&leaf], ("20261101000000Z", "20261231000000Z"), "");
        let (_, der) = der::pem::decode_vec(&std::fs::read(&list).unwrap()).unwrap();
        let own = as_named.device_with_key("Ada", leaf.key.clone(), &issuance(&leaf_names()));
        let lists = [pki::revocation_list::RevocationList::read(&der).unwrap()];
        let verification = Verification {
            roots: &[certificate(&as_named.certificate)],
            lists: &lists,
            at: AT,
            ..Verification::default()
        };
        let own = certificate(&own.certificate);
        let verified = verification
            .verify(&own)
            .map(|path| path.revocation_checked);
        // The list is current and the root's own key signed it: what counts is the name.
        match verdict {
            Good => assert_eq!(verified, Ok(vec![true]), "{name}"),
            _ => assert_eq!(
                verified.unwrap_err().problem,
                Problem::RevocationUnknown,
                "{name}"
            ),
        }
    }
}

fn leaf_names() -> String {
    person("email:ada@example.com")
}
