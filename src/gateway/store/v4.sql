-- Version 4: revocations. A request of this kind is a row of device_requests with the delivery 'revocation' for each call, and one of
-- requests without a record for each certificate; what is of this kind alone is here.

CREATE TABLE revocations (
    request       INTEGER PRIMARY KEY REFERENCES requests (seq) ON DELETE CASCADE,
    issuer        BLOB NOT NULL, -- DER
    issuer_digest TEXT NOT NULL, -- SHA-256 of it, hexadecimal: connectors ask for work by it
    serial        BLOB NOT NULL, -- content octets of the INTEGER
    certificate   BLOB,
    ca            TEXT,
    device_id     TEXT,
    reason        INTEGER NOT NULL, -- CRLReason
    held          INTEGER NOT NULL DEFAULT 0 CHECK (held IN (0, 1)), -- by the brake: queued, and due never
    admitted_ms   INTEGER, -- when it was queued without being held: what the brake counts
    result        TEXT,
    last_code     TEXT,    -- why it was given back last
    last_message  TEXT
) STRICT;
CREATE INDEX revocations_of ON revocations (serial, issuer);
CREATE INDEX revocations_of_device ON revocations (device_id) WHERE device_id IS NOT NULL;
CREATE INDEX revocations_admitted ON revocations (admitted_ms) WHERE admitted_ms IS NOT NULL;

-- What a call with an idempotency key was answered: the names of its requests in order, as JSON.
CREATE TABLE revocation_calls (
    device_request TEXT PRIMARY KEY REFERENCES device_requests (id) ON DELETE CASCADE,
    answer         TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Issuers that some connector has an authority for, and when one last said so.
CREATE TABLE revocation_issuers (
    issuer_digest TEXT PRIMARY KEY,
    last_ms       INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What is still being issued for a device when it is retired is revoked once it is there.
CREATE TABLE retired_devices (
    device_id  TEXT PRIMARY KEY,
    retired_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

ALTER TABLE pkcs_certificates ADD COLUMN revoked_ms INTEGER;
