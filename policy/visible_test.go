package policy_test

import (
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/bailiwick-mcp/bailiwick/policy"
)

// Invariant 1: listed = callable, at any time, whatever was asked before.
func TestListedIsCallable(t *testing.T) {
	seen := 0
	rapid.Check(t, func(t *rapid.T) {
		g := compile(genLayers(t))
		catalogs := []*policy.Catalog{genCatalog(t, 12), genCatalog(t, 90)}
		sessions := []*policy.Session{nil, mustNarrow(t, genNarrowings(t)...), mustNarrow(t, genNarrowings(t)...)}
		sessions = append(sessions, sessions[1].With(sessions[2]))
		for range 12 {
			c, s, now := pickOne(t, "catalog", catalogs), pickOne(t, "session", sessions), genTime(t, "now")
			visible := g.Visible(s, c, now)
			for i := range c.Len() {
				if listed, callable := visible.Has(i), g.Decide(s, c.At(i), now).Allowed(); listed != callable {
					t.Fatalf("%+v: listed %t, callable %t", *c.At(i), listed, callable)
				}
			}
			if visible.Has(-1) || visible.Has(c.Len()) || visible.Has(c.Len()+64) {
				t.Fatal("a bit beyond the catalog is set")
			}
			seen += visible.Count()
		}
	})
	if seen < 100 {
		t.Fatalf("only %d tools were ever visible: too few to compare", seen)
	}
}

func TestVisibleForgetsNothingAndShowsNothingDead(t *testing.T) {
	c := mustCatalog(t, policy.Tool{ID: "a/x", Name: "a__x", Category: "tools", Effect: policy.EffectRead},
		policy.Tool{ID: "bailiwick/whoami", Name: "whoami", Category: "platform", Effect: policy.EffectRead})
	at := genNow
	s := openSubject()
	s.ExpiresAt = &at
	g := policy.Compile(s)
	if got := g.Visible(nil, c, genNow.Add(-1)); got.Count() != 2 {
		t.Errorf("before expiry %d visible, want 2", got.Count())
	}
	if got := g.Visible(nil, c, genNow); got.Count() != 0 {
		t.Errorf("at expiry %d visible, want none", got.Count())
	}
	if got := g.Visible(nil, c, genNow.Add(-1)); got.Count() != 2 {
		t.Errorf("asked for an earlier time again %d visible, want 2", got.Count())
	}
	var none *policy.Grant
	for name, got := range map[string]policy.Bitset{
		"nil grant":    none.Visible(nil, c, genNow),
		"zero grant":   new(policy.Grant).Visible(nil, c, genNow),
		"zero session": policy.Compile(openSubject()).Visible(new(policy.Session), c, genNow),
		"nil catalog":  policy.Compile(openSubject()).Visible(nil, nil, genNow),
	} {
		if got.Count() != 0 {
			t.Errorf("%s: %d visible", name, got.Count())
		}
	}
}

// One grant is asked by many goroutines about changing catalogs.
func TestVisibleFromManyGoroutines(t *testing.T) {
	read := policy.Tool{ID: "a/x", Name: "a__x", Category: "tools", Effect: policy.EffectRead}
	drop := policy.Tool{ID: "a/drop", Name: "a__drop", Category: "tools", Effect: policy.EffectDestructive}
	one, two := mustCatalog(t, read), mustCatalog(t, drop, read)
	g := policy.Compile(openSubject())
	s := mustNarrow(t, policy.Narrowing{
		Instances: policy.Unlimited(), Categories: policy.Unlimited(), Toolsets: policy.Unlimited(),
		Tools: policy.Unlimited(), ReadOnly: true,
	})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 500 {
				if !g.Visible(s, one, genNow).Has(0) || g.Visible(s, two, genNow).Has(0) || !g.Visible(s, two, genNow).Has(1) {
					t.Error("the answer for another catalog")
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestCatalogRefusesWhatItCannotTellApart(t *testing.T) {
	good := policy.Tool{ID: "a/x", Name: "a__x"}
	for name, tools := range map[string][]policy.Tool{
		"one name twice":           {good, {ID: "b/a__x", Name: "a__x"}},
		"one id twice":             {good, {ID: "a/x", Name: "x"}},
		"no id":                    {{Name: "a__x"}},
		"no name in the id":        {{ID: "a/", Name: "a__"}},
		"a name from elsewhere":    {{ID: "a/x", Name: "b__x"}},
		"a built-in with a prefix": {{ID: "bailiwick/x", Name: "bailiwick__x"}},
	} {
		if _, err := policy.NewCatalog(tools); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	c := mustCatalog(t, policy.Tool{ID: "b/y", Name: "b__y"}, good, policy.Tool{ID: "solo/z", Name: "z"})
	if c.Len() != 3 || c.At(0).Name != "a__x" {
		t.Errorf("not sorted by exposed name: %q first of %d", c.At(0).Name, c.Len())
	}
	if tool, i := c.Lookup("b__y"); tool == nil || tool.ID != "b/y" || c.At(i) != tool {
		t.Errorf("Lookup found %v at %d", tool, i)
	}
	if tool, i := c.LookupID("solo/z"); tool == nil || tool.Name != "z" || c.At(i) != tool {
		t.Errorf("LookupID found %v at %d", tool, i)
	}
	if tool, i := c.Lookup("b/y"); tool != nil || i != -1 {
		t.Errorf("Lookup found %v at %d for an id", tool, i)
	}
	var none *policy.Catalog
	if tool, i := none.LookupID("a/x"); none.Len() != 0 || tool != nil || i != -1 {
		t.Error("a nil catalog has tools")
	}
}

func mustCatalog(t fataler, tools ...policy.Tool) *policy.Catalog {
	t.Helper()
	c, err := policy.NewCatalog(tools)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
