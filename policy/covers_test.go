package policy_test

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/bailiwick-mcp/bailiwick/policy"
)

// genRestriction takes something away from a subject; it never gives.
func genRestriction(t *rapid.T, s *policy.Subject) {
	p := &s.Policy
	shrunk := func(label string, l policy.Limit, from []string) policy.Limit {
		only := l.Values()
		if l.IsUnlimited() {
			only = genList(t, label, from)
		}
		keep := rapid.Bool().Draw(t, label+" keep")
		return policy.Only(slices.DeleteFunc(only, func(string) bool { return !keep && rapid.Bool().Draw(t, label+" drop") })...)
	}
	switch rapid.IntRange(0, 13).Draw(t, "restriction") {
	case 0:
		p.ReadOnly = true
	case 1:
		p.Active = false
	case 2:
		if p.Preset == policy.PresetFullAccess {
			p.Preset = pickOne(t, "preset", genPresets)
		} else if p.Preset == policy.PresetStandard {
			p.Preset = policy.PresetReadOnly
		}
	case 3, 4:
		if p.Preset != policy.PresetCustom || !p.Permissions.IsUnlimited() { // null is less than a list there
			p.Permissions = shrunk("mcpPermissions", p.Permissions, genEntries)
		}
	case 5:
		p.InstanceIDs = shrunk("instances", p.InstanceIDs, genIDs)
	case 6:
		p.ProjectIDs = shrunk("projects", p.ProjectIDs, genIDs)
	case 7, 8, 9:
		restrictAllowlist(t, p)
	case 10:
		s.Permissions = shrunk("permissions", policy.Only(s.Permissions...), nil).Values()
	case 11:
		if at := genTime(t, "expiry"); s.ExpiresAt == nil || at.Before(*s.ExpiresAt) {
			s.ExpiresAt = &at
		}
	case 12:
		if s.ProjectID == "" {
			s.ProjectID = "p1"
		}
	case 13:
		if s.Scope == policy.ScopeFull {
			s.Scope = policy.ScopeMCPOnly
		}
	}
}

func restrictAllowlist(t *rapid.T, p *policy.Policy) {
	list := slices.Clone(p.ToolAllowlist)
	switch p.AllowlistMode {
	case policy.ModeAll:
		p.AllowlistMode, list = pickOne(t, "mode", []policy.Mode{"allow", "deny"}), genPatternList(t)
	case policy.ModeAllow:
		list = slices.DeleteFunc(list, func(string) bool { return rapid.Bool().Draw(t, "drop pattern") })
		if len(p.ToolAllowlist) > policy.MaxPatterns {
			list = nil // shortening it could make it valid
		}
	case policy.ModeDeny:
		list = append(list, genList(t, "more", genPatterns)...)
	}
	p.ToolAllowlist = list
}

// Invariant 2: a restriction, an ancestor or a narrowing never adds a call.
func TestRestrictionsOnlyNarrow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		layers, narrowings := genLayers(t), genNarrowings(t)
		before, session := compile(layers), mustNarrow(t, narrowings...)
		less := slices.Clone(layers)
		i := rapid.IntRange(0, len(less)-1).Draw(t, "layer")
		genRestriction(t, &less[i])
		after := map[string]*policy.Grant{"restricted": compile(less), "with an ancestor": compile(append(layers, genSubject(t)))}
		narrower := session.With(mustNarrow(t, genNarrowings(t)...))
		for range 25 {
			tool, now := genAnyTool(t), genTime(t, "now")
			was := before.Decide(session, tool, now).Allowed()
			for name, g := range after {
				if g.Decide(session, tool, now).Allowed() && !was {
					t.Fatalf("%s: %+v became allowed", name, tool)
				}
			}
			if before.Decide(narrower, tool, now).Allowed() && !was {
				t.Fatalf("narrowed further, %+v became allowed", tool)
			}
		}
		for _, permission := range policy.KnownPermissions() {
			for name, g := range after {
				if g.Can(permission) && !before.Can(permission) {
					t.Fatalf("%s: gained %s", name, permission)
				}
			}
		}
	})
}

