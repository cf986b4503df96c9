//! A request for an authority that this connector does not have.

use super::bench::Bench;
use crate::connector::pkcs::order::End;
use crate::connector::pkcs::work::no_authority;

#[test]
fn it_is_given_back_since_another_connector_may_have_the_authority() {
    let item = Bench::new(&[]).item;
    let (draft, end) = no_authority(&item, &["branch", "third"]);
    let End::GiveBack(report) = end else {
        panic!("{end:?}")
    };
    assert_eq!(report.code, "unknownAuthority");
    assert!(report.message.contains("branch, third"), "{report:?}");
    let event = draft.finish(0, "instance");
    assert_eq!(event.id, 1051);
    assert_eq!(event.request_id.as_deref(), Some(item.request_id.as_str()));
    for (name, value) in [
        ("platform", item.profile.platform.as_str()),
        ("ca", &item.profile.ca),
        ("code", "unknownAuthority"),
    ] {
        assert_eq!(event.fields[name], value, "{name}");
    }
}
