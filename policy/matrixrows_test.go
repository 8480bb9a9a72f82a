package policy_test

import (
	"strings"

	"github.com/bailiwick-mcp/bailiwick/policy"
)

var policyRows = []matrixRow{
	{"mcpActive", wireForms("mcpActive", ordinary, nil), "key.paused", "absent=allow null=allow true=allow false=deny wrong=malformed"},
	{"mcpReadOnly", byEffect(wireForms("mcpReadOnly", ofInstance, nil)), "readonly",
		spread("absent, null, true,", "read", "allow") + spread("absent, null, true,", "write destructive", "deny") +
			spread("false,", "read write destructive", "allow") + "wrong=malformed"},
	{"mcpPreset", presetForms, "preset.excluded permission.missing",
		spread("absent, null, read_only,", "read", "allow") +
			spread("absent, null, read_only,", "write destructive unknown management", "deny") +
			spread("standard,", "read write", "allow") + spread("standard,", "destructive unknown management", "deny") +
			spread("full_access, custom,", "read write destructive management", "allow") +
			spread("full_access, custom,", "unknown", "deny") + "own,read=allow,deny own,write=allow,deny " +
			spread("unknown, empty,", "read", "deny,refused") + "wrong=malformed"},
	{"mcpPermissions", permissionForms, "permission.missing preset.excluded",
		limitCells + " unknown=refused mixed=refused all=allow " +
			spread("custom:", "absent null empty", "deny") + spread("custom:", "one many all", "allow,deny") +
			"custom:unknown=deny,refused custom:mixed=allow,deny,refused"},
	{"mcpAllowlistMode", wireForms("mcpAllowlistMode", ordinary, oneOf("all", "allow", "deny")), "allowlist",
		"absent=allow null=allow all=allow allow=allow,deny deny=allow,deny empty=deny,refused unknown=deny,refused wrong=malformed"},
	{"mcpToolAllowlist", allowlistForms, "allowlist",
		spread("absent: null: all:", "absent null empty one many", "allow") + spread("all:", "unknown mixed", "allow,refused") +
			spread("empty: unknown:", "absent null empty one many", "deny") +
			spread("allow:", "absent null empty", "deny") + spread("deny:", "absent null empty", "allow") +
			spread("allow: deny:", "one many name exposed id instance category prefix suffix within", "allow,deny") +
			"allow:everything=allow deny:everything=deny " + spread("allow: deny:", "unknown", "deny,refused") +
			"allow:mixed=allow,deny,refused deny:mixed=deny,refused wrong=malformed null-entry=malformed wrong-entry=malformed"},
	{"mcpProjectIds", wireForms("mcpProjectIds", ofInstance, project, "key project"), "project.not_allowed", limitCells},
	{"mcpInstanceIds", wireForms("mcpInstanceIds", ofInstance, instance), "instance.not_allowed", limitCells},
}

const limitCells = "absent=allow null=allow empty=deny one=allow,deny many=allow,deny unknown=deny mixed=allow,deny " +
	"wrong=malformed null-entry=malformed wrong-entry=malformed"

var subjectRows = []matrixRow{
	{"revoked", wordForms("key revoked", ordinary, nil), "key.revoked", "absent=allow said=deny"},
	{"enabled", wordForms("key disabled", ordinary, nil), "key.disabled", "absent=allow said=deny"},
	{"expiresAt", expiryForms, "key.expired", "absent=allow past=deny now=deny next=allow future=allow another-zone=allow,deny"},
	{"tenantMcpEnabled", wordForms("tenant mcp", ordinary, nil), "tenant.mcp_disabled", "absent=allow said=deny"},
	{"scope", wordForms("key scope", ordinary, oneOf("api", "mcp_only", "full")), "key.scope",
		"absent=allow empty=deny api=deny mcp_only=allow full=allow unknown=deny"},
	{"permissions", restForms, "permission.missing",
		"absent=deny empty=deny one=allow,deny many=allow,deny star=allow,deny star-and-tenants=allow unknown=deny mixed=allow,deny"},
	{"projectId", wordForms("key project", ofInstance, project, "mcpProjectIds"), "project.not_allowed",
		"absent=allow empty=allow one=allow,deny unknown=deny"},
	{"presets", presetsForms, "preset.excluded", "none=deny others=deny one=allow,deny many=allow,deny reserved=allow,deny"},
}

