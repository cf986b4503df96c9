//! Keys of connectors' identities.

use super::*;

#[test]
fn a_client_key_signs_for_nothing_else_and_an_identity_stands_in_the_place_of_files() {
    const ENGINE: &str = "[engine]\nsocket = \"s\"\nallowed_uids = [7]\nexceptions = [\"no-device-anchors\", \"no-receipts\", \"unsigned-records\", \"co-located-ca\"]\n\
        [engine.token]\nmodule = \"/m\"\nlabel = \"t\"\npin_file = \"p\"\n[[engine.ca]]\nname = \"ca\"\nsigning_key = \"ca-key\"\ncertificate = \"c\"\n";
    let said = |keys: &str| -> String {
        let all = read(&format!("{ENGINE}{keys}")).unwrap().inconsistencies();
        let all: Vec<_> = all.iter().map(|problem| problem.text.as_str()).collect();
        all.join("\n")
    };
    let key = |name: &str, label: &str, more: &str| {
        format!(
            "[[engine.client_keys]]\nname = \"{name}\"\nsigning_key = \"{label}\"\ncommon_name = \"connector-1\"\n{more}"
        )
    };
    assert_eq!(
        said(&(key("a", "x", "uids = [7]\n") + &key("b", "y", ""))),
        ""
    );
    for (keys, because) in [
        (key("a", "ca-key", ""), "engine.ca.ca"),
        (
            key("a", "x", "") + &key("b", "x", ""),
            "engine.client_keys.a",
        ),
        (key("a", "x", "") + &key("a", "y", ""), "two are called"),
        (key("a", "x", "uids = [8]\n"), "engine.allowed_uids"),
        (key("a b", "x", ""), "letters"),
        (
            key("a", "x", "").replace("connector-1", "a,b"),
            "common_name",
        ),
    ] {
        let found = said(&keys);
        assert!(found.contains(because), "{keys}: {found}");
    }

    const CONNECTOR: &str = "[connector]\ninstance = \"a\"\ngateway = \"https://g\"\ngateway_ca = \"b\"\nengine_socket = \"d\"\njournal = \"e\"\ncontrol_socket = \"f\"\n";
    const REST: &str = "[connector.log]\ndirectory = \"g\"\n";
    const IDENTITY: &str = "[connector.identity]\nclient_key = \"k\"\nfolder = \"i\"\n";
    let files = "certificate = \"c\"\nprivate_key = \"k\"\n";
    for (plain, table, because) in [
        (files, "", ""),
        ("", IDENTITY, ""),
        ("", "", "who the connector is"),
        (files, IDENTITY, "only one of them"),
        ("certificate = \"c\"\n", "", "come together"),
    ] {
        let read = read(&format!("{CONNECTOR}{plain}{REST}{table}")).unwrap();
        let found: Vec<_> = read.inconsistencies();
        match because {
            "" => assert_eq!(found, Vec::new()),
            because => assert!(found[0].text.contains(because), "{found:?}"),
        }
    }
}

#[test]
fn an_enrolment_needs_what_its_authority_needs() {
    const GATEWAY: &str = "[gateway]\nlisten = \"127.0.0.1:0\"\ncertificate = \"a\"\nprivate_key = \"b\"\nconnector_ca = \"c\"\ndatabase = \"d\"\n\
        [gateway.enrolment.ca]\nname = \"x\"\nroots = \"r\"\n";
    let said = |keys: &str| -> String {
        let all = read(&format!("{GATEWAY}{keys}")).unwrap().inconsistencies();
        let all: Vec<_> = all.iter().map(|problem| problem.text.as_str()).collect();
        all.join("\n")
    };
    let local = "kind = \"local\"\n[[local_ca]]\nname = \"x\"\nengine_socket = \"s\"\ncertificate = \"c\"\nfolder = \"f\"\n";
    assert_eq!(said(local), "");
    assert!(said("kind = \"local\"\n").contains("no `[[local_ca]]`"));
    assert!(said("kind = \"est\"\n").contains("`gateway.enrolment.ca` \"x\": `url` is missing"));
    let est = "kind = \"est\"\nurl = \"https://ca\"\nserver_ca = \"s\"\ncertificate = \"c\"\nclient_key = \"k\"\n";
    assert!(said(est).contains("the gateway has no engine"));
}
