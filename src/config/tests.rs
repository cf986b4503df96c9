//! The schema, the structures, the example and the loader agree.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

mod identity;

use super::load::parse_in as parse;
use super::schema::{Key, Kind, Need, ROOT};
use super::*;
use serde::de::{self, DeserializeOwned, Visitor};
use std::path::Path;

/// Deserializer that answers nothing but notes which fields a structure asks for.
struct FieldNames<'a>(&'a mut &'static [&'static str]);

#[derive(Debug)]
struct Noted;

impl std::fmt::Display for Noted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("noted")
    }
}

impl std::error::Error for Noted {}

impl de::Error for Noted {
    fn custom<T: std::fmt::Display>(_: T) -> Self {
        Self
    }
}

impl<'de> de::Deserializer<'de> for FieldNames<'_> {
    type Error = Noted;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Noted> {
        Err(Noted)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Noted> {
        *self.0 = fields;
        Err(Noted)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

fn fields_of<T: DeserializeOwned>() -> Vec<&'static str> {
    let mut fields: &'static [&'static str] = &[];
    let _ = T::deserialize(FieldNames(&mut fields));
    let mut fields = fields.to_vec();
    fields.sort_unstable();
    fields
}

fn table_at(path: &str) -> &'static [Key] {
    path.split('.').fold(ROOT, |keys, name| {
        let key = keys.iter().find(|key| key.name == name).expect(path);
        match key.kind {
            Kind::Table(inner) | Kind::Tables(inner) => inner,
            _ => panic!("{path} is no table"),
        }
    })
}

#[test]
fn the_schema_has_exactly_the_keys_of_the_structures() {
    fn same<T: DeserializeOwned>(path: &str) {
        let mut names: Vec<_> = table_at(path).iter().map(|key| key.name).collect();
        names.sort_unstable();
        assert_eq!(names, fields_of::<T>(), "[{path}]");
    }
    let mut top: Vec<_> = ROOT.iter().map(|key| key.name).collect();
    top.sort_unstable();
    assert_eq!(top, fields_of::<Config>());
    same::<FipsConfig>("fips");
    same::<EngineConfig>("engine");
    same::<DevicePolicyConfig>("engine.device_policy");
    same::<PfxConfig>("engine.pfx");
    same::<AuditConfig>("engine.audit");
    same::<ApprovalsConfig>("engine.approvals");
    same::<OracleConfig>("engine.oracle");
    same::<RestartConfig>("engine.restart");
    same::<IssuanceConfig>("engine.issuance");
    same::<RotationConfig>("engine.rotation");
    same::<TokenSection>("engine.token");
    same::<TokenSection>("engine.tokens");
    same::<CaConfig>("engine.ca");
    same::<CaProfileConfig>("engine.ca.profiles");
    same::<ClientKeyConfig>("engine.client_keys");
    same::<ImporterConfig>("engine.importers");
    same::<Pkcs1KeyConfig>("engine.pkcs1_keys");
    same::<ConnectorConfig>("connector");
    same::<RetryConfig>("connector.retry");
    same::<ProxyConfig>("connector.proxy");
    same::<LogConfig>("connector.log");
    same::<IdentityConfig>("connector.identity");
    same::<PkcsConfig>("connector.pkcs");
    same::<RevocationConfig>("connector.revocation");
    same::<AuthorityConfig>("connector.ca");
    same::<GatewayConfig>("gateway");
    same::<RevocationBrake>("gateway.revocation");
    same::<EnrolmentConfig>("gateway.enrolment");
    same::<AuthorityConfig>("gateway.enrolment.ca");
    same::<RetentionConfig>("gateway.retention");
    same::<GatewayLimits>("gateway.limits");
    same::<ImportConfig>("import");
    same::<LocalCaConfig>("local_ca");
    same::<TokenSection>("import.token");
    // A table that is added to the schema is added above.
    fn tables(keys: &[Key]) -> usize {
        keys.iter()
            .map(|key| match key.kind {
                Kind::Table(inner) | Kind::Tables(inner) => 1 + tables(inner),
                _ => 0,
            })
            .sum()
    }
    assert_eq!(tables(ROOT), 34);
}

fn read(text: &str) -> Result<Config, ConfigError> {
    parse(text, Path::new("test.toml"), Path::new("/conf"))
}

