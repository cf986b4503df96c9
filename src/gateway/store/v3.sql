-- Version 3: certificates that connectors have issued for devices (PKCS). A request of this kind is a row of device_requests with the
-- delivery 'pkcs' and one of requests without a record; what is of this kind alone is here.

CREATE TABLE pkcs_profiles (
    name        TEXT PRIMARY KEY,
    profile     TEXT NOT NULL, -- the message, as JSON
    created_ms  INTEGER NOT NULL,
    modified_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE pkcs_requests (
    request             INTEGER PRIMARY KEY REFERENCES requests (seq) ON DELETE CASCADE,
    profile_name        TEXT NOT NULL,
    profile             TEXT NOT NULL, -- as it was when it was asked
    user_principal_name TEXT NOT NULL,
    variables           TEXT NOT NULL, -- JSON
    renews              TEXT,          -- the request whose certificate this one takes the place of
    progress            BLOB           -- how far a connector got: it goes on from there, here or elsewhere; nothing secret
) STRICT;

-- What was issued. It outlives its request, so that it can be renewed and revoked.
CREATE TABLE pkcs_certificates (
    id                  TEXT PRIMARY KEY, -- the request that it was issued for
    profile_name        TEXT NOT NULL,
    user_key            TEXT NOT NULL,
    user_principal_name TEXT NOT NULL,
    device_id           TEXT NOT NULL,
    target              TEXT NOT NULL,
    variables           TEXT NOT NULL,
    ca                  TEXT NOT NULL,
    certificate         BLOB NOT NULL,
    thumbprint          TEXT NOT NULL,
    issuer              BLOB NOT NULL, -- DER
    serial              BLOB NOT NULL, -- content octets of the INTEGER
    starts_ms           INTEGER NOT NULL,
    expires_ms          INTEGER NOT NULL,
    renew_ms            INTEGER,          -- when it is asked for again; null: never
    replaced_by         TEXT,             -- the request whose certificate took its place
    created_ms          INTEGER NOT NULL
) STRICT;
CREATE INDEX pkcs_certificates_due ON pkcs_certificates (renew_ms) WHERE renew_ms IS NOT NULL;
CREATE INDEX pkcs_certificates_of ON pkcs_certificates (user_key, device_id, profile_name);
CREATE INDEX pkcs_certificates_by_serial ON pkcs_certificates (serial);
CREATE INDEX pkcs_certificates_by_expiry ON pkcs_certificates (expires_ms);
