-- How many calls were taken of a key's limit in one period of the clock. Rows of
-- periods that are over are deleted. key_id is also that of a JWT's subject.

-- +goose Up
CREATE TABLE call_windows (
    tenant_id text NOT NULL,
    key_id    text NOT NULL,
    rule      text NOT NULL,
    begins    bigint NOT NULL,
    ends      bigint NOT NULL,
    taken     bigint NOT NULL,
    CONSTRAINT call_windows_pkey PRIMARY KEY (tenant_id, key_id, rule, begins)
);
CREATE INDEX call_windows_end_idx ON call_windows (ends);
