-- Version 7: what is outstanding of connectors' orders, and orders that are over without a certificate.

-- The authority was asked how the pending order fares, and what it answered is not known yet.
ALTER TABLE enrolments ADD COLUMN polled INTEGER NOT NULL DEFAULT 0 CHECK (polled IN (0, 1));
-- Why and when it ended without a certificate: what the authority issued is refused.
ALTER TABLE enrolments ADD COLUMN refused TEXT;
ALTER TABLE enrolments ADD COLUMN refused_ms INTEGER;
-- How often it was begun anew after that: another order at the authority each time.
ALTER TABLE enrolments ADD COLUMN round INTEGER NOT NULL DEFAULT 0;
-- The authority refused it, and issued nothing: another request may take its place. It counts against the limit of an hour all the same.
ALTER TABLE enrolments ADD COLUMN void INTEGER NOT NULL DEFAULT 0 CHECK (void IN (0, 1));
-- How often it was begun.
ALTER TABLE enrolments ADD COLUMN tries INTEGER NOT NULL DEFAULT 1;
