-- What a key was is read from its changes, which are few among the calls.

-- +goose Up
CREATE INDEX audit_subject_idx ON audit (tenant_id, subject, id) WHERE kind = 'change';
