-- One file for Postgres, YugabyteDB, CockroachDB and SQLite. SQLite takes the
-- Postgres type names as they are: timestamptz and jsonb columns keep text.
-- Ids are UUIDv7 made by the program. A nullable jsonb list is null when
-- nothing limits, '[]' when nothing is allowed.

-- +goose Up
-- Two programs that migrate at once can both begin a migration; the second one's
-- version row breaks this index, and its transaction is undone.
CREATE UNIQUE INDEX goose_db_version_once ON goose_db_version (version_id);

CREATE TABLE meta (
    name  text NOT NULL CONSTRAINT meta_pkey PRIMARY KEY,
    value text NOT NULL
);

-- The one row that every edit takes first: its value is the last committed edit.
CREATE TABLE epoch (
    id    bigint NOT NULL CONSTRAINT epoch_pkey PRIMARY KEY CONSTRAINT epoch_one_row CHECK (id = 1),
    value bigint NOT NULL
);
INSERT INTO epoch (id, value) VALUES (1, 0);

CREATE TABLE changes (
    epoch     bigint NOT NULL,
    tenant_id text NOT NULL,
    kind      text NOT NULL,
    id        text NOT NULL,
    CONSTRAINT changes_pkey PRIMARY KEY (epoch, tenant_id, kind, id)
);

CREATE TABLE tenants (
    id          text NOT NULL CONSTRAINT tenants_pkey PRIMARY KEY,
    slug        text NOT NULL CONSTRAINT tenants_slug_key UNIQUE,
    name        text NOT NULL,
    mcp_enabled boolean NOT NULL,
    created_at  timestamptz NOT NULL,
    updated_at  timestamptz NOT NULL,
    version     bigint NOT NULL
);

CREATE TABLE projects (
    id         text NOT NULL CONSTRAINT projects_pkey PRIMARY KEY,
    tenant_id  text NOT NULL CONSTRAINT projects_tenant_fkey REFERENCES tenants (id),
    slug       text NOT NULL,
    name       text NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    version    bigint NOT NULL,
    CONSTRAINT projects_slug_key UNIQUE (tenant_id, slug),
    CONSTRAINT projects_tenant_id_key UNIQUE (tenant_id, id)
);

-- The foreign key takes the tenant along: no instance in another tenant's project.
CREATE TABLE instances (
    id                text NOT NULL CONSTRAINT instances_pkey PRIMARY KEY,
    tenant_id         text NOT NULL,
    project_id        text NOT NULL,
    slug              text NOT NULL,
    transport         text NOT NULL,
    command           text NOT NULL,
    args              jsonb NOT NULL,
    url               text NOT NULL,
    sealed            bytea,
    enabled           boolean NOT NULL,
    write_enabled     boolean NOT NULL,
    trust_annotations boolean NOT NULL,
    allow_private     boolean NOT NULL,
    tools             jsonb NOT NULL,
    source            text NOT NULL,
    created_at        timestamptz NOT NULL,
    updated_at        timestamptz NOT NULL,
    version           bigint NOT NULL,
    CONSTRAINT instances_slug_key UNIQUE (tenant_id, slug),
    CONSTRAINT instances_project_fkey FOREIGN KEY (tenant_id, project_id) REFERENCES projects (tenant_id, id)
);
CREATE INDEX instances_project_idx ON instances (tenant_id, project_id);

-- raw is what the upstream sent, byte for byte, so it is no jsonb.
CREATE TABLE definitions (
    instance_id text NOT NULL CONSTRAINT definitions_instance_fkey REFERENCES instances (id) ON DELETE CASCADE,
    kind        text NOT NULL,
    name        text NOT NULL,
    raw         bytea NOT NULL,
    digest      text NOT NULL,
    seen_at     timestamptz NOT NULL,
    CONSTRAINT definitions_pkey PRIMARY KEY (instance_id, kind, name)
);

