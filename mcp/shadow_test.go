package mcp_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/keystest"
	"github.com/bailiwick-mcp/bailiwick/keys/wire"
	"github.com/bailiwick-mcp/bailiwick/mcp"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// drafted gives a key a draft.
func drafted(draft keys.PolicyPatch) func(*keys.NewKey) {
	return func(n *keys.NewKey) { n.MCPShadow = keys.Some(draft) }
}

// shadows are what a key's records say of its draft, oldest first; "" = nothing.
func (w *world) shadows(k keys.Issued) (out []string) {
	w.t.Helper()
	entries, err := w.svc.AuditEvents(w.t.Context(), w.op, keys.AuditQuery{KeyID: k.Key.ID, Oldest: true, Limit: 200})
	must(w.t, err)
	for _, e := range entries {
		if e.Kind == "change" {
			continue
		}
		var detail struct{ Shadow wire.Shadow }
		if e.Detail != nil {
			must(w.t, json.Unmarshal(e.Detail, &detail))
		}
		out = append(out, strings.TrimSpace(detail.Shadow.Decision+" "+strings.Join(detail.Shadow.Failed, ",")))
	}
	return out
}

// shadowsOf waits until n calls are recorded.
func (w *world) shadowsOf(k keys.Issued, n int) (out []string) {
	w.t.Helper()
	w.until("the calls are recorded", func() bool { out = w.shadows(k); return len(out) >= n })
	return out
}

