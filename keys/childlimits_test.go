package keys_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

// refusedParent holds an error to naming the parent and saying what to do.
func refusedParent(t *testing.T, when string, err error, next string) {
	t.Helper()
	all := details(err)
	if !isInvalid(err) || len(all) != 1 || all[0].Field != "parentKeyId" || !strings.Contains(all[0].Problem, next) {
		t.Errorf("%s: %v %v", when, err, all)
	}
}

func TestChainIsBounded(t *testing.T) {
	h := newHouse(t)
	chain := []keys.Key{}
	parent := ""
	for range 8 {
		link := h.mint(h.op, keys.NewKey{Name: "link", ParentKeyID: parent})
		h.login(link.Secret)
		chain, parent = append(chain, link.Key), link.Key.ID
	}
	ninth := func(p keys.Principal) error {
		return errOf(h.svc.CreateKey(h.ctx, p, keys.NewKey{Name: "ninth", ParentKeyID: parent}))
	}
	refusedParent(t, "the operator", ninth(h.op), "at most 8, and the parent is the last: name a key above it")
	refusedParent(t, "a key", ninth(h.first), "name a key above it")
	h.mint(h.op, keys.NewKey{Name: "eighth too", ParentKeyID: chain[6].ID})
}

// A thousand live children of one key; expired, revoked and others' are none.
func TestChildrenAreBounded(t *testing.T) {
	h := newHouse(t)
	top, other := h.mint(h.op, keys.NewKey{Name: "top"}).Key, h.mint(h.op, keys.NewKey{Name: "other"}).Key
	soon := h.clock.Now().Add(time.Minute)
	var last keys.Key
	mint := func(n int) {
		last = h.mint(h.op, keys.NewKey{Name: "c", Handle: fmt.Sprintf("c%d", n), ParentKeyID: top.ID, ExpiresAt: &soon}).Key
	}
	more := func(parent keys.Key) error {
		return errOf(h.svc.CreateKey(h.ctx, h.op, keys.NewKey{Name: "more", ParentKeyID: parent.ID}))
	}
	for n := range 1000 {
		mint(n)
	}
	refusedParent(t, "the 1001st", more(top), "1000 live children already: revoke some, wait until some expire, or name another parent")
	for name, parent := range map[string]keys.Key{"another key's": other, "a grandchild": last} {
		if err := more(parent); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := h.svc.RevokeKey(h.ctx, h.op, last.ID, keys.Revocation{}); err != nil {
		t.Fatal(err)
	}
	mint(1000)
	refusedParent(t, "again full", more(top), "revoke some")
	h.clock.Advance(time.Minute)
	if err := more(top); err != nil {
		t.Errorf("after they expired: %v", err)
	}
}

// A child whose maker does not say when it ends, ends in an hour, or with the
// first key above it.
func TestChildExpiry(t *testing.T) {
	const never = time.Duration(-1)
	for name, c := range map[string]struct {
		above   []time.Duration // of the chain, from the top
		request func(h *house, n *keys.NewKey)
		want    time.Duration
	}{
		"absent":                        {above: []time.Duration{never}, want: time.Hour},
		"absent, a later parent":        {above: []time.Duration{2 * time.Hour}, want: time.Hour},
		"absent, an earlier parent":     {above: []time.Duration{30 * time.Minute}, want: 30 * time.Minute},
		"absent, an earlier ancestor":   {above: []time.Duration{20 * time.Minute, never}, want: 20 * time.Minute},
		"with its parent, that has one": {above: []time.Duration{9 * time.Hour}, request: asParent, want: 9 * time.Hour},
		"with its parent's parent":      {above: []time.Duration{7 * time.Hour, never}, request: asParent, want: 7 * time.Hour},
		"with a parent that stays":      {above: []time.Duration{never}, request: asParent, want: never},
		"said, earlier":                 {above: []time.Duration{never}, request: in(time.Minute), want: time.Minute},
		"said, later":                   {above: []time.Duration{9 * time.Hour}, request: in(5 * time.Hour), want: 5 * time.Hour},
		"no parent":                     {want: never},
		"no parent, with its parent":    {request: asParent, want: never},
	} {
		for _, maker := range []string{"operator", "key above", "parent"} {
			t.Run(name+" by "+maker, func(t *testing.T) {
				h := newHouse(t)
				p, n := h.op, keys.NewKey{Name: "child"}
				for i, ends := range c.above {
					above := keys.NewKey{Name: "above", ParentKeyID: n.ParentKeyID, Permissions: keys.Some([]string{"manage:api-keys"}), ExpiresWithParent: true}
					if ends != never {
						at := h.clock.Now().Add(ends)
						above.ExpiresAt = &at
					} else if i > 0 {
						late := h.clock.Now().Add(100 * time.Hour) // beyond its parent's, as only the operator can
						above.ExpiresAt = &late
					}
					made := h.mint(h.op, above)
					n.ParentKeyID = made.Key.ID
					if maker == "parent" || maker == "key above" && i == 0 {
						p = h.login(made.Secret)
					}
				}
				if maker != "operator" && len(c.above) == 0 {
					p = h.first
				}
				if c.request != nil {
					c.request(h, &n)
				}
				got := h.mint(p, n).Key.ExpiresAt
				if (got == nil) != (c.want == never) || got != nil && !got.Equal(h.clock.Now().Add(c.want)) {
					t.Errorf("ends %v, want in %v", got, c.want)
				}
			})
		}
	}
}

func asParent(_ *house, n *keys.NewKey) { n.ExpiresWithParent = true }

func in(d time.Duration) func(*house, *keys.NewKey) {
	return func(h *house, n *keys.NewKey) { at := h.clock.Now().Add(d); n.ExpiresAt = &at }
}

// A maker that ends before the parent does takes the child along, and an
// expiry beyond the maker's own is refused and not cut.
func TestChildExpiryIsWithinItsMaker(t *testing.T) {
	h := newHouse(t)
	soon, later := h.clock.Now().Add(20*time.Minute), h.clock.Now().Add(50*time.Minute)
	may := keys.Some([]string{"manage:api-keys"})
	maker := h.as(keys.NewKey{Name: "maker", Permissions: may, ExpiresAt: &soon})
	covered := h.mint(h.op, keys.NewKey{Name: "covered", ExpiresAt: &soon}).Key
	for name, n := range map[string]keys.NewKey{
		"own child": {ParentKeyID: maker.KeyID()}, "of a covered key": {ParentKeyID: covered.ID},
		"own child, with its parent": {ParentKeyID: maker.KeyID(), ExpiresWithParent: true},
	} {
		if k := h.mint(maker, n).Key; k.ExpiresAt == nil || !k.ExpiresAt.Equal(soon) {
			t.Errorf("%s: ends %v", name, k.ExpiresAt)
		}
	}
	err := errOf(h.svc.CreateKey(h.ctx, maker, keys.NewKey{Name: "n", ParentKeyID: maker.KeyID(), ExpiresAt: &later}))
	if !isDenied(err) || !slices.Equal(fieldsOf(err), []string{"expiresAt"}) {
		t.Errorf("beyond its maker: %v %v", err, details(err))
	}
	// The operator may write it; it ends with its parent all the same.
	k := h.mint(h.op, keys.NewKey{ParentKeyID: maker.KeyID(), ExpiresAt: &later})
	if !k.Key.ExpiresAt.Equal(later) {
		t.Errorf("as given: %v", k.Key.ExpiresAt)
	}
	h.clock.Advance(20 * time.Minute)
	if _, err := h.svc.Authenticate(h.ctx, k.Secret); err == nil {
		t.Error("it outlives its parent")
	}
}

// Imported keys are children like others.
func TestImportedChildExpires(t *testing.T) {
	h := newHouse(t)
	top := h.mint(h.op, keys.NewKey{Name: "top"}).Key
	made, err := h.svc.ImportKeys(h.ctx, h.op, []keys.ImportedKey{foreign("t1", keys.NewKey{ParentKeyID: top.ID}), foreign("t2", keys.NewKey{})})
	if err != nil {
		t.Fatal(err)
	}
	if at := made[0].Key.ExpiresAt; at == nil || !at.Equal(h.clock.Now().Add(keys.ChildTTL)) {
		t.Errorf("a child ends %v", at)
	}
	if at := made[1].Key.ExpiresAt; at != nil {
		t.Errorf("another ends %v", at)
	}
}
