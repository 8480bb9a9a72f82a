-- What was approved of each tool; approved is empty where it is raw itself.

-- +goose Up
ALTER TABLE definitions ADD COLUMN pinned text NOT NULL DEFAULT '';
ALTER TABLE definitions ADD COLUMN pin_version bigint NOT NULL DEFAULT 0;
ALTER TABLE definitions ADD COLUMN approved bytea;
ALTER TABLE definitions ADD COLUMN gone boolean NOT NULL DEFAULT false;
ALTER TABLE instances ADD COLUMN quarantine_new boolean NOT NULL DEFAULT false;
