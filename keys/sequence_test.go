package keys_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// world is a tenant in which somebody holds one key, and tries whatever that
// key, and the keys got by it, are let do.
type world struct {
	*house
	r         *rapid.T
	first     keys.Key                // as it was made
	starts    []*policy.Grant         // what the first key was let do: at the start, and by each edit of the operator
	originals map[string]*policy.Tool // instance id and upstream name -> the tool at the start
	held      map[string]keys.Secret  // key id -> its token
	did       map[string]int
}

// TestNoSequenceOfEditsExceedsTheStartingKey: whatever permitted edits of keys,
// presets and instances somebody makes, while time passes and the operator edits
// the first key and what is below it, none of the keys in their hands may do
// what the first could not by the operator's hand; and no child may do what a
// key above it can't now.
func TestNoSequenceOfEditsExceedsTheStartingKey(t *testing.T) {
	did := map[string]int{}
	rounds := 3 // of 100 sequences, or of -rapid.checks
	if testing.Short() {
		rounds = 1
	}
	for range rounds {
		rapid.Check(t, func(r *rapid.T) {
			w := newWorld(t, r, did)
			if w == nil {
				return
			}
			for range rapid.IntRange(1, 24).Draw(r, "steps") {
				w.step()
				w.check()
			}
		})
	}
	t.Logf("went through: %v", did)
	if testing.Short() {
		return // too few draws to have seen all of it
	}
	for _, action := range []string{"create", "update", "rotate", "toggle", "preset", "presetUpdate", "instance", "child",
		"operator", "operator's child", "wait", "refused"} {
		if did[action] == 0 {
			t.Errorf("no %s went through: the test shows nothing of it (%v)", action, did)
		}
	}
}

func newWorld(t *testing.T, r *rapid.T, did map[string]int) *world {
	w := &world{house: newHouse(t), r: r, held: map[string]keys.Secret{}, did: did}
	for _, slug := range []string{"p1", "p2"} {
		project := w.project(slug)
		for n := range 2 {
			w.instance(fmt.Sprintf("%s-i%d", slug, n), func(s *keys.InstanceSpec) {
				s.ProjectID = keys.Some(project.ID)
				s.WriteEnabled, s.TrustAnnotations = keys.Some(w.flip("write")), keys.Some(w.flip("trust"))
			})
		}
	}
	for _, name := range []string{"x", "y"} {
		n := w.drawPreset()
		n.Name = name
		if _, err := w.svc.CreatePreset(w.ctx, w.op, n); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		w.mint(w.op, w.drawKey())
	}
	n := w.drawKey()
	if w.flip("limited by its rules for calls alone") {
		n.PolicyPatch = full()
		w.drawRules(&n.PolicyPatch)
	}
	n.Permissions = keys.Some([]string{"manage:api-keys", "manage:presets", "manage:instances"})
	n.Enabled = keys.Some(true)
	first := w.mint(w.op, n)
	w.held[first.Key.ID] = first.Secret
	w.first, w.starts = first.Key, []*policy.Grant{w.limitsOf(first.Key)}
	w.originals = map[string]*policy.Tool{}
	for _, tool := range w.tools() {
		w.originals[tool.InstanceID+"/"+tool.Name[len(tool.Name)-4:]] = tool
	}
	if w.starts[0].Unrestricted() {
		return nil // may widen anything
	}
	return w
}

// limitsOf is what the key may do, or let others do: an api key may mint keys
// of any scope, with its own MCP fields as their limit.
func (w *world) limitsOf(k keys.Key) *policy.Grant {
	s := policy.Subject{
		Enabled: true, TenantMCPEnabled: true, Scope: k.Scope, Permissions: k.Permissions,
		ExpiresAt: k.ExpiresAt, Policy: k.Policy, Presets: w.presets(),
	}
	if s.Scope == policy.ScopeAPI {
		s.Scope = policy.ScopeFull
	}
	return policy.Compile(s)
}

// check holds every key in hand to what the first one could, and a child to what
// those above it can now.
func (w *world) check() {
	later := w.clock.Now().Add(90 * time.Minute)
	all := w.standing()
	tools := w.tools()
	for _, id := range slices.Sorted(maps.Keys(w.held)) {
		p, err := w.svc.Authenticate(w.ctx, w.held[id])
		if errors.Is(err, keys.ErrBadCredential) {
			continue
		}
		if err != nil {
			w.r.Fatal(err)
		}
		above := w.above(all, id)
		for _, permission := range policy.KnownPermissions() {
			if p.Can(permission, w.clock.Now()) && !anyOf(w.starts, func(g *policy.Grant) bool { return g.Can(permission) }) {
				w.r.Fatalf("key %s can %s", id, permission)
			}
			if p.Can(permission, w.clock.Now()) && anyOf(above, func(g *policy.Grant) bool { return !g.Can(permission) }) {
				w.r.Fatalf("key %s can %s, and a key above it can't", id, permission)
			}
		}
		for _, tool := range tools {
			original := tool
			if was, ok := w.originals[tool.InstanceID+"/"+tool.Name[len(tool.Name)-4:]]; ok {
				original = was
			}
			for _, now := range []time.Time{w.clock.Now(), later} {
				if !p.Grant().Decide(nil, tool, now).Allowed() {
					continue
				}
				w.checkCalls(p, above, tool, original, now)
			}
		}
	}
}

