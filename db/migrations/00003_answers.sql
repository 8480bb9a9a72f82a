-- What was answered to requests with an idempotency key: sealed by the program,
-- and dropped when it has expired.

-- +goose Up
CREATE TABLE answers (
    tenant_id  text NOT NULL CONSTRAINT answers_tenant_fkey REFERENCES tenants (id),
    principal  text NOT NULL,
    key        text NOT NULL,
    digest     bytea NOT NULL,
    sealed     bytea NOT NULL,
    expires_at timestamptz NOT NULL,
    CONSTRAINT answers_pkey PRIMARY KEY (tenant_id, principal, key)
);
CREATE INDEX answers_end_idx ON answers (expires_at);
