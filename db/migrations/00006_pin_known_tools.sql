-- Tools of before are pinned as they were announced last. This is no part of
-- the migration before: CockroachDB can't write a column that the same
-- transaction has added.

-- +goose Up
UPDATE definitions SET pinned = digest WHERE kind = 'tool';
