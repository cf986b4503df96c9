//! A configuration as it can be handed to somebody else: its keys and values, without comments and without what could be a secret.
//!
//! There is none in it by design: secrets are in files that it names, and none of those is opened here. But people write where they
//! may: so comments are dropped, values of free tables (`environment`), a module's parameters and user names are removed, and an
//! address keeps its scheme, host and path.

use super::schema::{Key, Kind, ROOT};
use toml::{Table, Value};

/// What stands for a value that was removed.
const REMOVED: &str = "(removed)";

/// Keys that say who somebody is to a service of others, and those whose text only the makers of a module understand.
const WITHHELD: [&str; 2] = ["username", "init_parameters"];

const HEADER: &str = "\
# The configuration, without its comments, as its file is now: a running process has what was in it when it started.
# Relative paths start at the folder that it was in.
# Removed: values of environment variables (their names stay), a module's parameters, user names, and everything in an address but scheme, host and path.
# Files and credentials that hold a secret are named; nothing of their content is here.

";

/// The keys and values of a configuration that was read already, in an order of its own.
#[must_use]
pub(super) fn render(mut table: Table) -> String {
    redact_table(&mut table, ROOT);
    // What came from TOML fits into TOML.
    let text = toml::to_string(&table).unwrap_or_default();
    format!("{HEADER}{text}")
}

fn redact_table(table: &mut Table, keys: &[Key]) {
    for (name, value) in table {
        match keys.iter().find(|key| key.name == name) {
            Some(key) if !WITHHELD.contains(&key.name) => redact(value, key.kind),
            // The schema lets no other key pass; should one ever, nothing of it is told.
            _ => *value = removed(),
        }
    }
}

fn redact(value: &mut Value, kind: Kind) {
    match (kind, value) {
        (Kind::HttpsUrl | Kind::ProxyUrl, Value::String(url)) => *url = bare(url),
        (Kind::TextMap, Value::Table(table)) => {
            for (_, value) in table {
                *value = removed();
            }
        }
        (Kind::Table(keys), Value::Table(table)) => redact_table(table, keys),
        (Kind::Tables(keys), Value::Array(tables)) => {
            for table in tables {
                redact(table, Kind::Table(keys));
            }
        }
        _ => {}
    }
}

fn removed() -> Value {
    Value::String(REMOVED.to_owned())
}

/// Scheme, host and path of an address.
fn bare(url: &str) -> String {
    let end = url.find(['?', '#']).unwrap_or(url.len());
    let url = url.get(..end).unwrap_or_default();
    let Some((scheme, rest)) = url.split_once("://") else {
        return REMOVED.to_owned();
    };
    let (authority, path) = match rest.find('/') {
        Some(at) => rest.split_at(at),
        None => (rest, ""),
    };
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    format!("{scheme}://{host}{path}")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;

    fn rendered(text: &str) -> String {
        render(toml::from_str(text).unwrap())
    }

    #[test]
    fn an_address_keeps_scheme_host_and_path() {
        for (url, shown) in [
            ("https://a.example:8443", "https://a.example:8443"),
            ("https://a.example/base/", "https://a.example/base/"),
            ("http://eve:pw@a.example:3128", "http://a.example:3128"),
            ("http://eve:p@w@a.example/x@y", "http://a.example/x@y"),
            ("https://a.example/x?key=1#there", "https://a.example/x"),
            ("https://a.example?sig=a/b", "https://a.example"),
            ("a.example:pw", REMOVED),
        ] {
            assert_eq!(bare(url), shown, "{url}");
        }
    }

    #[test]
    fn what_could_be_a_secret_is_removed_and_the_rest_stays() {
        let text = r#"
            # the PIN is comment-secret
            [fips]
            mode = "strict"
            [engine]
            socket = "engine.sock" # socket-secret
            allowed_uids = [1000]
            [engine.token]
            module = "/usr/lib/token.so"
            label = "custody"
            pin_file = "/etc/pin"
            environment = { TOKEN_PASSWORD = "variable-secret" }
            init_parameters = "secret='parameter-secret'"
            [[engine.importers]]
            name = "pki"
            public_key = "importer.pem"
            [connector.proxy]
            url = "http://user-secret:url-secret@proxy.example:3128"
            username = "name-secret"
            password_file = "/etc/proxy-password"
            [unknown]
            key = "unknown-secret"
        "#;
        let shown = rendered(text);
        assert!(!shown.contains("secret@"), "{shown}");
        for secret in [
            "comment",
            "socket",
            "variable",
            "parameter",
            "user",
            "url",
            "name",
            "unknown",
        ] {
            assert!(!shown.contains(&format!("{secret}-secret")), "{shown}");
        }
        for kept in [
            "mode = \"strict\"",
            "TOKEN_PASSWORD = \"(removed)\"",
            "username = \"(removed)\"",
            "unknown = \"(removed)\"",
            "url = \"http://proxy.example:3128\"",
            "pin_file = \"/etc/pin\"",
            "password_file = \"/etc/proxy-password\"",
            "allowed_uids = [1000]",
            "[[engine.importers]]",
        ] {
            assert!(shown.contains(kept), "{kept} in {shown}");
        }
        // Still TOML, and the same again.
        assert_eq!(rendered(&shown), shown);
    }
}
