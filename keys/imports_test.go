package keys_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// foreign is the import of another system's token.
func foreign(token string, n keys.NewKey) keys.ImportedKey {
	if n.Name == "" {
		n.Name = "imported"
	}
	return keys.ImportedKey{NewKey: n, Digest: sha256.Sum256([]byte(token)), Prefix: token[:min(4, len(token)-1)]}
}

func (h *house) imports(p keys.Principal, list ...keys.ImportedKey) []keys.Key {
	h.t.Helper()
	results, err := h.svc.ImportKeys(h.ctx, p, list)
	if err != nil || len(results) != len(list) {
		h.t.Fatalf("importing: %d results, %v", len(results), err)
	}
	made := make([]keys.Key, len(results))
	for i, r := range results {
		if made[i] = r.Key; r.Index != i || r.Err != nil {
			h.t.Errorf("entry %d: %+v", i, r)
		}
	}
	return made
}

// faultsOf are the errors of an import that was refused, by index.
func faultsOf(t *testing.T, err error, entries int) []error {
	t.Helper()
	var faulty *keys.ImportError
	if !errors.As(err, &faulty) || len(faulty.Results) != entries {
		t.Fatalf("%v (%T)", err, err)
	}
	out := make([]error, entries)
	for i, r := range faulty.Results {
		if out[i] = r.Err; r.Index != i || r.Err == nil || r.Key.ID != "" {
			t.Errorf("entry %d: %+v", i, r)
		}
	}
	return out
}

