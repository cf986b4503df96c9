//! The OpenAPI 3.1 document, made from the table of routes and the schemas of the messages.

use super::auth::{Guard, Role};
use super::routes::{ROUTES, Route};
use super::schemas::{reference, schemas};
use serde_json::{Map, Value, json};

/// The document, as `/openapi.json` serves it.
#[must_use]
pub fn document() -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for route in ROUTES.iter().copied() {
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        if let Some(path) = path.as_object_mut() {
            path.insert(route.verb.name().to_lowercase(), operation(route));
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "pfx-connector gateway",
            "version": crate::VERSION,
            "description": "Stores PFX files with passwords that it cannot decrypt, queues devices' requests, and leases them to connectors.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"}
        },
        "paths": paths,
        "components": {
            "schemas": schemas(),
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "Made by `gateway token create`; x-roles names the roles that may call."},
                "connectorCertificate": {"type": "mutualTLS", "description": "A client certificate of the configured CA."}
            }
        }
    })
}

fn content(schema: &str) -> Value {
    json!({"application/json": {"schema": reference(schema)}})
}

fn operation(route: &Route) -> Value {
    let mut parameters: Vec<Value> = Vec::new();
    if route.path.contains("{id}") {
        parameters.push(
            json!({"name": "id", "in": "path", "required": true, "schema": {"type": "string"}}),
        );
    }
    for (name, meaning) in route.query {
        parameters.push(json!({"name": name, "in": "query", "required": false, "description": meaning, "schema": {"type": "string"}}));
    }
    let mut responses = Map::new();
    let (status, schema) = route.success;
    let mut success = json!({"description": "Done"});
    if let (Some(schema), Some(success)) = (schema, success.as_object_mut()) {
        success.insert("content".to_owned(), content(schema));
    }
    responses.insert(status.to_string(), success);
    let mut refuse = |status: u16, meaning: &str| {
        responses
            .entry(status.to_string())
            .or_insert_with(|| json!({"description": meaning, "content": content("ErrorBody")}));
    };
    for (status, meaning) in route.refusals {
        refuse(*status, meaning);
    }
    if route.body.is_some() {
        refuse(400, "badRequest: the message says what is wrong");
        refuse(408, "bodyTimeout");
        refuse(413, "bodyTooLarge");
        refuse(415, "unsupportedMediaType: send application/json");
    }
    if !route.query.is_empty() {
        refuse(400, "badRequest: the message says what is supported");
    }
    let (security, roles): (Value, Option<Vec<&str>>) = match route.guard {
        Guard::Anybody => (json!([]), None),
        Guard::Bearer(roles) => (
            json!([{"bearer": []}]),
            Some(roles.iter().map(|role| Role::name(*role)).collect()),
        ),
        Guard::Connector => (json!([{"connectorCertificate": []}]), None),
    };
    if !matches!(route.guard, Guard::Anybody) {
        refuse(401, "unauthorized, or clientCertificateRequired");
    }
    if matches!(route.guard, Guard::Bearer(_)) {
        refuse(403, "forbidden: the token's role has no right to this call");
    }
    refuse(
        503,
        "storageUnavailable: nothing was changed; try again later",
    );
    let mut operation = json!({
        "operationId": route.operation,
        "summary": route.summary,
        "security": security,
        "parameters": parameters,
        "responses": responses
    });
    if let Some(operation) = operation.as_object_mut() {
        if let Some(roles) = roles {
            operation.insert("x-roles".to_owned(), json!(roles));
        }
        if let Some(schema) = route.body {
            operation.insert(
                "requestBody".to_owned(),
                json!({"required": true, "content": content(schema)}),
            );
        }
    }
    operation
}
