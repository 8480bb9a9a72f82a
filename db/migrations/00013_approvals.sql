-- Calls that wait for a person's approval, or were approved or refused. sealed has
-- the arguments, sealed by the program; null where they are too large to be shown.
-- binding sums up which calls an approval is for, uses counts those that it let
-- through.

-- +goose Up
CREATE TABLE approvals (
    id                text NOT NULL CONSTRAINT approvals_pkey PRIMARY KEY,
    tenant_id         text NOT NULL CONSTRAINT approvals_tenant_fkey REFERENCES tenants (id),
    status            text NOT NULL,
    actor             text NOT NULL,
    key_id            text NOT NULL,
    key_handle        text NOT NULL,
    key_version       bigint NOT NULL,
    action            text NOT NULL,
    subject           text NOT NULL,
    tool              text NOT NULL,
    args_digest       text NOT NULL,
    client            text NOT NULL,
    epoch             bigint NOT NULL,
    created_at        timestamptz NOT NULL,
    expires_at        timestamptz NOT NULL,
    decided_by        text NOT NULL,
    decided_at        timestamptz,
    reason            text NOT NULL,
    used_at           timestamptz,
    uses              bigint NOT NULL,
    binding           bytea NOT NULL,
    sealed            bytea
);
CREATE INDEX approvals_tenant_idx ON approvals (tenant_id, id);
CREATE INDEX approvals_binding_idx ON approvals (binding);
CREATE INDEX approvals_end_idx ON approvals (expires_at);