// Invariant 2: who is covered never exceeds who covers. An api key's policy is
// its issuing limit, so it is judged as though its scope were full.
func TestCoversIsSound(t *testing.T) {
	covered, refused := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		parents := genLayers(t)
		children := genLayers(t)
		if rapid.IntRange(0, 3).Draw(t, "related") > 0 {
			children = slices.Clone(parents)
			for range rapid.IntRange(0, 3).Draw(t, "restrictions") {
				genRestriction(t, &children[rapid.IntRange(0, len(children)-1).Draw(t, "layer")])
			}
		}
		if !policy.Covers(compile(parents), compile(children)) {
			refused++
			return
		}
		covered++
		assertWithin(t, parents, children)
	})
	t.Logf("%d covered, %d refused", covered, refused)
	if covered < 10 || refused < 10 {
		t.Fatalf("%d covered and %d refused: too few to tell", covered, refused)
	}
}

func assertWithin(t *rapid.T, parents, children []policy.Subject) {
	t.Helper()
	judged := slices.Clone(parents)
	for i := range judged {
		if judged[i].Scope == policy.ScopeAPI {
			judged[i].Scope = policy.ScopeFull
		}
	}
	parent, child := compile(judged), compile(children)
	for range 25 {
		tool, now := genAnyTool(t), genTime(t, "now")
		if child.Decide(nil, tool, now).Allowed() && !parent.Decide(nil, tool, now).Allowed() {
			t.Fatalf("%+v at %v: the child may, the parent may not: %v", tool, now, failing(parent.Decide(nil, tool, now)))
		}
	}
	for _, permission := range policy.KnownPermissions() {
		if child.Can(permission) && !parent.Can(permission) {
			t.Fatalf("the child holds %s, the parent does not", permission)
		}
	}
}

// Invariant 2: no sequence of keys, each covered by one before it, gets beyond
// the first.
func TestNoChainOfKeysEscapes(t *testing.T) {
	minted := 0
	rapid.Check(t, func(t *rapid.T) {
		keys := [][]policy.Subject{genLayers(t)}
		for range 12 {
			parent := pickOne(t, "issuer", keys)
			own := genSubject(t)
			if rapid.Bool().Draw(t, "like its issuer") {
				own = parent[0]
				genRestriction(t, &own)
			}
			if !policy.Covers(compile(parent), policy.Compile(own)) {
				continue
			}
			minted++
			child := []policy.Subject{own}
			if rapid.Bool().Draw(t, "as a child") {
				child = append(child, parent...)
			}
			keys = append(keys, child)
			assertWithin(t, keys[0], child)
		}
	})
	if minted < 50 {
		t.Fatalf("only %d keys were minted: too few to tell", minted)
	}
}

// Every grant of written values covers itself, so a key may mint its like.
func TestCoversItself(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := genSubject(t)
		s.Revoked, s.Enabled = false, true
		if !s.Scope.Known() || !s.Policy.AllowlistMode.Known() || len(s.Policy.Validate(s.Presets)) > 0 {
			return
		}
		if over := policy.Exceeding(policy.Compile(s), policy.Compile(s)); len(over) > 0 {
			t.Fatalf("not within itself: %v", over)
		}
	})
}