// tools is the catalog as a gateway would class it.
func (w *world) tools() []*policy.Tool {
	all, err := w.svc.Mounts(w.ctx)
	if err != nil {
		w.r.Fatal(err)
	}
	var out []*policy.Tool
	for _, i := range all {
		for name, announced := range map[string]policy.Effect{"read": policy.EffectRead, "puts": policy.EffectWrite, "drop": policy.EffectDestructive} {
			tool := &policy.Tool{
				ID: i.Slug + "/" + name, Name: i.Slug + "__" + name, Category: "tools", Effect: policy.EffectDestructive,
				InstanceID: i.ID, ProjectID: i.ProjectID, WriteEnabled: i.WriteEnabled,
			}
			if i.TrustAnnotations {
				tool.Effect = announced
			}
			for _, rule := range slices.Backward(i.Tools) {
				if rule.Match == "*" || rule.Match == name {
					tool.Effect, tool.Category = max(rule.Effect, policy.EffectRead), rule.Category
				}
			}
			out = append(out, tool)
		}
	}
	return append(out, builtins...)
}

func (w *world) step() {
	if action := rapid.SampledFrom([]string{"", "", "", "", "", "", "operator", "operator", "operator's child", "wait"}).Draw(w.r, "meanwhile"); action != "" {
		w.meanwhile(action)
		return
	}
	id := rapid.SampledFrom(slices.Sorted(maps.Keys(w.held))).Draw(w.r, "who")
	p, err := w.svc.Authenticate(w.ctx, w.held[id])
	if err != nil {
		return
	}
	action := rapid.SampledFrom([]string{
		"create", "child", "child", "update", "update", "rotate", "toggle", "revoke", "preset", "presetUpdate", "presetDelete",
		"instance", "instanceCreate", "instanceDelete",
	}).Draw(w.r, "action")
	switch err := w.try(p, action); {
	case err == nil:
		w.did[action]++
	case isDenied(err), isInvalid(err), isConflict(err), errors.Is(err, keys.ErrBadCredential), errors.Is(err, keys.ErrNotFound):
		w.did["refused"]++
	default:
		w.r.Fatalf("%s: %v", action, err)
	}
}

func (w *world) try(p keys.Principal, action string) error {
	switch action {
	case "create":
		n := w.drawKeyOf(p)
		if w.flip("of another key") {
			n.ParentKeyID = w.anyKey()
		}
		return w.create(p, n)
	case "child":
		n := w.drawKeyOf(p)
		n.ParentKeyID = p.KeyID()
		return w.create(p, n)
	case "update":
		patch := w.drawPatch()
		if w.flip("its rules for calls alone") {
			patch = keys.KeyPatch{}
			w.drawRules(&patch.PolicyPatch)
		}
		return errOf(w.svc.UpdateKey(w.ctx, p, w.anyKey(), patch))
	case "rotate":
		issued, err := w.svc.RotateKey(w.ctx, p, w.anyKey(), keys.Rotation{Grace: time.Minute})
		if err == nil {
			w.got(p, issued)
		}
		return err
	case "toggle":
		return errOf(w.svc.ToggleKey(w.ctx, p, w.anyKey(), 0))
	case "revoke":
		return errOf(w.svc.RevokeKey(w.ctx, p, w.anyKey(), keys.Revocation{}))
	case "preset":
		return errOf(w.svc.CreatePreset(w.ctx, p, w.drawPreset()))
	case "presetUpdate":
		return errOf(w.svc.UpdatePreset(w.ctx, p, w.drawPreset(), 0))
	case "presetDelete":
		return w.svc.DeletePreset(w.ctx, p, w.drawPreset().Name)
	}
	return w.tryInstance(p, action)
}

func (w *world) tryInstance(p keys.Principal, action string) error {
	all, err := w.svc.Mounts(w.ctx)
	if err != nil || len(all) == 0 {
		return err
	}
	i := rapid.SampledFrom(all).Draw(w.r, "instance")
	spec := keys.InstanceSpec{}
	switch rapid.IntRange(0, 5).Draw(w.r, "change") {
	case 0:
		spec.WriteEnabled = keys.Some(true)
	case 1:
		spec.TrustAnnotations = keys.Some(true)
	case 2:
		spec.Tools = keys.Some([]keys.ToolRule{{Match: "*", Effect: policy.EffectRead, Category: "tools"}})
	case 3:
		spec.ProjectID = keys.Some(rapid.SampledFrom(all).Draw(w.r, "project").ProjectID)
	case 4:
		spec.Slug = keys.Some(rapid.SampledFrom([]string{"p1-i0", "p2-i1", "free"}).Draw(w.r, "slug"))
	}
	switch action {
	case "instanceDelete":
		return w.svc.DeleteInstance(w.ctx, p, i.ID)
	case "instanceCreate":
		made := remote(rapid.SampledFrom([]string{"p1-i0", "p2-i1", "new"}).Draw(w.r, "slug"))
		made.ProjectID, made.WriteEnabled, made.TrustAnnotations, made.Tools = keys.Some(i.ProjectID), spec.WriteEnabled, spec.TrustAnnotations, spec.Tools
		return errOf(w.svc.CreateInstance(w.ctx, p, made))
	}
	return errOf(w.svc.UpdateInstance(w.ctx, p, i.ID, spec))
}

func (w *world) anyKey() string {
	all, _, err := w.svc.Keys(w.ctx, w.op, keys.KeyQuery{})
	if err != nil {
		w.r.Fatal(err)
	}
	all = slices.DeleteFunc(all, func(k keys.Key) bool { return k.ID == w.house.first.KeyID() && !w.flip("admin") })
	if len(all) == 0 {
		return "none"
	}
	return rapid.SampledFrom(all).Draw(w.r, "key").ID
}
