-- Sign-ins of devices, until a person decides and the device collects its key.
-- tenant_id and key_id are empty until then; sealed is null but in between.

-- +goose Up
CREATE TABLE logins (
    id             text NOT NULL CONSTRAINT logins_pkey PRIMARY KEY,
    state          text NOT NULL,
    name           text NOT NULL,
    device_name    text NOT NULL,
    scopes         jsonb NOT NULL,
    source         text NOT NULL,
    key_expires_at timestamptz,
    tenant_id      text NOT NULL,
    key_id         text NOT NULL,
    poll           bytea NOT NULL,
    sealed         bytea,
    created_at     timestamptz NOT NULL,
    expires_at     timestamptz NOT NULL
);
CREATE INDEX logins_end_idx ON logins (expires_at);
