-- Version 2: what the device gets is chosen by the request.
ALTER TABLE device_requests ADD COLUMN delivery TEXT NOT NULL DEFAULT 'password';
-- Of the delivery rewrap: the new PFX, encrypted to the device. Of appleProfile, `cms` holds the profile.
ALTER TABLE results ADD COLUMN pfx BLOB;
