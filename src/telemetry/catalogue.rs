//! Every event there is: number, log and task category.
//!
//! Numbers and categories are those of Microsoft's Certificate Connector where the meaning is equal, so that rules written for it
//! go on working: 1-999 general, 1000-1199 PKCS, 2000-2999 PKCS import, 3000-3199 revocation, 5000-5999 health. The general ones and those of
//! health are ours.

use serde::{Deserialize, Serialize};

/// The three logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Log {
    /// One event for each request, and what an operator has to act on.
    Admin,
    /// The steps.
    Operational,
    /// Details for a search for faults; off by default.
    Debug,
}

/// How grave an event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Level {
    /// As it should be.
    Information,
    /// Works, but somebody should look.
    Warning,
    /// Does not work.
    Error,
}

macro_rules! events {
    ($($(#[doc = $doc:literal])+ $name:ident = $id:literal, $log:ident, $level:ident;)+) => {
        /// An event of the catalogue; its name is its task category.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum EventKind { $($(#[doc = $doc])+ $name,)+ }

        impl EventKind {
            /// Every event, in the order of the catalogue.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The event's number.
            #[must_use]
            pub fn id(self) -> u16 { match self { $(Self::$name => $id,)+ } }

            /// The log it goes to.
            #[must_use]
            pub fn log(self) -> Log { match self { $(Self::$name => Log::$log,)+ } }

            /// How grave it is.
            #[must_use]
            pub fn level(self) -> Level { match self { $(Self::$name => Level::$level,)+ } }

            /// Its task category.
            #[must_use]
            pub fn category(self) -> &'static str { match self { $(Self::$name => stringify!($name),)+ } }

            /// What it means, in one sentence.
            #[must_use]
            pub fn meaning(self) -> &'static str { match self { $(Self::$name => concat!($($doc),+).trim_ascii(),)+ } }
        }
    };
}

events! {
    /// The connector started.
    ConnectorStarted = 1, Admin, Information;
    /// The connector was asked to stop and finishes what it has in flight.
    ConnectorDraining = 2, Operational, Information;
    /// The connector stopped.
    ConnectorStopped = 3, Admin, Information;
    /// The configuration was read again and is in force.
    ConfigurationReloaded = 10, Admin, Information;
    /// The configuration was read again and is refused; the old one stays in force.
    ConfigurationRefused = 11, Admin, Error;
    /// The engine answers.
    EngineConnected = 20, Operational, Information;
    /// The engine does not answer; requests wait.
    EngineUnavailable = 21, Admin, Error;
    /// The token does not answer; requests wait.
    TokenUnavailable = 22, Admin, Error;
    /// The token answers again.
    TokenRecovered = 23, Admin, Information;
    /// The engine's cryptographic module has failed (integrity, self-test or service indicator); requests wait until the engine is restarted.
    CryptographicModuleFailed = 24, Admin, Error;
    /// The engine cannot record uses of the custody key, so it decrypts nothing; requests wait.
    AuditUnavailable = 25, Admin, Error;
    /// The engine can record uses of the custody key again.
    AuditRecovered = 26, Admin, Information;
    /// A custody key is about to stop decrypting records of old imports (PKCS#1 v1.5), or has: told once a day from 30 days before its last one.
    Pkcs1KeyEnding = 27, Admin, Warning;
    /// The engine's audit log is written, but not sealed or not anchored, no next file of it can be begun, or entries were lost: `what` says which.
    AuditImpaired = 28, Admin, Warning;
    /// That is over.
    AuditUnimpaired = 29, Admin, Information;
    /// The service does not answer or answers with an error; it is asked again with growing pauses.
    ServiceUnavailable = 30, Operational, Warning;
    /// The service answers again.
    ServiceRecovered = 31, Operational, Information;
    /// The service refuses this connector (certificate, protocol version or rights).
    ServiceRefused = 32, Admin, Error;
    /// The journal cannot be written; no new work is taken until it can.
    JournalUnavailable = 40, Admin, Error;
    /// The journal can be written again.
    JournalRecovered = 41, Admin, Information;
    /// A log file was archived.
    LogArchived = 50, Operational, Information;
    /// The logs' cap was reached and the oldest archives were removed.
    LogCapReached = 51, Admin, Warning;
    /// The event log cannot be written; Admin events of requests wait in the journal.
    LogUnavailable = 52, Admin, Error;
    /// The event log can be written again; the number of other events that were lost is in it.
    LogRecovered = 53, Admin, Warning;
    /// A request that this connector had leased belongs to another one now; its result was not accepted here.
    RequestSuperseded = 60, Operational, Information;
    /// A finished request was offered again; the key was not used.
    RequestOfferedAgain = 61, Operational, Information;
    /// The connector's own certificate was renewed and is in use.
    IdentityRenewed = 70, Admin, Information;
    /// The connector's own certificate could not be renewed; it is tried again with growing pauses, and the fields say how long it still holds.
    IdentityRenewalFailed = 71, Admin, Error;
    /// Detail of a step.
    StepDetail = 90, Debug, Information;
    /// The certificate was issued, and PFX and password were uploaded.
    PkcsRequestSuccess = 1000, Admin, Information;
    /// The request for a certificate failed for good.
    PkcsRequestFailure = 1001, Admin, Error;
    /// A batch of requests for certificates was downloaded.
    PkcsDownloadSuccess = 1002, Operational, Information;
    /// Requests for certificates could not be downloaded and will be asked for again.
    PkcsDownloadFailure = 1003, Operational, Warning;
    /// One request for a certificate was downloaded.
    PkcsDownloadedRequest = 1020, Operational, Information;
    /// The authority issued the certificate, and it is what was asked.
    PkcsIssuedSuccess = 1050, Operational, Information;
    /// The certificate could not be issued yet; it will be tried again, or the authority is asked how its order fares.
    PkcsIssuedFailedAttempt = 1051, Operational, Warning;
    /// The certificate was not issued, or what was issued is refused.
    PkcsIssuedFailure = 1052, Operational, Error;
    /// A certificate that cannot be used was revoked, or could not be: the fields say which.
    PkcsCertificateWithdrawn = 1060, Admin, Warning;
    /// The authority decides later; its order is asked for again.
    PkcsIssuancePending = 1061, Operational, Information;
    /// The PFX has a form that the device's platform is not known to read: the fields say why, and what would help.
    PkcsFormDoubtful = 1062, Admin, Warning;
    /// Results of requests for certificates that had waited were uploaded.
    PkcsUploadSuccess = 1100, Operational, Information;
    /// Results of requests for certificates could not be uploaded and will be tried again.
    PkcsUploadFailure = 1101, Operational, Warning;
    /// One result of a request for a certificate was uploaded.
    PkcsUploadedRequest = 1102, Operational, Information;
    /// The PKCS import request was uploaded.
    PkcsImportRequestSuccess = 2000, Admin, Information;
    /// The PKCS import request failed for good.
    PkcsImportRequestFailure = 2001, Admin, Error;
    /// One request was downloaded.
    PkcsImportDownloadedRequest = 2020, Operational, Information;
    /// The password was re-encrypted to the device.
    PkcsImportReencryptSuccess = 2050, Operational, Information;
    /// Re-encrypting failed and will be tried again.
    PkcsImportReencryptFailedAttempt = 2051, Operational, Warning;
    /// Re-encrypting failed.
    PkcsImportReencryptFailure = 2052, Operational, Error;
    /// A batch of results was uploaded.
    PkcsImportUploadSuccess = 2100, Operational, Information;
    /// Results could not be uploaded and will be tried again.
    PkcsImportUploadFailure = 2101, Operational, Warning;
    /// One result was uploaded.
    PkcsImportUploadedRequest = 2102, Operational, Information;
    /// A batch of requests was downloaded.
    PkcsImportDownloadSuccess = 2202, Operational, Information;
    /// Requests could not be downloaded and will be asked for again.
    PkcsImportDownloadFailure = 2203, Operational, Warning;
    /// The certificate is revoked, and the result was uploaded.
    RevokeRequestSuccess = 3000, Admin, Information;
    /// The certificate was not revoked: the request for it failed for good.
    RevokeRequestFailure = 3001, Admin, Error;
    /// A batch of requests to revoke was downloaded.
    RevokeDownloadSuccess = 3002, Operational, Information;
    /// Requests to revoke could not be downloaded and will be asked for again.
    RevokeDownloadFailure = 3003, Operational, Warning;
    /// One request to revoke was downloaded.
    RevokeDownloadedRequest = 3020, Operational, Information;
    /// The authority has revoked the certificate, now or before.
    RevokeSuccess = 3050, Operational, Information;
    /// The certificate was not revoked, and will not be tried again.
    RevokeFailure = 3051, Operational, Error;
    /// The certificate could not be revoked yet; it will be tried again.
    RevokeFailedAttempt = 3052, Operational, Warning;
    /// More certificates are to be revoked than `[connector.revocation]` lets through: they are given back until `revocation release` on this host allows them, or time has passed.
    RevokeBraked = 3060, Admin, Error;
    /// The brake against mass revocation lets certificates through again.
    RevokeBrakeReleased = 3061, Admin, Warning;
    /// Results of requests to revoke that had waited were uploaded.
    RevokeUploadSuccess = 3100, Operational, Information;
    /// Results of requests to revoke could not be uploaded and will be tried again.
    RevokeUploadFailure = 3101, Operational, Warning;
    /// One result of a request to revoke was uploaded.
    RevokeUploadedRequest = 3102, Operational, Information;
    /// A certificate, list, token or key that the service depends on ends soon: less than 30 days are left, or a third of a shorter life.
    ExpirySoon = 5000, Admin, Warning;
    /// It is about to end: less than 7 days are left, or a tenth of a shorter life.
    ExpiryUrgent = 5001, Admin, Error;
    /// It has ended.
    ExpiryOver = 5002, Admin, Error;
    /// Something whose end had been told was renewed.
    ExpiryRenewed = 5003, Admin, Information;
    /// A certification authority does not answer when it is asked how it fares; its requests wait.
    AuthorityUnavailable = 5010, Admin, Warning;
    /// The certification authority answers again.
    AuthorityRecovered = 5011, Admin, Information;
    /// The certification authority answers, and does not let this connector enrol: the credential, or what it may do there.
    AuthorityRightMissing = 5012, Admin, Error;
}

#[cfg(test)]
mod tests {
    use super::EventKind;

    #[test]
    fn numbers_are_unique_and_in_their_ranges() {
        let mut ids: Vec<u16> = EventKind::ALL.iter().map(|kind| kind.id()).collect();
        ids.sort_unstable();
        let before = ids.len();
        ids.dedup();
        assert_eq!(ids.len(), before);
        assert!(ids.iter().all(
            |id| matches!(id, 1..=999 | 1000..=1199 | 2000..=2999 | 3000..=3199 | 5000..=5999)
        ));
    }
}