func TestImportedKeyIsAKey(t *testing.T) {
	h := newHouse(t)
	at := h.clock.Now().Add(time.Hour)
	tokens := []string{"sk-live-0123", strings.Repeat("~", 256), "x"}
	made := h.imports(h.first, foreign(tokens[0], keys.NewKey{Name: "One", ExpiresAt: &at, Permissions: keys.Some([]string{"view:audit"})}),
		foreign(tokens[1], keys.NewKey{Name: "One"}), foreign(tokens[2], keys.NewKey{Handle: "x", ParentKeyID: h.first.KeyID()}))
	if made[0].Prefix != "sk-l" || made[0].Handle != "one" || made[1].Handle != "one-2" || made[2].Prefix != "" ||
		made[0].CreatedBy != h.first.KeyID() || made[0].Version != h.epoch() || !made[0].Policy.ReadOnly {
		t.Errorf("%+v", made)
	}
	for i, token := range tokens {
		if p := h.login(keys.Secret(token)); p.KeyID() != made[i].ID {
			t.Errorf("%q is %+v", token, p.Key())
		}
	}
	if p := h.login(keys.Secret(tokens[0])); !p.Can("view:audit", h.clock.Now()) || p.Can("view:api-keys", h.clock.Now()) {
		t.Error("its permissions are others")
	}
	for _, bad := range []string{tokens[0] + "4", tokens[0][1:], strings.Repeat("~", 257), "", " ", "sk-live-0123\n"} {
		if _, err := h.svc.Authenticate(h.ctx, keys.Secret(bad)); !errors.Is(err, keys.ErrBadCredential) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	err := h.store.Memory.Read(h.ctx, func(r keys.Reader) error {
		secrets, err := r.Secrets(h.ctx, h.op.TenantID(), made[0].ID)
		if len(secrets) != 1 || !secrets[0].Imported || !secrets[0].CreatedAt.Equal(made[0].CreatedAt) {
			t.Errorf("%+v, %v", secrets, err)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	events, err := h.svc.AuditEvents(h.ctx, h.op, keys.AuditQuery{Kind: "change", Limit: 3})
	if err != nil || len(events) != 3 {
		t.Fatal(err)
	}
	for i, e := range events {
		if e.Action != "key.import" || e.Subject != made[2-i].ID || e.Actor != h.first.KeyID() || e.Epoch != h.epoch() {
			t.Errorf("audit %+v", e)
		}
	}
	rotated, err := h.svc.RotateKey(h.ctx, h.op, made[1].ID, keys.Rotation{Grace: time.Minute})
	if err != nil || !strings.HasPrefix(rotated.Secret.Reveal(), keys.DefaultTokenPrefix) || rotated.Key.Prefix == made[1].Prefix {
		t.Errorf("rotated: %+v, %v", rotated.Key, err)
	}
	h.login(rotated.Secret)
	h.login(keys.Secret(tokens[1]))
	if _, err := h.svc.RevokeKey(h.ctx, h.op, made[2].ID, keys.Revocation{}); err != nil {
		t.Fatal(err)
	}
	h.clock.Advance(time.Hour)
	for _, token := range tokens { // expired, out of its grace, revoked
		if _, err := h.svc.Authenticate(h.ctx, keys.Secret(token)); !errors.Is(err, keys.ErrBadCredential) {
			t.Errorf("%q afterwards: %v", token, err)
		}
	}
}

// Without imports, a text without a checksum never reaches the store; with them
// it does so once.
func TestForeignTokensAreLookedUpOnceThereAreImports(t *testing.T) {
	h := newHouse(t)
	running, later := h.service(), "sk-later-1"
	asked := func(svc *keys.Service, token string) int64 {
		before := h.store.asked.Load()
		if _, err := svc.Authenticate(h.ctx, keys.Secret(token)); !errors.Is(err, keys.ErrBadCredential) {
			t.Errorf("%q: %v", token, err)
		}
		return h.store.asked.Load() - before
	}
	for _, svc := range []*keys.Service{h.svc, running} {
		if n := asked(svc, later); n != 0 {
			t.Errorf("without imports the store was asked %d times", n)
		}
	}
	down := func() { h.store.SetDown(true) } // so that the process can't read what it has written
	h.store.afterEdit.Store(&down)
	h.imports(h.op, foreign("sk-first-1", keys.NewKey{}))
	h.store.SetDown(false)
	h.login("sk-first-1")
	if n := asked(h.svc, later); n != 1 {
		t.Errorf("the importing process asked %d times", n)
	}
	for _, bad := range []string{later, strings.Repeat("x", 257), "a b", "ü"} {
		if n := asked(h.svc, bad); n != 0 {
			t.Errorf("%q: asked %d times", bad, n)
		}
	}
	stop := h.run(running)
	eventually(t, "a running process learns of the first import", func() bool {
		_, err := running.Authenticate(h.ctx, "sk-first-1")
		return err == nil
	})
	stop()
	h.imports(h.op, foreign(later, keys.NewKey{})) // what was tried before is forgotten
	h.login(keys.Secret(later))
	if _, err := h.service().Authenticate(h.ctx, keys.Secret(later)); err != nil {
		t.Errorf("a new process: %v", err)
	}
}

func TestImportIsAllOrNothing(t *testing.T) {
	h := newHouse(t)
	h.imports(h.op, foreign("taken-token", keys.NewKey{Handle: "taken"}))
	native := h.mint(h.op, keys.NewKey{Name: "native"})
	other := h.otherTenant("elsewhere")
	h.imports(other, foreign("elsewhere-token", keys.NewKey{Handle: "free"}))
	before := h.epoch()
	in := func(token string, change func(*keys.ImportedKey)) keys.ImportedKey {
		k := foreign(token, keys.NewKey{})
		if change != nil {
			change(&k)
		}
		return k
	}
	list := []keys.ImportedKey{
		in("good-token-0", nil),
		in("token-1", func(k *keys.ImportedKey) { k.Name, k.Digest, k.Prefix = "", [32]byte{}, "a b" }),
		in("token-2", func(k *keys.ImportedKey) { k.Handle = "taken" }),
		in("taken-token", nil),
		in("elsewhere-token", nil),
		in("good-token-0", nil), // the first one's again
		in("token-6", func(k *keys.ImportedKey) { k.Handle = "twice" }),
		in("token-7", func(k *keys.ImportedKey) { k.Handle = "twice" }),
		in("short", func(k *keys.ImportedKey) { k.Prefix = "is:short!" }),
		in(native.Secret.Reveal(), nil),
		in("token-10", func(k *keys.ImportedKey) { k.Digest = sha256.Sum256(nil) }),
		in("token-11", func(k *keys.ImportedKey) { k.MCPInstanceIDs = keys.Some(policy.Only("none")) }),
		in("token-12", func(k *keys.ImportedKey) { k.Prefix = strings.Repeat("p", 25) }),
		in("free-token", func(k *keys.ImportedKey) { k.Handle = "free"; k.Prefix = "" }),
	}
	_, err := h.svc.ImportKeys(h.ctx, h.op, list)
	got := []string{}
	for _, err := range faultsOf(t, err, len(list)) {
		var conflict *keys.ConflictError
		switch {
		case errors.Is(err, keys.ErrNotImported):
			got = append(got, "good")
		case errors.As(err, &conflict):
			got = append(got, "conflict "+conflict.Field)
		default:
			got = append(got, fmt.Sprint(fieldsOf(err)))
		}
	}
	want := []string{
		"good", "[hash prefix name]", "conflict handle", "conflict hash", "conflict hash", "conflict hash", "good", "conflict handle",
		"[prefix]", "conflict hash", "[hash]", "[mcpInstanceIds]", "[prefix]", "good",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	if err == nil || err.Error() != "11 of 14 keys can't be imported; none was" || h.epoch() != before {
		t.Errorf("%v; epoch %d after %d", err, h.epoch(), before)
	}
	if _, err := h.svc.Authenticate(h.ctx, "good-token-0"); !errors.Is(err, keys.ErrBadCredential) {
		t.Errorf("one of them works: %v", err)
	}
	for _, n := range []int{0, 10_001} {
		if err := errOf(h.svc.ImportKeys(h.ctx, h.op, make([]keys.ImportedKey, n))); !slices.Equal(fieldsOf(err), []string{"keys"}) {
			t.Errorf("%d entries: %v", n, err)
		}
	}
	h.imports(h.op, list[0], list[6], list[13])
}

// With a key, nobody imports a key of rights that the key itself lacks.
func TestImportWithinOnesRights(t *testing.T) {
	h := newHouse(t)
	maker := h.manager(keys.PolicyPatch{})
	wide := foreign("token-1", keys.NewKey{PolicyPatch: full()})
	foreignParent := h.mint(h.otherTenant("elsewhere"), keys.NewKey{}).Key
	list := []keys.ImportedKey{
		foreign("token-0", keys.NewKey{}), wide,
		foreign("token-2", keys.NewKey{Permissions: keys.Some([]string{"*"})}),
		foreign("token-3", keys.NewKey{ParentKeyID: h.first.KeyID()}),
		foreign("token-4", keys.NewKey{ParentKeyID: foreignParent.ID}),
	}
	_, err := h.svc.ImportKeys(h.ctx, maker, list)
	errs := faultsOf(t, err, len(list))
	for i, field := range []string{"", "mcpReadOnly", "permissions", "parentKeyId"} {
		if i > 0 && (!isDenied(errs[i]) || !slices.Contains(fieldsOf(errs[i]), field)) {
			t.Errorf("entry %d: %v %v", i, errs[i], details(errs[i]))
		}
	}
	if !isInvalid(errs[4]) || isDenied(err) {
		t.Errorf("%v; %v", errs[4], err)
	}
	h.runOnce(h.svc)
	events, err := h.svc.AuditEvents(h.ctx, h.op, keys.AuditQuery{Decision: "deny"})
	if err != nil || len(events) != 1 || events[0].Action != "key.import" || events[0].KeyID != maker.KeyID() {
		t.Errorf("denials %+v, %v", events, err)
	}
	k := h.imports(maker, list[0])[0]
	if len(k.Permissions) != 0 || !k.Policy.ReadOnly {
		t.Errorf("%+v", k)
	}
	children := make([]keys.ImportedKey, 1001)
	for i := range children {
		children[i] = foreign(fmt.Sprintf("child-%d", i), keys.NewKey{ParentKeyID: k.ID})
	}
	errs = faultsOf(t, errOf(h.svc.ImportKeys(h.ctx, h.op, children)), len(children))
	if !errors.Is(errs[999], keys.ErrNotImported) || !slices.Equal(fieldsOf(errs[1000]), []string{"parentKeyId"}) {
		t.Errorf("too many children: %v, %v", errs[999], errs[1000])
	}
}

func TestImportUnderARotatedRootSecret(t *testing.T) {
	h := newHouse(t)
	h.imports(h.op, foreign("old-token", keys.NewKey{}))
	next := keys.RootSecret{Version: 2, Value: "the-next-root-secret-0123456789-abcdef", Old: map[int]keys.Secret{1: rootSecret.Value}}
	svc, err := keys.New(h.ctx, keys.Config{Store: h.store, Root: next, Now: h.clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	errs := faultsOf(t, errOf(svc.ImportKeys(h.ctx, h.op, []keys.ImportedKey{foreign("old-token", keys.NewKey{})})), 1)
	if !isConflict(errs[0]) {
		t.Errorf("one token twice: %v", errs[0])
	}
	if _, err := svc.ImportKeys(h.ctx, h.op, []keys.ImportedKey{foreign("new-token", keys.NewKey{})}); err != nil {
		t.Fatal(err)
	}
	for _, token := range []keys.Secret{"old-token", "new-token"} {
		if _, err := svc.Authenticate(h.ctx, token); err != nil {
			t.Errorf("%s: %v", token.Reveal(), err)
		}
	}
}

// run runs the service until stop is called.
func (h *house) run(svc *keys.Service) (stop func()) {
	h.t.Helper()
	done := make(chan error)
	ctx, cancel := context.WithCancel(h.ctx)
	go func() { done <- svc.Run(ctx) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			h.t.Error(err)
		}
	}
}

// TestImportIsBounded: what keys get of their maker counts, and nothing is written of
// an import that is too large with it.
func TestImportIsBounded(t *testing.T) {
	h := newHouse(t)
	long := make([]string, policy.MaxPatterns)
	for i := range long {
		long[i] = fmt.Sprintf("%s%d", strings.Repeat("a", policy.MaxPatternLength-3), i)
	}
	n := keys.NewKey{Permissions: keys.Some([]string{"manage:api-keys"}), PolicyPatch: wide()}
	n.MCPAllowlistMode, n.MCPToolAllowlist = keys.Some(policy.ModeAllow), keys.Some(long)
	maker := h.as(n)
	list := make([]keys.ImportedKey, 600)
	for i := range list {
		list[i] = keys.ImportedKey{NewKey: keys.NewKey{Name: "x"}, Digest: sha256.Sum256([]byte(fmt.Sprint(i)))}
	}
	var refused *keys.ImportError
	if _, err := h.svc.ImportKeys(h.ctx, maker, list); !errors.As(err, &refused) || !isInvalid(refused.Results[len(list)-1].Err) {
		t.Fatalf("an import of 40 MB: %v", err)
	}
	if _, err := h.svc.ImportKeys(h.ctx, maker, list[:100]); err != nil {
		t.Errorf("a part of it: %v", err)
	}
}