fn complaint(text: &str) -> String {
    read(text).expect_err("must be refused").to_string()
}

/// The example with its commented keys switched on that are chosen.
fn example_with(switch_on: impl Fn(&Key) -> bool) -> String {
    fn names(keys: &[Key], wanted: &dyn Fn(&Key) -> bool, into: &mut Vec<String>) {
        for key in keys {
            if let Kind::Table(inner) | Kind::Tables(inner) = key.kind {
                names(inner, wanted, into);
            } else if wanted(key) {
                into.push(format!("#{} = {}", key.name, key.need.value()));
            }
        }
    }
    let mut wanted = Vec::new();
    names(ROOT, &switch_on, &mut wanted);
    let lines = example();
    let lines = lines.lines().map(|line| {
        if wanted.iter().any(|key| key == line) {
            line[1..].to_owned()
        } else {
            line.to_owned()
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_example_is_accepted_as_it_is_printed() {
    let config = read(&example()).unwrap();
    assert_eq!(config.inconsistencies(), Vec::new());
    assert!(config.engine.is_some() && config.connector.is_some());
    assert!(config.gateway.is_some() && config.import.is_some());
}

#[test]
fn the_defaults_that_the_example_shows_are_the_defaults() {
    // Keys of optional tables stay off: without their header they would land in another table.
    let text = with_one_token(&example());
    let (usual, _) = text.split_once("#[connector.proxy]").unwrap();
    let (_, rest) = text.split_once("\n[connector.log]").unwrap();
    let (before, issuance) = usual.split_once("#[engine.issuance]").unwrap();
    let (_, after) = issuance.split_once("\n\n").unwrap();
    let usual = format!("{before}\n{after}");
    let (rest, _) = rest.split_once("#[import.token]").unwrap();
    let text = format!("{usual}\n[connector.log]{rest}");
    let switched: Vec<String> = text
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(key) if is_default(key) => key.to_owned(),
            _ => line.to_owned(),
        })
        .collect();
    assert_ne!(switched.join("\n"), text.trim_end());
    assert_eq!(read(&switched.join("\n")).unwrap(), read(&text).unwrap());
}

/// The example without the tables that stand for several tokens and for authorities: their keys are those of the ones above them.
fn with_one_token(example: &str) -> String {
    let (before, several) = example.split_once("#[[engine.tokens]]").unwrap();
    let (_, after) = several.split_once("\n\n").unwrap();
    let (middle, authorities) = after.split_once("#[[engine.ca]]").unwrap();
    let (_, importers) = authorities.split_once("\n[[engine.importers]]").unwrap();
    let (importers, _) = importers.split_once("#[[local_ca]]").unwrap();
    let (importers, keys) = importers.split_once("#[[engine.pkcs1_keys]]").unwrap();
    let (_, after) = keys.split_once("\n\n").unwrap();
    let importers = format!("{importers}\n{after}");
    let (importers, issuance) = importers.split_once("#[connector.identity]").unwrap();
    let (_, gateway) = issuance.split_once("\n[gateway]").unwrap();
    let (gateway, enrolment) = gateway.split_once("#[gateway.enrolment]").unwrap();
    let (_, retention) = enrolment.split_once("\n[gateway.retention]").unwrap();
    let gateway = format!("{gateway}\n[gateway.retention]{retention}");
    format!("{before}\n{middle}\n[[engine.importers]]{importers}\n[gateway]{gateway}")
}

fn is_default(line: &str) -> bool {
    fn any(keys: &[Key], line: &str) -> bool {
        keys.iter().any(|key| match key.kind {
            Kind::Table(inner) | Kind::Tables(inner) => any(inner, line),
            _ => {
                matches!(key.need, Need::Default(_))
                    && line == format!("{} = {}", key.name, key.need.value())
            }
        })
    }
    any(ROOT, line)
}

#[test]
fn every_key_switched_on_is_accepted() {
    let text = with_one_token(&example_with(|_| true));
    let text = text
        .replace("#[connector.proxy]", "[connector.proxy]")
        .replace("#[engine.approvals]", "[engine.approvals]")
        .replace("#[engine.issuance]", "[engine.issuance]")
        .replace("#[engine.rotation]", "[engine.rotation]")
        .replace("#[import.token]", "[import.token]");
    let config = read(&text).unwrap();
    assert!(
        config
            .connector
            .unwrap()
            .proxy
            .unwrap()
            .password_file
            .is_some()
    );
    assert!(config.import.unwrap().token.is_some());
}

#[test]
fn every_key_is_in_the_example_and_on_the_page() {
    fn each(keys: &[Key], see: &mut dyn FnMut(&Key)) {
        for key in keys {
            see(key);
            if let Kind::Table(inner) | Kind::Tables(inner) = key.kind {
                each(inner, see);
            }
        }
    }
    let (example, page) = (example(), page());
    each(ROOT, &mut |key| {
        assert!(example.contains(key.name), "{}", key.name);
        assert!(page.contains(key.name), "{}", key.name);
        assert!(page.contains(key.doc), "{}", key.name);
    });
}

#[test]
fn an_unknown_key_is_refused_with_line_path_and_nearest_key() {
    let text = example().replace("[engine.token]", "[engine.tokn]");
    let line = 1 + text.lines().position(|l| l == "[engine.tokn]").unwrap();
    let said = complaint(&text);
    assert!(
        said.contains(&format!(
            "line {line}: unknown key `engine.tokn`: did you mean `token`?"
        )),
        "{said}"
    );
    assert!(said.contains("`engine.token` is missing"), "{said}");
}

#[test]
fn a_key_of_another_table_is_sent_there() {
    let said = complaint("[gateway]\npin_credential = \"x\"\n");
    assert!(
        said.contains("line 2: unknown key `gateway.pin_credential`: it belongs to `engine.token`"),
        "{said}"
    );
}

#[test]
fn a_key_like_no_other_is_answered_with_the_valid_ones() {
    let said = complaint("[connector.retry]\nzzzzzzzz = 1\n");
    assert!(said.contains("valid here: `base_ms`, `max_ms`"), "{said}");
}

#[test]
fn wrong_types_say_what_was_expected() {
    let said = complaint(
        "[connector.retry]\nbase_ms = \"soon\"\nmax_ms = 1.5\n[engine]\nexceptions = [1]\nimporters = 3",
    );
    for part in [
        "line 2: `connector.retry.base_ms`: expected a whole number from 1 to 600000, found a text",
        "line 3: `connector.retry.max_ms`: expected a whole number from 1 to 3600000, found a number with a fraction",
        "line 5: `engine.exceptions`: expected one of `no-device-anchors`",
        "line 6: `engine.importers`: expected a list of tables",
    ] {
        assert!(said.contains(part), "{part} in {said}");
    }
}

#[test]
fn numbers_addresses_urls_and_words_are_held_to_their_limits() {
    let said = complaint(
        "[connector]\nconcurrency = 0\nwait_ms = -1\njournal_max_bytes = 99999999999999999999999\n\
         metrics_listen = \"0.0.0.0:1\"\ngateway = \"http://g\"\n[connector.log]\nconsole = \"jsn\"\n\
         [import]\ncustody_fingerprint = \"12\"\n[engine.token]\nmodule = \"lib.so\"\nlabel = \"\"\n",
    );
    for part in [
        "`connector.concurrency` is 0: it must be from 1 to 1024",
        "`connector.wait_ms` is -1: it must be from 0 to 60000",
        "`connector.journal_max_bytes` is 99999999999999999999999: it must be from",
        "`connector.metrics_listen`: expected a loopback address",
        "`connector.gateway`: expected an https:// URL",
        "`connector.log.console`: unknown value: did you mean `json`?",
        "`import.custody_fingerprint`: expected 64 hexadecimal digits",
        "`engine.token.module`: expected an absolute path",
        "`engine.token.label`: expected a text, found an empty text",
    ] {
        assert!(said.contains(part), "{part} in {said}");
    }
}

#[test]
fn a_url_with_a_password_is_refused() {
    let said = complaint("[import]\ngateway = \"https://user:secret@host\"\n");
    assert!(said.contains("`import.gateway`: expected an https:// URL"));
    assert!(!said.contains("secret"));
}

#[test]
fn relative_paths_start_at_the_folder_of_the_file() {
    let text = example()
        .replace("/etc/pfx-connector/", "")
        .replace("/run/pfx-connector/", "../run/");
    let config = read(&text).unwrap();
    let engine = config.engine.unwrap();
    assert_eq!(engine.socket, Path::new("/conf/../run/engine.sock"));
    assert_eq!(engine.device_anchors, [Path::new("/conf/device-ca.pem")]);
    assert_eq!(
        engine.token.unwrap().pin_file.unwrap(),
        Path::new("/conf/pin")
    );
    assert_eq!(
        engine.importers[0].public_key,
        Path::new("/conf/importer-public.pem")
    );
}

#[test]
fn what_contradicts_itself_is_named() {
    let text = with_one_token(&example())
        .replace(
            "device_anchors = [\"/etc/pfx-connector/device-ca.pem\"]",
            "",
        )
        .replace("#pin_credential", "pin_credential")
        .replace("#backoff_ms = 50", "backoff_ms = 6000");
    // The second, commented token table has the same keys.
    let (text, _) = text.split_once("# A token that does the RSA").unwrap();
    let said = read(text).unwrap().inconsistencies();
    let said: Vec<_> = said.iter().map(|problem| problem.text.as_str()).collect();
    assert!(said.iter().any(|p| p.contains("no-device-anchors")));
    assert!(
        said.iter()
            .any(|p| p.contains("both `pin_file` and `pin_credential`"))
    );
    assert!(said.iter().any(|p| p.contains("engine.restart.backoff_ms")));
}

#[test]
fn rotation_needs_importers() {
    let text = engine_with("[engine.rotation]\nsigning_key = \"s\"\n")
        + &token_table("[engine.token]", "");
    let said = read(&text).unwrap().inconsistencies();
    assert!(
        said.iter()
            .any(|problem| problem.text.contains("`engine.rotation` needs")),
        "{said:?}"
    );
}

/// An engine with these tables for tokens.
fn engine_with(tokens: &str) -> String {
    format!(
        "[engine]\nsocket = \"/run/e.sock\"\nexceptions = [\"no-device-anchors\", \"no-receipts\", \"unsigned-records\"]\n{tokens}"
    )
}

fn token_table(header: &str, more: &str) -> String {
    format!("{header}\nmodule = \"/m.so\"\nlabel = \"t\"\npin_file = \"/p\"\n{more}\n")
}

#[test]
fn one_token_or_several_with_names_are_given_and_never_both() {
    let one = token_table("[engine.token]", "");
    let a = token_table("[[engine.tokens]]", "name = \"a\"\nthreads = 8");
    let b = token_table("[[engine.tokens]]", "name = \"b\"\ndrain = true");
    let single = read(&engine_with(&one)).unwrap().engine.unwrap();
    assert_eq!(single.named_tokens().next().unwrap().0, "token");
    assert!(single.token_named(None).is_some() && single.token_named(Some("x")).is_none());
    let several = read(&engine_with(&format!("{a}{b}"))).unwrap();
    assert_eq!(several.inconsistencies(), Vec::new());
    let several = several.engine.unwrap();
    assert_eq!(several.token_threads(), 12);
    assert!(several.token_named(None).is_none() && several.token_named(Some("b")).unwrap().drain);
    let said = complaint(&engine_with(&format!("{one}{a}")));
    assert!(
        said.contains("`engine.token` and `engine.tokens`: only one of them can be meant"),
        "{said}"
    );
    let said = complaint(&engine_with(""));
    assert!(said.contains("`engine.token` is missing"), "{said}");
}

#[test]
fn tokens_that_cannot_be_together_are_named() {
    let table = |more: &str| token_table("[[engine.tokens]]", more);
    for (tokens, expected) in [
        (
            table("name = \"a\"") + &table("name = \"a\""),
            "two are called `a`",
        ),
        (table("name = \"a\"") + &table(""), "has no `name`"),
        (table("name = \"a b\""), "`engine.tokens.a b.name`"),
        (
            table("name = \"a\"\nthreads = 64\nenvironment = { X = \"1\" }")
                + &table("name = \"b\"\nthreads = 64")
                + &table("name = \"c\"\nthreads = 1"),
            "129 threads together",
        ),
        (
            table("name = \"a\"\nenvironment = { X = \"1\" }")
                + &table("name = \"b\"\nenvironment = { X = \"2\" }"),
            "`engine.tokens.b.environment.X`",
        ),
        (
            (0..17)
                .map(|number| table(&format!("name = \"{number}\"\nthreads = 1")))
                .collect(),
            "17 tokens: 16 at most",
        ),
    ] {
        let config = read(&engine_with(&tokens)).unwrap();
        let said: Vec<_> = config
            .inconsistencies()
            .into_iter()
            .map(|problem| problem.text)
            .collect();
        assert!(said.join("\n").contains(expected), "{expected} in {said:?}");
    }
}

#[test]
fn broken_toml_and_duplicate_keys_are_refused_with_their_line() {
    assert!(complaint("[engine]\nsocket = \n").contains("line 2: not TOML"));
    assert!(complaint("[engine]\nsocket = \"a\"\nsocket = \"b\"\n").contains("line 3: not TOML"));
}

#[test]
fn a_file_that_everybody_may_change_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.toml");
    std::fs::write(&path, "").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666)).unwrap();
    let refusal = load(&path).unwrap_err();
    assert!(refusal.to_string().contains("mode 0666"), "{refusal}");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(load(&path).is_ok());
}