// TestShadowRules: for each rule of a policy, a call that it alone decides is answered
// as without a draft, and its record says what the draft would have done.
func TestShadowRules(t *testing.T) {
	w := newWorld(t)
	up := newUpstream(t, tool("read", "r"), tool("drop", "d")).with(others{prompts: []string{prompt("ask")}, resources: []string{resource("x:a")}})
	w.mount("a1", up)
	_, err := w.svc.CreatePreset(t.Context(), w.op, keys.NewPreset{Name: "own", Permissions: []string{"mcp:other"}, MaxEffect: policy.EffectRead})
	must(t, err)
	type patch = keys.PolicyPatch
	readOnly := patch{MCPReadOnly: keys.Some(true)}
	onlyRead := patch{MCPAllowlistMode: keys.Some(policy.ModeAllow), MCPToolAllowlist: keys.Some([]string{"a1/read"})}
	rules := []policy.ArgumentRule{named("a1/drop", "/id", "mine-*")}
	asks := []policy.ApprovalRule{{Tool: "*", Effect: policy.EffectDestructive}}
	var recorded []func() // looked at together: records come in batches
	for _, c := range []struct {
		name            string
		live, draft     patch
		method, params  string
		decision, rules string // "" = no difference
	}{
		{"pause", patch{}, patch{MCPActive: keys.Some(false)}, "tools/call", `"name":"a1__read"`, "deny", "key.paused"},
		{"categories", patch{}, patch{MCPPermissions: keys.Some(policy.Only("mcp:other"))}, "tools/call", `"name":"a1__read"`, "deny", "permission.missing"},
		{"preset", patch{}, patch{MCPPreset: keys.Some("standard")}, "tools/call", `"name":"a1__drop"`, "deny", "preset.excluded"},
		{"a tenant's preset", patch{}, patch{MCPPreset: keys.Some("own")}, "tools/call", `"name":"a1__read"`, "deny", "preset.excluded"},
		{"read-only", patch{}, readOnly, "tools/call", `"name":"a1__drop"`, "deny", "readonly"},
		{"allowlist", patch{}, onlyRead, "tools/call", `"name":"a1__drop"`, "deny", "allowlist"},
		{"allowlist, of a prompt", patch{}, onlyRead, "prompts/get", `"name":"a1__ask"`, "deny", "allowlist"},
		{"allowlist, of a resource", patch{}, onlyRead, "resources/read", `"uri":"x:a"`, "deny", "allowlist"},
		{"allowlist, of a completion", patch{}, onlyRead, "completion/complete", `"ref":{"type":"ref/prompt","name":"a1__ask"},"argument":{"name":"a","value":""}`, "deny", "allowlist"},
		{"instances", patch{}, patch{MCPInstanceIDs: keys.Some(policy.Only())}, "tools/call", `"name":"a1__read"`, "deny", "instance.not_allowed"},
		{"projects", patch{}, patch{MCPProjectIDs: keys.Some(policy.Only())}, "tools/call", `"name":"a1__read"`, "deny", "project.not_allowed"},
		{"several rules", patch{}, patch{MCPReadOnly: keys.Some(true), MCPInstanceIDs: keys.Some(policy.Only())}, "tools/call", `"name":"a1__drop"`, "deny", "readonly,instance.not_allowed"},
		{"arguments", patch{}, patch{MCPArgumentRules: keys.Some(rules)}, "tools/call", `"name":"a1__drop","arguments":{"id":"yours"}`, "deny", "argument.not_allowed"},
		{"arguments that are as needed", patch{}, patch{MCPArgumentRules: keys.Some(rules)}, "tools/call", `"name":"a1__drop","arguments":{"id":"mine-1"}`, "", ""},
		{"approval", patch{}, patch{MCPApprovals: keys.Some(asks)}, "tools/call", `"name":"a1__drop"`, "approval", "approval.required"},
		{"approval of others", patch{}, patch{MCPApprovals: keys.Some(asks)}, "tools/call", `"name":"a1__read"`, "", ""},
		{"limits are not looked at", patch{}, patch{MCPLimits: keys.Some([]policy.RateLimit{{Tool: "a1/other", Requests: 1, Per: policy.PerDay}})}, "tools/call", `"name":"a1__read"`, "", ""},
		{"agreed", patch{}, onlyRead, "tools/call", `"name":"a1__read"`, "", ""},
		{"whoami is everybody's", patch{}, onlyRead, "tools/call", `"name":"whoami"`, "", ""},
		{"what live denies", readOnly, patch{MCPReadOnly: keys.Some(false)}, "tools/call", `"name":"a1__drop"`, "allow", ""},
		{"what both deny", readOnly, patch{MCPPreset: keys.Some("read_only")}, "tools/call", `"name":"a1__drop"`, "", ""},
		{"whose arguments live denies", patch{MCPArgumentRules: keys.Some(rules)}, patch{MCPArgumentRules: keys.Some([]policy.ArgumentRule{})}, "tools/call", `"name":"a1__drop"`, "allow", ""},
		{"what nobody has", readOnly, patch{MCPReadOnly: keys.Some(false)}, "tools/call", `"name":"a1__nope"`, "", ""},
		{"a paused key, of which no call is read", patch{MCPActive: keys.Some(false)}, patch{MCPActive: keys.Some(true)}, "tools/call", `"name":"a1__read"`, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			live := func(n *keys.NewKey) {
				was := n.PolicyPatch
				n.PolicyPatch = c.live
				n.MCPReadOnly, n.MCPPreset = was.MCPReadOnly, was.MCPPreset
				if c.live.MCPReadOnly.Set {
					n.MCPReadOnly = c.live.MCPReadOnly
				}
			}
			without, with := w.key(live), w.key(live, drafted(c.draft))
			calls := len(up.seen())
			a, b := w.modern(without, "/mcp", c.method, c.params), w.modern(with, "/mcp", c.method, c.params)
			if strings.Contains(c.params, "whoami") { // names the key
				a.body, b.body = "", ""
			}
			if got, want := reference.ReplaceAllString(b.body, ""), reference.ReplaceAllString(a.body, ""); a.status != b.status || got != want {
				t.Errorf("answers\n%d %s\nwithout the draft\n%d %s", b.status, got, a.status, want)
			}
			if n := len(up.seen()) - calls; n%2 != 0 {
				t.Errorf("%d calls arrived", n)
			}
			want := strings.TrimSpace(c.decision + " " + c.rules)
			recorded = append(recorded, func() {
				if got := w.shadowsOf(with, 1); !slices.Equal(got, []string{want}) {
					w.t.Errorf("%s: recorded %q, want %q", c.name, got, want)
				}
				if got := w.shadowsOf(without, 1); !slices.Equal(got, []string{""}) {
					w.t.Errorf("%s: without a draft: %q", c.name, got)
				}
			})
		})
	}
	for _, look := range recorded {
		look()
	}
}

