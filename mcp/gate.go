package mcp

import (
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// question is what the gate is asked: may this principal, narrowed so, do this
// in this catalog now.
type question struct {
	principal keys.Principal
	session   *policy.Session // what the session or request gave up by itself
	catalog   *catalog
	method    string
	era       era
	tool      string // exposed name; of tools/call only
	now       time.Time
}

// verdict is the gate's answer. The zero verdict is a denial.
type verdict struct {
	class    methodClass // classUnknown: no such method for this era
	decision policy.Decision
	tool     *policy.Tool // nil = the catalog has none of this name
	entry    *entry
}

// allowed tells whether the request may go on.
func (v verdict) allowed() bool {
	switch v.class {
	case classUnknown, classNotOffered:
		return false
	}
	return v.decision.Allowed()
}

// decide is the gate: the one function behind every request, asked by the edge
// before anything is looked at beyond the envelope, and again by the filter of
// mcp-go's server. For what is not a call the decision is about the key alone.
func decide(q question) verdict {
	grant := q.principal.Grant()
	if !q.principal.Valid() || grant == nil {
		return verdict{}
	}
	m := methods[q.method]
	if m.eras&q.era == 0 {
		m.class = classUnknown
	}
	v := verdict{class: m.class, decision: grant.DecideKey(q.now)}
	if m.class != classCall {
		return v
	}
	v.tool, v.entry = q.catalog.lookup(q.tool)
	v.decision = grant.Decide(q.session, v.tool, q.now)
	return v
}

// visible marks the tools of the catalog that a list shows: those whose call
// decide would let through.
func visible(q question) policy.Bitset {
	grant := q.principal.Grant()
	if !q.principal.Valid() || grant == nil {
		return nil
	}
	return grant.Visible(q.session, q.catalog.tools, q.now)
}
