-- What a decision saw of the tool, so that it can be made again later. Of entries of
-- before it is not known.

-- +goose Up
ALTER TABLE audit ADD COLUMN seen text NOT NULL DEFAULT '';
