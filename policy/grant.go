package policy

import "time"

// Grant is a key's policy, compiled: the key's own layer first, then one for
// each ancestor, all of which must allow. A nil Grant denies.
type Grant struct {
	subjects []Subject
}

// Compile makes a Grant of a key and its ancestors. It never fails: what it
// does not understand, it denies.
func Compile(own Subject, ancestors ...Subject) *Grant {
	return &Grant{subjects: append([]Subject{own}, ancestors...)}
}

// Decide answers for one tool; a nil tool is one that the catalog lacks, a nil
// session one that narrowed nothing. All rules are evaluated; it allocates nothing.
func (g *Grant) Decide(s *Session, t *Tool, now time.Time) Decision { return Decision{} }

// DecideKey answers by the rules before tool.unknown alone: may this key speak
// MCP at all now.
func (g *Grant) DecideKey(now time.Time) Decision { return Decision{} }

// Unrestricted tells whether no layer limits anything: full_access, read-only
// off, every list unlimited, mode all, not confined to a project.
func (g *Grant) Unrestricted() bool { return false }

// Can tells whether every layer holds the REST permission: view:<resource> or
// manage:<resource>. manage includes view; * includes all but tenants.
func (g *Grant) Can(permission string) bool { return false }

// RuleResult is one line of an explanation.
type RuleResult struct {
	Rule     Rule   `json:"rule"`
	OK       bool   `json:"ok"`
	Observed string `json:"observed"`          // what the rule saw, in words
	Pattern  string `json:"pattern,omitempty"` // the allowlist pattern that decided
}

// Explain answers as Decide does, with every rule that was evaluated.
func (g *Grant) Explain(s *Session, t *Tool, now time.Time) (Decision, []RuleResult) {
	return Decision{}, nil
}

// Covers tells whether whatever child permits, parent permits too: MCP policy,
// REST permissions, scope (an api key may issue any), expiry, confinement. It
// is sound, not complete. Exceeding says where.
func Covers(parent, child *Grant) bool { return len(Exceeding(parent, child)) == 0 }

// Exceeding lists the fields (wire names) in which child can't be shown to be
// within parent; empty when covered.
func Exceeding(parent, child *Grant) []Problem { return []Problem{{Field: "mcpPreset"}} }

// Narrowing is what one request or session gives up by itself.
type Narrowing struct {
	Instances  Limit    // slugs; built-ins have the slug bailiwick
	Categories Limit    // ?categories=
	Toolsets   Limit    // X-MCP-Toolsets: categories
	Tools      Limit    // X-MCP-Tools: patterns
	Exclude    []string // X-MCP-Exclude-Tools: patterns
	ReadOnly   bool
}

// NoNarrowing gives up nothing.
func NoNarrowing() Narrowing {
	return Narrowing{Instances: Unlimited(), Categories: Unlimited(), Toolsets: Unlimited(), Tools: Unlimited()}
}

// Session is one or several compiled narrowings, all of which must allow.
// A nil Session narrows nothing.
type Session struct{}

// Narrow compiles narrowings; nil when none of them gives up anything. A
// pattern that does not parse is an error.
func Narrow(layers ...Narrowing) (*Session, error) { return nil, nil }

// With is the session narrowed further by the other one; either may be nil.
func (s *Session) With(more *Session) *Session { return s }

// Catalog is an immutable set of tools, sorted by exposed name.
type Catalog struct{ tools []Tool }

// NewCatalog sorts the tools; two with one exposed name or id are an error.
func NewCatalog(tools []Tool) (*Catalog, error) { return &Catalog{tools: tools}, nil }

// Len is the number of tools.
func (c *Catalog) Len() int { return len(c.tools) }

// At is the i-th tool in order of exposed name.
func (c *Catalog) At(i int) *Tool { return &c.tools[i] }

// Lookup finds a tool by its exposed name; nil and -1 when there is none.
func (c *Catalog) Lookup(name string) (*Tool, int) { return nil, -1 }

// LookupID finds a tool by its canonical id; nil and -1 when there is none.
func (c *Catalog) LookupID(id string) (*Tool, int) { return nil, -1 }

// Bitset marks tools of one catalog by index.
type Bitset []uint64

// Has tells whether bit i is set.
func (b Bitset) Has(i int) bool { return i>>6 < len(b) && b[i>>6]&(1<<(i&63)) != 0 }

// Visible marks the tools that Decide allows. The part that depends on neither
// time nor session is computed once per (grant, catalog) and kept. The caller
// must not change the answer.
func (g *Grant) Visible(s *Session, c *Catalog, now time.Time) Bitset { return nil }
