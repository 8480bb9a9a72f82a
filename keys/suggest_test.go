package keys_test

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// market is what the tenant has on offer, and what was asked of it.
type market struct {
	*house
	notes keys.Instance
	offer keys.Offer
}

func newMarket(t testing.TB) *market {
	h := newHouse(t)
	m := &market{house: h, notes: h.instance("notes", func(s *keys.InstanceSpec) {
		s.ProjectID = keys.Some(h.project("p").ID)
		s.Tools = keys.Some([]keys.ToolRule{{Match: "*secret*", Category: "secrets"}})
	})}
	thing := func(kind, name, category string, effect policy.Effect) keys.Offered {
		return keys.Offered{Kind: kind, Tool: policy.Tool{ID: "notes/" + name, Name: "notes__" + name, Category: category, Effect: effect,
			InstanceID: m.notes.ID, ProjectID: m.notes.ProjectID, WriteEnabled: true}}
	}
	m.offer = keys.NewOffer([]keys.Offered{
		thing(keys.KindTool, "read", "tools", policy.EffectRead), thing(keys.KindTool, "write", "tools", policy.EffectWrite),
		thing(keys.KindTool, "drop", "admin", policy.EffectDestructive), thing(keys.KindTool, "sum", "tools", policy.EffectDestructive),
		{Kind: keys.KindTool, Tool: policy.Tool{ID: "bailiwick/whoami", Name: "whoami", Effect: policy.EffectRead, Category: "platform"}},
		{Kind: keys.KindTool, Tool: policy.Tool{ID: "bailiwick/list_projects", Name: "list_projects", Effect: policy.EffectRead, Category: "platform", Permission: "view:projects"}},
		thing("prompt", "sum", "tools", policy.EffectRead),
		thing("resource", "note://1", "tools", policy.EffectRead),
		thing("template", "note://{id}", "docs", policy.EffectRead),
	})
	m.offer.Spellings = func(id string) (all []policy.Tool) {
		for _, spelled := range []string{id, strings.ReplaceAll(id, "%20", " ")} {
			if uri, ok := strings.CutPrefix(spelled, "notes/note://"); ok {
				all = append(all, thing("resource", "note://"+uri, "tools", policy.EffectRead).Tool)
			}
		}
		return all
	}
	return m
}

// use records requests of a key, as METHOD ID; a ! before the id is a denial.
func (m *market) use(k keys.Key, requests ...string) {
	m.t.Helper()
	for _, request := range requests {
		method, id, _ := strings.Cut(request, " ")
		e := keys.AuditEntry{TenantID: k.TenantID, Kind: "call", Action: method, Actor: k.ID, KeyID: k.ID, Subject: id, Decision: "allow"}
		if tool, denied := strings.CutPrefix(id, "!"); denied {
			e.Kind, e.Decision, e.Subject, e.Tool = "decision", "deny", "", tool
			if strings.Contains(tool, "/") {
				e.Subject = tool
			}
		}
		if err := m.svc.Record(m.ctx, e); err != nil {
			m.t.Fatal(err)
		}
	}
	m.runOnce(m.svc)
}

func (m *market) suggest(k keys.Key, days int) keys.Suggestion {
	m.t.Helper()
	got, err := m.svc.Suggest(m.ctx, m.op, k.Handle, m.offer, days)
	if err != nil {
		m.t.Fatal(err)
	}
	return got
}

func usedOf(s keys.Suggestion) (out []string) {
	for _, u := range s.Used {
		out = append(out, u.Kind+" "+u.ID+" "+strconv.Itoa(u.Count))
	}
	return out
}

