-- Version 5: connectors that enrol by a one-time token and renew their certificates.

-- Of the role `enrolment`: whose certificate may be asked for with it.
ALTER TABLE tokens ADD COLUMN instance TEXT;

-- Orders of connectors' certificates, one for each token and one for each request of a renewal: asked for again, an order gives the same
-- certificate.
CREATE TABLE enrolments (
    order_id    TEXT PRIMARY KEY,
    instance    TEXT NOT NULL,
    csr         BLOB NOT NULL,
    begun_ms    INTEGER NOT NULL,
    pending     BLOB,    -- how the authority finds the order again
    certificate BLOB,    -- DER
    chain       BLOB     -- those above it: JSON, base64
) STRICT;

-- Which certificates of an instance are accepted besides the one in `connectors`, and which belong together.
CREATE TABLE connector_certificates (
    certificate  TEXT PRIMARY KEY, -- SHA-256 of its DER, hexadecimal
    instance     TEXT NOT NULL,
    not_after_ms INTEGER NOT NULL,
    leaves_ms    INTEGER           -- from when on it is refused, because another one took its place
) STRICT;
CREATE INDEX connector_certificates_of ON connector_certificates (instance);
