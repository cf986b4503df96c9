-- Version 6: requests for certificates go to connectors that have the authority of their profile.

-- The authority, by its name in the profile.
ALTER TABLE pkcs_requests ADD COLUMN ca TEXT NOT NULL DEFAULT '';
UPDATE pkcs_requests SET ca = coalesce(json_extract(profile, '$.ca'), '') WHERE json_valid(profile);

-- Authorities that some connector has certificates issued by, and when one last said so.
CREATE TABLE pkcs_authorities (
    name    TEXT PRIMARY KEY,
    last_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- When the device management first collected it: until then the one before it stays the device's. What there is now counts as collected.
ALTER TABLE pkcs_certificates ADD COLUMN collected_ms INTEGER;
UPDATE pkcs_certificates SET collected_ms = created_ms;
CREATE INDEX pkcs_certificates_of_device ON pkcs_certificates (device_id);
CREATE INDEX pkcs_requests_renewing ON pkcs_requests (renews) WHERE renews IS NOT NULL;

-- What the device management said of a device, and of its users, after it had asked for their certificates.
CREATE TABLE device_updates (
    device_id TEXT NOT NULL,
    user_key  TEXT NOT NULL, -- empty: of the device itself
    target    TEXT,          -- the message's `device`, as JSON
    variables TEXT,          -- JSON
    given_ms  INTEGER NOT NULL,
    PRIMARY KEY (device_id, user_key)
) STRICT, WITHOUT ROWID;

-- Since when it is on hold: it is not renewed until an administrator says that the hold was taken back.
ALTER TABLE pkcs_certificates ADD COLUMN hold_ms INTEGER;
UPDATE pkcs_certificates SET hold_ms = (
    SELECT max(q.settled_ms) FROM revocations v JOIN requests q ON q.seq = v.request
    WHERE v.serial = pkcs_certificates.serial AND v.issuer = pkcs_certificates.issuer AND v.reason = 6 AND q.state = 'completed')
WHERE revoked_ms IS NULL;

-- Profiles of stored PFX files: how devices of a platform get them.
CREATE TABLE import_profiles (
    name        TEXT PRIMARY KEY,
    profile     TEXT NOT NULL, -- the message, as JSON
    created_ms  INTEGER NOT NULL,
    modified_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
