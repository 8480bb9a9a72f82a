-- The platform's list of keys goes through all tenants, page by page, oldest
-- first; without this each page would sort all keys. Revoked ones are on no page
-- unless they are asked for.

-- +goose Up
CREATE INDEX keys_live_age_idx ON keys (created_at, id) WHERE revoked_at IS NULL;
