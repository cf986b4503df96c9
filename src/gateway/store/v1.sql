-- Version 1. Times are milliseconds since 1970-01-01T00:00:00Z.

CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO meta VALUES ('audit_purge_before_ms', 0);

-- What importers stored: the PFX and the password, encrypted to a key that the gateway does not have.
CREATE TABLE records (
    id                 TEXT PRIMARY KEY,
    user_key           TEXT NOT NULL, -- lower-cased user_principal_name
    thumbprint         TEXT NOT NULL,
    user_principal_name TEXT NOT NULL, -- as imported: the importer's signature covers it
    intended_purpose   TEXT NOT NULL,
    starts_ms          INTEGER NOT NULL,
    expires_ms         INTEGER NOT NULL,
    provider_name      TEXT NOT NULL,
    key_name           TEXT NOT NULL,
    padding            TEXT NOT NULL,
    custody_key        TEXT,
    importer           TEXT,
    signature          BLOB,
    encrypted_password BLOB NOT NULL,
    pfx                BLOB NOT NULL,
    created_ms         INTEGER NOT NULL,
    modified_ms        INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX records_of_user ON records (user_key, thumbprint);
CREATE INDEX records_by_expiry ON records (expires_ms);

-- A device asked for its user's certificates.
CREATE TABLE device_requests (
    id              TEXT PRIMARY KEY,
    user_key        TEXT NOT NULL,
    device_id       TEXT NOT NULL,
    target          TEXT NOT NULL, -- the message's `device`, as JSON
    format          TEXT NOT NULL,
    idempotency_key TEXT UNIQUE,
    body_digest     BLOB NOT NULL,
    requested_by    TEXT NOT NULL,
    created_ms      INTEGER NOT NULL
) STRICT;

-- One for each certificate of the user: the unit of work.
CREATE TABLE requests (
    seq               INTEGER PRIMARY KEY AUTOINCREMENT,
    id                TEXT NOT NULL UNIQUE,
    device_request    TEXT NOT NULL REFERENCES device_requests (id) ON DELETE CASCADE,
    record            TEXT REFERENCES records (id) ON DELETE SET NULL,
    thumbprint        TEXT NOT NULL,
    state             TEXT NOT NULL CHECK (state IN ('queued', 'leased', 'completed', 'failed')),
    fence             INTEGER NOT NULL DEFAULT 0,
    attempts          INTEGER NOT NULL DEFAULT 0,
    due_ms            INTEGER NOT NULL, -- from when it may be leased: a lease in force ends then
    lease_instance    TEXT,
    lease_certificate TEXT,
    answered_fence    INTEGER,          -- the last lease that was answered, and with what
    answer_digest     BLOB,
    failure_code      TEXT,
    failure_message   TEXT,
    completions       INTEGER NOT NULL DEFAULT 0 CHECK (completions IN (0, 1)),
    created_ms        INTEGER NOT NULL,
    settled_ms        INTEGER
) STRICT;
CREATE INDEX requests_due ON requests (due_ms, seq) WHERE state IN ('queued', 'leased');
CREATE INDEX requests_by_record ON requests (record);
CREATE INDEX requests_by_device_request ON requests (device_request);
CREATE INDEX requests_settled ON requests (settled_ms) WHERE settled_ms IS NOT NULL;

CREATE TABLE results (
    request    INTEGER PRIMARY KEY REFERENCES requests (seq) ON DELETE CASCADE,
    cms        BLOB NOT NULL,
    created_ms INTEGER NOT NULL
) STRICT;

-- Bearer tokens: the digest only.
CREATE TABLE tokens (
    id         TEXT PRIMARY KEY,
    digest     BLOB NOT NULL UNIQUE,
    role       TEXT NOT NULL,
    name       TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL,
    revoked_ms INTEGER
) STRICT;

-- An instance name belongs to the certificate that used it first.
CREATE TABLE connectors (
    instance        TEXT PRIMARY KEY,
    certificate     TEXT NOT NULL, -- SHA-256 of its DER, hexadecimal
    subject         TEXT NOT NULL,
    version         TEXT NOT NULL,
    features        TEXT NOT NULL, -- JSON
    in_flight       INTEGER NOT NULL DEFAULT 0,
    engine_healthy  INTEGER,
    first_contact_ms INTEGER NOT NULL,
    last_contact_ms INTEGER NOT NULL,
    revoked_ms      INTEGER
) STRICT;
CREATE INDEX connectors_by_certificate ON connectors (certificate);

-- Certificates that are refused whatever instance they speak for.
CREATE TABLE refused_certificates (
    certificate TEXT PRIMARY KEY,
    revoked_ms  INTEGER NOT NULL
) STRICT;

CREATE TABLE admin_audit (
    seq     INTEGER PRIMARY KEY AUTOINCREMENT,
    at_ms   INTEGER NOT NULL,
    who     TEXT NOT NULL,
    role    TEXT NOT NULL,
    action  TEXT NOT NULL,
    object  TEXT NOT NULL,
    outcome TEXT NOT NULL
) STRICT;
CREATE INDEX admin_audit_by_time ON admin_audit (at_ms);
CREATE TRIGGER admin_audit_no_update BEFORE UPDATE ON admin_audit
BEGIN
    SELECT RAISE(ABORT, 'the audit trail is append-only');
END;
-- Only retention removes entries, and it says first up to when.
CREATE TRIGGER admin_audit_no_delete BEFORE DELETE ON admin_audit
WHEN OLD.at_ms >= (SELECT value FROM meta WHERE key = 'audit_purge_before_ms')
BEGIN
    SELECT RAISE(ABORT, 'the audit trail is append-only');
END;
