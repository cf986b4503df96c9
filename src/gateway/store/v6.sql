-- Version 6: requests for certificates go to connectors that have the authority of their profile.

-- The authority, by its name in the profile.
ALTER TABLE pkcs_requests ADD COLUMN ca TEXT NOT NULL DEFAULT '';
UPDATE pkcs_requests SET ca = coalesce(json_extract(profile, '$.ca'), '') WHERE json_valid(profile);

-- Authorities that some connector has certificates issued by, and when one last said so.
CREATE TABLE pkcs_authorities (
    name    TEXT PRIMARY KEY,
    last_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
