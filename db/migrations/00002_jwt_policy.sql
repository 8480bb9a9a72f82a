-- +goose Up
-- What the subjects of JWTs may do over MCP. Tenants of before are closed to
-- them, as new ones are.
ALTER TABLE tenants ADD COLUMN jwt_policy jsonb NOT NULL DEFAULT '{"mcpActive": false, "mcpReadOnly": false, "mcpPreset": "full_access", "mcpPermissions": null, "mcpAllowlistMode": "all", "mcpToolAllowlist": [], "mcpProjectIds": null, "mcpInstanceIds": null}';
