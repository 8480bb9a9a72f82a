package policy_test
import ("testing";"math/rand/v2";"github.com/bailiwick-mcp/bailiwick/policy")
func BenchmarkExp(b *testing.B) {
	r := rand.New(rand.NewPCG(3, 4))
	grants := benchGrants()
	order := r.Perm(benchKeys)
	c := benchCatalog(b)
	b.Run("key", func(b *testing.B) { i := 0
		for b.Loop() { grants[order[i%benchKeys]].DecideKey(genNow); i++ } })
	b.Run("sametool", func(b *testing.B) { i := 0
		for b.Loop() { grants[order[i%benchKeys]].Decide(nil, c.At(7), genNow); i++ } })
	b.Run("samekey", func(b *testing.B) { i := 0
		for b.Loop() { grants[5].Decide(nil, c.At(i%benchTools), genNow); i++ } })
	b.Run("sequential", func(b *testing.B) { i := 0
		for b.Loop() { grants[i%benchKeys].Decide(nil, c.At(7), genNow); i++ } })
	b.Run("same", func(b *testing.B) { i := 0
		for b.Loop() { grants[5].Decide(nil, c.At(7), genNow); i++ } })
	_ = policy.Default
}
