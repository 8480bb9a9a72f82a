package policy_test

import (
	"fmt"
	"slices"
	"time"

	"pgregory.net/rapid"

	"github.com/bailiwick-mcp/bailiwick/policy"
)

// The generators draw from few values, so that rules meet; each list has values
// that nothing may match and that could not have been written.
var (
	genNow        = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	genCategories = []string{"tools", "tools", "tools", "tools", "web", "web", "keys", "audit", "platform", "", "Bad!", "abcdefghijabcdefghijabcdefghij123"}
	genEffects    = []policy.Effect{1, 1, 1, 2, 2, 3, 3, 0, 9}
	genNames      = []string{"read", "read_file", "drop", "drop_all", "a__read", "x/y", "é\"q", "whoami", "list_api_keys"}
	genSlugs      = []string{"a", "b", "read", "bailiwick"}
	genIDs        = []string{"i1", "i2", "p1", "p2", ""}
	genEntries    = []string{"mcp:tools", "mcp:tools", "mcp:web", "mcp:keys", "mcp:*", "tools", "mcp:", "mcp:Bad!", "*", ""}
	genREST       = append(policy.KnownPermissions(), "*", "*", "view:nothing", "manage", "")
	genPatterns   = []string{
		"*", "read", "read*", "*read", "*_all", "drop*", "*a*", "r*d", "a__*", "a__read", "*__drop", "**", "read__*", "é\"*",
		"a/*", "a/read", "*/read", "*/*", "b/d*", "bailiwick/*", "/", "@tools", "@web", "@keys",
		"@", "@x/y", "@*", "dro[p]", "r?ad", "", "a\nb", `a\b`, "\xff", "READ",
	}
	genPresets = []string{"read_only", "standard", "full_access", "full_access", "custom", "ops", "broken", "wild", "gone", ""}
	genOwn     = map[string]policy.Preset{
		"ops":       {Permissions: []string{"mcp:tools", "mcp:audit", "nonsense"}, MaxEffect: policy.EffectWrite},
		"wild":      {Permissions: []string{"mcp:*"}, MaxEffect: 9},
		"broken":    {Permissions: []string{"mcp:*"}},
		"read_only": {Permissions: []string{"mcp:*"}, MaxEffect: policy.EffectDestructive}, // reserved: never looked at
	}
)

// seldom draws true once in n times.
func seldom(t *rapid.T, label string, n int) bool { return rapid.IntRange(1, n).Draw(t, label) == n }

func pickOne[T any](t *rapid.T, label string, from []T) T {
	return rapid.SampledFrom(from).Draw(t, label)
}

func genList(t *rapid.T, label string, from []string) []string {
	n := rapid.SampledFrom([]int{0, 1, 1, 2, 3, 6}).Draw(t, label+" count")
	list := []string{}
	for range n {
		list = append(list, pickOne(t, label, from))
	}
	return list
}

func genLimit(t *rapid.T, label string, from []string) policy.Limit {
	if rapid.Bool().Draw(t, label+" null") {
		return policy.Unlimited()
	}
	return policy.Only(genList(t, label, from)...)
}

// openSubject permits everything.
func openSubject() policy.Subject {
	p := policy.Default()
	p.ReadOnly, p.Preset = false, policy.PresetFullAccess
	return policy.Subject{
		Enabled: true, TenantMCPEnabled: true, Scope: policy.ScopeFull,
		Permissions: []string{"*", "manage:tenants"}, Policy: p, Presets: genOwn,
	}
}

// genSubject starts from everything and redraws some fields, or nearly all, so
// that both allowed and denied are common.
func genSubject(t *rapid.T) policy.Subject {
	s := openSubject()
	fields := rapid.SampledFrom([]int{0, 1, 1, 2, 2, 3, 15}).Draw(t, "fields redrawn")
	for range fields {
		redrawField(t, &s)
	}
	return s
}

func redrawField(t *rapid.T, s *policy.Subject) {
	p := &s.Policy
	switch rapid.IntRange(0, 19).Draw(t, "field") {
	case 0:
		s.Revoked = seldom(t, "revoked", 2)
	case 1:
		s.Enabled = !seldom(t, "disabled", 2)
	case 2:
		s.TenantMCPEnabled = !seldom(t, "tenant off", 2)
	case 3:
		s.Scope = pickOne(t, "scope", []policy.Scope{"full", "mcp_only", "mcp_only", "api", "api", "Full", ""})
	case 4:
		at := genTime(t, "expiry")
		s.ExpiresAt = &at
	case 5, 6:
		s.Permissions = genList(t, "permission", genREST)
	case 7:
		s.ProjectID = pickOne(t, "confined to", []string{"p1", "p2", ""})
	case 8:
		p.Active = !seldom(t, "paused", 2)
	case 9:
		p.ReadOnly = !p.ReadOnly
	case 10, 11:
		p.Preset = pickOne(t, "preset", genPresets)
	case 12, 13:
		p.Permissions = genLimit(t, "mcpPermissions", genEntries)
	case 14, 15, 16:
		p.AllowlistMode = pickOne(t, "mode", []policy.Mode{"all", "allow", "allow", "deny", "deny", "Allow", ""})
		p.ToolAllowlist = genPatternList(t)
	case 17:
		p.ProjectIDs = genLimit(t, "projects", genIDs)
	case 18, 19:
		p.InstanceIDs = genLimit(t, "instances", genIDs)
	}
}