// TestShadowChangesNothing: whatever the two policies, the answers are those of the
// live one; and the record says of the draft what a key that has it as its own is
// answered.
func TestShadowChangesNothing(t *testing.T) {
	w := newWorld(t)
	a1 := w.mount("a1", newUpstream(t, tool("read_x", "r"), tool("write_x", "w"), tool("drop_x", "d")))
	b2 := w.mount("b2", newUpstream(t, tool("read_x", "r")))
	limit := func(rt *rapid.T, label string, values ...string) keys.Opt[policy.Limit] {
		if rapid.Bool().Draw(rt, label+" unlimited") {
			return keys.Null[policy.Limit]()
		}
		return keys.Some(policy.Only(rapid.SliceOfDistinct(rapid.SampledFrom(values), rapid.ID[string]).Draw(rt, label)...))
	}
	draw := func(rt *rapid.T, of string) (p keys.PolicyPatch) {
		p.MCPReadOnly = keys.Some(rapid.Bool().Draw(rt, of+" readonly"))
		p.MCPPreset = keys.Some(rapid.SampledFrom([]string{"read_only", "standard", "full_access", "custom"}).Draw(rt, of+" preset"))
		p.MCPAllowlistMode = keys.Some(rapid.SampledFrom([]policy.Mode{policy.ModeAll, policy.ModeAllow, policy.ModeDeny}).Draw(rt, of+" mode"))
		p.MCPToolAllowlist = keys.Some(rapid.SliceOfN(rapid.SampledFrom([]string{"*", "read_*", "a1__*", "drop_x"}), 0, 2).Draw(rt, of+" patterns"))
		p.MCPPermissions = limit(rt, of+" permissions", "mcp:tools", "mcp:keys")
		p.MCPInstanceIDs = limit(rt, of+" instances", a1.ID, b2.ID)
		p.MCPArgumentRules = keys.Some([]policy.ArgumentRule{})
		if rapid.IntRange(0, 3).Draw(rt, of+" rule") == 0 {
			p.MCPArgumentRules = keys.Some([]policy.ArgumentRule{named("read_*", "/id", "1")})
		}
		p.MCPApprovals = keys.Some([]policy.ApprovalRule{})
		return p
	}
	seen := map[string]int{}
	var recorded []func() // looked at together: records come in batches
	rapid.Check(t, func(rt *rapid.T) {
		live, draft := draw(rt, "live"), draw(rt, "draft")
		own := func(p keys.PolicyPatch) func(*keys.NewKey) { return func(n *keys.NewKey) { n.PolicyPatch = p } }
		with, without, other := w.key(own(live), drafted(draft)), w.key(own(live)), w.key(own(draft))
		var want []string
		for _, name := range []string{"a1__read_x", "a1__write_x", "a1__drop_x", "b2__read_x", "a1__nope"} {
			params := `"name":` + quoted(name) + `,"arguments":{"id":` + rapid.SampledFrom([]string{`"1"`, `"2"`}).Draw(rt, "id") + `}`
			ask := func(k keys.Issued) (string, bool) {
				a := w.modern(k, "/mcp", "tools/call", params)
				return reference.ReplaceAllString(a.body, ""), !strings.Contains(a.body, `"error"`)
			}
			got, passes := ask(with)
			plain, _ := ask(without)
			_, would := ask(other)
			if got != plain {
				rt.Fatalf("%s: %s, without the draft %s", name, got, plain)
			}
			switch {
			case passes == would:
				want = append(want, "")
			case would:
				want = append(want, "allow")
			default:
				want = append(want, "deny")
			}
		}
		recorded = append(recorded, func() {
			got := w.shadowsOf(with, len(want))
			for i := range got {
				got[i], _, _ = strings.Cut(got[i], " ")
				seen[got[i]]++
			}
			if !slices.Equal(got, want) {
				t.Errorf("recorded %q, the draft as a key's own: %q; %+v, draft %+v", got, want, live, draft)
			}
		})
	})
	for _, look := range recorded {
		look()
	}
	if seen[""] == 0 || seen["deny"] == 0 || seen["allow"] == 0 {
		t.Errorf("one side was never tried: %v", seen)
	}
}

// TestSampleKeepsShadows: where no call that goes well is recorded, those are that
// the draft decides otherwise.
func TestSampleKeepsShadows(t *testing.T) {
	w := newWorld(t, func(c *mcp.Config) { c.AuditSkip = 1 })
	w.mount("a1", newUpstream(t, tool("read", "r"), tool("drop", "d")))
	k := w.key(drafted(keys.PolicyPatch{MCPReadOnly: keys.Some(true)}))
	for range 3 {
		w.modern(k, "/mcp", "tools/call", `"name":"a1__read"`)
		w.modern(k, "/mcp", "tools/call", `"name":"a1__drop"`)
	}
	w.modern(k, "/mcp", "tools/call", `"name":"a1__nope"`) // the last, and always recorded
	if got, want := w.shadowsOf(k, 4), []string{"deny readonly", "deny readonly", "deny readonly", ""}; !slices.Equal(got, want) {
		t.Errorf("recorded %q, want %q", got, want)
	}
}

