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
    let why = find(std::slice::from_ref(&nowhere)).unwrap_err();
    assert!(
        why.contains("lead to none of the configured roots"),
        "{why}"
    );
    // The search has an end.
    let why = find(&many).unwrap_err();
    assert!(why.contains("first 64 signatures"), "{why}");
    let why = find(&[]).unwrap_err();
    assert!(why.contains("none of the configured roots"), "{why}");
}