// What is suggested of each use, and that it loses nothing of it once it is applied.
func TestSuggest(t *testing.T) {
	for name, c := range map[string]struct {
		use   []string
		used  []string
		list  []string
		write bool   // more than reading is left
		notes string // part of one; "" = none of the kind
	}{
		"nothing":        {nil, nil, []string{}, false, "no use of what it may use now is recorded"},
		"a tool":         {[]string{"tools/call notes/read", "tools/call notes/read"}, []string{"tool notes/read 2"}, []string{"notes/read"}, false, ""},
		"a task":         {[]string{"tasks/get notes/write"}, []string{"tool notes/write 1"}, []string{"notes/write"}, true, ""},
		"whoami":         {[]string{"tools/call bailiwick/whoami"}, []string{"tool bailiwick/whoami 1"}, []string{}, false, ""},
		"a built-in":     {[]string{"tools/call bailiwick/list_projects"}, []string{"tool bailiwick/list_projects 1"}, []string{"bailiwick/list_projects"}, false, ""},
		"a prompt":       {[]string{"prompts/get notes/sum"}, []string{"prompt notes/sum 1"}, []string{"notes/sum"}, false, ""},
		"tool of a name": {[]string{"tools/call notes/sum"}, []string{"tool notes/sum 1"}, []string{"notes/sum"}, true, ""},
		"a resource":     {[]string{"resources/read notes/note://1"}, []string{"resource notes/note://1 1"}, []string{"notes/note://1"}, false, ""},
		"a template": {[]string{"resources/read notes/note://{id}", "completion/complete notes/note://{id}"}, []string{"template notes/note://{id} 2"},
			[]string{"notes/note://*"}, false, "takes in 1 more"},
		"unlisted": {[]string{"resources/read notes/note://a%20b"}, []string{"resource notes/note://a%20b 1"},
			[]string{"notes/note://a b", "notes/note://a%20b"}, false, ""},
		"gone":   {[]string{"tools/call notes/old", "tools/call notes/read"}, []string{"tool notes/read 1"}, []string{"notes/read"}, false, "not on offer now, and so left out: notes/old"},
		"denied": {[]string{"tools/call !notes/drop", "tools/call !notes/drop", "tools/call notes/read", "tools/call !a"}, []string{"tool notes/read 1"}, []string{"notes/read"}, false, "notes/drop (2), a (1)"},
		"REST":   {[]string{"key.get !x"}, nil, []string{}, false, "no use of what it may use now is recorded"},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMarket(t)
			k := m.mint(m.op, keys.NewKey{PolicyPatch: full(), Permissions: keys.Some([]string{"view:projects"})}).Key
			m.use(k, c.use...)
			got := m.suggest(k, 30)
			if !slices.Equal(usedOf(got), c.used) {
				t.Errorf("used %q, want %q", usedOf(got), c.used)
			}
			if u := got.Update; u.MCPAllowlistMode.Value != policy.ModeAllow || !slices.Equal(u.MCPToolAllowlist.Value, c.list) || u.MCPReadOnly.Value == c.write {
				t.Errorf("update %+v, want the list %q", u, c.list)
			}
			notes := strings.Join(got.Notes, "\n")
			if c.notes != "" && !strings.Contains(notes, c.notes) || c.notes == "" && len(got.Notes) != 3 {
				t.Errorf("notes %q, want %q", notes, c.notes)
			}
			if name == "REST" && strings.Contains(notes, "denied in this time") {
				t.Errorf("what was denied over REST is no tool: %q", notes)
			}
			m.applied(k, got)
		})
	}
}

// applied makes the update: what was used stays, and nothing is left to suggest.
func (m *market) applied(k keys.Key, s keys.Suggestion) {
	m.t.Helper()
	before, err := m.svc.Standing(m.ctx, m.op, keys.Question{Key: k.ID})
	if err != nil {
		m.t.Fatal(err)
	}
	if _, err := m.svc.UpdateKey(m.ctx, m.op, k.ID, keys.KeyPatch{PolicyPatch: s.Update, IfVersion: s.Key.Version}); err != nil {
		m.t.Fatalf("the update can't be made: %v %v", err, details(err))
	}
	after, err := m.svc.Standing(m.ctx, m.op, keys.Question{Key: k.ID})
	if err != nil {
		m.t.Fatal(err)
	}
	for _, u := range s.Used {
		tools := m.offer.Spellings(u.ID)
		if i := slices.IndexFunc(m.offer.Items, func(o keys.Offered) bool { return o.Kind == u.Kind && o.Tool.ID == u.ID }); i >= 0 {
			tools = []policy.Tool{m.offer.Items[i].Tool}
		}
		if u.Kind == "template" { // a uri of it, in each category that one may have
			for _, category := range []string{"tools", "secrets"} {
				t := tools[0]
				t.ID, t.Name, t.Category = "notes/note://secret/2", "notes__note://secret/2", category
				tools = append(tools, t)
			}
		}
		if len(tools) == 0 {
			m.t.Errorf("%s is not there", u.ID)
		}
		for i := range tools {
			if d := after.Grant.Decide(nil, &tools[i], m.clock.Now()); !d.Allowed() {
				m.t.Errorf("%s was used, and is denied: %v", tools[i].ID, d.Failed())
			}
		}
	}
	for i := range m.offer.Items {
		t := &m.offer.Items[i].Tool
		if after.Grant.Decide(nil, t, m.clock.Now()).Allowed() && !before.Grant.Decide(nil, t, m.clock.Now()).Allowed() {
			m.t.Errorf("%s has become allowed", t.ID)
		}
	}
	if again := m.suggest(k, s.Days); !again.Update.Empty() {
		m.t.Errorf("there is more to suggest: %+v", again.Update)
	}
}

