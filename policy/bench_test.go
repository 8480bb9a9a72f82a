package policy_test

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/cedar-policy/cedar-go"

	"github.com/bailiwick-mcp/bailiwick/policy"
)

const (
	benchKeys      = 10_000
	benchCedarKeys = 200 // a Cedar set of one key is some hundred times larger
	benchPatterns  = 20
	benchTools     = 1_000
)

// benchSubject is a key as an operator might write it, its strings its own.
func benchSubject(r *rand.Rand, i int) policy.Subject {
	verbs := []string{"read", "list", "get", "search", "create", "update", "delete", "run", "export", "sync"}
	var patterns []string
	for n := range benchPatterns {
		verb, noun := verbs[r.IntN(len(verbs))], fmt.Sprintf("%03d", r.IntN(500))
		switch n % 5 {
		case 0:
			patterns = append(patterns, verb+"_record_"+noun)
		case 1:
			patterns = append(patterns, verb+"_record_"+noun[:2]+"*")
		case 2:
			patterns = append(patterns, "*_"+noun)
		case 3:
			patterns = append(patterns, fmt.Sprintf("server-%d/%s_*", r.IntN(20), verb))
		case 4:
			patterns = append(patterns, fmt.Sprintf("%s_*_%s", verb, noun))
		}
	}
	p := policy.Default()
	p.ReadOnly, p.Preset = false, policy.PresetStandard
	p.AllowlistMode, p.ToolAllowlist = []policy.Mode{"allow", "deny"}[i%2], patterns
	p.Permissions = policy.Only("mcp:tools", "mcp:category-1", "mcp:category-2")
	p.InstanceIDs = policy.Only(benchID("instance", r.IntN(20)), benchID("instance", r.IntN(20)), benchID("instance", r.IntN(20)))
	at := genNow.Add(time.Duration(1+r.IntN(1000)) * time.Hour)
	return policy.Subject{
		Enabled: true, TenantMCPEnabled: true, Scope: policy.ScopeFull, ExpiresAt: &at,
		Permissions: []string{"view:audit", "view:projects"}, Policy: p, Presets: genOwn,
	}
}

func benchID(kind string, i int) string { return fmt.Sprintf("%-12s-7000-8000-%017d", kind, i) }

func benchCatalog(tb testing.TB) *policy.Catalog {
	verbs := []string{"read", "list", "get", "search", "create", "update", "delete", "run", "export", "sync"}
	var tools []policy.Tool
	for i := range benchTools {
		slug, name := fmt.Sprintf("server-%d", i%20), fmt.Sprintf("%s_record_%03d", verbs[i/100], i%500)
		tools = append(tools, policy.Tool{
			ID: slug + "/" + name, Name: slug + "__" + name, Category: []string{"tools", "category-1", "category-9"}[i%3],
			Effect: policy.Effect(1 + i%3), InstanceID: benchID("instance", i%20), ProjectID: benchID("project", i%4), WriteEnabled: true,
		})
	}
	return mustCatalog(tb, tools...)
}

func benchGrants() []*policy.Grant {
	r := rand.New(rand.NewPCG(1, 2))
	grants := make([]*policy.Grant, benchKeys)
	for i := range grants {
		grants[i] = policy.Compile(benchSubject(r, i))
	}
	return grants
}

// BenchmarkDecide takes another key and another tool each time, with every
// failing rule; wanted: 300 ns, no allocation. In turn, the keys' memory comes
// as it was laid; shuffled, each decision waits for memory nobody foresaw.
func BenchmarkDecide(b *testing.B) {
	c, r := benchCatalog(b), rand.New(rand.NewPCG(3, 4))
	grants := benchGrants()
	run := func(name string, grants []*policy.Grant) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			key, tool := 0, 0
			for b.Loop() {
				if grants[key].Decide(nil, c.At(tool), genNow).Reason() == policy.RuleUnknown {
					b.Fatal("unknown")
				}
				if key++; key == len(grants) {
					key = 0
				}
				if tool++; tool == benchTools {
					tool = 0
				}
			}
		})
	}
	run("bailiwick/in-turn", grants)
	shuffled := slices.Clone(grants)
	r.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
	run("bailiwick/shuffled", shuffled)
	run("bailiwick/one-key", grants[:1])
	b.Run("cedar", func(b *testing.B) {
		sets, requests := benchCedar(b, c)
		order := r.Perm(benchCedarKeys)
		b.ReportAllocs()
		i := 0
		for b.Loop() {
			cedar.Authorize(sets[order[i%benchCedarKeys]], nil, requests[i%benchTools])
			i++
		}
	})
}

