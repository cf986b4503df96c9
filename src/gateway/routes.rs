//! The table of routes: who may call what, with which message, and what does it. The router and the OpenAPI document are made from it.

use super::auth::{Guard, Role};
use super::enrolment::{ENROL_REFUSALS, RENEW_REFUSALS};
use super::handlers::{admin, connectors, enrolment, mdm, public, records, rotation};
use super::http::{Answering, Call};
use std::sync::LazyLock;

mod imports;
mod pkcs;
mod revocation;

/// The record collection, as in Graph.
pub const RECORDS: &str = "/beta/deviceManagement/userPfxCertificates";
const RECORD: &str = "/beta/deviceManagement/userPfxCertificates/{id}";

/// The methods in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verb {
    /// GET.
    Get,
    /// POST.
    Post,
    /// PATCH.
    Patch,
    /// DELETE.
    Delete,
}

impl Verb {
    /// Its name in HTTP.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// One route.
pub struct Route {
    /// Method.
    pub verb: Verb,
    /// Path; `{id}` stands for the name of one object.
    pub path: &'static str,
    /// Its name in the OpenAPI document and in the audit trail.
    pub operation: &'static str,
    /// What it does, in one sentence.
    pub summary: &'static str,
    /// Who may call it.
    pub guard: Guard,
    /// Schema of the body, where there is one.
    pub body: Option<&'static str>,
    /// Status and schema of success.
    pub success: (u16, Option<&'static str>),
    /// Other answers of its own, with what they mean.
    pub refusals: &'static [(u16, &'static str)],
    /// Query options.
    pub query: &'static [(&'static str, &'static str)],
    /// Whether it is a deed for the administrators' audit trail.
    pub audited: bool,
    pub(super) handler: fn(Call) -> Answering,
}

const IMPORT: Guard = Guard::Bearer(&[Role::Importer]);
const READ_RECORDS: Guard = Guard::Bearer(&[Role::Importer, Role::Administrator]);
const MDM: Guard = Guard::Bearer(&[Role::Mdm]);
const ROTATION: Guard = Guard::Bearer(&[Role::Rotation]);
const ENROLMENT: Guard = Guard::Bearer(&[Role::Enrolment]);
const ADMIN: Guard = Guard::Bearer(&[Role::Administrator]);

const STALE: (u16, &str) = (
    409,
    "staleLease: the fence is not the current one, or was answered otherwise",
);
const UNKNOWN: (u16, &str) = (404, "no such object");
pub(super) const REFUSED: (u16, &str) = (
    403,
    "connectorRefused: revoked, or the instance name is another certificate's",
);

/// Every route.
pub static ROUTES: LazyLock<Vec<&'static Route>> = LazyLock::new(|| {
    GENERAL
        .iter()
        .chain(imports::ROUTES)
        .chain(pkcs::ROUTES)
        .chain(revocation::ROUTES)
        .collect()
});