func TestCoversByField(t *testing.T) {
	soon, later := genNow, genNow.Add(time.Hour)
	type edit = func(*policy.Subject)
	list := func(mode policy.Mode, patterns ...string) edit {
		return func(s *policy.Subject) { s.Policy.AllowlistMode, s.Policy.ToolAllowlist = mode, patterns }
	}
	set := func(f func(*policy.Policy)) edit { return func(s *policy.Subject) { f(&s.Policy) } }
	same := func(*policy.Subject) {}
	preset := func(name string) edit { return set(func(p *policy.Policy) { p.Preset = name }) }
	categories := func(entries ...string) edit {
		return set(func(p *policy.Policy) { p.Permissions = policy.Only(entries...) })
	}
	readOnly := set(func(p *policy.Policy) { p.ReadOnly = true })
	both := func(a, b edit) edit { return func(s *policy.Subject) { a(s); b(s) } }
	scope := func(v policy.Scope) edit { return func(s *policy.Subject) { s.Scope = v } }
	rest := func(v ...string) edit { return func(s *policy.Subject) { s.Permissions = v } }
	expires := func(v *time.Time) edit { return func(s *policy.Subject) { s.ExpiresAt = v } }
	confined := func(v string) edit { return func(s *policy.Subject) { s.ProjectID = v } }
	projects := func(v ...string) edit { return set(func(p *policy.Policy) { p.ProjectIDs = policy.Only(v...) }) }
	instances := func(v ...string) edit { return set(func(p *policy.Policy) { p.InstanceIDs = policy.Only(v...) }) }
	for name, c := range map[string]struct {
		parent, child edit
		exceeds       []string
	}{
		"revoked parent":                 {func(s *policy.Subject) { s.Revoked = true }, same, []string{"revoked"}},
		"disabled parent":                {func(s *policy.Subject) { s.Enabled = false }, same, []string{"enabled"}},
		"tenant off":                     {func(s *policy.Subject) { s.TenantMCPEnabled = false }, same, []string{"mcpEnabled"}},
		"paused covers active":           {set(func(p *policy.Policy) { p.Active = false }), same, []string{"mcpActive"}},
		"active covers paused":           {same, set(func(p *policy.Policy) { p.Active = false }), nil},
		"api issues full":                {scope("api"), same, nil},
		"mcp_only issues mcp_only":       {scope("mcp_only"), scope("mcp_only"), nil},
		"mcp_only issues full":           {scope("mcp_only"), same, []string{"scope"}},
		"unknown scope issues":           {scope("root"), scope("mcp_only"), []string{"scope"}},
		"unknown scope issued":           {same, scope("root"), []string{"scope"}},
		"manage covers view":             {rest("manage:audit"), rest("view:audit"), nil},
		"view covers manage":             {rest("view:audit"), rest("manage:audit"), []string{"permissions"}},
		"star covers tenants":            {rest("*"), rest("view:tenants"), []string{"permissions"}},
		"all resources cover star":       {rest(withoutStar()...), rest("*"), []string{"permissions"}},
		"never under sometime":           {expires(&soon), expires(nil), []string{"expiresAt"}},
		"later":                          {expires(&soon), expires(&later), []string{"expiresAt"}},
		"same time":                      {expires(&soon), expires(&soon), nil},
		"confined elsewhere":             {confined("p1"), confined("p2"), []string{"projectId"}},
		"unconfined under confined":      {confined("p1"), projects("p1"), []string{"projectId"}},
		"confined within a list":         {projects("p1", "p2"), confined("p1"), nil},
		"projects beyond":                {projects("p1"), projects("p1", "p2"), []string{"mcpProjectIds"}},
		"all projects":                   {projects("p1"), same, []string{"mcpProjectIds"}},
		"no instances":                   {instances("i1"), instances(), nil},
		"all instances":                  {instances("i1"), same, []string{"mcpInstanceIds"}},
		"preset above":                   {preset("standard"), preset("full_access"), []string{"mcpPreset"}},
		"preset below":                   {preset("standard"), preset("read_only"), nil},
		"full access within a category":  {preset("standard"), both(preset("full_access"), categories("mcp:web")), []string{"mcpPreset"}},
		"read-only and one category":     {preset("standard"), both(readOnly, both(preset("full_access"), categories("mcp:web"))), nil},
		"read-only covers writing":       {readOnly, same, []string{"mcpReadOnly"}},
		"read-only covers preset read":   {readOnly, preset("read_only"), nil},
		"categories beyond":              {categories("mcp:web"), categories("mcp:web", "mcp:tools"), []string{"mcpPermissions"}},
		"no limit under a list":          {categories("mcp:web"), same, []string{"mcpPermissions"}},
		"no limit under mcp:*":           {categories("mcp:*"), same, nil},
		"custom null":                    {categories("mcp:web"), preset("custom"), nil},
		"under custom":                   {both(preset("custom"), categories("mcp:web")), categories("mcp:web"), nil},
		"own preset":                     {preset("ops"), both(preset("custom"), both(readOnly, categories("mcp:audit"))), nil},
		"all under allow":                {list("allow", "read*"), same, []string{"mcpToolAllowlist"}},
		"all under allow star":           {list("allow", "x", "*"), same, nil},
		"all under allow any id":         {list("allow", "*/*"), list("deny", "x"), nil},
		"narrower pattern":               {list("allow", "read*"), list("allow", "read_*", "read"), nil},
		"wider pattern":                  {list("allow", "read_*"), list("allow", "read*"), []string{"mcpToolAllowlist"}},
		"id under a name":                {list("allow", "read*"), list("allow", "a/read_x"), nil},
		"id of any instance under name":  {list("allow", "read*"), list("allow", "*/read_x"), []string{"mcpToolAllowlist"}},
		"id under its exposed name":      {list("allow", "a__read*"), list("allow", "a/read", "a/read_*"), nil},
		"id under another's name":        {list("allow", "b__read"), list("allow", "a/read"), []string{"mcpToolAllowlist"}},
		"built-in beside a deny":         {list("deny", "bailiwick__*"), list("allow", "bailiwick/read"), nil},
		"name under an id":               {list("allow", "a/*"), list("allow", "read"), []string{"mcpToolAllowlist"}},
		"same category":                  {list("allow", "@web"), list("allow", "@web"), nil},
		"other category":                 {list("allow", "@web"), list("allow", "@tools"), []string{"mcpToolAllowlist"}},
		"nothing under allow":            {list("allow", "@web"), list("allow"), nil},
		"deny kept":                      {list("deny", "drop_all"), list("deny", "drop*"), nil},
		"deny lost":                      {list("deny", "drop*"), list("deny", "drop_all"), []string{"mcpToolAllowlist"}},
		"all under deny":                 {list("deny", "drop*"), same, []string{"mcpToolAllowlist"}},
		"all under empty deny":           {list("deny"), same, nil},
		"allow apart from deny":          {list("deny", "drop_all"), list("allow", "read_all"), nil},
		"allow that deny may meet":       {list("deny", "drop*"), list("allow", "read*"), []string{"mcpToolAllowlist"}},
		"allow of ids apart from deny":   {list("deny", "drop*"), list("allow", "a/read*"), nil},
		"allow of an id that deny meets": {list("deny", "drop__*"), list("allow", "drop/read*"), []string{"mcpToolAllowlist"}},
		"allow of ids, deny of ids":      {list("deny", "a/*", "b/*"), list("allow", "c/*"), nil},
		"allow by suffix":                {list("deny", "a/*_all"), list("allow", "a/*_one"), nil},
		"allow of a denied category":     {list("deny", "@web"), list("allow", "@web"), []string{"mcpToolAllowlist"}},
		"allow of a category":            {list("deny", "@web"), list("allow", "@tools"), nil},
		"broken deny covers nothing":     {list("deny", "["), list("allow", "x"), []string{"mcpToolAllowlist"}},
		"broken deny is within":          {list("allow", "x"), list("deny", "["), nil},
	} {
		parent, child := openSubject(), openSubject()
		c.parent(&parent)
		c.child(&child)
		var fields []string
		for _, p := range policy.Exceeding(policy.Compile(parent), policy.Compile(child)) {
			fields = append(fields, p.Field)
		}
		if !slices.Equal(fields, c.exceeds) {
			t.Errorf("%s: exceeds in %v, want %v", name, fields, c.exceeds)
		}
	}
	for name, pair := range map[string][2]*policy.Grant{
		"nil parent": {nil, policy.Compile(openSubject())}, "nil child": {policy.Compile(openSubject()), nil},
		"zero parent": {new(policy.Grant), policy.Compile(openSubject())},
	} {
		if policy.Covers(pair[0], pair[1]) {
			t.Errorf("%s: covered", name)
		}
	}
}

func withoutStar() []string { return policy.KnownPermissions()[1:] }