func genPatternList(t *rapid.T) []string {
	if !seldom(t, "overlong", 40) {
		from := goodPatterns()
		if seldom(t, "bad patterns", 4) {
			from = genPatterns
		}
		return genList(t, "pattern", from)
	}
	list := []string{"*"}
	for i := range rapid.IntRange(254, 257).Draw(t, "patterns") {
		list = append(list, fmt.Sprintf("none%d", i))
	}
	return list
}

func genTime(t *rapid.T, label string) time.Time {
	return genNow.Add(time.Duration(rapid.IntRange(-2, 2).Draw(t, label)))
}

func genTool(t *rapid.T) policy.Tool {
	slug, name := pickOne(t, "slug", genSlugs), pickOne(t, "name", genNames)
	tool := policy.Tool{
		ID: slug + "/" + name, Name: slug + "__" + name, Category: pickOne(t, "category", genCategories),
		Effect: pickOne(t, "effect", genEffects), InstanceID: pickOne(t, "instance", genIDs),
		ProjectID: pickOne(t, "project", genIDs), WriteEnabled: !seldom(t, "write disabled", 3),
		Permission: pickOne(t, "needs", genREST), Quarantined: seldom(t, "quarantined", 10),
	}
	if slug == "bailiwick" {
		tool.Name = name
	}
	return tool
}

// genAnyTool also draws none, and tools that no catalog takes.
func genAnyTool(t *rapid.T) *policy.Tool {
	tool := genTool(t)
	switch rapid.IntRange(0, 14).Draw(t, "kind of tool") {
	case 0:
		return nil
	case 1:
		tool.ID = pickOne(t, "broken id", []string{"", "a", "/a", "a/", "bailiwick", "bailiwick/"})
	case 2:
		tool.ID, tool.Name = "bailiwick/whoami", "whoami"
	}
	return &tool
}

func genCatalog(t *rapid.T, size int) *policy.Catalog {
	var tools []policy.Tool
	names, ids := map[string]bool{}, map[string]bool{}
	for range size {
		tool := genTool(t)
		if names[tool.Name] || ids[tool.ID] {
			continue
		}
		names[tool.Name], ids[tool.ID] = true, true
		tools = append(tools, tool)
	}
	c, err := policy.NewCatalog(tools)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func goodPatterns() []string {
	return slices.DeleteFunc(slices.Clone(genPatterns), func(p string) bool { _, err := policy.ParsePattern(p); return err != nil })
}

// genNarrowings draws none to two narrowings; their patterns parse.
func genNarrowings(t *rapid.T) []policy.Narrowing {
	good := goodPatterns()
	var out []policy.Narrowing
	for range rapid.SampledFrom([]int{0, 0, 1, 2}).Draw(t, "narrowings") {
		n := policy.NoNarrowing()
		switch rapid.IntRange(0, 5).Draw(t, "narrowed") {
		case 0:
			n.Instances = policy.Only(genList(t, "slugs", append(genSlugs, "nowhere", ""))...)
		case 1:
			n.Categories = policy.Only(genList(t, "categories", genCategories)...)
		case 2:
			n.Toolsets = policy.Only(genList(t, "toolsets", genCategories)...)
		case 3:
			n.Tools = policy.Only(genList(t, "only", good)...)
		case 4:
			n.Exclude = genList(t, "exclude", good)
		case 5:
			n.ReadOnly = true
		}
		out = append(out, n)
	}
	return out
}

func mustNarrow(t fataler, layers ...policy.Narrowing) *policy.Session {
	s, err := policy.Narrow(layers...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func compile(layers []policy.Subject) *policy.Grant { return policy.Compile(layers[0], layers[1:]...) }

func genLayers(t *rapid.T) []policy.Subject {
	layers := []policy.Subject{genSubject(t)}
	for range rapid.SampledFrom([]int{0, 0, 0, 1, 2}).Draw(t, "ancestors") {
		layers = append(layers, genSubject(t))
	}
	return layers
}

// failing are a decision's reasons by name.
func failing(d policy.Decision) []string {
	out := []string{}
	for _, r := range d.Failed() {
		out = append(out, r.String())
	}
	return out
}
