-- Whether a tenant has the arguments of its tool calls kept in its audit trail. No
-- tenant of before has asked for it.

-- +goose Up
ALTER TABLE tenants ADD COLUMN audit_arguments boolean NOT NULL DEFAULT false;