CREATE TABLE presets (
    tenant_id   text NOT NULL CONSTRAINT presets_tenant_fkey REFERENCES tenants (id),
    name        text NOT NULL,
    permissions jsonb NOT NULL,
    max_effect  text NOT NULL,
    created_at  timestamptz NOT NULL,
    updated_at  timestamptz NOT NULL,
    version     bigint NOT NULL,
    CONSTRAINT presets_pkey PRIMARY KEY (tenant_id, name)
);

-- project_id and parent_key_id outlive what they point to, so they are no
-- foreign keys. search is name, handle and prefix in lower case, folded by the
-- program, so that every database searches alike.
CREATE TABLE keys (
    id                 text NOT NULL CONSTRAINT keys_pkey PRIMARY KEY,
    tenant_id          text NOT NULL CONSTRAINT keys_tenant_fkey REFERENCES tenants (id),
    handle             text NOT NULL,
    name               text NOT NULL,
    description        text NOT NULL,
    tags               jsonb NOT NULL,
    prefix             text NOT NULL,
    search             text NOT NULL,
    scope              text NOT NULL,
    permissions        jsonb NOT NULL,
    enabled            boolean NOT NULL,
    mcp_active         boolean NOT NULL,
    mcp_read_only      boolean NOT NULL,
    mcp_preset         text NOT NULL,
    mcp_permissions    jsonb,
    mcp_allowlist_mode text NOT NULL,
    mcp_tool_allowlist jsonb NOT NULL,
    mcp_project_ids    jsonb,
    mcp_instance_ids   jsonb,
    project_id         text NOT NULL,
    parent_key_id      text NOT NULL,
    source             text NOT NULL,
    device_name        text NOT NULL,
    created_by         text NOT NULL,
    expires_at         timestamptz,
    last_used_at       timestamptz,
    revoked_at         timestamptz,
    revoked_by         text NOT NULL,
    revoke_reason      text NOT NULL,
    created_at         timestamptz NOT NULL,
    updated_at         timestamptz NOT NULL,
    version            bigint NOT NULL
);
CREATE UNIQUE INDEX keys_live_handle_key ON keys (tenant_id, handle) WHERE revoked_at IS NULL;
CREATE INDEX keys_age_idx ON keys (tenant_id, created_at, id);
CREATE INDEX keys_parent_idx ON keys (parent_key_id);

CREATE TABLE key_secrets (
    hash       bytea NOT NULL CONSTRAINT key_secrets_pkey PRIMARY KEY,
    key_id     text NOT NULL CONSTRAINT key_secrets_key_fkey REFERENCES keys (id) ON DELETE CASCADE,
    tenant_id  text NOT NULL,
    pepper     bigint NOT NULL,
    imported   boolean NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz
);
CREATE INDEX key_secrets_key_idx ON key_secrets (key_id);

-- Entries outlive what they speak of, so there are no foreign keys.
CREATE TABLE audit (
    id          text NOT NULL CONSTRAINT audit_pkey PRIMARY KEY,
    tenant_id   text NOT NULL,
    at          timestamptz NOT NULL,
    kind        text NOT NULL,
    action      text NOT NULL,
    actor       text NOT NULL,
    key_id      text NOT NULL,
    key_version bigint NOT NULL,
    subject     text NOT NULL,
    tool        text NOT NULL,
    decision    text NOT NULL,
    failed      jsonb NOT NULL,
    ref         text NOT NULL,
    args_digest text NOT NULL,
    outcome     text NOT NULL,
    latency_us  bigint NOT NULL,
    client      text NOT NULL,
    epoch       bigint NOT NULL,
    detail      jsonb
);
CREATE INDEX audit_age_idx ON audit (tenant_id, id);
CREATE INDEX audit_key_idx ON audit (tenant_id, key_id, id);
CREATE INDEX audit_ref_idx ON audit (tenant_id, ref) WHERE ref <> '';