func benchCedar(tb testing.TB, c *policy.Catalog) ([]*cedar.PolicySet, []cedar.Request) {
	r := rand.New(rand.NewPCG(1, 2))
	var sets []*cedar.PolicySet
	for i := range benchCedarKeys {
		sets = append(sets, newCedarOracle(tb, []policy.Subject{benchSubject(r, i)}, nil).policies)
	}
	var requests []cedar.Request
	for i := range c.Len() {
		requests = append(requests, cedarRequest(c.At(i), genNow))
	}
	return sets, requests
}

// BenchmarkVisible lists 1,000 tools; wanted: 100 µs cold, 2 µs from the bitset.
// Two catalogs in turn make every ask a cold one.
func BenchmarkVisible(b *testing.B) {
	c, again := benchCatalog(b), benchCatalog(b)
	narrowing := policy.NoNarrowing()
	narrowing.Instances, narrowing.Exclude = policy.Only("server-1", "server-2", "server-3"), []string{"delete_*", "*_007"}
	session, grants := mustNarrow(b, narrowing), benchGrants()
	run := func(name string, s *policy.Session, catalogs ...*policy.Catalog) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			i, seen := 0, 0
			for b.Loop() {
				seen += grants[i/8%64].Visible(s, catalogs[i%len(catalogs)], genNow).Count()
				i++
			}
			if s == nil && i >= 512 && seen == 0 {
				b.Fatal("nothing is visible to anyone")
			}
		})
	}
	run("cold", nil, c, again)
	run("cold/session", session, c, again)
	run("bitset", nil, c)
	run("bitset/session", session, c)
	b.Run("cedar", func(b *testing.B) {
		sets, requests := benchCedar(b, c)
		b.ReportAllocs()
		i := 0
		for b.Loop() {
			for _, r := range requests {
				cedar.Authorize(sets[i%benchCedarKeys], nil, r)
			}
			i++
		}
	})
}

// BenchmarkCompile also weighs what a compiled key keeps alive; wanted: 1.5 KB.
func BenchmarkCompile(b *testing.B) {
	b.Run("bailiwick", func(b *testing.B) {
		s := benchSubject(rand.New(rand.NewPCG(5, 6)), 0)
		b.ReportAllocs()
		for b.Loop() {
			policy.Compile(s)
		}
		var grants []*policy.Grant
		kept := heapOf(func() { grants = benchGrants() })
		b.ReportMetric(float64(kept)/benchKeys, "B/key")
		c := benchCatalog(b)
		kept += heapOf(func() {
			for _, g := range grants {
				g.Visible(nil, c, genNow)
			}
		})
		b.ReportMetric(float64(kept)/benchKeys, "B/key-with-bitset")
		runtime.KeepAlive(grants)
	})
	b.Run("cedar", func(b *testing.B) {
		s := benchSubject(rand.New(rand.NewPCG(5, 6)), 0)
		b.ReportAllocs()
		for b.Loop() {
			newCedarOracle(b, []policy.Subject{s}, nil)
		}
		var sets []*cedar.PolicySet
		c := mustCatalog(b)
		kept := heapOf(func() { sets, _ = benchCedar(b, c) })
		b.ReportMetric(float64(kept)/benchCedarKeys, "B/key")
		runtime.KeepAlive(sets)
	})
}

// heapOf is how many bytes more are alive after make.
func heapOf(make func()) uint64 {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&before)
	make()
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&after)
	return after.HeapAlloc - before.HeapAlloc
}

// BenchmarkDecideArguments: a key without rules pays for looking that it has none.
func BenchmarkDecideArguments(b *testing.B) {
	tool := argumentTool("a/read", "")
	raw := []byte(`{"query":"some text","at":{"project":"team-a"},"limit":10}`)
	for name, g := range map[string]*policy.Grant{
		"no rules":  compile([]policy.Subject{openSubject()}),
		"one rule":  compile([]policy.Subject{withRules(argument("a/*", "/at/project", "team-*"))}),
		"of others": compile([]policy.Subject{withRules(argument("b/*", "/at/project", "team-*"))}),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if !g.DecideArguments(tool, raw, nil).Allowed() {
					b.Fatal("denied")
				}
			}
		})
	}
}
