-- Processes that decide on requests. An edit waits for each row until its
-- process has applied it, or has shown no sign of life for its lease.

-- +goose Up
CREATE TABLE replicas (
    id         text NOT NULL CONSTRAINT replicas_pkey PRIMARY KEY,
    name       text NOT NULL,
    applied    bigint NOT NULL,
    beat       bigint NOT NULL,
    lease_us   bigint NOT NULL,
    started_at timestamptz NOT NULL
);
