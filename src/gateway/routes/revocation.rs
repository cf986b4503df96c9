//! Routes of revocation.

use super::{ADMIN, MDM, REFUSED, Route, UNKNOWN, Verb};
use crate::gateway::auth::{Guard, Role};
use crate::gateway::handlers::revocation;

const ASK: Guard = Guard::Bearer(&[Role::Mdm, Role::Administrator]);
const FULL: (u16, &str) = (429, "queueFull: too many requests wait");
const NOT_OFFERED: &str = "revocationNotOffered: no connector revokes";

pub(super) static ROUTES: &[Route] = &[
    Route {
        verb: Verb::Post,
        path: "/mdm/v1/revocations",
        operation: "createRevocations",
        summary: "Have certificates revoked; what is above the threshold is held",
        guard: ASK,
        body: Some("RevocationRequest"),
        success: (202, Some("RevocationsAccepted")),
        refusals: &[
            (404, "noSuchCertificate: nothing was queued"),
            (
                409,
                "idempotencyKeyReused, or revocationNotOffered: no connector revokes",
            ),
            FULL,
        ],
        query: &[],
        audited: true,
        handler: |call| Box::pin(revocation::create(call)),
    },
    Route {
        verb: Verb::Get,
        path: "/mdm/v1/revocations",
        operation: "listRevocations",
        summary: "Revocations, oldest first",
        guard: ASK,
        body: None,
        success: (200, Some("RevocationStatusCollection")),
        refusals: &[],
        query: &[
            ("deviceId", "those of this device"),
            (
                "state",
                "those that are queued, held, leased, completed or failed",
            ),
            ("after", "as in @odata.nextLink"),
        ],
        audited: false,
        handler: |call| Box::pin(revocation::list(call)),
    },
    Route {
        verb: Verb::Get,
        path: "/mdm/v1/revocations/{id}",
        operation: "getRevocation",
        summary: "Where a revocation stands",
        guard: ASK,
        body: None,
        success: (200, Some("RevocationStatus")),
        refusals: &[UNKNOWN],
        query: &[],
        audited: false,
        handler: |call| Box::pin(revocation::state(call)),
    },
    Route {
        verb: Verb::Post,
        path: "/mdm/v1/devices/{id}/retire",
        operation: "retireDevice",
        summary: "Have every certificate revoked that was issued for a device; may be repeated",
        guard: MDM,
        body: None,
        success: (202, Some("RevocationsAccepted")),
        refusals: &[(409, NOT_OFFERED), FULL],
        query: &[],
        audited: true,
        handler: |call| Box::pin(revocation::retire(call)),
    },
    Route {
        verb: Verb::Post,
        path: "/admin/v1/revocations/{id}/release",
        operation: "releaseRevocation",
        summary: "Let a revocation that is held into the queue; not by who asked for it",
        guard: ADMIN,
        body: None,
        success: (204, None),
        refusals: &[UNKNOWN],
        query: &[],
        audited: true,
        handler: |call| Box::pin(revocation::release(call)),
    },
    Route {
        verb: Verb::Post,
        path: "/admin/v1/revocations/{id}/drop",
        operation: "dropRevocation",
        summary: "End a revocation that is held: nothing is revoked",
        guard: ADMIN,
        body: None,
        success: (204, None),
        refusals: &[UNKNOWN],
        query: &[],
        audited: true,
        handler: |call| Box::pin(revocation::drop_held(call)),
    },
    Route {
        verb: Verb::Post,
        path: "/connector/v1/revocations/lease",
        operation: "leaseRevocations",
        summary: "Certificates to revoke; waits for some",
        guard: Guard::Connector,
        body: Some("RevocationLeaseRequest"),
        success: (200, Some("RevocationLeaseResponse")),
        refusals: &[REFUSED],
        query: &[],
        audited: false,
        handler: |call| Box::pin(revocation::lease(call)),
    },
];