/// What is wrong with a connector that has certificates issued like this.
fn issuing(text: &str) -> String {
    let text = format!(
        "[connector]\ninstance = \"i\"\ngateway = \"https://g.example\"\ngateway_ca = \"a\"\ncertificate = \"b\"\nprivate_key = \"c\"\n\
         engine_socket = \"d\"\njournal = \"e\"\ncontrol_socket = \"f\"\nlog = {{ directory = \"g\" }}\n{text}"
    );
    let said = read(&text).unwrap().inconsistencies();
    let said: Vec<_> = said.iter().map(|problem| problem.text.as_str()).collect();
    said.join("\n")
}

#[test]
fn an_authority_needs_what_its_kind_needs() {
    const PKCS: &str = "[connector.pkcs]\npolicy = \"p\"\n";
    let with = |keys: &str| {
        issuing(&format!(
            "{PKCS}[[connector.ca]]\nname = \"x\"\nroots = \"r\"\n{keys}"
        ))
    };
    for (good, keys) in [
        (
            "cmp",
            "kind = \"cmp\"\nurl = \"http://ca.example/cmp\"\nreference = \"r\"\nsecret_file = \"s\"",
        ),
        (
            "est",
            "kind = \"est\"\nurl = \"https://ca.example\"\nserver_ca = \"s\"\nusername = \"u\"\npassword_file = \"p\"",
        ),
        (
            "adcs",
            "kind = \"adcs\"\nurl = \"https://ca.example\"\nserver_ca = \"s\"\ncertificate = \"u\"\nprivate_key = \"p\"",
        ),
        ("local", "kind = \"local\""),
    ] {
        assert_eq!(with(keys), "", "{good}");
    }
    for (keys, because) in [
        (
            "kind = \"cmp\"\nurl = \"http://ca.example\"",
            "either `certificate`",
        ),
        (
            "kind = \"cmp\"\nurl = \"https://ca.example\"\nreference = \"r\"\nsecret_file = \"s\"",
            "`server_ca`",
        ),
        (
            "kind = \"cmp\"\nreference = \"r\"\nsecret_file = \"s\"",
            "`url`",
        ),
        (
            "kind = \"est\"\nurl = \"https://ca.example\"\nserver_ca = \"s\"",
            "who the connector is",
        ),
        (
            "kind = \"adcs\"\nurl = \"https://ca.example\"\nserver_ca = \"s\"\nusername = \"u\"",
            "come together",
        ),
        ("kind = \"local\"\npause_ms = 3600000", "longest_pause_ms"),
    ] {
        let said = with(keys);
        assert!(said.contains(because), "{keys}: {said}");
    }
    assert!(issuing(PKCS).contains("nobody issues"));
    let alone = "[[connector.ca]]\nname = \"x\"\nroots = \"r\"\nkind = \"local\"\n";
    assert!(issuing(alone).contains("nothing is ever asked for"));
    let revoking = "[connector.revocation]\nper_hour = 10\n";
    assert_eq!(issuing(&format!("{revoking}{alone}")), "");
    assert!(issuing(revoking).contains("nobody revokes"));
    let command = "revoke_command = [\"/r\", \"{serial}\", \"{issuer}\"]\n";
    assert!(issuing(&format!("{revoking}{alone}{command}")).contains("for `adcs` alone"));
    assert!(issuing(&format!("{PKCS}{alone}{alone}")).contains("two authorities"));
}