// TestShadowOfTheKeyItself: the draft of a key is not decided for the calls of its
// children; a child's own draft stays within its parents.
func TestShadowOfTheKeyItself(t *testing.T) {
	w := newWorld(t)
	w.mount("a1", newUpstream(t, tool("read", "r"), tool("drop", "d")))
	parent := w.key(drafted(keys.PolicyPatch{MCPReadOnly: keys.Some(true)}), func(n *keys.NewKey) {
		n.MCPAllowlistMode, n.MCPToolAllowlist = keys.Some(policy.ModeDeny), keys.Some([]string{"read"})
	})
	child := w.key(func(n *keys.NewKey) { n.ParentKeyID = parent.Key.ID })
	other := w.key(func(n *keys.NewKey) { n.ParentKeyID = parent.Key.ID }, drafted(keys.PolicyPatch{MCPAllowlistMode: keys.Some(policy.ModeAll)}))
	for _, k := range []keys.Issued{child, other} {
		w.modern(k, "/mcp", "tools/call", `"name":"a1__drop"`)
		w.modern(k, "/mcp", "tools/call", `"name":"a1__read"`)
		if got := w.shadowsOf(k, 2); !slices.Equal(got, []string{"", ""}) {
			t.Errorf("recorded %q", got)
		}
	}
}

// presetless is a store whose presets can't be read while it is broken.
type presetless struct {
	*keystest.Memory
	broken *atomic.Bool
}

type presetlessReader struct{ keys.Reader }

func (presetlessReader) Preset(context.Context, string, string) (keys.Preset, error) {
	return keys.Preset{}, errors.New("broken")
}

func (s presetless) Read(ctx context.Context, fn func(keys.Reader) error) error {
	return s.Memory.Read(ctx, func(r keys.Reader) error {
		if s.broken.Load() {
			r = presetlessReader{r}
		}
		return fn(r)
	})
}

// newPresetless is a world on such a store, with a tool that reads and a key whose draft
// has a preset of the tenant's.
func newPresetless(t *testing.T) (w *world, k keys.Issued, broken *atomic.Bool) {
	broken = new(atomic.Bool)
	w = newWorldOver(t, func(m *keystest.Memory) keys.Store { return presetless{m, broken} })
	w.mount("a1", newUpstream(t, tool("read", "r")))
	_, err := w.svc.CreatePreset(t.Context(), w.op, keys.NewPreset{Name: "own", Permissions: []string{"mcp:other"}, MaxEffect: policy.EffectRead})
	must(t, err)
	return w, w.key(drafted(keys.PolicyPatch{MCPPreset: keys.Some("own")})), broken
}

// TestShadowFails: a draft that can't be read refuses no call and is read again; nor
// does one whose decision breaks off.
func TestShadowFails(t *testing.T) {
	w, k, broken := newPresetless(t)
	for _, is := range []bool{true, true, false} {
		broken.Store(is)
		if a := w.modern(k, "/mcp", "tools/call", `"name":"a1__read"`); !strings.Contains(a.body, `"result"`) {
			t.Errorf("%s", a.body)
		}
	}
	if got, want := w.shadowsOf(k, 3), []string{"error", "error", "deny preset.excluded"}; !slices.Equal(got, want) {
		t.Errorf("recorded %q, want %q", got, want)
	}
	if got := mcp.ShadowOfPanic(); got != "error" {
		t.Errorf("a decision that breaks off: %q", got)
	}
}

// TestShadowIsNotTold: whoami, which every key may call, says nothing of a draft.
func TestShadowIsNotTold(t *testing.T) {
	w := newWorld(t)
	k := w.key(drafted(keys.PolicyPatch{MCPAllowlistMode: keys.Some(policy.ModeAllow), MCPToolAllowlist: keys.Some([]string{"hidden/secret"})}))
	for era, ask := range w.eras(k, "/mcp") {
		if a := ask("tools/call", `"name":"whoami"`); !strings.Contains(a.body, `"handle"`) || strings.Contains(a.body, "hidden/secret") {
			t.Errorf("%s: %s", era, a.body)
		}
	}
}

// TestShadowUnreadAndTheStoreAway: while the store is away, a key whose draft could not
// be read passes for as long as one without a draft.
func TestShadowUnreadAndTheStoreAway(t *testing.T) {
	w, with, broken := newPresetless(t)
	without := w.key()
	broken.Store(true)
	for _, down := range []bool{false, true, true} {
		w.store.SetDown(down)
		for name, k := range map[string]keys.Issued{"with a draft": with, "without": without} {
			if a := w.modern(k, "/mcp", "tools/call", `"name":"a1__read"`); !strings.Contains(a.body, `"result"`) {
				t.Errorf("%s, store away %v: %d %s", name, down, a.status, a.body)
			}
		}
	}
	w.store.SetDown(false)
	broken.Store(false)
	_, err := w.svc.RevokeKey(t.Context(), w.op, with.Key.ID, keys.Revocation{})
	must(t, err)
	broken.Store(true)
	w.store.SetDown(true)
	if a := w.modern(with, "/mcp", "tools/call", `"name":"a1__read"`); strings.Contains(a.body, `"result"`) {
		t.Errorf("revoked: %s", a.body)
	}
	w.store.SetDown(false)
}