// The calls of the keys below go through the key, so they count as its use.
func TestSuggestCountsDescendants(t *testing.T) {
	m := newMarket(t)
	top := m.mint(m.op, keys.NewKey{Name: "top", PolicyPatch: full()}).Key
	mid := m.mint(m.op, keys.NewKey{Name: "mid", ParentKeyID: top.ID, PolicyPatch: full()}).Key
	leaf := m.mint(m.op, keys.NewKey{Name: "leaf", ParentKeyID: mid.ID, PolicyPatch: full()}).Key
	over := m.mint(m.op, keys.NewKey{Name: "over", ParentKeyID: top.ID, PolicyPatch: full()}).Key
	m.use(top, "tools/call notes/read")
	m.use(leaf, "tools/call notes/read", "tools/call notes/write")
	soon := m.clock.Now().Add(time.Hour)
	short := m.mint(m.op, keys.NewKey{Name: "short", ParentKeyID: top.ID, PolicyPatch: full(), ExpiresAt: &soon}).Key
	m.use(over, "tools/call notes/drop")  // is revoked below
	m.use(short, "tools/call notes/read") // expires, like mid and leaf
	m.clock.Advance(2 * time.Hour)
	if _, err := m.svc.RevokeKey(m.ctx, m.op, over.ID, keys.Revocation{}); err != nil {
		t.Fatal(err)
	}
	got := m.suggest(top, 30)
	if want := []string{"tool notes/read 3", "tool notes/write 1"}; !slices.Equal(usedOf(got), want) {
		t.Errorf("used %q, want %q", usedOf(got), want)
	}
	if !strings.Contains(strings.Join(got.Notes, "\n"), "keys below it (3)") || got.Allowed != 8 {
		t.Errorf("%d allowed, notes %q", got.Allowed, got.Notes)
	}
	m.applied(top, got)
	if got := m.suggest(mid, 30); len(got.Used) != 2 || got.Allowed != 3 {
		t.Errorf("of a child, whose parent allows 2 and whoami: %d of %d", len(got.Used), got.Allowed)
	}
}

// What the key may not use any more is left out, a quarantined tool is not.
func TestSuggestOfWhatIsDeniedNow(t *testing.T) {
	m := newMarket(t)
	k := m.mint(m.op, keys.NewKey{}).Key // read-only
	m.use(k, "tools/call notes/write", "tools/call notes/read")
	m.offer.Items[0].Tool.Quarantined = true
	got := m.suggest(k, 30)
	if !slices.Equal(usedOf(got), []string{"tool notes/read 1"}) || !slices.Equal(got.Update.MCPToolAllowlist.Value, []string{"notes/read"}) {
		t.Errorf("used %q, update %+v", usedOf(got), got.Update)
	}
	if got.Update.MCPReadOnly.Set || got.Update.MCPPreset.Set {
		t.Errorf("what does not change is in the update: %+v", got.Update)
	}
	if notes := strings.Join(got.Notes, "\n"); !strings.Contains(notes, "not allowed any more, and so left out: notes/write") {
		t.Errorf("notes %q", notes)
	}
}

