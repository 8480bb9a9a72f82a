-- What a key's policy demands of each call, and a draft policy that is decided
-- beside it. No key of before demands anything.

-- +goose Up
ALTER TABLE keys ADD COLUMN mcp_argument_rules jsonb NOT NULL DEFAULT '[]';
ALTER TABLE keys ADD COLUMN mcp_approvals jsonb NOT NULL DEFAULT '[]';
ALTER TABLE keys ADD COLUMN mcp_limits jsonb NOT NULL DEFAULT '[]';
ALTER TABLE keys ADD COLUMN mcp_shadow jsonb;
