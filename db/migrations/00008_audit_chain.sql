-- Entries of the audit trail are numbered and hashed by tenant and writer, so
-- that what is changed or missing is seen. Those of before have no writer.

-- +goose Up
ALTER TABLE audit ADD COLUMN writer text NOT NULL DEFAULT '';
ALTER TABLE audit ADD COLUMN seq bigint NOT NULL DEFAULT 0;
ALTER TABLE audit ADD COLUMN hash text NOT NULL DEFAULT '';

-- Where each chain ends, and where retention has cut it; both are signed by the
-- program.
CREATE TABLE audit_chains (
    tenant_id text NOT NULL,
    writer    text NOT NULL,
    seq       bigint NOT NULL,
    hash      text NOT NULL,
    mac       text NOT NULL,
    cut_seq   bigint NOT NULL,
    cut_hash  text NOT NULL,
    cut_mac   text NOT NULL,
    CONSTRAINT audit_chains_pkey PRIMARY KEY (tenant_id, writer)
);