// From when on the trail knows the key's use, and what is said where that is less
// than was asked for.
func TestSuggestSaysWhatIsKnown(t *testing.T) {
	const day = 24 * time.Hour
	m := newMarket(t)
	begin := m.clock.Now()
	old := m.mint(m.op, keys.NewKey{Name: "old", PolicyPatch: full()}).Key
	m.use(old, "tools/call notes/write")
	m.clock.Advance(40 * day)
	young := m.mint(m.op, keys.NewKey{Name: "young"}).Key
	m.use(old, "tools/call notes/read")
	check := func(k keys.Key, days int, since time.Time, used int, note string) {
		t.Helper()
		got := m.suggest(k, days)
		about := func(s string) bool {
			return strings.Contains(s, "younger than") || strings.Contains(s, "does not cover")
		}
		i := slices.IndexFunc(got.Notes, about)
		if d := got.RecordedSince.Sub(since); d < 0 || d > time.Hour || len(got.Used) != used || (i < 0) != (note == "") ||
			i >= 0 && !strings.Contains(got.Notes[i], note) || !got.Since.Equal(m.clock.Now().AddDate(0, 0, -days)) {
			t.Errorf("%s, %d days: since %v, used %q, notes %q", k.Name, days, got.RecordedSince, usedOf(got), got.Notes)
		}
	}
	check(old, 30, begin, 1, "")
	check(old, 365, begin, 2, "younger than 365 days")
	check(young, 1, begin.Add(40*day), 0, "younger than a day")
	m.clock.Advance(10 * day)
	cut := begin.Add(39 * day)
	if _, err := m.svc.PruneAudit(m.ctx, m.op, cut, false); err != nil {
		t.Fatal(err)
	}
	check(old, 5, cut, 0, "")
	check(old, 30, cut, 1, "does not cover 30 days")
}

func TestSuggestRefuses(t *testing.T) {
	m := newMarket(t)
	k := m.mint(m.op, keys.NewKey{PolicyPatch: full()}).Key
	ask := func(p keys.Principal, name string, days int) error {
		return errOf(m.svc.Suggest(m.ctx, p, name, m.offer, days))
	}
	for _, permissions := range [][]string{{}, {"view:audit"}, {"manage:api-keys"}, {"view:audit", "view:api-keys"}} {
		p := m.as(keys.NewKey{Permissions: keys.Some(permissions)})
		if err := ask(p, k.ID, 30); isDenied(err) != (len(permissions) < 2) || err != nil && !isDenied(err) {
			t.Errorf("with %q: %v", permissions, err)
		}
	}
	if err := ask(keys.Principal{}, k.ID, 30); !errors.Is(err, keys.ErrUnauthenticated) {
		t.Errorf("nobody: %v", err)
	}
	if err := ask(m.op, "nobody", 30); !errors.Is(err, keys.ErrNotFound) {
		t.Errorf("an unknown key: %v", err)
	}
	for _, days := range []int{-1, 0, 366} {
		if err := ask(m.op, k.ID, days); !slices.Equal(fieldsOf(err), []string{"days"}) {
			t.Errorf("%d days: %v", days, err)
		}
	}
}

// Where not all of the use is known, an update would take away what is in use.
func TestSuggestNothingOfWhatIsNotKnown(t *testing.T) {
	m := newMarket(t)
	k := m.mint(m.op, keys.NewKey{PolicyPatch: full()}).Key
	m.use(k, "tools/call notes/read")
	nowhere := *m
	nowhere.offer = keys.Offer{}
	if got := nowhere.suggest(k, 30); !got.Update.Empty() || !strings.Contains(got.Notes[0], "nothing is known to be on offer") {
		t.Errorf("without an offer: %+v", got)
	}
	var many []keys.AuditEntry
	for i := range keys.MaxAuditUse {
		many = append(many, keys.AuditEntry{ID: uuid.Must(uuid.NewV7()).String(), TenantID: k.TenantID, Time: m.clock.Now(), Kind: "decision",
			Action: "tools/call", KeyID: k.ID, Tool: "guess-" + strconv.Itoa(i), Decision: "deny", Writer: "w1"})
	}
	if err := m.store.AppendAudit(m.ctx, many); err != nil {
		t.Fatal(err)
	}
	if got := m.suggest(k, 30); !got.Update.Empty() || !strings.Contains(got.Notes[0], "too many to count") {
		t.Errorf("of too many: %+v, %q", got.Update, got.Notes)
	}
	if _, err := m.svc.RevokeKey(m.ctx, m.op, k.ID, keys.Revocation{}); err != nil {
		t.Fatal(err)
	}
	got, err := m.svc.Suggest(m.ctx, m.op, k.ID, m.offer, 30)
	if err != nil || !got.Update.Empty() || got.Notes[0] != "the key is revoked, so nothing is suggested" {
		t.Errorf("of a revoked key: %+v, %v", got, err)
	}
}