static GENERAL: &[Route] = &[
    Route {
        verb: Verb::Get,
        path: "/healthz",
        operation: "health",
        summary: "Whether the gateway can do its work",
        guard: Guard::Anybody,
        body: None,
        success: (200, Some("Health")),
        refusals: &[(503, "it cannot")],
        query: &[],
        audited: false,
        handler: |call| Box::pin(public::healthz(call)),
    },
    Route {
        verb: Verb::Get,
        path: "/openapi.json",
        operation: "describe",
        summary: "This document",
        guard: Guard::Anybody,
        body: None,
        success: (200, None),
        refusals: &[],
        query: &[],
        audited: false,
        handler: |call| Box::pin(public::openapi(call)),
    },
    Route {
        verb: Verb::Post,
        path: RECORDS,
        operation: "createRecord",
        summary: "Store a user's PFX with its encrypted password",
        guard: IMPORT,
        body: Some("UserPfxCertificate"),
        success: (201, Some("UserPfxCertificate")),
        refusals: &[(
            409,
            "alreadyExists: there is a record of this user and certificate",
        )],
        query: &[],
        audited: true,
        handler: |call| Box::pin(records::create(call)),
    },
    Route {
        verb: Verb::Get,
        path: RECORDS,
        operation: "listRecords",
        summary: "List records; PFX and password are stubs",
        guard: READ_RECORDS,
        body: None,
        success: (200, Some("UserPfxCertificateCollection")),
        refusals: &[],
        query: &[
            (
                "$filter",
                "tolower(userPrincipalName) eq '...', optionally and tolower(thumbprint) eq '...'; each also without tolower",
            ),
            ("$top", "records on a page, 500 at most"),
            ("$skiptoken", "as in @odata.nextLink"),
        ],
        audited: false,
        handler: |call| Box::pin(records::list(call)),
    },
    Route {
        verb: Verb::Get,
        path: RECORD,
        operation: "getRecord",
        summary: "Read a record; PFX and password are stubs",
        guard: READ_RECORDS,
        body: None,
        success: (200, Some("UserPfxCertificate")),
        refusals: &[UNKNOWN],
        query: &[],
        audited: false,
        handler: |call| Box::pin(records::get(call)),
    },
    Route {
        verb: Verb::Patch,
        path: RECORD,
        operation: "updateRecord",
        summary: "Change a record; results of its old content are deleted",
        guard: IMPORT,
        body: Some("UserPfxCertificatePatch"),
        success: (200, Some("UserPfxCertificate")),
        refusals: &[UNKNOWN],
        query: &[],
        audited: true,
        handler: |call| Box::pin(records::update(call)),
    },
    Route {
        verb: Verb::Delete,
        path: RECORD,
        operation: "deleteRecord",
        summary: "Delete a record and its results for real; its open requests fail",
        guard: READ_RECORDS,
        body: None,
        success: (204, None),
        refusals: &[UNKNOWN],
        query: &[],
        audited: true,
        handler: |call| Box::pin(records::delete(call)),
    },
    Route {
        verb: Verb::Post,
        path: "/mdm/v1/deviceRequests",
        operation: "createDeviceRequest",
        summary: "A device asks for its user's certificates; one request for each is queued",
        guard: MDM,
        body: Some("DeviceRequest"),
        success: (202, Some("DeviceRequestAccepted")),
        refusals: &[
            (404, "userHasNoCertificates"),
            (
                409,
                "idempotencyKeyReused: the key was used with another request",
            ),
            (429, "queueFull: too many requests wait"),
        ],
        query: &[],
        audited: false,
        handler: |call| Box::pin(mdm::create(call)),
    },
    Route {
        verb: Verb::Get,
        path: "/mdm/v1/requests/{id}",
        operation: "getRequest",
        summary: "Where a request stands",
        guard: MDM,
        body: None,
        success: (200, Some("RequestState")),
        refusals: &[UNKNOWN],
        query: &[],
        audited: false,
        handler: |call| Box::pin(mdm::state(call)),
    },
    Route {
        verb: Verb::Post,
        path: "/mdm/v1/requests/{id}/collect",
        operation: "collectResult",
        summary: "The PFX and its password, encrypted to the device; may be repeated",
        guard: MDM,
        body: None,
        success: (200, Some("Delivery")),
        refusals: &[
            UNKNOWN,
            (409, "notReady or requestFailed"),
            (410, "resultDeleted: its record was changed or deleted"),
        ],
        query: &[],
        audited: false,
        handler: |call| Box::pin(mdm::collect(call)),
    },
    Route {
        verb: Verb::Post,
        path: "/connector/v1/lease",
        operation: "lease",
        summary: "Work for a connector; waits for some",
        guard: Guard::Connector,
        body: Some("LeaseRequest"),
        success: (200, Some("LeaseResponse")),
        refusals: &[REFUSED],
        query: &[],
        audited: false,
        handler: |call| Box::pin(connectors::lease(call)),
    },
    Route {
        verb: Verb::Post,
        path: "/connector/v1/requests/{id}/extend",
        operation: "extendLease",
        summary: "Make a lease last longer",
        guard: Guard::Connector,
        body: Some("Fence"),
        success: (200, Some("Extended")),
        refusals: &[REFUSED, UNKNOWN, STALE],
        query: &[],
        audited: false,
        handler: |call| Box::pin(connectors::extend(call)),
    },
    Route {
        verb: Verb::Post,
        path: "/connector/v1/requests/{id}/complete",
        operation: "completeRequest",
        summary: "Hand in a result",
        guard: Guard::Connector,
        body: Some("Completion"),
        success: (200, Some("Settled")),
        refusals: &[REFUSED, UNKNOWN, STALE],
        query: &[],
        audited: false,
        handler: |call| Box::pin(connectors::complete(call)),
    },
    Route {
        verb: Verb::Post,
        path: "/connector/v1/requests/{id}/fail",
        operation: "failRequest",
        summary: "Hand in a failure",
        guard: Guard::Connector,
        body: Some("RequestFailure"),
        success: (200, Some("Settled")),
        refusals: &[REFUSED, UNKNOWN, STALE],
        query: &[],
        audited: false,
        handler: |call| Box::pin(connectors::fail(call)),
    },
    Route {
        verb: Verb::Post,
        path: "/connector/v1/heartbeat",
        operation: "heartbeat",
        summary: "A connector is there",
        guard: Guard::Connector,
        body: Some("Heartbeat"),
        success: (204, None),
        refusals: &[REFUSED],
        query: &[],
        audited: false,
        handler: |call| Box::pin(connectors::heartbeat(call)),
    },
    Route {
        verb: Verb::Get,
        path: "/admin/v1/status",
        operation: "getStatus",
        summary: "The state of the service",
        guard: ADMIN,
        body: None,
        success: (200, Some("ServiceStatus")),
        refusals: &[],
        query: &[],
        audited: false,
        handler: |call| Box::pin(admin::status(call)),
    },
    Route {
        verb: Verb::Get,
        path: "/admin/v1/connectors",
        operation: "listConnectors",
        summary: "Every connector with version, features and last contact",
        guard: ADMIN,
        body: None,
        success: (200, Some("ConnectorStatusCollection")),
        refusals: &[],
        query: &[],
        audited: false,
        handler: |call| Box::pin(admin::connectors(call)),
    },
    Route {
        verb: Verb::Post,
        path: "/admin/v1/connectors/{id}/revoke",
        operation: "revokeConnector",
        summary: "Refuse a connector and its certificate from now on",
        guard: ADMIN,
        body: None,
        success: (204, None),
        refusals: &[UNKNOWN],
        query: &[],
        audited: true,
        handler: |call| Box::pin(admin::revoke_connector(call)),
    },
    Route {
        verb: Verb::Delete,
        path: "/admin/v1/connectors/{id}",
        operation: "forgetConnector",
        summary: "Free an instance name for another certificate; a revoked certificate stays refused",
        guard: ADMIN,
        body: None,
        success: (204, None),
        refusals: &[UNKNOWN],
        query: &[],
        audited: true,
        handler: |call| Box::pin(admin::forget_connector(call)),
    },
    Route {
        verb: Verb::Get,
        path: "/admin/v1/tokens",
        operation: "listTokens",
        summary: "Every token, never its secret",
        guard: ADMIN,
        body: None,
        success: (200, Some("TokenStatusCollection")),
        refusals: &[],
        query: &[],
        audited: false,
        handler: |call| Box::pin(admin::tokens(call)),
    },
    Route {
        verb: Verb::Post,
        path: "/admin/v1/tokens/{id}/revoke",
        operation: "revokeToken",
        summary: "End a token",
        guard: ADMIN,
        body: None,
        success: (204, None),
        refusals: &[UNKNOWN],
        query: &[],
        audited: true,
        handler: |call| Box::pin(admin::revoke_token(call)),
    },
    Route {
        verb: Verb::Get,
        path: "/admin/v1/audit",
        operation: "listAudit",
        summary: "The audit trail, oldest first",
        guard: ADMIN,
        body: None,
        success: (200, Some("AuditRecordCollection")),
        refusals: &[],
        query: &[("after", "only entries with a greater number")],
        audited: false,
        handler: |call| Box::pin(admin::audit(call)),
    },
    Route {
        verb: Verb::Get,
        path: "/rotation/v1/records",
        operation: "listRotationRecords",
        summary: "Ids of the records that name a custody key, page by page, and how many there are",
        guard: ROTATION,
        body: None,
        success: (200, Some("RotationPage")),
        refusals: &[],
        query: &[
            (
                "custodyKey",
                "the custody key's fingerprint, 64 hexadecimal digits",
            ),
            ("after", "only records after this id"),
        ],
        audited: false,
        handler: |call| Box::pin(rotation::list(call)),
    },
    Route {
        verb: Verb::Get,
        path: "/rotation/v1/records/{id}",
        operation: "readRotationRecord",
        summary: "A record as it is stored, with its encrypted password and PFX",
        guard: ROTATION,
        body: None,
        success: (200, Some("RotationRecord")),
        refusals: &[UNKNOWN],
        query: &[],
        audited: true,
        handler: |call| Box::pin(rotation::read(call)),
    },
    Route {
        verb: Verb::Post,
        path: "/rotation/v1/records/{id}",
        operation: "replaceRotationRecord",
        summary: "Put the record for another custody key in its place, if it is what was read; results made from it stay",
        guard: ROTATION,
        body: Some("RotationReplacement"),
        success: (204, None),
        refusals: &[
            UNKNOWN,
            (409, "recordChanged: it is not the revision that was read"),
        ],
        query: &[],
        audited: true,
        handler: |call| Box::pin(rotation::replace(call)),
    },
    Route {
        verb: Verb::Post,
        path: "/enrolment/v1/connectors",
        operation: "enrolConnector",
        summary: "The first certificate of the connector that the one-time token is for; sent again, the same request gets the same one",
        guard: ENROLMENT,
        body: Some("EnrolRequest"),
        success: (200, Some("Enrolled")),
        refusals: ENROL_REFUSALS,
        query: &[],
        audited: false,
        handler: |call| Box::pin(enrolment::enrol(call)),
    },
    Route {
        verb: Verb::Post,
        path: "/connector/v1/renew",
        operation: "renewConnector",
        summary: "The next certificate of this connector; it takes the place of the one shown when it is first used",
        guard: Guard::Connector,
        body: Some("RenewRequest"),
        success: (200, Some("Enrolled")),
        refusals: RENEW_REFUSALS,
        query: &[],
        audited: false,
        handler: |call| Box::pin(enrolment::renew(call)),
    },
];

#[cfg(test)]
mod tests;
