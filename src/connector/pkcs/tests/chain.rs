//! Paths among certificates of the same name: the one that is valid is found, whichever comes first, and the search ends.

use super::scripted::Workshop;
use crate::clock::{Clock, SystemClock};
use crate::connector::pkcs::chain::path;

#[test]
fn a_certificate_of_the_issuer_that_leads_nowhere_hides_none_that_does() {
    let workshop = Workshop::new();
    let nowhere = workshop.between("stranger");
    let good = workshop.between("root");
    let leaf = workshop.below(&workshop.csr("/CN=anna", "email:anna@example.com"));
    let roots = [workshop.root()];
    let now_ms = SystemClock.now_ms();
    let find = |others: &[Vec<u8>]| path(&leaf, others, &[], &roots, now_ms);
    let wanted = vec![good.clone(), workshop.root()];
    assert_eq!(find(&[nowhere.clone(), good.clone()]), Ok(wanted.clone()));
    assert_eq!(find(&[good.clone(), nowhere.clone()]), Ok(wanted.clone()));
    // What the operator configured is tried before what came along.
    let many = vec![nowhere.clone(); 200];
    assert_eq!(path(&leaf, &many, &[good], &roots, now_ms), Ok(wanted));
    let why = find(&many).unwrap_err();
    assert!(
        why.contains("lead to none of the configured roots"),
        "{why}"
    );
    let why = find(&[]).unwrap_err();
    assert!(why.contains("none of the configured roots"), "{why}");
    // What is trusted issues; it is not issued.
    let why = path(&leaf, &[], &[], std::slice::from_ref(&leaf), now_ms).unwrap_err();
    assert!(why.contains("one of the configured roots"), "{why}");
}

/// Each with what devices and mail programs would do with it: refuse it.
#[test]
fn what_the_path_does_not_permit_is_refused_as_every_verifier_does() {
    let workshop = Workshop::new();
    let csr = workshop.csr("/CN=anna", "email:anna@example.com");
    let (roots, now_ms) = ([workshop.root()], SystemClock.now_ms());
    let address = "subjectAltName=email:anna@example.com";
    let unknown = "1.2.3.4=critical,ASN1:NULL";
    let constraint = |domain| format!("nameConstraints=critical,permitted;email:{domain}");
    let (both, none) = (format!("{address}\n{unknown}"), String::new());
    for (above, below, refused) in [
        (&none, address, None),
        (&constraint("example.com"), address, None),
        (
            &constraint("example.org"),
            address,
            Some("anna@example.com"),
        ),
        (
            &unknown.to_owned(),
            address,
            Some("critical extension 1.2.3.4"),
        ),
        (&none, both.as_str(), Some("critical extension 1.2.3.4")),
    ] {
        let between = workshop.between_with("root", above);
        let leaf = workshop.below_with(&csr, below);
        let found = path(&leaf, &[], &[between], &roots, now_ms);
        match refused {
            None => assert_eq!(found.unwrap().len(), 2, "{above} {below}"),
            Some(words) => {
                let why = found.unwrap_err();
                assert!(why.contains(words), "{above} {below}: {why}");
            }
        }
    }
}
