//! Holds a value against a JSON schema: the keywords that the document uses, and no others.

use pfx_connector::encoding::Base64Bytes;
use serde_json::{Map, Value, json};

/// Validates strictly: a keyword that is not known here fails.
pub(crate) fn check(schemas: &Map<String, Value>, schema: &Value, value: &Value, at: &str) {
    for (keyword, rule) in schema.as_object().unwrap() {
        match keyword.as_str() {
            "$ref" => {
                let name = rule.as_str().unwrap().rsplit('/').next().unwrap();
                check(schemas, &schemas[name], value, at);
            }
            "type" => {
                let kinds: Vec<&str> = match rule {
                    Value::Array(kinds) => {
                        kinds.iter().map(|kind| kind.as_str().unwrap()).collect()
                    }
                    kind => vec![kind.as_str().unwrap()],
                };
                let is = |kind: &&str| match *kind {
                    "object" => value.is_object(),
                    "array" => value.is_array(),
                    "string" => value.is_string(),
                    "integer" => value.is_i64() || value.is_u64(),
                    "boolean" => value.is_boolean(),
                    "null" => value.is_null(),
                    other => panic!("{at}: type {other}"),
                };
                assert!(kinds.iter().any(is), "{at}: {value} is not {rule}");
            }
            "properties" => {
                for (name, value) in value.as_object().unwrap() {
                    if let Some(schema) = rule.get(name) {
                        check(schemas, schema, value, &format!("{at}.{name}"));
                    }
                }
            }
            "required" => {
                for name in rule.as_array().unwrap() {
                    assert!(
                        value.get(name.as_str().unwrap()).is_some(),
                        "{at}: no {name}"
                    );
                }
            }
            "additionalProperties" => {
                assert_eq!(rule, &json!(false), "{at}");
                for name in value.as_object().unwrap().keys() {
                    assert!(schema["properties"].get(name).is_some(), "{at}: {name}");
                }
            }
            "items" => {
                for item in value.as_array().unwrap() {
                    check(schemas, rule, item, &format!("{at}[]"));
                }
            }
            "enum" => assert!(rule.as_array().unwrap().contains(value), "{at}: {value}"),
            "oneOf" => {
                let fitting = rule.as_array().unwrap().iter().filter(|schema| {
                    std::panic::catch_unwind(|| check(schemas, schema, value, at)).is_ok()
                });
                assert_eq!(fitting.count(), 1, "{at}: {value}");
            }
            "pattern" => {
                let digits: usize = rule
                    .as_str()
                    .unwrap()
                    .strip_prefix("^[0-9a-f]{")
                    .and_then(|rest| rest.strip_suffix("}$"))
                    .unwrap()
                    .parse()
                    .unwrap();
                if let Some(text) = value.as_str() {
                    let is_hex = text.bytes().all(|byte| b"0123456789abcdef".contains(&byte));
                    assert!(is_hex && text.len() == digits, "{at}: {text}");
                }
            }
            "minimum" => assert!(value.as_i64().unwrap() >= rule.as_i64().unwrap(), "{at}"),
            "maximum" => assert!(value.as_i64().unwrap() <= rule.as_i64().unwrap(), "{at}"),
            "minItems" => assert!(value.as_array().unwrap().len() >= as_count(rule), "{at}"),
            "maxItems" => assert!(value.as_array().unwrap().len() <= as_count(rule), "{at}"),
            "contentEncoding" => {
                assert_eq!(rule, "base64");
                assert!(Base64Bytes::decode(value.as_str().unwrap()).is_ok(), "{at}");
            }
            "format" => {
                assert_eq!(rule, "date-time");
                let time = value.as_str().unwrap();
                assert!(
                    pfx_connector::clock::parse_rfc3339(time).is_some(),
                    "{at}: {time}"
                );
            }
            other => panic!("{at}: keyword {other}"),
        }
    }
}

fn as_count(rule: &Value) -> usize {
    usize::try_from(rule.as_u64().unwrap()).unwrap()
}
