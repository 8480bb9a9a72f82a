// Package policy decides, per key, which tools an agent may see and use.
//
// It is pure: plain data in, a decision and its reasons out. It imports only
// the standard library, reads no clock and keeps no state of its own beyond
// what it has compiled.
//
// The data flow: a [Subject] (one key's settings and state, as plain data) is
// compiled, together with those of its ancestors, to a [Grant]; the tools on
// offer are a [Catalog]; what a session gave up by itself is a [Session].
// [Grant.Decide] answers for one tool, [Grant.Visible] for a whole catalog, by
// the same rules, so that what is listed is what can be called; [Grant.Explain]
// says what each rule saw. [Grant.DecideArguments] then answers for what one call
// says, which hides no tool. [Covers] tells whether one grant is within another.
// [Parse], [Marshal] and [Policy.Validate] are the wire's side of a policy, and
// [UnmarshalStrict] the project's one strict JSON decoder. [Cedar] writes a
// policy for other analysers, and is the oracle of the tests.
//
// A new rule is a constant in rule.go, its line in decide.go, explain.go and
// cedar.go, and a file of cases in testdata/policy.
//
// Everything fails closed: the zero value of each type permits nothing, an
// unknown value is a denial, and "everything" is always spelled out.
package policy