var presetRows = []matrixRow{
	{"permissions", ownPresetForms, "preset.excluded", "empty=deny one=allow,deny many=allow,deny all=allow,deny unknown=deny mixed=allow,deny"},
	{"maxEffect", byEffect(ownCeilingForms), "preset.excluded",
		spread("read, write, destructive,", "read", "allow") + spread("write, destructive,", "write", "allow") +
			"destructive,destructive=allow read,write=deny " + spread("read, write,", "destructive", "deny") +
			spread("read, write, destructive,", "unknown", "deny") + spread("unknown,", "read write destructive unknown", "deny")},
}

var sessionRows = []matrixRow{
	{"Instances", sessionForms("instances", slug), "session.narrowed", keptCells},
	{"Categories", sessionForms("categories", category), "session.narrowed", keptCells},
	{"Toolsets", sessionForms("toolsets", category), "session.narrowed", keptCells},
	{"Tools", sessionForms("tools", pattern), "session.narrowed", keptCells},
	{"Exclude", sessionForms("exclude", pattern), "session.narrowed",
		"absent=allow empty=allow one=allow,deny many=allow,deny unknown=allow mixed=allow,deny"},
	{"ReadOnly", byEffect(sessionForms("readonly", nil)), "session.narrowed",
		spread("absent,", "read write destructive", "allow") + "said,read=allow " + spread("said,", "write destructive", "deny")},
}

const keptCells = "absent=allow empty=deny one=allow,deny many=allow,deny unknown=deny mixed=allow,deny"

var toolRows = []matrixRow{
	{"id", idForms, "tool.unknown", spread("", "none no-slash no-slug no-name", "deny") + spread("", "instance built-in whoami nested", "allow")},
	{"category", categoryForms, "preset.excluded permission.missing",
		"ordinary=allow longest=allow management=allow,deny " + spread("", "empty capital underscore too-long", "deny")},
	{"effect", byEffect(toolForms(func(*policy.Tool) string { return "" })), "preset.excluded",
		",read=allow ,write=allow,deny ,destructive=allow,deny ,unknown=deny"},
	{"instanceId", underLimit("mcpInstanceIds", func(t *policy.Tool) string { return t.InstanceID }), "instance.not_allowed", servedCells},
	{"projectId", underLimit("mcpProjectIds", func(t *policy.Tool) string { return t.ProjectID }), "project.not_allowed", servedCells},
	{"writeEnabled", byEffect(toolForms(func(t *policy.Tool) string { return pick(t.WriteEnabled, "on", "off") })), "instance.write_disabled preset.excluded",
		spread("on,", "read write destructive", "allow") + "off,read=allow " + spread("off,", "write destructive unknown", "deny")},
	{"permission", needForms, "permission.missing", "absent=deny unknown=deny not-a-built-in=allow " + spread("", everyPermission, "allow,deny")},
	{"quarantined", toolForms(func(t *policy.Tool) string { return pick(t.Quarantined, "true", "false") }), "tool.quarantined", "false=allow true=deny"},
}

const (
	servedCells = "empty,unlimited=allow empty,listed=deny some,unlimited=allow some,listed=allow,deny"

	everyPermission = "* view:api-keys manage:api-keys view:projects manage:projects view:instances manage:instances " +
		"view:presets manage:presets view:audit manage:audit view:approvals manage:approvals " +
		"view:tenant manage:tenant view:tenants manage:tenants"
)

// spread gives each prefix with each form the same verdicts.
func spread(prefixes, forms, verdicts string) string {
	var b strings.Builder
	for prefix := range strings.SplitSeq(prefixes, " ") {
		for form := range strings.FieldsSeq(forms) {
			b.WriteString(prefix + form + "=" + verdicts + " ")
		}
	}
	return b.String()
}

func pick(cond bool, yes, no string) string {
	if cond {
		return yes
	}
	return no
}
